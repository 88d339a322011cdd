package proof

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki/localaws"
)

// TestTwoReleases lets two programs release different tags at once, ten times as it
// happens, and ten times so that the right one's whole release lies between two calls of
// the left one's (scenarios S12 and S18).
func TestTwoReleases(t *testing.T) {
	t.Parallel()
	const free, rounds = 10, 20
	w := open(t, "")
	defer w.close(t)
	w.deploy(t, true)
	gate := newGate(t, w.server)
	told, undone, before := 0, 0, 0
	for round := range rounds {
		w.server.Calls().Reset()
		hold := 0
		if round >= free {
			hold = 10 + 2*(round-free) // a release makes some 30 calls; from the 25th on it is registered
		}
		held, resume := gate.delay(hold)
		var tags [2]string
		var images [2]layout
		var programs [2]*running
		for i, who := range []string{"left", "right"} {
			tags[i] = fmt.Sprintf("%s-%d", who, round)
			images[i] = versions.version(t, tags[i])
			programs[i] = w.program(t, [2]string{gate.URL, w.server.URL()}[i], tags[i], images[i], "AWS_ACCESS_KEY_ID="+who)
			if i == 0 && hold > 0 {
				select {
				case <-held:
				case <-programs[i].done: // it made fewer calls
				}
			}
		}
		var ends [2]ended
		ends[1] = programs[1].wait(t)
		resume()
		ends[0] = programs[0].wait(t)
		log := w.server.Calls().All()
		now, err := w.snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		winner, loser := 0, 1
		if now.Tag == tags[1] {
			winner, loser = 1, 0
		}
		answer, err := w.invoke(t.Context(), "")
		if now.Tag != tags[winner] || now.Digest != images[winner].digest || now.Function != images[winner].digest || answer != now.Tag || err != nil {
			t.Errorf("round %d: %+v, answers %q, %v\n%s\n%s", round, now, answer, err, ends[0], ends[1])
		}
		if ends[winner].code != 0 {
			t.Errorf("round %d: %s is registered and runs, and its release failed: %s", round, now.Tag, ends[winner])
		}
		switch {
		case ends[loser].code == 0 && strings.Contains(ends[loser].out, "superseded meanwhile by "+now.Tag):
			told++
		case ends[loser].code == 1:
			undone++
		case ends[loser].code == 0 && lastLook(log, loser).Before(registered(log, winner)):
			before++ // it was done before the other registered: one after the other
		default:
			t.Errorf("round %d: %s is registered, and the release of %s does not say so: %s", round, now.Tag, tags[loser], ends[loser])
		}
	}
	t.Logf("%d rounds: %d were told that they were superseded, %d failed and undid, %d were done before", rounds, told, undone, before)
}

// lastLook returns when a program began to read the parameter for the last time.
func lastLook(calls []localaws.Call, who int) (at time.Time) {
	for _, c := range calls {
		if c.Name() == "ssm:GetParameter" && c.Principal == [2]string{"left", "right"}[who] && c.Started.After(at) {
			at = c.Started
		}
	}
	return at
}

// registered returns when a program had written the parameter.
func registered(calls []localaws.Call, who int) (at time.Time) {
	for _, c := range calls {
		if c.Name() == "ssm:PutParameter" && c.Principal == [2]string{"left", "right"}[who] {
			at = c.Started.Add(c.Took)
		}
	}
	return at
}
