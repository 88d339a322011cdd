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

// longestName is the longest name of a function, in characters.
const longestName = 64

// parseName returns the name of the function that a request is for. A qualifier
// beside it, as in the query, is given along.
func (s *Service) parseName(given, qualifier string) (string, error) {
	m := nameGrammar.FindStringSubmatch(given)
	if m == nil || len(m[3]) > longestName {
		return "", wire.Errorf("ValidationException", "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?", given)
	}
	region, account, name, inName := m[1], m[2], m[3], m[4]
	switch {
	case region != "" && region != s.o.Region:
		return "", wire.Errorf("ResourceNotFoundException", "Functions from '%s' are not reachable in this region ('%s')", region, s.o.Region).WithStatus(http.StatusNotFound)
	case account != "" && account != s.o.Account:
		return "", wire.Errorf("ResourceNotFoundException", "Function not found: %s", given).WithStatus(http.StatusNotFound)
	case qualifier != "" && inName != "" && qualifier != inName:
		return "", invalid("The derived qualifier from the function name does not match the specified qualifier.")
	}
	for _, q := range []string{qualifier, inName} {
		if q != "" && q != latest {
			return "", notProvided("Qualifier " + q + " (versions and aliases)")
		}
	}
	return name, nil
}

// named returns the function that a request's path names.
func (s *Service) named(r *wire.Request, path map[string]string) (f function, err error) {
	name, err := s.parseName(path["FunctionName"], r.HTTP.URL.Query().Get("Qualifier"))
	if err != nil {
		return f, err
	}
	err = s.o.Store.View(func(tx *state.Tx) error {
		f, err = s.find(tx, name)
		return err
	})
	return f, err
}

// find returns the function of the name, or Lambda's error.
func (s *Service) find(tx *state.Tx, name string) (function, error) {
	f, found, err := functions.Get(tx, name)
	if err == nil && !found {
		err = wire.Errorf("ResourceNotFoundException", "Function not found: %s", s.arn(name)).WithStatus(http.StatusNotFound)
	}
	return f, err
}
