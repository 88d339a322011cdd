package lambda

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// mappings holds every event-source mapping, by its id.
var mappings = state.Table[mapping]{Name: "lambda.mappings"}

// mapping is an event-source mapping: a function that is invoked with a queue's
// messages.
type mapping struct {
	ID          string
	Source      string // the queue's ARN
	Function    string
	Qualifier   string
	Enabled     bool
	Batch       int32 // messages an invocation at most
	Window      int32 // seconds to wait for a batch to fill
	ReportItems bool  // the function says which messages of a batch it failed on
	Modified    time.Time
	LastResult  string
	Tags        map[string]string
}

func (m mapping) reference() reference { return reference{m.Function, m.Qualifier} }

// The bounds of a mapping to a queue (Lambda API reference, CreateEventSourceMapping).
const (
	defaultBatch         = 10
	largestBatch         = 10000
	largestInstantBatch  = 10 // without a window
	longestWindow        = 300
	neverPolled          = "No records processed"
	mappingUserInitiated = "USER_INITIATED"
)

func (s *Service) createMapping(_ context.Context, r *wire.Request, _ map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.CreateEventSourceMappingInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := wire.Check(in, "FunctionName"); err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{
		"AmazonManagedKafkaEventSourceConfig": in.AmazonManagedKafkaEventSourceConfig != nil, "BisectBatchOnFunctionError": in.BisectBatchOnFunctionError != nil,
		"DestinationConfig": in.DestinationConfig != nil, "DocumentDBEventSourceConfig": in.DocumentDBEventSourceConfig != nil,
		"FilterCriteria": in.FilterCriteria != nil, "KMSKeyArn": in.KMSKeyArn != nil, "LoggingConfig": in.LoggingConfig != nil,
		"MaximumRecordAgeInSeconds": in.MaximumRecordAgeInSeconds != nil, "MaximumRetryAttempts": in.MaximumRetryAttempts != nil,
		"MetricsConfig": in.MetricsConfig != nil, "ParallelizationFactor": in.ParallelizationFactor != nil, "ProvisionedPollerConfig": in.ProvisionedPollerConfig != nil,
		"Queues": len(in.Queues) > 0, "ScalingConfig": in.ScalingConfig != nil, "SelfManagedEventSource": in.SelfManagedEventSource != nil,
		"SelfManagedKafkaEventSourceConfig": in.SelfManagedKafkaEventSourceConfig != nil, "SourceAccessConfigurations": len(in.SourceAccessConfigurations) > 0,
		"StartingPosition": in.StartingPosition != "", "StartingPositionTimestamp": in.StartingPositionTimestamp != nil,
		"Topics": len(in.Topics) > 0, "TumblingWindowInSeconds": in.TumblingWindowInSeconds != nil,
	}); err != nil {
		return wire.Answer{}, err
	}
	source := aws.ToString(in.EventSourceArn)
	switch parts := strings.Split(source, ":"); {
	case source == "":
		return wire.Answer{}, invalid("Unrecognized event source.")
	case len(parts) < 6 || parts[0] != "arn":
		return wire.Answer{}, constraint(source, "eventSourceArn", "be an ARN")
	case parts[2] != "sqs":
		return wire.Answer{}, notProvided("An event-source mapping to " + parts[2])
	}
	ref, err := s.parseReference(*in.FunctionName, "")
	if err != nil {
		return wire.Answer{}, err
	}
	m := mapping{
		ID: wire.NewID(), Source: source, Function: ref.name, Qualifier: ref.qualifier, Enabled: in.Enabled == nil || *in.Enabled,
		Batch: defaultBatch, Modified: time.Now().UTC().Truncate(time.Millisecond), LastResult: neverPolled, Tags: in.Tags,
	}
	if err := m.set(in.BatchSize, in.MaximumBatchingWindowInSeconds, in.FunctionResponseTypes); err != nil {
		return wire.Answer{}, err
	}
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := s.find(tx, ref); err != nil {
			return err
		}
		var unread error
		for _, other := range mappings.All(tx, "", &unread) {
			if other.Source == m.Source && other.reference() == m.reference() {
				return conflict("An event source mapping with SQS arn (\" %s \") and function (\" %s \") already exists. Please update or delete the existing mapping with UUID %s", m.Source, m.Function, other.ID)
			}
		}
		return errors.Join(unread, mappings.Put(tx, m.ID, m))
	}); err != nil {
		return wire.Answer{}, err
	}
	if err := s.follow(m.ID); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusAccepted, s.shownMapping(m, "Creating"))
}

// set takes over what a request says of how messages are handed over.
func (m *mapping) set(batch, window *int32, responses []types.FunctionResponseType) error {
	if batch != nil {
		m.Batch = *batch
	}
	if window != nil {
		m.Window = *window
	}
	if responses != nil {
		m.ReportItems = len(responses) > 0
	}
	switch {
	case m.Batch < 1 || m.Batch > largestBatch:
		return constraint(m.Batch, "batchSize", fmt.Sprintf("have value from 1 to %d", largestBatch))
	case m.Window < 0 || m.Window > longestWindow:
		return constraint(m.Window, "maximumBatchingWindowInSeconds", fmt.Sprintf("have value from 0 to %d", longestWindow))
	case m.Batch > largestInstantBatch && m.Window == 0:
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than %d", largestInstantBatch)
	}
	return nil
}

// state is the mapping's state while nothing is being changed.
func (m mapping) state() string {
	if m.Enabled {
		return "Enabled"
	}
	return "Disabled"
}

func (s *Service) shownMapping(m mapping, now string) *types.EventSourceMappingConfiguration {
	arn, function := "arn:aws:lambda:"+s.o.Region+":"+s.o.Account+":event-source-mapping:"+m.ID, s.arn(m.reference())
	c := &types.EventSourceMappingConfiguration{
		UUID: &m.ID, EventSourceMappingArn: &arn, EventSourceArn: &m.Source, FunctionArn: &function, BatchSize: &m.Batch,
		MaximumBatchingWindowInSeconds: &m.Window, LastModified: &m.Modified, LastProcessingResult: &m.LastResult, State: &now,
		StateTransitionReason: aws.String(mappingUserInitiated),
	}
	if m.ReportItems {
		c.FunctionResponseTypes = []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures}
	}
	return c
}

func (s *Service) mappingOf(path map[string]string) (m mapping, err error) {
	err = s.o.Store.View(func(tx *state.Tx) error {
		m, err = findMapping(tx, path["UUID"])
		return err
	})
	return m, err
}

func findMapping(tx *state.Tx, id string) (mapping, error) {
	m, found, err := mappings.Get(tx, id)
	if err == nil && !found {
		err = wire.Errorf("ResourceNotFoundException", "The resource you requested does not exist. (event source mapping %s)", id).WithStatus(http.StatusNotFound)
	}
	return m, err
}

func (s *Service) getMapping(_ context.Context, _ *wire.Request, path map[string]string) (wire.Answer, error) {
	m, err := s.mappingOf(path)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.shownMapping(m, m.state()))
}

func (s *Service) listMappings(_ context.Context, r *wire.Request, _ map[string]string) (wire.Answer, error) {
	query := r.HTTP.URL.Query()
	source, name := query.Get("EventSourceArn"), query.Get("FunctionName")
	var want reference
	if name != "" {
		var err error
		if want, err = s.parseReference(name, ""); err != nil {
			return wire.Answer{}, err
		}
	}
	out := &sdk.ListEventSourceMappingsOutput{EventSourceMappings: []types.EventSourceMappingConfiguration{}}
	if err := s.o.Store.View(func(tx *state.Tx) error {
		var unread error
		chosen := func(yield func(string, mapping) bool) {
			for id, m := range mappings.All(tx, "", &unread) {
				if (source == "" || m.Source == source) && (name == "" || m.reference() == want) && !yield(id, m) {
					return
				}
			}
		}
		page, next, err := paged(query, chosen)
		for _, m := range page {
			out.EventSourceMappings = append(out.EventSourceMappings, *s.shownMapping(m, m.state()))
		}
		out.NextMarker = next
		return errors.Join(err, unread)
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, out)
}

func (s *Service) updateMapping(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.UpdateEventSourceMappingInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := wire.Check(in); err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{
		"AmazonManagedKafkaEventSourceConfig": in.AmazonManagedKafkaEventSourceConfig != nil, "BisectBatchOnFunctionError": in.BisectBatchOnFunctionError != nil,
		"DestinationConfig": in.DestinationConfig != nil, "DocumentDBEventSourceConfig": in.DocumentDBEventSourceConfig != nil,
		"FilterCriteria": in.FilterCriteria != nil, "KMSKeyArn": aws.ToString(in.KMSKeyArn) != "", "LoggingConfig": in.LoggingConfig != nil,
		"MaximumRecordAgeInSeconds": in.MaximumRecordAgeInSeconds != nil, "MaximumRetryAttempts": in.MaximumRetryAttempts != nil,
		"MetricsConfig": in.MetricsConfig != nil, "ParallelizationFactor": in.ParallelizationFactor != nil, "ProvisionedPollerConfig": in.ProvisionedPollerConfig != nil,
		"ScalingConfig": in.ScalingConfig != nil, "SelfManagedKafkaEventSourceConfig": in.SelfManagedKafkaEventSourceConfig != nil,
		"SourceAccessConfigurations": len(in.SourceAccessConfigurations) > 0, "TumblingWindowInSeconds": in.TumblingWindowInSeconds != nil,
	}); err != nil {
		return wire.Answer{}, err
	}
	var m mapping
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if m, err = findMapping(tx, path["UUID"]); err != nil {
			return err
		}
		if in.FunctionName != nil {
			ref, err := s.parseReference(*in.FunctionName, "")
			if err != nil {
				return err
			}
			if _, err := s.find(tx, ref); err != nil {
				return err
			}
			m.Function, m.Qualifier = ref.name, ref.qualifier
		}
		if in.Enabled != nil {
			m.Enabled = *in.Enabled
		}
		if err := m.set(in.BatchSize, in.MaximumBatchingWindowInSeconds, in.FunctionResponseTypes); err != nil {
			return err
		}
		m.Modified = time.Now().UTC().Truncate(time.Millisecond)
		return mappings.Put(tx, m.ID, m)
	}); err != nil {
		return wire.Answer{}, err
	}
	if err := s.follow(m.ID); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusAccepted, s.shownMapping(m, "Updating"))
}

func (s *Service) deleteMapping(_ context.Context, _ *wire.Request, path map[string]string) (wire.Answer, error) {
	var m mapping
	if err := s.o.Store.Update(func(tx *state.Tx) (err error) {
		if m, err = findMapping(tx, path["UUID"]); err != nil {
			return err
		}
		return mappings.Delete(tx, m.ID)
	}); err != nil {
		return wire.Answer{}, err
	}
	if err := s.follow(m.ID); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusAccepted, s.shownMapping(m, "Deleting"))
}
