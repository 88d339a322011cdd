package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// poll is how long is waited between two looks at a stack. It is the error of each
// figure.
const poll = 5 * time.Millisecond

// patience is how long an operation may take.
const patience = 5 * time.Minute

// operations are what is done to a stack, in this order, and the status that each is to
// end in.
var operations = []struct{ title, ends string }{
	{"created", "CREATE_COMPLETE"},
	{"no change", "FAILED"}, // which is the change set's: it has nothing in it
	{"one changed", "UPDATE_COMPLETE"},
	{"failed, rolled back", "UPDATE_ROLLBACK_COMPLETE"},
	{"deleted", "DELETE_COMPLETE"},
}

// life is what each operation on a stack took.
type life []step

type step struct {
	took   time.Duration
	calls  int    // that CloudFormation made to other services
	status string // that it ended in
}

// stack is a stack of an endpoint.
type stack struct {
	*cloudformation.Client
	n    int // of its resources
	name string
	id   string // which finds it when it is deleted too
}

// live takes a stack of n resources through its life.
func live(ctx context.Context, e *endpoint, n int) (life, error) {
	if err := prepare(ctx, e); err != nil {
		return nil, err
	}
	s := &stack{Client: cloudformation.NewFromConfig(e.aws), n: n, name: "orders"}
	deploy := func(kind types.ChangeSetType, change change) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) { return s.deploy(ctx, kind, change) }
	}
	var l life
	for i, operate := range []func(context.Context) (string, error){
		deploy(types.ChangeSetTypeCreate, unchanged),
		deploy(types.ChangeSetTypeUpdate, unchanged),
		deploy(types.ChangeSetTypeUpdate, oneChanged),
		deploy(types.ChangeSetTypeUpdate, failing),
		s.delete,
	} {
		before, err := e.callsOfCloudFormation()
		if err != nil {
			return nil, err
		}
		patient, cancel := context.WithTimeout(ctx, patience)
		started := time.Now()
		status, err := operate(patient)
		took := time.Since(started)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", operations[i].title, err)
		}
		after, err := e.callsOfCloudFormation()
		if err != nil {
			return nil, err
		}
		l = append(l, step{took, after - before, status})
		if i == 0 {
			if err := s.whole(ctx); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// prepare makes what the stack needs: an image in ECR, and the parameter with its tag.
func prepare(ctx context.Context, e *endpoint) error {
	if _, err := ecr.NewFromConfig(e.aws).CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String(repository)}); err != nil {
		return err
	}
	if e.seed != nil {
		if err := e.seed(ctx, *e.aws.BaseEndpoint); err != nil {
			return err
		}
	}
	_, err := ssm.NewFromConfig(e.aws).PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String(tagParameter), Value: aws.String(tag), Type: ssmtypes.ParameterTypeString})
	return err
}

// deploy makes a change set of a template, executes it if there is something in it, and
// returns the status that it or the stack ends in.
func (s *stack) deploy(ctx context.Context, kind types.ChangeSetType, change change) (string, error) {
	text, err := template(s.n, machine(), change)
	if err != nil {
		return "", err
	}
	made, err := s.CreateChangeSet(ctx, &cloudformation.CreateChangeSetInput{
		StackName: &s.name, ChangeSetName: aws.String(fmt.Sprintf("change-%d", time.Now().UnixNano())), ChangeSetType: kind,
		TemplateBody: &text, Capabilities: []types.Capability{types.CapabilityCapabilityIam},
	})
	if err != nil {
		return "", err
	}
	s.id = *made.StackId
	status, err := settled(ctx, func() (string, error) {
		out, err := s.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id, StackName: &s.id})
		if err != nil {
			return "", err
		}
		return string(out.Status), nil
	})
	if err != nil || status == string(types.ChangeSetStatusFailed) {
		return status, err
	}
	if _, err := s.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: made.Id, StackName: &s.id}); err != nil {
		return "", err
	}
	return settled(ctx, func() (string, error) { return s.status(ctx) })
}

func (s *stack) delete(ctx context.Context) (string, error) {
	if _, err := s.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.id}); err != nil {
		return "", err
	}
	return settled(ctx, func() (string, error) { return s.status(ctx) })
}

func (s *stack) status(ctx context.Context) (string, error) {
	out, err := s.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &s.id})
	if err != nil {
		return "", err
	}
	return string(out.Stacks[0].StackStatus), nil
}

// settled waits until a status is no longer that of something under way.
func settled(ctx context.Context, status func() (string, error)) (string, error) {
	for {
		now, err := status()
		if err != nil {
			return "", err
		}
		if !strings.HasSuffix(now, "_IN_PROGRESS") && !strings.HasSuffix(now, "_PENDING") {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("still in %s: %w", now, ctx.Err())
		case <-time.After(poll):
		}
	}
}

// whole checks that the stack has all its resources.
func (s *stack) whole(ctx context.Context) error {
	got := 0
	for pages := cloudformation.NewListStackResourcesPaginator(s, &cloudformation.ListStackResourcesInput{StackName: &s.id}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.StackResourceSummaries {
			if r.ResourceStatus == types.ResourceStatusCreateComplete {
				got++
			}
		}
	}
	if got != s.n {
		return fmt.Errorf("the stack has %d resources", got)
	}
	return nil
}

func machine() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}
