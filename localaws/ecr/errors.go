package ecr

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The codes of ECR's errors.
const (
	codeInvalidParameter    = "InvalidParameterException"
	codeRepositoryNotFound  = "RepositoryNotFoundException"
	codeImageNotFound       = "ImageNotFoundException"
	codeLayersNotFound      = "LayersNotFoundException"
	codeReferencedNotFound  = "ReferencedImagesNotFoundException"
	codeImageTagExists      = "ImageTagAlreadyExistsException"
	codeImageAlreadyExists  = "ImageAlreadyExistsException"
	codeInvalidTagParameter = "InvalidTagParameterException"
	codeRepositoryExists    = "RepositoryAlreadyExistsException"
	codeRepositoryNotEmpty  = "RepositoryNotEmptyException"
	codeTooManyTags         = "TooManyTagsException"
	codeLifecycleNotFound   = "LifecyclePolicyNotFoundException"
	codePolicyNotFound      = "RepositoryPolicyNotFoundException"
	codeLayerInaccessible   = "LayerInaccessibleException"
	codeImageDigestMismatch = "ImageDigestDoesNotMatchException"
)

// repositoryNameConstraint is what ECR says of a name that it does not take.
const repositoryNameConstraint = "must satisfy regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'"

// invalidParameter is ECR's answer to a member that breaks a constraint of its model.
func invalidParameter(member, constraint string) *wire.Error {
	return wire.Errorf(codeInvalidParameter, "Invalid parameter at '%s' failed to satisfy constraint: '%s'", member, constraint)
}

// notInEnum is ECR's answer to a value that an enumeration does not have.
func notInEnum[T ~string](member string, values []T) *wire.Error {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return invalidParameter(member, "Member must satisfy enum value set: ["+strings.Join(words, ", ")+"]")
}

func repositoryNotFound(name, registry string) *wire.Error {
	return wire.Errorf(codeRepositoryNotFound, "The repository with name '%s' does not exist in the registry with id '%s'", name, registry)
}

func imageNotFound(id types.ImageIdentifier, name, registry string) *wire.Error {
	quoted := func(s *string) string {
		if s == nil {
			return "'null'"
		}
		return "'" + *s + "'"
	}
	return wire.Errorf(codeImageNotFound, "The image with imageId {imageDigest:%s, imageTag:%s} does not exist within the repository with name '%s' in the registry with id '%s'",
		quoted(id.ImageDigest), quoted(id.ImageTag), name, registry)
}
