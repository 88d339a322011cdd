package events_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/events"
)

const stackEvent = `{
	"source": "aws.cloudformation", "detail-type": "CloudFormation Stack Status Change", "resources": ["arn:stack/a/1", "arn:other"],
	"detail": {"stack-id": "arn:stack/a/1", "status-details": {"status": "UPDATE_COMPLETE", "status-reason": ""}, "n": 5, "f": 2.50, "yes": true, "nothing": null, "none": []}
}`

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern string
		want    bool
	}{
		{`{"source":["aws.cloudformation"]}`, true},
		{`{"source":["aws.ssm","aws.cloudformation"]}`, true},
		{`{"source":["aws.ssm"]}`, false},
		{`{"source":["aws.cloudformation"],"detail":{"stack-id":["arn:stack/a/1"],"status-details":{"status":["UPDATE_COMPLETE","UPDATE_FAILED"]}}}`, true},
		{`{"source":["aws.cloudformation"],"detail":{"stack-id":["arn:stack/b/2"]}}`, false},
		{`{"resources":["arn:other"]}`, true},
		{`{"resources":[{"prefix":"arn:stack/"}]}`, true},
		{`{"detail":{"n":[5]}}`, true},
		{`{"detail":{"f":[2.5]}}`, true},
		{`{"detail":{"n":["5"]}}`, false},
		{`{"detail":{"yes":[true],"nothing":[null]}}`, true},
		{`{"detail":{"yes":[false]}}`, false},
		{`{"detail":{"absent":[null]}}`, false},
		{`{"detail":{"n":[{"numeric":[">",0,"<=",5]}]}}`, true},
		{`{"detail":{"n":[{"numeric":[">",5]}]}}`, false},
		{`{"detail":{"n":[{"numeric":["=",5.0]}]}}`, true},
		{`{"detail":{"stack-id":[{"numeric":[">",0]}]}}`, false},
		{`{"source":[{"suffix":"formation"}]}`, true},
		{`{"source":[{"equals-ignore-case":"AWS.CloudFormation"}]}`, true},
		{`{"source":[{"anything-but":"aws.ssm"}]}`, true},
		{`{"source":[{"anything-but":["aws.ssm","aws.cloudformation"]}]}`, false},
		{`{"source":[{"anything-but":{"prefix":"aws."}}]}`, false},
		{`{"detail":{"absent":[{"anything-but":"x"}]}}`, false},
		{`{"detail":{"stack-id":[{"exists":true}],"absent":[{"exists":false}]}}`, true},
		{`{"detail":{"stack-id":[{"exists":false}]}}`, false},
		{`{"detail":{"none":[{"exists":false}]}}`, true},
		{`{"missing":{"deeper":[{"exists":false}]}}`, true},
		{`{"missing":{"deeper":["x"]}}`, false},
		{`{"detail":["x"]}`, false},
	}
	var event map[string]any
	if err := json.Unmarshal([]byte(stackEvent), &event); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		pattern, err := events.ParsePattern(test.pattern)
		if err != nil {
			t.Errorf("%s: %v", test.pattern, err)
		} else if got := pattern.Matches(event); got != test.want {
			t.Errorf("%s: got %t", test.pattern, got)
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		`nonsense`:                                       "it is not JSON",
		`{}`:                                             "it is not an object with fields",
		`{"source":"aws.ssm"}`:                           "source must be an object or an array",
		`{"source":[]}`:                                  "source is an empty array",
		`{"detail":{}}`:                                  "detail is an empty object",
		`{"detail":{"a":[["x"]]}}`:                       "detail.a: an array cannot stand in an array",
		`{"source":[{"wildcard":"aws.*"}]}`:              `source: the operator "wildcard" is not provided by tasuki local`,
		`{"$or":[{"source":["a"]}]}`:                     "$or is not provided by tasuki local",
		`{"source":[{"prefix":1}]}`:                      "source: prefix takes a text",
		`{"source":[{"exists":"yes"}]}`:                  "source: exists takes true or false",
		`{"source":[{"prefix":"a","suffix":"b"}]}`:       "source: an operator stands alone in its object",
		`{"source":[{"numeric":["~",1]}]}`:               "source: numeric does not know ~",
		`{"source":[{"numeric":[">"]}]}`:                 "source: numeric takes operators with numbers",
		`{"source":[{"anything-but":{"exists":true}}]}`:  "source: anything-but takes values",
		`{"source":[{"anything-but":{"wildcard":"x"}}]}`: `source: the operator "wildcard"`,
		strings.Repeat(`{"a":`, 200) + `["x"]` + strings.Repeat(`}`, 200): "it is nested too deep",
	} {
		if _, err := events.ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", pattern, err, want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`{"source":["aws.ssm",{"prefix":"a"}],"detail":{"n":[{"numeric":[">",0]},{"exists":false},{"anything-but":[1,null]}]}}`, stackEvent)
	f.Add(`{"a":[{"anything-but":{"suffix":"x"}}]}`, `{"a":[[],{"a":1}]}`)
	f.Fuzz(func(t *testing.T, pattern, event string) {
		p, err := events.ParsePattern(pattern)
		var tree map[string]any
		if err != nil || json.Unmarshal([]byte(event), &tree) != nil {
			return
		}
		once := p.Matches(tree)
		if again := p.Matches(tree); again != once {
			t.Errorf("the same event matches, %t and %t", once, again)
		}
	})
}
