package contents

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// sameLayer is one layer, whichever is asked for.
type sameLayer []byte

func (l sameLayer) Layer(context.Context, tasuki.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l)), nil
}

// of is an image that has the layer n times.
func (l sameLayer) of(n int) tasuki.Image {
	var image tasuki.Image
	for range n {
		image.Layers = append(image.Layers, tasuki.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: int64(len(l))})
	}
	return image
}

// plain is what an image is allowed to have where a test does not say otherwise.
var plain = limits{lambdaimage.MaxSize, mostFiles, mostText}

// What counts is what all layers have together, and all of it: an archive may be
// followed by what no reader of archives sees.
func TestUncompressedBytesOfAllLayersCount(t *testing.T) {
	const size = 64 << 10 // an empty archive, and more
	layer := sameLayer(compressed(t, "gzip", size))
	for most, want := range map[int64]int{3 * size: 0, 3*size - 1: 1} {
		got, err := unpack(t.Context(), layer.of(3), layer, limits{most, mostFiles, mostText})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.findings) != want || want == 1 && got.findings[0].Rule != lambdaimage.RuleTooLarge || got.whole != (want == 0) || want == 0 && got.size != 3*size {
			t.Errorf("%d bytes allowed: %+v", most, got)
		}
	}
}

// compressed is a layer of that many zeros, which are an empty archive.
func compressed(t *testing.T, as string, size int64) []byte {
	t.Helper()
	var blob bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&blob)
	if as == "zstd" {
		var err error
		if w, err = zstd.NewWriter(&blob); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return blob.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A layer that is small and unpacks to much is counted, and neither held nor read on
// once it is too much.
func TestLayersThatUnpackToMuch(t *testing.T) {
	for as, test := range map[string]struct {
		size int64
		kept uint64
	}{"gzip": {64 << 20, 4 << 20}, "zstd": {128 << 20, 64 << 20}} { // a decoder of zstd keeps windows
		t.Run(as, func(t *testing.T) {
			layer := sameLayer(compressed(t, as, test.size))
			for allowed, want := range map[int64]int{test.size: 0, test.size / 4: 1} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				got, err := unpack(t.Context(), layer.of(1), layer, limits{allowed, mostFiles, mostText})
				runtime.ReadMemStats(&after)
				if err != nil || len(got.findings) != want {
					t.Fatalf("%d bytes allowed: %+v, %v", allowed, got, err)
				}
				if allocated := after.TotalAlloc - before.TotalAlloc; allocated > test.kept {
					t.Errorf("%d bytes allowed: %d MiB were allocated for %d MiB", allowed, allocated>>20, test.size>>20)
				}
			}
		})
	}
}

// A sparse file has more bytes than the archive holds of it, and Lambda unpacks them all.
func TestSparseFilesCountAsTheyAreUnpacked(t *testing.T) {
	layer := sameLayer(append(sparseFile(1<<30), make([]byte, 1024)...))
	for most, want := range map[int64]int{2 << 30: 0, 2<<30 - 1: 1} {
		got, err := unpack(t.Context(), layer.of(2), layer, limits{most, mostFiles, mostText})
		if err != nil || len(got.findings) != want || want == 1 && got.findings[0].Rule != lambdaimage.RuleTooLarge {
			t.Errorf("%d bytes allowed: %+v, %v", most, got, err)
		}
	}
}

// sparseFile is a member of an archive of GNU's old format: a file of that many zeros, none
// of which is there (GNU tar, "Storing Sparse Files").
func sparseFile(size int64) []byte {
	head := make([]byte, 512)
	copy(head, "zeros")
	for at, text := range map[int]string{100: "0000644\x00", 108: "0000000\x00", 116: "0000000\x00", 124: "00000000000\x00", 136: "00000000000\x00", 156: "S", 257: "ustar  \x00"} {
		copy(head[at:], text)
	}
	copy(head[386:], fmt.Sprintf("%011o\x00%011o\x00", size, 0)) // one piece, of nothing, at the end
	copy(head[483:], fmt.Sprintf("%011o\x00", size))
	copy(head[148:], "        ")
	sum := 0
	for _, b := range head {
		sum += int(b)
	}
	copy(head[148:], fmt.Sprintf("%06o\x00 ", sum))
	return head
}

// What is kept of an image is bounded: its files, and the directories on the way to them,
// and all names.
func TestWhatIsKeptIsBounded(t *testing.T) {
	long := strings.Repeat("n", 1000)
	tests := map[string]struct {
		header tar.Header
		most   limits // just enough for one of its layers
	}{
		"files":        {tar.Header{Name: "f", Typeflag: tar.TypeReg}, limits{plain.bytes, 1, mostText}},
		"directories":  {tar.Header{Name: "a/b/c/f", Typeflag: tar.TypeReg}, limits{plain.bytes, 4, mostText}},
		"removed ones": {tar.Header{Name: ".wh.f", Typeflag: tar.TypeReg}, limits{plain.bytes, 1, mostText}},
		"names":        {tar.Header{Name: long, Typeflag: tar.TypeReg}, limits{plain.bytes, mostFiles, 1000}},
		"way":          {tar.Header{Name: long + "/f", Typeflag: tar.TypeReg}, limits{plain.bytes, mostFiles, 1001}},
		"targets":      {tar.Header{Name: "f", Linkname: long, Typeflag: tar.TypeSymlink}, limits{plain.bytes, mostFiles, 1001}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var blob bytes.Buffer
			w := tar.NewWriter(&blob)
			if err := w.WriteHeader(&test.header); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			layer := sameLayer(blob.Bytes())
			for layers, want := range map[int]int{1: 0, 2: 1} {
				got, err := unpack(t.Context(), layer.of(layers), layer, test.most)
				if err != nil || len(got.findings) != want || want == 1 && got.findings[0].Rule != RuleTooManyFiles {
					t.Errorf("%d layers: %+v, %v", layers, got, err)
				}
			}
		})
	}
}

// An interpreter's name is kept, too.
func TestInterpretersAreBounded(t *testing.T) {
	script := "#!/" + strings.Repeat("i", 200) + "\n"
	var blob bytes.Buffer
	w := tar.NewWriter(&blob)
	if err := w.WriteHeader(&tar.Header{Name: "s", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(script))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, script); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer := sameLayer(blob.Bytes())
	for most, want := range map[int64]int{202: 0, 201: 1} {
		if got, err := unpack(t.Context(), layer.of(1), layer, limits{plain.bytes, mostFiles, most}); err != nil || len(got.findings) != want {
			t.Errorf("%d bytes of names allowed: %+v, %v", most, got, err)
		}
	}
}

// A source that sends nothing any more is not waited for, and says nothing of the image.
func TestSourcesThatFallSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() { _, _ = w.Write(make([]byte, 512)) }() // and no more
		began := time.Now()
		_, err := unpack(t.Context(), sameLayer("x").of(1), silent{r}, plain)
		if took := time.Since(began); !errors.Is(err, tasuki.ErrUnavailable) || took != longestQuiet {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// silent gives one layer.
type silent struct{ layer io.ReadCloser }

func (s silent) Layer(context.Context, tasuki.Descriptor) (io.ReadCloser, error) { return s.layer, nil }
