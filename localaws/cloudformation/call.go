package cloudformation

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// tagMap returns a stack's own tags by their keys.
func tagMap(tags []types.Tag) map[string]string {
	found := map[string]string{}
	for _, tag := range tags {
		found[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return found
}

// request is a call of a resource's handler.
func (r *run) request(id string, d deployed, token string, again bool) resource.Request {
	return resource.Request{
		Type: d.Type, StackID: r.st.ID, StackName: r.st.Name, LogicalID: id, PhysicalID: d.PhysicalID,
		Properties: d.given(), Tags: r.tags(id, d), Token: token, Again: again, Yields: r.s.o.Conflicts == Failed,
		Account: r.s.o.Account, Region: r.s.o.Region, Answers: r.s.answers,
	}
}

// tags returns the tags that a resource has of its stack.
func (r *run) tags(id string, d deployed) map[string]string {
	tags := map[string]string{
		"aws:cloudformation:stack-id":   r.st.ID,
		"aws:cloudformation:stack-name": r.st.Name,
		"aws:cloudformation:logical-id": id,
	}
	for key, value := range d.Tags {
		tags[key] = value
	}
	return tags
}

// step tells a test where the engine is.
func (r *run) step(ctx context.Context, id string, phase Phase) error {
	if r.s.o.Step == nil {
		return nil
	}
	return r.s.o.Step(ctx, Point{Stack: r.st.Name, LogicalID: id, Phase: phase})
}

// mostCalls is how often a handler is called whose answers are lost.
const mostCalls = 3

// call makes a call between two steps. Where a service's answer was lost, nobody knows
// what was done: the handler is called again, and told so.
func (r *run) call(ctx context.Context, request resource.Request, before, after Phase, handle func(resource.Request) error) error {
	if err := r.step(ctx, request.LogicalID, before); err != nil {
		return err
	}
	var err error
	for range mostCalls {
		lost := new(losses)
		request.AWS = lost.watch(r.s.o.AWS)
		if err = handle(request); err == nil || !lost.any.Load() || ctx.Err() != nil {
			break
		}
		request.Again = true
	}
	if failed := r.step(ctx, request.LogicalID, after); failed != nil && err == nil {
		err = failed
	}
	return err
}

// losses notes whether an answer was lost.
type losses struct{ any atomic.Bool }

// watch returns a client's configuration that notes lost answers. The SDK would send
// such a request again, and take what it has made itself for somebody else's.
func (l *losses) watch(c aws.Config) aws.Config {
	c.HTTPClient = watched{c.HTTPClient, l}
	c.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(error) aws.Ternary {
				if l.any.Load() {
					return aws.FalseTernary
				}
				return aws.UnknownTernary
			})}, o.Retryables...)
		})
	}
	return c
}

type watched struct {
	aws.HTTPClient
	losses *losses
}

// Do implements [aws.HTTPClient].
func (w watched) Do(r *http.Request) (*http.Response, error) {
	response, err := w.HTTPClient.Do(r)
	if err != nil {
		w.losses.any.Store(true)
	}
	return response, err
}

// callCreate creates a resource. With an error, target may have a physical id: that of
// something which has to be deleted.
func (r *run) callCreate(ctx context.Context, id string, target *deployed, token string, again bool) error {
	return r.call(ctx, r.request(id, *target, token, again), BeforeCreate, AfterCreate, func(request resource.Request) error {
		result, err := r.s.typeFor(target.Type).Create(ctx, request)
		target.PhysicalID, target.Attributes, target.NoEcho = result.PhysicalID, result.Attributes, result.NoEcho
		if err == nil && target.PhysicalID == "" {
			err = fmt.Errorf("%s was created without a physical id", target.Type)
		}
		return err
	})
}

// callUpdate updates a resource from what it was.
func (r *run) callUpdate(ctx context.Context, id string, target *deployed, previous deployed, token string, again bool) error {
	target.PhysicalID, target.Attributes, target.NoEcho = previous.PhysicalID, previous.Attributes, previous.NoEcho
	request := r.request(id, *target, token, again)
	request.Previous, request.LastTags = previous.given(), r.tags(id, previous)
	return r.call(ctx, request, BeforeUpdate, AfterUpdate, func(request resource.Request) error {
		result, err := r.s.typeFor(target.Type).Update(ctx, request)
		if err != nil {
			return err
		}
		target.PhysicalID, target.Attributes, target.NoEcho = result.PhysicalID, result.Attributes, result.NoEcho
		return nil
	})
}

// callDelete deletes a resource.
func (r *run) callDelete(ctx context.Context, id string, d deployed) error {
	return r.call(ctx, r.request(id, d, wire.NewID(), false), BeforeDelete, AfterDelete, func(request resource.Request) error {
		return r.s.typeFor(d.Type).Delete(ctx, request)
	})
}
