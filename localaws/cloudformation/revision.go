package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The bounds of a request
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html).
const (
	longestBody  = 51200 // bytes of a template that does not come from S3
	longestValue = 4096  // bytes of a parameter's value
	mostTags     = 50
)

// draft is what a request asks a stack to become.
type draft struct {
	body, url        *string
	usePrevious      *bool
	parameters       []types.Parameter
	tags             []types.Tag
	capabilities     []types.Capability
	roleARN          *string
	notificationARNs []string
}

// revise makes a revision of a draft. What it leaves out is as in old, which is nil
// for a stack that does not exist. Parameters that read SSM are read now.
func (s *Service) revise(ctx context.Context, d draft, old *revision) (*revision, *template.Template, error) {
	if err := d.check(); err != nil {
		return nil, nil, err
	}
	body, err := s.templateBody(ctx, d, old)
	if err != nil {
		return nil, nil, err
	}
	t, err := parse(body)
	if err != nil {
		return nil, nil, err
	}
	r := &revision{Template: body, Description: t.Description, Tags: d.tags, Capabilities: d.capabilities, RoleARN: aws.ToString(d.roleARN), NotificationARNs: d.notificationARNs}
	if old != nil {
		// A request that says nothing of them leaves them as they are.
		if d.tags == nil {
			r.Tags = old.Tags
		}
		if d.roleARN == nil {
			r.RoleARN = old.RoleARN
		}
		if d.notificationARNs == nil {
			r.NotificationARNs = old.NotificationARNs
		}
	}
	if err := checkCapabilities(t, d.capabilities); err != nil {
		return nil, nil, err
	}
	if r.Parameters, err = parameters(t, d.parameters, old); err != nil {
		return nil, nil, err
	}
	if err := s.freeze(ctx, t, r.Parameters); err != nil {
		return nil, nil, err
	}
	env := &environment{s: s, st: new(stack), t: t, revision: r, live: unknown}
	if err := t.CheckRules(env); err != nil {
		return nil, nil, invalid("%s", err)
	}
	want, err := wanted(t, env)
	if err != nil {
		return nil, nil, invalid("%s", err)
	}
	if err := checkUses(t, env, want); err != nil {
		return nil, nil, invalid("%s", err)
	}
	return r, t, s.checkTypes(t, want)
}

// checkUses refuses what refers to a resource whose condition does not hold.
func checkUses(t *template.Template, env template.Environment, want map[string]bool) error {
	var missing []string
	look := func(value any) error {
		used, err := t.Uses(value, env)
		for _, id := range used {
			if !want[id] && !slices.Contains(missing, id) {
				missing = append(missing, id)
			}
		}
		return err
	}
	refuse := func(section string) error {
		if len(missing) == 0 {
			return nil
		}
		slices.Sort(missing)
		return fmt.Errorf("Template format error: Unresolved resource dependencies [%s] in the %s block of the template", joined(missing), section) //lint:ignore ST1005 CloudFormation's own words
	}
	for _, id := range sortedKeys(want) {
		if err := look(t.Resources[id].Properties); err != nil {
			return err
		}
	}
	if err := refuse("Resources"); err != nil {
		return err
	}
	for _, key := range sortedKeys(t.Outputs) {
		holds, err := t.Holds(t.Outputs[key].Condition, env)
		if err == nil && holds {
			err = look(t.Outputs[key].Value)
		}
		if err != nil {
			return err
		}
	}
	return refuse("Outputs")
}

// check refuses what no request may have.
func (d draft) check() error {
	if len(d.tags) > mostTags {
		return invalid("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to %d", mostTags)
	}
	for i, p := range d.parameters {
		if len(aws.ToString(p.ParameterValue)) > longestValue {
			return invalid("1 validation error detected: Value at 'parameters.%d.member.parameterValue' failed to satisfy constraint: Member must have length less than or equal to %d", i+1, longestValue)
		}
	}
	return nil
}

// unknown is what is known of resources before any is looked at.
func unknown(string, bool) (*deployed, error) { return nil, template.ErrUnknown }

// templateBody returns the template that a draft means.
func (s *Service) templateBody(ctx context.Context, d draft, old *revision) (string, error) {
	given := 0
	for _, is := range []bool{d.body != nil, d.url != nil, aws.ToBool(d.usePrevious)} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return "", invalid("Either Template URL or Template Body must be specified.")
	case d.body != nil && len(*d.body) > longestBody:
		return "", invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", longestBody)
	case d.body != nil:
		return *d.body, nil
	case d.url != nil:
		return s.fetch(ctx, *d.url)
	case old == nil:
		return "", invalid("UsePreviousTemplate is for stacks that exist.")
	}
	return old.Template, nil
}

// fetch reads a template from S3.
func (s *Service) fetch(ctx context.Context, address string) (string, error) {
	bucket, key, ok := s3Location(address)
	if !ok {
		return "", invalid("TemplateURL must be a supported URL.")
	}
	out, err := s3.NewFromConfig(s.o.AWS, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", invalid("S3 error: %s", serviceMessage(err))
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, template.LongestSource+1))
	if err != nil {
		return "", invalid("S3 error: %s", err)
	}
	return string(body), nil
}

// s3Location takes a URL of S3 apart, with the bucket in its path or in its host. On
// a host that is not S3's, as the local endpoint's, it is in the path.
func s3Location(address string) (bucket, key string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", false
	}
	path := strings.TrimPrefix(u.Path, "/")
	for _, mark := range []string{".s3.", ".s3-"} {
		if name, _, inHost := strings.Cut(u.Host, mark); inHost {
			return name, path, path != ""
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key, bucket != "" && key != ""
}

// serviceMessage returns what a service of the endpoint said.
func serviceMessage(err error) string {
	var api interface {
		error
		ErrorMessage() string
	}
	if errors.As(err, &api) && api.ErrorMessage() != "" {
		return api.ErrorMessage()
	}
	return err.Error()
}

// parse reads a template.
func parse(body string) (*template.Template, error) {
	t, err := template.Parse([]byte(body))
	if err != nil {
		return nil, invalid("%s", err)
	}
	return t, nil
}

// checkTypes refuses types and policies that are not provided. A template may have
// them where their condition does not hold.
func (s *Service) checkTypes(t *template.Template, want map[string]bool) error {
	var unrecognized []string
	for _, id := range sortedKeys(want) {
		r := t.Resources[id]
		kind, provided := s.typeOf(r.Type)
		if !provided && !slices.Contains(unrecognized, r.Type) {
			unrecognized = append(unrecognized, r.Type)
		}
		for _, attribute := range t.Attributes(id) {
			if kind.Attributes != nil && !slices.Contains(kind.Attributes, attribute) {
				return invalid("Template error: resource %s does not support attribute type %s in Fn::GetAtt", id, attribute)
			}
		}
		if r.DeletionPolicy == "Snapshot" || r.UpdateReplacePolicy == "Snapshot" {
			return invalid("Template error: resource type %s of %s does not support the policy Snapshot", r.Type, id)
		}
	}
	if len(unrecognized) == 0 {
		return nil
	}
	slices.Sort(unrecognized)
	return invalid("Template format error: Unrecognized resource types: [%s]. They are not provided by tasuki local.", joined(unrecognized))
}

// parameters returns the value of each of a template's parameters.
func parameters(t *template.Template, given []types.Parameter, old *revision) ([]parameter, error) {
	var found []parameter
	var missing []string
	for _, name := range sortedKeys(t.Parameters) {
		declared := t.Parameters[name]
		p := parameter{Key: name, Hidden: declared.NoEcho}
		i := slices.IndexFunc(given, func(g types.Parameter) bool { return aws.ToString(g.ParameterKey) == name })
		switch {
		case i >= 0 && aws.ToBool(given[i].UsePreviousValue) && aws.ToString(given[i].ParameterValue) != "":
			return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true and non empty value for a parameter", name)
		case i >= 0 && aws.ToBool(given[i].UsePreviousValue):
			var before *parameter
			if old != nil {
				before = find(old.Parameters, name)
			}
			if before == nil {
				return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", name)
			}
			p.Value = before.Value
		case i >= 0 && given[i].ParameterValue != nil:
			p.Value = *given[i].ParameterValue
		case declared.Default != nil:
			p.Value = *declared.Default
		default:
			missing = append(missing, name)
			continue
		}
		if err := declared.Check(name, p.Value); err != nil {
			return nil, invalid("%s", err)
		}
		found = append(found, p)
	}
	if len(missing) > 0 {
		return nil, invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	var foreign []string
	for _, g := range given {
		if _, declared := t.Parameters[aws.ToString(g.ParameterKey)]; !declared {
			foreign = append(foreign, aws.ToString(g.ParameterKey))
		}
	}
	if len(foreign) > 0 {
		return nil, invalid("Parameters: [%s] do not exist in the template", strings.Join(foreign, ", "))
	}
	return found, nil
}

func find(parameters []parameter, key string) *parameter {
	i := slices.IndexFunc(parameters, func(p parameter) bool { return p.Key == key })
	if i < 0 {
		return nil
	}
	return &parameters[i]
}

// freeze reads the SSM parameters that parameters name. The value of one whose type is
// only the name is not used: it has to be there.
func (s *Service) freeze(ctx context.Context, t *template.Template, parameters []parameter) error {
	var names []string
	for _, p := range parameters {
		if t.Parameters[p.Key].NamesSSM() && !slices.Contains(names, p.Value) {
			names = append(names, p.Value)
		}
	}
	found, err := s.readSSM(ctx, names)
	if err != nil {
		return err
	}
	for i, p := range parameters {
		if !t.Parameters[p.Key].ReadsSSM() {
			continue
		}
		if found[p.Value].Type == ssmtypes.ParameterTypeSecureString {
			return invalid("Parameters [%s] referenced by template have types not supported by CloudFormation.", p.Value)
		}
		parameters[i].Resolved = aws.String(aws.ToString(found[p.Value].Value))
	}
	return nil
}

// readSSM returns SSM parameters, all of which must be there.
func (s *Service) readSSM(ctx context.Context, names []string) (map[string]ssmtypes.Parameter, error) {
	const most = 10 // names in a call of GetParameters
	client, found := ssm.NewFromConfig(s.o.AWS), map[string]ssmtypes.Parameter{}
	var missing []string
	for chunk := range slices.Chunk(names, most) {
		out, err := client.GetParameters(ctx, &ssm.GetParametersInput{Names: chunk})
		if err != nil {
			return nil, invalid("Unable to fetch parameters [%s] from parameter store for this account: %s", strings.Join(chunk, ","), serviceMessage(err))
		}
		missing = append(missing, out.InvalidParameters...)
		for _, p := range out.Parameters {
			found[aws.ToString(p.Name)+aws.ToString(p.Selector)] = p
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, invalid("Unable to fetch parameters [%s] from parameter store for this account.", strings.Join(missing, ","))
	}
	return found, nil
}

// namesOfIAM are the properties that name a resource of IAM, by its type: who changes
// such a resource must say that he knows.
func namesOfIAM(typeName string) (property string, is bool) {
	switch typeName {
	case "AWS::IAM::Role":
		return "RoleName", true
	case "AWS::IAM::ManagedPolicy":
		return "ManagedPolicyName", true
	case "AWS::IAM::Policy":
		return "", true
	}
	return "", false
}

// needed returns the capability that a template needs, or "", and the types that need
// it.
func needed(t *template.Template) (capability types.Capability, because []string) {
	for _, id := range sortedKeys(t.Resources) {
		r := t.Resources[id]
		property, is := namesOfIAM(r.Type)
		if !is {
			continue
		}
		if !slices.Contains(because, r.Type) {
			because = append(because, r.Type)
		}
		if _, named := r.Properties[property]; named {
			capability = types.CapabilityCapabilityNamedIam
		} else if capability == "" {
			capability = types.CapabilityCapabilityIam
		}
	}
	return capability, because
}

func checkCapabilities(t *template.Template, given []types.Capability) error {
	capability, _ := needed(t)
	if capability == "" || slices.Contains(given, capability) || slices.Contains(given, types.CapabilityCapabilityNamedIam) {
		return nil
	}
	return wire.Errorf("InsufficientCapabilitiesException", "Requires capabilities : [%s]", capability)
}
