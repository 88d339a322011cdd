package cloudformation

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// DescribeEvents returns the events of a stack's operations, of one operation, or of the
// creation of a change set; the newest first.
func (s *Service) DescribeEvents(_ context.Context, in *cloudformation.DescribeEventsInput) (*cloudformation.DescribeEventsOutput, error) {
	out := &cloudformation.DescribeEventsOutput{OperationEvents: []types.OperationEvent{}}
	found, err := s.operationEvents(in)
	if err != nil {
		return nil, err
	}
	if in.Filters != nil && aws.ToBool(in.Filters.FailedEvents) {
		found = slices.DeleteFunc(found, func(e types.OperationEvent) bool { return !tellsFailure(e) })
	}
	if found, out.NextToken, err = page(found, in.NextToken); err != nil {
		return nil, err
	}
	out.OperationEvents = append(out.OperationEvents, found...)
	return out, nil
}

// tellsFailure reports whether an event is of what failed, and not of the operation that
// failed for it.
func tellsFailure(e types.OperationEvent) bool {
	switch e.EventType {
	case types.EventTypeProvisioningError, types.EventTypeValidationError:
		return true
	}
	return strings.HasSuffix(string(e.ResourceStatus), "_FAILED")
}

func (s *Service) operationEvents(in *cloudformation.DescribeEventsInput) (found []types.OperationEvent, err error) {
	err = s.o.Store.View(func(tx *state.Tx) error {
		switch {
		case in.ChangeSetName != nil:
			c, _, err := s.changeSetOf(tx, *in.ChangeSetName, in.StackName)
			found = c.events()
			return err
		case in.StackName != nil:
			st, err := s.namedStack(tx, *in.StackName)
			if err != nil {
				return err
			}
			found, err = s.eventsUnder(tx, st.ID, in.OperationId)
			return err
		case in.OperationId != nil:
			found, err = s.eventsUnder(tx, "", in.OperationId)
			return err
		}
		return wire.Errorf("ValidationError", "One of ChangeSetName, OperationId or StackName must be specified.")
	})
	return found, err
}

// eventsUnder returns the events of a stack, or of all where stackID is "", that are of
// an operation, or of any where that is nil. Those of change sets come last.
func (s *Service) eventsUnder(tx *state.Tx, stackID string, operation *string) (found []types.OperationEvent, err error) {
	prefix := ""
	if stackID != "" {
		prefix = partKey(stackID, "")
	}
	for key, e := range s.events.All(tx, prefix, &err) {
		if operation == nil || e.Operation == *operation {
			id, _, _ := strings.Cut(key, "\x00")
			found = append(found, operationEvent(id, e))
		}
	}
	if err != nil {
		return nil, err
	}
	slices.Reverse(found)
	for _, c := range s.changeSets.All(tx, prefix, &err) {
		if operation != nil && c.Operation == *operation {
			found = append(found, c.events()...)
		}
	}
	return found, err
}

// operationEvent is an event of a stack in the words of DescribeEvents.
func operationEvent(stackID string, e event) types.OperationEvent {
	o := types.OperationEvent{
		StackId: aws.String(stackID), EventId: aws.String(e.ID), EventType: types.EventTypeProgressEvent, Timestamp: aws.Time(e.At), OperationId: text(e.Operation), OperationType: e.Kind,
		LogicalResourceId: aws.String(e.LogicalID), PhysicalResourceId: text(e.PhysicalID), ResourceType: aws.String(e.Type),
		ResourceStatus: e.Status, ResourceStatusReason: text(e.Reason), ResourceProperties: text(e.Properties), ClientRequestToken: text(e.Token),
	}
	failed := strings.HasSuffix(string(e.Status), "_FAILED")
	switch {
	case e.Type != stackType && failed:
		o.EventType = types.EventTypeProvisioningError
	case e.Type == stackType:
		o.EventType, o.OperationStatus = types.EventTypeStackEvent, types.BeaconStackOperationStatusInProgress
		switch {
		case failed:
			o.OperationStatus = types.BeaconStackOperationStatusFailed
		case strings.HasSuffix(string(e.Status), "_COMPLETE"):
			o.OperationStatus = types.BeaconStackOperationStatusSucceeded
		}
	}
	return o
}

// events returns what DescribeEvents tells of a change set's creation.
func (c changeSet) events() []types.OperationEvent {
	if c.ID == "" {
		return nil
	}
	whole := types.OperationEvent{
		StackId: aws.String(c.StackID), EventId: aws.String(c.Operation), EventType: types.EventTypeStackEvent, Timestamp: aws.Time(c.Ended), StartTime: aws.Time(c.Created), EndTime: aws.Time(c.Ended),
		OperationId: aws.String(c.Operation), OperationType: types.OperationTypeCreateChangeset, OperationStatus: types.BeaconStackOperationStatusSucceeded, ClientRequestToken: text(c.Token),
	}
	if c.Status != types.ChangeSetStatusFailed {
		return []types.OperationEvent{whole}
	}
	whole.OperationStatus = types.BeaconStackOperationStatusFailed
	if c.Finding == nil {
		return []types.OperationEvent{whole}
	}
	whole.DetailedStatus = types.DetailedStatusValidationFailed
	return []types.OperationEvent{whole, {
		StackId: whole.StackId, EventId: aws.String(c.Operation + "-" + c.Finding.LogicalID), EventType: types.EventTypeValidationError, Timestamp: whole.Timestamp,
		OperationId: whole.OperationId, OperationType: whole.OperationType, LogicalResourceId: aws.String(c.Finding.LogicalID), ResourceType: aws.String(c.Finding.Type),
		ValidationFailureMode: types.HookFailureModeFail, ValidationName: aws.String("PROPERTY_VALIDATION"), ValidationStatus: types.ValidationStatusFailed,
		ValidationStatusReason: aws.String(c.Reason), ValidationPath: aws.String("/Resources/" + c.Finding.LogicalID + "/Properties"),
	}}
}
