package ssm

import (
	"regexp"
	"strings"
	"sync"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

const (
	// longestARN bounds a name: the ARN that precedes it counts (PutParameter's
	// reference, Name).
	longestARN = 1011
	// mostLevels is how deep a hierarchy may be.
	mostLevels = 15
)

var nameGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(/[a-zA-Z0-9_.-]+)+$|^[a-zA-Z0-9_.-]+$`) })

const pathRule = "If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_"

// trim removes the spaces around a name, as the service does.
func trim(name string) string { return strings.Trim(name, " ") }

// checkName returns the name that a request gives, if a parameter can have it.
func (s *Service) checkName(member string, given *string) (string, error) {
	name, err := required(member, given)
	if err != nil {
		return "", err
	}
	if err := checkLength(member, name, 1, 2048); err != nil {
		return "", err
	}
	name = trim(name)
	switch {
	case strings.Contains(name, "/") && !strings.HasPrefix(name, "/"):
		return "", invalid("Parameter name must be a fully qualified name")
	case hasPrefixFold(name, "ssm"), !nameGrammar().MatchString(name):
		return "", invalid(`Parameter name: can't be prefixed with "ssm" (case-insensitive). %s`, pathRule)
	case len(s.arn(name)) > longestARN:
		return "", invalid("Parameter name: its ARN has %d characters, and can have %d at most.", len(s.arn(name)), longestARN)
	}
	return name, nil
}

// checkNewName returns the name that a request gives, if a parameter may be
// created under it.
func (s *Service) checkNewName(given *string) (string, error) {
	name, err := s.checkName("name", given)
	switch {
	case err != nil:
		return "", err
	case hasPrefixFold(name, "aws") && strings.Count(name, "/") > 1:
		return "", wire.Errorf("AccessDeniedException", "No access to reserved parameter name: %s.", name)
	case hasPrefixFold(name, "aws"):
		return "", invalid(`Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`)
	case strings.Count(name, "/") > mostLevels:
		return "", wire.Errorf("HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of %d levels.", mostLevels)
	}
	return name, nil
}

func hasPrefixFold(name, prefix string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimPrefix(name, "/")), prefix)
}

// arn returns the ARN of the parameter of that name.
func (s *Service) arn(name string) string {
	return "arn:aws:ssm:" + s.region + ":" + s.account + ":parameter" + rooted(name)
}

// rooted returns the name with a leading slash, as ARNs and paths have it.
func rooted(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return "/" + name
}

// reference is what a read names: a parameter, and one of its versions.
type reference struct {
	names    []string // the first that exists is meant; an ARN does not tell /a from a
	selector string   // a version or a label; "" for the latest version
}

// parseReference reads "name", "name:version", "name:label", or the same with an ARN.
func (s *Service) parseReference(member string, given *string) (reference, error) {
	name, err := required(member, given)
	if err != nil {
		return reference{}, err
	}
	name = trim(name)
	rest, isARN := strings.CutPrefix(name, s.arn(""))
	if !isARN && strings.HasPrefix(name, "arn:") {
		return reference{}, errNotFound() // another account's, region's or service's
	}
	if isARN {
		name = "/" + rest
	}
	name, selector, _ := strings.Cut(name, ":")
	if name, err = s.checkName(member, &name); err != nil {
		return reference{}, err
	}
	r := reference{[]string{name}, selector}
	if isARN && strings.Count(name, "/") == 1 {
		r.names = append(r.names, name[1:])
	}
	return r, nil
}

// errNotFound is the error for a parameter that does not exist; AWS gives no message.
func errNotFound() error { return wire.Errorf("ParameterNotFound", "") }

func errVersionNotFound(name string, n int64) error {
	return wire.Errorf("ParameterVersionNotFound", "Systems Manager could not find version %d of %s. Verify the version and try again.", n, name)
}
