// Command buildlayer writes the layers of the placeholder image: for each
// architecture a tar.gz that holds the runtime and nothing else, and beside it the
// digest of the tar, by which an image's configuration names the layer. The same
// sources give the same bytes on every machine.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// sources is the package of the runtime.
const sources = "github.com/tasuki-dev/tasuki/placeholder/runtime"

// program is the runtime's path in the layer.
const program = "tasuki-placeholder"

func main() {
	out := flag.String("out", ".", "the `folder` to write the layers to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "buildlayer:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	toolchain, err := pinnedToolchain()
	if err != nil {
		return err
	}
	env, err := environment(toolchain)
	if err != nil {
		return err
	}
	// gzip's output may change from one release of Go to the next, as the
	// compiler's does, so this program is run by the pinned one too.
	if runtime.Version() != toolchain {
		return again(toolchain, env, out)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		binary, err := build(arch, env)
		if err != nil {
			return err
		}
		layer, diffID, err := pack(binary)
		if err != nil {
			return fmt.Errorf("pack the layer for %s: %w", arch, err)
		}
		name := filepath.Join(out, "layer_"+arch)
		if err := os.WriteFile(name+".tar.gz", layer, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(name+".diffid", []byte(diffID), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pinnedToolchain returns the version in go.mod's toolchain line.
func pinnedToolchain() (string, error) {
	file, err := goCommand(nil, "env", "GOMOD")
	if err != nil {
		return "", err
	}
	b, err := goCommand(nil, "mod", "edit", "-json", strings.TrimSpace(string(file)))
	if err != nil {
		return "", err
	}
	var module struct{ Toolchain string }
	if err := json.Unmarshal(b, &module); err != nil {
		return "", fmt.Errorf("read go.mod: %w", err)
	}
	if module.Toolchain == "" {
		return "", errors.New("go.mod has no toolchain line, which says by which Go the layers are built")
	}
	return module.Toolchain, nil
}

// environment returns the process's environment with everything in it that could
// change what the go command builds taken out, the user's "go env -w" included.
// Where to download from and where to keep things stays as it is.
func environment(toolchain string) ([]string, error) {
	b, err := goCommand(nil, "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GONOPROXY", "GONOSUMDB")
	if err != nil {
		return nil, err
	}
	var kept map[string]string
	if err := json.Unmarshal(b, &kept); err != nil {
		return nil, fmt.Errorf("read go env: %w", err)
	}
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GO") {
			env = append(env, variable)
		}
	}
	for name, value := range kept {
		env = append(env, name+"="+value)
	}
	return append(env, "GOENV=off", "GOWORK=off", "GOTOOLCHAIN="+toolchain, "CGO_ENABLED=0"), nil
}

// again runs this program by the pinned toolchain.
func again(toolchain string, env []string, out string) error {
	if os.Getenv("GOTOOLCHAIN") == toolchain {
		return fmt.Errorf("this go command says that it is %s and was built as %s: install the release from go.dev", toolchain, runtime.Version())
	}
	_, err := goCommand(env, "run", "github.com/tasuki-dev/tasuki/placeholder/internal/buildlayer", "-out", out)
	return err
}

// build returns the runtime's static binary for linux on arch.
func build(arch string, env []string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "buildlayer-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, program)
	env = append(env, "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0")
	if _, err := goCommand(env, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", path, sources); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// pack returns a tar.gz that holds binary alone, owned by root and dated 1970, and
// the digest of the tar.
func pack(binary []byte) (layer []byte, diffID string, err error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, "", err
	}
	hash := sha256.New()
	t := tar.NewWriter(io.MultiWriter(z, hash))
	header := &tar.Header{Typeflag: tar.TypeReg, Name: program, Size: int64(len(binary)), Mode: 0o755, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := t.WriteHeader(header); err != nil {
		return nil, "", err
	}
	if _, err := t.Write(binary); err != nil {
		return nil, "", err
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, "", err
	}
	return b.Bytes(), "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

// goCommand runs the go command in env, the process's own where it is nil, and
// returns what it printed.
func goCommand(env []string, args ...string) ([]byte, error) {
	command := exec.Command("go", args...)
	command.Env, command.Stderr = env, os.Stderr
	b, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return b, nil
}
