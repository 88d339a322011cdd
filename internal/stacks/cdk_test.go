//go:build cdk

package stacks

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
)

// TestCDK takes both stacks of examples/infra through their lives with the CDK CLI, as
// npm has it: with the default synthesizer and file assets. The CLI runs the program once
// for each memory size, and deploys what that has made.
func TestCDK(t *testing.T) {
	t.Parallel()
	program := filepath.Join(scratch, "example")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "../../examples/infra"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build in examples/infra: %v\n%s", err, out)
	}
	w := emptyWorld(t, "")
	cli := &cdk{world: w, program: program}
	cli.must("512", "bootstrap", "aws://000000000000/us-east-1")
	t.Run("Orders", func(t *testing.T) { cli.orders() })
	t.Run("PlainOrders", func(t *testing.T) { cli.plainOrders() })
}

// cdk is the CDK CLI, with the program that it runs.
type cdk struct {
	*world
	program string
}

func (c *cdk) orders() {
	c.deploy("512") // S1
	c.hasNoRelease()
	c.release("v1") // S2
	c.runs("v1")
	c.registered("v1")

	c.untouched(func() { // S3
		if said := c.deploy("512"); !strings.Contains(said, "(no changes)") {
			c.Errorf("a deploy without changes says:\n%s", said)
		}
	})
	c.runs("v1")

	c.untouched(func() { // S4
		if said := c.must("1024", "diff", "Orders"); !strings.Contains(said, "[~] AWS::Lambda::Function") || !strings.Contains(said, "1024") {
			c.Errorf("the diff says:\n%s", said)
		}
		c.deploy("1024")
	})
	c.runs("v1")
	if mb := c.memory("-"); mb != 1024 {
		c.Errorf("the function has %d MB, want 1024", mb)
	}
	c.eventually("the alias has the configuration", func() bool { return c.memory("live") == 1024 })

	c.release("v2") // S9
	// A release's image is no drift; that its event source is not held any more is.
	said, err := c.run("--app", c.assembly("1024"), "drift", "Orders", "--fail")
	if err == nil || !strings.Contains(said, "1 resource has drifted") || !strings.Contains(said, "[~] AWS::Lambda::EventSourceMapping") || !strings.Contains(said, "[~] /Enabled") {
		c.Errorf("after a release, cdk drift says (%v):\n%s", err, said)
	}
	c.untouched(func() { c.fails("64") })
	c.rests("UPDATE_ROLLBACK_COMPLETE")
	c.runs("v2")

	c.must("512", "destroy", "Orders", "--force") // S14
	c.rests("")
	c.registered("v2")
}

// plainOrders is the plain recipe, which Tasuki serves too: but a rollback moves the
// code, until somebody reconciles.
func (c *cdk) plainOrders() {
	c.stack = "PlainOrders"
	defer func() { c.stack = "Orders" }()
	if _, err := c.ecr.CreateRepository(c.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String("plain-orders")}); err != nil {
		c.Fatal(err)
	}
	flags := []string{"plain-orders", "--repository", "plain-orders", "--parameter", "lambdaImageTag", "--architecture", machine()}
	tasuki := func(verb string, args ...string) {
		c.Helper()
		c.tasuki(append(append([]string{verb}, flags...), args...)...)
	}
	tasuki("seed")
	c.register("lambdaImageTag", "initial")
	c.deploy("512")
	if _, failure := c.invoke("-"); !strings.Contains(failure, "Tasuki.NoReleaseYet") {
		c.Errorf("before the first release the function answers %q", failure)
	}
	flags = append(flags, "--function", c.resource(functionID))

	for _, version := range []string{"v1", "v2"} {
		tasuki("release", "--image", versions.version(c, version), "--tag", version)
		c.runs(version, "-")
		if version == "v1" {
			c.must("1024", "diff", "PlainOrders")
			c.deploy("1024")
			c.runs(version, "-")
		}
	}
	c.fails("64")
	c.rests("UPDATE_ROLLBACK_COMPLETE")
	c.runs("v1", "-") // which is why the constructs reconcile
	tasuki("reconcile")
	c.runs("v2", "-")
	c.must("512", "destroy", "PlainOrders", "--force")
	c.rests("")
}

func machine() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// deploy deploys the stack with a memory size, and returns what the CLI said.
func (c *cdk) deploy(memory string) string {
	c.Helper()
	return c.must(memory, "deploy", c.stack, "--require-approval", "never")
}

// fails deploys what is to fail.
func (c *cdk) fails(memory string) {
	c.Helper()
	if said, err := c.run("--app", c.assembly(memory), "deploy", c.stack, "--require-approval", "never"); err == nil {
		c.Fatalf("a deploy that was to fail did not:\n%s", said)
	}
}

// must runs the CLI on what the program makes with a memory size.
func (c *cdk) must(memory string, args ...string) string {
	c.Helper()
	said, err := c.run(append([]string{"--app", c.assembly(memory)}, args...)...)
	if err != nil {
		c.Fatalf("cdk %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return said
}

// assembly returns the folder of what the program makes with a memory size.
func (c *cdk) assembly(memory string) string {
	c.Helper()
	folder := filepath.Join(scratch, "memory-"+memory)
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if said, err := c.run("--app", c.program, "--output", folder, "-c", "architecture="+machine(), "-c", "memory="+memory, "synth", "--quiet"); err != nil {
		c.Fatalf("cdk synth: %v\n%s", err, said)
	}
	return folder
}

func (c *cdk) run(args ...string) (string, error) {
	command := exec.CommandContext(c.Context(), "cdk", append([]string{"--no-color", "--no-notices"}, args...)...)
	command.Dir, command.Env = "../../examples/infra", c.server.Environ(os.Environ())
	said, err := command.CombinedOutput()
	return string(said), err
}
