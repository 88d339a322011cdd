//go:build cdk

package stacks

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

// environmentAssembly names a folder that the stacks of folder infra are synthesized in
// already, for whoever runs the tests again and again. Without it they do that first.
const environmentAssembly = "TASUKI_STACKS_ASSEMBLY"

// What all tests share is made before they begin, and only read by them.
var (
	scratch  string            // a folder
	shapes   map[string]string // the templates of folder infra, by the names of its shapes
	provider asset             // the provider function's package
	versions *images
)

func TestMain(m *testing.M) {
	sandbox.Main()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if scratch, err = os.MkdirTemp("", "tasuki-stacks-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(scratch)
	// As a CI system would: the commit is not looked for in git at each command.
	for name, value := range map[string]string{"GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567", "TASUKI_HANDOFF": "", "TASUKI_TAG_PARAMETER": ""} {
		if err := os.Setenv(name, value); err != nil {
			return 1, err
		}
	}
	if versions, err = newImages(filepath.Join(scratch, "images")); err != nil {
		return 1, err
	}
	assembly := os.Getenv(environmentAssembly)
	if assembly == "" {
		assembly = filepath.Join(scratch, "cdk.out")
		if err := synthesize(assembly); err != nil {
			return 1, err
		}
	}
	if shapes, provider, err = load(assembly); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// synthesize makes the stacks of folder infra, once for all tests: it takes half a minute.
func synthesize(assembly string) error {
	program := filepath.Join(scratch, "infra")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "infra"
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build in folder infra: %w\n%s", err, out)
	}
	synth := exec.Command(program)
	synth.Dir, synth.Env = "infra", append(os.Environ(), "CDK_OUTDIR="+assembly)
	if out, err := synth.CombinedOutput(); err != nil {
		return fmt.Errorf("synthesize folder infra: %w\n%s", err, out)
	}
	return nil
}

// asset is a file that a template wants in the bootstrap bucket.
type asset struct {
	key     string
	content []byte
}

// load reads the templates of an assembly, and the one asset that they have in common.
func load(assembly string) (templates map[string]string, a asset, err error) {
	files, err := filepath.Glob(filepath.Join(assembly, "*.assets.json"))
	if err != nil {
		return nil, a, err
	}
	templates = map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, a, err
		}
		var manifest struct {
			Files map[string]struct {
				Source       struct{ Path, Packaging string }
				Destinations map[string]struct{ ObjectKey string }
			}
		}
		if err := json.Unmarshal(content, &manifest); err != nil {
			return nil, a, fmt.Errorf("%s: %w", file, err)
		}
		for _, f := range manifest.Files {
			path := filepath.Join(assembly, f.Source.Path)
			if f.Source.Packaging == "file" {
				template, err := os.ReadFile(path)
				if err != nil {
					return nil, a, err
				}
				templates[strings.TrimSuffix(filepath.Base(path), ".template.json")] = string(template)
				continue
			}
			if a.content, err = zipped(path); err != nil {
				return nil, a, err
			}
			for _, d := range f.Destinations {
				a.key = d.ObjectKey
			}
		}
	}
	return templates, a, nil
}
