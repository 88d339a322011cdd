package wire_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// FuzzUnmarshalForm checks that no form makes the decoder panic, or take long.
func FuzzUnmarshalForm(f *testing.F) {
	for _, seed := range []string{
		"Action=CreateStack&Version=1&StackName=a&Tags.member.1.Key=k&Tags.member.1.Value=v",
		"Tags=&Parameters.member.2.ParameterKey=a", "Tags.member.1=x&Tags.member.1.Key=y", "a.b.c=%zz",
		"ResourcesToImport.member.1.ResourceIdentifier.entry.1.key=k&ResourcesToImport.member.1.ResourceIdentifier.entry.1.value=v",
		"PolicyArns.member.1.arn=a&DurationSeconds=1e9", "noSmithyDocumentSerde.x=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		_ = wire.UnmarshalForm(body, new(cloudformation.CreateChangeSetInput))
		_ = wire.UnmarshalForm(body, new(iam.CreateRoleInput))
		_ = wire.UnmarshalForm(body, new(sts.AssumeRoleInput))
	})
}
