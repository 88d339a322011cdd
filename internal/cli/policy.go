package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/policy"
)

type policyCommand struct {
	Side string `arg:"" enum:"app,infra" help:"app, for the pipeline that releases images, or infra, for the one that deploys the functions without the construct."`
	handoffFlags
	Image   bool     `help:"Releases push their image: release --image."`
	Smoke   bool     `help:"Releases invoke the functions: release --smoke."`
	Publish bool     `help:"Releases publish versions of functions without an alias: release --publish."`
	Deep    bool     `help:"Doctor looks deep: doctor --deep."`
	Several bool     `help:"Commands are for several handoffs at once: status without a handoff, and names that end in '/'."`
	Only    []string `placeholder:"COMMAND" sep:"none" help:"Allow this command alone of the side's, as in register; repeat for several."`
}

// commandsOf lists the commands of each side. The constructs grant what their own
// roles need; this is for pipelines.
func commandsOf(side string) []string {
	if side == "app" {
		return []string{"release", "rollback", "register", "reconcile", "status", "doctor", "history"}
	}
	return []string{"resolve", "resolve --tag-only", "seed", "reconcile", "contract", "contract --write", "status", "doctor", "history"}
}

func (c *policyCommand) Run(s *session) error {
	commands, err := c.commands()
	if err != nil {
		return err
	}
	resources, contracts, err := c.resources(s)
	if err != nil {
		return err
	}
	// The infra side may be the first to come, when there is nothing to run yet.
	options := policy.Options{Push: c.Image, Smoke: c.Smoke, Publish: c.Publish, Several: c.Several, Deep: c.Deep, Seed: c.Side == "infra"}
	var statements [][]policy.Statement
	for _, command := range commands {
		statements = append(statements, command.Statements(resources, options))
	}
	if c.Several {
		statements = append(statements, policy.List(contracts))
	}
	document := policy.NewDocument(statements...)
	return s.result(document, func(w io.Writer) { fmt.Fprintln(w, document) })
}

// commands returns the side's commands, or those of them that --only names.
func (c *policyCommand) commands() ([]policy.Command, error) {
	if c.Side == "infra" && (c.Image || c.Smoke || c.Publish) {
		return nil, usage("--image, --smoke and --publish are about releases, which are the app side's")
	}
	names := commandsOf(c.Side)
	for _, name := range c.Only {
		if !slices.Contains(names, name) {
			return nil, usage("%s is not a command of the %s side, which has: %s", name, c.Side, strings.Join(names, ", "))
		}
	}
	if len(c.Only) > 0 {
		names = c.Only
	}
	return slices.DeleteFunc(policy.Commands(), func(command policy.Command) bool { return !slices.Contains(names, command.Name) }), nil
}

// resources returns the ARNs of the handoff's resources, and that of the path that
// contracts lie under. The account and the partition are the caller's own: that is
// where the functions and the parameters are.
func (c *policyCommand) resources(s *session) (policy.Resources, string, error) {
	withoutContract, err := c.contractReplaced(s)
	if err != nil {
		return policy.Resources{}, "", err
	}
	h, stack, err := c.loadWithStack(s, c.Handoff)
	if err != nil {
		return policy.Resources{}, "", err
	}
	if len(h.Functions) == 0 {
		return policy.Resources{}, "", usage("which function? give --function")
	}
	caller, err := s.aws.Caller(s.ctx)
	if err != nil {
		return policy.Resources{}, "", err
	}
	whose, err := arn.Parse(caller.ARN)
	if err != nil {
		return policy.Resources{}, "", fmt.Errorf("the caller's ARN cannot be read: %w", err)
	}
	name := func(service, region, account, resource string) string {
		return arn.ARN{Partition: whose.Partition, Service: service, Region: region, AccountID: account, Resource: resource}.String()
	}
	parameter := func(name tasuki.ParameterName) string { return "parameter/" + strings.TrimPrefix(name.String(), "/") }
	_, full := tasuki.ParseRepository(c.Repository)
	resources := policy.Resources{
		TagParameter:        name("ssm", s.aws.Region, caller.Account, parameter(h.TagParameter)),
		Contract:            name("ssm", s.aws.Region, caller.Account, parameter(h.Name.ContractParameter())),
		Repository:          name("ecr", h.Repository.Region(), h.Repository.Account(), "repository/"+h.Repository.Name()),
		WithoutContract:     withoutContract,
		ArchitectureUnknown: true,
		RepositoryByName:    c.Repository != "" && full != nil,
	}
	if stack != "" {
		resources.Stack = incarnations(stack)
	}
	for _, f := range h.Functions {
		function := f.Name
		if !arn.IsARN(function) {
			function = name("lambda", s.aws.Region, caller.Account, "function:"+function)
		}
		resources.Functions = append(resources.Functions, function)
		resources.Aliased = resources.Aliased || f.Alias != ""
		resources.ArchitectureUnknown = resources.ArchitectureUnknown && f.Architecture == ""
	}
	return resources, name("ssm", s.aws.Region, caller.Account, "parameter/tasuki"), nil
}

// incarnations returns the ARN of the stack of an id, an ARN that ends in
// ":stack/NAME/UUID", whatever its UUID, which is another one when the stack has been
// deleted and created again: a pipeline's policy outlives that.
func incarnations(stack string) string {
	if i := strings.LastIndex(stack, "/"); i >= 0 {
		return stack[:i] + "/*"
	}
	return stack
}

// contractReplaced reports whether flags say all that the contract could. Where they
// do not, there must be one: defaults would be a policy for other resources than
// those that the contract will name.
func (c *policyCommand) contractReplaced(s *session) (bool, error) {
	if c.Repository != "" && len(c.Function) > 0 {
		return true, nil
	}
	handoff, err := tasuki.ParseHandoffName(c.Handoff)
	if err != nil {
		return false, &usageError{err}
	}
	aws, err := s.backend()
	if err != nil {
		return false, err
	}
	_, err = aws.Contracts.ReadContract(s.ctx, handoff)
	if errors.Is(err, tasuki.ErrMissing) {
		return false, &tasuki.Error{
			Op: "read", Side: tasuki.SideContract, Subject: handoff.ContractParameter().String(), Kind: tasuki.ErrMissing,
			Hint: fmt.Sprintf("Give what it would say: tasuki policy %s %s --repository NAME --function NAME, and --parameter, --alias and --architecture where they are not the defaults.", c.Side, handoff),
		}
	}
	return false, err
}
