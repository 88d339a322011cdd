package sandbox

import "testing"

func TestCountsByNamespace(t *testing.T) {
	for release, want := range map[string]bool{
		"6.18.44-amd64": true, "5.14.0-503.el9.x86_64": true, "10.0": true, "5.15.167.4-microsoft-standard-WSL2": true,
		"5.13.19": false, "5.4.0-200-generic": false, "4.18.0-553.el8": false, "unknown": false, "": false,
	} {
		if got := countsByNamespace(release); got != want {
			t.Errorf("kernel %q: got %t", release, got)
		}
	}
}
