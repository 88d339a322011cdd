package explore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/memory"
)

// The names of the functions: every handoff has the first, some have the second.
const (
	function = "orders"
	worker   = "orders-worker"
)

// alias is the name of the functions' alias, where they have one.
const alias = "live"

// fixtures are the values that every schedule starts from.
type fixtures struct {
	handoff tasuki.Handoff
	images  map[string]*memory.Source // by tag; the placeholder under its name
	names   map[tasuki.Digest]string
}

func newFixtures(start Start) (*fixtures, error) {
	name, err := tasuki.ParseHandoffName(function)
	if err != nil {
		return nil, err
	}
	repository, err := tasuki.ParseRepository("000000000000.dkr.ecr.us-east-1.amazonaws.com/" + function)
	if err != nil {
		return nil, err
	}
	fix := &fixtures{
		handoff: tasuki.Handoff{Name: name, Repository: repository, TagParameter: name.TagParameter(), PlaceholderTag: tasuki.DefaultPlaceholderTag},
		images:  map[string]*memory.Source{}, names: map[tasuki.Digest]string{},
	}
	for _, name := range []string{function, worker} {
		target := tasuki.FunctionTarget{Name: name, Architecture: tasuki.X86_64}
		if start.Alias {
			target.Alias = alias
		}
		if name == function || start.Worker {
			fix.handoff.Functions = append(fix.handoff.Functions, target)
		}
	}
	for _, image := range []string{"v0", "v1", "v2", "v3", Broken, Sick, Placeholder} {
		labels := map[string]string{}
		if image == Placeholder {
			labels[tasuki.PlaceholderLabel] = function
		}
		manifest, config := memory.Image(tasuki.X86_64, image, labels)
		fix.images[image] = &memory.Source{Name: image, Manifest: manifest, Config: config}
		fix.names[manifest.Digest] = image
	}
	return fix, nil
}

// tag returns the tag of an image.
func (fix *fixtures) tag(image string) (tasuki.Tag, error) {
	if image == Placeholder {
		return fix.handoff.PlaceholderTag, nil
	}
	return tasuki.ParseTag(image)
}

// uri names an image by its digest.
func (fix *fixtures) uri(image string) tasuki.ImageURI {
	return tasuki.ImageURI{Repository: fix.handoff.Repository, Ref: tasuki.ByDigest(fix.images[image].Manifest.Digest)}
}

// account is an account in memory, and what the explorer knows of it that AWS does not say.
type account struct {
	*memory.AWS
	fix       *fixtures
	writers   []string        // who wrote each version of the parameter
	ran       map[string]bool // images that a function has run
	functions map[string]*progress
}

// progress is what has become of a function.
type progress struct {
	coming  string   // the image of the update that is under way
	serving string   // the image that answers; during an update, the one before
	updater *attempt // who made the last update
}

// aLongTime is longer than any schedule lasts: updates end when the explorer says so.
const aLongTime = 10000 * time.Hour

// open returns an account that is as a scenario starts.
func (fix *fixtures) open(start Start) (*account, error) {
	a := &account{AWS: new(memory.AWS), fix: fix, ran: map[string]bool{}, functions: map[string]*progress{}}
	a.UpdateTakes = aLongTime
	a.UpdateFails = func(digest tasuki.Digest) string {
		if fix.names[digest] == Broken {
			return "the entrypoint does not start"
		}
		return ""
	}
	a.Answers = func(digest tasuki.Digest, _ []byte) tasuki.Answer {
		return tasuki.Answer{Payload: []byte(fix.names[digest])}
	}
	a.CreateRepository(fix.handoff.Repository)
	for name, source := range fix.images {
		if name == Placeholder && start.NoSeed {
			continue
		}
		tag, err := fix.tag(name)
		if err != nil {
			return nil, err
		}
		if err := a.Push(fix.handoff.Repository, tag, [][]byte{source.Config}, source.Manifest); err != nil {
			return nil, err
		}
	}
	for _, name := range start.Registered {
		if err := a.register(name); err != nil {
			return nil, err
		}
	}
	for _, target := range fix.handoff.Functions {
		a.functions[target.Name] = new(progress)
		if start.Function == "" {
			continue
		}
		a.create(target.Name, fix.uri(start.Function))
		if target.Alias == "" {
			continue
		}
		f, _ := a.live(target.Name)
		version, err := a.PublishVersion(context.Background(), f.Name, f.Digest, f.RevisionID)
		if err != nil {
			return nil, err
		}
		if err := a.MoveAlias(context.Background(), tasuki.AliasMove{Function: f.Name, Alias: target.Alias, Version: version}); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// register writes a version of the parameter, from before the schedule.
func (a *account) register(image string) error {
	fix := a.fix
	if image == fix.handoff.PlaceholderTag.String() {
		a.PutParameter(fix.handoff.TagParameter, image, "String")
		a.writers = append(a.writers, "a recipe")
		return nil
	}
	tag, err := fix.tag(image)
	if err != nil {
		return err
	}
	description, err := tasuki.Record{Tag: tag, Digest: fix.images[image].Manifest.Digest, Repository: fix.handoff.Repository, ID: "start"}.Description()
	if err != nil {
		return err
	}
	_, err = a.WriteTag(context.Background(), fix.handoff.TagParameter, tag, description)
	a.writers = append(a.writers, "start")
	a.ran[image] = true
	return err
}

func (a *account) create(name string, image tasuki.ImageURI) {
	a.CreateFunction(name, image, tasuki.X86_64)
	runs := a.runs(name)
	a.ran[runs] = true
	a.functions[name].serving = runs
}

// live returns a function, and whether there is one.
func (a *account) live(name string) (tasuki.Function, bool) {
	f, err := a.Function(context.Background(), name)
	return f, err == nil
}

// updating reports whether an update of a function is under way.
func (a *account) updating(name string) bool {
	f, there := a.live(name)
	return there && f.Updating()
}

// settle ends the update of a function that is under way.
func (a *account) settle(name string) {
	a.UpdateTakes = 0
	after, _ := a.live(name)
	a.UpdateTakes = aLongTime
	a.functions[name].coming = ""
	if after.UpdateStatus == "Successful" {
		a.functions[name].serving = a.fix.names[after.Digest]
		a.ran[a.functions[name].serving] = true
	}
}

// versions returns the tag parameter's versions, newest first.
func (a *account) versions() []tasuki.ParameterVersion {
	versions, err := a.TagHistory(context.Background(), a.fix.handoff.TagParameter)
	if err != nil && !errors.Is(err, tasuki.ErrMissing) {
		panic(err) // memory has no other failure
	}
	return versions
}

// registered returns what the tag parameter says; "" for no release.
func (a *account) registered() string {
	versions := a.versions()
	if len(versions) == 0 || versions[0].Value == a.fix.handoff.PlaceholderTag.String() {
		return ""
	}
	return versions[0].Value
}

// runs returns which image a function runs, or one of its versions, which is named as
// function:version; "" for no function.
func (a *account) runs(name string) string {
	f, there := a.live(name)
	if !there {
		return ""
	}
	return a.fix.names[f.Digest]
}

// aliased returns which image a function's alias serves; "" for no alias.
func (a *account) aliased(name string) string {
	to, err := a.Alias(context.Background(), name, alias)
	if err != nil {
		return ""
	}
	return a.runs(name + ":" + to.Version)
}

// String tells what the functions run and what their aliases serve.
func (a *account) String() string {
	var all []string
	for _, target := range a.fix.handoff.Functions {
		text := fmt.Sprintf("%s runs %s", target.Name, cmp.Or(a.runs(target.Name), "nothing"))
		if target.Alias != "" {
			text += fmt.Sprintf(", and its alias serves %s", cmp.Or(a.aliased(target.Name), "nothing"))
		}
		all = append(all, text)
	}
	return strings.Join(append(all, fmt.Sprintf("the parameter says %s", cmp.Or(a.registered(), "nothing"))), "; ")
}

// describe tells a function as an answer: all that the domain reads of it, but for
// its revision.
func (a *account) describe(f tasuki.Function) string {
	return fmt.Sprintf("%s %s %s", a.fix.names[f.Digest], f.State, f.UpdateStatus)
}

// describeVersions tells a function's versions and where its alias points to, and
// returns the alias's revision.
func (a *account) describeVersions(b *strings.Builder, name string) (revision string) {
	to, _ := a.Alias(context.Background(), name, alias)
	fmt.Fprintf(b, "alias %s, versions", to.Version)
	for n := 1; ; n++ {
		runs := a.runs(fmt.Sprintf("%s:%d", name, n))
		if runs == "" {
			break
		}
		fmt.Fprintf(b, " %s", runs)
	}
	b.WriteString("\n")
	return to.RevisionID
}
