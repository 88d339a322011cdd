// The caller is a Lambda function for tests: it sends each event to the URL in its
// environment and returns what that answers, or fails where it answers an error.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			panic(err)
		}
		event, err := io.ReadAll(next.Body)
		if err != nil {
			panic(err)
		}
		next.Body.Close()
		path := api + next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		result, err := call(event)
		if err != nil {
			post(path+"/error", fmt.Appendf(nil, `{"errorType":"Test","errorMessage":%q}`, err.Error()))
			continue
		}
		post(path+"/response", result)
	}
}

func call(event []byte) ([]byte, error) {
	answer, err := http.Post(os.Getenv("CALL"), "application/json", bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	result, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", bytes.TrimSpace(result))
	}
	return result, err
}

func post(path string, body []byte) {
	answer, err := http.Post(path, "application/json", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	answer.Body.Close()
}
