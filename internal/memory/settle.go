package memory

import "time"

// SettleFunction ends the update of a function that is under way, if there is one,
// before UpdateTakes has passed.
func (a *AWS) SettleFunction(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f, there := a.functions[name]; there {
		f.settles = time.Now()
		a.settle(f)
	}
}
