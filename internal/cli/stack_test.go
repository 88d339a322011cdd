package cli_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws"
	engine "github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// stackID names a stack that there is not.
const stackID = "arn:aws:cloudformation:us-east-1:000000000000:stack/Orders/5f0c4a10-7d3e-11f0-8de9-0242ac120002"

// nameStack lets the contract name a stack.
func (r *rehearsal) nameStack(id string) {
	r.t.Helper()
	var contract tasuki.Contract
	r.must(json.Unmarshal(r.tasuki("contract", "orders"), &contract))
	contract.StackID = id
	value, err := json.Marshal(contract)
	r.must(err)
	r.must(r.parameter(nil, command("/tasuki/orders/contract", string(value))))
}

func TestReleaseWaitsForItsStack(t *testing.T) {
	end := make(chan struct{})
	endOnce := sync.OnceFunc(func() { close(end) })
	server, err := localaws.Start(localaws.Options{StackStep: func(ctx context.Context, _ engine.Point) error {
		select {
		case <-end:
		case <-ctx.Done():
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		endOnce()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := &rehearsal{relay: newRelay(server, &apps{dir: t.TempDir()}), t: t}
	r.deploy()
	r.put("v1")
	cfg := server.Config("infra")
	stack, err := cloudformation.NewFromConfig(cfg).CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String("Orders"), TemplateBody: aws.String(`{"Resources": {"Setting": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1"}}}}`),
	})
	r.must(err)
	r.nameStack(*stack.StackId)

	var said localawstest.Log
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(t.Context(), command("release", "orders", "--tag", "v1"), cli.Streams{In: strings.NewReader(""), Out: &said, Err: &said}, awsbackend.Options{Config: &cfg})
	}()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(said.String(), "tasuki: waiting for stack Orders that is being changed (CREATE_IN_PROGRESS)\n") {
		if time.Now().After(deadline) {
			t.Fatalf("it does not say that it waits:\n%s", said.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := server.Calls().Count("ssm:PutParameter") + server.Calls().Count("lambda:UpdateFunctionCode"); n != 2 { // the contract was written twice
		t.Errorf("%d things were changed before the stack was at rest", n-2)
	}
	endOnce()
	if code := <-ended; code != 0 || !strings.Contains(said.String(), "released v1") || strings.Contains(said.String(), "warning") {
		t.Errorf("exit code %d\n%s", code, said.String())
	}
}

func TestReleaseWithAStackThatIsNotReadable(t *testing.T) {
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := &rehearsal{relay: newRelay(server, &apps{dir: t.TempDir()}), t: t}
	r.deploy()
	r.put("v1")
	r.nameStack(stackID)
	server.Faults().Add(fault.Rule{Operation: "cloudformation:DescribeStacks", Kind: fault.Denied})
	cfg := server.Config("tasuki")
	var said localawstest.Log
	code := cli.Run(t.Context(), command("release", "orders", "--tag", "v1"), cli.Streams{In: strings.NewReader(""), Out: &said, Err: &said}, awsbackend.Options{Config: &cfg})
	if code != 0 || !strings.Contains(said.String(), "tasuki: warning: it is not known whether stack Orders is being changed") || !strings.Contains(said.String(), "released v1") {
		t.Errorf("exit code %d\n%s", code, said.String())
	}
	for _, only := range []string{"release", "rollback", "reconcile"} {
		if document := string(r.tasuki("policy", "app", "orders", "--only", only)); !strings.Contains(document, `"Action":["cloudformation:DescribeStacks"],"Resource":["arn:aws:cloudformation:us-east-1:000000000000:stack/Orders/*"]`) {
			t.Errorf("the policy of %s does not allow it on the stack:\n%s", only, document)
		}
	}
}
