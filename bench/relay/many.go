package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-dev/tasuki/localaws"
)

// many measures commands over many handoffs.
func (b *bench) many(ctx context.Context) error {
	e, err := b.start(latency)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.seed(ctx); err != nil {
		return err
	}
	if err := e.function(ctx, "orders", orders(e.Region())+":initial"); err != nil {
		return err
	}
	if _, err := e.tasuki("release", "orders", "--repository", "orders", "--function", "orders", "--image", b.image, "--tag", "v1"); err != nil {
		return err
	}
	history, err := e.ssm.GetParameterHistory(ctx, &ssm.GetParameterHistoryInput{Name: aws.String("/tasuki/orders/image-tag")})
	if err != nil {
		return err
	}
	made := 0
	for _, n := range []int{1, 100, 1000} {
		if err := e.handoffs(ctx, made, n, &history.Parameters[0]); err != nil {
			return err
		}
		made = n
		if n == 100 {
			if err := e.tags(n); err != nil {
				return err
			}
		}
		if err := e.status(n, "released"); err != nil {
			return err
		}
	}
	return nil
}

// unreleased measures the status of many handoffs that have had no release: nothing is
// to be read of their parameters but the values.
func (b *bench) unreleased(ctx context.Context) error {
	e, err := b.start(latency)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.seed(ctx); err != nil {
		return err
	}
	const n = 1000
	if err := e.handoffs(ctx, 0, n, &ssmtypes.ParameterHistory{Value: aws.String("initial")}); err != nil {
		return err
	}
	return e.status(n, "on the placeholder")
}

// status measures the status of all handoffs.
func (e *endpoint) status(n int, state string) error {
	e.Calls().Reset()
	took, memory, err := e.measured("status")
	if err != nil {
		return err
	}
	calls := e.Calls().All()
	least, reason := floor(calls)
	row(fmt.Sprintf("`tasuki status` of %d handoffs, %s, %s a call", n, state, latency), "%.1f s, %d calls (%s), %d MB peak memory", took.Seconds(), len(calls), names(calls), memory>>20)
	row("its floor by AWS's limits", "%.1f s: %s", least.Seconds(), reason)
	return nil
}

// limit is what AWS gives an account in a region of some calls.
type limit struct {
	what      string
	perSecond int
	of        func(call localaws.Call) bool
}

// limits returns AWS's default limits that the relay can reach. They are AWS's, not
// what the program was made to keep to: docs/adr/0011-calls-are-paced.md has the sources.
func limits() []limit {
	return []limit{
		{"reads of SSM", 40, func(c localaws.Call) bool { return c.Service == "ssm" && c.Name() != "ssm:PutParameter" }},
		{"ssm:PutParameter", 3, func(c localaws.Call) bool { return c.Name() == "ssm:PutParameter" }},
		{"lambda:GetFunction", 100, func(c localaws.Call) bool { return c.Name() == "lambda:GetFunction" }},
		{"other control calls of Lambda", 15, func(c localaws.Call) bool {
			return c.Service == "lambda" && c.Name() != "lambda:GetFunction" && c.Name() != "lambda:Invoke"
		}},
	}
}

// floor returns the least time in which AWS answers so many calls, and which limit sets it.
func floor(calls []localaws.Call) (least time.Duration, reason string) {
	for _, l := range limits() {
		n := 0
		for _, call := range calls {
			if l.of(call) {
				n++
			}
		}
		if t := time.Duration(n) * time.Second / time.Duration(l.perSecond); t > least {
			least, reason = t, fmt.Sprintf("%d × %s, of which AWS gives %d a second", n, l.what, l.perSecond)
		}
	}
	return least, reason
}

// orders is the repository of all the measured handoffs.
func orders(region string) string {
	return localaws.Account + ".dkr.ecr." + region + ".amazonaws.com/orders"
}

// handoffs makes handoffs up to a number, whose parameters hold a value, with its
// record, and whose functions run the image of that tag.
func (e *endpoint) handoffs(ctx context.Context, from, to int, version *ssmtypes.ParameterHistory) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := from; i < to; i++ {
		group.Go(func() error {
			name := fmt.Sprintf("many-%d", i)
			if err := e.function(ctx, name, orders(e.Region())+":"+*version.Value); err != nil {
				return err
			}
			contract := fmt.Sprintf(`{"version":1,"handoff":"many/%d","account":%q,"region":%q,"repository":%q,"tagParameter":"/tasuki/many/%d/image-tag","placeholderTag":"initial","functions":[{"name":%q,"architecture":%q}]}`,
				i, localaws.Account, e.Region(), orders(e.Region()), i, name, machine())
			for parameter, in := range map[string]ssm.PutParameterInput{"contract": {Value: &contract}, "image-tag": {Value: version.Value, Description: version.Description}} {
				in.Name, in.Type = aws.String(fmt.Sprintf("/tasuki/many/%d/%s", i, parameter)), ssmtypes.ParameterTypeString
				if _, err := e.ssm.PutParameter(ctx, &in); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// tags reads the tags of many handoffs, beside one call of the AWS CLI each. The
// CLI's time is that of ten calls, times as many as would be needed.
func (e *endpoint) tags(n int) error {
	args := []string{"resolve", "--tag-only"}
	for i := range n {
		args = append(args, fmt.Sprintf("many/%d", i))
	}
	e.Calls().Reset()
	took, _, err := e.measured(args...)
	if err != nil {
		return err
	}
	calls := e.Calls().Count()
	if _, err := exec.LookPath("aws"); err != nil {
		row(fmt.Sprintf("`tasuki resolve --tag-only` of %d handoffs", n), "%s, %d calls", ms(took), calls)
		return nil
	}
	const sample = 10
	theirs, err := median(1, func() error {
		for i := range sample {
			cmd := exec.Command("aws", "ssm", "get-parameter", "--name", fmt.Sprintf("/tasuki/many/%d/image-tag", i))
			cmd.Env = e.Environ(os.Environ())
			if err := cmd.Run(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	theirs = theirs * time.Duration(n) / sample
	row(fmt.Sprintf("`tasuki resolve --tag-only` of %d handoffs, beside `aws ssm get-parameter` for each (measured on %d)", n, sample),
		"%s, %d calls; %s: %.0f × faster", ms(took), calls, ms(theirs), float64(theirs)/float64(took))
	return nil
}
