package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// changeSet is a revision that waits to be deployed. Its parameters are frozen: what
// SSM has when it is executed makes no difference.
type changeSet struct {
	ID          string
	Name        string
	StackID     string
	Type        types.ChangeSetType
	Description string `json:",omitempty"`
	Created     time.Time
	Status      types.ChangeSetStatus
	Reason      string `json:",omitempty"`
	Execution   types.ExecutionStatus
	OnFailure   types.OnStackFailure `json:",omitempty"`
	Nested      *bool                `json:",omitempty"`
	Importing   *bool                `json:",omitempty"`
	Token       string               `json:",omitempty"`
	Operation   string               `json:",omitempty"` // the id of its own creation
	Ended       time.Time            `json:",omitzero"`  // when it was complete, or had failed
	Finding     *finding             `json:",omitempty"` // the resource that it failed for
	Revision    revision
	Changes     []types.Change `json:",omitempty"`
}

// finding is a resource that a change set failed for: its properties are wrong.
type finding struct{ LogicalID, Type string }

var nameOfChangeSet = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`) })

// noChanges is the reason of a change set that would change nothing: the CDK CLI and
// the AWS CLI know it by its text.
const noChanges = "The submitted information didn't contain changes. Submit different information to create a change set."

// CreateChangeSet compares a template with what a stack has. What is wrong with the
// template or its parameters is an error; what is wrong with the changes is the change
// set's status. It is complete when the answer comes.
func (s *Service) CreateChangeSet(ctx context.Context, in *cloudformation.CreateChangeSetInput) (*cloudformation.CreateChangeSetOutput, error) {
	c, err := s.newChangeSet(in)
	if err != nil {
		return nil, err
	}
	st, records, err := s.changeSetStack(in, c)
	if err != nil {
		return nil, err
	}
	var old *revision
	if c.Type == types.ChangeSetTypeUpdate {
		old = &st.Deployed
	}
	revision, t, err := s.revise(ctx, draft{
		body: in.TemplateBody, url: in.TemplateURL, usePrevious: in.UsePreviousTemplate, parameters: in.Parameters, tags: in.Tags,
		capabilities: in.Capabilities, roleARN: in.RoleARN, notificationARNs: in.NotificationARNs,
	}, old)
	if err != nil {
		return nil, err
	}
	planned, err := s.plan(&st, revision, t, records)
	c.StackID, c.Revision, c.Changes = st.ID, *revision, planned.Changes
	switch {
	case err != nil:
		c.Status, c.Execution, c.Reason = types.ChangeSetStatusFailed, types.ExecutionStatusUnavailable, messageOf(err)
		var refused *refusedResource
		if errors.As(err, &refused) {
			c.Finding = &finding{refused.id, refused.typeName}
		}
	case !planned.Differs:
		c.Status, c.Execution, c.Reason = types.ChangeSetStatusFailed, types.ExecutionStatusUnavailable, noChanges
	}
	c.Ended = s.clock.now()
	id, stackID, err := s.putChangeSet(st, c)
	if err != nil {
		return nil, err
	}
	return &cloudformation.CreateChangeSetOutput{Id: aws.String(id), StackId: aws.String(stackID)}, nil
}

// messageOf returns what an error says, without its code.
func messageOf(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// newChangeSet returns a change set of what a request says besides the template.
func (s *Service) newChangeSet(in *cloudformation.CreateChangeSetInput) (changeSet, error) {
	name := aws.ToString(in.ChangeSetName)
	if !nameOfChangeSet().MatchString(name) {
		return changeSet{}, invalid("1 validation error detected: Value '%s' at 'changeSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	if err := s.refuseOptions(map[string]bool{
		// ImportExistingResources is taken, because the CDK CLI bootstraps with it: a
		// resource that exists is not imported here, and its creation fails.
		"ChangeSetType IMPORT": in.ChangeSetType == types.ChangeSetTypeImport,
		"ResourcesToImport":    in.ResourcesToImport != nil,
		"DeploymentMode":       in.DeploymentMode != "",
		"ResourceTypes":        in.ResourceTypes != nil,
	}, in.RollbackConfiguration, in.DeploymentConfig); err != nil {
		return changeSet{}, err
	}
	kind := in.ChangeSetType
	if kind == "" {
		kind = types.ChangeSetTypeUpdate
	}
	if in.OnStackFailure == types.OnStackFailureDelete && kind != types.ChangeSetTypeCreate {
		return changeSet{}, invalid("OnStackFailure DELETE is for change sets of type CREATE.")
	}
	return changeSet{
		ID:   fmt.Sprintf("arn:aws:cloudformation:%s:%s:changeSet/%s/%s", s.o.Region, s.o.Account, name, wire.NewID()),
		Name: name, Type: kind, Description: aws.ToString(in.Description), Created: s.clock.now(), Status: types.ChangeSetStatusCreateComplete,
		Execution: types.ExecutionStatusAvailable, OnFailure: in.OnStackFailure, Nested: in.IncludeNestedStacks, Importing: in.ImportExistingResources, Token: aws.ToString(in.ClientToken),
		Operation: wire.NewID(),
	}, nil
}

// changeSetStack returns the stack that a change set is for: one that is there, or a
// new one.
func (s *Service) changeSetStack(in *cloudformation.CreateChangeSetInput, c changeSet) (st stack, records map[string]record, err error) {
	name := *in.StackName
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		var found bool
		if st, found, err = s.stackOf(tx, name); err != nil {
			return err
		}
		review := found && st.Status == types.StackStatusReviewInProgress
		switch {
		case c.Type == types.ChangeSetTypeCreate && found && !review:
			return wire.Errorf("AlreadyExistsException", "Stack [%s] already exists and cannot be created again with the changeSet [%s].", st.Name, c.Name)
		case c.Type == types.ChangeSetTypeCreate && !found:
			st = s.newStack(name)
			return checkStackName(name)
		case c.Type == types.ChangeSetTypeUpdate && !found:
			return invalid("Stack [%s] does not exist", name)
		case c.Type == types.ChangeSetTypeUpdate:
			if err := updatable(st, true); err != nil {
				return err
			}
		}
		records, err = s.records(tx, st.ID)
		return err
	})
	return st, records, err
}

// putChangeSet writes a change set, and the stack where it is new. One that was made of
// what the stack is not any more is obsolete. A request that is sent again with its
// token gets what the first one got.
func (s *Service) putChangeSet(st stack, c changeSet) (id, stackID string, err error) {
	var reviewed *stack
	err = s.o.Store.Update(func(tx *state.Tx) error {
		existing, found, err := s.stackOf(tx, st.Name)
		if err != nil {
			return err
		}
		switch {
		case found:
			c.StackID = existing.ID
			if c.Execution == types.ExecutionStatusAvailable && existing.lastOperationID() != st.lastOperationID() {
				c.Execution = types.ExecutionStatusObsolete
			}
		case c.Type == types.ChangeSetTypeCreate:
			if err := s.names.Put(tx, st.Name, st.ID); err != nil {
				return err
			}
			if err := s.tellAs(tx, &st, task{c.Operation, types.OperationTypeCreateChangeset}, types.StackStatusReviewInProgress, userInitiated); err != nil {
				return err
			}
			reviewed = &st
		default:
			return invalid("Stack [%s] does not exist", st.Name) // deleted since
		}
		id, stackID = c.ID, c.StackID
		same, found, err := s.findChangeSet(tx, c.StackID, c.Name)
		switch {
		case err != nil:
			return err
		case found && c.Token != "" && same.Token == c.Token:
			id = same.ID
			return nil
		case found && same.Execution != types.ExecutionStatusExecuteInProgress:
			return wire.Errorf("AlreadyExistsException", "ChangeSet %s already exists on stack %s", c.Name, st.Name)
		}
		return s.changeSets.Put(tx, partKey(c.StackID, c.ID), c)
	})
	if err == nil && reviewed != nil {
		s.publish(*reviewed)
	}
	return id, stackID, err
}

// findChangeSet returns a stack's change set by its name or its ARN.
func (s *Service) findChangeSet(tx *state.Tx, stackID, nameOrID string) (found changeSet, exists bool, err error) {
	for _, c := range s.changeSets.All(tx, partKey(stackID, ""), &err) {
		if c.Name == nameOrID || c.ID == nameOrID {
			found, exists = c, true
		}
	}
	return found, exists, err
}

// changeSetOf returns a change set and its stack. The stack may be left out where the
// change set is given by its ARN.
func (s *Service) changeSetOf(tx *state.Tx, nameOrID string, stackName *string) (c changeSet, st stack, err error) {
	missing := wire.Errorf("ChangeSetNotFound", "ChangeSet [%s] does not exist", nameOrID).WithStatus(404)
	if stackName == nil {
		if !strings.HasPrefix(nameOrID, "arn:") {
			return c, st, invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
		}
		exists := false
		for _, candidate := range s.changeSets.All(tx, "", &err) {
			if candidate.ID == nameOrID {
				c, exists = candidate, true
			}
		}
		if err == nil && !exists {
			err = missing
		}
		if err != nil {
			return c, st, err
		}
		st, _, err = s.stacks.Get(tx, c.StackID)
		return c, st, err
	}
	st, found, err := s.stackOf(tx, *stackName)
	if err != nil {
		return c, st, err
	}
	if !found {
		return c, st, invalid("Stack [%s] does not exist", *stackName)
	}
	c, exists, err := s.findChangeSet(tx, st.ID, nameOrID)
	if err == nil && !exists {
		err = missing
	}
	return c, st, err
}

func (s *Service) getChangeSet(nameOrID string, stackName *string) (c changeSet, err error) {
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		c, _, err = s.changeSetOf(tx, nameOrID, stackName)
		return err
	})
	return c, err
}

// execution returns how far the execution of a change set is.
func (c changeSet) execution(st stack) types.ExecutionStatus {
	switch {
	case c.Execution != types.ExecutionStatusExecuteInProgress || st.Operation != nil:
		return c.Execution
	case st.Status == types.StackStatusCreateComplete || st.Status == types.StackStatusUpdateComplete:
		return types.ExecutionStatusExecuteComplete
	}
	return types.ExecutionStatusExecuteFailed
}

// DescribeChangeSet says what a change set changes.
func (s *Service) DescribeChangeSet(_ context.Context, in *cloudformation.DescribeChangeSetInput) (*cloudformation.DescribeChangeSetOutput, error) {
	var c changeSet
	var st stack
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		c, st, err = s.changeSetOf(tx, *in.ChangeSetName, in.StackName)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeChangeSetOutput{
		ChangeSetId: aws.String(c.ID), ChangeSetName: aws.String(c.Name), StackId: aws.String(c.StackID), StackName: aws.String(st.Name),
		Description: text(c.Description), CreationTime: aws.Time(c.Created), Status: c.Status, StatusReason: text(c.Reason), ExecutionStatus: c.execution(st),
		Parameters: describeParameters(c.Revision.Parameters), Tags: orEmpty(c.Revision.Tags), Capabilities: orEmpty(c.Revision.Capabilities),
		NotificationARNs: orEmpty(c.Revision.NotificationARNs), RollbackConfiguration: &types.RollbackConfiguration{}, OnStackFailure: c.OnFailure,
		IncludeNestedStacks: c.Nested, ImportExistingResources: c.Importing,
	}
	out.Changes, out.NextToken, err = page(c.Changes, in.NextToken)
	return out, err
}

// ListChangeSets lists a stack's change sets that were not executed.
func (s *Service) ListChangeSets(_ context.Context, in *cloudformation.ListChangeSetsInput) (*cloudformation.ListChangeSetsOutput, error) {
	out := &cloudformation.ListChangeSetsOutput{Summaries: []types.ChangeSetSummary{}}
	err := s.o.Store.View(func(tx *state.Tx) error {
		st, err := s.namedStack(tx, aws.ToString(in.StackName))
		if err != nil {
			return err
		}
		for _, c := range s.changeSets.All(tx, partKey(st.ID, ""), &err) {
			if c.Execution == types.ExecutionStatusExecuteInProgress {
				continue
			}
			out.Summaries = append(out.Summaries, types.ChangeSetSummary{
				ChangeSetId: aws.String(c.ID), ChangeSetName: aws.String(c.Name), StackId: aws.String(st.ID), StackName: aws.String(st.Name), Description: text(c.Description),
				CreationTime: aws.Time(c.Created), Status: c.Status, StatusReason: text(c.Reason), ExecutionStatus: c.Execution, IncludeNestedStacks: c.Nested, ImportExistingResources: c.Importing,
			})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Summaries, out.NextToken, err = page(out.Summaries, in.NextToken)
	return out, err
}

// DeleteChangeSet deletes a change set. One that does not exist is deleted.
func (s *Service) DeleteChangeSet(_ context.Context, in *cloudformation.DeleteChangeSetInput) (*cloudformation.DeleteChangeSetOutput, error) {
	err := s.o.Store.Update(func(tx *state.Tx) error {
		c, st, err := s.changeSetOf(tx, *in.ChangeSetName, in.StackName)
		if e, ok := err.(*wire.Error); ok && e.Code == "ChangeSetNotFound" {
			return nil
		}
		if err != nil {
			return err
		}
		if c.execution(st) == types.ExecutionStatusExecuteInProgress {
			return wire.Errorf("InvalidChangeSetStatus", "An operation on this ChangeSet is currently in progress: [%s]", c.ID)
		}
		return s.changeSets.Delete(tx, partKey(c.StackID, c.ID))
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.DeleteChangeSetOutput{}, nil
}

// forgetChangeSets deletes all change sets of a stack.
func (s *Service) forgetChangeSets(tx *state.Tx, stackID string) error {
	return deleteWhile(s.changeSets, tx, stackID, func(changeSet) bool { return true })
}

// ExecuteChangeSet begins to make a stack what a change set says.
func (s *Service) ExecuteChangeSet(_ context.Context, in *cloudformation.ExecuteChangeSetInput) (*cloudformation.ExecuteChangeSetOutput, error) {
	c, err := s.getChangeSet(*in.ChangeSetName, in.StackName)
	if err != nil {
		return nil, err
	}
	disableRollback, retainExceptOnCreate := aws.ToBool(in.DisableRollback), aws.ToBool(in.RetainExceptOnCreate)
	if disableRollback && c.OnFailure != "" {
		return nil, invalid("DisableRollback cannot be given for a change set with OnStackFailure.")
	}
	kind := types.OperationTypeUpdateStack
	if c.Type == types.ChangeSetTypeCreate {
		kind = types.OperationTypeCreateStack
	}
	_, _, err = s.begin(c.StackID, in.ClientRequestToken, kind, func(tx *state.Tx, st *stack) (*admission, error) {
		c, found, err := s.changeSets.Get(tx, partKey(c.StackID, c.ID))
		switch {
		case err != nil:
			return nil, err
		case !found || st == nil:
			return nil, wire.Errorf("ChangeSetNotFound", "ChangeSet [%s] does not exist", *in.ChangeSetName).WithStatus(404)
		case c.Status != types.ChangeSetStatusCreateComplete:
			return nil, wire.Errorf("InvalidChangeSetStatus", "ChangeSet [%s] cannot be executed in its current status of [%s]", c.ID, c.Status)
		case c.Execution != types.ExecutionStatusAvailable:
			return nil, wire.Errorf("InvalidChangeSetStatus", "ChangeSet [%s] cannot be executed in its current execution status of [%s]", c.ID, c.execution(*st))
		}
		admitted, err := s.execute(*st, c, disableRollback, retainExceptOnCreate)
		if err != nil {
			return nil, err
		}
		if c.OnFailure != "" {
			admitted.operation.OnFailure = c.OnFailure
		}
		admitted.executed = &c
		return admitted, nil
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.ExecuteChangeSetOutput{}, nil
}

// execute admits the execution of a change set.
func (s *Service) execute(st stack, c changeSet, disableRollback, retainExceptOnCreate bool) (*admission, error) {
	if c.Type == types.ChangeSetTypeUpdate {
		return s.update(st, c.Revision, c.ID, disableRollback, retainExceptOnCreate)
	}
	if st.Status != types.StackStatusReviewInProgress {
		return nil, invalid("Stack:%s is in %s state and can not be updated.", st.ID, st.Status)
	}
	st.Deployed, st.ChangeSetID, st.DisableRollback = c.Revision, c.ID, disableRollback
	operation := operation{Kind: types.OperationTypeCreateStack, Stage: stageDeploy, RetainExceptOnCreate: retainExceptOnCreate}
	if disableRollback {
		operation.OnFailure = types.OnStackFailureDoNothing
	}
	return &admission{st: st, operation: operation, status: types.StackStatusCreateInProgress, reason: userInitiated}, nil
}
