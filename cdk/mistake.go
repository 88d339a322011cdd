package tasukicdk

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// mistake tells the user what is wrong with a construct, in one sentence. The CDK CLI
// shows it and deploys nothing; the program goes on, so that he sees all mistakes at
// once.
func mistake(at constructs.IConstruct, format string, args ...any) {
	awscdk.Annotations_Of(at).AddError(jsii.String(fmt.Sprintf(format, args...)))
}
