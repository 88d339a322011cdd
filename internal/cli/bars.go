package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

const (
	// redraw is how often bars are drawn anew.
	redraw = 200 * time.Millisecond
	// sampling is how often a bar's rate is measured.
	sampling = time.Second
	// longestBar and shortestBar bound the bar itself, in characters.
	longestBar, shortestBar = 40, 10
)

// bars is a terminal with progress bars below what is written to it. A nil bars has
// none, and draws nothing.
type bars struct {
	terminal io.Writer
	size     func() (columns, rows int)

	mu     sync.Mutex
	active []*bar // in the order in which they began
	drawn  int    // lines of bars on the screen
	last   time.Time
	next   *time.Timer // nil where nothing is active
}

// bar is one blob under way.
type bar struct {
	image.Progress
	rate    float64 // bytes a second; 0 for not known yet
	sampled int64
	at      time.Time // of the sample
}

// newBars returns the bars on w, nil where w is no terminal that can draw them. CI
// systems that have a terminal keep its output as a log.
func newBars(w io.Writer, environment func(string) string) *bars {
	file, isFile := w.(*os.File)
	if !isFile || environment("CI") != "" || environment("TERM") == "dumb" {
		return nil
	}
	if columns, _ := sizeOf(file); columns == 0 {
		return nil
	}
	return &bars{terminal: w, size: func() (int, int) { return sizeOf(file) }}
}

// Write writes whole lines above the bars.
func (b *bars) Write(lines []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.show(lines); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// set shows how far a blob is.
func (b *bars) set(p image.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.active, func(a *bar) bool { return a.Digest == p.Digest })
	if i < 0 {
		i = len(b.active)
		b.active = append(b.active, &bar{Progress: p, sampled: p.Done, at: time.Now()})
	}
	b.active[i].Progress = p
	if time.Since(b.last) >= redraw {
		b.draw()
	}
}

// remove takes a blob's bar away.
func (b *bars) remove(digest tasuki.Digest) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active = slices.DeleteFunc(b.active, func(a *bar) bool { return a.Digest == digest })
	b.draw()
}

// clear takes all bars away: nothing is under way any more.
func (b *bars) clear() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active = nil
	b.draw()
}

// draw puts the bars on the screen. To a terminal that is gone there is nothing to say.
func (b *bars) draw() { _ = b.show(nil) }

// show puts lines and the bars below them where the bars were, and sees to it that they
// are drawn again when nothing is heard: a rate falls, too.
func (b *bars) show(lines []byte) error {
	if b.next != nil {
		b.next.Stop()
		b.next = nil
	}
	var text bytes.Buffer
	if b.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA\x1b[J", b.drawn) // ECMA-48: cursor up, erase to the end
	}
	text.Write(lines)
	columns, rows := b.size()
	b.drawn = min(len(b.active), max(0, rows-1)) // what has scrolled away cannot be erased
	for i, a := range b.active {
		a.measure()
		if i < b.drawn {
			text.WriteString(a.line(columns) + "\n")
		}
	}
	if len(b.active) > 0 {
		b.last = time.Now()
		b.next = time.AfterFunc(sampling, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.draw()
		})
	}
	if text.Len() == 0 {
		return nil
	}
	_, err := b.terminal.Write(text.Bytes()) // one write, so that nothing flickers
	return err
}

// measure measures the rate, half of it from the last sample: steady enough to be read,
// and soon right again where it changes.
func (a *bar) measure() {
	passed := time.Since(a.at)
	if passed < sampling {
		return
	}
	now := max(0, float64(a.Done-a.sampled)) / passed.Seconds() // less where the blob was begun anew
	if a.rate == 0 {
		a.rate = now
	}
	a.rate, a.sampled, a.at = (a.rate+now)/2, a.Done, time.Now()
}

// line returns the bar in at most width columns.
func (a *bar) line(width int) string {
	numbers := fmt.Sprintf(" %5.1f/%s", float64(a.Done)/1e6, megabytes(a.Total))
	if a.rate >= 1 {
		left := time.Duration(float64(a.Total-a.Done) / a.rate * float64(time.Second))
		numbers += fmt.Sprintf("  %s/s  %s left", megabytes(int64(a.rate)), remaining(left))
	}
	name := a.Digest.Short() + " "
	room := min(longestBar, width-1-len(name)-len("[]")-len(numbers))
	text := name + strings.TrimLeft(numbers, " ")
	if room >= shortestBar {
		full := int(float64(room) * float64(a.Done) / float64(a.Total))
		text = name + "[" + strings.Repeat("=", full) + strings.Repeat(" ", room-full) + "]" + numbers
	}
	return text[:max(0, min(len(text), width-1))]
}

// remaining says how long something takes, as closely as a person wants to know.
func remaining(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= 100*time.Hour:
		return "days"
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
