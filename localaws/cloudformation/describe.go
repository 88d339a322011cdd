package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// pageSize is how many entries of a list one answer has, as in CloudFormation.
const pageSize = 100

// page returns the entries that a token stands for, and the token of the next ones.
func page[T any](all []T, token *string) ([]T, *string, error) {
	from := 0
	if token != nil {
		var err error
		if from, err = strconv.Atoi(*token); err != nil || from < 0 || from > len(all) {
			return nil, nil, invalid("Invalid next token")
		}
	}
	to := min(len(all), from+pageSize)
	if to == len(all) {
		return all[from:to:to], nil, nil
	}
	return all[from:to:to], aws.String(strconv.Itoa(to)), nil
}

// text returns nil for "".
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// moment returns nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// DescribeStacks describes one stack, or all that are not deleted.
func (s *Service) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput) (*cloudformation.DescribeStacksOutput, error) {
	out := &cloudformation.DescribeStacksOutput{Stacks: []types.Stack{}}
	err := s.o.Store.View(func(tx *state.Tx) error {
		if in.StackName != nil {
			st, err := s.mustStack(tx, *in.StackName)
			out.Stacks = append(out.Stacks, describe(st))
			return err
		}
		return s.eachStack(tx, func(st stack) { out.Stacks = append(out.Stacks, describe(st)) })
	})
	if err != nil {
		return nil, err
	}
	out.Stacks, out.NextToken, err = page(out.Stacks, in.NextToken)
	return out, err
}

func describe(st stack) types.Stack {
	d := types.Stack{
		StackId: aws.String(st.ID), StackName: aws.String(st.Name), StackStatus: st.Status, StackStatusReason: text(st.Reason),
		CreationTime: aws.Time(st.Created), LastUpdatedTime: moment(st.Updated), DeletionTime: moment(st.Deleted),
		ChangeSetId: text(st.ChangeSetID), RoleARN: text(st.Deployed.RoleARN), NotificationARNs: orEmpty(st.Deployed.NotificationARNs),
		Capabilities: orEmpty(st.Deployed.Capabilities), Tags: orEmpty(st.Deployed.Tags), Parameters: describeParameters(st.Deployed.Parameters),
		DisableRollback: aws.Bool(st.DisableRollback), EnableTerminationProtection: aws.Bool(st.TerminationProtection),
		RollbackConfiguration: &types.RollbackConfiguration{RollbackTriggers: []types.RollbackTrigger{}},
		DriftInformation:      &types.StackDriftInformation{StackDriftStatus: st.drift(), LastCheckTimestamp: moment(st.DriftChecked)},
		DeletionMode:          types.DeletionMode(st.DeletionMode),
		Description:           text(st.Deployed.Description), LastOperations: lastOperations(st),
	}
	for _, o := range st.outputs() {
		d.Outputs = append(d.Outputs, types.Output{OutputKey: aws.String(o.Key), OutputValue: aws.String(o.Value), Description: text(o.Description), ExportName: text(o.Export)})
	}
	return d
}

// lastOperations returns what is being done to a stack, and what was done before.
func lastOperations(st stack) (found []types.OperationEntry) {
	for _, o := range []*operation{st.Operation, st.Last} {
		if o == nil {
			continue
		}
		for _, t := range o.tasks() {
			found = append(found, types.OperationEntry{OperationId: aws.String(t.ID), OperationType: t.Kind})
		}
	}
	return found
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func describeParameters(parameters []parameter) []types.Parameter {
	found := []types.Parameter{}
	for _, p := range parameters {
		d := types.Parameter{ParameterKey: aws.String(p.Key), ParameterValue: aws.String(p.Value), ResolvedValue: p.Resolved}
		if p.Hidden {
			d.ParameterValue = aws.String(hidden)
			if p.Resolved != nil {
				d.ResolvedValue = aws.String(hidden)
			}
		}
		found = append(found, d)
	}
	return found
}

// ListStacks lists stacks by their status, deleted ones too; the newest first.
func (s *Service) ListStacks(_ context.Context, in *cloudformation.ListStacksInput) (*cloudformation.ListStacksOutput, error) {
	out := &cloudformation.ListStacksOutput{StackSummaries: []types.StackSummary{}}
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, st := range s.stacks.All(tx, "", &err) {
			if len(in.StackStatusFilter) > 0 && !slices.Contains(in.StackStatusFilter, st.Status) {
				continue
			}
			out.StackSummaries = append(out.StackSummaries, types.StackSummary{
				StackId: aws.String(st.ID), StackName: aws.String(st.Name), StackStatus: st.Status, StackStatusReason: text(st.Reason), TemplateDescription: text(st.Deployed.Description),
				CreationTime: aws.Time(st.Created), LastUpdatedTime: moment(st.Updated), DeletionTime: moment(st.Deleted),
				DriftInformation: &types.StackDriftInformationSummary{StackDriftStatus: st.drift(), LastCheckTimestamp: moment(st.DriftChecked)}, LastOperations: lastOperations(st),
			})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.StackSummaries, func(a, b types.StackSummary) int { return b.CreationTime.Compare(*a.CreationTime) })
	out.StackSummaries, out.NextToken, err = page(out.StackSummaries, in.NextToken)
	return out, err
}

// DescribeStackEvents returns a stack's events, the newest first.
func (s *Service) DescribeStackEvents(_ context.Context, in *cloudformation.DescribeStackEventsInput) (*cloudformation.DescribeStackEventsOutput, error) {
	st, events, err := s.eventsOf(aws.ToString(in.StackName))
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackEventsOutput{StackEvents: []types.StackEvent{}}
	events, out.NextToken, err = page(events, in.NextToken)
	for _, e := range events {
		out.StackEvents = append(out.StackEvents, types.StackEvent{
			StackId: aws.String(st.ID), StackName: aws.String(st.Name), EventId: aws.String(e.ID), Timestamp: aws.Time(e.At), OperationId: text(e.Operation),
			LogicalResourceId: aws.String(e.LogicalID), PhysicalResourceId: aws.String(e.PhysicalID), ResourceType: aws.String(e.Type),
			ResourceStatus: e.Status, ResourceStatusReason: text(e.Reason), ResourceProperties: text(e.Properties), ClientRequestToken: text(e.Token),
		})
	}
	return out, err
}

// eventsOf returns a stack and its events, the newest first.
func (s *Service) eventsOf(nameOrID string) (st stack, events []event, err error) {
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		if st, err = s.namedStack(tx, nameOrID); err != nil {
			return err
		}
		for _, e := range s.events.All(tx, partKey(st.ID, ""), &err) {
			events = append(events, e)
		}
		return err
	})
	slices.Reverse(events)
	return st, events, err
}

// namedStack is mustStack in the words of the operations on events, and of updates.
func (s *Service) namedStack(tx *state.Tx, nameOrID string) (stack, error) {
	st, found, err := s.stackOf(tx, nameOrID)
	if err == nil && !found {
		err = invalid("Stack [%s] does not exist", nameOrID)
	}
	return st, err
}

// ListStackResources lists a stack's resources.
func (s *Service) ListStackResources(_ context.Context, in *cloudformation.ListStackResourcesInput) (*cloudformation.ListStackResourcesOutput, error) {
	_, records, err := s.snapshot(aws.ToString(in.StackName))
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackResourcesOutput{StackResourceSummaries: []types.StackResourceSummary{}}
	for _, rec := range sortedRecords(records) {
		out.StackResourceSummaries = append(out.StackResourceSummaries, types.StackResourceSummary{
			LogicalResourceId: aws.String(rec.LogicalID), PhysicalResourceId: text(rec.physicalID()), ResourceType: aws.String(rec.Type),
			LastUpdatedTimestamp: aws.Time(rec.At), ResourceStatus: rec.Status, ResourceStatusReason: text(rec.Reason),
			DriftInformation: &types.StackResourceDriftInformationSummary{StackResourceDriftStatus: rec.Drift.status(), LastCheckTimestamp: rec.Drift.checked()},
		})
	}
	out.StackResourceSummaries, out.NextToken, err = page(out.StackResourceSummaries, in.NextToken)
	return out, err
}

// DescribeStackResource describes one resource of a stack.
func (s *Service) DescribeStackResource(_ context.Context, in *cloudformation.DescribeStackResourceInput) (*cloudformation.DescribeStackResourceOutput, error) {
	st, records, err := s.snapshot(aws.ToString(in.StackName))
	if err != nil {
		return nil, err
	}
	rec, found := records[*in.LogicalResourceId]
	if !found {
		return nil, invalid("Resource %s does not exist for stack %s", *in.LogicalResourceId, st.Name)
	}
	d := &types.StackResourceDetail{
		StackId: aws.String(st.ID), StackName: aws.String(st.Name), LogicalResourceId: aws.String(rec.LogicalID), PhysicalResourceId: text(rec.physicalID()),
		ResourceType: aws.String(rec.Type), LastUpdatedTimestamp: aws.Time(rec.At), ResourceStatus: rec.Status, ResourceStatusReason: text(rec.Reason),
		DriftInformation: &types.StackResourceDriftInformation{StackResourceDriftStatus: rec.Drift.status(), LastCheckTimestamp: rec.Drift.checked()},
		Metadata:         aws.String("{}"),
	}
	if rec.Live != nil && rec.Live.Metadata != nil {
		b, err := json.Marshal(rec.Live.Metadata)
		if err != nil {
			return nil, err
		}
		d.Metadata = aws.String(string(b))
	}
	return &cloudformation.DescribeStackResourceOutput{StackResourceDetail: d}, nil
}

// DescribeStackResources describes a stack's resources, or the stack's that a physical
// resource belongs to.
func (s *Service) DescribeStackResources(_ context.Context, in *cloudformation.DescribeStackResourcesInput) (*cloudformation.DescribeStackResourcesOutput, error) {
	if (in.StackName == nil) == (in.PhysicalResourceId == nil) {
		return nil, invalid("Either stack name or physical resource id must be specified, but not both")
	}
	var st stack
	var records map[string]record
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		if in.StackName != nil {
			st, err = s.mustStack(tx, *in.StackName)
		} else {
			st, err = s.ownerOf(tx, *in.PhysicalResourceId)
		}
		if err != nil {
			return err
		}
		records, err = s.records(tx, st.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackResourcesOutput{StackResources: []types.StackResource{}}
	for _, rec := range sortedRecords(records) {
		if in.LogicalResourceId != nil && rec.LogicalID != *in.LogicalResourceId {
			continue
		}
		out.StackResources = append(out.StackResources, types.StackResource{
			StackId: aws.String(st.ID), StackName: aws.String(st.Name), LogicalResourceId: aws.String(rec.LogicalID), PhysicalResourceId: text(rec.physicalID()),
			ResourceType: aws.String(rec.Type), Timestamp: aws.Time(rec.At), ResourceStatus: rec.Status, ResourceStatusReason: text(rec.Reason),
			DriftInformation: &types.StackResourceDriftInformation{StackResourceDriftStatus: rec.Drift.status(), LastCheckTimestamp: rec.Drift.checked()},
		})
	}
	return out, nil
}

// ownerOf returns the stack that a physical resource belongs to.
func (s *Service) ownerOf(tx *state.Tx, physicalID string) (st stack, err error) {
	var unread error
	err = s.eachStack(tx, func(candidate stack) {
		for _, rec := range s.resources.All(tx, partKey(candidate.ID, ""), &unread) {
			if rec.Live != nil && rec.Live.PhysicalID == physicalID {
				st = candidate
			}
		}
	})
	if err = errors.Join(err, unread); err == nil && st.ID == "" {
		err = invalid("Stack for %s does not exist", physicalID)
	}
	return st, err
}
