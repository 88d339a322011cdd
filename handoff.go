package tasuki

import "strings"

// HandoffName names one relay, as in "orders" or "stg/orders". The zero
// HandoffName is none.
type HandoffName struct{ s string }

// longestHandoff leaves room for "/tasuki/" and "/image-tag" within the 15 levels
// that SSM allows, and keeps messages readable.
const (
	longestHandoff   = 200
	mostHandoffParts = 12
)

var handoffGrammar = grammar(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)*$`)

// ParseHandoffName returns s as a HandoffName, or one sentence on why it cannot be one.
func ParseHandoffName(s string) (HandoffName, error) {
	if s == "" {
		return HandoffName{}, invalid("the handoff has no name: give one, or set TASUKI_HANDOFF")
	}
	if len(s) > longestHandoff || !handoffGrammar().MatchString(s) || strings.Count(s, "/") >= mostHandoffParts {
		return HandoffName{}, invalid("%s is not the name of a handoff: it has letters, digits, '.', '_' and '-', in up to %d parts separated by '/', %d characters at most", quote(s), mostHandoffParts, longestHandoff)
	}
	return HandoffName{s}, nil
}

// String returns the name.
func (n HandoffName) String() string { return n.s }

// IsZero reports whether n is no name.
func (n HandoffName) IsZero() bool { return n.s == "" }

// MarshalText implements encoding.TextMarshaler.
func (n HandoffName) MarshalText() ([]byte, error) { return []byte(n.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler by way of [ParseHandoffName].
func (n *HandoffName) UnmarshalText(b []byte) (err error) {
	*n, err = ParseHandoffName(string(b))
	return err
}

// contractRoot is the path that every contract and default tag parameter lies under.
const contractRoot = "/tasuki/"

// TagParameter returns the name of the handoff's tag parameter where the contract
// gives no other.
func (n HandoffName) TagParameter() ParameterName {
	return ParameterName{contractRoot + n.s + "/image-tag"}
}

// ContractParameter returns the name of the parameter that holds the handoff's contract.
func (n HandoffName) ContractParameter() ParameterName {
	return ParameterName{contractRoot + n.s + "/contract"}
}

// ParameterName is the name of an SSM parameter. The zero ParameterName is none.
type ParameterName struct{ s string }

var parameterGrammar = grammar(`^[A-Za-z0-9_.\-/]+$`)

// ParseParameterName returns s as a ParameterName, or one sentence on why it
// cannot be one. The limits are PutParameter's.
func ParseParameterName(s string) (ParameterName, error) {
	bare := strings.ToLower(strings.TrimPrefix(s, "/"))
	switch {
	case s == "":
		return ParameterName{}, invalid("the tag parameter has no name")
	case len(s) > 1011, !parameterGrammar().MatchString(s), strings.HasSuffix(s, "/"), strings.Contains(s, "//"), strings.Count(s, "/") > 15:
		return ParameterName{}, invalid("%s is not the name of an SSM parameter: it has letters, digits, '_', '.', '-', and '/' between at most 15 levels", quote(s))
	case strings.Contains(s, "/") && !strings.HasPrefix(s, "/"):
		return ParameterName{}, invalid("%s is not the name of an SSM parameter: a name with levels begins with '/'", quote(s))
	case strings.HasPrefix(bare, "aws"), strings.HasPrefix(bare, "ssm"):
		return ParameterName{}, invalid("%s is not a name that SSM accepts: names that begin with aws or ssm are AWS's own", quote(s))
	}
	return ParameterName{s}, nil
}

// String returns the name.
func (n ParameterName) String() string { return n.s }

// IsZero reports whether n is no name.
func (n ParameterName) IsZero() bool { return n.s == "" }

// MarshalText implements encoding.TextMarshaler.
func (n ParameterName) MarshalText() ([]byte, error) { return []byte(n.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler by way of [ParseParameterName].
func (n *ParameterName) UnmarshalText(b []byte) (err error) {
	*n, err = ParseParameterName(string(b))
	return err
}
