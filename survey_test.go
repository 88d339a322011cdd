package tasuki_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki"
)

func (r *relay) surveyor() tasuki.Surveyor {
	return tasuki.Surveyor{Reconciler: r.reconciler(), Batch: r.AWS, History: r.AWS}
}

// another returns a handoff of the same function and repository with a parameter of
// its own.
func (r *relay) another(name string) tasuki.Handoff {
	h := r.handoff
	h.Name = mustHandoff(name)
	h.TagParameter = h.Name.TagParameter()
	return h
}

// surveyed is what was reported of one handoff.
type surveyed struct {
	Handoff string
	Release string
	Status  string
	Err     string
}

func printed(h tasuki.Handoff, status tasuki.Status, err error) surveyed {
	s := surveyed{Handoff: h.Name.String()}
	if err != nil {
		s.Err = err.Error()
	}
	if release := status.Registered; release != nil {
		status.Registered = nil
		s.Release = fmt.Sprintf("%s %+v, with a record: %v", release.Tag, release.Version, release.Record != nil)
	}
	s.Status = fmt.Sprintf("%+v", status)
	return s
}

// survey returns what is reported of handoffs, in their order.
func survey(t *testing.T, s tasuki.Surveyor, handoffs []tasuki.Handoff) []surveyed {
	t.Helper()
	var mu sync.Mutex
	reports := make([]surveyed, len(handoffs))
	s.Survey(t.Context(), slices.Values(handoffs), func(i int, h tasuki.Handoff, status tasuki.Status, err error) {
		mu.Lock()
		defer mu.Unlock()
		if reports[i].Handoff != "" {
			t.Errorf("%s was reported twice", h.Name)
		}
		reports[i] = printed(h, status, err)
	})
	return reports
}

// oneByOne returns what Status says of each handoff by itself.
func oneByOne(t *testing.T, r *relay, handoffs []tasuki.Handoff) []surveyed {
	t.Helper()
	var reports []surveyed
	for _, h := range handoffs {
		status, err := r.reconciler().Status(t.Context(), h)
		reports = append(reports, printed(h, status, err))
	}
	return reports
}

// everyKind returns 33 handoffs: most with a release, and one of each other kind.
func everyKind(t *testing.T, r *relay) []tasuki.Handoff {
	t.Helper()
	handoffs := []tasuki.Handoff{r.handoff}
	for i := range 27 {
		h := r.another(fmt.Sprintf("many-%d", i))
		if _, err := r.registrar().Register(t.Context(), h, mustTag("v1"), tasuki.Provenance{Actor: "zoe"}); err != nil {
			t.Fatal(err)
		}
		handoffs = append(handoffs, h)
	}
	r.PutParameter(r.another("by-hand").TagParameter, "v1", "String")
	r.PutParameter(r.another("early").TagParameter, "initial", "String")
	r.PutParameter(r.another("hostile").TagParameter, "a@b", "String")
	r.PutParameter(r.another("secret").TagParameter, "v1", "SecureString")
	for _, name := range []string{"by-hand", "early", "hostile", "secret", "missing"} {
		handoffs = append(handoffs, r.another(name))
	}
	return handoffs
}

func TestSurveySaysWhatStatusSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		handoffs := everyKind(t, r)
		want := oneByOne(t, r, handoffs)
		var mu sync.Mutex
		calls := map[string]int{}
		r.Before = func(operation, _ string) error {
			mu.Lock()
			defer mu.Unlock()
			calls[operation]++
			return nil
		}
		if diff := gocmp.Diff(want, survey(t, r.surveyor(), handoffs)); diff != "" {
			t.Errorf("the survey differs (-status +survey)\n%s", diff)
		}
		// Four batches, the last of which reads again for the missing one. What a function
		// runs is looked at once more where it is not registered.
		for operation, most := range map[string]int{"ReadTag": 0, "ReadTags": 4 + 9, "TagHistory": 29, "Function": len(handoffs), "Manifests": len(handoffs) + 4} {
			if calls[operation] > most {
				t.Errorf("%s was called %d times, and %d are needed", operation, calls[operation], most)
			}
		}
		if calls["ReadTags"] < 4+5 {
			t.Errorf("ReadTags was called %d times: the missing parameter was not confirmed", calls["ReadTags"])
		}
	})
}

// Where a caller may not read in batches, or not all of them, each handoff fails or
// succeeds by itself.
func TestSurveyWithoutBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		handoffs := everyKind(t, r)
		denied := handoffs[5].TagParameter.String()
		deny := func(batches bool) func(operation, subject string) error {
			return func(operation, subject string) error {
				if subject == denied && (operation == "ReadTag" || operation == "TagHistory") || operation == "ReadTags" && batches {
					return &tasuki.Error{Op: "read", Side: tasuki.SideTag, Subject: cmp.Or(subject, "several"), Kind: tasuki.ErrDenied}
				}
				return nil
			}
		}
		r.Before = deny(true)
		want := oneByOne(t, r, handoffs)
		if want[5].Err == "" || want[6].Err != "" {
			t.Fatalf("%v, %v: one of them should be denied", want[5], want[6])
		}
		for _, batches := range []bool{true, false} {
			r.Before = deny(batches)
			if diff := gocmp.Diff(want, survey(t, r.surveyor(), handoffs)); diff != "" {
				t.Errorf("batches denied: %v: the survey differs (-status +survey)\n%s", batches, diff)
			}
		}
	})
}

// A parameter that shows itself within 5 s was there.
func TestSurveyDoesNotBelieveAStaleMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		late := r.another("late")
		time.AfterFunc(4*time.Second, func() { r.PutParameter(late.TagParameter, "v1", "String") })
		reports := survey(t, r.surveyor(), []tasuki.Handoff{r.handoff, late})
		if want := oneByOne(t, r, []tasuki.Handoff{late})[0]; reports[1] != want {
			t.Errorf("got %+v, want %+v", reports[1], want)
		}
	})
}

// staleHistory answers the history as it was, so many times.
type staleHistory struct {
	settled  tasuki.TagHistory
	mu       sync.Mutex
	times    int
	versions []tasuki.ParameterVersion
	err      error
}

func (s *staleHistory) TagHistory(ctx context.Context, name tasuki.ParameterName) ([]tasuki.ParameterVersion, error) {
	s.mu.Lock()
	s.times--
	stale := s.times >= 0
	s.mu.Unlock()
	if stale {
		return s.versions, s.err
	}
	return s.settled.TagHistory(ctx, name)
}

// A record is believed only if it belongs to the version.
func TestSurveyHoldsTheHistoryAgainstTheValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1", "v2")
		handoffs := []tasuki.Handoff{r.handoff, r.another("missing")}
		want := oneByOne(t, r, handoffs)
		versions, err := r.TagHistory(t.Context(), r.handoff.TagParameter)
		if err != nil {
			t.Fatal(err)
		}
		rewritten := slices.Clone(versions)
		rewritten[0].Value = "v3"
		missing := &tasuki.Error{Op: "read", Side: tasuki.SideTag, Kind: tasuki.ErrMissing}
		for what, history := range map[string]*staleHistory{
			"an earlier version": {versions: versions[1:]},
			"another value":      {versions: rewritten},
			"no history":         {err: missing},
		} {
			history.settled, history.times = r.AWS, 1
			s := r.surveyor()
			s.History = history
			if diff := gocmp.Diff(want, survey(t, s, handoffs)); diff != "" {
				t.Errorf("%s: the survey differs (-status +survey)\n%s", what, diff)
			}
		}
		// A later version is what somebody has registered meanwhile.
		s := r.surveyor()
		s.Batch = batchOf{r.AWS, versions[1]}
		if diff := gocmp.Diff(want, survey(t, s, handoffs)); diff != "" {
			t.Errorf("a later version: the survey differs (-status +survey)\n%s", diff)
		}
	})
}

// batchOf answers one version in place of the current one.
type batchOf struct {
	tasuki.TagBatchReader
	version tasuki.ParameterVersion
}

func (b batchOf) ReadTags(ctx context.Context, names ...tasuki.ParameterName) (map[tasuki.ParameterName]tasuki.ParameterVersion, error) {
	found, err := b.TagBatchReader.ReadTags(ctx, names...)
	if _, there := found[b.version.Name]; there {
		found[b.version.Name] = b.version
	}
	return found, err
}

// A sequence is not read further than what is being worked on: of a thousand missing
// parameters, only so many are held at once.
func TestSurveyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		const n = 3000
		var mu sync.Mutex
		taken, reported, most := 0, 0, 0
		r.surveyor().Survey(t.Context(), func(yield func(tasuki.Handoff) bool) {
			for i := range n {
				mu.Lock()
				taken++
				most = max(most, taken-reported)
				mu.Unlock()
				if !yield(r.another(fmt.Sprintf("many-%d", i))) {
					return
				}
			}
		}, func(_ int, h tasuki.Handoff, _ tasuki.Status, err error) {
			mu.Lock()
			defer mu.Unlock()
			reported++
			if err != nil {
				t.Errorf("%s: %v", h.Name, err)
			}
		})
		if reported != n || most > 700 {
			t.Errorf("%d of %d were reported, and %d held at once", reported, n, most)
		}
	})
}

func TestSurveyEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		started := time.Now()
		r.surveyor().Survey(ctx, slices.Values([]tasuki.Handoff{r.handoff, r.another("missing")}), func(_ int, h tasuki.Handoff, _ tasuki.Status, err error) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", h.Name, err)
			}
		})
		if took := time.Since(started); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
