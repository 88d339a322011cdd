package awsbackend

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
)

func contractJSON(handoff string) string {
	return fmt.Sprintf(`{"version":1,"handoff":%q,"account":"123456789012","region":"eu-west-1","repository":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders","tagParameter":"/tasuki/orders/image-tag","placeholderTag":"initial","functions":[],"later":{"kept":true}}`, handoff)
}

// stringParameter is a parameter in SSM's JSON.
func stringParameter(name, value string) map[string]any {
	return map[string]any{"Name": name, "Type": "String", "Value": value, "Version": 1}
}

func TestMalformedContractsAreNamedInTheList(t *testing.T) {
	secure := stringParameter("/tasuki/secure/contract", "AQIC")
	secure["Type"] = "SecureString"
	pages := [][]map[string]any{
		{stringParameter("/tasuki/orders/contract", contractJSON("orders")), stringParameter("/tasuki/orders/image-tag", "v1"), stringParameter("/tasuki/bad/contract", "{")},
		{stringParameter("/tasuki/billing/contract", contractJSON("billing")), stringParameter("/tasuki/other/contract", contractJSON("orders")), secure},
	}
	backend, fake := serve(t, Options{}, map[string]operation{"GetParametersByPath": func(w http.ResponseWriter, in map[string]any) {
		if in["Path"] != "/tasuki/" || in["Recursive"] != true {
			t.Errorf("asked for %v", in)
		}
		out := map[string]any{"Parameters": pages[0], "NextToken": "more"}
		if in["NextToken"] == "more" {
			out = map[string]any{"Parameters": pages[1]}
		}
		_ = json.NewEncoder(w).Encode(out)
	}})
	contracts, err := backend.Contracts.ListContracts(t.Context())
	wantKind(t, err.(interface{ Unwrap() []error }).Unwrap()[0], tasuki.ErrInvalid)
	for _, name := range []string{"/tasuki/bad/contract", "/tasuki/other/contract", "/tasuki/secure/contract"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	if len(contracts) != 2 || contracts[0].Name.String() != "billing" || contracts[1].Name.String() != "orders" {
		t.Errorf("got %v, want billing and orders", contracts)
	}
	if n := fake.count("GetParametersByPath"); n != 2 {
		t.Errorf("it took %d calls", n)
	}
}

// What a batch lacks is asked for alone, and that says what is the matter with it.
func TestContractsOfABatchThatAreNone(t *testing.T) {
	b, err := json.Marshal(map[string]any{"Parameters": []any{
		stringParameter("/tasuki/orders/contract", contractJSON("orders")), stringParameter("/tasuki/bad/contract", "{"), stringParameter("/tasuki/other/contract", contractJSON("orders")),
	}, "InvalidParameters": []string{"/tasuki/missing/contract"}})
	if err != nil {
		t.Fatal(err)
	}
	backend, fake := serve(t, Options{}, map[string]operation{"GetParameters": ok("%s", b)})
	var names []tasuki.HandoffName
	for _, name := range []string{"orders", "bad", "other", "missing"} {
		names = append(names, parse(t, tasuki.ParseHandoffName, name))
	}
	found, err := backend.Contracts.ReadContracts(t.Context(), names...)
	if _, there := found[names[0]]; err != nil || !there || len(found) != 1 {
		t.Errorf("got %v, %v; want the contract of orders", found, err)
	}
	if n := fake.count("GetParameters"); n != 1 {
		t.Errorf("it took %d calls", n)
	}
}

func TestABatchThatIsDenied(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"GetParameters": fail(400, "AccessDeniedException", "")})
	_, err := backend.Contracts.ReadContracts(t.Context(), parse(t, tasuki.ParseHandoffName, "orders"))
	if e := wantKind(t, err, tasuki.ErrDenied); e.Side != tasuki.SideContract {
		t.Errorf("the error is about the %s", e.Side)
	}
	_, err = backend.Tags.ReadTags(t.Context(), tagParameter(t))
	if e := wantKind(t, err, tasuki.ErrDenied); e.Side != tasuki.SideTag {
		t.Errorf("the error is about the %s", e.Side)
	}
}

func TestReadContractThatIsNone(t *testing.T) {
	orders := parse(t, tasuki.ParseHandoffName, "orders")
	for what, value := range map[string]string{
		"no JSON":          "v1",
		"another handoff":  contractJSON("billing"),
		"a later version":  strings.Replace(contractJSON("orders"), `"version":1`, `"version":2`, 1),
		"another location": strings.Replace(contractJSON("orders"), "dkr.ecr", "example", 1),
	} {
		t.Run(what, func(t *testing.T) {
			b, err := json.Marshal(map[string]any{"Parameter": stringParameter("/tasuki/orders/contract", value)})
			if err != nil {
				t.Fatal(err)
			}
			backend, _ := serve(t, Options{}, map[string]operation{"GetParameter": ok("%s", b)})
			_, err = backend.Contracts.ReadContract(t.Context(), orders)
			e := wantKind(t, err, tasuki.ErrInvalid)
			if e.Subject != "/tasuki/orders/contract" || e.Hint == "" {
				t.Errorf("the error is %#v", e)
			}
		})
	}
}
