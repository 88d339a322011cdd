package sandbox

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestAdvice(t *testing.T) {
	for _, test := range []struct{ name, file, value, want string }{
		{"Ubuntu", "kernel/apparmor_restrict_unprivileged_userns", "1\n", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		{"Debian", "kernel/unprivileged_userns_clone", "0\n", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"none at all", "user/max_user_namespaces", "0\n", "sysctl -w user.max_user_namespaces=15000"},
		{"a container", "user/max_user_namespaces", "15000\n", "--security-opt seccomp=unconfined"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := advice(fstest.MapFS{test.file: {Data: []byte(test.value)}}); !strings.Contains(got, test.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}
