package explore

import (
	"context"
	"errors"

	"github.com/tasuki-dev/tasuki"
)

// Release returns the command that releases an image under its name.
func Release(image string) Command {
	return release(image, nil)
}

// TestedRelease returns the command that releases an image once it has passed a test.
func TestedRelease(image string) Command {
	c := release(image, []tasuki.SmokeTest{{Name: "test", Payload: []byte("{}")}})
	c.Name, c.Tests = "tested "+c.Name, true
	return c
}

func release(image string, tests []tasuki.SmokeTest) Command {
	return Command{Name: "release " + image, Kind: Releases, Run: func(ctx context.Context, p *Port) Outcome {
		tag, err := tasuki.ParseTag(image)
		if err != nil {
			return Outcome{Err: err}
		}
		releaser := tasuki.Releaser{Reconciler: p.Reconciler(), Writer: p, Invoker: p}
		released, err := releaser.Release(ctx, p.Handoff, tasuki.ReleaseRequest{Tag: tag, Smoke: tests})
		return Outcome{Tag: tag, Superseded: released.SupersededBy != nil, Err: err}
	}}
}

// Rollback returns the command that goes back to the release before the current one.
func Rollback() Command {
	return Command{Name: "rollback", Kind: Registers, Run: func(ctx context.Context, p *Port) Outcome {
		back, err := tasuki.Rollbacker{Reconciler: p.Reconciler(), History: p, Writer: p}.Rollback(ctx, p.Handoff, tasuki.RollbackRequest{})
		return Outcome{Tag: back.Release.Tag, Superseded: back.SupersededBy != nil, Err: err}
	}}
}

// Register returns the command that registers an image under its name.
func Register(image string) Command {
	return Command{Name: "register " + image, Kind: Writes, Run: func(ctx context.Context, p *Port) Outcome {
		tag, err := tasuki.ParseTag(image)
		if err != nil {
			return Outcome{Err: err}
		}
		_, err = tasuki.Registrar{Resolver: p.Resolver(), Writer: p}.Register(ctx, p.Handoff, tag, tasuki.Provenance{})
		return Outcome{Tag: tag, Err: err}
	}}
}

// Reconcile returns the command that an event or the schedule starts.
func Reconcile(why string) Command {
	return Command{Name: "reconcile on " + why, Kind: Reconciles, Run: func(ctx context.Context, p *Port) Outcome {
		_, err := p.Reconciler().Reconcile(ctx, p.Handoff)
		return Outcome{Err: err}
	}}
}

// Deploy returns what a stack does that resolves at each deploy, and the reconcile
// that its final event triggers. cached is the image that the stack gave to the
// functions before; "" creates them.
//
// The custom resource resolves early, and CloudFormation writes late, without a
// revision. While another update is under way Lambda refuses it; then the stack
// rolls back to the cached image.
func Deploy(name, cached string) Actor {
	deploy := Command{Name: name, Kind: Deploys, Run: func(ctx context.Context, p *Port) Outcome {
		resolution, err := p.Resolver().Resolve(ctx, p.Handoff)
		if err != nil {
			return Outcome{Err: err}
		}
		if cached == "" {
			for _, f := range p.Handoff.Functions {
				err = errors.Join(err, p.StackCreates(ctx, f.Name, resolution.Image))
			}
			return Outcome{Err: err}
		}
		for i, f := range p.Handoff.Functions {
			if err = p.StackUpdates(ctx, f.Name, resolution.Image); errors.Is(err, tasuki.ErrConflict) {
				err = nil
				for _, f := range p.Handoff.Functions[:i+1] {
					err = errors.Join(err, p.StackRollsBack(ctx, f.Name, p.Image(cached)))
				}
				break
			}
		}
		for _, f := range p.Handoff.Functions {
			err = errors.Join(err, p.StackWaits(ctx, f.Name))
		}
		return Outcome{Err: err}
	}}
	return Actor{deploy, Reconcile(name)}
}
