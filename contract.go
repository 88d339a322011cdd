package tasuki

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Architecture is an instruction set in Lambda's words.
type Architecture string

// The architectures that Lambda runs.
const (
	X86_64 Architecture = "x86_64"
	ARM64  Architecture = "arm64"
)

// ParseArchitecture returns s as an Architecture, or one sentence on why it cannot be one.
func ParseArchitecture(s string) (Architecture, error) {
	switch a := Architecture(s); a {
	case X86_64, ARM64:
		return a, nil
	}
	return "", invalid("%s is not an architecture of Lambda: it is x86_64 or arm64", quote(s))
}

// ArchitectureFromOCI returns the architecture that image configurations and Go call
// by a name, and whether Lambda runs it.
func ArchitectureFromOCI(name string) (Architecture, bool) {
	for _, a := range []Architecture{X86_64, ARM64} {
		if a.OCI() == name {
			return a, true
		}
	}
	return "", false
}

// OCI returns the architecture in the words of image configurations (Go's GOARCH).
func (a Architecture) OCI() string {
	if a == X86_64 {
		return "amd64"
	}
	return string(a)
}

// FunctionTarget is a function that runs a handoff's image.
type FunctionTarget struct {
	Name         string       // name or ARN
	Architecture Architecture // "" when the live function's is to be used
	Alias        string       // alias that releases move; "" for none
}

// functionGrammar is the FunctionName of Lambda's API without a qualifier, but for
// the length of the name, and for the region, which may be of any partition.
var functionGrammar = grammar(`^(arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2,}(-[a-z]+)+-\d:\d{12}:function:)?[a-zA-Z0-9_-]+$`)

const longestFunction = 64

// CheckFunctionName returns one sentence on why name cannot be a function's name
// or ARN, or nil.
func CheckFunctionName(name string) error {
	bare := name[strings.LastIndexByte(name, ':')+1:]
	if len(bare) > longestFunction || !functionGrammar().MatchString(name) {
		return invalid("%s is not the name of a Lambda function: it has 1 to 64 letters, digits, '-' or '_', or is the function's ARN without a qualifier", quote(name))
	}
	return nil
}

// aliasGrammar is the Name of Lambda's CreateAlias, of which a number would be a version.
var (
	aliasGrammar  = grammar(`^[a-zA-Z0-9_-]{1,128}$`)
	numberGrammar = grammar(`^[0-9]+$`)
)

// CheckAliasName returns one sentence on why name cannot be an alias's name, or nil.
func CheckAliasName(name string) error {
	if !aliasGrammar().MatchString(name) || numberGrammar().MatchString(name) {
		return invalid("%s is not the name of an alias: it has 1 to 128 letters, digits, '-' or '_', and is not a number", quote(name))
	}
	return nil
}

// Handoff is everything that a verb must know about one relay. It comes from the
// contract, or from flags where there is none.
type Handoff struct {
	Name           HandoffName
	Repository     Repository
	TagParameter   ParameterName
	PlaceholderTag Tag
	Functions      []FunctionTarget
}

// Architecture returns the architecture that the handoff's image has to have: its
// functions' own, X86_64 (Lambda's default) where none says, and an error where
// two differ, because one image cannot serve both.
func (h Handoff) Architecture() (Architecture, error) {
	var arch Architecture
	for _, f := range h.Functions {
		if arch != "" && f.Architecture != "" && arch != f.Architecture {
			return "", invalid("handoff %s has functions of both architectures, which one image cannot serve: give each architecture a handoff of its own", h.Name)
		}
		if f.Architecture != "" {
			arch = f.Architecture
		}
	}
	if arch == "" {
		arch = X86_64
	}
	return arch, nil
}

// contractVersion is the version of the contract's specification that this package writes.
const contractVersion = 1

// Contract is what the infra side tells the app side about a handoff: the value of
// the parameter [HandoffName.ContractParameter].
type Contract struct {
	Handoff
	Account string // the AWS account of the function and the parameter, 12 digits
	Region  string
	StackID string // the CloudFormation stack that wrote it; "" for none

	unknown map[string]json.RawMessage // fields of a later revision, kept when it is written again
}

var (
	accountGrammar = grammar(`^[0-9]{12}$`)
	regionGrammar  = grammar(`^[a-z]{2,}(-[a-z]+)+-[0-9]$`)
)

// wireContract is the contract's JSON, version 1.
type wireContract struct {
	Version        int                 `json:"version"`
	Handoff        string              `json:"handoff"`
	Account        string              `json:"account"`
	Region         string              `json:"region"`
	StackID        string              `json:"stackId,omitempty"`
	Repository     string              `json:"repository"`
	TagParameter   string              `json:"tagParameter"`
	PlaceholderTag string              `json:"placeholderTag"`
	Functions      []wireContractEntry `json:"functions"`
}

type wireContractEntry struct {
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
	Alias        string `json:"alias,omitempty"`
}

var contractFields = []string{"version", "handoff", "account", "region", "stackId", "repository", "tagParameter", "placeholderTag", "functions"}

// ParseContract reads a contract's JSON. Unknown fields are kept; an unknown
// version is refused, because what it means is not known here.
func ParseContract(b []byte) (Contract, error) {
	var w wireContract
	if err := json.Unmarshal(b, &w); err != nil {
		return Contract{}, invalid("the contract is not JSON of a contract's form: %v", err)
	}
	if w.Version != contractVersion {
		return Contract{}, tooNew("contract", w.Version, contractVersion)
	}
	unknown, err := unknownFields(b, contractFields)
	if err != nil {
		return Contract{}, invalid("the contract is not a JSON object: %v", err)
	}
	c := Contract{Account: w.Account, Region: w.Region, StackID: w.StackID, unknown: unknown}
	if c.Name, err = ParseHandoffName(w.Handoff); err != nil {
		return Contract{}, fmt.Errorf("the contract's handoff: %w", err)
	}
	if c.Repository, err = ParseRepository(w.Repository); err != nil {
		return Contract{}, fmt.Errorf("the contract's repository: %w", err)
	}
	if c.TagParameter, err = ParseParameterName(w.TagParameter); err != nil {
		return Contract{}, fmt.Errorf("the contract's tagParameter: %w", err)
	}
	if c.PlaceholderTag, err = ParseTag(w.PlaceholderTag); err != nil {
		return Contract{}, fmt.Errorf("the contract's placeholderTag: %w", err)
	}
	for _, f := range w.Functions {
		c.Functions = append(c.Functions, FunctionTarget{f.Name, Architecture(f.Architecture), f.Alias})
	}
	return c, c.Check()
}

// Check returns one sentence on what a contract lacks, or nil.
func (c Contract) Check() error {
	switch {
	case c.Name.IsZero():
		return invalid("the contract names no handoff")
	case !accountGrammar().MatchString(c.Account):
		return invalid("the contract's account %s is not 12 digits", quote(c.Account))
	case !regionGrammar().MatchString(c.Region):
		return invalid("the contract's region %s is not an AWS region", quote(c.Region))
	case c.Repository.IsZero():
		return invalid("the contract names no repository")
	case c.TagParameter.IsZero():
		return invalid("the contract names no tag parameter")
	case c.PlaceholderTag.IsZero():
		return invalid("the contract names no placeholder tag")
	}
	seen := map[string]bool{}
	for _, f := range c.Functions {
		if err := CheckFunctionName(f.Name); err != nil {
			return fmt.Errorf("the contract's functions: %w", err)
		}
		if _, err := ParseArchitecture(string(f.Architecture)); err != nil {
			return fmt.Errorf("the contract's function %s: %w", f.Name, err)
		}
		if f.Alias != "" {
			if err := CheckAliasName(f.Alias); err != nil {
				return fmt.Errorf("the contract's function %s: %w", f.Name, err)
			}
		}
		if seen[f.Name] {
			return invalid("the contract names the function %s twice", f.Name)
		}
		seen[f.Name] = true
	}
	_, err := c.Architecture()
	return err
}

// FindContract returns a handoff's contract. It returns ErrMissing only when SSM has
// called the contract missing for 5 s: without it, a function that exists would not
// be looked at.
func FindContract(ctx context.Context, contracts Contracts, handoff HandoffName) (contract Contract, err error) {
	_, err = confirm(ctx, func() (bool, error) {
		contract, err = contracts.ReadContract(ctx, handoff)
		return true, err
	})
	return contract, err
}

// MarshalJSON writes the contract, the fields that this program does not know included.
func (c Contract) MarshalJSON() ([]byte, error) {
	w := wireContract{
		Version: contractVersion, Handoff: c.Name.s, Account: c.Account, Region: c.Region, StackID: c.StackID,
		Repository: c.Repository.String(), TagParameter: c.TagParameter.s, PlaceholderTag: c.PlaceholderTag.s,
		Functions: []wireContractEntry{},
	}
	for _, f := range c.Functions {
		w.Functions = append(w.Functions, wireContractEntry{f.Name, string(f.Architecture), f.Alias})
	}
	return marshalWith(w, c.unknown)
}

// UnmarshalJSON implements json.Unmarshaler by way of [ParseContract].
func (c *Contract) UnmarshalJSON(b []byte) (err error) {
	*c, err = ParseContract(b)
	return err
}
