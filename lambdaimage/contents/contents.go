// Package contents looks into the layers of a container image for what Lambda
// stumbles over when it unpacks the image and starts it: the size of what is in
// them, and whether the program that it is told to start is there, can be started,
// and is for the function's architecture. What an image's manifest and configuration
// show is the business of package lambdaimage.
//
// All layers are read once, to their end, and nothing of them is kept but names,
// modes and what the first bytes of programs say. Nothing in them is trusted: what is
// read and what is kept is bounded, and nothing is written anywhere.
package contents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

var _ tasuki.ContentRules = Check

// The short names of the rules, beside those of package lambdaimage. They are stable:
// scripts compare them.
const (
	RuleDamagedLayer    = "damaged-layer"
	RulePathOutside     = "path-outside-root"
	RuleTooManyFiles    = "too-many-files"
	RuleNoProgram       = "entrypoint-not-found"
	RuleNotExecutable   = "entrypoint-not-executable"
	RuleProgramForOther = "entrypoint-architecture"
	RuleNoInterpreter   = "interpreter-not-found"
	RuleNoWorkingDir    = "working-directory-not-found"
)

// What to do about findings that several rules make.
const (
	rebuild              = "Build the image again, and push it."
	shorterThanLambdas   = "Make the image smaller: Lambda allows 10 GiB uncompressed, with all layers."
	buildWithTheProgram  = "Set ENTRYPOINT in the Dockerfile, or the function's ImageConfig, to a program that the image has."
	makeItWorldRunnable  = "Let everybody run it, for example with 'RUN chmod 755' in the Dockerfile: Lambda does not run functions as root."
	buildForTheFunctions = "Build the program for linux/%s, for example with 'docker buildx build --platform linux/%s --provenance=false'."
)

// Check reads the layers of image, and returns their size and what is wrong with them
// for functions of architecture arch, each with its own settings; without a function, for one that
// leaves the image's settings as they are. It implements [tasuki.ContentRules]. An
// error is one of layers' own, which is not about the image: what can be read but is
// not what it should be is a finding.
func Check(ctx context.Context, image tasuki.Image, arch tasuki.Architecture, functions []tasuki.Function, layers tasuki.Layers) (tasuki.Contents, error) {
	if image.Size() > lambdaimage.MaxSize {
		return tasuki.Contents{}, nil // lambdaimage.RuleTooLarge, and not worth the reading
	}
	unpacked, err := unpack(ctx, image, layers, limits{bytes: lambdaimage.MaxSize, files: mostFiles, text: mostText})
	if err != nil {
		return tasuki.Contents{}, err
	}
	contents := tasuki.Contents{Size: unpacked.size, Findings: unpacked.findings}
	if !unpacked.whole {
		return contents, nil // what is missing may be in what could not be read
	}
	if len(functions) == 0 {
		functions = []tasuki.Function{{}}
	}
	said := map[string]bool{}
	for _, f := range functions {
		if finding := checkStart(unpacked.root, image.Facts, arch, f); finding != nil && !said[finding.Summary] {
			said[finding.Summary] = true
			contents.Findings = append(contents.Findings, *finding)
		}
	}
	return contents, nil
}

// checkStart returns what keeps Lambda from starting a function, or nil.
func checkStart(root *node, facts tasuki.ImageConfig, arch tasuki.Architecture, f tasuki.Function) *tasuki.Finding {
	s := startOf(facts, f)
	if len(s.command) == 0 || s.command[0] == "" {
		return nil // lambdaimage.RuleNoEntrypoint
	}
	if s.dir != "" {
		if dir, _ := root.find(s.dir); dir == nil || dir.kind != directory {
			return refuse(RuleNoWorkingDir, "Set WORKDIR in the Dockerfile, or the function's ImageConfig, to a directory that the image has.",
				"%s is the working directory%s, and is no directory in the image", quoted(s.dir), s.of)
		}
	}
	name, program, blocked := s.lookUp(root)
	switch {
	case program == nil:
		return refuse(RuleNoProgram, buildWithTheProgram, "%s is what Lambda starts%s, and the image has no such file", quoted(s.command[0]), s.of)
	case program.kind != regular:
		return refuse(RuleNoProgram, buildWithTheProgram, "%s is what Lambda starts%s, and is not a file", quoted(name), s.of)
	case blocked != "":
		return refuse(RuleNotExecutable, makeItWorldRunnable, "%s is what Lambda starts%s, and its directory %s is not open to every user", quoted(name), s.of, quoted(blocked))
	case program.mode&0o001 == 0:
		return refuse(RuleNotExecutable, makeItWorldRunnable, "%s is what Lambda starts%s, and its mode %04o does not let every user run it", quoted(name), s.of, program.mode)
	}
	return checkProgram(root, name, program.program, arch, s)
}

// checkProgram returns what keeps the kernel from running a program, or nil. A script
// is run by its interpreter, which may be one as well.
func checkProgram(root *node, name string, p *program, arch tasuki.Architecture, s start) *tasuki.Finding {
	for range mostInterpreters {
		switch {
		case p == nil:
			return refuse(RuleNotExecutable, "Compile the program for linux, or begin the script with '#!' and its interpreter.",
				"%s is what Lambda starts%s, and is neither a program for linux nor a script that begins with '#!'", quoted(name), s.of)
		case p.machine != 0 && arch != "" && p.machine != machines[arch]:
			return refuse(RuleProgramForOther, fmt.Sprintf(buildForTheFunctions, arch.OCI(), arch.OCI()),
				"%s is a program for %s, and the function's architecture is %s", quoted(name), machineName(p.machine), arch)
		case p.interpreter == "":
			return nil
		}
		interpreter, blocked := root.find(path.Join("/", s.dir, p.interpreter))
		if path.IsAbs(p.interpreter) {
			interpreter, blocked = root.find(p.interpreter)
		}
		if interpreter == nil || interpreter.kind != regular || blocked != "" || interpreter.mode&0o001 == 0 {
			return refuse(RuleNoInterpreter, "Build on a base image that has it, or build a program that needs none (with Go: CGO_ENABLED=0).",
				"%s needs %s to run, and the image has no such program", quoted(name), quoted(p.interpreter))
		}
		if p.machine != 0 {
			return nil // what loads a program is loaded by nothing
		}
		name, p = p.interpreter, interpreter.program
	}
	return refuse(RuleNoInterpreter, "Let the script be run by a program.", "%s is run by an interpreter that is a script, more than %d times over", quoted(name), mostInterpreters)
}

// mostInterpreters is how often one interpreter may be run by another
// (the kernel's BINPRM_MAX_RECURSION is 4).
const mostInterpreters = 5

// start is what Lambda starts.
type start struct {
	command []string
	dir     string // "" for Lambda's own
	path    string
	of      string // " for function NAME" where its own settings say something
}

// lambdaPath is where Lambda looks for programs where the image says nothing
// (Lambda Developer Guide, "Defined runtime environment variables").
const lambdaPath = "/usr/local/bin:/usr/bin:/bin:/opt/bin"

// startOf returns what Lambda starts: the image's own, or what a function puts in the
// place of it.
func startOf(facts tasuki.ImageConfig, f tasuki.Function) start {
	entrypoint, arguments := facts.Config.Entrypoint, facts.Config.Cmd
	s := start{dir: facts.Config.WorkingDir, path: lambdaPath}
	if own := f.Settings; own != nil {
		s.of = " for function " + f.Name
		s.dir = cmp.Or(own.WorkingDirectory, s.dir)
		if len(own.EntryPoint) > 0 {
			entrypoint = own.EntryPoint
		}
		if len(own.Command) > 0 {
			arguments = own.Command
		}
	}
	s.command = append(append(s.command, entrypoint...), arguments...)
	for _, variable := range facts.Config.Env {
		if value, found := strings.CutPrefix(variable, "PATH="); found {
			s.path = value
		}
	}
	return s
}

// lookUp returns the file that the command names, by its path or in the directories of
// PATH; a nil file for none. Blocked is the directory on the way that not every user
// may enter.
func (s start) lookUp(root *node) (name string, program *node, blocked string) {
	name = s.command[0]
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join("/", s.dir, name)
		}
		program, blocked = root.find(name)
		return name, program, blocked
	}
	for _, dir := range strings.Split(s.path, ":") {
		candidate := path.Join("/", dir, name)
		if found, closed := root.find(candidate); found != nil && found.kind == regular {
			return candidate, found, closed
		}
	}
	return name, nil, ""
}

func refuse(rule, fix, summary string, args ...any) *tasuki.Finding {
	return &tasuki.Finding{Rule: rule, Severity: tasuki.SeverityError, Summary: fmt.Sprintf(summary, args...), Fix: fix}
}

// quoted returns a name in an image, which may be anything, fit to be shown.
func quoted(name string) string {
	const longest = 120
	if r := []rune(name); len(r) > longest {
		return fmt.Sprintf("%q…", string(r[:longest]))
	}
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// isAboutTheImage reports whether reading failed because of what was read.
func isAboutTheImage(err error) bool {
	return errors.Is(err, tasuki.ErrInvalid) || errors.Is(err, tasuki.ErrMissing)
}

// tooLarge is the finding that the layers are larger than Lambda allows.
func tooLarge() tasuki.Finding {
	return *refuse(lambdaimage.RuleTooLarge, shorterThanLambdas,
		"the image's layers have more than %d GiB uncompressed, which is the most that Lambda allows", int64(lambdaimage.MaxSize)>>30)
}
