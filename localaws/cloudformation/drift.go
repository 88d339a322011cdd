package cloudformation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// drift is how a resource was found beside its template.
type drift struct {
	Status      types.StackResourceDriftStatus
	At          time.Time
	Reason      string                     `json:",omitempty"` // why it could not be found out
	Expected    string                     `json:",omitempty"` // JSON, as Actual
	Actual      string                     `json:",omitempty"`
	Differences []types.PropertyDifference `json:",omitempty"`
}

func (d *drift) status() types.StackResourceDriftStatus {
	if d == nil {
		return types.StackResourceDriftStatusNotChecked
	}
	return d.Status
}

func (d *drift) checked() *time.Time {
	if d == nil {
		return nil
	}
	return &d.At
}

// drift returns the stack's status of drift.
func (st *stack) drift() types.StackDriftStatus {
	if st.Drift == "" {
		return types.StackDriftStatusNotChecked
	}
	return st.Drift
}

// detection is one detection of a stack's drift. It is complete when it is on record.
type detection struct {
	ID      string
	StackID string
	At      time.Time
	Status  types.StackDriftDetectionStatus
	Reason  string `json:",omitempty"`
	Drift   types.StackDriftStatus
	Drifted int32 // resources
}

// DetectStackDrift compares a stack's resources with what the template says of them. It
// is complete when the answer comes.
func (s *Service) DetectStackDrift(ctx context.Context, in *cloudformation.DetectStackDriftInput) (*cloudformation.DetectStackDriftOutput, error) {
	st, records, err := s.detectable(*in.StackName)
	if err != nil {
		return nil, err
	}
	found := map[string]drift{}
	for _, id := range sortedKeys(records) {
		if len(in.LogicalResourceIds) > 0 && !slices.Contains(in.LogicalResourceIds, id) {
			continue
		}
		if d, detects := s.detect(ctx, &st, records[id]); detects {
			found[id] = d
		}
	}
	made := detection{ID: wire.NewID(), StackID: st.ID, At: s.clock.now(), Status: types.StackDriftDetectionStatusDetectionComplete, Drift: types.StackDriftStatusInSync}
	var unknown []string
	for _, id := range sortedKeys(found) {
		switch found[id].Status {
		case types.StackResourceDriftStatusUnknown:
			unknown = append(unknown, id)
		case types.StackResourceDriftStatusModified, types.StackResourceDriftStatusDeleted:
			made.Drifted++
		}
	}
	if len(unknown) > 0 {
		made.Status, made.Drift = types.StackDriftDetectionStatusDetectionFailed, types.StackDriftStatusUnknown
		made.Reason = fmt.Sprintf("Failed to detect drift on resources [%s]: %s", joined(unknown), found[unknown[0]].Reason)
	}
	if made.Drifted > 0 {
		made.Drift = types.StackDriftStatusDrifted
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		if err := s.putDrifts(tx, st.ID, records, found); err != nil {
			return err
		}
		now, exists, err := s.stacks.Get(tx, st.ID)
		if err != nil || !exists {
			return err
		}
		now.Drift, now.DriftChecked = made.Drift, made.At
		if err := s.stacks.Put(tx, now.ID, now); err != nil {
			return err
		}
		return s.detections.Put(tx, eventKey(st.ID, made.At), made)
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.DetectStackDriftOutput{StackDriftDetectionId: aws.String(made.ID)}, nil
}

// detectable returns a stack that is at rest, and its resources.
func (s *Service) detectable(nameOrID string) (st stack, records map[string]record, err error) {
	st, records, err = s.snapshot(nameOrID)
	if err == nil && !settled(st.Status) && st.Status != types.StackStatusUpdateRollbackFailed {
		err = invalid("Drift detection cannot be performed on stack [%s] while it is in %s state.", st.ID, st.Status)
	}
	return st, records, err
}

// putDrifts writes what was found of resources that have not been changed since.
func (s *Service) putDrifts(tx *state.Tx, stackID string, seen map[string]record, found map[string]drift) error {
	for id, d := range found {
		rec, exists, err := s.resources.Get(tx, partKey(stackID, id))
		if err != nil {
			return err
		}
		if !exists || !rec.At.Equal(seen[id].At) {
			continue
		}
		rec.Drift = &d
		if err := s.putRecord(tx, stackID, rec); err != nil {
			return err
		}
	}
	return nil
}

// detect compares a resource with what it was last deployed with. The second result is
// false for a type whose drift is not detected.
func (s *Service) detect(ctx context.Context, st *stack, rec record) (d drift, detects bool) {
	kind := s.typeFor(rec.Type)
	if kind.Read == nil || rec.Live == nil {
		return d, false
	}
	d.At = s.clock.now()
	request := (&run{s: s, st: *st}).request(rec.LogicalID, *rec.Live, wire.NewID(), false)
	request.AWS = s.o.AWS
	actual, err := kind.Read(ctx, request)
	switch {
	case err != nil && resource.IsMissing(err):
		d.Status = types.StackResourceDriftStatusDeleted
		actual = map[string]any{}
	case err != nil:
		d.Status, d.Reason = types.StackResourceDriftStatusUnknown, err.Error()
		return d, true
	}
	expected, present := values{}, values{}
	for name, value := range rec.Live.given() {
		if slices.Contains(kind.Unread, name) {
			continue
		}
		expected[name] = value
		if value, has := actual[name]; has {
			present[name] = value
		}
	}
	c := comparison{}
	c.hidden(kind.Properties, rec.Live, expected, present)
	if d.Status == "" {
		c.object("", resource.Property{Kind: resource.Object, Members: kind.Properties}, expected, present)
		d.Differences, d.Status = c.differences, types.StackResourceDriftStatusInSync
		if len(d.Differences) > 0 {
			d.Status = types.StackResourceDriftStatusModified
		}
		d.Actual = shown(present)
	}
	d.Expected = shown(expected)
	return d, true
}

// shown returns a value as the API shows it: a scalar's text, or JSON.
func shown(value any) string {
	switch v := texts(value).(type) {
	case nil:
		return "null"
	case string:
		return v
	default:
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // values come from JSON
		}
		return string(b)
	}
}

// comparison collects in what a value is not as it is expected to be.
type comparison struct{ differences []types.PropertyDifference }

func (c *comparison) add(path string, kind types.DifferenceType, expected, actual any) {
	c.differences = append(c.differences, types.PropertyDifference{
		PropertyPath: aws.String(path), DifferenceType: kind, ExpectedValue: aws.String(shown(expected)), ActualValue: aws.String(shown(actual)),
	})
}

// object compares the members that are expected. What is there beside them counts only in
// a map, such as the variables of an environment: a template has all of one.
func (c *comparison) object(path string, property resource.Property, expected, actual map[string]any) {
	for _, name := range sortedKeys(expected) {
		member := property.Members[name]
		if property.Of != nil {
			member = *property.Of
		}
		value, has := actual[name]
		if !has {
			c.add(path+"/"+name, types.DifferenceTypeRemove, expected[name], nil)
			continue
		}
		c.value(path+"/"+name, member, expected[name], value)
	}
	if property.Kind != resource.Map {
		return
	}
	for _, name := range sortedKeys(actual) {
		if _, has := expected[name]; !has {
			c.add(path+"/"+name, types.DifferenceTypeAdd, nil, actual[name])
		}
	}
}

// hidden compares the properties of which something is not to be shown. They are equal
// from then on, and are as they are shown.
func (c *comparison) hidden(properties map[string]resource.Property, live *deployed, expected, actual values) {
	for _, name := range sortedKeys(live.Shown) {
		value, compared := expected[name]
		if !compared || same(live.Shown[name], live.Properties[name]) {
			continue
		}
		of := comparison{}
		of.value("", properties[name], value, actual[name])
		if len(of.differences) > 0 {
			c.add("/"+name, types.DifferenceTypeNotEqual, live.Shown[name], hidden)
		}
		expected[name], actual[name] = live.Shown[name], live.Shown[name]
	}
}

func (c *comparison) value(path string, property resource.Property, expected, actual any) {
	if property.Kind == resource.Document {
		expected, actual = document(expected), document(actual)
	}
	object, isObject := asMap(expected)
	other, bothAre := asMap(actual)
	list, isList := expected.([]any)
	elements, bothLists := actual.([]any)
	switch {
	case same(expected, actual):
	case isObject && bothAre && property.Kind != resource.Document:
		c.object(path, property, object, other)
	case isList && bothLists && property.Of != nil:
		c.list(path, *property.Of, list, elements)
	default:
		c.add(path, types.DifferenceTypeNotEqual, expected, actual)
	}
}

// list compares the elements of a list, whose order does not matter.
func (c *comparison) list(path string, of resource.Property, expected, actual []any) {
	left := slices.Clone(actual)
	for i, element := range expected {
		if at := slices.IndexFunc(left, func(other any) bool { return same(element, other) }); at >= 0 {
			left = slices.Delete(left, at, at+1)
			continue
		}
		c.add(fmt.Sprintf("%s/%d", path, i), types.DifferenceTypeRemove, element, nil)
	}
	for i, element := range left {
		c.add(fmt.Sprintf("%s/%d", path, len(expected)+i), types.DifferenceTypeAdd, nil, element)
	}
}

func asMap(value any) (map[string]any, bool) {
	if v, is := value.(values); is {
		return v, true
	}
	object, is := value.(map[string]any)
	return object, is
}

// document returns what a document that is given as a text says.
func document(value any) any {
	text, is := value.(string)
	if !is {
		return value
	}
	var parsed any
	if err := json.Unmarshal([]byte(text), &parsed); err != nil {
		return value
	}
	return parsed
}

// DescribeStackDriftDetectionStatus returns how a detection has ended.
func (s *Service) DescribeStackDriftDetectionStatus(_ context.Context, in *cloudformation.DescribeStackDriftDetectionStatusInput) (*cloudformation.DescribeStackDriftDetectionStatusOutput, error) {
	var found *detection
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, d := range s.detections.All(tx, "", &err) {
			if d.ID == *in.StackDriftDetectionId {
				found = &d
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, invalid("Drift detection with id %s does not exist", *in.StackDriftDetectionId)
	}
	return &cloudformation.DescribeStackDriftDetectionStatusOutput{
		StackDriftDetectionId: aws.String(found.ID), StackId: aws.String(found.StackID), Timestamp: aws.Time(found.At), DetectionStatus: found.Status,
		DetectionStatusReason: text(found.Reason), StackDriftStatus: found.Drift, DriftedStackResourceCount: aws.Int32(found.Drifted),
	}, nil
}

// DetectStackResourceDrift compares one resource with what the template says of it.
func (s *Service) DetectStackResourceDrift(ctx context.Context, in *cloudformation.DetectStackResourceDriftInput) (*cloudformation.DetectStackResourceDriftOutput, error) {
	st, records, err := s.detectable(*in.StackName)
	if err != nil {
		return nil, err
	}
	rec, exists := records[*in.LogicalResourceId]
	if !exists {
		return nil, invalid("Resource %s does not exist for stack %s", *in.LogicalResourceId, st.Name)
	}
	d, detects := s.detect(ctx, &st, rec)
	if !detects {
		return nil, invalid("Drift detection is not supported for the resource type %s of %s.", rec.Type, rec.LogicalID)
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		return s.putDrifts(tx, st.ID, records, map[string]drift{rec.LogicalID: d})
	})
	if err != nil {
		return nil, err
	}
	rec.Drift = &d
	described := describeDrift(st, rec)
	return &cloudformation.DetectStackResourceDriftOutput{StackResourceDrift: &described}, nil
}

func describeDrift(st stack, rec record) types.StackResourceDrift {
	d := rec.Drift
	return types.StackResourceDrift{
		StackId: aws.String(st.ID), LogicalResourceId: aws.String(rec.LogicalID), PhysicalResourceId: text(rec.physicalID()), ResourceType: aws.String(rec.Type),
		StackResourceDriftStatus: d.Status, DriftStatusReason: text(d.Reason), Timestamp: aws.Time(d.At),
		ExpectedProperties: text(d.Expected), ActualProperties: text(d.Actual), PropertyDifferences: orEmpty(d.Differences),
	}
}

// DescribeStackResourceDrifts returns what was last detected of a stack's resources.
func (s *Service) DescribeStackResourceDrifts(_ context.Context, in *cloudformation.DescribeStackResourceDriftsInput) (*cloudformation.DescribeStackResourceDriftsOutput, error) {
	st, records, err := s.snapshot(*in.StackName)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackResourceDriftsOutput{StackResourceDrifts: []types.StackResourceDrift{}}
	for _, rec := range sortedRecords(records) {
		if rec.Drift == nil || len(in.StackResourceDriftStatusFilters) > 0 && !slices.Contains(in.StackResourceDriftStatusFilters, rec.Drift.Status) {
			continue
		}
		out.StackResourceDrifts = append(out.StackResourceDrifts, describeDrift(st, rec))
	}
	out.StackResourceDrifts, out.NextToken, err = page(out.StackResourceDrifts, in.NextToken)
	return out, err
}
