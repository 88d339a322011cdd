package awsbackend

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki"
)

func TestRegistry(t *testing.T) {
	token := base64.StdEncoding.EncodeToString([]byte("AWS:pass:" + secret))
	for _, c := range []struct {
		endpoint string
		host     string
		plain    bool
	}{
		{"https://999988887777.dkr.ecr.us-east-1.amazonaws.com", account + ".dkr.ecr." + region + ".amazonaws.com", false},
		{"http://127.0.0.1:4566", "127.0.0.1:4566", true},
	} {
		backend, _ := serve(t, Options{}, map[string]operation{
			"GetAuthorizationToken": ok(`{"authorizationData":[{"authorizationToken":%q,"proxyEndpoint":%q,"expiresAt":1700000000}]}`, token, c.endpoint),
		})
		got, err := backend.Images.Registry(t.Context(), parse(t, tasuki.ParseRepository, account+".dkr.ecr."+region+".amazonaws.com/orders"))
		if err != nil {
			t.Fatal(err)
		}
		if want := (Registry{c.host, c.plain, "AWS", "pass:" + secret, got.Expires}); got != want || !got.Expires.Equal(time.Unix(1700000000, 0)) {
			t.Errorf("got host %s, plain %v, user %s, expiry %v", got.Host, got.PlainHTTP, got.User, got.Expires)
		}
	}
}

func TestRegistryHidesThePassword(t *testing.T) {
	r := Registry{Host: "registry.example.com", User: "AWS", Password: secret}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("logged in", "registry", r, "pointer", &r)
	slog.New(slog.NewTextHandler(&log, nil)).Info("logged in", "registry", r, "pointer", &r)
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(encoded) + fmt.Sprintf("%v %+v %#v %s %q %v %+v %#v %v", r, r, r, r, r, &r, &r, &r, []Registry{r})
	if strings.Contains(all, secret) {
		t.Errorf("the password is in %s", all)
	}
	if !strings.Contains(all, "AWS@registry.example.com") {
		t.Errorf("the registry is not named in %s", all)
	}
}

func TestMalformedTokensAreNotQuoted(t *testing.T) {
	for _, token := range []string{secret + "%", base64.StdEncoding.EncodeToString([]byte(secret))} {
		backend, _ := serve(t, Options{}, map[string]operation{
			"GetAuthorizationToken": ok(`{"authorizationData":[{"authorizationToken":%q,"proxyEndpoint":"https://registry.example.com"}]}`, token),
		})
		_, err := backend.Images.Registry(t.Context(), parse(t, tasuki.ParseRepository, account+".dkr.ecr."+region+".amazonaws.com/orders"))
		wantKind(t, err, tasuki.ErrUnavailable)
	}
}
