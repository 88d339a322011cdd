package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// userInitiated is what the first event of an operation gives for its reason.
const userInitiated = "User Initiated"

var (
	nameOfStack = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`) })
	nameOfToken = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9]{0,127}$`) })
)

// CreateStack makes a stack and begins to create its resources.
func (s *Service) CreateStack(ctx context.Context, in *cloudformation.CreateStackInput) (*cloudformation.CreateStackOutput, error) {
	name := aws.ToString(in.StackName)
	if err := checkStackName(name); err != nil {
		return nil, err
	}
	if err := s.refuseOptions(map[string]bool{
		"ResourceTypes": in.ResourceTypes != nil, "StackPolicyBody": in.StackPolicyBody != nil, "StackPolicyURL": in.StackPolicyURL != nil,
		"TimeoutInMinutes": in.TimeoutInMinutes != nil,
	}, in.RollbackConfiguration, in.DeploymentConfig); err != nil {
		return nil, err
	}
	if aws.ToBool(in.DisableRollback) && in.OnFailure != "" {
		return nil, invalid("You must specify either DisableRollback or OnFailure, but not both.")
	}
	st := s.newStack(name)
	revision, t, err := s.revise(ctx, draft{
		body: in.TemplateBody, url: in.TemplateURL, parameters: in.Parameters, tags: in.Tags, capabilities: in.Capabilities, roleARN: in.RoleARN, notificationARNs: in.NotificationARNs,
	}, nil)
	if err != nil {
		return nil, err
	}
	if _, err := s.plan(&st, revision, t, nil); err != nil {
		return nil, err
	}
	operation := operation{Kind: types.OperationTypeCreateStack, Stage: stageDeploy, RetainExceptOnCreate: aws.ToBool(in.RetainExceptOnCreate), OnFailure: types.OnStackFailure(in.OnFailure)}
	if aws.ToBool(in.DisableRollback) {
		operation.OnFailure = types.OnStackFailureDoNothing
	}
	id, operationID, err := s.begin(name, in.ClientRequestToken, types.OperationTypeCreateStack, func(tx *state.Tx, existing *stack) (*admission, error) {
		if existing != nil {
			return nil, wire.Errorf("AlreadyExistsException", "Stack [%s] already exists", name)
		}
		st.Deployed, st.TerminationProtection, st.DisableRollback = *revision, aws.ToBool(in.EnableTerminationProtection), aws.ToBool(in.DisableRollback)
		return &admission{st: st, operation: operation, status: types.StackStatusCreateInProgress, reason: userInitiated}, s.names.Put(tx, name, st.ID)
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.CreateStackOutput{StackId: aws.String(id), OperationId: aws.String(operationID)}, nil
}

// UpdateStack begins to make a stack what a template says. Where another operation has
// changed the stack while the update was planned, it is planned again: what the request
// leaves out is as the stack has it when the update begins.
func (s *Service) UpdateStack(ctx context.Context, in *cloudformation.UpdateStackInput) (*cloudformation.UpdateStackOutput, error) {
	if err := s.refuseOptions(map[string]bool{
		"ResourceTypes": in.ResourceTypes != nil, "StackPolicyBody": in.StackPolicyBody != nil, "StackPolicyURL": in.StackPolicyURL != nil,
		"StackPolicyDuringUpdateBody": in.StackPolicyDuringUpdateBody != nil, "StackPolicyDuringUpdateURL": in.StackPolicyDuringUpdateURL != nil,
	}, in.RollbackConfiguration, in.DeploymentConfig); err != nil {
		return nil, err
	}
	for {
		id, operationID, err := s.planAndUpdate(ctx, in)
		if errors.Is(err, errPlanIsOld) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &cloudformation.UpdateStackOutput{StackId: aws.String(id), OperationId: aws.String(operationID)}, nil
	}
}

// errPlanIsOld says that the stack is not what an update was planned on any more.
var errPlanIsOld = errors.New("the stack has changed since the update was planned")

// planAndUpdate plans an update on the stack as it is and begins it, or changes nothing
// and returns errPlanIsOld. It returns the stack's ARN and
// the operation's id.
func (s *Service) planAndUpdate(ctx context.Context, in *cloudformation.UpdateStackInput) (id, operationID string, err error) {
	st, records, err := s.snapshotOf(aws.ToString(in.StackName), s.namedStack)
	if err != nil {
		return "", "", err
	}
	if again, err := st.asked(in.ClientRequestToken, types.OperationTypeUpdateStack); err != nil || again {
		return st.ID, st.lastOperationID(), err
	}
	if err := updatable(st, aws.ToBool(in.DisableRollback)); err != nil {
		return "", "", err
	}
	revision, t, err := s.revise(ctx, draft{
		body: in.TemplateBody, url: in.TemplateURL, usePrevious: in.UsePreviousTemplate, parameters: in.Parameters, tags: in.Tags,
		capabilities: in.Capabilities, roleARN: in.RoleARN, notificationARNs: in.NotificationARNs,
	}, &st.Deployed)
	if err != nil {
		return "", "", err
	}
	planned, err := s.plan(&st, revision, t, records)
	if err != nil {
		return "", "", err
	}
	if !planned.Differs {
		return "", "", invalid("No updates are to be performed.")
	}
	return s.begin(st.ID, in.ClientRequestToken, types.OperationTypeUpdateStack, func(tx *state.Tx, existing *stack) (*admission, error) {
		if existing == nil {
			return nil, invalid("Stack [%s] does not exist", st.Name)
		}
		admitted, err := s.update(*existing, *revision, "", aws.ToBool(in.DisableRollback), aws.ToBool(in.RetainExceptOnCreate))
		if err == nil && existing.lastOperationID() != st.lastOperationID() {
			return nil, errPlanIsOld
		}
		return admitted, err
	})
}

// update admits an update of a stack that is there.
func (s *Service) update(st stack, revision revision, changeSetID string, disableRollback, retainExceptOnCreate bool) (*admission, error) {
	if err := updatable(st, disableRollback); err != nil {
		return nil, err
	}
	if settled(st.Status) {
		before := st.Deployed
		st.Stable = &before
	}
	st.Deployed, st.ChangeSetID, st.DisableRollback, st.Updated = revision, changeSetID, disableRollback, s.clock.now()
	operation := operation{Kind: types.OperationTypeUpdateStack, Stage: stageDeploy, RetainExceptOnCreate: retainExceptOnCreate}
	if disableRollback {
		operation.OnFailure = types.OnStackFailureDoNothing
	}
	return &admission{st: st, operation: operation, status: types.StackStatusUpdateInProgress, reason: userInitiated}, nil
}

// settled reports whether a stack is at rest with all that its template has.
func settled(status types.StackStatus) bool {
	switch status {
	case types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusUpdateRollbackComplete:
		return true
	}
	return false
}

// updatable refuses to update a stack that is not in a state for it.
func updatable(st stack, disableRollback bool) error {
	paused := st.Status == types.StackStatusUpdateFailed || st.Status == types.StackStatusCreateFailed
	switch {
	case settled(st.Status), paused && disableRollback:
		return nil
	case paused:
		return invalid("This stack is currently in a non-terminal [%s] state. To update the stack from this state, please use the disable-rollback parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API", st.Status)
	}
	return invalid("Stack:%s is in %s state and can not be updated.", st.ID, st.Status)
}

// DeleteStack begins to delete a stack. One that does not exist is deleted.
func (s *Service) DeleteStack(_ context.Context, in *cloudformation.DeleteStackInput) (*cloudformation.DeleteStackOutput, error) {
	if err := s.refuseOptions(nil, nil, in.DeploymentConfig); err != nil {
		return nil, err
	}
	creating := "" // the ARN of a stack that is still being created
	_, _, err := s.begin(aws.ToString(in.StackName), in.ClientRequestToken, types.OperationTypeDeleteStack, func(tx *state.Tx, st *stack) (*admission, error) {
		switch {
		case st == nil || st.Status == types.StackStatusDeleteComplete || st.Status == types.StackStatusDeleteInProgress:
			return nil, nil
		case st.TerminationProtection:
			return nil, invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", st.Name)
		case st.Status == types.StackStatusCreateInProgress:
			creating = st.ID
			st.Operation.Deleting, st.LastToken, st.LastAsked = true, aws.ToString(in.ClientRequestToken), types.OperationTypeDeleteStack
			st.Operation.become(types.OperationTypeDeleteStack)
			return nil, s.tell(tx, st, types.StackStatusDeleteInProgress, userInitiated)
		case st.Operation != nil:
			return nil, invalid("Stack [%s] cannot be deleted while in status %s", st.ID, st.Status)
		case len(in.RetainResources) > 0 && st.Status != types.StackStatusDeleteFailed:
			return nil, invalid("Invalid operation on stack [%s]. RetainResources parameter can only be used on DELETE_FAILED stacks.", st.ID)
		case in.DeletionMode == types.DeletionModeForceDeleteStack && st.Status != types.StackStatusDeleteFailed:
			return nil, invalid("Invalid operation on stack [%s]. FORCE_DELETE_STACK DeletionMode can only be used on DELETE_FAILED stacks.", st.ID)
		}
		for _, id := range in.RetainResources {
			rec, found, err := s.resources.Get(tx, partKey(st.ID, id))
			if err != nil {
				return nil, err
			}
			if !found || rec.Status != types.ResourceStatusDeleteFailed {
				return nil, invalid("The specified resources to retain must be in a valid state. Do not specify resources that are not in DELETE_FAILED state, or resources that don't exist: %s", id)
			}
		}
		st.DeletionMode = string(in.DeletionMode)
		return &admission{st: *st, operation: operation{
			Kind: types.OperationTypeDeleteStack, Stage: stageDelete, Keep: in.RetainResources, Force: in.DeletionMode == types.DeletionModeForceDeleteStack,
			From: st.Status,
		}, status: types.StackStatusDeleteInProgress, reason: userInitiated}, nil
	})
	if err != nil {
		return nil, err
	}
	if cancel, found := s.cancels.Load(creating); found {
		cancel.(context.CancelFunc)()
	}
	return &cloudformation.DeleteStackOutput{}, nil
}

// ContinueUpdateRollback tries a rollback again that has failed.
func (s *Service) ContinueUpdateRollback(_ context.Context, in *cloudformation.ContinueUpdateRollbackInput) (*cloudformation.ContinueUpdateRollbackOutput, error) {
	_, _, err := s.begin(aws.ToString(in.StackName), in.ClientRequestToken, types.OperationTypeContinueRollback, func(tx *state.Tx, st *stack) (*admission, error) {
		switch {
		case st == nil:
			return nil, invalid("Stack [%s] does not exist", aws.ToString(in.StackName))
		case st.Status != types.StackStatusUpdateRollbackFailed:
			return nil, invalid("Stack:%s is in %s state and can not be continued to rollback.", st.ID, st.Status)
		}
		for _, id := range in.ResourcesToSkip {
			rec, found, err := s.resources.Get(tx, partKey(st.ID, id))
			if err != nil {
				return nil, err
			}
			if !found || rec.Status != types.ResourceStatusUpdateFailed {
				return nil, invalid("The resources to skip must be in UPDATE_FAILED state: [%s]", id)
			}
		}
		operation := operation{Kind: types.OperationTypeContinueRollback, Stage: stageRevert, Skip: in.ResourcesToSkip}
		return &admission{st: *st, operation: operation, status: types.StackStatusUpdateRollbackInProgress, reason: userInitiated}, nil
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.ContinueUpdateRollbackOutput{}, nil
}

// RollbackStack takes a stack back that was left as it failed.
func (s *Service) RollbackStack(_ context.Context, in *cloudformation.RollbackStackInput) (*cloudformation.RollbackStackOutput, error) {
	if err := s.refuseOptions(nil, nil, in.DeploymentConfig); err != nil {
		return nil, err
	}
	id, operationID, err := s.begin(aws.ToString(in.StackName), in.ClientRequestToken, types.OperationTypeRollback, func(_ *state.Tx, st *stack) (*admission, error) {
		if st == nil {
			return nil, invalid("Stack [%s] does not exist", aws.ToString(in.StackName))
		}
		operation := operation{Kind: types.OperationTypeRollback, Stage: stageRevert, RetainExceptOnCreate: aws.ToBool(in.RetainExceptOnCreate)}
		status := types.StackStatusUpdateRollbackInProgress
		switch {
		case st.Status != types.StackStatusUpdateFailed && st.Status != types.StackStatusCreateFailed:
			return nil, invalid("Stack:%s is in %s state and can not be rolled back.", st.ID, st.Status)
		case st.Stable == nil:
			operation.Stage, status = stageUndo, types.StackStatusRollbackInProgress
		}
		return &admission{st: *st, operation: operation, status: status, reason: userInitiated}, nil
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.RollbackStackOutput{StackId: aws.String(id), OperationId: aws.String(operationID)}, nil
}

// UpdateTerminationProtection says whether a stack may be deleted.
func (s *Service) UpdateTerminationProtection(_ context.Context, in *cloudformation.UpdateTerminationProtectionInput) (*cloudformation.UpdateTerminationProtectionOutput, error) {
	var id string
	err := s.o.Store.Update(func(tx *state.Tx) error {
		st, err := s.mustStack(tx, aws.ToString(in.StackName))
		if err != nil {
			return err
		}
		id, st.TerminationProtection = st.ID, aws.ToBool(in.EnableTerminationProtection)
		return s.stacks.Put(tx, st.ID, st)
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.UpdateTerminationProtectionOutput{StackId: aws.String(id)}, nil
}

// newStack returns a stack that is not on record yet.
func (s *Service) newStack(name string) stack {
	return stack{ID: fmt.Sprintf("arn:aws:cloudformation:%s:%s:stack/%s/%s", s.o.Region, s.o.Account, name, wire.NewID()), Name: name, Created: s.clock.now()}
}

// snapshot returns a stack that exists and its resources.
func (s *Service) snapshot(nameOrID string) (stack, map[string]record, error) {
	return s.snapshotOf(nameOrID, s.mustStack)
}

// snapshotOf is snapshot for a stack that find finds, or says in its words that it does
// not exist.
func (s *Service) snapshotOf(nameOrID string, find func(*state.Tx, string) (stack, error)) (st stack, records map[string]record, err error) {
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		if st, err = find(tx, nameOrID); err != nil {
			return err
		}
		records, err = s.records(tx, st.ID)
		return err
	})
	return st, records, err
}

func checkStackName(name string) error {
	if !nameOfStack().MatchString(name) {
		return invalid("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	return nil
}

// refuseOptions refuses what CloudFormation has and this service has not, by name.
func (s *Service) refuseOptions(given map[string]bool, rollback *types.RollbackConfiguration, config *types.DeploymentConfig) error {
	for _, name := range sortedKeys(given) {
		if given[name] {
			return wire.NotProvided("cloudformation", "the option "+name)
		}
	}
	if rollback != nil && (len(rollback.RollbackTriggers) > 0 || aws.ToInt32(rollback.MonitoringTimeInMinutes) > 0) {
		return wire.NotProvided("cloudformation", "the option RollbackConfiguration")
	}
	if config != nil && config.Mode != "" && config.Mode != types.DeploymentConfigModeStandard {
		return wire.NotProvided("cloudformation", "the deployment mode "+string(config.Mode))
	}
	return nil
}
