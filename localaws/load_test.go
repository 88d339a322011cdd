package localaws_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// Many clients at once: every write has its own version, every image is whole, and
// every invocation has its own answer.
func TestManyClientsAtOnce(t *testing.T) {
	const workers, rounds = 4, 8
	server, c := start(t, localaws.Options{})
	c.repository(t, "orders")
	c.sleeper(t, "orders")
	server.Calls().Reset()
	var mu sync.Mutex
	var versions []int64
	for _, err := range atOnce(workers, rounds, map[string]func(worker, round int) error{
		"one parameter": func(worker, round int) error {
			version, err := c.put(t.Context(), "/shared", fmt.Sprintf("%d-%d", worker, round))
			mu.Lock()
			defer mu.Unlock()
			versions = append(versions, version)
			return err
		},
		"own parameters": func(worker, round int) error {
			name, value := fmt.Sprintf("/own/%d", worker), fmt.Sprint(round)
			if _, err := c.put(t.Context(), name, value); err != nil {
				return err
			}
			return expect(c.get(t.Context(), name))(value)
		},
		"lists": func(int, int) error {
			_, err := c.ssm.DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
			return err
		},
		"images": func(worker, round int) error {
			repository, err := c.registry(t.Context(), "orders")
			if err != nil {
				return err
			}
			// The workers share each round's layer, but not its tag.
			p, tag := newPicture(bytes.Repeat([]byte{byte(round)}, 1<<16)), fmt.Sprintf("t%d-%d", worker, round)
			if err := p.push(t.Context(), repository, tag); err != nil {
				return err
			}
			return expect(pull(t.Context(), repository, tag))(p.manifest.Digest)
		},
		"invocations": func(worker, round int) error {
			text := fmt.Sprintf("%d-%d", worker, round)
			out, err := c.lambda.Invoke(t.Context(), &lambda.InvokeInput{
				FunctionName: sdkaws.String("orders"), Payload: []byte(`{"do":"print","text":"` + text + `\n"}`), LogType: lambdatypes.LogTypeTail,
			})
			if err != nil {
				return err
			}
			log, err := base64.StdEncoding.DecodeString(sdkaws.ToString(out.LogResult))
			if err == nil && (out.FunctionError != nil || !strings.Contains(string(log), "\n"+text+"\n")) {
				err = fmt.Errorf("invocation %s answered %s and logged %s", text, out.Payload, log)
			}
			return err
		},
		"the log and the faults": func(int, int) error {
			server.Calls().Count()
			server.Faults().Add(fault.Rule{Operation: "none:None", Kind: fault.Error})
			return nil
		},
	}) {
		t.Error(err)
	}
	slices.Sort(versions)
	for i, version := range versions {
		if version != int64(i+1) {
			t.Fatalf("the writes have versions %v", versions)
		}
	}
	out, err := c.ecr.DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: sdkaws.String("orders")})
	if err != nil || len(out.ImageDetails) != rounds {
		t.Errorf("%d images, %v, want %d", len(out.ImageDetails), err, rounds)
	}
	for name, want := range map[string]int{"ssm:PutParameter": 2 * workers * rounds, "registry:PUT manifests": workers * rounds, "lambda:Invoke": workers * rounds} {
		if got := server.Calls().Count(name); got != want {
			t.Errorf("%d calls of %s, want %d", got, name, want)
		}
	}
}

// expect returns a function that compares a result with what it should be.
func expect[T comparable](got T, err error) func(want T) error {
	return func(want T) error {
		if err == nil && got != want {
			err = fmt.Errorf("got %v, want %v", got, want)
		}
		return err
	}
}

// atOnce does each job in some rounds by some workers, all at once, and returns what
// went wrong.
func atOnce(workers, rounds int, jobs map[string]func(worker, round int) error) []error {
	var mu sync.Mutex
	var errs []error
	var group sync.WaitGroup
	for name, job := range jobs {
		for worker := range workers {
			group.Go(func() {
				for round := range rounds {
					if err := job(worker, round); err != nil {
						mu.Lock()
						errs = append(errs, fmt.Errorf("%s: %w", name, err))
						mu.Unlock()
						return
					}
				}
			})
		}
	}
	group.Wait()
	return errs
}

// shut closes an endpoint, and fails the test where that takes long.
func shut(t *testing.T, server *localaws.Server) {
	t.Helper()
	const prompt = 20 * time.Second // what hangs would hang for minutes
	closed := make(chan error, 1)
	go func() { closed <- server.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(prompt):
		t.Fatalf("it is not closed after %s", prompt)
	}
}

// What hangs, on purpose or not, does not keep the endpoint from closing.
func TestCloseIsPrompt(t *testing.T) {
	dir := t.TempDir()
	log := new(localawstest.Log)
	server, err := localaws.Start(localaws.Options{Dir: dir, Logs: log, Faults: []fault.Rule{{Operation: "ssm:GetParameter", Kind: fault.Timeout}, {Operation: "registry:GET tags", Kind: fault.Timeout}}})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			_ = server.Close()
		}
	}()
	c := connect(server.URL(), server.Region())
	c.repository(t, "orders")
	c.sleeper(t, "orders")
	repository, err := c.registry(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	token := repository.Client
	location := beginUpload(t, repository.Reference.Host(), token)

	hung := map[string]chan error{}
	hang := func(name string, do func() error) {
		answered := make(chan error, 1)
		hung[name] = answered
		go func() { answered <- do() }()
	}
	hang("a timeout", func() error { _, err := c.get(t.Context(), "/tag"); return err })
	hang("a timeout of the registry", func() error {
		return repository.Tags(t.Context(), "", func([]string) error { return nil })
	})
	hang("an invocation", func() error {
		_, err := c.lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: sdkaws.String("orders"), Payload: []byte(`{"do":"sleep","milliseconds":300000}`)})
		return err
	})
	sending, stopSending := context.WithCancel(t.Context())
	defer stopSending()
	hang("an upload", func() error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, location, withContext{sending, io.MultiReader(bytes.NewReader(make([]byte, 1<<16)), never{})})
		if err != nil {
			return err
		}
		response, err := token.Do(r)
		if err == nil {
			response.Body.Close()
			return errors.New(response.Status)
		}
		return err
	})
	eventually(t, "the function runs", func() bool { return strings.Contains(log.String(), "START RequestId") })
	eventually(t, "the upload arrives", func() bool {
		uploads, err := filepath.Glob(filepath.Join(dir, "blobs", "uploads", "*"))
		if err != nil || len(uploads) != 1 {
			return false
		}
		info, err := os.Stat(uploads[0])
		return err == nil && info.Size() > 0
	})
	closed = true
	shut(t, server)
	stopSending() // the client waits for its own body too
	for name, answered := range hung {
		select {
		case err := <-answered:
			if err == nil {
				t.Errorf("%s had an answer", name)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s hangs on", name)
		}
	}
	if _, err := c.get(t.Context(), "/tag"); err == nil {
		t.Error("the endpoint answers though it is closed")
	}
}

func beginUpload(t *testing.T, host string, client interface {
	Do(*http.Request) (*http.Response, error)
}) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/v2/orders/blobs/uploads/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	location, err := response.Location()
	if err != nil {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return location.String()
}

// An endpoint that is closed while it works ends what it does first: nothing is
// written to a state that is closed, and what was answered is kept.
func TestCloseUnderLoad(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		server, err := localaws.Start(localaws.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		c := connect(server.URL(), server.Region())
		if round == 0 {
			c.repository(t, "orders")
			c.sleeper(t, "orders")
		}
		var answered, calls atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for worker := range 3 {
			for _, job := range []func(i int) error{
				func(i int) error {
					version, err := c.put(ctx, "/tag", fmt.Sprint(i))
					for err == nil {
						old := answered.Load()
						if version <= old || answered.CompareAndSwap(old, version) {
							break
						}
					}
					return err
				},
				func(int) error {
					_, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: sdkaws.String("orders"), Payload: []byte(`{}`)})
					return err
				},
				func(int) error {
					_, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: sdkaws.String("orders"), Payload: []byte(`{}`), InvocationType: lambdatypes.InvocationTypeEvent})
					return err
				},
				func(i int) error {
					_, err := c.lambda.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: sdkaws.String("orders"), Description: sdkaws.String(fmt.Sprint(worker, i))})
					return err
				},
				func(i int) error {
					_, err := c.ecr.TagResource(ctx, &ecr.TagResourceInput{ResourceArn: sdkaws.String("arn:aws:ecr:us-east-1:" + localaws.Account + ":repository/orders"), Tags: []ecrtypes.Tag{{Key: sdkaws.String("k"), Value: sdkaws.String(fmt.Sprint(i))}}})
					return err
				},
			} {
				group.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						_ = job(i) // it fails when the endpoint goes, which is what is looked for
						calls.Add(1)
					}
				})
			}
		}
		eventually(t, "the endpoint is busy", func() bool { return calls.Load() > 50 && answered.Load() > 0 })
		shut(t, server)
		cancel()
		group.Wait()
		next, err := localaws.Start(localaws.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		out, err := connect(next.URL(), next.Region()).ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: sdkaws.String("/tag")})
		if err != nil || out.Parameter.Version < answered.Load() {
			t.Errorf("version %d was answered, and there is %+v, %v", answered.Load(), out, err)
		}
		shut(t, next)
	}
}
