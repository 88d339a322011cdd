package sts_test

import (
	"context"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws/sts"
	"github.com/tasuki-dev/tasuki/localaws/wire/wiretest"
)

func TestIdentities(t *testing.T) {
	const account = "123456789012"
	server := httptest.NewServer(wiretest.Handler(sts.New(sts.Options{Account: account, Role: func(_ context.Context, name string) (bool, error) { return name == "deploy", nil }}).Wire()))
	defer server.Close()
	client := func(accessKey, token string) *sdk.Client {
		return sdk.New(sdk.Options{BaseEndpoint: &server.URL, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(accessKey, "secret", token), HTTPClient: sdkhttp.New()})
	}
	identify := func(accessKey string) *sdk.GetCallerIdentityOutput {
		t.Helper()
		out, err := client(accessKey, "").GetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ids := map[string]bool{}
	for _, name := range []string{"alice", "bob<&>", "alice"} {
		got := identify(name)
		if want := "arn:aws:iam::" + account + ":user/" + name; *got.Arn != want || *got.Account != account {
			t.Errorf("got %s of %s, want %s", *got.Arn, *got.Account, want)
		}
		if !regexp.MustCompile(`^AIDA[A-Z2-7]{17}$`).MatchString(*got.UserId) {
			t.Errorf("got user id %s", *got.UserId)
		}
		ids[*got.UserId] = true
	}
	if len(ids) != 2 {
		t.Errorf("two users have the ids %v", ids)
	}
	assume := func(arn string) (*sdk.AssumeRoleOutput, error) {
		return client("alice", "").AssumeRole(t.Context(), &sdk.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("session")})
	}
	for _, arn := range []string{"arn:aws:iam::" + account + ":role/missing", "arn:aws:iam::000000000000:role/deploy", "deploy"} {
		if _, err := assume(arn); err == nil || !strings.Contains(err.Error(), "is not authorized to perform: sts:AssumeRole on resource: "+arn) {
			t.Errorf("assuming %s answers %v", arn, err)
		}
	}
	assumed, err := assume("arn:aws:iam::" + account + ":role/with/path/deploy")
	if err != nil {
		t.Fatal(err)
	}
	out, err := client(*assumed.Credentials.AccessKeyId, *assumed.Credentials.SessionToken).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:sts::" + account + ":assumed-role/deploy/session"; *out.Arn != want || *assumed.AssumedRoleUser.Arn != want || *out.UserId != *assumed.AssumedRoleUser.AssumedRoleId {
		t.Errorf("who assumed the role is %s, %s", *out.Arn, *out.UserId)
	}
}
