package cloudformation

import (
	"context"
	"errors"
)

// mostAtOnce bounds how many resources of a stack are changed at the same time.
const mostAtOnce = 32

// errSkipped is the result of a node that was not visited, because one that it needs
// failed, or because the walk was stopped.
var errSkipped = errors.New("not reached")

// walk visits each node of a graph when all that it needs are visited, as many at a
// time as may be. A node is not visited where one that it needs failed. With stop, the
// first failure also ends the context of visits under way, and starts no others. Of a
// circle, which deletions can have when several deployments have failed one after the
// other, one node is visited all the same, and the others after it. The result has every
// node that failed or was not reached.
func walk(ctx context.Context, needs map[string][]string, stop bool, visit func(ctx context.Context, id string) error) map[string]error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		id  string
		err error
	}
	results := make(chan result)
	slots := make(chan struct{}, mostAtOnce)
	waiting, neededBy, failures := map[string]int{}, map[string][]string{}, map[string]error{}
	var ready []string
	for id, needed := range needs {
		for _, other := range needed {
			if _, known := needs[other]; known {
				waiting[id]++
				neededBy[other] = append(neededBy[other], id)
			}
		}
		if waiting[id] == 0 {
			ready = append(ready, id)
		}
	}
	running := 0
	settle := func(r result) {
		if r.err != nil {
			failures[r.id] = r.err
		}
		for _, id := range neededBy[r.id] {
			if waiting[id]--; waiting[id] == 0 {
				ready = append(ready, id)
			}
		}
	}
	blocked := func(id string) bool {
		if stop && len(failures) > 0 || ctx.Err() != nil {
			return true
		}
		for _, other := range needs[id] {
			if failures[other] != nil {
				return true
			}
		}
		return false
	}
	for {
		for len(ready) > 0 {
			id := ready[0]
			ready = ready[1:]
			if blocked(id) {
				settle(result{id, errSkipped})
				continue
			}
			running++
			go func() {
				slots <- struct{}{}
				err := visit(ctx, id)
				<-slots
				results <- result{id, err}
			}()
		}
		if running == 0 {
			id, circular := firstWaiting(waiting)
			if !circular {
				return failures
			}
			waiting[id], ready = 0, append(ready, id)
			continue
		}
		r := <-results
		running--
		settle(r)
		if r.err != nil && stop {
			cancel()
		}
	}
}

// firstWaiting returns the first node that still waits for others, and whether there is one.
func firstWaiting(waiting map[string]int) (string, bool) {
	for _, id := range sortedKeys(waiting) {
		if waiting[id] > 0 {
			return id, true
		}
	}
	return "", false
}

// reversed turns a graph round: what was needed needs who needed it.
func reversed(needs map[string][]string) map[string][]string {
	back := make(map[string][]string, len(needs))
	for id := range needs {
		back[id] = nil
	}
	for id, needed := range needs {
		for _, other := range needed {
			if _, known := needs[other]; known {
				back[other] = append(back[other], id)
			}
		}
	}
	return back
}
