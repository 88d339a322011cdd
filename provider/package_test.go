package provider

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// largestPackage is the budget of the provider's package in bytes, zipped.
const largestPackage = 6_000_000

// build builds the program in a folder for Lambda.
func build(arch, folder string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "tasuki-provider-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "program")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", path, folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if output, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, output)
	}
	return os.ReadFile(path)
}

// pack builds the provider for an architecture, in Go's words, and zips it as Lambda
// takes it.
func pack(arch string) ([]byte, error) {
	program, err := build(arch, "../cmd/tasuki-provider")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	file, err := w.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func TestThePackageIsSmall(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		zipped, err := pack(arch)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes zipped", arch, len(zipped))
		if len(zipped) > largestPackage {
			t.Errorf("%s: the package has %d bytes, and %d is the budget", arch, len(zipped), largestPackage)
		}
	}
}
