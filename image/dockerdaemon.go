package image

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/tasuki-dev/tasuki"
)

// mostExported is how many bytes of an image an engine may send. It is kept on disk, and
// Lambda allows 10 GiB uncompressed, which is how engines send layers; what is beyond
// that is names, and other platforms' images.
const mostExported = 12 << 30

// openDaemon opens an image that Docker Engine or Podman has, by the Engine API. The
// engine sends what docker save writes, once, and tells at the end what it was: so it is
// put into a temporary file, which is gone when the source is closed
// (docs/adr/0013-an-engines-image-is-spooled.md).
func openDaemon(ctx context.Context, name string) (store, error) {
	name, err := daemonName(name)
	if err != nil {
		return nil, err
	}
	e, err := findEngine()
	if err != nil {
		return nil, err
	}
	defer e.client.CloseIdleConnections()
	var s *spool
	err = retry(ctx, func() (err error) {
		s, err = e.export(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	a, err := newArchive(ctx, s, s.size, s)
	var at store
	if err == nil {
		at, err = openSaved(ctx, a, selector{})
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return at, nil
}

// imageID is how engines name images beside their tags.
var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{12,64}$`)

// daemonName returns an image's name as an engine takes it. Without a tag an engine
// would send every image of that name.
func daemonName(s string) (string, error) {
	if imageID.MatchString(s) {
		return s, nil
	}
	reference, err := parseRemote(s)
	if err != nil {
		return "", misnamed("it is not the name of an image: give docker-daemon:NAME:TAG or docker-daemon:ID")
	}
	if reference.Reference == "latest" && !strings.HasSuffix(s, ":latest") {
		return s + ":latest", nil
	}
	return s, nil
}

// engine is Docker Engine, or Podman's service of the same form.
type engine struct {
	address string // as a person would give it
	client  *http.Client
	url     url.URL
}

// findEngine returns the engine that the environment names, else the one whose socket is
// where Docker and Podman put it.
func findEngine() (*engine, error) {
	for _, variable := range []string{"DOCKER_HOST", "CONTAINER_HOST"} {
		if address := os.Getenv(variable); address != "" {
			e, err := newEngine(address)
			if err != nil {
				return nil, failed(tasuki.ErrInvalid, "%s is %s, which is not understood here: it has unix:///PATH or tcp://HOST:PORT; or write the image to a file with 'docker save -o image.tar NAME:TAG', and give docker-archive:image.tar",
					variable, told(address))
			}
			return e, nil
		}
	}
	var looked []string
	for _, socket := range sockets() {
		if info, err := os.Stat(socket); err == nil && info.Mode().Type() == fs.ModeSocket {
			return newEngine("unix://" + socket)
		}
		looked = append(looked, socket)
	}
	return nil, failed(tasuki.ErrUnavailable, "there is no Docker Engine or Podman here, at none of %s: start it, or set DOCKER_HOST", strings.Join(looked, ", "))
}

// sockets is where engines listen: Docker's own, Docker Desktop's, Docker's without
// root, and Podman's without and with root (podman-system-service(1)).
func sockets() []string {
	found := []string{"/var/run/docker.sock"}
	if home, err := os.UserHomeDir(); err == nil {
		found = append(found, filepath.Join(home, ".docker/run/docker.sock"))
	}
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		found = append(found, filepath.Join(runtime, "docker.sock"), filepath.Join(runtime, "podman/podman.sock"))
	}
	return append(found, "/run/podman/podman.sock")
}

// newEngine returns the engine at an address of DOCKER_HOST's form.
func newEngine(address string) (*engine, error) {
	transport := newTransport()
	// An engine gathers the whole image before it begins to send it.
	transport.ResponseHeaderTimeout = 0
	e := &engine{address: told(address), client: &http.Client{Transport: transport}}
	scheme, rest, _ := strings.Cut(address, "://")
	switch {
	case rest == "":
		return nil, errors.New("there is nothing after the scheme")
	case scheme == "unix":
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", rest)
		}
		e.url = url.URL{Scheme: "http", Host: "engine"}
	case scheme == "tcp" && os.Getenv("DOCKER_TLS_VERIFY") == "", scheme == "http":
		e.url = url.URL{Scheme: "http", Host: strings.TrimSuffix(rest, "/")}
	default:
		return nil, errors.New("the scheme is none that is spoken here")
	}
	return e, nil
}

// export puts an image into a file, as the engine sends it.
func (e *engine) export(ctx context.Context, name string) (*spool, error) {
	// The name has been checked: it needs no escaping, and engines want its slashes.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url.JoinPath("images", name, "get").String(), nil)
	if err != nil {
		return nil, failed(tasuki.ErrInvalid, "%s is no address of an engine", e.address)
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := e.client.Do(request)
	if err != nil {
		return nil, e.unreachable(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, e.refused(response, name)
	}
	return newSpool(response.Body)
}

// unreachable says why an engine does not answer.
func (e *engine) unreachable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		return &failure{kind: tasuki.ErrDenied, text: "you may not use the engine's socket at " + e.address, cause: err,
			hint: "Become a member of the socket's group, which is 'docker' for Docker Engine, or run as who started the engine."}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &failure{kind: tasuki.ErrUnavailable, text: "no Docker Engine or Podman answers at " + e.address + ": start it, or set DOCKER_HOST"}
	}
	return err
}

// refused reads why an engine does not give an image.
func (e *engine) refused(response *http.Response, name string) error {
	var body struct{ Message string }
	b, err := io.ReadAll(io.LimitReader(response.Body, longestErrorBody))
	if err == nil {
		// What is not JSON of the engine's is judged by the status alone.
		_ = json.Unmarshal(b, &body)
	}
	// Docker Engine says 500 of an image of which it has no content for the platform.
	if response.StatusCode == http.StatusNotFound || strings.Contains(strings.ToLower(body.Message), "no such image") {
		return failed(tasuki.ErrMissing, "the engine at %s has no image %s: build it or pull it first", e.address, printable(name))
	}
	if response.StatusCode >= http.StatusInternalServerError {
		return failed(tasuki.ErrUnavailable, "the engine at %s does not give the image: %s", e.address, told(body.Message))
	}
	return &responseError{server: "the engine at " + e.address, status: response.StatusCode, message: body.Message}
}

// spool is a temporary file of its own, which nobody else can open.
type spool struct {
	*os.File
	size int64
	left bool // it is still in its directory
}

// newSpool puts what r gives into a temporary file.
func newSpool(r io.Reader) (*spool, error) {
	file, err := os.CreateTemp("", "tasuki-image-*")
	if err != nil {
		return nil, err
	}
	// Where an open file can be removed, it does not outlive us, however we end;
	// elsewhere it is removed when it is closed.
	s := &spool{File: file, left: os.Remove(file.Name()) != nil}
	s.size, err = io.Copy(file, io.LimitReader(r, mostExported+1))
	switch {
	case errors.Is(err, syscall.ENOSPC):
		err = failed(tasuki.ErrUnavailable, "there is no room for the image in %s: make some, or set TMPDIR to a directory that has", filepath.Dir(file.Name()))
	case err == nil && s.size > mostExported:
		err = failed(tasuki.ErrInvalid, "the engine's image has more than %d GiB, and Lambda allows 10 GiB uncompressed", mostExported>>30)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes and removes the file.
func (s *spool) Close() error {
	err := s.File.Close()
	if s.left {
		err = errors.Join(err, os.Remove(s.Name()))
	}
	return err
}
