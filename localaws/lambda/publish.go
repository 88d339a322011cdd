package lambda

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// versions holds every published version under its function's name and its number.
var versions = state.Table[function]{Name: "lambda.versions"}

// versionKey is a version's key: the versions of a function are in the order of
// their numbers.
func versionKey(name, number string) string {
	const digits = 19 // of the largest number
	return name + ":" + strings.Repeat("0", max(0, digits-len(number))) + number
}

// numbered returns the published version of a number, and whether there is one.
func numbered(tx *state.Tx, name, number string) (v function, found bool, err error) {
	v, found, err = versions.Get(tx, versionKey(name, number))
	return v, found && v.Number == number, err // 01 has the key of 1
}

// publish makes a published version of v, code and configuration of the function,
// under the next number: numbers are not used again, whatever is deleted. It is
// ready when finish has been through with it.
func (f *function) publish(v version) function {
	f.Published++
	f.revise()
	p := created(f.Name, strconv.FormatInt(f.Published, 10))
	p.Modified, p.Next = f.Modified, &v
	return p
}

// lastPublished returns the version that was published last, if it is of the code
// and the configuration that the function has now. An update counts as a change also
// where it changed nothing, as it does on AWS.
func (f *function) lastPublished(tx *state.Tx) (last function, same bool, err error) {
	last, found, err := numbered(tx, f.Name, strconv.FormatInt(f.Published, 10))
	return last, found && last.shown().ID == f.Current.ID, err
}

// mustBeStill refuses a change of a function that is being created or changed, or
// that is not at the revision, where one is given.
func (s *Service) mustBeStill(f *function, revision *string) error {
	switch {
	case f.State == types.StatePending:
		return notIn(f.State)
	case f.busy():
		return conflict("The operation cannot be performed at this time. An update is in progress for resource: %s", s.arn(reference{name: f.Name}))
	}
	return mustMatch(revision, f.Revision)
}

// notIn is the error for an operation that a function's state forbids.
func notIn(s types.State) error {
	return conflict("The operation cannot be performed at this time. The function is currently in the following state: %s", s)
}

// mustMatch refuses a request that was decided on another revision than the one in
// force.
func mustMatch(given *string, revision string) error {
	if given == nil || *given == revision {
		return nil
	}
	return wire.Errorf("PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id").WithStatus(http.StatusPreconditionFailed)
}

func (s *Service) publishVersion(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.PublishVersionInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	name, err := s.parseName(path["FunctionName"])
	if err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{"PublishTo": in.PublishTo != ""}); err != nil {
		return wire.Answer{}, err
	}
	if err := checkDescription(in.Description); err != nil {
		return wire.Answer{}, err
	}
	var published function
	var again bool
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		f, err := s.find(tx, reference{name: name})
		if err != nil {
			return err
		}
		if err := s.mustBeStill(&f, in.RevisionId); err != nil {
			return err
		}
		if f.State != types.StateActive {
			return notIn(f.State)
		}
		if want, have := aws.ToString(in.CodeSha256), f.Current.codeSHA256(); want != "" && want != have {
			return invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", want, have)
		}
		if published, again, err = f.lastPublished(tx); err != nil || again {
			return err
		}
		v := *f.Current
		if in.Description != nil {
			v.Description = *in.Description
		}
		published = f.publish(v)
		return put(tx, f, published)
	}); err != nil {
		return wire.Answer{}, err
	}
	if !again {
		s.tasks.Go(func() { s.finish(published) })
	}
	return wire.JSONAnswer(http.StatusCreated, s.configuration(&published, published.Number))
}

// put stores functions and published versions.
func put(tx *state.Tx, all ...function) error {
	for _, f := range all {
		table, key := f.place()
		if err := table.Put(tx, key, f); err != nil {
			return err
		}
	}
	return nil
}

// place returns where the version is stored.
func (f *function) place() (state.Table[function], string) {
	if f.Number == "" {
		return functions, f.Name
	}
	return versions, versionKey(f.Name, f.Number)
}

func (s *Service) listVersionsByFunction(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	name, err := s.parseName(path["FunctionName"])
	if err != nil {
		return wire.Answer{}, err
	}
	out := &sdk.ListVersionsByFunctionOutput{Versions: []types.FunctionConfiguration{}}
	if err := s.o.Store.View(func(tx *state.Tx) error {
		f, err := s.find(tx, reference{name: name})
		if err != nil {
			return err
		}
		var unread error
		page, next, err := paged(r.HTTP.URL.Query(), f.withVersions(tx, &unread))
		if err != nil || unread != nil {
			return errors.Join(err, unread)
		}
		out.NextMarker = next
		for _, v := range page {
			out.Versions = append(out.Versions, s.listed(&v, v.label()))
		}
		return nil
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, out)
}

// withVersions returns the function and its published versions, in their order.
func (f *function) withVersions(tx *state.Tx, err *error) iter.Seq2[string, function] {
	return func(yield func(string, function) bool) {
		if !yield(versionKey(f.Name, "0"), *f) {
			return
		}
		for key, v := range versions.All(tx, f.Name+":", err) {
			if !yield(key, v) {
				return
			}
		}
	}
}

// deleteVersion deletes a published version, unless an alias leads to it. One that
// is not there is deleted already.
func (s *Service) deleteVersion(ref reference) (wire.Answer, error) {
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := s.find(tx, reference{name: ref.name}); err != nil {
			return err
		}
		if _, found, err := numbered(tx, ref.name, ref.qualifier); err != nil || !found {
			return err
		}
		var unread error
		var leading []string
		for _, a := range aliases.All(tx, ref.name+":", &unread) {
			if a.leadsTo(ref.qualifier) {
				leading = append(leading, a.Name)
			}
		}
		if unread != nil {
			return unread
		}
		if len(leading) > 0 {
			return conflict("Unable to delete version because the following aliases reference it: [%s]", strings.Join(leading, ", "))
		}
		if err := forgetOne(tx, ref); err != nil {
			return err
		}
		return versions.Delete(tx, versionKey(ref.name, ref.qualifier))
	}); err != nil {
		return wire.Answer{}, err
	}
	s.pool.promote(key{ref.name, ref.qualifier}, deleted)
	return wire.Answer{Status: http.StatusNoContent}, nil
}
