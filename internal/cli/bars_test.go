package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// screen is a terminal that knows the sequences that bars use. What it shows is its
// lines; the cursor is at the beginning of the one below.
type screen struct {
	mu    sync.Mutex
	lines []string
	bare  int // writes that erased, and wrote nothing
}

var up = regexp.MustCompile("^\x1b\\[([0-9]+)A\x1b\\[J")

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := string(p)
	if m := up.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n > len(s.lines) {
			return 0, fmt.Errorf("the cursor goes up %s of %d lines", m[1], len(s.lines))
		}
		s.lines, text = s.lines[:len(s.lines)-n], strings.TrimPrefix(text, m[0])
		if text == "" {
			s.bare++
		}
	}
	if strings.Contains(text, "\x1b") || text != "" && !strings.HasSuffix(text, "\n") {
		return 0, fmt.Errorf("written: %q", text)
	}
	for line := range strings.Lines(text) {
		s.lines = append(s.lines, strings.TrimSuffix(line, "\n"))
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

const layerSize = 100e6

func layer(name string) image.Progress {
	return image.Progress{Digest: tasuki.DigestOf([]byte(name)), Total: layerSize}
}

func TestBars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := &screen{}
		p := &printer{streams: Streams{Err: terminal}, bars: &bars{terminal: terminal, size: func() (int, int) { return 100, 24 }}}
		tell := p.progress(pushes)
		one, two := layer("one"), layer("two")
		for range 50 {
			tell(two)
			tell(one)
			time.Sleep(100 * time.Millisecond)
			one.Done += 1e6
			two.Done += 1e5
		}
		tell(two)
		tell(one)
		p.say("still at it")
		want := strings.Join([]string{
			"tasuki: still at it",
			two.Digest.Short() + " [==                                      ]   5.0/100.0 MB  1.0 MB/s  1:35 left",
			one.Digest.Short() + " [====================                    ]  50.0/100.0 MB  10.0 MB/s  0:05 left",
		}, "\n")
		// It depends on who was told first whether the last tenth of a second counts.
		if got := strings.Replace(terminal.String(), " 9.9 MB/s", " 10.0 MB/s", 1); got != want {
			t.Errorf("the screen shows\n%s\nwant\n%s", got, want)
		}

		time.Sleep(10 * time.Second) // nothing is heard, and the rate falls
		if got := terminal.String(); !strings.Contains(got, "0.0 MB/s") || strings.Contains(got, "10.0 MB/s") {
			t.Errorf("after a silence the screen shows\n%s", got)
		}
		one.Done = layerSize
		tell(one)
		two.Present, two.Done = true, layerSize
		p.bars.clear()
		tell(two)
		want = strings.Join([]string{
			"tasuki: still at it",
			"tasuki: pushed layer " + one.Digest.Short() + ", 100.0 MB",
			"tasuki: layer " + two.Digest.Short() + " is there already",
		}, "\n")
		if got := terminal.String(); got != want {
			t.Errorf("at the end the screen shows\n%s\nwant\n%s", got, want)
		}
	})
}

// A failure is the last thing on the screen.
func TestBarsAreGoneWhenACommandFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := &screen{}
		p := &printer{streams: Streams{Err: terminal}, format: "text", bars: &bars{terminal: terminal, size: func() (int, int) { return 80, 24 }}}
		p.progress(pushes)(layer("one"))
		p.failed(usage("it broke"))
		if got := terminal.String(); got != "tasuki: error: it broke" {
			t.Errorf("the screen shows\n%s", got)
		}
		time.Sleep(time.Minute)
		if got := terminal.String(); got != "tasuki: error: it broke" {
			t.Errorf("later the screen shows\n%s", got)
		}
	})
}

// A layer of which not all was read, as of one that is damaged, has a bar until the end.
func TestBarsAreGoneBeforeAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := &screen{}
		p := &printer{streams: Streams{Out: terminal, Err: terminal}, format: "text", bars: &bars{terminal: terminal, size: func() (int, int) { return 80, 24 }}}
		p.progress(reads)(layer("one"))
		if err := p.result(nil, func(w io.Writer) { fmt.Fprintln(w, "1 error\nlooked at") }); err != nil {
			t.Error(err)
		}
		p.bars.clear()
		if got := terminal.String(); got != "1 error\nlooked at" {
			t.Errorf("the screen shows\n%s", got)
		}
	})
}

// What has scrolled away could not be erased, and a write that only erases is a flicker.
func TestBarsNeverFlickerNorScroll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := &screen{}
		b := &bars{terminal: terminal, size: func() (int, int) { return 80, 4 }}
		for i := range 10 {
			b.set(layer(strconv.Itoa(i)))
			time.Sleep(redraw)
		}
		fmt.Fprintln(b, "a line")
		if got := terminal.String(); strings.Count(got, "\n") != 3 || !strings.HasPrefix(got, "a line\n"+layer("0").Digest.Short()) {
			t.Errorf("on four rows the screen shows\n%s", got)
		}
		for i := range 7 {
			b.remove(layer(strconv.Itoa(i)).Digest)
		}
		if got := terminal.String(); !strings.HasPrefix(got, "a line\n"+layer("7").Digest.Short()) {
			t.Errorf("with three left the screen shows\n%s", got)
		}
		if terminal.bare != 0 {
			t.Errorf("%d writes only erased", terminal.bare)
		}
		b.clear()
		if got := terminal.String(); got != "a line" {
			t.Errorf("at the end the screen shows\n%s", got)
		}
	})
}

func TestBarsFitTheTerminal(t *testing.T) {
	b := &bar{Progress: layer("one"), rate: 12.5e6}
	b.Done = 42e6
	for width := range 200 {
		if line := b.line(width); len(line) > max(0, width-1) {
			t.Errorf("%d columns: %q", width, line)
		}
	}
	if line := b.line(60); strings.Contains(line, "[") || !strings.HasSuffix(line, "left") {
		t.Errorf("60 columns: %q", line)
	}
}

func TestNoBarsWithoutATerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{&bytes.Buffer{}, file} {
		if newBars(w, func(string) string { return "" }) != nil {
			t.Errorf("bars on a %T", w)
		}
	}
	var lines bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		p := &printer{streams: Streams{Err: &lines}}
		tell := p.progress(reads)
		for done := int64(0); done <= layerSize; done += 10e6 {
			b := layer("one")
			b.Done = done
			tell(b)
			time.Sleep(2 * time.Second)
		}
		tell(image.Progress{Digest: tasuki.DigestOf([]byte("small")), Done: 1000, Total: 1000})
	})
	name := layer("one").Digest.Short()
	want := "tasuki: reading layer " + name + ": 30.0 MB of 100.0 MB\ntasuki: reading layer " + name + ": 60.0 MB of 100.0 MB\n" +
		"tasuki: reading layer " + name + ": 90.0 MB of 100.0 MB\ntasuki: read layer " + name + ", 100.0 MB\n"
	if lines.String() != want {
		t.Errorf("lines\n%swant\n%s", lines.String(), want)
	}
}
