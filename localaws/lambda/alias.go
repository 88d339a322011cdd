package lambda

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// aliases holds every alias under its function's name and its own.
var aliases = state.Table[alias]{Name: "lambda.aliases"}

// alias is an alias as it is stored.
type alias struct {
	Function    string
	Name        string
	Version     string             // that it points to: a number, or $LATEST
	Weights     map[string]float64 // the share of the traffic that another version gets, from 0 to 1; one at most
	Description string
	Revision    string // a new one at every update
}

// aliasGrammar is Alias of Lambda's API, of which a number is none either.
var aliasGrammar = regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)

func (a *alias) key() string { return a.Function + ":" + a.Name }

// route returns the version that gets an invocation; chance is from 0 to below 1.
func (a *alias) route(chance float64) string {
	for version, weight := range a.Weights {
		if chance < weight {
			return version
		}
	}
	return a.Version
}

// leadsTo reports whether a version may get invocations of the alias.
func (a *alias) leadsTo(version string) bool {
	_, shares := a.Weights[version]
	return a.Version == version || shares
}

// findAlias returns the alias that is referred to, or Lambda's error.
func (s *Service) findAlias(tx *state.Tx, ref reference) (alias, error) {
	if _, err := s.find(tx, reference{name: ref.name}); err != nil {
		return alias{}, err
	}
	a := alias{Function: ref.name, Name: ref.qualifier}
	a, found, err := aliases.Get(tx, a.key())
	if err == nil && !found {
		err = wire.Errorf("ResourceNotFoundException", "Cannot find alias arn: %s", s.arn(ref)).WithStatus(http.StatusNotFound)
	}
	return a, err
}

// aliasNamed reads which alias a request's path names.
func (s *Service) aliasNamed(path map[string]string) (reference, error) {
	name, err := s.parseName(path["FunctionName"])
	if err != nil {
		return reference{}, err
	}
	return reference{name, path["Name"]}, checkAliasName(path["Name"])
}

func checkAliasName(name string) error {
	switch {
	case len(name) > longestQualifier:
		return constraint(name, "name", "have length less than or equal to 128")
	case !aliasGrammar.MatchString(name) || numberGrammar.MatchString(name):
		return constraint(name, "name", `satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)`)
	}
	return nil
}

// check checks where an alias points to, and that those versions exist.
func (s *Service) check(tx *state.Tx, a *alias) error {
	if a.Version != latest && !numberGrammar.MatchString(a.Version) {
		return constraint(a.Version, "functionVersion", `satisfy regular expression pattern: (\$LATEST|[0-9]+)`)
	}
	if _, err := s.find(tx, reference{a.Function, a.Version}); err != nil {
		return err
	}
	if len(a.Weights) > 1 {
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for version, weight := range a.Weights {
		given := fmt.Sprintf("{%s=%v}", version, weight)
		switch {
		case !numberGrammar.MatchString(version):
			return constraint(given, "routingConfig.additionalVersionWeights", "satisfy constraint: [Member must satisfy regular expression pattern: [0-9]+]")
		case weight < 0 || weight > 1:
			return constraint(given, "routingConfig.additionalVersionWeights", "satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0]")
		case a.Version == latest:
			return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
		case a.Version == version:
			return invalid("Invalid function version %s. Function version %s is already included in routing configuration.", version, version)
		}
		if _, err := s.find(tx, reference{a.Function, version}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) createAlias(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.CreateAliasInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	name, err := s.parseName(path["FunctionName"])
	if err != nil {
		return wire.Answer{}, err
	}
	if err := checkAliasName(aws.ToString(in.Name)); err != nil {
		return wire.Answer{}, err
	}
	if err := checkDescription(in.Description); err != nil {
		return wire.Answer{}, err
	}
	a := alias{
		Function: name, Name: aws.ToString(in.Name), Version: aws.ToString(in.FunctionVersion), Weights: weights(in.RoutingConfig),
		Description: aws.ToString(in.Description), Revision: wire.NewID(),
	}
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if err := s.check(tx, &a); err != nil {
			return err
		}
		if _, found, err := aliases.Get(tx, a.key()); err != nil || found {
			if err == nil {
				err = conflict("Alias already exists: %s", s.arn(reference{name, a.Name}))
			}
			return err
		}
		return aliases.Put(tx, a.key(), a)
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusCreated, s.aliasConfiguration(&a))
}

func (s *Service) updateAlias(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.UpdateAliasInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	ref, err := s.aliasNamed(path)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := checkDescription(in.Description); err != nil {
		return wire.Answer{}, err
	}
	var a alias
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if a, err = s.findAlias(tx, ref); err != nil {
			return err
		}
		if err := mustMatch(in.RevisionId, a.Revision); err != nil {
			return err
		}
		if in.FunctionVersion != nil {
			a.Version = *in.FunctionVersion
		}
		if in.RoutingConfig != nil {
			a.Weights = weights(in.RoutingConfig)
		}
		if in.Description != nil {
			a.Description = *in.Description
		}
		if err := s.check(tx, &a); err != nil {
			return err
		}
		a.Revision = wire.NewID()
		return aliases.Put(tx, a.key(), a)
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.aliasConfiguration(&a))
}

func (s *Service) getAlias(_ context.Context, _ *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.aliasNamed(path)
	if err != nil {
		return wire.Answer{}, err
	}
	var a alias
	if err := s.o.Store.View(func(tx *state.Tx) error {
		a, err = s.findAlias(tx, ref)
		return err
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.aliasConfiguration(&a))
}

// deleteAlias answers alike whether or not there was such an alias, or function: of
// DeleteAlias the API knows no error that would tell.
func (s *Service) deleteAlias(_ context.Context, _ *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.aliasNamed(path)
	if err != nil {
		return wire.Answer{}, err
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		a := alias{Function: ref.name, Name: ref.qualifier}
		if err := forgetOne(tx, ref); err != nil {
			return err
		}
		return aliases.Delete(tx, a.key())
	})
	return wire.Answer{Status: http.StatusNoContent}, err
}

func (s *Service) listAliases(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	name, err := s.parseName(path["FunctionName"])
	if err != nil {
		return wire.Answer{}, err
	}
	query := r.HTTP.URL.Query()
	version := query.Get("FunctionVersion")
	out := &sdk.ListAliasesOutput{Aliases: []types.AliasConfiguration{}}
	if err := s.o.Store.View(func(tx *state.Tx) error {
		if _, err := s.find(tx, reference{name: name}); err != nil {
			return err
		}
		var unread error
		page, next, err := paged(query, func(yield func(string, alias) bool) {
			for key, a := range aliases.All(tx, name+":", &unread) {
				if (version == "" || a.Version == version) && !yield(key, a) {
					return
				}
			}
		})
		if err != nil || unread != nil {
			return errors.Join(err, unread)
		}
		out.NextMarker = next
		for _, a := range page {
			out.Aliases = append(out.Aliases, *s.aliasConfiguration(&a))
		}
		return nil
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, out)
}

// weights returns what a request says on sharing an alias's traffic out.
func weights(given *types.AliasRoutingConfiguration) map[string]float64 {
	if given == nil {
		return nil
	}
	return maps.Clone(given.AdditionalVersionWeights)
}

// aliasConfiguration is the alias in Lambda's words.
func (s *Service) aliasConfiguration(a *alias) *types.AliasConfiguration {
	c := &types.AliasConfiguration{
		AliasArn: aws.String(s.arn(reference{a.Function, a.Name})), Name: &a.Name, FunctionVersion: &a.Version,
		Description: &a.Description, RevisionId: &a.Revision,
	}
	if len(a.Weights) > 0 {
		c.RoutingConfig = &types.AliasRoutingConfiguration{AdditionalVersionWeights: maps.Clone(a.Weights)}
	}
	return c
}
