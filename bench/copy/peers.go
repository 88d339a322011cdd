package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// copier is a program that copies an image from one registry to another, both
// without TLS.
type copier struct {
	name string
	copy func(ctx context.Context, from, to string) (usage, error)
}

func tasuki(program string) copier {
	return copier{"tasuki", func(ctx context.Context, from, to string) (usage, error) {
		return timed(ctx, program, "copy", "docker://"+from, "docker://"+to)
	}}
}

// Versions of the peers, each the newest that could be had when this was written.
const (
	craneVersion      = "v0.22.1"
	regctlVersion     = "v0.11.7"
	orasVersion       = "v1.3.6"
	registryVersion   = "v3.1.2"
	deploymentVersion = "4.2.65"
)

type installed struct {
	dir     string
	copiers []copier
}

// install installs the peers into a folder; what is there stays.
func install(ctx context.Context, folder string) (installed, error) {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return installed{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return installed{}, err
	}
	for program, module := range map[string]string{
		"crane":    "github.com/google/go-containerregistry/cmd/crane@" + craneVersion,
		"regctl":   "github.com/regclient/regclient/cmd/regctl@" + regctlVersion,
		"oras":     "oras.land/oras/cmd/oras@" + orasVersion,
		"registry": "github.com/distribution/distribution/v3/cmd/registry@" + registryVersion,
	} {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			continue
		}
		fmt.Fprintln(os.Stderr, "installing", module)
		c := exec.CommandContext(ctx, "go", "install", module)
		c.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
		if out, err := c.CombinedOutput(); err != nil {
			return installed{}, fmt.Errorf("install %s: %w\n%s", module, err, out)
		}
	}
	bootstrap := filepath.Join(dir, "cdk-ecr-deployment")
	if _, err := os.Stat(bootstrap); err != nil {
		if err := fetchDeployment(ctx, dir, bootstrap); err != nil {
			return installed{}, err
		}
	}
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		return installed{}, errors.New("skopeo is not installed: on Debian and Ubuntu, apt-get install skopeo")
	}
	in := func(program string) string { return filepath.Join(dir, program) }
	return installed{dir, []copier{
		{"crane", func(ctx context.Context, from, to string) (usage, error) {
			return timed(ctx, in("crane"), "cp", "--insecure", from, to)
		}},
		{"regctl", func(ctx context.Context, from, to string) (usage, error) {
			return timed(ctx, in("regctl"), "--host", "reg="+hostOf(from)+",tls=disabled", "--host", "reg="+hostOf(to)+",tls=disabled", "image", "copy", from, to)
		}},
		{"oras", func(ctx context.Context, from, to string) (usage, error) {
			return timed(ctx, in("oras"), "cp", "--from-plain-http", "--to-plain-http", from, to)
		}},
		{"skopeo", func(ctx context.Context, from, to string) (usage, error) {
			return timed(ctx, skopeo, "copy", "--insecure-policy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", "docker://"+from, "docker://"+to)
		}},
		{handlerName, handler{bootstrap}.copy},
	}}, nil
}

func hostOf(reference string) string {
	host, _, _ := strings.Cut(reference, "/")
	return host
}

// fetchDeployment gets the function of the cdk-ecr-deployment construct from npm.
func fetchDeployment(ctx context.Context, dir, bootstrap string) error {
	c := exec.CommandContext(ctx, "npm", "pack", "--silent", "cdk-ecr-deployment@"+deploymentVersion)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	archive := filepath.Join(dir, "cdk-ecr-deployment-"+deploymentVersion+".tgz")
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer os.Remove(archive)
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for files := tar.NewReader(z); ; {
		header, err := files.Next()
		if err != nil {
			return fmt.Errorf("the package has no function: %w", err)
		}
		if header.Name != "package/lambda-bin/bootstrap" {
			continue
		}
		to, err := os.OpenFile(bootstrap, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
		if err != nil {
			return err
		}
		if _, err := io.Copy(to, files); err != nil {
			return errors.Join(err, to.Close(), os.Remove(bootstrap))
		}
		return to.Close()
	}
}
