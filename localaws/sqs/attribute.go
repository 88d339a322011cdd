package sqs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// limit is what a number among the attributes may be, and what it is where it was not
// set.
type limit struct{ least, most, unset int }

// limits are the attributes that are numbers: seconds, but for MaximumMessageSize,
// which is bytes (Amazon SQS API reference, SetQueueAttributes).
var limits = map[string]limit{
	"DelaySeconds":                  {0, 900, 0},
	"MaximumMessageSize":            {1024, 1 << 20, 1 << 20},
	"MessageRetentionPeriod":        {60, 1209600, 345600},
	"ReceiveMessageWaitTimeSeconds": {0, 20, 0},
	"VisibilityTimeout":             {0, 43200, 30},
}

// recorded are the attributes that change nothing here.
var recorded = []string{"KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "SqsManagedSseEnabled"}

// attribute returns an attribute that can be set.
func (q queue) attribute(name string) string {
	if value, found := q.Attributes[name]; found {
		return value
	}
	if limit, found := limits[name]; found {
		return strconv.Itoa(limit.unset)
	}
	if name == "SqsManagedSseEnabled" {
		return "true"
	}
	return ""
}

// number returns an attribute that is a number.
func (q queue) number(name string) int {
	n, err := strconv.Atoi(q.attribute(name))
	if err != nil {
		return limits[name].unset // what was set has been checked
	}
	return n
}

func (q queue) seconds(name string) time.Duration {
	return time.Duration(q.number(name)) * time.Second
}

// redrivePolicy says which messages are dead, and where they go.
type redrivePolicy struct {
	Target string      `json:"deadLetterTargetArn"`
	Most   json.Number `json:"maxReceiveCount"` // a number, in quotes or not
}

// mostReceives bounds maxReceiveCount (Amazon SQS API reference).
const mostReceives = 1000

// redrive returns where messages go that were received too often, and how often is
// too often; 0 for never.
func (q queue) redrive() (target string, most int) {
	p, most, err := parseRedrive(q.Attributes["RedrivePolicy"])
	if err != nil {
		return "", 0 // there is none
	}
	return p.Target, most
}

func parseRedrive(text string) (p redrivePolicy, most int, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := d.Decode(&p); err != nil {
		return p, 0, fmt.Errorf("it is not JSON with deadLetterTargetArn and maxReceiveCount: %w", err)
	}
	most, err = strconv.Atoi(p.Most.String())
	if err != nil || most < 1 || most > mostReceives {
		return p, 0, fmt.Errorf("maxReceiveCount must be from 1 to %d", mostReceives)
	}
	return p, most, nil
}

// checkAttributes checks attributes that are to be set.
func (s *Service) checkAttributes(tx *state.Tx, given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		limit, isNumber := limits[name]
		switch {
		case isNumber:
			if n, err := strconv.Atoi(value); err != nil || n < limit.least || n > limit.most {
				return wire.Errorf("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
			}
		case name == "RedrivePolicy":
			if err := s.checkRedrive(tx, value); err != nil {
				return err
			}
		case name == "FifoQueue", name == "ContentBasedDeduplication", name == "DeduplicationScope", name == "FifoThroughputLimit":
			return wire.NotProvided("sqs", "A FIFO queue")
		case !slices.Contains(recorded, name):
			return wire.Errorf("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return nil
}

func (s *Service) checkRedrive(tx *state.Tx, value string) error {
	if value == "" {
		return nil
	}
	refuse := func(reason string) error {
		return wire.Errorf("InvalidAttributeValue", "Value %s for parameter RedrivePolicy is invalid. Reason: %s", value, reason)
	}
	p, _, err := parseRedrive(value)
	if err != nil {
		return refuse(err.Error() + ".")
	}
	name, ours := s.nameIn(p.Target)
	_, found, err := s.queues.Get(tx, name)
	if err == nil && (!ours || !found) {
		err = refuse("Dead letter target does not exist.")
	}
	return err
}

func withoutEmpty(attributes map[string]string) map[string]string {
	kept := maps.Clone(attributes)
	maps.DeleteFunc(kept, func(_, value string) bool { return value == "" })
	return kept
}
