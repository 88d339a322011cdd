package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"

	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/image"
)

const (
	// ecrPublic is how a reference to an image in Amazon ECR Public begins. Everybody may
	// pull from there, and who has logged in may pull more.
	ecrPublic = "docker://public.ecr.aws/"
	// ecrPublicRegion is the region that logs in to it (Amazon ECR Public user guide,
	// "Public registry authentication").
	ecrPublicRegion = "us-east-1"
)

// lateLogin returns who logs in to the registry that reference names once it refuses or
// throttles a caller without credentials; nil for nobody.
func (s *session) lateLogin(reference string) func(context.Context) (username, password string, err error) {
	if !strings.HasPrefix(reference, ecrPublic) {
		return nil
	}
	options := s.options
	options.Region = ecrPublicRegion
	return func(ctx context.Context) (username, password string, err error) {
		backend, err := awsbackend.Load(ctx, options)
		if err != nil {
			return "", "", err
		}
		out, err := ecrpublic.NewFromConfig(backend.Config).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
		if err != nil {
			return "", "", err
		}
		if out.AuthorizationData == nil {
			return "", "", errors.New("ECR Public's answer has no token")
		}
		token, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData.AuthorizationToken))
		if err != nil {
			return "", "", errors.New("ECR Public's answer has a malformed token")
		}
		return image.ParseLogin(string(token))
	}
}
