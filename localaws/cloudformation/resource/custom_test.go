package resource

import (
	"fmt"
	"testing"
)

// What a function says of whether its answer is to be shown, as a boolean or as its text.
func TestNoEcho(t *testing.T) {
	request := customRequest{RequestType: "Create", StackId: "s", RequestId: "r", LogicalResourceId: "l"}
	for said, want := range map[string]bool{`true`: true, `"true"`: true, `false`: false, `"false"`: false, `null`: false} {
		body := fmt.Sprintf(`{"Status":"SUCCESS","PhysicalResourceId":"p","StackId":"s","RequestId":"r","LogicalResourceId":"l","Data":{"A":"1"},"NoEcho":%s}`, said)
		result, err := readAnswer([]byte(body), request)
		if err != nil || result.NoEcho != want || result.Attributes["A"] != "1" {
			t.Errorf("NoEcho %s: %+v, %v", said, result, err)
		}
	}
}
