// The function is what the tests run in a sandbox: a Lambda function on the Runtime
// API, without a library, that does what its event asks for.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

type event struct {
	Do           string
	Path         string
	Text         string
	Milliseconds int
	Code         int
}

var api = "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime"

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Println("leaving")
		os.Exit(3)
	case "leave":
		os.Exit(0)
	case "error":
		post("/init/error", map[string]string{"errorType": "Test.Init", "errorMessage": "no luck"})
		os.Exit(1)
	case "hang":
		time.Sleep(time.Hour)
	case "orphan":
		if err := exec.Command("/proc/self/exe", "child").Start(); err != nil {
			panic(err)
		}
	case "sleep":
		time.Sleep(400 * time.Millisecond)
	}
	if len(os.Args) > 1 && os.Args[1] == "child" {
		time.Sleep(time.Hour)
	}
	for {
		next, err := http.Get(api + "/invocation/next")
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(next.Body)
		if err != nil {
			panic(err)
		}
		next.Body.Close()
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		var e event
		if len(body) > 0 {
			if err := json.Unmarshal(body, &e); err != nil {
				panic(err)
			}
		}
		result, err := handle(e, next.Header)
		if err != nil {
			post("/invocation/"+id+"/error", map[string]string{"errorType": "Test.Error", "errorMessage": err.Error()})
			continue
		}
		post("/invocation/"+id+"/response", result)
	}
}

func handle(e event, header http.Header) (any, error) {
	switch e.Do {
	case "env":
		env := map[string]string{}
		for _, variable := range os.Environ() {
			name, value, _ := strings.Cut(variable, "=")
			env[name] = value
		}
		return env, nil
	case "fail":
		return nil, fmt.Errorf("asked to fail")
	case "exit":
		os.Exit(e.Code)
	case "kill":
		return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "sleep":
		time.Sleep(time.Duration(e.Milliseconds) * time.Millisecond)
	case "print":
		fmt.Print(e.Text)
	case "read":
		content, err := os.ReadFile(e.Path)
		return string(content), err
	case "write":
		return nil, os.WriteFile(e.Path, []byte(e.Text), 0o600)
	case "open": // for writing, without changing anything
		f, err := os.OpenFile(e.Path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return nil, f.Close()
	case "chmod": // to what it has
		info, err := os.Stat(e.Path)
		if err != nil {
			return nil, err
		}
		return nil, os.Chmod(e.Path, info.Mode())
	case "list":
		entries, err := os.ReadDir(e.Path)
		if err != nil {
			return nil, err
		}
		names := []string{}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names, nil
	case "chroot":
		return nil, syscall.Chroot(e.Path)
	case "multiply": // to as many processes as can be had, but no more than so many
		for n := range e.Code {
			if err := exec.Command("/proc/self/exe", "child").Start(); err != nil {
				return n, nil
			}
		}
		return e.Code, nil
	case "large":
		return strings.Repeat("x", e.Code), nil
	case "extension":
		answer, err := http.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2020-01-01/extension/register", "application/json", nil)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return fmt.Sprint(answer.StatusCode, " ", string(body)), err
	}
	dir, err := os.Getwd()
	host, _ := os.Hostname()
	return map[string]any{
		"version": os.Getenv("VERSION"), "args": os.Args, "dir": dir, "pid": os.Getpid(), "uid": os.Getuid(), "gid": os.Getgid(), "host": host,
		"arn": header.Get("Lambda-Runtime-Invoked-Function-Arn"), "deadline": header.Get("Lambda-Runtime-Deadline-Ms"),
	}, err
}

func post(path string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	answer, err := http.Post(api+path, "application/json", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
}
