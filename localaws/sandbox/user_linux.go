package sandbox

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// The user that functions run as on Lambda, sbx_user1051.
const (
	functionUID = 993
	functionGID = 990
)

// nobody is the host's user whom root lends to functions.
const nobody = 65534

// user is who a function is to the host.
type user struct {
	uid, gid int
	lent     bool // another user than the one who runs the program
}

// functionUser returns whom functions run as. For an ordinary user it is himself:
// no other can be had. Root never runs functions as root: much of the kernel asks
// only whether a process has its user id, as /proc/sys does, and not for a
// capability. Root of a namespace without a nobody is an ordinary user outside it.
func functionUser() user {
	own := user{uid: os.Geteuid(), gid: os.Getegid()}
	if own.uid == 0 && mapped("/proc/self/uid_map") && mapped("/proc/self/gid_map") {
		return user{nobody, nobody, true}
	}
	return own
}

// mapped reports whether nobody's id exists in the namespace of the given map.
func mapped(file string) bool {
	content, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		var first, outside, count int64
		if _, err := fmt.Sscan(line, &first, &outside, &count); err == nil && first <= nobody && nobody < first+count {
			return true
		}
	}
	return false
}

// become has the process become the function's user in its own user namespace.
func (u user) become(attr *syscall.SysProcAttr) {
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: functionUID, HostID: u.uid, Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: functionGID, HostID: u.gid, Size: 1}}
	if u.lent {
		attr.Credential = &syscall.Credential{Uid: functionUID, Gid: functionGID}
		attr.GidMappingsEnableSetgroups = true // to leave root's groups
	}
}
