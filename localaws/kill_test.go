//go:build linux

package localaws_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/placeholder"
)

// killSeed is the variable that repeats a run of TestKill with the seed it printed.
const killSeed = "TASUKI_TEST_KILL_SEED"

// process is an endpoint in a process of its own.
type process struct {
	cmd *exec.Cmd
	clients
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("/proc/self/exe")}
	p.cmd.Env = append(os.Environ(), endpointDir+"="+dir)
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what is typed at the terminal is for the test
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = p.cmd.Process.Kill()
		t.Fatalf("the endpoint on %s has not started: %v, %v", dir, err, p.cmd.Wait())
	}
	p.clients = connect(strings.TrimSpace(url), localaws.DefaultRegion)
	return p
}

// kill kills the endpoint, and returns once every process that it has started is
// gone too. They are this process's children then, because it is a subreaper.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var killed *exec.ExitError
	if err := p.cmd.Wait(); !errors.As(err, &killed) || killed.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the endpoint ended by itself: %v", err)
	}
	eventually(t, "the functions' processes are gone", func() bool {
		for {
			switch pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); {
			case errors.Is(err, syscall.ECHILD):
				return true
			case err == nil && pid == 0:
				return false
			}
		}
	})
}

// TestKill kills an endpoint while it is written to, again and again. What it has
// answered must be there afterwards.
func TestKill(t *testing.T) {
	const kills = 50
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(killSeed); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s: %v", killSeed, err)
		}
	}
	t.Logf("seed %d: %s=%d repeats it", seed, killSeed, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	dir := t.TempDir()
	tally := new(tally)
	writers := newWriters(tally, seed)
	p := startProcess(t, dir)
	setUp(t, p.clients)
	ran := 0
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for _, w := range writers {
			group.Go(func() { writeUntilKilled(ctx, t, w, p.clients) })
		}
		invoked := make(chan bool, 1)
		group.Go(func() { invoked <- p.invokePlaceholder(ctx, "steady") == nil })
		// This one would go on for minutes without the endpoint.
		group.Go(func() {
			_, _ = p.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: sdkaws.String("sleeper"), Payload: []byte(`{"do":"sleep","milliseconds":300000}`)})
		})
		// Between hardly begun and well under way.
		pause := time.NewTimer(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
		<-pause.C
		p.kill(t)
		cancel()
		group.Wait()
		if <-invoked {
			ran++ // a function's process was there to be killed
		}
		p = startProcess(t, dir)
		for _, w := range writers {
			if err := w.verify(t.Context(), p.clients); err != nil {
				t.Errorf("%s: %v", w, err)
			}
		}
		if t.Failed() {
			break
		}
	}
	for _, w := range writers {
		if err := w.verifyAll(t.Context(), p.clients); err != nil {
			t.Errorf("%s: %v", w, err)
		}
	}
	if err := p.invokePlaceholder(t.Context(), "steady"); err != nil {
		t.Errorf("a function that was there all the time: %v", err)
	}
	p.kill(t)
	if left, err := filepath.Glob(filepath.Join(dir, "blobs", "uploads", "*")); err != nil || len(left) > 0 {
		t.Errorf("uploads are left: %v, %v", left, err)
	}
	t.Logf("%d kills, %d of them with a function running; %s", kills, ran, tally)
	if tally.answered.Load() < kills {
		t.Errorf("only %d writes were answered: that is no test", tally.answered.Load())
	}
}

// tally counts what TestKill did.
type tally struct{ answered, cut, verified, images atomic.Int64 }

func (t *tally) String() string {
	return fmt.Sprintf("%d writes answered, %d cut off, %d checks of what was answered, %d images read whole", t.answered.Load(), t.cut.Load(), t.verified.Load(), t.images.Load())
}

// refused reports whether err is an answer, unlike a connection that broke.
func refused(err error) bool {
	var call smithy.APIError
	var registry *errcode.ErrorResponse
	return errors.As(err, &call) || errors.As(err, &registry)
}

// writer writes in its own corner of the endpoint, so that it knows what must be there.
type writer interface {
	fmt.Stringer
	// write writes once. It records what it is about to write, and that it was
	// answered. An error is the end of the connection, or a failure.
	write(ctx context.Context, c clients) error
	// verify checks the last that was written, and takes what is there for the truth
	// where the last write had no answer.
	verify(ctx context.Context, c clients) error
	// verifyAll checks everything that was ever written.
	verifyAll(ctx context.Context, c clients) error
}

// newWriters returns the writers, each with randomness of its own.
func newWriters(tally *tally, seed uint64) []writer {
	var writers []writer
	for i := range 3 {
		writers = append(writers, &parameterWriter{tally: tally, name: fmt.Sprintf("/kill/%d", i)})
	}
	for i := range 2 {
		random := rand.New(rand.NewPCG(seed, uint64(len(writers))))
		writers = append(writers, &imageWriter{tally: tally, random: random, name: fmt.Sprintf("kill-%d", i), pushed: map[string]digest.Digest{}})
	}
	writers = append(writers, &repositoryWriter{tally: tally})
	for i := range 2 {
		random := rand.New(rand.NewPCG(seed, uint64(len(writers))))
		writers = append(writers, &functionWriter{tally: tally, random: random, name: fmt.Sprintf("kill-%d", i), may: []functionState{{}}})
	}
	return writers
}

// setUp makes what the writers write to, and functions that they leave alone.
func setUp(t *testing.T, c clients) {
	t.Helper()
	for _, name := range []string{"kill-0", "kill-1", "functions"} {
		c.repository(t, name)
	}
	for _, tag := range functionTags {
		if err := c.pushPlaceholder(t.Context(), tag); err != nil {
			t.Fatal(err)
		}
	}
	c.sleeper(t, "sleeper")
	if err := c.createFunction(t.Context(), "steady", functionTags[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the function is active", func() bool {
		now, err := c.functionState(t.Context(), "steady")
		return err == nil && !now.busy
	})
}

func writeUntilKilled(ctx context.Context, t *testing.T, w writer, c clients) {
	for {
		switch err := w.write(ctx, c); {
		case err == nil:
		case refused(err):
			t.Errorf("%s: %v", w, err)
			return
		default:
			return
		}
	}
}

// parameterWriter writes a parameter whose value is always its version.
type parameterWriter struct {
	*tally
	name           string
	sent, answered int64
}

func (w *parameterWriter) String() string { return "parameter " + w.name }

func (w *parameterWriter) write(ctx context.Context, c clients) error {
	w.sent = w.answered + 1
	w.cut.Add(1)
	version, err := c.put(ctx, w.name, strconv.FormatInt(w.sent, 10))
	if err != nil {
		return err
	}
	w.cut.Add(-1)
	w.tally.answered.Add(1)
	if w.answered = version; version != w.sent {
		return fmt.Errorf("value %d was written as version %d", w.sent, version)
	}
	return nil
}

func (w *parameterWriter) verify(ctx context.Context, c clients) error {
	out, err := c.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &w.name})
	var e smithy.APIError
	if errors.As(err, &e) && e.ErrorCode() == "ParameterNotFound" && w.answered == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	version := out.Parameter.Version
	if *out.Parameter.Value != strconv.FormatInt(version, 10) || version < w.answered || version > w.sent {
		return fmt.Errorf("it is %q, version %d; %d was answered and %d sent", *out.Parameter.Value, version, w.answered, w.sent)
	}
	w.answered, w.sent = version, version
	w.verified.Add(1)
	return nil
}

// verifyAll checks that no version that is kept is missing or another's.
func (w *parameterWriter) verifyAll(ctx context.Context, c clients) error {
	next := max(1, w.answered-99) // 100 versions are kept
	pages := ssm.NewGetParameterHistoryPaginator(c.ssm, &ssm.GetParameterHistoryInput{Name: &w.name})
	for w.answered > 0 && pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, version := range page.Parameters {
			if version.Version != next || *version.Value != strconv.FormatInt(next, 10) {
				return fmt.Errorf("version %d is %q; %d was next", version.Version, *version.Value, next)
			}
			next++
		}
	}
	if w.answered > 0 && next != w.answered+1 {
		return fmt.Errorf("the history ends at %d, and the parameter is at %d", next-1, w.answered)
	}
	return nil
}

// imageWriter pushes images, each under a tag of its own, and moves one tag to each.
type imageWriter struct {
	*tally
	random        *rand.Rand
	name          string
	n             int
	pushed        map[string]digest.Digest // answered, by tag
	fresh         []string                 // the tags among them that are not verified yet
	moved, moving digest.Digest            // where the moving tag is known to be, and may be
}

// movingTag is the tag that PutImage moves.
const movingTag = "live"

func (w *imageWriter) String() string { return "repository " + w.name }

func (w *imageWriter) write(ctx context.Context, c clients) error {
	layer := make([]byte, 1+w.random.IntN(1<<16))
	for i := range layer {
		layer[i] = byte(w.random.Uint32())
	}
	w.n++
	p, tag := newPicture(layer), fmt.Sprintf("t%d", w.n)
	repository, err := c.registry(ctx, w.name)
	if err != nil {
		return err
	}
	w.cut.Add(1)
	if err := p.push(ctx, repository, tag); err != nil {
		return err
	}
	w.cut.Add(-1)
	w.tally.answered.Add(1)
	w.pushed[tag], w.fresh = p.manifest.Digest, append(w.fresh, tag)
	w.moving = p.manifest.Digest
	w.cut.Add(1)
	if _, err := c.ecr.PutImage(ctx, &ecr.PutImageInput{
		RepositoryName: &w.name, ImageTag: sdkaws.String(movingTag), ImageManifest: sdkaws.String(string(p.content)), ImageManifestMediaType: &p.manifest.MediaType,
	}); err != nil {
		return err
	}
	w.cut.Add(-1)
	w.tally.answered.Add(1)
	w.moved = w.moving
	return nil
}

func (w *imageWriter) verify(ctx context.Context, c clients) error {
	repository, err := c.registry(ctx, w.name)
	if err != nil {
		return err
	}
	if err := w.read(ctx, repository, w.fresh); err != nil {
		return err
	}
	w.fresh = nil
	if w.moved == "" {
		return nil
	}
	out, err := c.ecr.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: &w.name, ImageIds: imageIDs(movingTag)})
	if err != nil {
		return err
	}
	now := digest.Digest(*out.ImageDetails[0].ImageDigest)
	if now != w.moved && now != w.moving {
		return fmt.Errorf("the tag %s is at %s; %s was answered, and %s sent", movingTag, now, w.moved, w.moving)
	}
	w.moved, w.moving = now, now
	w.verified.Add(1)
	return nil
}

// read reads images by their tags, every byte.
func (w *imageWriter) read(ctx context.Context, repository *remote.Repository, tags []string) error {
	for _, tag := range tags {
		got, err := pull(ctx, repository, tag)
		if err != nil {
			return fmt.Errorf("tag %s: %w", tag, err)
		}
		if got != w.pushed[tag] {
			return fmt.Errorf("the tag %s is at %s, and %s was answered", tag, got, w.pushed[tag])
		}
		w.verified.Add(1)
		w.images.Add(1)
	}
	return nil
}

func (w *imageWriter) verifyAll(ctx context.Context, c clients) error {
	repository, err := c.registry(ctx, w.name)
	if err != nil {
		return err
	}
	var tags []string
	for tag := range w.pushed {
		tags = append(tags, tag)
	}
	return w.read(ctx, repository, tags)
}

// repositoryWriter creates repositories.
type repositoryWriter struct {
	*tally
	sent, answered int // repositories are numbered from 1; sent-answered of them may be there
	doubtful       map[int]bool
}

func (w *repositoryWriter) String() string { return "repositories" }

func (w *repositoryWriter) write(ctx context.Context, c clients) error {
	w.sent++
	w.cut.Add(1)
	if _, err := c.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: sdkaws.String(fmt.Sprintf("created/n%d", w.sent))}); err != nil {
		return err
	}
	w.cut.Add(-1)
	w.tally.answered.Add(1)
	w.answered = w.sent
	return nil
}

func (w *repositoryWriter) verify(ctx context.Context, c clients) error {
	if w.doubtful == nil {
		w.doubtful = map[int]bool{}
	}
	if w.sent > w.answered {
		w.doubtful[w.sent] = true
	}
	there := map[string]bool{}
	pages := ecr.NewDescribeRepositoriesPaginator(c.ecr, &ecr.DescribeRepositoriesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, repository := range page.Repositories {
			there[*repository.RepositoryName] = true
		}
	}
	for n := 1; n <= w.answered; n++ {
		if !w.doubtful[n] && !there[fmt.Sprintf("created/n%d", n)] {
			return fmt.Errorf("number %d was created and is not there", n)
		}
	}
	w.verified.Add(1)
	return nil
}

func (w *repositoryWriter) verifyAll(ctx context.Context, c clients) error { return w.verify(ctx, c) }

// functionTags are the images that functions are put on.
var functionTags = []string{"a", "b", "c"}

// functionState is what a function is at: the zero value for none.
type functionState struct {
	tag  string
	busy bool
}

// functionWriter creates, updates and deletes a function.
type functionWriter struct {
	*tally
	random *rand.Rand
	name   string
	may    []functionState // what the function may be: one, unless the last write had no answer
}

func (w *functionWriter) String() string { return "function " + w.name }

func (w *functionWriter) write(ctx context.Context, c clients) error {
	now, err := c.functionState(ctx, w.name)
	if err != nil {
		return err
	}
	for now.busy { // Lambda refuses another change meanwhile
		if now, err = c.functionState(ctx, w.name); err != nil {
			return err
		}
	}
	next := functionState{tag: functionTags[w.random.IntN(len(functionTags))]}
	w.cut.Add(1)
	switch {
	case now.tag == "":
		w.may = []functionState{now, next}
		err = c.createFunction(ctx, w.name, next.tag)
	case w.random.IntN(4) == 0:
		next = functionState{}
		w.may = []functionState{now, next}
		_, err = c.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &w.name})
	default:
		w.may = []functionState{now, next}
		_, err = c.lambda.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
			FunctionName: &w.name, ImageUri: sdkaws.String(functionImage(next.tag)), Architectures: []lambdatypes.Architecture{machine()},
		})
	}
	if err != nil {
		return err
	}
	w.cut.Add(-1)
	w.tally.answered.Add(1)
	w.may = []functionState{next}
	return nil
}

// verify waits until the function is at rest: what was under way is taken up again.
func (w *functionWriter) verify(ctx context.Context, c clients) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now, err := c.functionState(ctx, w.name)
	for err == nil && now.busy {
		now, err = c.functionState(ctx, w.name)
	}
	if err != nil {
		return fmt.Errorf("after 10 s it is not at rest, or broken: %w", err)
	}
	for _, state := range w.may {
		if state == now {
			w.may = []functionState{now}
			w.verified.Add(1)
			return nil
		}
	}
	return fmt.Errorf("it is on %q, and may be on %v", now.tag, w.may)
}

// verifyAll invokes the function, where there is one.
func (w *functionWriter) verifyAll(ctx context.Context, c clients) error {
	if err := w.verify(ctx, c); err != nil || w.may[0].tag == "" {
		return err
	}
	return c.invokePlaceholder(ctx, w.name)
}

func functionImage(tag string) string {
	return localaws.Account + ".dkr.ecr." + localaws.DefaultRegion + ".amazonaws.com/functions:" + tag
}

// pushPlaceholder pushes the placeholder of a handoff that is named as its tag.
func (c clients) pushPlaceholder(ctx context.Context, tag string) error {
	handoff, err := tasuki.ParseHandoffName("kill/" + tag)
	if err != nil {
		return err
	}
	built, err := placeholder.Build(handoff, tasuki.Architecture(machine()))
	if err != nil {
		return err
	}
	repository, err := c.registry(ctx, "functions")
	if err != nil {
		return err
	}
	return placeholderPicture(built).push(ctx, repository, tag)
}

func (c clients) createFunction(ctx context.Context, name, tag string) error {
	_, err := c.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: &name, PackageType: lambdatypes.PackageTypeImage, Role: sdkaws.String(role), Architectures: []lambdatypes.Architecture{machine()},
		Code: &lambdatypes.FunctionCode{ImageUri: sdkaws.String(functionImage(tag))},
	})
	return err
}

// functionState says what a function is at. One that is broken is an error.
func (c clients) functionState(ctx context.Context, name string) (functionState, error) {
	out, err := c.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name})
	var none *lambdatypes.ResourceNotFoundException
	if errors.As(err, &none) {
		return functionState{}, nil
	}
	if err != nil {
		return functionState{}, err
	}
	f := out.Configuration
	_, tag, _ := strings.Cut(*out.Code.ImageUri, ":")
	busy := f.State == lambdatypes.StatePending || f.LastUpdateStatus == lambdatypes.LastUpdateStatusInProgress
	if !busy && (f.State != lambdatypes.StateActive || f.LastUpdateStatus != lambdatypes.LastUpdateStatusSuccessful) {
		err = fmt.Errorf("it is %s, %s: %s %s", f.State, f.LastUpdateStatus, sdkaws.ToString(f.StateReason), sdkaws.ToString(f.LastUpdateStatusReason))
	}
	return functionState{tag, busy}, err
}

// invokePlaceholder invokes a function on a placeholder, which must run, and say that
// there has been no release.
func (c clients) invokePlaceholder(ctx context.Context, name string) error {
	out, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name})
	if err != nil {
		return err
	}
	if sdkaws.ToString(out.FunctionError) == "" || !strings.Contains(string(out.Payload), "Tasuki.NoReleaseYet") {
		return fmt.Errorf("it answered %s", out.Payload)
	}
	return nil
}

// imageIDs returns the identifier of a tag, as ECR takes it.
func imageIDs(tag string) []ecrtypes.ImageIdentifier {
	return []ecrtypes.ImageIdentifier{{ImageTag: &tag}}
}
