package ssm

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The options of filters: how a value is compared.
const (
	optionEquals     = "Equals"
	optionBeginsWith = "BeginsWith"
	optionContains   = "Contains"
	optionOneLevel   = "OneLevel"
	optionRecursive  = "Recursive"
)

// tagKey stands for every key "tag:…".
const tagKey = "tag"

// filter is a condition on a parameter: that one of the values fits.
type filter struct {
	key    string
	option string
	values []string
}

// parseFilters reads a request's filters, of which an operation knows some keys.
func parseFilters(given []types.ParameterStringFilter, keys ...string) ([]filter, error) {
	var filters []filter
	for _, g := range given {
		f := filter{aws.ToString(g.Key), aws.ToString(g.Option), g.Values}
		if err := f.check(keys); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(filters, func(other filter) bool { return other.key == f.key }) {
			return nil, wire.Errorf("InvalidFilterKey", "The following filter is duplicated in the request: %s. A request can contain only one occurrence of a specific filter.", f.key)
		}
		filters = append(filters, f)
	}
	return filters, nil
}

// parseOldFilter reads one of DescribeParameters' superseded filters, where a name
// need only begin as given.
func parseOldFilter(given types.ParametersFilter) (filter, error) {
	if err := checkEnum("filters.member.key", given.Key, given.Key.Values()); err != nil {
		return filter{}, err
	}
	f := filter{string(given.Key), optionEquals, given.Values}
	if given.Key == types.ParametersFilterKeyName {
		f.option = optionBeginsWith
	}
	return f, f.check([]string{f.key})
}

// check checks a filter, and sets its option where the request gives none.
func (f *filter) check(keys []string) error {
	kind := f.key
	if strings.HasPrefix(f.key, tagKey+":") {
		kind = tagKey
	}
	if !slices.Contains(keys, kind) {
		return wire.Errorf("InvalidFilterKey", "The following filter key is not valid: %s. Valid filter keys include: [%s].", f.key, strings.Join(keys, ", "))
	}
	if len(f.values) == 0 {
		return wire.Errorf("InvalidFilterValue", "The following filter values are missing : null for filter key %s.", f.key)
	}
	if err := checkCount("parameterFilters.member.values", f.values, 50); err != nil {
		return err
	}
	options := []string{optionEquals, optionBeginsWith}
	switch kind {
	case "Name":
		options = append(options, optionContains)
	case "Path":
		options = []string{optionOneLevel, optionRecursive}
	}
	if f.option == "" {
		f.option = options[0]
	}
	if !slices.Contains(options, f.option) {
		return wire.Errorf("InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [%s].", f.option, strings.Join(options, ", "))
	}
	for _, value := range f.values {
		if err := checkFilterValue(kind, value); err != nil {
			return err
		}
	}
	return nil
}

func checkFilterValue(kind, value string) error {
	switch kind {
	case "Path":
		return checkPath(value)
	case "Type":
		if values := types.ParameterType("").Values(); !slices.Contains(values, types.ParameterType(value)) {
			return wire.Errorf("InvalidFilterValue", "The following filter value is not valid: %s. Valid values include: %v.", value, values)
		}
	}
	return checkLength("parameterFilters.member.values", value, 1, 1024)
}

// matchAll reports whether a parameter with its latest version meets every filter.
func matchAll(filters []filter, name string, p parameter, v version) bool {
	return !slices.ContainsFunc(filters, func(f filter) bool { return !f.match(name, p, v) })
}

func (f filter) match(name string, p parameter, v version) bool {
	if f.key == "Path" {
		return slices.ContainsFunc(f.values, func(path string) bool { return under(name, path, f.option == optionRecursive) })
	}
	subject, found := f.subject(name, p, v)
	return found && slices.ContainsFunc(f.values, func(value string) bool {
		switch f.option {
		case optionContains:
			return strings.Contains(subject, value)
		case optionBeginsWith:
			return strings.HasPrefix(subject, f.normal(value))
		default:
			return subject == f.normal(value)
		}
	})
}

// subject returns what the filter is about.
func (f filter) subject(name string, p parameter, v version) (subject string, found bool) {
	switch f.key {
	case "Name":
		return rooted(name), true
	case "Type":
		return string(v.Type), true
	case "KeyId":
		return v.KeyID, v.KeyID != ""
	case "Tier":
		return string(types.ParameterTierStandard), true
	case "DataType":
		return dataType, true
	}
	subject, found = p.Tags[strings.TrimPrefix(f.key, tagKey+":")]
	return subject, found
}

// normal returns a filter's value in the form of its subject: a name can be
// given without its first slash.
func (f filter) normal(value string) string {
	if f.key == "Name" {
		return rooted(value)
	}
	return value
}

// under reports whether a parameter lies under path, directly or at any depth.
func under(name, path string, recursive bool) bool {
	rest, found := strings.CutPrefix(rooted(name), strings.TrimSuffix(path, "/")+"/")
	return found && (recursive || !strings.Contains(rest, "/"))
}
