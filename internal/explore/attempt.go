package explore

import (
	"errors"

	"github.com/tasuki-dev/tasuki"
)

// attempt is one run of a command.
type attempt struct {
	recollection

	name    string
	actor   int // index; -1 for nobody's
	command Command
	ended   bool
	dead    bool

	updates map[string]int    // that it has made, by function
	looks   map[string]int    // at the update of a function that is under way
	repeats int               // of a read of the parameter that has not been believed yet
	tested  map[string]string // the image that passed its test last, by function

	newest     int  // version of the parameter when its first operation was done; -1 before
	saw        int  // version that it read last; 0 for none
	lastStale  bool // its last read of the parameter was stale
	misses     int  // reads on end that found no parameter
	undone     bool // it said that it failed, and that all is undone
	unreadable bool // its last read of the parameter failed
}

// request is an operation that stands at its gate.
type request struct {
	attempt *attempt
	op      operation
	at      site
	verdict chan verdict // buffered, so that answering never blocks
}

// begins notes the newest version of the parameter when the first operation of a command
// that reports a registration is done: it might have been started only then. It reports
// whether this is the first one.
func (a *attempt) begins(newest int) bool {
	if a.newest >= 0 || a.command.Kind == Reconciles || a.command.Kind == Deploys {
		return false
	}
	a.newest = newest
	return true
}

// sees notes that the attempt reads the parameter.
func (a *attempt) sees(newest int, stale bool) { a.saw, a.lastStale = newest, stale }

// answered notes how reading the parameter ended.
func (a *attempt) answered(err error) {
	switch {
	case err == nil:
		a.misses, a.unreadable = 0, false
	case errors.Is(err, tasuki.ErrMissing):
		a.misses++
	default:
		a.unreadable = true
	}
}

// looked notes whether the attempt was told that an update of a function is under way.
func (a *attempt) looked(function string, updating bool) {
	if updating {
		a.looks[function]++
	} else {
		a.looks[function] = 0
	}
}

// updated notes that the attempt has begun an update of a function, and was told so.
func (a *attempt) updated(function string) {
	a.updates[function]++
	a.looked(function, true)
}

// passed notes that an image has passed its test on a function.
func (a *attempt) passed(function, image string) { a.tested[function] = image }
