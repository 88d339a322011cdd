//go:build cdk

package stacks

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The provider may do what it has to: what a policy does not allow is refused here, as
// in all scenarios. A function that was given a name is asked for before there is one.
func TestNamedFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.deploy("Renamed", "CREATE_COMPLETE")
	w.hasNoRelease()
	w.deliver(1)
	w.release("v1")
	w.deliver(1)
	w.runs("v1")
	w.allowed()
}

// allowed reports what was refused to a role.
func (w *world) allowed() {
	w.Helper()
	sessions := 0
	for _, c := range w.server.Calls().All() {
		if _, assumed := wire.RoleOf(c.Principal); !assumed {
			continue
		}
		sessions++
		if strings.HasPrefix(c.Code, "AccessDenied") || c.Status == http.StatusForbidden {
			w.Errorf("%s by %s was refused: it needs %v", c.Name(), c.Principal, c.Needs)
		}
	}
	if sessions == 0 {
		w.Error("nothing was called by a role")
	}
}
