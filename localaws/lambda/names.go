package lambda

import (
	"net/http"
	"regexp"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// nameGrammar is NamespacedFunctionName of Lambda's API: a name, a partial ARN or an
// ARN, each with or without a qualifier.
var nameGrammar = regexp.MustCompile(`^(?:arn:aws[a-zA-Z-]*:lambda:)?(?:([a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?(?:(\d{12}):)?(?:function:)?([a-zA-Z0-9-_]+)(?::(\$LATEST|[a-zA-Z0-9-_]+))?$`)

// qualifierGrammar is what names a version or an alias of a function.
var qualifierGrammar = regexp.MustCompile(`^(?:\$LATEST|[a-zA-Z0-9-_]+)$`)

// numberGrammar is the number of a published version, which no alias can have for
// its name.
var numberGrammar = regexp.MustCompile(`^[0-9]+$`)

// The longest names, in characters.
const (
	longestName      = 64
	longestQualifier = 128
)

// reference is what a request is for: a function, or one version of it.
type reference struct {
	name      string
	qualifier string // a version's number, an alias's name or $LATEST; "" where none was given
}

// isAlias reports whether the qualifier is an alias's name.
func (r reference) isAlias() bool {
	return r.qualifier != "" && r.qualifier != latest && !numberGrammar.MatchString(r.qualifier)
}

// parseReference reads what a request is for. A qualifier beside the name, as in the
// query, is given along.
func (s *Service) parseReference(given, qualifier string) (reference, error) {
	m := nameGrammar.FindStringSubmatch(given)
	if m == nil || len(m[3]) > longestName {
		return reference{}, wire.Errorf("ValidationException", "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?", given)
	}
	region, account, name, inName := m[1], m[2], m[3], m[4]
	switch {
	case region != "" && region != s.o.Region:
		return reference{}, wire.Errorf("ResourceNotFoundException", "Functions from '%s' are not reachable in this region ('%s')", region, s.o.Region).WithStatus(http.StatusNotFound)
	case account != "" && account != s.o.Account:
		return reference{}, wire.Errorf("ResourceNotFoundException", "Function not found: %s", given).WithStatus(http.StatusNotFound)
	case qualifier != "" && inName != "" && qualifier != inName:
		return reference{}, invalid("The derived qualifier from the function name does not match the specified qualifier.")
	case qualifier == "":
		return reference{name, inName}, nil
	case len(qualifier) > longestQualifier:
		return reference{}, constraint(qualifier, "qualifier", "have length less than or equal to 128")
	case !qualifierGrammar.MatchString(qualifier):
		return reference{}, constraint(qualifier, "qualifier", `satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+`)
	}
	return reference{name, qualifier}, nil
}

// parseName returns the name of the function that a request is for which is about
// no version of it, or about the unpublished one.
func (s *Service) parseName(given string) (string, error) {
	ref, err := s.parseReference(given, "")
	if err == nil && ref.qualifier != "" && ref.qualifier != latest {
		err = invalid("Current operation does not support versions other than $LATEST. Please set the version to $LATEST or do not set a version in your request.")
	}
	return ref.name, err
}

// named returns the version of a function that a request's path and query name, and
// the qualifier that they name it by.
func (s *Service) named(r *wire.Request, path map[string]string) (f function, qualifier string, err error) {
	ref, err := s.parseReference(path["FunctionName"], r.HTTP.URL.Query().Get("Qualifier"))
	if err != nil {
		return f, "", err
	}
	err = s.o.Store.View(func(tx *state.Tx) error {
		f, err = s.find(tx, ref)
		return err
	})
	return f, ref.qualifier, err
}

// unpublished returns the unpublished version of the function that a request's path
// names.
func (s *Service) unpublished(path map[string]string) (f function, err error) {
	name, err := s.parseName(path["FunctionName"])
	if err != nil {
		return f, err
	}
	err = s.o.Store.View(func(tx *state.Tx) error {
		f, err = s.find(tx, reference{name: name})
		return err
	})
	return f, err
}

// find returns the version of a function that is referred to, or Lambda's error.
// Tags are the function's, whatever the version.
func (s *Service) find(tx *state.Tx, ref reference) (function, error) {
	missing := wire.Errorf("ResourceNotFoundException", "Function not found: %s", s.arn(ref)).WithStatus(http.StatusNotFound)
	f, found, err := functions.Get(tx, ref.name)
	switch {
	case err != nil:
		return f, err
	case !found:
		return f, missing
	case ref.isAlias():
		a, err := s.findAlias(tx, ref)
		if err != nil {
			return f, err
		}
		return s.find(tx, reference{ref.name, a.Version})
	case ref.qualifier == "" || ref.qualifier == latest:
		return f, nil
	}
	v, found, err := numbered(tx, ref.name, ref.qualifier)
	if err == nil && !found {
		err = missing
	}
	v.Tags = f.Tags
	return v, err
}
