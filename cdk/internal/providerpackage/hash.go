package providerpackage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hashVersion changes when the way to build does.
const hashVersion = "1"

// listed is a package, as 'go list -json' has it.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *module
	GoFiles    []string
	SFiles     []string
	HFiles     []string
	EmbedFiles []string
}

type module struct {
	Path    string
	Version string
	Main    bool
	Replace *module
}

// released returns the version that says which files a module has, or "" where it is a
// directory on this machine.
func (m *module) released() string {
	if m.Replace != nil {
		if m.Replace.Version == "" {
			return ""
		}
		return m.Replace.Path + "@" + m.Replace.Version
	}
	if m.Main || m.Version == "" {
		return ""
	}
	return m.Path + "@" + m.Version
}

// hashOf returns a hash of what the program is made of. It is not one of the program's
// bytes, because these differ with the way in which Go found the modules: a build from a
// vendor folder records no sums.
func hashOf(goarch, goVersion string, packages []listed) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s\n%s", hashVersion, goarch, goVersion, program)
	slices.SortFunc(packages, func(a, b listed) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	for _, p := range packages {
		if p.Standard || p.Module == nil {
			continue
		}
		if version := p.Module.released(); version != "" {
			fmt.Fprintf(h, "%s of %s\n", p.ImportPath, version)
			continue
		}
		for _, file := range slices.Sorted(slices.Values(slices.Concat(p.GoFiles, p.SFiles, p.HFiles, p.EmbedFiles))) {
			sum, err := hashFile(filepath.Join(p.Dir, file))
			if err != nil {
				return "", fmt.Errorf("the provider's package cannot be built: %w", err)
			}
			fmt.Fprintf(h, "%s/%s is %s\n", p.ImportPath, filepath.ToSlash(file), sum)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
