// Package memory implements the domain's ports in memory: what AWS would answer,
// without AWS, for tests of the protocol. The conformance suites hold it to the
// same behaviour as the real adapters.
package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// AWS is an account that has nothing yet. The zero value is ready.
type AWS struct {
	mu           sync.Mutex
	parameters   map[tasuki.ParameterName][]tasuki.ParameterVersion // ascending
	contracts    map[tasuki.HandoffName]tasuki.Contract
	repositories map[tasuki.Repository]*repository
	functions    map[string]*function
	stacks       map[string]string // statuses
	revision     int

	// Before, when set, is called before each operation with its name and its
	// subject; an error that it returns is the operation's, and nothing is done. It
	// may call the AWS again: nothing is locked.
	Before func(operation, subject string) error
	// After, when set, is called when an operation has been done; an error that it
	// returns takes the answer's place, as if the answer had been lost.
	After func(operation, subject string) error
	// UpdateTakes is how long a function stays InProgress after UpdateCode. A change
	// is for the updates under way as well.
	UpdateTakes time.Duration
	// Answers, when set, is what an image answers to an invocation; otherwise every
	// image answers {}.
	Answers func(digest tasuki.Digest, payload []byte) tasuki.Answer
	// UpdateFails, when set, says why Lambda does not take an image; "" takes it.
	UpdateFails func(digest tasuki.Digest) string
}

type repository struct {
	manifests map[tasuki.Digest]tasuki.Manifest
	tags      map[tasuki.Tag]tasuki.Digest
	configs   map[tasuki.Digest][]byte
	settings  tasuki.RepositorySettings
	policy    string // JSON; "" for none
	archived  []tasuki.Digest
}

type function struct {
	tasuki.Function                  // as it is described: during an update, with the new image
	serving         tasuki.Digest    // what answers invocations
	started         time.Time        // when the update under way started
	next            *tasuki.Function // what it will be once the update has ended; nil for no update
	versions        []tasuki.Function
	configured      bool // its configuration has changed since it was published
	aliases         map[string]tasuki.Alias
}

var (
	_ tasuki.Tags                = (*AWS)(nil)
	_ tasuki.TagBatchReader      = (*AWS)(nil)
	_ tasuki.Contracts           = (*AWS)(nil)
	_ tasuki.ContractBatchReader = (*AWS)(nil)
	_ tasuki.Images              = (*AWS)(nil)
	_ tasuki.Repositories        = (*AWS)(nil)
	_ tasuki.ImageTagger         = (*AWS)(nil)
	_ tasuki.FunctionUpdater     = (*AWS)(nil)
	_ tasuki.VersionPublisher    = (*AWS)(nil)
	_ tasuki.AliasDeleter        = (*AWS)(nil)
	_ tasuki.Invoker             = (*AWS)(nil)
	_ tasuki.StackReader         = (*AWS)(nil)
)

// do runs an operation between the hooks.
func (a *AWS) do(ctx context.Context, operation, subject string, f func() error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if a.Before != nil {
		if err := a.Before(operation, subject); err != nil {
			return err
		}
	}
	a.mu.Lock()
	err := f()
	a.mu.Unlock()
	if a.After != nil {
		if lost := a.After(operation, subject); lost != nil {
			return lost
		}
	}
	return err
}

// ReadTag implements [tasuki.TagReader].
func (a *AWS) ReadTag(ctx context.Context, name tasuki.ParameterName) (version tasuki.ParameterVersion, err error) {
	err = a.do(ctx, "ReadTag", name.String(), func() error {
		versions := a.parameters[name]
		if len(versions) == 0 {
			return missing(tasuki.SideTag, name.String())
		}
		version = versions[len(versions)-1]
		return nil
	})
	return version, err
}

// ReadTags implements [tasuki.TagBatchReader].
func (a *AWS) ReadTags(ctx context.Context, names ...tasuki.ParameterName) (found map[tasuki.ParameterName]tasuki.ParameterVersion, err error) {
	err = a.do(ctx, "ReadTags", "", func() error {
		found = map[tasuki.ParameterName]tasuki.ParameterVersion{}
		for _, name := range names {
			if versions := a.parameters[name]; len(versions) > 0 {
				found[name] = versions[len(versions)-1]
			}
		}
		return nil
	})
	return found, err
}

// TagHistory implements [tasuki.TagHistory].
func (a *AWS) TagHistory(ctx context.Context, name tasuki.ParameterName) (versions []tasuki.ParameterVersion, err error) {
	err = a.do(ctx, "TagHistory", name.String(), func() error {
		if versions = slices.Clone(a.parameters[name]); len(versions) == 0 {
			return missing(tasuki.SideTag, name.String())
		}
		slices.Reverse(versions)
		return nil
	})
	return versions, err
}

// WriteTag implements [tasuki.TagWriter].
func (a *AWS) WriteTag(ctx context.Context, name tasuki.ParameterName, value tasuki.Tag, description string) (version int64, err error) {
	err = a.do(ctx, "WriteTag", name.String(), func() error {
		version = a.put(name, value.String(), "String", description)
		return nil
	})
	return version, err
}

// PutParameter writes a parameter as somebody would by hand.
func (a *AWS) PutParameter(name tasuki.ParameterName, value, kind string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.put(name, value, kind, "")
}

// longestParameter is how many bytes a standard parameter holds.
const longestParameter = 4096

// mostVersions is how many versions SSM keeps of a parameter.
const mostVersions = 100

func (a *AWS) put(name tasuki.ParameterName, value, kind, description string) int64 {
	if a.parameters == nil {
		a.parameters = map[tasuki.ParameterName][]tasuki.ParameterVersion{}
	}
	versions := a.parameters[name]
	next := int64(1)
	if len(versions) > 0 {
		next = versions[len(versions)-1].Version + 1
	}
	versions = append(versions, tasuki.ParameterVersion{
		Name: name, Value: value, Type: kind, Version: next, Description: description,
		ModifiedBy: "arn:aws:iam::000000000000:user/memory", ModifiedAt: time.Now(),
	})
	a.parameters[name] = versions[max(0, len(versions)-mostVersions):]
	return next
}

// DeleteParameter deletes a parameter with its history.
func (a *AWS) DeleteParameter(name tasuki.ParameterName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.parameters, name)
}

// ReadContract implements [tasuki.Contracts].
func (a *AWS) ReadContract(ctx context.Context, handoff tasuki.HandoffName) (contract tasuki.Contract, err error) {
	err = a.do(ctx, "ReadContract", handoff.String(), func() error {
		var there bool
		if contract, there = a.contracts[handoff]; !there {
			return missing(tasuki.SideContract, handoff.ContractParameter().String())
		}
		return nil
	})
	return contract, err
}

// ReadContracts implements [tasuki.ContractBatchReader].
func (a *AWS) ReadContracts(ctx context.Context, handoffs ...tasuki.HandoffName) (found map[tasuki.HandoffName]tasuki.Contract, err error) {
	err = a.do(ctx, "ReadContracts", "", func() error {
		found = map[tasuki.HandoffName]tasuki.Contract{}
		for _, handoff := range handoffs {
			if contract, there := a.contracts[handoff]; there {
				found[handoff] = contract
			}
		}
		return nil
	})
	return found, err
}

// WriteContract implements [tasuki.Contracts].
func (a *AWS) WriteContract(ctx context.Context, contract tasuki.Contract) error {
	return a.do(ctx, "WriteContract", contract.Name.String(), func() error {
		refuse := func(kind, cause error) error {
			return &tasuki.Error{Op: "write", Side: tasuki.SideContract, Subject: contract.Name.ContractParameter().String(), Kind: kind, Err: cause}
		}
		if err := contract.Check(); err != nil {
			return refuse(tasuki.ErrInvalid, err)
		}
		if b, err := json.Marshal(contract); err != nil || len(b) > longestParameter {
			return refuse(tasuki.ErrRefused, errors.Join(fmt.Errorf("it has %d bytes", len(b)), err))
		}
		if a.contracts == nil {
			a.contracts = map[tasuki.HandoffName]tasuki.Contract{}
		}
		a.contracts[contract.Name] = contract
		return nil
	})
}

// ListContracts implements [tasuki.Contracts].
func (a *AWS) ListContracts(ctx context.Context) (contracts []tasuki.Contract, err error) {
	err = a.do(ctx, "ListContracts", "", func() error {
		contracts = slices.SortedFunc(maps.Values(a.contracts), func(x, y tasuki.Contract) int {
			return cmp.Compare(x.Name.String(), y.Name.String())
		})
		return nil
	})
	return contracts, err
}

// CreateRepository makes an empty repository.
func (a *AWS) CreateRepository(name tasuki.Repository) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repositories == nil {
		a.repositories = map[tasuki.Repository]*repository{}
	}
	a.repositories[name] = &repository{
		manifests: map[tasuki.Digest]tasuki.Manifest{}, tags: map[tasuki.Tag]tasuki.Digest{}, configs: map[tasuki.Digest][]byte{},
		settings: tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}},
	}
}

// SetUpRepository changes a repository's settings.
func (a *AWS) SetUpRepository(name tasuki.Repository, settings tasuki.RepositorySettings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repositories[name].settings = settings
}

// RepositorySettings implements [tasuki.Repositories].
func (a *AWS) RepositorySettings(ctx context.Context, name tasuki.Repository) (settings tasuki.RepositorySettings, err error) {
	err = a.do(ctx, "RepositorySettings", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		settings = repository.settings
		return nil
	})
	return settings, err
}

// Push puts manifests and configurations into a repository, and moves tag to the
// first manifest.
func (a *AWS) Push(name tasuki.Repository, tag tasuki.Tag, configs [][]byte, manifests ...tasuki.Manifest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	repository, there := a.repositories[name]
	if !there {
		return missing(tasuki.SideImage, name.String())
	}
	for _, config := range configs {
		repository.configs[tasuki.DigestOf(config)] = config
	}
	for _, manifest := range manifests {
		repository.manifests[manifest.Digest] = manifest
	}
	if !tag.IsZero() && len(manifests) > 0 {
		repository.tags[tag] = manifests[0].Digest
	}
	return nil
}

// DeleteImage removes a manifest and its tags.
func (a *AWS) DeleteImage(name tasuki.Repository, digest tasuki.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	repository := a.repositories[name]
	delete(repository.manifests, digest)
	maps.DeleteFunc(repository.tags, func(_ tasuki.Tag, d tasuki.Digest) bool { return d == digest })
}

// TaggedImages returns what the tags of a repository name, the protecting ones included.
func (a *AWS) TaggedImages(name tasuki.Repository) map[string]tasuki.Digest {
	a.mu.Lock()
	defer a.mu.Unlock()
	tagged := map[string]tasuki.Digest{}
	for tag, digest := range a.repositories[name].tags {
		tagged[tag.String()] = digest
	}
	return tagged
}

// Manifests implements [tasuki.Images].
func (a *AWS) Manifests(ctx context.Context, name tasuki.Repository, refs ...tasuki.Ref) (found map[tasuki.Ref]tasuki.Manifest, err error) {
	err = a.do(ctx, "Manifests", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		if len(refs) > 100 {
			return &tasuki.Error{Op: "read", Side: tasuki.SideImage, Subject: name.String(), Kind: tasuki.ErrInvalid, Err: errors.New("more than 100 images at once")}
		}
		found = map[tasuki.Ref]tasuki.Manifest{}
		for _, ref := range refs {
			digest := ref.Digest()
			if digest.IsZero() {
				digest = repository.tags[ref.Tag()]
			}
			if manifest, there := repository.manifests[digest]; there {
				found[ref] = manifest
			}
		}
		return nil
	})
	return found, err
}

// Config implements [tasuki.Images].
func (a *AWS) Config(ctx context.Context, name tasuki.Repository, config tasuki.Descriptor) (b []byte, err error) {
	err = a.do(ctx, "Config", name.String(), func() error {
		repository, there := a.repositories[name]
		if there {
			b, there = repository.configs[config.Digest]
		}
		if !there {
			return missing(tasuki.SideImage, name.String()+"@"+config.Digest.String())
		}
		return nil
	})
	return b, err
}

// SetStack puts a stack into a status, whether or not it exists.
func (a *AWS) SetStack(id, status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stacks == nil {
		a.stacks = map[string]string{}
	}
	a.stacks[id] = status
}

// StackStatus implements [tasuki.StackReader].
func (a *AWS) StackStatus(ctx context.Context, id string) (status string, err error) {
	err = a.do(ctx, "StackStatus", id, func() error {
		var there bool
		if status, there = a.stacks[id]; !there {
			return missing(tasuki.SideStack, id)
		}
		return nil
	})
	return status, err
}

// CreateFunction makes a function that runs an image, active at once.
func (a *AWS) CreateFunction(name string, image tasuki.ImageURI, arch tasuki.Architecture) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.functions == nil {
		a.functions = map[string]*function{}
	}
	f := tasuki.Function{
		Name: name, ARN: "arn:aws:lambda:us-east-1:000000000000:function:" + name, PackageType: "Image",
		Architecture: arch, State: "Active", UpdateStatus: "Successful",
	}
	a.setImage(&f, image)
	a.functions[name] = &function{Function: f, serving: f.Digest}
}

// ChangeFunction changes a function as something other than Tasuki would.
func (a *AWS) ChangeFunction(name string, change func(*tasuki.Function)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.functions[name]
	change(&f.Function)
	f.configured = true
	f.serving = f.Digest
	a.revise(&f.Function)
}

// DeleteFunction deletes a function.
func (a *AWS) DeleteFunction(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.functions, name)
}

func (a *AWS) revise(f *tasuki.Function) {
	a.revision++
	f.RevisionID = strconv.Itoa(a.revision)
	f.Modified = time.Now()
}

// setImage puts an image into f, its tag resolved to a digest as Lambda does.
func (a *AWS) setImage(f *tasuki.Function, image tasuki.ImageURI) {
	f.ImageURI, f.Repository, f.Digest = image.String(), image.Repository.String(), image.Ref.Digest()
	if f.Digest.IsZero() {
		f.Digest = a.repositories[image.Repository].tags[image.Ref.Tag()]
	}
	a.revise(f)
}

// Function implements [tasuki.FunctionReader].
func (a *AWS) Function(ctx context.Context, name string) (found tasuki.Function, err error) {
	err = a.do(ctx, "Function", name, func() error {
		bare, version, isVersion := strings.Cut(name, ":")
		f, there := a.functions[bare]
		if !there {
			return missing(tasuki.SideFunction, name)
		}
		a.settle(f)
		found = f.Function
		if !isVersion {
			return nil
		}
		found, there = f.version(version)
		if !there {
			return missing(tasuki.SideFunction, name)
		}
		return nil
	})
	return found, err
}

// version returns a published version.
func (f *function) version(number string) (tasuki.Function, bool) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(f.versions) {
		return tasuki.Function{}, false
	}
	return f.versions[n-1], true
}

// settle ends an update whose time has come.
func (a *AWS) settle(f *function) {
	if f.next != nil && time.Since(f.started) >= a.UpdateTakes {
		f.Function, f.serving, f.next = *f.next, f.next.Digest, nil
		a.revise(&f.Function)
	}
}

// UpdateCode implements [tasuki.FunctionUpdater].
func (a *AWS) UpdateCode(ctx context.Context, update tasuki.CodeUpdate) (updated tasuki.Function, err error) {
	err = a.do(ctx, "UpdateCode", update.Function, func() error {
		f, there := a.functions[update.Function]
		if !there {
			return missing(tasuki.SideFunction, update.Function)
		}
		a.settle(f)
		refuse := func(kind, cause error) error {
			return &tasuki.Error{Op: "update", Side: tasuki.SideFunction, Subject: update.Function, Kind: kind, Err: cause}
		}
		switch {
		case update.RevisionID == "", update.Architecture == "", update.Image.Ref.Digest().IsZero():
			return refuse(tasuki.ErrInvalid, errors.New("an update names a revision, an architecture and a digest"))
		case f.Updating():
			return refuse(tasuki.ErrConflict, errors.New("an update is in progress"))
		case update.RevisionID != f.RevisionID:
			return refuse(tasuki.ErrConflict, errors.New("the revision id is not the latest"))
		}
		digest := update.Image.Ref.Digest()
		repository, there := a.repositories[update.Image.Repository]
		if there {
			_, there = repository.manifests[digest]
		}
		if !there {
			return refuse(tasuki.ErrRefused, fmt.Errorf("source image %s does not exist", update.Image))
		}
		before, next := f.Function, f.Function
		next.Architecture = update.Architecture
		a.setImage(&next, tasuki.ImageURI{Repository: update.Image.Repository, Ref: tasuki.ByDigest(digest)})
		next.UpdateStatus, next.UpdateReason, next.UpdateReasonCode = "Successful", "", ""
		if a.UpdateFails != nil {
			if reason := a.UpdateFails(digest); reason != "" {
				next = before
				next.UpdateStatus, next.UpdateReason, next.UpdateReasonCode = "Failed", reason, "InvalidImage"
			}
		}
		a.setImage(&f.Function, update.Image)
		f.UpdateStatus = "InProgress"
		f.next, f.started = &next, time.Now()
		updated = f.Function
		return nil
	})
	return updated, err
}

// TagImage implements [tasuki.ImageTagger].
func (a *AWS) TagImage(ctx context.Context, name tasuki.Repository, manifest tasuki.Manifest, tag tasuki.Tag) error {
	return a.do(ctx, "TagImage", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		repository.tags[tag] = manifest.Digest
		return nil
	})
}

// PublishVersion implements [tasuki.VersionPublisher].
func (a *AWS) PublishVersion(ctx context.Context, name string, digest tasuki.Digest, revisionID string) (version string, err error) {
	err = a.do(ctx, "PublishVersion", name, func() error {
		f, there := a.functions[name]
		if !there {
			return missing(tasuki.SideFunction, name)
		}
		a.settle(f)
		if f.Updating() || f.RevisionID != revisionID || f.Digest != digest {
			return &tasuki.Error{Op: "publish", Side: tasuki.SideFunction, Subject: name, Kind: tasuki.ErrConflict, Err: errors.New("the function has changed")}
		}
		if n := len(f.versions); n == 0 || f.configured || f.versions[n-1].Digest != digest {
			f.versions, f.configured = append(f.versions, f.Function), false
			a.revise(&f.Function) // as Lambda does, though nothing of the function changes
		}
		version = strconv.Itoa(len(f.versions))
		return nil
	})
	return version, err
}

// Alias implements [tasuki.VersionPublisher].
func (a *AWS) Alias(ctx context.Context, name, alias string) (found tasuki.Alias, err error) {
	err = a.do(ctx, "Alias", name+":"+alias, func() error {
		f, there := a.functions[name]
		if there {
			found, there = f.aliases[alias]
		}
		if !there {
			return missing(tasuki.SideFunction, name+":"+alias)
		}
		return nil
	})
	return found, err
}

// MoveAlias implements [tasuki.VersionPublisher].
func (a *AWS) MoveAlias(ctx context.Context, move tasuki.AliasMove) error {
	return a.do(ctx, "MoveAlias", move.Function+":"+move.Alias, func() error {
		f, there := a.functions[move.Function]
		if !there {
			return missing(tasuki.SideFunction, move.Function)
		}
		if _, there := f.version(move.Version); !there {
			return missing(tasuki.SideFunction, move.Function+":"+move.Version)
		}
		if f.aliases[move.Alias].RevisionID != move.RevisionID {
			return &tasuki.Error{Op: "move", Side: tasuki.SideFunction, Subject: move.Function + ":" + move.Alias, Kind: tasuki.ErrConflict, Err: errors.New("the alias has changed")}
		}
		if f.aliases == nil {
			f.aliases = map[string]tasuki.Alias{}
		}
		a.revision++
		description := move.Description
		if before, there := f.aliases[move.Alias]; there {
			description = before.Description
		}
		f.aliases[move.Alias] = tasuki.Alias{Version: move.Version, RevisionID: strconv.Itoa(a.revision), Description: description}
		return nil
	})
}

// DeleteAlias implements [tasuki.AliasDeleter].
func (a *AWS) DeleteAlias(ctx context.Context, name, alias string) error {
	return a.do(ctx, "DeleteAlias", name+":"+alias, func() error {
		if f, there := a.functions[name]; there {
			delete(f.aliases, alias)
		}
		return nil
	})
}

// Invoke implements [tasuki.Invoker].
func (a *AWS) Invoke(ctx context.Context, name, version string, payload []byte) (answer tasuki.Answer, err error) {
	var digest tasuki.Digest
	err = a.do(ctx, "Invoke", name, func() error {
		f, there := a.functions[name]
		if !there {
			return missing(tasuki.SideFunction, name)
		}
		a.settle(f)
		digest = f.serving
		if version != "" {
			published, there := f.version(version)
			if !there {
				return missing(tasuki.SideFunction, name+":"+version)
			}
			digest = published.Digest
		}
		return nil
	})
	if err != nil {
		return tasuki.Answer{}, err
	}
	if a.Answers == nil {
		return tasuki.Answer{Payload: []byte("{}")}, nil
	}
	return a.Answers(digest, payload), nil
}

func missing(side tasuki.Side, subject string) error {
	return &tasuki.Error{Op: "read", Side: side, Subject: subject, Kind: tasuki.ErrMissing}
}
