package awsbackend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.Tags = (*Parameters)(nil)

// Parameters keeps tag parameters in SSM.
type Parameters struct{ api *ssm.Client }

const (
	// settleWithin is how long SSM's answers are given to agree with each other. Reads
	// are eventually consistent; those reported stale were right a second or two later.
	settleWithin = 5 * time.Second
	firstPause   = 100 * time.Millisecond // then twice as long each time

	historyPage = 50 // the most that GetParameterHistory gives at once
)

// ReadTag implements [tasuki.TagReader]. Only GetParameterHistory returns
// descriptions, and only GetParameter is sure to be about the current version, so
// both are asked, at once. Where they disagree SSM has not settled yet, and both are
// asked again for up to 5 s, before the answer is ErrUnavailable.
func (p *Parameters) ReadTag(ctx context.Context, name tasuki.ParameterName) (tasuki.ParameterVersion, error) {
	started := time.Now()
	var newest int64 // of all versions seen: time must not run backwards within one read
	for pause := firstPause; ; pause *= 2 {
		current, latest, err := p.readOnce(ctx, name)
		if err != nil {
			return tasuki.ParameterVersion{}, err
		}
		if current != nil {
			newest = max(newest, current.Version)
		}
		if latest != nil {
			newest = max(newest, latest.Version)
		}
		doubt := disagreement(current, latest, newest)
		if doubt == "" {
			return *latest, nil
		}
		pause = min(pause, settleWithin-time.Since(started))
		if pause <= 0 {
			return tasuki.ParameterVersion{}, &tasuki.Error{
				Op: "read", Side: tasuki.SideTag, Subject: name.String(), Kind: tasuki.ErrUnavailable,
				Err:  fmt.Errorf("SSM's answers have not agreed for %v: %s", settleWithin, doubt),
				Hint: "SSM is eventually consistent: run the command again.",
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return tasuki.ParameterVersion{}, readCall(name, "ssm:GetParameter").failed(err)
		}
	}
}

// readOnce returns the current version as GetParameter gives it and the latest in
// the history, nil for one that SSM says is not there; ErrMissing where it says so of both.
func (p *Parameters) readOnce(ctx context.Context, name tasuki.ParameterName) (current, latest *tasuki.ParameterVersion, err error) {
	var missing error
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		out, err := p.api.GetParameter(gctx, &ssm.GetParameterInput{Name: aws.String(name.String())})
		if err != nil {
			if err = readCall(name, "ssm:GetParameter").failed(err); errors.Is(err, tasuki.ErrMissing) {
				missing = err
				return nil
			}
			return err
		}
		if out.Parameter == nil || out.Parameter.Version == 0 {
			return readCall(name, "").wrong(tasuki.ErrUnavailable, "SSM's answer has no parameter")
		}
		current = &tasuki.ParameterVersion{
			Name:       name,
			Value:      aws.ToString(out.Parameter.Value),
			Type:       string(out.Parameter.Type),
			Version:    out.Parameter.Version,
			ModifiedAt: aws.ToTime(out.Parameter.LastModifiedDate),
		}
		return nil
	})
	g.Go(func() error {
		versions, err := p.versions(gctx, name)
		if errors.Is(err, tasuki.ErrMissing) {
			return nil
		}
		if err != nil {
			return err
		}
		latest = &versions[0]
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	if current == nil && latest == nil {
		return nil, nil, missing
	}
	return current, latest, nil
}

// disagreement says how the two answers about a parameter disagree; "" if they do
// not, and latest is the version to go by.
func disagreement(current, latest *tasuki.ParameterVersion, newest int64) string {
	switch {
	case current == nil:
		return "GetParameter finds no parameter, and its history has versions"
	case latest == nil:
		return fmt.Sprintf("GetParameter finds version %d, and there is no history", current.Version)
	case latest.Version < newest:
		return fmt.Sprintf("version %d exists, and the history ends with version %d", newest, latest.Version)
	// Deleted and created again: the versions begin at 1 again.
	case latest.Version == current.Version && latest.Type == "String" && latest.Value != current.Value:
		return fmt.Sprintf("GetParameter and the history give version %d different values", latest.Version)
	}
	return ""
}

// TagHistory implements [tasuki.TagHistory].
func (p *Parameters) TagHistory(ctx context.Context, name tasuki.ParameterName) ([]tasuki.ParameterVersion, error) {
	return p.versions(ctx, name)
}

// versions returns all versions that SSM keeps, newest first. SSM's own order is
// the other way round, so even the newest needs all pages. There is at least one.
func (p *Parameters) versions(ctx context.Context, name tasuki.ParameterName) ([]tasuki.ParameterVersion, error) {
	var versions []tasuki.ParameterVersion
	pages := ssm.NewGetParameterHistoryPaginator(p.api, &ssm.GetParameterHistoryInput{
		Name: aws.String(name.String()), MaxResults: aws.Int32(historyPage),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, readCall(name, "ssm:GetParameterHistory").failed(err)
		}
		for _, v := range page.Parameters {
			versions = append(versions, tasuki.ParameterVersion{
				Name:        name,
				Value:       aws.ToString(v.Value),
				Type:        string(v.Type),
				Version:     v.Version,
				Description: aws.ToString(v.Description),
				ModifiedBy:  aws.ToString(v.LastModifiedUser),
				ModifiedAt:  aws.ToTime(v.LastModifiedDate),
			})
		}
	}
	if len(versions) == 0 {
		return nil, readCall(name, "").wrong(tasuki.ErrUnavailable, "SSM's answer has no versions")
	}
	slices.SortFunc(versions, func(a, b tasuki.ParameterVersion) int { return cmp.Compare(b.Version, a.Version) })
	return versions, nil
}

// WriteTag implements [tasuki.TagWriter].
func (p *Parameters) WriteTag(ctx context.Context, name tasuki.ParameterName, value tasuki.Tag, description string) (int64, error) {
	c := call{op: "write", side: tasuki.SideTag, subject: name.String(), action: "ssm:PutParameter", resource: "parameter " + name.String()}
	out, err := p.api.PutParameter(ctx, &ssm.PutParameterInput{
		Name:        aws.String(name.String()),
		Value:       aws.String(value.String()),
		Type:        types.ParameterTypeString,
		Description: aws.String(description),
		Overwrite:   aws.Bool(true),
	})
	if err != nil {
		return 0, c.failed(err)
	}
	if out.Version == 0 {
		return 0, c.wrong(tasuki.ErrUnavailable, "SSM's answer has no version")
	}
	return out.Version, nil
}

func readCall(name tasuki.ParameterName, action string) call {
	return call{
		op: "read", side: tasuki.SideTag, subject: name.String(), action: action,
		resource: "parameter " + name.String(), missing: []string{"ParameterNotFound"},
	}
}

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
