package lambda

import (
	"context"
	"maps"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// longestPage is how many functions ListFunctions answers at most.
const longestPage = 50

func (s *Service) getFunction(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	f, err := s.named(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	out := &sdk.GetFunctionOutput{Configuration: s.configuration(&f), Tags: f.Tags}
	if v := f.shown(); v.PackageType == types.PackageTypeImage {
		out.Code = &types.FunctionCodeLocation{RepositoryType: aws.String("ECR"), ImageUri: &v.Image.URI, ResolvedImageUri: &v.Image.Resolved}
	} else {
		// Lambda would add a Location to download the package from.
		out.Code = &types.FunctionCodeLocation{RepositoryType: aws.String("S3")}
	}
	return wire.JSONAnswer(http.StatusOK, out)
}

func (s *Service) getFunctionConfiguration(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	f, err := s.named(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.configuration(&f))
}

func (s *Service) listFunctions(_ context.Context, r *wire.Request, _ map[string]string) (wire.Answer, error) {
	query := r.HTTP.URL.Query()
	if query.Get("MasterRegion") != "" {
		return wire.Answer{}, notProvided("Member MasterRegion")
	}
	page := longestPage
	if given := query.Get("MaxItems"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 {
			return wire.Answer{}, constraint(given, "maxItems", "have value greater than or equal to 1")
		}
		page = min(n, longestPage)
	}
	marker := query.Get("Marker")
	out := &sdk.ListFunctionsOutput{Functions: []types.FunctionConfiguration{}}
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		for name, f := range functions.All(tx, "", &err) {
			if name <= marker {
				continue
			}
			if len(out.Functions) == page {
				out.NextMarker = out.Functions[page-1].FunctionName
				break
			}
			c := s.configuration(&f)
			// Lambda leaves the states out of lists.
			c.State, c.StateReason, c.StateReasonCode = "", nil, ""
			c.LastUpdateStatus, c.LastUpdateStatusReason, c.LastUpdateStatusReasonCode = "", nil, ""
			out.Functions = append(out.Functions, *c)
		}
		return err
	})
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, out)
}

func (s *Service) deleteFunction(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	f, err := s.named(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := s.find(tx, f.Name); err != nil {
			return err
		}
		return functions.Delete(tx, f.Name)
	}); err != nil {
		return wire.Answer{}, err
	}
	s.pool.promote(key{f.Name, latest}, deleted)
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
	_, err = s.tagged(path, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
	return wire.Answer{Status: http.StatusNoContent}, err
}

func (s *Service) untagResource(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	_, err := s.tagged(path, func(tags map[string]string) {
		for _, name := range r.HTTP.URL.Query()["tagKeys"] {
			delete(tags, name)
		}
	})
	return wire.Answer{Status: http.StatusNoContent}, err
}

// tagged returns the function of a tagging request, with its tags changed by edit.
func (s *Service) tagged(path map[string]string, edit func(tags map[string]string)) (f function, err error) {
	name, err := s.parseName(path["Resource"], "")
	if err != nil {
		return f, err
	}
	if edit == nil {
		err = s.o.Store.View(func(tx *state.Tx) error {
			f, err = s.find(tx, name)
			return err
		})
		return f, err
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		if f, err = s.find(tx, name); err != nil {
			return err
		}
		if f.Tags == nil {
			f.Tags = map[string]string{}
		}
		edit(f.Tags)
		return functions.Put(tx, name, f)
	})
	return f, err
}
