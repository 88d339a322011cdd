// Package memory implements the domain's ports in memory: what AWS would answer,
// without AWS, for tests of the protocol. The conformance suites hold it to the
// same behaviour as the real adapters.
package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	revision     int

	// Before, when set, is called before each operation with its name and its
	// subject; an error that it returns is the operation's, and nothing is done. It
	// may call the AWS again: nothing is locked.
	Before func(operation, subject string) error
	// After, when set, is called when an operation has been done; an error that it
	// returns takes the answer's place, as if the answer had been lost.
	After func(operation, subject string) error
	// UpdateTakes is how long a function stays InProgress after UpdateCode.
	UpdateTakes time.Duration
	// UpdateFails, when set, says why Lambda does not take an image; "" takes it.
	UpdateFails func(digest tasuki.Digest) string
}

type repository struct {
	manifests map[tasuki.Digest]tasuki.Manifest
	tags      map[tasuki.Tag]tasuki.Digest
	configs   map[tasuki.Digest][]byte
}

type function struct {
	tasuki.Function
	settles time.Time
	next    *tasuki.Function // what it will be once it has settled
}

var (
	_ tasuki.Tags            = (*AWS)(nil)
	_ tasuki.Contracts       = (*AWS)(nil)
	_ tasuki.Images          = (*AWS)(nil)
	_ tasuki.FunctionUpdater = (*AWS)(nil)
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

// WriteContract implements [tasuki.Contracts].
func (a *AWS) WriteContract(ctx context.Context, contract tasuki.Contract) error {
	return a.do(ctx, "WriteContract", contract.Name.String(), func() error {
		if err := contract.Check(); err != nil {
			return err
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
	}
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

// Manifests implements [tasuki.Images].
func (a *AWS) Manifests(ctx context.Context, name tasuki.Repository, refs ...tasuki.Ref) (found map[tasuki.Ref]tasuki.Manifest, err error) {
	err = a.do(ctx, "Manifests", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
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
	a.functions[name] = &function{Function: f}
}

// ChangeFunction changes a function as something other than Tasuki would.
func (a *AWS) ChangeFunction(name string, change func(*tasuki.Function)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.functions[name]
	change(&f.Function)
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
		f, there := a.functions[name]
		if !there {
			return missing(tasuki.SideFunction, name)
		}
		a.settle(f)
		found = f.Function
		return nil
	})
	return found, err
}

// settle ends an update whose time has come.
func (a *AWS) settle(f *function) {
	if f.next != nil && !time.Now().Before(f.settles) {
		f.Function, f.next = *f.next, nil
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
		case f.Updating():
			return refuse(tasuki.ErrConflict, errors.New("an update is in progress"))
		case update.RevisionID != "" && update.RevisionID != f.RevisionID:
			return refuse(tasuki.ErrConflict, errors.New("the revision id is not the latest"))
		}
		digest := update.Image.Ref.Digest()
		repository, there := a.repositories[update.Image.Repository]
		if digest.IsZero() && there {
			digest = repository.tags[update.Image.Ref.Tag()]
		}
		if there {
			_, there = repository.manifests[digest]
		}
		if !there {
			return refuse(tasuki.ErrRefused, fmt.Errorf("source image %s does not exist", update.Image))
		}
		next := f.Function
		next.Architecture = cmp.Or(update.Architecture, tasuki.X86_64)
		a.setImage(&next, tasuki.ImageURI{Repository: update.Image.Repository, Ref: tasuki.ByDigest(digest)})
		next.UpdateStatus, next.UpdateReason, next.UpdateReasonCode = "Successful", "", ""
		if a.UpdateFails != nil {
			if reason := a.UpdateFails(digest); reason != "" {
				next = f.Function
				next.UpdateStatus, next.UpdateReason, next.UpdateReasonCode = "Failed", reason, "InvalidImage"
			}
		}
		f.UpdateStatus = "InProgress"
		f.next, f.settles = &next, time.Now().Add(a.UpdateTakes)
		a.revise(&f.Function)
		updated = f.Function
		return nil
	})
	return updated, err
}

func missing(side tasuki.Side, subject string) error {
	return &tasuki.Error{Op: "read", Side: side, Subject: subject, Kind: tasuki.ErrMissing}
}
