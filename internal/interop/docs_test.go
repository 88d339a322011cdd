//go:build interop

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// TestDocumentation runs what the pages tell their readers to run: each page is a
// session in a shell, in a copy of the repository, with a home directory of its own.
//
//   - Of a console block, the lines after "$ " are run, and those after "> " or a "\" with
//     them. The other lines are what they print: each has to be there, in this order, where "…" stands for anything and
//     spaces for any number of them. A command that ends badly shows its error, or is
//     followed by echo $?.
//   - A comment that begins with "<!-- console" is such a block, for what a page takes
//     for granted.
//   - An sh block needs what is not here, an account or Node: its syntax is tested.
//   - A json or yaml block is parsed.
func TestDocumentation(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "docs/*.md", "docs/howto/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no page is like %s: %v", pattern, err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		name, err := filepath.Rel(root, page)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			if indented := indentedBlock.FindString(fence.ReplaceAllString(string(text), "")); indented != "" {
				t.Errorf("a block of code has no fence, and so no language:%s", indented)
			}
			var session []step
			for _, b := range blocks(string(text)) {
				if err := b.check(); err != nil {
					t.Errorf("line %d: %v", b.line, err)
				}
				session = append(session, b.steps()...)
			}
			if len(session) > 0 {
				play(t, root, session)
			}
		})
	}
}

var (
	fence         = regexp.MustCompile("(?ms)^```.*?^```$")
	indentedBlock = regexp.MustCompile(`\n\n    [^\n]*\n`)
)

// block is a block of code of a page.
type block struct {
	language string
	line     int // of the fence
	text     string
}

// blocks returns a page's fenced blocks, and its comments that are console blocks.
func blocks(page string) (found []block) {
	end := ""
	for i, line := range strings.Split(page, "\n") {
		language, fenced := strings.CutPrefix(line, "```")
		switch {
		case end != "" && line == end:
			end = ""
		case end != "":
			found[len(found)-1].text += line + "\n"
		case fenced:
			found, end = append(found, block{language: language, line: i + 1}), "```"
		case line == "<!-- console":
			found, end = append(found, block{language: "console", line: i + 1}), "-->"
		}
	}
	return found
}

// check returns what is wrong with a block that is not run.
func (b block) check() error {
	switch b.language {
	case "console", "go", "mermaid", "text":
		return nil
	case "sh":
		cmd := exec.Command("bash", "-n")
		cmd.Stdin = strings.NewReader(b.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	case "json":
		if !json.Valid([]byte(b.text)) {
			return fmt.Errorf("this is not JSON:\n%s", b.text)
		}
		return nil
	case "yaml":
		var into any
		return yaml.Unmarshal([]byte(b.text), &into)
	}
	return fmt.Errorf("the block's language is %q: let it be console, sh, go, json, yaml, mermaid or text", b.language)
}

// step is a command of a session, and the lines that it prints.
type step struct {
	line    int
	command string
	prints  []string
}

// steps returns the commands of a console block.
func (b block) steps() (steps []step) {
	if b.language != "console" {
		return nil
	}
	goesOn := false
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		more, isMore := strings.CutPrefix(line, "> ")
		switch {
		case len(steps) > 0 && (goesOn || isMore):
			steps[len(steps)-1].command += "\n" + more
			command = more
		case isCommand:
			steps = append(steps, step{line: b.line + 1 + i, command: command})
		case len(steps) > 0 && strings.TrimSpace(line) != "":
			steps[len(steps)-1].prints = append(steps[len(steps)-1].prints, line)
		}
		goesOn = (goesOn || isMore || isCommand) && strings.HasSuffix(command, `\`)
	}
	return steps
}

// mark is what the shell prints behind each command: the command's number, and its
// exit code. It leaves $? as it was.
const mark = "\x1e"

var marked = regexp.MustCompile(`\n` + mark + `(\d+) (\d+)\n`)

// play runs a session, and holds what it prints against what the page says.
func play(t *testing.T, root string, session []step) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var input bytes.Buffer
	for i, s := range session {
		fmt.Fprintf(&input, "%s\n__code=$?; printf '\\n%s%%d %%d\\n' %d $__code; (exit $__code)\n", s.command, mark, i)
	}
	shell := exec.CommandContext(ctx, "bash")
	shell.Dir, shell.Env = checkout(t, root), environment(t, root)
	// Not a buffer, of which Go would make a pipe and a copy of its own: a shell within the
	// shell reads on where the first one stopped.
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	shell.Stdout, shell.Stderr, shell.WaitDelay = &output, &output, 10*time.Second
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(input.Bytes()); err != nil {
		t.Error(err)
	}
	in.Close()
	ended := shell.Wait() // with the last command's exit code, which is looked at below

	printed, rest := make([]string, len(session)), output.String()
	codes := make([]int, len(session))
	for i := range session {
		at := marked.FindStringSubmatchIndex(rest)
		if at == nil || rest[at[2]:at[3]] != strconv.Itoa(i) {
			t.Fatalf("line %d: $ %s\nthe session ended here (%v):\n%s", session[i].line, session[i].command, ended, rest)
		}
		codes[i], _ = strconv.Atoi(rest[at[4]:at[5]]) // digits, as the pattern says
		printed[i], rest = rest[:at[0]], rest[at[1]:]
	}
	for i, s := range session {
		mayFail := strings.Contains(strings.Join(s.prints, "\n"), "error:") || i+1 < len(session) && session[i+1].command == "echo $?"
		if codes[i] != 0 && !mayFail {
			t.Errorf("line %d: $ %s\nexit code %d, and the page does not show it:\n%s", s.line, s.command, codes[i], printed[i])
			continue
		}
		lines := strings.Split(printed[i], "\n")
		for _, want := range s.prints {
			at := slices.IndexFunc(lines, pattern(want).MatchString)
			if at < 0 {
				t.Errorf("line %d: $ %s\nthis is not printed, or not here: %s\nprinted:\n%s", s.line, s.command, want, printed[i])
				break
			}
			lines = lines[at+1:]
		}
	}
}

// pattern matches the lines that a line of a page stands for.
func pattern(line string) *regexp.Regexp {
	var parts []string
	for _, part := range strings.Split(line, "…") {
		words := regexp.MustCompile(` +`).Split(part, -1)
		for i, word := range words {
			words[i] = regexp.QuoteMeta(word)
		}
		parts = append(parts, strings.Join(words, " +"))
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `.*`) + ` *$`)
}

// checkout returns a copy of the repository's files, to which a session may add its own.
func checkout(t *testing.T, root string) string {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	files, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join(root, file))
		if os.IsNotExist(err) {
			continue // deleted, and that is not committed yet
		}
		content, readErr := os.ReadFile(filepath.Join(root, file))
		mkdirErr := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755)
		for _, err := range []error{err, readErr, mkdirErr} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, file), content, info.Mode()&fs.ModePerm); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// environment is what a reader's shell has, but for anything that leads to an account
// or to a CI system: Go's caches are the tester's.
func environment(t *testing.T, root string) []string {
	env := []string{
		"HOME=" + t.TempDir(), "USER=reader", "AWS_PAGER=",
		"PATH=" + filepath.Join(root, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSuffix(string(value), "\n"))
	}
	return env
}
