package sts_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/tasuki-dev/tasuki/localaws/sts"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

func TestGetCallerIdentity(t *testing.T) {
	const account = "123456789012"
	service := sts.New(account).Wire()
	// The server does the least of what the dispatcher does.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		scope := wire.SignatureScope(r)
		request := &wire.Request{HTTP: r, Body: body, ID: "request-1", Service: scope.Service, Region: scope.Region, Principal: scope.AccessKey}
		operation, provided := service.Operation(request)
		answer := service.Fail(request, wire.NotProvided(service.Name(), operation))
		if provided {
			answer = service.Serve(wire.WithRequest(r.Context(), request), operation, request)
		}
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body)
	}))
	defer server.Close()
	identify := func(accessKey string) *sdk.GetCallerIdentityOutput {
		t.Helper()
		client := sdk.New(sdk.Options{BaseEndpoint: &server.URL, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(accessKey, "secret", "")})
		out, err := client.GetCallerIdentity(t.Context(), nil)
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
}
