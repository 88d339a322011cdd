package localawstest

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"testing"
)

// Package returns the package of a zip function, whose bootstrap is the program.
func Package(t testing.TB, program []byte) []byte {
	t.Helper()
	return Zip(t, "bootstrap", 0o755, program)
}

// Zip returns a zip archive of one file.
func Zip(t testing.TB, name string, mode fs.FileMode, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(mode)
	file, err := w.CreateHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
