package awsbackend

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
)

// inFunction opens AWS as a function sees it whose environment names an endpoint.
func inFunction(t *testing.T, endpoint string) *Backend {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_REGION": region, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": secret, "AWS_ENDPOINT_URL": endpoint,
	} {
		t.Setenv(name, value)
	}
	backend, err := LoadInFunction(Options{RetryMaxAttempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// serveInFunction is inFunction on a server that answers with the operations.
func serveInFunction(t *testing.T, operations map[string]operation) (*Backend, *fakeAWS) {
	t.Helper()
	fake := &fakeAWS{t: t, operations: operations}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return inFunction(t, server.URL), fake
}

func TestLoadInFunction(t *testing.T) {
	t.Setenv("AWS_PROFILE", "not-looked-for")
	backend, _ := serveInFunction(t, map[string]operation{
		"GetParameter":        ok(`{"Parameter":{"Name":"/p","Type":"String","Value":"v1","Version":1}}`),
		"GetParameterHistory": ok(`{"Parameters":[{"Name":"/p","Type":"String","Value":"v1","Version":1}]}`),
	})
	got, err := backend.Tags.ReadTag(t.Context(), parse(t, tasuki.ParseParameterName, "/p"))
	if err != nil || got.Value != "v1" || backend.Region != region {
		t.Errorf("got %+v, %v from %s", got, err, backend.Region)
	}
	t.Run("an endpoint for one service", func(t *testing.T) {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			ok(`{"Parameters":[{"Name":"/p","Type":"String","Value":"v2","Version":2}],"Parameter":{"Name":"/p","Type":"String","Value":"v2","Version":2}}`)(w, nil)
		}))
		defer other.Close()
		t.Setenv("AWS_ENDPOINT_URL_SSM", other.URL)
		backend, _ := serveInFunction(t, nil)
		if got, err := backend.Tags.ReadTag(t.Context(), parse(t, tasuki.ParseParameterName, "/p")); got.Value != "v2" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("without credentials", func(t *testing.T) {
		inFunction(t, "http://127.0.0.1:1")
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		backend, err := LoadInFunction(Options{RetryMaxAttempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = backend.Stacks.StackStatus(t.Context(), "shop")
		if e := wantKind(t, err, tasuki.ErrDenied); !strings.Contains(e.Error(), "Lambda sets") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("without a region", func(t *testing.T) {
		t.Setenv("AWS_REGION", "")
		t.Setenv("AWS_DEFAULT_REGION", "")
		_, err := LoadInFunction(Options{})
		wantKind(t, err, tasuki.ErrInvalid)
	})
}

// cloudFormation answers with a result in awsQuery's form, or an error's code and message.
func cloudFormation(t *testing.T, status int, format string, args ...any) *Stacks {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		action := r.FormValue("Action")
		if status != http.StatusOK {
			fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type>`+format+`</Error></ErrorResponse>`, args...)
			return
		}
		fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, action, fmt.Sprintf(format, args...))
	}))
	t.Cleanup(server.Close)
	return inFunction(t, server.URL).Stacks
}

func TestStackStatus(t *testing.T) {
	got, err := cloudFormation(t, http.StatusOK, `<Stacks><member><StackName>shop</StackName><StackStatus>UPDATE_COMPLETE</StackStatus></member></Stacks>`).StackStatus(t.Context(), "shop")
	if err != nil || got != "UPDATE_COMPLETE" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = cloudFormation(t, http.StatusOK, `<Stacks/>`).StackStatus(t.Context(), "shop")
	wantKind(t, err, tasuki.ErrUnavailable)
	for _, test := range []struct {
		status        int
		code, message string
		kind          error
	}{
		{400, "ValidationError", "Stack with id shop does not exist", tasuki.ErrMissing},
		{400, "ValidationError", "1 validation error detected: Value '' at 'stackName' failed", tasuki.ErrInvalid},
		{403, "AccessDenied", "User: x is not authorized to perform: cloudformation:DescribeStacks", tasuki.ErrDenied},
		{400, "Throttling", "Rate exceeded", tasuki.ErrThrottled},
		{503, "ServiceUnavailable", "does not exist", tasuki.ErrUnavailable},
	} {
		_, err := cloudFormation(t, test.status, `<Code>%s</Code><Message>%s</Message>`, test.code, test.message).StackStatus(t.Context(), "shop")
		wantKind(t, err, test.kind)
	}
}

func TestStackResource(t *testing.T) {
	const detail = `<StackResourceDetail><LogicalResourceId>Fn</LogicalResourceId>%s</StackResourceDetail>`
	got, err := cloudFormation(t, http.StatusOK, detail, `<PhysicalResourceId>orders</PhysicalResourceId>`).StackResource(t.Context(), "shop", "Fn")
	if err != nil || got != "orders" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = cloudFormation(t, http.StatusOK, detail, "").StackResource(t.Context(), "shop", "Fn")
	wantKind(t, err, tasuki.ErrMissing)
	_, err = cloudFormation(t, http.StatusOK, "").StackResource(t.Context(), "shop", "Fn")
	wantKind(t, err, tasuki.ErrUnavailable)
	_, err = cloudFormation(t, http.StatusBadRequest, `<Code>ValidationError</Code><Message>Resource Fn does not exist for stack shop</Message>`).StackResource(t.Context(), "shop", "Fn")
	wantKind(t, err, tasuki.ErrMissing)
}

func TestEnableEventSource(t *testing.T) {
	const at = "/2015-03-31/event-source-mappings/u"
	for state, updates := range map[string]int{"Disabled": 1, "Disabling": 1, "Enabled": 0, "Enabling": 0} {
		backend, fake := serveInFunction(t, map[string]operation{
			"GET " + at: ok(`{"UUID":"u","State":%q}`, state),
			"PUT " + at: func(w http.ResponseWriter, in map[string]any) {
				if in["Enabled"] != true || len(in) != 1 {
					t.Errorf("asked for %v", in)
				}
				ok(`{"UUID":"u","State":"Enabling"}`)(w, in)
			},
		})
		changed, err := backend.Functions.EnableEventSource(t.Context(), "u")
		if err != nil || changed != (updates > 0) || fake.count("PUT "+at) != updates {
			t.Errorf("%s: %v, %v after %d updates", state, changed, err, fake.count("PUT "+at))
		}
	}
	backend, _ := serveInFunction(t, map[string]operation{"GET " + at: fail(404, "ResourceNotFoundException", "no")})
	_, err := backend.Functions.EnableEventSource(t.Context(), "u")
	wantKind(t, err, tasuki.ErrMissing)
	backend, _ = serveInFunction(t, map[string]operation{"GET " + at: ok(`{"State":"Disabled"}`), "PUT " + at: fail(400, "ResourceInUseException", "busy")})
	_, err = backend.Functions.EnableEventSource(t.Context(), "u")
	wantKind(t, err, tasuki.ErrConflict)
}

func TestSecret(t *testing.T) {
	backend, _ := serveInFunction(t, map[string]operation{"GetSecretValue": ok(`{"SecretString":"user:pass"}`)})
	if got, err := backend.Secrets.Secret(t.Context(), "arn"); err != nil || got != "user:pass" {
		t.Errorf("got %q, %v", got, err)
	}
	for kind, answer := range map[error]operation{
		tasuki.ErrMissing: fail(400, "ResourceNotFoundException", "no"), tasuki.ErrDenied: fail(400, "AccessDeniedException", "no"), tasuki.ErrInvalid: ok(`{"SecretBinary":"AAAA"}`),
	} {
		backend, _ := serveInFunction(t, map[string]operation{"GetSecretValue": answer})
		_, err := backend.Secrets.Secret(t.Context(), "arn")
		wantKind(t, err, kind)
	}
}

func TestDeleteAlias(t *testing.T) {
	const at = "DELETE /2015-03-31/functions/orders/aliases/live"
	for kind, answer := range map[error]operation{nil: ok(""), tasuki.ErrMissing: fail(404, "ResourceNotFoundException", "no"), tasuki.ErrDenied: fail(403, "AccessDeniedException", "no")} {
		backend, _ := serveInFunction(t, map[string]operation{at: answer})
		err := backend.Functions.DeleteAlias(t.Context(), "orders", "live")
		if kind == tasuki.ErrDenied {
			wantKind(t, err, kind)
		} else if err != nil {
			t.Errorf("got %v", err)
		}
	}
}
