// Package ssm is the local endpoint's SSM Parameter Store: the operations that the
// relay and its clients use, with AWS's limits and AWS's errors.
//
// Where AWS documents a text for an error, it is AWS's own. Reads are as
// consistent as the store, except under [fault.WithStale].
package ssm

import (
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Service answers Parameter Store's operations for one account and region.
type Service struct {
	store   *state.Store
	account string
	region  string

	now      state.Table[parameter] // by name
	before   state.Table[parameter] // by name: each as it was before its last write
	versions state.Table[version]   // by versionKey; of now and before alike

	changed func(Change)
}

// New returns the service with its parameters in store.
func New(store *state.Store, account, region string) *Service {
	return &Service{
		store:    store,
		account:  account,
		region:   region,
		now:      state.Table[parameter]{Name: "ssm.parameters"},
		before:   state.Table[parameter]{Name: "ssm.parameters.before"},
		versions: state.Table[version]{Name: "ssm.versions"},
	}
}

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.JSON{
		Service: "ssm",
		Target:  "AmazonSSM",
		Casing:  wire.Upper,
		Operations: map[string]wire.Handler{
			"AddTagsToResource":       wire.Handle(s.AddTagsToResource),
			"DeleteParameter":         wire.Handle(s.DeleteParameter),
			"DeleteParameters":        wire.Handle(s.DeleteParameters),
			"DescribeParameters":      wire.Handle(s.DescribeParameters),
			"GetParameter":            wire.Handle(s.GetParameter),
			"GetParameterHistory":     wire.Handle(s.GetParameterHistory),
			"GetParameters":           wire.Handle(s.GetParameters),
			"GetParametersByPath":     wire.Handle(s.GetParametersByPath),
			"LabelParameterVersion":   wire.Handle(s.LabelParameterVersion),
			"ListTagsForResource":     wire.Handle(s.ListTagsForResource),
			"PutParameter":            wire.Handle(s.PutParameter),
			"RemoveTagsFromResource":  wire.Handle(s.RemoveTagsFromResource),
			"UnlabelParameterVersion": wire.Handle(s.UnlabelParameterVersion),
		},
	}
}
