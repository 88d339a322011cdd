package tasukicdk

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// Lookup is the image that a handoff's function is to run, as it was found when the
// program ran. Package lookup finds it.
type Lookup struct {
	tasuki.Resolution
	Account string // that was looked in
	Region  string
}

// TagOrDigest returns what awslambda.DockerImageCode_FromEcr takes: the digest where it
// is known, else the placeholder's tag.
func (l Lookup) TagOrDigest() string {
	if !l.Digest.IsZero() {
		return l.Digest.String()
	}
	return l.Tag.String()
}

// lookedUp returns the image that was looked up. Until there is a release it is the
// placeholder, which is put into ECR first.
func (f *ImageFunction) lookedUp(props *ImageFunctionProps, needs []constructs.IDependable) resolved {
	if f.checkLookup(props.Lookup) && props.Lookup.Origin != tasuki.OriginPlaceholder {
		return resolved{digest: props.Lookup.Digest.String()}
	}
	source, needs := f.placeholder(props, needs)
	return resolved{digest: digestOf(f.Provider.resource(f.scope, "Placeholder", customresource.TypePlaceholder, customresource.Placeholder{
		Handoff:      f.names.handoff.String(),
		Repository:   *f.Repository.RepositoryUri(),
		Tag:          f.names.placeholderTag,
		Source:       source,
		Architecture: f.architecture,
	}, needs))}
}

// checkLookup reports whether a lookup is one for this stack and handoff.
func (f *ImageFunction) checkLookup(l *Lookup) bool {
	if l == nil || l.Origin == "" {
		mistake(f.scope, "ResolveSynthTime needs the image that lookup.Tag has found: set Lookup, and stop where it returns an error")
		return false
	}
	stack := awscdk.Stack_Of(f.scope)
	account, region := *stack.Account(), *stack.Region()
	switch {
	case *awscdk.Token_IsUnresolved(account), *awscdk.Token_IsUnresolved(region):
		mistake(f.scope, "ResolveSynthTime needs to know where the stack goes: give the stack an Env with Account and Region")
	case account != l.Account, region != l.Region:
		mistake(f.scope, "the image was looked up in account %s, region %s, but the stack is for account %s, region %s: look it up with that account's profile", l.Account, l.Region, account, region)
	case l.Handoff != f.names.handoff:
		mistake(f.scope, "the image was looked up for handoff %s, but the function is of handoff %s", l.Handoff, f.names.handoff)
	default:
		return true
	}
	return false
}
