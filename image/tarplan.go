package image

import (
	"archive/tar"
	"bytes"

	"github.com/tasuki-dev/tasuki"
)

// document is a small file of an archive.
type document struct {
	name    string
	content []byte
}

// plan says what is where in a tar archive, before any blob is read.
type plan struct {
	known []placed                // headers, documents and manifests
	blobs map[tasuki.Digest]int64 // where each blob's bytes begin
	size  int64                   // of the whole archive
}

// placed is bytes at an offset.
type placed struct {
	at    int64
	bytes []byte
}

const (
	tarBlock = 512
	// mostArchived is how many bytes an archive may be planned with: none has so many,
	// and sums stay what they are.
	mostArchived = 1 << 50
)

// newPlan plans an archive of documents, and of what was gathered. The same image always
// gives the same archive.
func newPlan(documents []document, b *bundle) (*plan, error) {
	p := &plan{blobs: map[tasuki.Digest]int64{}}
	for _, d := range documents {
		if err := p.add(d.name, int64(len(d.content)), d.content); err != nil {
			return nil, err
		}
	}
	for _, m := range b.manifests {
		if err := p.add(blobPath(m.Digest), int64(len(m.Bytes)), m.Bytes); err != nil {
			return nil, err
		}
	}
	for _, blob := range b.blobs {
		if err := p.add(blobPath(blob.Digest), blob.Size, nil); err != nil {
			return nil, err
		}
		p.blobs[blob.Digest] = p.size - padded(blob.Size)
	}
	p.size += 2 * tarBlock // the end, which is zeros
	return p, nil
}

// add places a member at the end; its content too, where it is known.
func (p *plan) add(name string, size int64, content []byte) error {
	if size > mostArchived || p.size > mostArchived {
		return failed(tasuki.ErrInvalid, "the manifest says that there are more than %d TiB, and no image has so much", mostArchived>>40)
	}
	var header bytes.Buffer
	if err := tar.NewWriter(&header).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return err
	}
	p.known = append(p.known, placed{p.size, header.Bytes()}, placed{p.size + int64(header.Len()), content})
	p.size += int64(header.Len()) + padded(size)
	return nil
}

func padded(size int64) int64 { return (size + tarBlock - 1) / tarBlock * tarBlock }
