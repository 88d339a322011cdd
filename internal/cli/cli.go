// Package cli is the command line: a file per command, each of which parses, wires
// the domain to its adapters, and prints. Nothing is decided here.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/image"
)

// The exit codes, as docs/cli.md lists them.
const (
	exitDone      = 0
	exitFailed    = 1 // failed; nothing changed, or all undone
	exitUsage     = 2
	exitFound     = 3 // a check found something
	exitNotUndone = 4 // failed, and could not be undone: a person must look
)

// grammar is every command and flag.
type grammar struct {
	Output  string `enum:"text,json,flat" default:"text" placeholder:"FORMAT" help:"What stdout gets: text, json (one object), or flat (one object of strings; resolve only)."`
	Region  string `placeholder:"REGION" help:"AWS region, in place of the SDK's default chain."`
	Profile string `placeholder:"NAME" help:"AWS profile, in place of the SDK's default chain."`
	Debug   bool   `help:"Print the whole chain of an error's causes."`
	Pace    bool   `negatable:"" default:"true" env:"TASUKI_PACE" help:"Keep calls under AWS's default limits; --no-pace is for accounts with higher ones."`

	Release   releaseCommand   `cmd:"" help:"Try an image on the functions, register its tag, reconcile."`
	Register  registerCommand  `cmd:"" help:"Verify an image in ECR and register its tag, for teams that keep their own deploy step."`
	Rollback  rollbackCommand  `cmd:"" help:"Register an earlier release again, and reconcile."`
	Reconcile reconcileCommand `cmd:"" help:"Make the functions run the registered image."`
	Resolve   resolveCommand   `cmd:"" help:"Print the image that the function should run, for the infra side."`
	Seed      seedCommand      `cmd:"" help:"Put the placeholder image into ECR, for the first deploy."`
	Status    statusCommand    `cmd:"" help:"Show what is registered and what runs, and where they disagree."`
	Doctor    doctorCommand    `cmd:"" help:"Look for what will go wrong: with the release, its image, its repository."`
	History   historyCommand   `cmd:"" help:"Show what was registered before, by whom."`
	Contract  contractCommand  `cmd:"" help:"Show the handoff's contract, or write it."`
	Copy      copyCommand      `cmd:"" help:"Copy an image into a registry, a layout or an archive, its bytes verbatim."`
	Policy    policyCommand    `cmd:"" help:"Print the IAM policy that a side of the handoff needs."`
	Local     localCommand     `cmd:"" help:"Run the embedded AWS-compatible endpoint, or a command against it."`
	Demo      demoCommand      `cmd:"" help:"Run the whole relay on the local endpoint, narrated."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

const description = `Tasuki hands a Lambda function's container image tag from the repository that builds the image to the repository that deploys the function.

Exit codes: 0 done; 1 failed, nothing changed or all undone; 2 usage; 3 a check found something; 4 failed and could not be undone.`

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the command that args name, and returns the process's exit code. Ctrl-C,
// SIGTERM and the end of the terminal interrupt it; a second signal ends the process at
// once.
func Main(ctx context.Context, args []string, streams Streams) int {
	// A reader that has gone, as head does, is no reason to die in the middle of a
	// release: writing to it fails from now on, and nothing else.
	survived := []os.Signal{syscall.SIGPIPE}
	interrupts := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		interrupts = append(interrupts, syscall.SIGHUP)
		// The shell says it, and then the kernel: the second one says nothing new.
		survived = append(survived, syscall.SIGHUP)
	}
	unheard := make(chan os.Signal, 1)
	signal.Notify(unheard, survived...)
	defer signal.Stop(unheard)
	ctx, stop := signal.NotifyContext(ctx, interrupts...)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, args, streams, awsbackend.Options{})
}

// Run is [Main] with AWS reached as backend says. The flags --region and --profile
// take the place of what it says of these two.
func Run(ctx context.Context, args []string, streams Streams, backend awsbackend.Options) int {
	var g grammar
	exited := -1
	parser, err := kong.New(&g,
		kong.Name("tasuki"), kong.Description(description), kong.UsageOnError(),
		kong.Writers(streams.Out, streams.Err), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // the grammar above is wrong
	}
	parsed, err := parser.Parse(fromHabit(args))
	if exited >= 0 { // --help
		return exited
	}
	if errors.Is(err, syscall.EPIPE) { // so much of the help was enough
		return exitDone
	}
	if err != nil {
		p := &printer{streams: streams, format: formatOf(args)}
		p.failed(misread(err))
		return exitUsage
	}
	p := &printer{streams: streams, format: g.Output, debug: g.Debug, bars: newBars(streams.Err, os.Getenv)}
	defer p.bars.clear()
	if err := emptied(parsed); err != nil {
		p.failed(err)
		return exitUsage
	}
	if g.Output == "flat" && !strings.HasPrefix(parsed.Command(), "resolve") {
		p.format = "text"
		p.failed(usage("--output flat is for resolve only; %s has text and json", parsed.Selected().Name))
		return exitUsage
	}
	backend.Region, backend.Profile = cmp.Or(g.Region, backend.Region), cmp.Or(g.Profile, backend.Profile)
	backend.Unpaced = backend.Unpaced || !g.Pace
	session := &session{ctx: ctx, region: g.Region, options: backend, printer: p}
	if err := parsed.Run(session); err != nil {
		p.failed(interrupted(ctx, err))
		return exitCode(err)
	}
	return exitDone
}

// emptied returns a usage error where a flag was given nothing, as by a variable of a
// script that is not set: a release without the gate that was meant, or a rollback to
// another release than that, must not come of it.
func emptied(parsed *kong.Context) error {
	for _, given := range parsed.Path {
		if given.Flag == nil {
			continue
		}
		empty := false
		switch value := given.Flag.Target.Interface().(type) {
		case string:
			empty = value == ""
		case []string:
			empty = len(value) == 0 || slices.Contains(value, "")
		}
		if empty {
			return usage("--%s is given without a value: give one, or leave the flag out", given.Flag.Name)
		}
	}
	return nil
}

// fromHabit puts what people type from habit in the grammar's words.
func fromHabit(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// formatOf returns the format that args ask for, where they could not be parsed as a
// whole: whoever asked for JSON gets the failure as JSON, too.
func formatOf(args []string) string {
	for i, arg := range args {
		switch {
		case arg == "--":
			return "text"
		case arg == "--output=json", arg == "--output" && i+1 < len(args) && args[i+1] == "json":
			return "json"
		}
	}
	return "text"
}

// misread returns the usage error for a command line that does not fit the grammar,
// and says where the right one is found.
func misread(err error) error {
	command := "tasuki"
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		if node := parse.Context.Selected(); node != nil {
			command = "tasuki " + node.Name
		}
	}
	text := err.Error()
	flag, needed, cut := strings.Cut(text, ": expected ")
	wanted, missing := strings.CutPrefix(text, "expected \"<")
	switch {
	case strings.HasPrefix(text, "expected one of"):
		text = "which command?"
	case cut && strings.HasSuffix(needed, `"EOL" (<EOL>)`):
		text = flag + " needs a value"
	case missing:
		text = fmt.Sprintf("%s needs <%s", command, strings.TrimSuffix(wanted, `"`))
	}
	return usage("%s (%s --help)", text, command)
}

// interrupted says of a failure that it came from the command's being interrupted,
// where it did and nothing was left to mend.
func interrupted(ctx context.Context, err error) error {
	var undo *tasuki.UndoError
	var exit exitError
	if ctx.Err() == nil || errors.As(err, &undo) || errors.As(err, &exit) {
		return err
	}
	return &tasuki.Error{Op: "interrupted", Err: err, Hint: "Run the command again: it begins with what has been done already."}
}

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

// exitError ends the process with a code, when all has been said already.
type exitError int

func (e exitError) Error() string { return "" }

func exitCode(err error) int {
	var undo *tasuki.UndoError
	var usage *usageError
	var exit exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &undo):
		return exitNotUndone
	case errors.As(err, &usage), errors.Is(err, image.ErrReference):
		return exitUsage
	}
	return exitFailed
}

// Process returns the process's own streams.
func Process() Streams { return Streams{os.Stdin, os.Stdout, os.Stderr} }
