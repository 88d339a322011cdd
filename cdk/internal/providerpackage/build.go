// Package providerpackage builds the provider function's program with the user's own Go,
// from the modules that his own module requires.
package providerpackage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// importPath is the package whose Main is the provider's program.
const importPath = "github.com/tasuki-dev/tasuki/provider"

// program is the provider's main package. It is written here, and overlaid on the user's
// module, because 'go mod vendor' leaves out programs of other modules.
const program = `package main

import "` + importPath + `"

func main() { provider.Main() }
`

// programFile is the name that the program is overlaid under, in the module's directory.
const programFile = "tasuki_provider_main.go"

// Executable is the program's name in the package, which Lambda's provided runtimes ask for.
const Executable = "bootstrap"

// Options say what to build.
type Options struct {
	GOARCH string // arm64 or amd64
	Dir    string // in the module that requires Tasuki; "" for the working directory
	Cache  string // directory; "" for tasuki/provider in the user's cache directory, or, without one, a new temporary one
}

// Package is a directory with the program, and nothing else, in it.
type Package struct {
	Dir  string
	Hash string // of all that the program is made of: the same on every machine
}

// Build returns the package from the cache, else builds it. It needs the network only
// where modules have not been downloaded.
func Build(ctx context.Context, o Options) (Package, error) {
	goTool := tool{Options: o}
	cache, err := o.cache()
	if err != nil {
		return Package{}, err
	}
	flags, err := goTool.run(ctx, "env", "GOFLAGS")
	if err != nil {
		return Package{}, err
	}
	goTool.flags = cmp.Or(modFlag(string(flags)), neutralFlag)
	packages, err := goTool.list(ctx)
	if err != nil {
		return Package{}, err
	}
	version, err := goTool.version(ctx)
	if err != nil {
		return Package{}, err
	}
	hash, err := hashOf(o.GOARCH, version, packages)
	if err != nil {
		return Package{}, err
	}
	built := Package{Dir: filepath.Join(cache, hash), Hash: hash}
	if _, err := os.Stat(filepath.Join(built.Dir, Executable)); err == nil {
		return built, nil
	}
	return built, goTool.build(ctx, built.Dir)
}

func (o Options) cache() (string, error) {
	if o.Cache != "" {
		return o.Cache, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		// There is no home. What lies under a well-known name, where everybody can write,
		// is not to be put into an account.
		return os.MkdirTemp("", "tasuki-provider-")
	}
	return filepath.Join(user, "tasuki", "provider"), nil
}

// tool is the go command, for the provider's platform.
type tool struct {
	Options
	flags string // in place of the user's GOFLAGS; "" leaves these
}

// neutralFlag is for a GOFLAGS that changes nothing: in place of an empty one Go takes
// what 'go env -w' has written down.
const neutralFlag = "-trimpath"

// buildTags leaves out the RPC mode of aws-lambda-go, which provided runtimes do not use.
const buildTags = "lambda.norpc"

// list returns the packages that the provider is made of.
func (t tool) list(ctx context.Context) ([]listed, error) {
	out, err := t.run(ctx, "list", "-deps", "-tags="+buildTags, "-json=ImportPath,Dir,Standard,Module,GoFiles,SFiles,HFiles,EmbedFiles", importPath)
	if err != nil {
		return nil, err
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p listed
		if err := decoder.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list answered what is not a list of packages: %w", err)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// version returns the go command's minor version, as in go1.26. A new patch release
// makes no new package.
func (t tool) version(ctx context.Context) (string, error) {
	out, err := t.run(ctx, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	parts := strings.SplitN(strings.TrimSpace(string(out)), ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], "."), nil
}

// build puts the program into dir, all of it or nothing.
func (t tool) build(ctx context.Context, dir string) error {
	out, err := t.run(ctx, "env", "GOMOD")
	if err != nil {
		return err
	}
	module := filepath.Dir(strings.TrimSpace(string(out)))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("the provider's package cannot be kept: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "build-")
	if err != nil {
		return fmt.Errorf("the provider's package cannot be kept: %w", err)
	}
	defer os.RemoveAll(work)
	main := filepath.Join(module, programFile)
	overlay, err := writeOverlay(work, main)
	if err != nil {
		return fmt.Errorf("the provider's package cannot be built: %w", err)
	}
	done := filepath.Join(work, "package")
	_, err = t.run(ctx, "build", "-overlay="+overlay, "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-tags="+buildTags,
		"-o", filepath.Join(done, Executable), main)
	if err != nil {
		return err
	}
	if err := os.Rename(done, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, Executable)); there == nil {
			return nil // somebody else was quicker
		}
		return fmt.Errorf("the provider's package cannot be kept: %w", err)
	}
	return nil
}

// writeOverlay writes into work what makes the go command see the program at main.
func writeOverlay(work, main string) (string, error) {
	source := filepath.Join(work, "main.go")
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {main: source}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(work, "overlay.json")
	return file, os.WriteFile(file, overlay, 0o644)
}

// run runs the go command and returns its output. Of the user's own flags it keeps
// -mod alone: others would make another program.
func (t tool) run(ctx context.Context, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = t.Dir
	command.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+t.GOARCH, "CGO_ENABLED=0",
		"GOARM64=v8.0", "GOAMD64=v1", "GOEXPERIMENT=")
	if t.flags != "" {
		command.Env = append(command.Env, "GOFLAGS="+t.flags)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, explain(err, stderr.String())
	}
	return out, nil
}

// modFlag returns the -mod flag of GOFLAGS, or "".
func modFlag(flags string) string {
	for flag := range strings.FieldsSeq(flags) {
		if strings.HasPrefix(strings.TrimLeft(flag, "-"), "mod=") {
			return flag
		}
	}
	return ""
}

// instead is what to do where there is no Go that can build the package.
const instead = "or build it elsewhere, and give the zip file as the provider's Package"

// explain says in a sentence why the go command failed.
func explain(err error, stderr string) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("the provider's package is built with Go, which is not there: install Go 1.26 or later, %s", instead)
	case strings.Contains(stderr, "requires go >=") || strings.Contains(stderr, "toolchain not available"):
		return fmt.Errorf("the provider's package needs a later Go: %s: upgrade Go or leave GOTOOLCHAIN to its default, %s", cause(stderr), instead)
	case strings.Contains(stderr, "no required module provides package"), strings.Contains(stderr, "cannot find module providing package"), strings.Contains(stderr, "missing go.sum entry"), strings.Contains(stderr, "updates to go.mod needed"):
		return fmt.Errorf("the provider's modules are not all recorded: %s: run 'go mod tidy' (and 'go mod vendor' where the module has a vendor folder), %s", cause(stderr), instead)
	}
	return fmt.Errorf("the provider's package was not built: %w: %s", err, cause(stderr))
}

// cause returns the first line of what the go command said that is about an error.
func cause(stderr string) string {
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "go: downloading") {
			return strings.TrimSuffix(line, "; to add:")
		}
	}
	return "it did not say why"
}
