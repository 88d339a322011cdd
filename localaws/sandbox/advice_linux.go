package sandbox

import (
	"io/fs"
	"strings"
)

// switches are the kernel's settings that forbid what a sandbox needs, in the order
// in which they matter, and how they are lifted.
var switches = []struct{ file, forbids, allow string }{
	{"kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"},
	{"kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
	{"user/max_user_namespaces", "0", "user.max_user_namespaces=15000"},
}

// advice says what to do on a host with the given settings, the files of /proc/sys.
func advice(settings fs.FS) string {
	for _, s := range switches {
		if value, err := fs.ReadFile(settings, s.file); err == nil && strings.TrimSpace(string(value)) == s.forbids {
			return "run 'sudo sysctl -w " + s.allow + "', or run tasuki as root"
		}
	}
	return "user namespaces have to be allowed; in a Docker container, start it with --privileged, or with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
}
