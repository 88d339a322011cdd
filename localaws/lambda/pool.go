package lambda

import (
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

// idleLimit is how long an environment without an invocation is kept.
const idleLimit = 5 * time.Minute

// key is a function's version, as it is named in an ARN.
type key struct{ name, version string }

// deleted stands for the version that a deleted function is at.
const deleted = "deleted"

// pool keeps environments that wait for another invocation. One in use belongs to
// the invocation; so concurrent invocations have an environment each.
type pool struct {
	mu     sync.Mutex
	closed bool
	live   map[key]string // the ID of the version in force, where it is known
	idle   map[key][]*environment
}

// environment is a sandbox with what the pool and its log have to know of it.
type environment struct {
	*sandbox.Environment
	key    key
	id     string // of the version that it runs
	log    *stream
	expiry *time.Timer // while it is idle
}

func newPool() *pool {
	return &pool{live: map[key]string{}, idle: map[key][]*environment{}}
}

// take returns an idle environment of the version, the one used last, or nil.
func (p *pool) take(k key, id string) *environment {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.live[k]; !known {
		p.live[k] = id
	}
	if p.live[k] != id {
		return nil
	}
	for waiting := p.idle[k]; len(waiting) > 0; waiting = p.idle[k] {
		e := waiting[len(waiting)-1]
		p.idle[k] = waiting[:len(waiting)-1]
		e.expiry.Stop()
		if e.Alive() {
			return e
		}
		e.Close() // at once: nothing is left of it
	}
	return nil
}

// put gives an environment back. It is kept if it can run the version in force, and
// closed if not.
func (p *pool) put(e *environment) {
	p.mu.Lock()
	keep := !p.closed && p.live[e.key] == e.id && e.Alive()
	if keep {
		e.expiry = time.AfterFunc(idleLimit, func() { p.expire(e) })
		p.idle[e.key] = append(p.idle[e.key], e)
	}
	p.mu.Unlock()
	if !keep {
		e.Close()
	}
}

// expire closes an environment that is still idle.
func (p *pool) expire(e *environment) {
	p.mu.Lock()
	found := false
	for i, waiting := range p.idle[e.key] {
		if waiting == e {
			p.idle[e.key] = append(p.idle[e.key][:i:i], p.idle[e.key][i+1:]...)
			found = true
			break
		}
	}
	p.mu.Unlock()
	if found {
		e.Close()
	}
}

// promote puts another version in force. Environments of the one before finish what
// they do, and are closed then.
func (p *pool) promote(k key, id string) {
	p.mu.Lock()
	p.live[k] = id
	waiting := p.idle[k]
	delete(p.idle, k)
	p.mu.Unlock()
	closeAll(waiting)
}

// close closes every idle environment, and from now on those that are put back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var all []*environment
	for k, waiting := range p.idle {
		all = append(all, waiting...)
		delete(p.idle, k)
	}
	p.mu.Unlock()
	closeAll(all)
}

func closeAll(environments []*environment) {
	for _, e := range environments {
		e.expiry.Stop()
		e.Close()
	}
}
