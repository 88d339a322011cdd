package image

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/registry"
)

// transports is how a reference begins, and what follows.
const transports = "docker://HOST/NAME:TAG, docker-daemon:NAME:TAG, oci:PATH:TAG, oci-archive:FILE:TAG, docker-archive:FILE:NAME:TAG or s3://BUCKET/KEY"

// ErrReference is what an error is of a reference in none of the forms in the package's
// comment. Nothing was looked at, then.
var ErrReference = errors.New("not a reference of an image")

// misnamed returns the failure that says what is wrong with a reference.
func misnamed(format string, args ...any) *failure {
	return &failure{kind: tasuki.ErrInvalid, text: fmt.Sprintf(format, args...), cause: ErrReference}
}

// splitTransport divides a reference into its transport and what that transport reads.
func splitTransport(reference string) (transport, rest string, err error) {
	transport, rest, found := strings.Cut(reference, ":")
	switch {
	case found && transport == "docker":
		rest, found = strings.CutPrefix(rest, "//")
		if !found {
			return "", "", misnamed("after docker: come two slashes, as in docker://HOST/NAME:TAG")
		}
	case found && transport == "s3":
		rest, found = strings.CutPrefix(rest, "//")
		if !found {
			return "", "", misnamed("after s3: come two slashes, as in s3://BUCKET/KEY")
		}
	case found && (transport == "docker-daemon" || transport == "oci" || transport == "oci-archive" || transport == "docker-archive"):
	default:
		return "", "", misnamed("it does not say where the image is: give %s", transports)
	}
	if rest == "" {
		return "", "", misnamed("nothing follows %s: give %s", transport, transports)
	}
	return transport, rest, nil
}

// selector says which of several images in a file is meant. The zero selector
// means the only one.
type selector struct {
	tag    string // as it was given: a tag, or a whole name
	digest tasuki.Digest
}

func (s selector) isZero() bool { return s == selector{} }

func (s selector) String() string {
	if s.tag != "" {
		return printable(s.tag)
	}
	return s.digest.Short()
}

// matches reports whether s means the image of that digest, tag and name.
func (s selector) matches(digest tasuki.Digest, tag, name string) bool {
	switch {
	case !s.digest.IsZero():
		return digest == s.digest
	case s.tag != "":
		return s.tag == tag || name != "" && wholeName(s.tag) == wholeName(name)
	}
	return true
}

// splitPath divides PATH[:TAG|@DIGEST]. A path that exists as it stands is a path,
// whatever colons it has.
func splitPath(s string) (file string, pick selector, err error) {
	if _, err := os.Stat(s); err == nil {
		return s, selector{}, nil
	}
	if i := strings.LastIndex(s, "@sha256:"); i > 0 {
		digest, err := tasuki.ParseDigest(s[i+1:])
		if err != nil {
			return "", selector{}, misnamed("%v", err)
		}
		return s[:i], selector{digest: digest}, nil
	}
	volume := filepath.VolumeName(s) // C: on Windows
	file, tag, found := strings.Cut(s[len(volume):], ":")
	if found && tag == "" {
		return "", selector{}, misnamed("the tag after the last colon is empty")
	}
	if file == "" {
		return "", selector{}, misnamed("the path before the colon is empty")
	}
	return volume + file, selector{tag: tag}, nil
}

// Docker's names for its hub: what a name without a host means.
const (
	dockerHub        = "docker.io"
	dockerHubLibrary = "library/"
)

// parseRemote reads HOST/NAME[:TAG|@DIGEST] as Docker does: a name without a host
// is the hub's, and one without tag or digest means "latest".
func parseRemote(s string) (registry.Reference, error) {
	reference, err := registry.ParseReference(withHost(s))
	if err != nil {
		return registry.Reference{}, misnamed("it is not the name of an image in a registry: give docker://HOST/NAME:TAG or docker://HOST/NAME@DIGEST, without a user name or password")
	}
	if reference.Reference == "" {
		reference.Reference = "latest"
	}
	if strings.Contains(reference.Reference, ":") {
		if _, err := tasuki.ParseDigest(reference.Reference); err != nil {
			return registry.Reference{}, misnamed("%v", err)
		}
	}
	return reference, nil
}

// withHost returns an image's name with the host that Docker would add. The first
// part is a host where it has a dot or a colon, or is localhost.
func withHost(s string) string {
	host, name, found := strings.Cut(s, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, name = dockerHub, s
	}
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = dockerHub
	}
	if host == dockerHub && !strings.Contains(name, "/") {
		name = dockerHubLibrary + name
	}
	return host + "/" + name
}

// wholeName returns an image's name in the one form that two names can be compared
// in; a name that is none stays as it is.
func wholeName(s string) string {
	reference, err := parseRemote(s)
	if err != nil {
		return s
	}
	return reference.String()
}

// loopback reports whether host, which may have a port, is this machine. Docker
// speaks plain HTTP to registries there ("Deploy a registry server").
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
