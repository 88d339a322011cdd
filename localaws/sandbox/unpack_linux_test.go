package sandbox_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

func folder(name string, mode int64) entry {
	return entry{tar.Header{Name: name, Mode: mode, Typeflag: tar.TypeDir}, ""}
}

func link(name, target string, kind byte) entry {
	return entry{tar.Header{Name: name, Linkname: target, Mode: 0o777, Typeflag: kind}, ""}
}

// tree returns the names in dir, without the mount points.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if top, _, _ := strings.Cut(name, "/"); top != "." && top != "dev" && top != "proc" && top != "tmp" && top != "etc" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestLayersOverlay(t *testing.T) {
	dir := unpack(t,
		layer(t, file("a/one", "1", 0o644), file("a/two", "2", 0o644), file("b/old", "x", 0o644), file("c", "file", 0o644), file("d/e", "", 0o644)),
		layer(t, file("a/.wh.one", "", 0o644), folder("b", 0o755), file("b/.wh..wh..opq", "", 0o644), file("b/new", "y", 0o644), folder("c", 0o755), file("c/now", "", 0o644), file(".wh.d", "", 0o644)),
		layer(t, file("a/two", "zwei", 0o644)))
	if got, want := tree(t, dir), "a a/two b b/new c c/now"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "a/two")); err != nil || string(content) != "zwei" {
		t.Errorf("the upper layer's file holds %q %v", content, err)
	}
}

func TestLayersCannotLeaveTheRoot(t *testing.T) {
	for _, test := range []struct {
		name    string
		entries []entry
		refused bool
	}{
		{"parent", []entry{file("../escaped", "x", 0o644)}, true},
		{"deep parent", []entry{file("a/../../escaped", "x", 0o644)}, true},
		{"link out", []entry{link("out", "..", tar.TypeSymlink), file("out/escaped", "x", 0o644)}, true},
		{"hard link out", []entry{link("out", "../secret", tar.TypeLink)}, true},
		{"whiteout", []entry{file("../.wh.secret", "", 0o644)}, true},
		// What is absolute in an image is so within its root.
		{"absolute", []entry{file("/inside", "x", 0o644)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			parent := t.TempDir()
			if err := os.WriteFile(filepath.Join(parent, "secret"), []byte("s"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := sandbox.Unpack(t.Context(), filepath.Join(parent, "rootfs"), layer(t, test.entries...))
			if (err != nil) != test.refused {
				t.Errorf("got %v", err)
			}
			want := "rootfs secret"
			if test.refused {
				want = "secret"
			}
			entries, err := os.ReadDir(parent)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("there is %s, want %s", got, want)
			}
		})
	}
}

func TestAbsoluteLinksStayInTheImage(t *testing.T) {
	dir := unpack(t, functionLayer(t, link("tmp", "/var/tmp", tar.TypeSymlink), link("etc", "/usr/etc", tar.TypeSymlink), folder("usr/etc", 0o755), link("alias", "/function", tar.TypeSymlink)))
	e := start(t, sandbox.Config{Rootfs: dir, Command: []string{"/alias"}})
	ask[any](t, e, `{"do":"write","path":"/tmp/x","text":"x"}`)
}

func TestCompressedLayers(t *testing.T) {
	content := tarball(t, file("data", "some data", 0o644))
	for name, compress := range map[string]func([]byte) []byte{"plain": func(b []byte) []byte { return b }, "gzip": gzipped, "zstd": zstandard} {
		t.Run(name, func(t *testing.T) {
			blob := compress(content)
			dir := unpack(t, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil })
			if got, err := os.ReadFile(filepath.Join(dir, "data")); err != nil || string(got) != "some data" {
				t.Errorf("got %q %v", got, err)
			}
		})
	}
}

func gzipped(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// zstandard returns a frame of one raw block (RFC 8878, section 3.1.1), which holds
// 256 to 65,791 bytes.
func zstandard(content []byte) []byte {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0b0110_0000}
	frame = binary.LittleEndian.AppendUint16(frame, uint16(len(content)-256))
	head := uint32(len(content))<<3 | 1
	frame = append(frame, byte(head), byte(head>>8), byte(head>>16))
	return append(frame, content...)
}

// Red Hat's and Amazon's images have folders that nobody may write to.
func TestClosedFoldersCanBeFilledAndRemoved(t *testing.T) {
	dir := unpack(t,
		layer(t, folder("usr/bin", 0o555), file("usr/bin/a", "x", 0o755), folder("root", 0o000), file("root/b", "x", 0o000)),
		layer(t, file("usr/bin/c", "x", 0o4755), entry{tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8, Mode: 0o660}, ""}))
	info, err := os.Stat(filepath.Join(dir, "usr/bin/c"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o555 { // no set-uid, and the owner has what others have
		t.Errorf("a set-uid program of mode 4755 has mode %v", info.Mode())
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

func TestImageThatIsTooLarge(t *testing.T) {
	head := tarball(t) // the header alone, so that no test writes 10 GiB
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "huge", Size: 10<<30 + 1, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	b.Write(head)
	dir := filepath.Join(t.TempDir(), "rootfs")
	err := sandbox.Unpack(t.Context(), dir, func() (io.ReadCloser, error) { return io.NopCloser(&b), nil })
	if !errors.Is(err, sandbox.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestUnpackIsAllOrNothing(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "rootfs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sandbox.Unpack(ctx, dir, layer(t, file("a", "x", 0o644))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 0 {
		t.Errorf("there is %v %v", entries, err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := sandbox.Unpack(t.Context(), dir, layer(t, file("a", "x", 0o644))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("there is %v %v", entries, err)
	}
}

func TestUnpackZip(t *testing.T) {
	write := func(name string, mode fs.FileMode, content []byte) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "function.zip")
		if err := os.WriteFile(path, localawstest.Zip(t, name, mode, content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dir := filepath.Join(t.TempDir(), "rootfs")
	if err := sandbox.UnpackZip(t.Context(), dir, write("bootstrap", 0o755, buildFunction(t, "amd64"))); err != nil {
		t.Fatal(err)
	}
	e := start(t, sandbox.Config{Rootfs: dir, Command: []string{"/var/task/bootstrap"}})
	if who := ask[identity](t, e, `{}`); who.Dir != "/var/task" {
		t.Errorf("it runs in %s", who.Dir)
	}
	for _, name := range []string{"../escaped", "/escaped"} {
		outside := filepath.Join(t.TempDir(), "rootfs")
		if err := sandbox.UnpackZip(t.Context(), outside, write(name, 0o644, nil)); !errors.Is(err, sandbox.ErrNotZip) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := sandbox.UnpackZip(t.Context(), filepath.Join(t.TempDir(), "rootfs"), os.Args[0]); !errors.Is(err, sandbox.ErrNotZip) {
		t.Errorf("no zip: got %v", err)
	}
}

// What an archive says of its files is held against the limit before anything is
// unpacked, numbers included that would overflow, and none gives more than it says.
func TestZipThatIsTooLarge(t *testing.T) {
	archive := func(sizes ...uint64) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "function.zip")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := zip.NewWriter(f)
		for i, size := range sizes {
			// A kilobyte, however much it is said to be.
			out, err := w.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i), Method: zip.Store, UncompressedSize64: size, CompressedSize64: 1024})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write(make([]byte, 1024)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const limit = 262144000
	for _, c := range []struct {
		sizes []uint64
		want  error
	}{
		{[]uint64{limit}, sandbox.ErrZipTooLarge},
		{[]uint64{limit / 2, limit / 2}, sandbox.ErrZipTooLarge},
		{[]uint64{1 << 63}, sandbox.ErrZipTooLarge},
		{[]uint64{1 << 63, 1 << 63}, sandbox.ErrZipTooLarge},
		{[]uint64{100}, sandbox.ErrNotZip}, // it unpacks to more than it says
	} {
		dir := filepath.Join(t.TempDir(), "rootfs")
		if err := sandbox.UnpackZip(t.Context(), dir, archive(c.sizes...)); !errors.Is(err, c.want) {
			t.Errorf("%v: got %v, want %v", c.sizes, err, c.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v: it was unpacked", c.sizes)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	dir := unpack(b, functionLayer(b))
	for b.Loop() {
		e, err := sandbox.Start(b.Context(), sandbox.Config{Rootfs: dir, Command: []string{"/function"}, Output: io.Discard})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		e.Close()
		b.StartTimer()
	}
}

func BenchmarkInvoke(b *testing.B) {
	e := start(b, sandbox.Config{Rootfs: unpack(b, functionLayer(b))})
	for b.Loop() {
		if _, err := invoke(e, `{}`); err != nil {
			b.Fatal(err)
		}
	}
}
