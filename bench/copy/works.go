package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// work is something that every program does in turn.
type work struct {
	name    string
	title   string
	layers  int
	size    int64 // bytes of each layer
	network network
	one     bool // source and destination are one registry
	again   bool // all is there already
	alone   bool // Tasuki only
	runs    int  // 0 for as many as asked
}

func works() []work {
	return []work{
		{name: "registry", title: "1 GiB in 8 layers, registry to registry", layers: 8, size: gib / 8},
		{name: "limited", title: "one layer of 1 GiB, the source limited to 50 MB/s a connection", layers: 1, size: gib, network: network{limit: 50_000_000}},
		{name: "latency", title: "60 layers of 64 KiB, 50 ms a round trip", layers: 60, size: 64 << 10, network: network{delay: 25 * time.Millisecond}},
		{name: "mount", title: "256 MiB in 8 layers, within one registry that mounts", layers: 8, size: 32 * mib, one: true},
		{name: "again", title: "256 MiB in 8 layers, all there already", layers: 8, size: 32 * mib, again: true},
		{name: "large", title: "10 GiB in 8 layers, registry to registry", layers: 8, size: 10 * gib / 8, alone: true, runs: 1},
		{name: "cut", title: "64 MiB in 4 layers, every connection cut at random, 100 runs", layers: 4, size: 16 * mib, alone: true, runs: 100, network: network{cut: randomly(1, 256<<10, 24*mib)}},
	}
}

type bench struct {
	dir      string
	registry string
	runs     int
	copiers  []copier
}

// figures is what one program took for one work.
type figures struct {
	usages         []usage
	requests       int64
	up, down       int64 // bytes of bodies, to the destination and from the source
	mostUp, mostDn int64 // in the worst run
}

// do lets every program do a work, and prints what each took.
func (b *bench) do(ctx context.Context, w work) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	source, err := startRegistry(ctx, b.registry, filepath.Join(b.dir, w.name+"-source"))
	if err != nil {
		return err
	}
	defer source.stop()
	if err := put(ctx, source.addr, "app:v1", w.layers, w.size); err != nil {
		return err
	}
	copiers, runs := b.copiers, b.runs
	if w.alone {
		copiers = copiers[:1]
	}
	if w.runs > 0 {
		runs = w.runs
	}
	all := make([]figures, len(copiers))
	if !w.alone {
		// Whoever is the first finds memory that the system has yet to give out.
		first := copiers[len(copiers)-1]
		if err := b.once(ctx, w, source, first, first.name+"-first", new(figures), false); err != nil {
			return fmt.Errorf("%s: %w", first.name, err)
		}
	}
	for run := range runs {
		for turn := range copiers {
			i := (run + turn) % len(copiers) // each round begins with another program
			c := copiers[i]
			if err := b.once(ctx, w, source, c, fmt.Sprintf("%s%d", c.name, run), &all[i], w.network.cut != nil); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	// Counting takes time, so that it has a run of its own.
	if w.network.cut == nil && w.size*int64(w.layers) <= gib {
		for i, c := range copiers {
			if err := b.once(ctx, w, source, c, c.name+"-counted", &all[i], true); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	report(w, copiers, all)
	return nil
}

// once lets one program do a work once, into a registry that has nothing of it.
func (b *bench) once(ctx context.Context, w work, source *registry, c copier, name string, f *figures, count bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	destination := source
	if !w.one {
		var err error
		if destination, err = startRegistry(ctx, b.registry, filepath.Join(b.dir, w.name+"-destination")); err != nil {
			return err
		}
		defer destination.stop()
	}
	from, to := source.addr, destination.addr
	var down, up counter
	var err error
	if count {
		from, err = down.listen(ctx, from)
		if err == nil && w.one {
			to = from
		} else if err == nil {
			to, err = up.listen(ctx, to)
		}
	}
	near := [2]string{from, to}
	if err == nil && (w.network.delay > 0 || w.network.limit > 0 || w.network.cut != nil) {
		for i, limit := range []int64{w.network.limit, 0} {
			n := w.network
			n.before, n.limit = near[i], limit
			if near[i], err = n.listen(ctx); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	reference := "/copied-" + name + ":v1"
	if w.again {
		if _, err := c.copy(ctx, near[0]+"/app:v1", near[1]+reference); err != nil {
			return err
		}
		for _, counter := range []*counter{&down, &up} {
			counter.requests.Store(0)
			counter.up.Store(0)
			counter.down.Store(0)
		}
	}
	took, err := c.copy(ctx, near[0]+"/app:v1", near[1]+reference)
	if err != nil {
		return err
	}
	if err := same(ctx, source.addr+"/app:v1", destination.addr+reference); err != nil {
		return errors.Join(errors.New("the copy is not whole"), err)
	}
	if count {
		f.requests = down.requests.Load() + up.requests.Load()
		f.up, f.down = up.up.Load()+down.up.Load(), down.down.Load()
		f.mostUp, f.mostDn = max(f.mostUp, f.up), max(f.mostDn, f.down)
	}
	if !count || w.network.cut != nil {
		f.usages = append(f.usages, took)
	}
	return nil
}

// report prints a work's table.
func report(w work, copiers []copier, all []figures) {
	fmt.Printf("### %s\n\n| program | wall (least–most) | × tasuki | CPU | peak memory | requests | sent, MB | received, MB |\n|---|---|---|---|---|---|---|---|\n", w.title)
	own := median(all[0].usages, func(u usage) time.Duration { return u.Wall })
	for i, c := range copiers {
		f := all[i]
		wall := func(u usage) time.Duration { return u.Wall }
		took := median(f.usages, wall)
		memory := median(f.usages, func(u usage) int64 { return u.Memory })
		if len(copiers) == 1 {
			memory = slices.MaxFunc(f.usages, func(a, b usage) int { return int(a.Memory - b.Memory) }).Memory
		}
		counted := fmt.Sprintf("%d | %.1f | %.1f", f.requests, float64(f.up)/1e6, float64(f.down)/1e6)
		if f.requests == 0 {
			counted = "– | – | –"
		} else if f.mostUp != f.up || f.mostDn != f.down {
			counted = fmt.Sprintf("%d | ≤ %.1f | ≤ %.1f", f.requests, float64(f.mostUp)/1e6, float64(f.mostDn)/1e6)
		}
		least := slices.MinFunc(f.usages, func(a, b usage) int { return int(a.Wall - b.Wall) }).Wall
		most := slices.MaxFunc(f.usages, func(a, b usage) int { return int(a.Wall - b.Wall) }).Wall
		fmt.Printf("| %s | %s (%s–%s) | %.2f | %s | %.1f MB | %s |\n", c.name, seconds(took), seconds(least), seconds(most), took.Seconds()/own.Seconds(),
			seconds(median(f.usages, func(u usage) time.Duration { return u.CPU })), float64(memory)/1e6, counted)
	}
	fmt.Println()
}

func seconds(d time.Duration) string {
	if d < 100*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func median[T int64 | time.Duration](all []usage, of func(usage) T) T {
	values := make([]T, len(all))
	for i, u := range all {
		values[i] = of(u)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
