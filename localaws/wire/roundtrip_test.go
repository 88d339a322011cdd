package wire_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws/wire"
	"github.com/tasuki-dev/tasuki/localaws/wire/wiretest"
)

// The codec is only as good as the SDK's own client finds it: every member of every
// input and output must come through, both ways.

func TestSSMRoundTrip(t *testing.T) {
	const target = "AmazonSSM"
	client := ssm.NewFromConfig(config())
	roundTrip(t, target, wire.Upper, client.AddTagsToResource)
	roundTrip(t, target, wire.Upper, client.DeleteParameter)
	roundTrip(t, target, wire.Upper, client.DeleteParameters)
	roundTrip(t, target, wire.Upper, client.DescribeParameters)
	roundTrip(t, target, wire.Upper, client.GetParameter)
	roundTrip(t, target, wire.Upper, client.GetParameterHistory)
	roundTrip(t, target, wire.Upper, client.GetParameters)
	roundTrip(t, target, wire.Upper, client.GetParametersByPath)
	roundTrip(t, target, wire.Upper, client.LabelParameterVersion)
	roundTrip(t, target, wire.Upper, client.ListTagsForResource)
	roundTrip(t, target, wire.Upper, client.PutParameter)
	roundTrip(t, target, wire.Upper, client.RemoveTagsFromResource)
	roundTrip(t, target, wire.Upper, client.UnlabelParameterVersion)
}

func TestECRRoundTrip(t *testing.T) {
	const target = "AmazonEC2ContainerRegistry_V20150921"
	client := ecr.NewFromConfig(config())
	roundTrip(t, target, wire.Lower, client.BatchGetImage)
	roundTrip(t, target, wire.Lower, client.CreateRepository)
	roundTrip(t, target, wire.Lower, client.DescribeImages)
	roundTrip(t, target, wire.Lower, client.DescribeRepositories)
	roundTrip(t, target, wire.Lower, client.GetAuthorizationToken)
	roundTrip(t, target, wire.Lower, client.ListImages)
	roundTrip(t, target, wire.Lower, client.PutImage)
}

func TestQueryRoundTrip(t *testing.T) {
	stacks := cloudformation.NewFromConfig(config())
	roundTripQuery(t, stacks.CreateChangeSet)
	roundTripQuery(t, stacks.DescribeChangeSet)
	roundTripQuery(t, stacks.DescribeStackEvents)
	roundTripQuery(t, stacks.DescribeStacks)
	roundTripQuery(t, stacks.ListChangeSets)
	roundTripQuery(t, stacks.ListStackResources)
	roundTripQuery(t, stacks.GetTemplateSummary)
	roles := iam.NewFromConfig(config())
	roundTripQuery(t, roles.CreateRole)
	roundTripQuery(t, roles.GetAccountSummary)
	roundTripQuery(t, roles.ListRoles)
	identities := sts.NewFromConfig(config())
	roundTripQuery(t, identities.AssumeRole)
}

// roundTripQuery is roundTrip in the awsQuery protocol.
func roundTripQuery[In, Out, Options any](t *testing.T, call func(context.Context, *In, ...func(*Options)) (*Out, error)) {
	t.Helper()
	roundTripAs(t, func(handle func(context.Context, *In) (*Out, error), signed string) wire.Service {
		return &wire.Query{Service: signed, Namespace: "urn:test", Operations: map[string]wire.Handler{operationOf[In](): wire.HandleQuery(handle)}}
	}, call)
}

// roundTrip is roundTripAs in the awsJson protocol.
func roundTrip[In, Out, Options any](t *testing.T, target string, casing wire.Casing, call func(context.Context, *In, ...func(*Options)) (*Out, error)) {
	t.Helper()
	roundTripAs(t, func(handle func(context.Context, *In) (*Out, error), _ string) wire.Service {
		return &wire.JSON{Service: "test", Target: target, Casing: casing, Operations: map[string]wire.Handler{operationOf[In](): wire.Handle(handle)}}
	}, call)
}

// roundTripAs has the client send an input with every member filled, and read an
// output with every member filled.
func roundTripAs[In, Out, Options any](t *testing.T, serviceOf func(handle func(context.Context, *In) (*Out, error), signed string) wire.Service, call func(context.Context, *In, ...func(*Options)) (*Out, error)) {
	t.Helper()
	var sent In
	filler := new(filler)
	filler.fill(t, reflect.ValueOf(&sent).Elem())
	var answered Out
	filler.fill(t, reflect.ValueOf(&answered).Elem())
	t.Run(operationOf[In](), func(t *testing.T) {
		var received *In
		service := serviceOf(func(_ context.Context, in *In) (*Out, error) {
			received = in
			return &answered, nil
		}, signingName[Options]())
		server := httptest.NewServer(wiretest.Handler(service))
		defer server.Close()
		got, err := call(t.Context(), &sent, to[Options](server.URL))
		if err != nil {
			t.Fatal(err)
		}
		if diff := diff(&sent, received); diff != "" {
			t.Errorf("the input changed on its way (-sent +received):\n%s", diff)
		}
		if diff := diff(&answered, got); diff != "" {
			t.Errorf("the output changed on its way (-answered +got):\n%s", diff)
		}
	})
}

// signingName returns what a client's requests are signed for: its package's name.
func signingName[Options any]() string { return path.Base(reflect.TypeFor[Options]().PkgPath()) }

// operationOf returns the operation whose input In is.
func operationOf[In any]() string {
	name := reflect.TypeFor[In]().Name()
	return name[:len(name)-len("Input")]
}

// to points a client's options to url.
func to[Options any](url string) func(*Options) {
	return func(o *Options) {
		reflect.ValueOf(o).Elem().FieldByName("BaseEndpoint").Set(reflect.ValueOf(&url))
	}
}

func config() aws.Config {
	return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("alice", "secret", ""), HTTPClient: sdkhttp.New()}
}

// filler fills members with values that are all different, where their types allow.
type filler struct{ n int }

func (f *filler) fill(t *testing.T, v reflect.Value) {
	t.Helper()
	f.n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_000 + int64(f.n)*1_001).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(t, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && field.Name != "ResultMetadata" {
				f.fill(t, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(t, v.Index(0))
		f.fill(t, v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, element := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(t, key)
			f.fill(t, element)
			v.SetMapIndex(key, element)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("%d <&> \"é\\\u2028\n\t😀'", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Uint8:
		v.SetUint(uint64(255 - f.n%16))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.n) + 0.5)
	default:
		t.Fatalf("no value for a %s", v.Type())
	}
}

// diff compares members only, not what the client notes of the call.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && (field.Name() == "ResultMetadata" || field.Name() == "noSmithyDocumentSerde")
	}, cmp.Ignore()))
}
