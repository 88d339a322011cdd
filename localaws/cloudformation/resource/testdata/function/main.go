// The function answers custom resources as their properties ask for.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

type event struct {
	RequestType, ResponseURL, StackId, RequestId, LogicalResourceId, PhysicalResourceId, ResourceType string
	ResourceProperties, OldResourceProperties                                                         map[string]any
}

func main() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			log.Fatal(err)
		}
		var e event
		if err := json.NewDecoder(next.Body).Decode(&e); err != nil {
			log.Fatal(err)
		}
		next.Body.Close()
		if err := answer(e); err != nil {
			log.Print(err)
		}
		done, err := http.Post(api+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", strings.NewReader("{}"))
		if err != nil {
			log.Fatal(err)
		}
		done.Body.Close()
	}
}

// answer puts the answer that the property Answer asks for.
func answer(e event) error {
	id := e.PhysicalResourceId
	if given, _ := e.ResourceProperties["Id"].(string); given != "" {
		id = given
	}
	body := map[string]any{
		"Status": "SUCCESS", "PhysicalResourceId": id, "StackId": e.StackId, "RequestId": e.RequestId, "LogicalResourceId": e.LogicalResourceId,
		"Data": map[string]any{"Request": e.RequestType, "Type": e.ResourceType, "Number": e.ResourceProperties["Number"], "Old": e.OldResourceProperties["Number"]},
	}
	switch e.ResourceProperties["Answer"] {
	case "none":
		return nil
	case "failed":
		body["Status"], body["Reason"] = "FAILED", "no luck"
	case "long":
		body["Data"] = map[string]any{"Long": strings.Repeat("x", 4096)}
	case "foreign":
		body["RequestId"] = "another"
	}
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPut, e.ResponseURL, bytes.NewReader(content))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
