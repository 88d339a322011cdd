package cloudformation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
)

// course takes one stack from one template to another, with failures and ends of the
// process in between, as a source of numbers says.
type course struct {
	*world
	*rand.Rand
	stable    map[string]string // the Value of each resource, by logical id, when the stack was last at rest
	attempted map[string]string // as the last template would have it
	log       []string
}

// Whatever comes in between, a stack that is at rest has what its template says, with no
// more beside it, and one that is deleted has left nothing.
func TestAnyCourse(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 15
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := &course{world: newWorld(t), Rand: rand.New(rand.NewPCG(seed, 0)), stable: map[string]string{}}
			if c.chance(3) {
				c.fresh = cloudformation.Fresh
				c.restart()
			}
			for range 8 {
				c.step()
				c.check()
			}
			c.at(nil)
			if c.status(name) != "" && c.destroy() != "DELETE_COMPLETE" || len(c.things.values()) > 0 {
				t.Errorf("in the end there is %v of a stack in %q after\n%s", c.things.values(), c.status(name), strings.Join(c.log, "\n"))
			}
		})
	}
}

func (c *course) chance(oneIn int) bool { return c.IntN(oneIn) == 0 }

// step does something to the stack that its status allows.
func (c *course) step() {
	switch status := c.status(name); {
	case status == "UPDATE_ROLLBACK_FAILED":
		c.disturbed(func() error {
			_, err := c.ContinueUpdateRollback(c.t.Context(), &sdk.ContinueUpdateRollbackInput{StackName: aws.String(name)})
			return err
		}, "continued")
	case (status == "CREATE_FAILED" || status == "UPDATE_FAILED") && c.chance(2):
		c.disturbed(func() error {
			_, err := c.RollbackStack(c.t.Context(), &sdk.RollbackStackInput{StackName: aws.String(name)})
			return err
		}, "rolled back")
	case strings.HasPrefix(status, "ROLLBACK") || status == "DELETE_FAILED":
		c.failAt("before delete " + string(rune('A'+c.IntN(8)))) // which may be none
		c.log = append(c.log, "destroyed: "+c.destroy())
		c.stable = map[string]string{}
	default:
		template, values := c.template()
		d := deployment{template: template, noRollback: strings.HasSuffix(status, "FAILED") || c.chance(3)}
		set := c.changeSet(name, d)
		if set.ExecutionStatus != "AVAILABLE" {
			return // the same again
		}
		c.attempted = values
		c.disturbed(func() error { c.execute(d, set); return nil }, "deployed "+template)
	}
}

// template returns a template of up to five resources, of which some have the value of
// others, and the values that they have in the end.
func (c *course) template() (template string, values map[string]string) {
	resources, values := map[string]any{}, map[string]string{}
	var ids []string
	for _, i := range c.Perm(5) {
		if len(ids) > 0 && c.chance(4) {
			continue
		}
		id := string(rune('A' + i))
		values[id] = fmt.Sprint(c.IntN(3))
		properties := map[string]any{"Value": values[id], "Fixed": fmt.Sprint(c.IntN(2))}
		resource := map[string]any{"Type": "Test::Thing", "Properties": properties}
		if id == "E" { // says itself what it is
			resource["Type"], properties["Id"] = "Custom::Thing", fmt.Sprintf("e-%d", c.IntN(3))
			delete(properties, "Fixed")
		}
		if len(ids) > 0 && c.chance(2) {
			other := ids[c.IntN(len(ids))]
			properties["Value"], values[id] = map[string]any{"Fn::GetAtt": []string{other, "Value"}}, values[other]
		}
		if len(ids) > 0 && c.chance(3) {
			resource["DependsOn"] = ids[c.IntN(len(ids))]
		}
		resources[id], ids = resource, append(ids, id)
	}
	b, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b), values
}

// disturbed has something done while a step or two fail, or the process ends.
func (c *course) disturbed(operate func() error, what string) {
	c.t.Helper()
	switch n := 1 + c.IntN(12); {
	case c.chance(3):
		c.haltAt(n, operate)
		what = fmt.Sprintf("halted at %d, %s", n, what)
	default:
		c.failingAt(n, c.chance(3))
		if err := operate(); err != nil {
			c.t.Fatal(err)
		}
		what = fmt.Sprintf("failing at %d, %s", n, what)
	}
	c.log = append(c.log, what+": "+c.rest())
}

// failingAt makes the n-th step of a creation or an update fail, and another one after it.
func (c *course) failingAt(n int, twice bool) {
	var mu sync.Mutex
	seen := 0
	c.at(func(_ context.Context, at cloudformation.Point) error {
		switch at.Phase {
		case cloudformation.BeforeDelete, cloudformation.AfterDelete, cloudformation.BeforeStatus:
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == n || twice && seen == n+3 {
			return errors.New("it was told to fail")
		}
		return nil
	})
}

// check compares what there is with what there should be.
func (c *course) check() {
	c.t.Helper()
	want := map[string]string{}
	switch c.status(name) {
	case "CREATE_COMPLETE", "UPDATE_COMPLETE":
		c.stable = c.attempted
		want = c.stable
	case "UPDATE_ROLLBACK_COMPLETE":
		want = c.stable
	case "ROLLBACK_COMPLETE", "":
	default:
		return
	}
	got := map[string]string{}
	for id, value := range c.things.values() {
		logicalID := strings.ToUpper(id[:1])
		if _, twice := got[logicalID]; twice {
			logicalID = id
		}
		got[logicalID] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Fatalf("what there is (-want +got):\n%s\nafter\n%s\n\n%s", diff, strings.Join(c.log, "\n"), strings.Join(c.events(), "\n"))
	}
}
