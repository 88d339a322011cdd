package awsbackend

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.Secrets = (*Secrets)(nil)

// Secrets reads secrets of AWS Secrets Manager.
type Secrets struct{ api *secretsmanager.Client }

// Secret implements [tasuki.Secrets].
func (s *Secrets) Secret(ctx context.Context, id string) (string, error) {
	c := call{
		op: "read", side: tasuki.SideSecret, subject: id, action: "secretsmanager:GetSecretValue", resource: "secret " + id,
		missing: []string{"ResourceNotFoundException"},
		lost:    fmt.Sprintf("There is no secret %s: give its whole ARN.", id),
	}
	out, err := s.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(id)})
	if err != nil {
		return "", c.failed(err)
	}
	if out.SecretString == nil {
		return "", c.wrong(tasuki.ErrInvalid, "it is binary, and a text is needed")
	}
	return *out.SecretString, nil
}
