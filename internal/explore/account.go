package explore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/memory"
)

// function is the name of the only function.
const function = "orders"

// fixtures are the values that every schedule starts from.
type fixtures struct {
	handoff tasuki.Handoff
	images  map[string]*memory.Source // by tag; the placeholder under its name
	names   map[tasuki.Digest]string
}

func newFixtures() (*fixtures, error) {
	name, err := tasuki.ParseHandoffName(function)
	if err != nil {
		return nil, err
	}
	repository, err := tasuki.ParseRepository("000000000000.dkr.ecr.us-east-1.amazonaws.com/" + function)
	if err != nil {
		return nil, err
	}
	fix := &fixtures{
		handoff: tasuki.Handoff{
			Name: name, Repository: repository, TagParameter: name.TagParameter(), PlaceholderTag: tasuki.DefaultPlaceholderTag,
			Functions: []tasuki.FunctionTarget{{Name: function, Architecture: tasuki.X86_64}},
		},
		images: map[string]*memory.Source{}, names: map[tasuki.Digest]string{},
	}
	for _, image := range []string{"v0", "v1", "v2", "v3", Broken, Placeholder} {
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
	fix     *fixtures
	writers []string        // who wrote each version of the parameter
	ran     map[string]bool // images that the function has run
	coming  string          // the image of the update that is under way
	updater *attempt        // who made the last update
}

// aLongTime is longer than any schedule lasts: updates end when the explorer says so.
const aLongTime = 10000 * time.Hour

// open returns an account that is as a scenario starts.
func (fix *fixtures) open(start Start) (*account, error) {
	a := &account{AWS: new(memory.AWS), fix: fix, ran: map[string]bool{}}
	a.UpdateTakes = aLongTime
	a.UpdateFails = func(digest tasuki.Digest) string {
		if fix.names[digest] == Broken {
			return "the entrypoint does not start"
		}
		return ""
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
		if name == fix.handoff.PlaceholderTag.String() {
			a.PutParameter(fix.handoff.TagParameter, name, "String")
			a.writers = append(a.writers, "a recipe")
			continue
		}
		tag, err := fix.tag(name)
		if err != nil {
			return nil, err
		}
		description, err := tasuki.Record{Tag: tag, Digest: fix.images[name].Manifest.Digest, Repository: fix.handoff.Repository, ID: "start"}.Description()
		if err != nil {
			return nil, err
		}
		if _, err := a.WriteTag(context.Background(), fix.handoff.TagParameter, tag, description); err != nil {
			return nil, err
		}
		a.writers = append(a.writers, "start")
		a.ran[name] = true
	}
	if start.Function != "" {
		a.create(fix.uri(start.Function))
	}
	return a, nil
}

func (a *account) create(image tasuki.ImageURI) {
	a.CreateFunction(function, image, tasuki.X86_64)
	f, _ := a.live()
	a.ran[a.fix.names[f.Digest]] = true
}

// live returns the function, and whether there is one.
func (a *account) live() (tasuki.Function, bool) {
	f, err := a.Function(context.Background(), function)
	return f, err == nil
}

// updating reports whether an update of the function is under way.
func (a *account) updating() bool {
	f, there := a.live()
	return there && f.Updating()
}

// settle ends the update that is under way.
func (a *account) settle() {
	a.UpdateTakes = 0
	after, _ := a.live()
	a.UpdateTakes = aLongTime
	a.coming = ""
	if after.UpdateStatus == "Successful" {
		a.ran[a.fix.names[after.Digest]] = true
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

// runs returns which image the function runs; "" for no function.
func (a *account) runs() string {
	f, there := a.live()
	if !there {
		return ""
	}
	return a.fix.names[f.Digest]
}

// describe tells a function as an answer: all that the domain reads of it, but for
// its revision.
func (a *account) describe(f tasuki.Function) string {
	return fmt.Sprintf("%s %s %s", a.fix.names[f.Digest], f.State, f.UpdateStatus)
}
