package lambda

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// eventConfigs holds how asynchronous invocations are retried, by subject.
var eventConfigs = state.Table[eventConfig]{Name: "lambda.eventconfigs"}

// eventConfig is how the asynchronous invocations of a function, a version or an
// alias are retried, and who learns what came of them.
type eventConfig struct {
	Retries   *int32 // nil for Lambda's own two
	Age       *int32 // seconds; nil for Lambda's own six hours
	OnSuccess string // ARN; "" for nobody
	OnFailure string // likewise
	Modified  time.Time
}

// subject is the key of what belongs to a function, or to a version or an alias of
// it: all of a function's begin with its name and ":".
func subject(ref reference) string { return ref.name + ":" + ref.qualifier }

// forget removes what belongs to a function that is being deleted.
func forget(tx *state.Tx, name string) error {
	if err := forgetAll(tx, policies, name); err != nil {
		return err
	}
	if err := forgetAll(tx, urls, name); err != nil {
		return err
	}
	return forgetAll(tx, eventConfigs, name)
}

func forgetAll[T any](tx *state.Tx, table state.Table[T], name string) (err error) {
	var keys []string
	for key := range table.All(tx, name+":", &err) {
		keys = append(keys, key)
	}
	for _, key := range keys {
		if err := table.Delete(tx, key); err != nil {
			return err
		}
	}
	return err
}

// forgetOne removes what belongs to a version or an alias that is being deleted: another
// one under its name begins without.
func forgetOne(tx *state.Tx, ref reference) error {
	if err := policies.Delete(tx, subject(ref)); err != nil {
		return err
	}
	if err := urls.Delete(tx, subject(ref)); err != nil {
		return err
	}
	return eventConfigs.Delete(tx, subject(ref))
}

// eventConfig returns the configuration of a function's asynchronous invocations; the
// zero one where there is none.
func (s *Service) eventConfig(ref reference) (c eventConfig, err error) {
	if ref.qualifier == latest {
		ref.qualifier = ""
	}
	err = s.o.Store.View(func(tx *state.Tx) error {
		c, _, err = eventConfigs.Get(tx, subject(ref))
		return err
	})
	return c, err
}

// checkSink checks that a destination is of a kind that is provided: a queue or,
// where that is possible, a function.
func checkSink(arn string, functions bool) error {
	parts := strings.SplitN(arn, ":", 6)
	switch {
	case arn == "":
		return nil
	case len(parts) != 6 || parts[0] != "arn":
		return invalid("The provided destination config DestinationConfig(onSuccess=null, onFailure=null) is invalid: %q is no ARN.", arn)
	case parts[2] == "sqs", parts[2] == "lambda" && functions:
		return nil
	}
	return notProvided("A destination in " + parts[2])
}

func (s *Service) putEventConfig(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.PutFunctionEventInvokeConfigInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	c := eventConfig{Retries: in.MaximumRetryAttempts, Age: in.MaximumEventAgeInSeconds, Modified: time.Now().UTC().Truncate(time.Second)}
	if d := in.DestinationConfig; d != nil {
		if d.OnSuccess != nil && d.OnSuccess.Destination != nil {
			c.OnSuccess = *d.OnSuccess.Destination
		}
		if d.OnFailure != nil && d.OnFailure.Destination != nil {
			c.OnFailure = *d.OnFailure.Destination
		}
	}
	const mostRetries, youngest = 2, 60
	switch {
	case c.Retries != nil && (*c.Retries < 0 || *c.Retries > mostRetries):
		return wire.Answer{}, constraint(*c.Retries, "maximumRetryAttempts", fmt.Sprintf("have value less than or equal to %d", mostRetries))
	case c.Age != nil && (*c.Age < youngest || time.Duration(*c.Age)*time.Second > longestAge):
		return wire.Answer{}, constraint(*c.Age, "maximumEventAgeInSeconds", fmt.Sprintf("have value from %d to %.0f", youngest, longestAge.Seconds()))
	}
	for _, arn := range []string{c.OnSuccess, c.OnFailure} {
		if err := checkSink(arn, true); err != nil {
			return wire.Answer{}, err
		}
	}
	ref, err := s.subjectOf(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := s.find(tx, ref); err != nil {
			return err
		}
		return eventConfigs.Put(tx, subject(ref), c)
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.shownEventConfig(ref, c))
}

// subjectOf reads which function, version or alias a request about something that
// belongs to one is for; what is not published is the function itself.
func (s *Service) subjectOf(r *wire.Request, path map[string]string) (reference, error) {
	ref, err := s.parseReference(path["FunctionName"], r.HTTP.URL.Query().Get("Qualifier"))
	if ref.qualifier == latest {
		ref.qualifier = ""
	}
	return ref, err
}

func (s *Service) shownEventConfig(ref reference, c eventConfig) *sdk.GetFunctionEventInvokeConfigOutput {
	if ref.qualifier == "" {
		ref.qualifier = latest
	}
	arn := s.arn(ref)
	return &sdk.GetFunctionEventInvokeConfigOutput{
		FunctionArn: &arn, LastModified: &c.Modified, MaximumRetryAttempts: c.Retries, MaximumEventAgeInSeconds: c.Age,
		DestinationConfig: &types.DestinationConfig{
			OnSuccess: &types.OnSuccess{Destination: notEmpty(c.OnSuccess)}, OnFailure: &types.OnFailure{Destination: notEmpty(c.OnFailure)},
		},
	}
}

func (s *Service) getEventConfig(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.subjectOf(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	var c eventConfig
	if err := s.o.Store.View(func(tx *state.Tx) error {
		c, err = belonging(tx, s, eventConfigs, ref, "The function %s doesn't have an EventInvokeConfig")
		return err
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.shownEventConfig(ref, c))
}

func (s *Service) deleteEventConfig(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.subjectOf(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Status: http.StatusNoContent}, s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := belonging(tx, s, eventConfigs, ref, "The function %s doesn't have an EventInvokeConfig"); err != nil {
			return err
		}
		return eventConfigs.Delete(tx, subject(ref))
	})
}

// belonging returns what a table has of a function, a version or an alias that exists,
// or the error that absent says, of the ARN.
func belonging[T any](tx *state.Tx, s *Service, table state.Table[T], ref reference, absent string) (value T, err error) {
	if _, err := s.find(tx, ref); err != nil {
		return value, err
	}
	value, found, err := table.Get(tx, subject(ref))
	if err == nil && !found {
		err = wire.Errorf("ResourceNotFoundException", absent, s.arn(ref)).WithStatus(http.StatusNotFound)
	}
	return value, err
}

// setSinks takes over where a version's failed events and its log go.
func (v *version) setSinks(dead *types.DeadLetterConfig, logging *types.LoggingConfig) error {
	if dead != nil {
		v.DeadLetters = ""
		if dead.TargetArn != nil {
			v.DeadLetters = *dead.TargetArn
		}
		if v.DeadLetters != "" && !strings.HasPrefix(v.DeadLetters, "arn:aws:sqs:") {
			return notProvided("A DeadLetterConfig that is not an SQS queue's")
		}
	}
	if logging == nil {
		return nil
	}
	if logging.LogFormat == types.LogFormatJson || logging.ApplicationLogLevel != "" || logging.SystemLogLevel != "" {
		return notProvided("LoggingConfig in JSON")
	}
	if logging.LogGroup != nil {
		v.LogGroup = *logging.LogGroup
	}
	return nil
}
