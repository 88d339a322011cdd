package providerpackage

import (
	"archive/zip"
	"compress/flate"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// budget is what the zipped program may have in bytes: a deploy sends it, and each cold
// start loads it.
const budget = 6_000_000

func TestBuild(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-race -tags=other -ldflags=-X=main.a=b")
	hashes := map[string]bool{}
	for goarch, machine := range map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64} {
		o := Options{GOARCH: goarch, Cache: cache}
		built, err := Build(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		hashes[built.Hash] = true
		program := filepath.Join(built.Dir, Executable)
		file, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Machine != machine || file.Section(".interp") != nil {
			t.Errorf("%s: the program is for %v, or needs a dynamic linker", goarch, file.Machine)
		}
		size := zippedSize(t, program)
		t.Logf("%s: %d bytes zipped", goarch, size)
		if size > budget {
			t.Errorf("%s: the zipped program has %d bytes, and the budget is %d", goarch, size, budget)
		}
		was, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Build(t.Context(), o)
		if err != nil || again != built {
			t.Errorf("%s: the second package is %+v, %v, the first %+v", goarch, again, err, built)
		}
		if is, err := os.Stat(program); err != nil || !os.SameFile(was, is) {
			t.Errorf("%s: the program was built again: %v", goarch, err)
		}
	}
	if len(hashes) != 2 {
		t.Errorf("both architectures have the hash %v", hashes)
	}
	left, err := filepath.Glob(filepath.Join(cache, "build-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("building has left %q, %v", left, err)
	}
}

// TestFlagsThatAreWrittenDown: 'go env -w' keeps flags in a file, which count as those of
// the environment do.
func TestFlagsThatAreWrittenDown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("GOFLAGS=-race -mod=mod\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOENV", file)
	t.Setenv("GOFLAGS", "")
	goTool := tool{Options: Options{GOARCH: "arm64"}}
	flags, err := goTool.run(t.Context(), "env", "GOFLAGS")
	if err != nil || modFlag(string(flags)) != "-mod=mod" {
		t.Errorf("the flags are %q: %v", flags, err)
	}
	if _, err := Build(t.Context(), Options{GOARCH: "arm64", Cache: t.TempDir()}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte("GOFLAGS=-race\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), Options{GOARCH: "arm64", Cache: t.TempDir()}); err != nil {
		t.Error(err)
	}
}

// zippedSize returns how large a file is in a zip archive.
func zippedSize(t *testing.T, name string) int64 {
	t.Helper()
	source, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	archive, err := os.Create(filepath.Join(t.TempDir(), "package.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	w := zip.NewWriter(archive)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	entry, err := w.Create(Executable)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(entry, source); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	size, err := archive.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestBuildFromUsersModule: another module, with a vendor folder and without, gives the
// same package as this one.
func TestBuildFromUsersModule(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{
		"go.mod": "module example.com/infra\n\ngo 1.26.0\n\nrequire github.com/tasuki-dev/tasuki v0.0.0\n\nreplace github.com/tasuki-dev/tasuki => " + root + "\n",
		// What package tasukicdk has, without the rest of it: the CDK in a vendor folder
		// has hundreds of megabytes.
		"sums.go": "//go:build tasuki_provider\n\npackage infra\n\nimport _ \"" + importPath + "\"\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"tidy", "vendor"} {
		c := exec.CommandContext(t.Context(), "go", "mod", command)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go mod %s: %v: %s", command, err, out)
		}
	}
	cache := t.TempDir()
	want, err := Build(t.Context(), Options{GOARCH: "arm64", Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOPROXY", "off")
	for _, mod := range []string{"-mod=vendor", "-mod=readonly"} {
		t.Setenv("GOFLAGS", mod)
		built, err := Build(t.Context(), Options{GOARCH: "arm64", Dir: dir, Cache: t.TempDir()})
		if err != nil {
			t.Fatalf("%s: %v", mod, err)
		}
		if built.Hash != want.Hash {
			t.Errorf("%s: the hash is %s, and that of another module %s", mod, built.Hash, want.Hash)
		}
		if _, err := os.Stat(filepath.Join(built.Dir, Executable)); err != nil {
			t.Errorf("%s: %v", mod, err)
		}
	}
}

func TestFailuresAreSentences(t *testing.T) {
	t.Run("no Go", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		wantSentence(t, "Go, which is not there", "Package")
	})
	// What Go 1.24 says of this module, and what Go says of a module that nobody tidied.
	for said, parts := range map[string][]string{
		"go: ../go.mod requires go >= 1.26.0 (running go 1.24.1; GOTOOLCHAIN=local)":                                          {"needs a later Go", "1.26.0", "Package"},
		"go: downloading a.b v1\nmain.go:3:8: missing go.sum entry for module providing package a.b/c; to add:\n\tgo get a.b": {"not all recorded: main.go:3:8: missing go.sum entry for module providing package a.b/c: run", "go mod tidy"},
		"no required module provides package " + importPath:                                                                   {"not all recorded", "go mod tidy"},
		"write /tmp/x: no space left on device":                                                                               {"not built", "no space left"},
	} {
		t.Run(said, func(t *testing.T) {
			dir := t.TempDir()
			script := "#!/bin/sh\ncat >&2 <<'END'\n" + said + "\nEND\nexit 1\n"
			if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":/bin:/usr/bin")
			wantSentence(t, parts...)
		})
	}
}

func wantSentence(t *testing.T, parts ...string) {
	t.Helper()
	_, err := Build(t.Context(), Options{GOARCH: "arm64", Cache: t.TempDir()})
	if err == nil {
		t.Fatal("there is a package")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has several lines", err)
	}
}

func TestHashFollowsTheSource(t *testing.T) {
	dir := t.TempDir()
	local := listed{ImportPath: "a", Dir: dir, Module: &module{Path: "a", Version: "v0.0.0", Replace: &module{Path: "../"}}, GoFiles: []string{"a.go"}}
	hash := func(content, goarch, goVersion string, others ...listed) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		h, err := hashOf(goarch, goVersion, append(others, local))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	of := func(version string) listed {
		return listed{ImportPath: "b", Dir: "not looked at", GoFiles: []string{"b.go"}, Module: &module{Path: "b", Version: version}}
	}
	first := hash("package a", "arm64", "go1.26")
	if again := hash("package a", "arm64", "go1.26", listed{ImportPath: "fmt", Standard: true, GoFiles: []string{"x.go"}}); again != first {
		t.Errorf("the standard library's files change the hash")
	}
	seen := map[string]string{first: "first"}
	for name, h := range map[string]string{
		"source":       hash("package a //", "arm64", "go1.26"),
		"architecture": hash("package a", "amd64", "go1.26"),
		"Go":           hash("package a", "arm64", "go1.27"),
		"a module":     hash("package a", "arm64", "go1.26", of("v1.0.0")),
		"its version":  hash("package a", "arm64", "go1.26", of("v1.0.1")),
	} {
		if other := seen[h]; other != "" {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		seen[h] = name
	}
}
