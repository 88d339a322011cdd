package contents

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// sameLayer is one layer, whichever is asked for.
type sameLayer []byte

func (l sameLayer) Layer(context.Context, tasuki.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l)), nil
}

// What counts is what all layers have together, and all of it: an archive may be
// followed by what no reader of archives sees.
func TestUncompressedBytesOfAllLayersCount(t *testing.T) {
	const zeros = 64 << 10 // an empty archive, and more
	var blob bytes.Buffer
	w := gzip.NewWriter(&blob)
	if _, err := w.Write(make([]byte, zeros)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer := tasuki.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: int64(blob.Len())}
	image := tasuki.Image{Layers: []tasuki.Descriptor{layer, layer, layer}}
	for most, want := range map[int64]int{3 * zeros: 0, 3*zeros - 1: 1} {
		got, err := unpack(t.Context(), image, sameLayer(blob.Bytes()), most)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.findings) != want || want == 1 && got.findings[0].Rule != lambdaimage.RuleTooLarge || got.whole != (want == 0) {
			t.Errorf("%d bytes allowed: %+v", most, got)
		}
	}
}
