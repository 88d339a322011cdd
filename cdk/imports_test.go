package tasukicdk_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImports: a program of constructs links no client of AWS, and of the first module
// only what describes things.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/tasuki-dev/tasuki"
	allowed := []string{"", "/customresource", "/policy", "/cdk", "/cdk/internal/providerpackage"}
	for _, path := range strings.Fields(string(out)) {
		if own, found := strings.CutPrefix(path, module); found && !slices.Contains(allowed, own) {
			t.Errorf("%s is imported", path)
		}
		if strings.HasPrefix(path, "github.com/aws/aws-sdk-go-v2") {
			t.Errorf("%s is linked", path)
		}
	}
}
