package lambda

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

func (s *Service) getFunction(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	f, qualifier, err := s.named(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	out := &sdk.GetFunctionOutput{Configuration: s.configuration(&f, qualifier), Tags: f.Tags}
	if v := f.shown(); v.PackageType == types.PackageTypeImage {
		out.Code = &types.FunctionCodeLocation{RepositoryType: aws.String("ECR"), ImageUri: &v.Image.URI, ResolvedImageUri: &v.Image.Resolved}
	} else {
		// Lambda would add a Location to download the package from.
		out.Code = &types.FunctionCodeLocation{RepositoryType: aws.String("S3")}
	}
	return wire.JSONAnswer(http.StatusOK, out)
}

func (s *Service) getFunctionConfiguration(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	f, qualifier, err := s.named(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.configuration(&f, qualifier))
}

func (s *Service) listFunctions(_ context.Context, r *wire.Request, _ map[string]string) (wire.Answer, error) {
	query := r.HTTP.URL.Query()
	if err := refuseMembers(map[string]bool{"MasterRegion": query.Get("MasterRegion") != "", "FunctionVersion": query.Get("FunctionVersion") != ""}); err != nil {
		return wire.Answer{}, err
	}
	out := &sdk.ListFunctionsOutput{Functions: []types.FunctionConfiguration{}}
	if err := s.o.Store.View(func(tx *state.Tx) error {
		var unread error
		page, next, err := paged(query, functions.All(tx, "", &unread))
		if err != nil || unread != nil {
			return errors.Join(err, unread)
		}
		out.NextMarker = next
		for _, f := range page {
			out.Functions = append(out.Functions, s.listed(&f, ""))
		}
		return nil
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, out)
}

func (s *Service) deleteFunction(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.parseReference(path["FunctionName"], r.HTTP.URL.Query().Get("Qualifier"))
	switch {
	case err != nil:
		return wire.Answer{}, err
	case ref.qualifier == latest:
		return wire.Answer{}, invalid("$LATEST version cannot be deleted without deleting the function.")
	case ref.isAlias():
		return wire.Answer{}, invalid("Deletion of aliases is not currently supported.")
	case ref.qualifier != "":
		return s.deleteVersion(ref)
	}
	var gone []function
	if err := s.o.Store.Update(func(tx *state.Tx) (err error) {
		f, err := s.find(tx, ref)
		if err != nil {
			return err
		}
		for _, v := range f.withVersions(tx, &err) {
			gone = append(gone, v)
		}
		if err := forget(tx, f.Name); err != nil {
			return err
		}
		var leading []alias
		for _, a := range aliases.All(tx, f.Name+":", &err) {
			leading = append(leading, a)
		}
		if err != nil {
			return err
		}
		for _, a := range leading {
			if err := aliases.Delete(tx, a.key()); err != nil {
				return err
			}
		}
		for _, v := range gone {
			table, key := v.place()
			if err := table.Delete(tx, key); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return wire.Answer{}, err
	}
	for _, v := range gone {
		s.pool.promote(v.key(), deleted)
	}
	return wire.Answer{Status: http.StatusNoContent}, nil
}

func (s *Service) listTags(_ context.Context, _ *wire.Request, path map[string]string) (wire.Answer, error) {
	f, err := s.tagged(path, nil)
	if err != nil {
		return wire.Answer{}, err
	}
	if f.Tags == nil {
		f.Tags = map[string]string{}
	}
	return wire.JSONAnswer(http.StatusOK, &sdk.ListTagsOutput{Tags: f.Tags})
}

func (s *Service) tagResource(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.TagResourceInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if in.Tags == nil {
		return wire.Answer{}, missing("tags")
	}
	_, err = s.tagged(path, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
	return wire.Answer{Status: http.StatusNoContent}, err
}

func (s *Service) untagResource(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	names := r.HTTP.URL.Query()["tagKeys"]
	if len(names) == 0 {
		return wire.Answer{}, missing("tagKeys")
	}
	_, err := s.tagged(path, func(tags map[string]string) {
		for _, name := range names {
			delete(tags, name)
		}
	})
	return wire.Answer{Status: http.StatusNoContent}, err
}

// tagged returns the function of a tagging request, with its tags changed by edit.
func (s *Service) tagged(path map[string]string, edit func(tags map[string]string)) (f function, err error) {
	ref, err := s.parseReference(path["Resource"], "")
	if err != nil {
		return f, err
	}
	if ref.qualifier != "" {
		return f, invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
	}
	if edit == nil {
		err = s.o.Store.View(func(tx *state.Tx) error {
			f, err = s.find(tx, ref)
			return err
		})
		return f, err
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		if f, err = s.find(tx, ref); err != nil {
			return err
		}
		if f.Tags == nil {
			f.Tags = map[string]string{}
		}
		edit(f.Tags)
		return put(tx, f)
	})
	return f, err
}

// Tags returns the tags of the function that an ARN names, with or without a
// qualifier; nil where there is none.
func (s *Service) Tags(arn string) (map[string]string, error) {
	ref, err := s.parseReference(arn, "")
	if err != nil {
		return nil, nil // it names no function of this account and region
	}
	var f function
	err = s.o.Store.View(func(tx *state.Tx) error {
		f, _, err = functions.Get(tx, ref.name)
		return err
	})
	return f.Tags, err
}
