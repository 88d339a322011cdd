package memory

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki"
)

type function struct {
	tasuki.Function                  // as it is described: during an update, with the new image
	serving         tasuki.Digest    // what answers invocations
	started         time.Time        // when the update under way started
	next            *tasuki.Function // what it will be once the update has ended; nil for no update
	versions        []tasuki.Function
	configured      bool // its configuration has changed since it was published
	aliases         map[string]tasuki.Alias
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
