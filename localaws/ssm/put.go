package ssm

import (
	"context"
	"regexp"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

const (
	longestValue       = 4096 // bytes, in the Standard tier
	longestDescription = 1024 // characters
	dataType           = "text"
	defaultKey         = "alias/aws/ssm"
)

// nested is a reference to another parameter, which a value cannot hold.
var nested = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{\{.*\}\}`) })

// PutParameter writes a new version of a parameter. Where a version is overwritten
// without a description, the new one has none. Clients report both that and the
// opposite of AWS; a release record that was kept for another tag is ignored by
// whoever reads it, so Tasuki is safe either way.
func (s *Service) PutParameter(ctx context.Context, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	name, tags, err := s.checkPut(in)
	if err != nil {
		return nil, err
	}
	written := version{
		Value:          aws.ToString(in.Value),
		Type:           in.Type,
		Description:    aws.ToString(in.Description),
		KeyID:          aws.ToString(in.KeyId),
		AllowedPattern: aws.ToString(in.AllowedPattern),
		ModifiedBy:     wire.CallerARN(ctx, s.account),
		ModifiedAt:     time.Now().UTC().Truncate(time.Millisecond),
	}
	out := &ssm.PutParameterOutput{Tier: types.ParameterTierStandard}
	err = s.store.Update(func(tx *state.Tx) error {
		old, exists, err := s.now.Get(tx, name)
		if err != nil {
			return err
		}
		if !exists {
			out.Version = 1
			return s.append(tx, name, nil, &parameter{First: 1, Last: 1, Tags: tags}, written)
		}
		if !aws.ToBool(in.Overwrite) {
			return wire.Errorf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
		}
		next, err := old.grown(name)
		if err != nil {
			return err
		}
		if written.Type == "" {
			last, err := s.version(tx, name, old.Last)
			if err != nil {
				return err
			}
			written.Type = last.Type
		}
		out.Version = next.Last
		return s.append(tx, name, &old, next, written)
	})
	if err != nil {
		return nil, err
	}
	operation := "Update"
	if out.Version == 1 {
		operation = "Create"
	}
	s.tell(operation, name, written.Type)
	return out, nil
}

// append writes a parameter whose last version is written.
func (s *Service) append(tx *state.Tx, name string, old, next *parameter, written version) error {
	switch {
	case written.Type == "":
		return invalid("A parameter type is required when you create a parameter.")
	case written.KeyID != "" && written.Type != types.ParameterTypeSecureString:
		return invalid("KeyId is required for SecureString type parameter only.")
	case written.KeyID == "" && written.Type == types.ParameterTypeSecureString:
		written.KeyID = defaultKey
	}
	if err := s.write(tx, name, old, next); err != nil {
		return err
	}
	return s.versions.Put(tx, versionKey(name, next.Last), written)
}

// grown returns the parameter with one version more, and without its oldest one
// where there would be too many.
func (p parameter) grown(name string) (*parameter, error) {
	p.Last++
	if p.Last-p.First < mostVersions {
		return &p, nil
	}
	for _, labelled := range p.Labels {
		if labelled == p.First {
			return nil, wire.Errorf("ParameterMaxVersionLimitExceeded", "You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", name, p.First)
		}
	}
	p.First++
	return &p, nil
}

// checkPut returns the name and the tags of a request that keeps every rule which
// does not depend on what is there.
func (s *Service) checkPut(in *ssm.PutParameterInput) (name string, tags map[string]string, err error) {
	if name, err = s.checkNewName(in.Name); err != nil {
		return "", nil, err
	}
	if err := checkValue(in); err != nil {
		return "", nil, err
	}
	if err := checkLength("description", aws.ToString(in.Description), 0, longestDescription); err != nil {
		return "", nil, err
	}
	if in.Type != "" {
		if err := checkEnum("type", in.Type, in.Type.Values()); err != nil {
			return "", nil, err
		}
	}
	if err := checkTier(in); err != nil {
		return "", nil, err
	}
	if given := aws.ToString(in.DataType); given != "" && given != dataType {
		return "", nil, invalid("The following data type is not supported: %s (Data type names are all lowercase.)", given)
	}
	if aws.ToBool(in.Overwrite) && len(in.Tags) > 0 {
		return "", nil, invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	}
	tags, err = withTags(nil, in.Tags)
	return name, tags, err
}

func checkValue(in *ssm.PutParameterInput) error {
	value, err := required("value", in.Value)
	switch {
	case err != nil:
		return err
	case value == "":
		return checkLength("value", value, 1, longestValue)
	case len(value) > longestValue && (in.Tier == types.ParameterTierAdvanced || in.Tier == types.ParameterTierIntelligentTiering):
		return errAdvanced() // also where it is AWS that would choose it
	case len(value) > longestValue:
		return invalid("Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html", longestValue)
	case nested().MatchString(value):
		return invalid("Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.")
	case in.AllowedPattern == nil:
		return nil
	}
	if err := checkLength("allowedPattern", *in.AllowedPattern, 0, 1024); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*in.AllowedPattern)
	if err != nil {
		return wire.Errorf("InvalidAllowedPatternException", "The request does not meet the regular expression requirement.")
	}
	if !pattern.MatchString(value) {
		return wire.Errorf("ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", pattern)
	}
	return nil
}

// checkTier refuses what only the Advanced tier has. Intelligent-Tiering is
// Standard for everything that is accepted here.
func checkTier(in *ssm.PutParameterInput) error {
	if in.Tier != "" {
		if err := checkEnum("tier", in.Tier, in.Tier.Values()); err != nil {
			return err
		}
	}
	if in.Tier == types.ParameterTierAdvanced || aws.ToString(in.Policies) != "" {
		return errAdvanced()
	}
	return nil
}

func errAdvanced() error { return wire.NotProvided("ssm", "PutParameter in the Advanced tier") }
