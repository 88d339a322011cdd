package cloudformation_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
)

// exports is a template that exports names.
func exports(names ...string) string {
	var outputs []string
	for i, name := range names {
		outputs = append(outputs, fmt.Sprintf(`"O%d": {"Value": "1", "Export": {"Name": "%s"}}`, i, name))
	}
	return `{"Resources": {"A": {"Type": "Test::Thing"}}, "Outputs": {` + strings.Join(outputs, ", ") + `}}`
}

// exports returns what is exported, as in "name=value".
func (w *world) exports() (found []string) {
	w.t.Helper()
	out, err := w.ListExports(w.t.Context(), &sdk.ListExportsInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range out.Exports {
		found = append(found, aws.ToString(e.Name)+"="+aws.ToString(e.Value))
	}
	return found
}

const imports = `{"Resources": {"B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::ImportValue": "shared"}}}}}`

// between begins an operation of the stack, and does something when the stack is about to
// be told in the operation's next status. It returns the status that the operation ends in.
func (w *world) between(begin, do func()) string {
	w.t.Helper()
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.at(func(ctx context.Context, at cloudformation.Point) error {
		if at.Stack == name && at.Phase == cloudformation.BeforeStatus {
			once.Do(func() {
				close(reached)
				select {
				case <-goOn:
				case <-ctx.Done():
				}
			})
		}
		return nil
	})
	begin()
	<-reached
	do()
	close(goOn)
	return w.rest()
}

// Of two stacks that come to export a name at the same time, one fails.
func TestExportsAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	w.deploy(deployment{template: one("", "")})
	var other string
	status := w.between(
		func() { w.execute(deployment{}, w.changeSet(name, deployment{template: exports("shared")})) },
		func() { other = w.deployTo("other", deployment{template: exports("shared")}) })
	if status != "UPDATE_COMPLETE" || other != "ROLLBACK_COMPLETE" {
		t.Errorf("the stacks are %s and %s", status, other)
	}
}

// What a stack exports until its update, or its deletion, is nearly through, nobody
// imports any more then.
func TestImportOfWhatIsGoing(t *testing.T) {
	for want, begin := range map[string]func(w *world){
		"UPDATE_COMPLETE": func(w *world) {
			w.execute(deployment{}, w.changeSet(name, deployment{template: exports("another")}))
		},
		"DELETE_COMPLETE": func(w *world) {
			if _, err := w.DeleteStack(w.t.Context(), deleteInput()); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(want, func(t *testing.T) {
			w := newWorld(t)
			if status := w.deploy(deployment{template: exports("shared")}); status != "CREATE_COMPLETE" {
				t.Fatal(status)
			}
			var user string
			status := w.between(func() { begin(w) }, func() { user = w.deployTo("user", deployment{template: imports}) })
			if status != want || !strings.Contains(user, "No export named shared found.") {
				t.Errorf("the stack is %s, and its user ends in %s", status, user)
			}
		})
	}
}

// A stack whose deletion has failed exports what it did.
func TestExportsAfterADeletionThatFailed(t *testing.T) {
	w := newWorld(t)
	if status := w.deploy(deployment{template: exports("shared")}); status != "CREATE_COMPLETE" {
		t.Fatal(status)
	}
	w.failAt("before delete A")
	if status := w.destroy(); status != "DELETE_FAILED" {
		t.Fatal(status)
	}
	if diff := cmp.Diff([]string{"shared=1"}, w.exports()); diff != "" {
		t.Errorf("the exports (-want +got):\n%s", diff)
	}
}

// A stack that imports what it exports itself is in nobody's way.
func TestImportOfOnesOwn(t *testing.T) {
	w := newWorld(t)
	w.deploy(deployment{template: exports("shared")})
	template := strings.Replace(exports("shared"), `"Test::Thing"`, `"Test::Thing", "Properties": {"Value": {"Fn::ImportValue": "shared"}}`, 1)
	if status := w.deploy(deployment{template: template}); status != "UPDATE_COMPLETE" {
		t.Fatal(status)
	}
	if status := w.destroy(); status != "DELETE_COMPLETE" {
		t.Error(status)
	}
}
