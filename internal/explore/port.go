package explore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// Port is the account as one command sees it: every operation stops at a gate.
type Port struct {
	Handoff tasuki.Handoff

	run     *run
	attempt *attempt
}

var (
	_ tasuki.Tags             = (*Port)(nil)
	_ tasuki.Images           = (*Port)(nil)
	_ tasuki.FunctionUpdater  = (*Port)(nil)
	_ tasuki.VersionPublisher = (*Port)(nil)
	_ tasuki.Invoker          = (*Port)(nil)
)

// Resolver returns the domain's resolver on this port.
func (p *Port) Resolver() tasuki.Resolver {
	return tasuki.Resolver{Tags: p, Functions: p, Images: p, Placeholder: seed{p}}
}

// Reconciler returns the domain's reconciler on this port. Its pauses are all whole: who
// goes on first is the explorer's to choose.
func (p *Port) Reconciler() tasuki.Reconciler {
	return tasuki.Reconciler{Resolver: p.Resolver(), Updater: p, Versions: p, Random: func() float64 { return 0 }}
}

// Image returns the URI of an image by its name, by digest.
func (p *Port) Image(name string) tasuki.ImageURI { return p.run.account.fix.uri(name) }

// Record returns the description with which a release of the image is registered.
func (p *Port) Record(name string) (tag tasuki.Tag, description string, err error) {
	fix := p.run.account.fix
	if tag, err = fix.tag(name); err != nil {
		return tag, "", err
	}
	description, err = tasuki.Record{Tag: tag, Digest: fix.images[name].Manifest.Digest, Repository: fix.handoff.Repository, ID: p.attempt.name}.Description()
	return tag, description, err
}

// operation is what stands at a gate.
type operation struct {
	name     string
	function string // that it is about; "" for none
	subject  string // what else tells it from another operation of the same actor at the same time
	uses     footprint

	service bool // CloudFormation does it, which has no faults here
	patient bool // it waits until no update of the function is under way
	fixed   bool // what it answers never changes
}

// footprint is what a step reads and changes of that which several actors share. Of a
// function and its alias these are the bits of the first one; [footprint.of] shifts them.
type footprint struct{ reads, writes uint16 }

// The parts of a footprint.
const (
	theTag        uint16 = 1 << iota // the parameter's versions
	theRepository                    // what ECR has
	theImagesRun                     // which images have run
	theFaults                        // how many faults there have been
	theFunction                      // its code and published versions
	theAlias                         // where its alias points to

	partsOfAFunction = 2 // how many bits belong to each function
)

// of returns the footprint of an operation on the nth function.
func (f footprint) of(n int) footprint {
	shift := func(parts uint16) uint16 {
		shared := parts & (theFunction - 1)
		return shared | (parts&^shared)<<(n*partsOfAFunction)
	}
	return footprint{shift(f.reads), shift(f.writes)}
}

// and returns the footprint of two steps in one.
func (f footprint) and(other footprint) footprint {
	return footprint{f.reads | other.reads, f.writes | other.writes}
}

// disturbs reports whether one of two steps changes what the other reads or changes.
func (f footprint) disturbs(other footprint) bool {
	return f.writes&(other.reads|other.writes) != 0 || other.writes&f.reads != 0
}

// The operations.
var (
	readTag        = operation{name: "ReadTag", uses: footprint{reads: theTag}}
	readHistory    = operation{name: "TagHistory", uses: footprint{reads: theTag}}
	writeTag       = operation{name: "WriteTag", uses: footprint{reads: theImagesRun, writes: theTag}}
	readImages     = operation{name: "Manifests", uses: footprint{reads: theRepository}}
	readConfig     = operation{name: "Config", uses: footprint{reads: theRepository}}
	push           = operation{name: "Push", uses: footprint{writes: theRepository | theImagesRun}}
	readFunction   = operation{name: "Function", uses: footprint{reads: theFunction}}
	readVersion    = operation{name: "Version", fixed: true}
	updateCode     = operation{name: "UpdateCode", uses: footprint{writes: theFunction}}
	publishVersion = operation{name: "PublishVersion", uses: footprint{writes: theFunction}}
	readAlias      = operation{name: "Alias", uses: footprint{reads: theAlias}}
	moveAlias      = operation{name: "MoveAlias", uses: footprint{reads: theTag, writes: theAlias}}
	invoke         = operation{name: "Invoke", uses: footprint{reads: theFunction}}
	invokeVersion  = operation{name: "Invoke", fixed: true}
	stackCreates   = operation{name: "CreateFunction", uses: footprint{writes: theFunction | theImagesRun}, service: true}
	stackUpdates   = operation{name: "UpdateCode", uses: updateCode.uses, service: true}
	stackRollsBack = operation{name: "UpdateCode", uses: updateCode.uses, service: true, patient: true}
	lambdaSettles  = operation{name: "end an update", uses: footprint{writes: theFunction | theImagesRun}}
	stackWaits     = operation{name: "wait for the function", uses: footprint{reads: theFunction}, service: true, patient: true}
)

// on returns the operation on a function, with what else is its subject.
func (op operation) on(h tasuki.Handoff, function, subject string) operation {
	op.function, op.subject = function, strings.TrimSpace(function+" "+subject)
	n := slices.IndexFunc(h.Functions, func(f tasuki.FunctionTarget) bool { return f.Name == function })
	op.uses = op.uses.of(n)
	return op
}

// verdict is what happens to an operation at its gate.
type verdict string

const (
	goesOn     verdict = ""
	dies       verdict = "crash before it"
	diesAfter  verdict = "crash after it"
	isLost     verdict = "lost"
	isConflict verdict = "lost; a retry is told of a conflict"
	isDenied   verdict = "denied"
	isStale    verdict = "stale"
)

// errDead is what a crashed actor's operations answer. Its goroutines unwind with it:
// nothing that they do has an effect any more.
var errDead = errors.New("the actor has crashed")

// pass stops at the gate, performs the operation as the verdict says, and notes the answer.
func pass[T any](ctx context.Context, p *Port, op operation, perform func(stale bool) (T, string, error)) (T, error) {
	var none T
	at := p.run.sites.here()
	verdict, err := p.run.gate(ctx, p.attempt, op, at)
	if err != nil {
		return none, err
	}
	note := func(text, revision string, failed bool) {
		p.run.note(p.attempt, op, verdict, text)
		p.attempt.remember(p.attempt.command, op, at, answer{text, revision}, failed)
	}
	fail := func(kind error) error {
		return &tasuki.Error{Op: op.name, Side: tasuki.SideCaller, Subject: p.attempt.name, Kind: kind, Err: errors.New("injected")}
	}
	switch verdict {
	case dies:
		return none, errDead
	case isDenied:
		note("denied", "", true)
		return none, fail(tasuki.ErrDenied)
	case isLost, isConflict, diesAfter:
		text := "whatever it found"
		if op.uses.writes != 0 {
			var err error
			if _, text, err = perform(false); err != nil {
				text = kindOf(err)
			}
		}
		kind := tasuki.ErrUnavailable
		switch verdict {
		case diesAfter:
			p.run.note(p.attempt, op, verdict, text)
			return none, errDead
		case isConflict:
			kind = tasuki.ErrConflict
		}
		p.run.note(p.attempt, op, verdict, "("+text+"), answered "+kind.Error())
		p.attempt.remember(p.attempt.command, op, at, answer{kind.Error(), ""}, true)
		return none, fail(kind)
	}
	value, text, err := perform(verdict == isStale)
	if err != nil {
		text = kindOf(err)
	}
	revision := ""
	switch value := any(value).(type) {
	case tasuki.Function:
		revision = value.RevisionID
	case tasuki.Alias:
		revision = value.RevisionID
	}
	note(text, revision, err != nil && !errors.Is(err, tasuki.ErrMissing))
	return value, err
}

// kindOf tells an error as an answer.
func kindOf(err error) string {
	for _, kind := range []error{tasuki.ErrMissing, tasuki.ErrDenied, tasuki.ErrThrottled, tasuki.ErrConflict, tasuki.ErrUnavailable, tasuki.ErrInvalid, tasuki.ErrRefused} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return err.Error()
}

// ReadTag implements [tasuki.TagReader].
func (p *Port) ReadTag(ctx context.Context, name tasuki.ParameterName) (tasuki.ParameterVersion, error) {
	version, err := pass(ctx, p, readTag, func(stale bool) (tasuki.ParameterVersion, string, error) {
		versions := p.run.account.versions()
		p.attempt.sees(len(versions), stale)
		if stale {
			versions = versions[1:]
		}
		if len(versions) == 0 {
			return tasuki.ParameterVersion{}, "", &tasuki.Error{Op: "read", Side: tasuki.SideTag, Subject: name.String(), Kind: tasuki.ErrMissing}
		}
		return versions[0], fmt.Sprintf("%s (version %d)", versions[0].Value, versions[0].Version), nil
	})
	p.attempt.answered(err)
	return version, err
}

// TagHistory implements [tasuki.TagHistory].
func (p *Port) TagHistory(ctx context.Context, name tasuki.ParameterName) ([]tasuki.ParameterVersion, error) {
	return pass(ctx, p, readHistory, func(bool) ([]tasuki.ParameterVersion, string, error) {
		versions, err := p.run.account.TagHistory(ctx, name)
		var values []string
		for _, v := range versions {
			values = append(values, v.Value)
		}
		return versions, strings.Join(values, ", "), err
	})
}

// WriteTag implements [tasuki.TagWriter].
func (p *Port) WriteTag(ctx context.Context, name tasuki.ParameterName, value tasuki.Tag, description string) (int64, error) {
	return pass(ctx, p, operation{name: writeTag.name, subject: value.String(), uses: writeTag.uses}, func(bool) (int64, string, error) {
		version, err := p.run.account.WriteTag(ctx, name, value, description)
		if err == nil {
			p.run.account.writers = append(p.run.account.writers, p.attempt.name)
			p.run.checkWrite(p.attempt, value, description)
		}
		return version, fmt.Sprintf("version %d", version), err
	})
}

// Manifests implements [tasuki.Images].
func (p *Port) Manifests(ctx context.Context, repository tasuki.Repository, refs ...tasuki.Ref) (map[tasuki.Ref]tasuki.Manifest, error) {
	return pass(ctx, p, readImages, func(bool) (map[tasuki.Ref]tasuki.Manifest, string, error) {
		found, err := p.run.account.Manifests(ctx, repository, refs...)
		var names []string
		for _, ref := range refs {
			if manifest, there := found[ref]; there {
				names = append(names, p.run.account.fix.names[manifest.Digest])
			}
		}
		return found, strings.Join(names, ", "), err
	})
}

// Config implements [tasuki.Images].
func (p *Port) Config(ctx context.Context, repository tasuki.Repository, config tasuki.Descriptor) ([]byte, error) {
	return pass(ctx, p, readConfig, func(bool) ([]byte, string, error) {
		b, err := p.run.account.Config(ctx, repository, config)
		return b, fmt.Sprintf("%d bytes", len(b)), err
	})
}

// Function implements [tasuki.FunctionReader].
func (p *Port) Function(ctx context.Context, name string) (tasuki.Function, error) {
	if function, version, is := strings.Cut(name, ":"); is {
		return pass(ctx, p, readVersion.on(p.Handoff, function, version), func(bool) (tasuki.Function, string, error) {
			f, err := p.run.account.Function(ctx, name)
			return f, p.run.account.describe(f), err
		})
	}
	return pass(ctx, p, readFunction.on(p.Handoff, name, ""), func(bool) (tasuki.Function, string, error) {
		f, err := p.run.account.Function(ctx, name)
		p.attempt.looked(name, f.Updating())
		return f, p.run.account.describe(f), err
	})
}

// UpdateCode implements [tasuki.FunctionUpdater]. Without a revision it takes
// whatever the function has become.
func (p *Port) UpdateCode(ctx context.Context, update tasuki.CodeUpdate) (tasuki.Function, error) {
	return p.update(ctx, updateCode, update)
}

func (p *Port) update(ctx context.Context, op operation, update tasuki.CodeUpdate) (tasuki.Function, error) {
	a := p.run.account
	image := a.fix.names[update.Image.Ref.Digest()]
	return pass(ctx, p, op.on(p.Handoff, update.Function, image), func(bool) (tasuki.Function, string, error) {
		p.run.checkEffect(p.attempt)
		if f, there := a.live(update.Function); there && update.RevisionID == "" {
			update.RevisionID = f.RevisionID
		}
		f, err := a.UpdateCode(ctx, update)
		if err == nil {
			p.attempt.updated(update.Function)
			now := a.functions[update.Function]
			now.coming, now.updater = image, p.attempt
		}
		return f, a.describe(f), err
	})
}

// PublishVersion implements [tasuki.VersionPublisher]. Without a revision it publishes
// whatever the function has become.
func (p *Port) PublishVersion(ctx context.Context, name string, digest tasuki.Digest, revision string) (string, error) {
	return pass(ctx, p, publishVersion.on(p.Handoff, name, ""), func(bool) (string, string, error) {
		if f, there := p.run.account.live(name); there && revision == "" {
			digest, revision = f.Digest, f.RevisionID
		}
		version, err := p.run.account.PublishVersion(ctx, name, digest, revision)
		return version, version, err
	})
}

// Alias implements [tasuki.VersionPublisher].
func (p *Port) Alias(ctx context.Context, name, alias string) (tasuki.Alias, error) {
	return pass(ctx, p, readAlias.on(p.Handoff, name, ""), func(bool) (tasuki.Alias, string, error) {
		to, err := p.run.account.Alias(ctx, name, alias)
		return to, to.Version, err
	})
}

// MoveAlias implements [tasuki.VersionPublisher].
func (p *Port) MoveAlias(ctx context.Context, move tasuki.AliasMove) error {
	_, err := pass(ctx, p, moveAlias.on(p.Handoff, move.Function, move.Version), func(bool) (struct{}, string, error) {
		p.run.checkEffect(p.attempt)
		err := p.run.account.MoveAlias(ctx, move)
		if err == nil {
			p.run.checkAlias(p.attempt, move.Function)
		}
		return struct{}{}, "moved to " + p.run.account.aliased(move.Function), err
	})
	return err
}

// Invoke implements [tasuki.Invoker]. A sick image fails on the last function.
func (p *Port) Invoke(ctx context.Context, name, version string, payload []byte) (tasuki.Answer, error) {
	op := invoke
	if version != "" {
		op = invokeVersion
	}
	return pass(ctx, p, op.on(p.Handoff, name, version), func(bool) (tasuki.Answer, string, error) {
		answer, err := p.run.account.Invoke(ctx, name, version, payload)
		image := string(answer.Payload)
		if image == Sick && name == p.Handoff.Functions[len(p.Handoff.Functions)-1].Name {
			answer.Failure = "Unhandled"
		}
		if err == nil && answer.Failure == "" {
			p.attempt.passed(name, image)
		}
		return answer, image, err
	})
}

// StackUpdates puts an image into a function as CloudFormation does: without a
// revision. It fails with ErrConflict while another update is under way.
func (p *Port) StackUpdates(ctx context.Context, function string, image tasuki.ImageURI) error {
	_, err := p.update(ctx, stackUpdates, tasuki.CodeUpdate{Function: function, Image: image, Architecture: tasuki.X86_64})
	return err
}

// StackRollsBack is StackUpdates that waits for another update to end.
func (p *Port) StackRollsBack(ctx context.Context, function string, image tasuki.ImageURI) error {
	_, err := p.update(ctx, stackRollsBack, tasuki.CodeUpdate{Function: function, Image: image, Architecture: tasuki.X86_64})
	return err
}

// StackWaits waits until no update of a function is under way.
func (p *Port) StackWaits(ctx context.Context, function string) error {
	_, err := pass(ctx, p, stackWaits.on(p.Handoff, function, ""), func(bool) (struct{}, string, error) { return struct{}{}, "done", nil })
	return err
}

// StackCreates creates a function as CloudFormation does.
func (p *Port) StackCreates(ctx context.Context, function string, image tasuki.ImageURI) error {
	_, err := pass(ctx, p, stackCreates.on(p.Handoff, function, p.run.account.fix.names[image.Ref.Digest()]), func(bool) (struct{}, string, error) {
		p.run.checkEffect(p.attempt)
		p.run.account.create(function, image)
		return struct{}{}, "created", nil
	})
	return err
}

// seed is the placeholder as a source whose push stops at the gate.
type seed struct{ p *Port }

var _ tasuki.ImageSource = seed{}

// String implements [tasuki.ImageSource].
func (s seed) String() string { return Placeholder }

// Inspect implements [tasuki.ImageSource].
func (s seed) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	return s.p.run.account.fix.images[Placeholder].Inspect(ctx, arch)
}

// Push implements [tasuki.ImageSource].
func (s seed) Push(ctx context.Context, image tasuki.Image, repository tasuki.Repository, tag tasuki.Tag) error {
	_, err := pass(ctx, s.p, push, func(bool) (struct{}, string, error) {
		a := s.p.run.account
		s.p.run.checkEffect(s.p.attempt)
		err := a.Push(repository, tag, [][]byte{a.fix.images[Placeholder].Config}, image.Manifest)
		a.ran[Placeholder] = true
		return struct{}{}, "pushed", err
	})
	return err
}

// pace is how long the explorer lets the clock run after an operation: longer than
// the domain sleeps between two looks at a function. After a read that finds no
// parameter it is longer than the domain goes on reading. With two functions it is
// longer than the pauses of one of them grow while the other one is updated.
const (
	pace     = 600 * time.Millisecond
	longPace = 1100 * time.Millisecond
	missPace = 6 * time.Second
)
