// Package logs is the local endpoint's CloudWatch Logs, as far as stacks have log
// groups: they are recorded, with their retention and their tags. What functions log
// does not go there.
package logs

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Service is the local CloudWatch Logs of one account and region.
type Service struct {
	store   *state.Store
	account string
	region  string
	groups  state.Table[group] // by name
}

// group is a log group as it is stored.
type group struct {
	Created   time.Time
	Retention *int32 // days; nil for ever
	Class     types.LogGroupClass
	Tags      map[string]string
}

// New returns the service with its log groups in store.
func New(store *state.Store, account, region string) *Service {
	return &Service{store: store, account: account, region: region, groups: state.Table[group]{Name: "logs.groups"}}
}

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.JSON{
		Service: "logs",
		Target:  "Logs_20140328",
		Casing:  wire.Lower,
		Operations: map[string]wire.Handler{
			"CreateLogGroup":        wire.Silent(wire.Handle(wire.Checked(s.CreateLogGroup, "LogGroupName"))),
			"DeleteLogGroup":        wire.Silent(wire.Handle(wire.Checked(s.DeleteLogGroup, "LogGroupName"))),
			"DeleteRetentionPolicy": wire.Silent(wire.Handle(wire.Checked(s.DeleteRetentionPolicy, "LogGroupName"))),
			"DescribeLogGroups":     wire.Handle(wire.Checked(s.DescribeLogGroups)),
			"ListTagsForResource":   wire.Handle(wire.Checked(s.ListTagsForResource, "ResourceArn")),
			"PutRetentionPolicy":    wire.Silent(wire.Handle(wire.Checked(s.PutRetentionPolicy, "LogGroupName", "RetentionInDays"))),
			"TagResource":           wire.Silent(wire.Handle(wire.Checked(s.TagResource, "ResourceArn", "Tags"))),
			"UntagResource":         wire.Silent(wire.Handle(wire.Checked(s.UntagResource, "ResourceArn", "TagKeys"))),
		},
	}
}

var nameGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\.\-_/#A-Za-z0-9]{1,512}$`) })

// retentions are the days that there are (CloudWatch Logs API reference,
// PutRetentionPolicy).
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func invalid(format string, args ...any) error {
	return wire.Errorf("InvalidParameterException", format, args...)
}

func (s *Service) arn(name string) string {
	return "arn:aws:logs:" + s.region + ":" + s.account + ":log-group:" + name
}

// CreateLogGroup makes a log group.
func (s *Service) CreateLogGroup(_ context.Context, in *cloudwatchlogs.CreateLogGroupInput) (*cloudwatchlogs.CreateLogGroupOutput, error) {
	switch {
	case !nameGrammar().MatchString(*in.LogGroupName):
		return nil, invalid("1 validation error detected: Value '%s' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+", *in.LogGroupName)
	case in.KmsKeyId != nil:
		return nil, wire.NotProvided("logs", "CreateLogGroup with kmsKeyId")
	case aws.ToBool(in.DeletionProtectionEnabled):
		return nil, wire.NotProvided("logs", "CreateLogGroup with deletionProtectionEnabled")
	}
	g := group{Created: time.Now().UTC(), Class: in.LogGroupClass, Tags: in.Tags}
	if g.Class == "" {
		g.Class = types.LogGroupClassStandard
	}
	err := s.store.Update(func(tx *state.Tx) error {
		_, found, err := s.groups.Get(tx, *in.LogGroupName)
		if err == nil && found {
			err = wire.Errorf("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		if err != nil {
			return err
		}
		return s.groups.Put(tx, *in.LogGroupName, g)
	})
	if err != nil {
		return nil, err
	}
	return new(cloudwatchlogs.CreateLogGroupOutput), nil
}

func (s *Service) find(tx *state.Tx, name string) (group, error) {
	g, found, err := s.groups.Get(tx, name)
	if err == nil && !found {
		err = wire.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
	}
	return g, err
}

// edit changes a log group.
func (s *Service) edit(name string, do func(*group)) error {
	return s.store.Update(func(tx *state.Tx) error {
		g, err := s.find(tx, name)
		if err != nil {
			return err
		}
		do(&g)
		return s.groups.Put(tx, name, g)
	})
}

// DeleteLogGroup deletes a log group.
func (s *Service) DeleteLogGroup(_ context.Context, in *cloudwatchlogs.DeleteLogGroupInput) (*cloudwatchlogs.DeleteLogGroupOutput, error) {
	err := s.store.Update(func(tx *state.Tx) error {
		if _, err := s.find(tx, *in.LogGroupName); err != nil {
			return err
		}
		return s.groups.Delete(tx, *in.LogGroupName)
	})
	if err != nil {
		return nil, err
	}
	return new(cloudwatchlogs.DeleteLogGroupOutput), nil
}

// PutRetentionPolicy says how long a group's logs are kept.
func (s *Service) PutRetentionPolicy(_ context.Context, in *cloudwatchlogs.PutRetentionPolicyInput) (*cloudwatchlogs.PutRetentionPolicyOutput, error) {
	if !slices.Contains(retentions, *in.RetentionInDays) {
		return nil, invalid("Invalid retention value.")
	}
	if err := s.edit(*in.LogGroupName, func(g *group) { g.Retention = in.RetentionInDays }); err != nil {
		return nil, err
	}
	return new(cloudwatchlogs.PutRetentionPolicyOutput), nil
}

// DeleteRetentionPolicy lets a group's logs be kept for ever.
func (s *Service) DeleteRetentionPolicy(_ context.Context, in *cloudwatchlogs.DeleteRetentionPolicyInput) (*cloudwatchlogs.DeleteRetentionPolicyOutput, error) {
	if err := s.edit(*in.LogGroupName, func(g *group) { g.Retention = nil }); err != nil {
		return nil, err
	}
	return new(cloudwatchlogs.DeleteRetentionPolicyOutput), nil
}

// DescribeLogGroups returns the log groups whose names begin with a prefix or have a
// pattern in them.
func (s *Service) DescribeLogGroups(_ context.Context, in *cloudwatchlogs.DescribeLogGroupsInput) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	const longest = 50
	most := longest
	switch {
	case len(in.AccountIdentifiers) > 0 || len(in.LogGroupIdentifiers) > 0 || aws.ToBool(in.IncludeLinkedAccounts):
		return nil, wire.NotProvided("logs", "DescribeLogGroups with accountIdentifiers, includeLinkedAccounts or logGroupIdentifiers")
	case in.LogGroupNamePattern != nil && in.LogGroupNamePrefix != nil:
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	case in.Limit != nil && (*in.Limit < 1 || *in.Limit > longest):
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", *in.Limit, longest)
	case in.Limit != nil:
		most = int(*in.Limit)
	}
	pattern := strings.ToLower(aws.ToString(in.LogGroupNamePattern))
	out := &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{}}
	err := s.store.View(func(tx *state.Tx) (err error) {
		last := ""
		for name, g := range s.groups.All(tx, aws.ToString(in.LogGroupNamePrefix), &err) {
			if name <= aws.ToString(in.NextToken) || !strings.Contains(strings.ToLower(name), pattern) || in.LogGroupClass != "" && in.LogGroupClass != g.Class {
				continue
			}
			if len(out.LogGroups) == most {
				out.NextToken = &last
				return err
			}
			out.LogGroups, last = append(out.LogGroups, s.shown(name, g)), name
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) shown(name string, g group) types.LogGroup {
	return types.LogGroup{
		LogGroupName: &name, Arn: aws.String(s.arn(name) + ":*"), LogGroupArn: aws.String(s.arn(name)), CreationTime: aws.Int64(g.Created.UnixMilli()),
		LogGroupClass: g.Class, RetentionInDays: g.Retention, MetricFilterCount: aws.Int32(0), StoredBytes: aws.Int64(0),
	}
}

// tagged returns the name of the log group that a request about tags is about.
func (s *Service) tagged(arn *string) (string, error) {
	name, ours := strings.CutPrefix(strings.TrimSuffix(*arn, ":*"), s.arn(""))
	if !ours {
		return "", wire.Errorf("ResourceNotFoundException", "The specified resource does not exist.")
	}
	return name, nil
}

// TagResource adds tags to a log group, or replaces their values.
func (s *Service) TagResource(_ context.Context, in *cloudwatchlogs.TagResourceInput) (*cloudwatchlogs.TagResourceOutput, error) {
	name, err := s.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return new(cloudwatchlogs.TagResourceOutput), s.edit(name, func(g *group) {
		if g.Tags == nil {
			g.Tags = map[string]string{}
		}
		maps.Copy(g.Tags, in.Tags)
	})
}

// UntagResource removes tags from a log group; keys that it does not have are no error.
func (s *Service) UntagResource(_ context.Context, in *cloudwatchlogs.UntagResourceInput) (*cloudwatchlogs.UntagResourceOutput, error) {
	name, err := s.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return new(cloudwatchlogs.UntagResourceOutput), s.edit(name, func(g *group) {
		maps.DeleteFunc(g.Tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
	})
}

// ListTagsForResource returns a log group's tags.
func (s *Service) ListTagsForResource(_ context.Context, in *cloudwatchlogs.ListTagsForResourceInput) (*cloudwatchlogs.ListTagsForResourceOutput, error) {
	name, err := s.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &cloudwatchlogs.ListTagsForResourceOutput{Tags: map[string]string{}}
	err = s.store.View(func(tx *state.Tx) error {
		g, err := s.find(tx, name)
		maps.Copy(out.Tags, g.Tags)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
