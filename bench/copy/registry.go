package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// registry is a running registry of the CNCF distribution project.
type registry struct {
	addr    string
	root    string
	process *exec.Cmd
}

// startRegistry starts a registry that keeps its blobs in root.
func startRegistry(ctx context.Context, program, root string) (*registry, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(root, "config.yml")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q, secret: bench}\n", filepath.Join(root, "data"), addr)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	r := &registry{addr: addr, root: root, process: exec.CommandContext(ctx, program, "serve", config)}
	r.process.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		answer, err := http.Get("http://" + addr + "/v2/")
		if err == nil {
			answer.Body.Close()
			return r, nil
		}
		if time.Now().After(deadline) {
			r.stop()
			return nil, fmt.Errorf("the registry did not start: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stop ends the registry and removes its blobs.
func (r *registry) stop() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait() // it was killed
	os.RemoveAll(r.root)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
