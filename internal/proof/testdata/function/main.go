// The function answers every invocation with the version that its image says it is,
// or fails each one where the image says that it is broken. It speaks the Runtime API
// over package net alone: with net/http it would be five times as large, and the
// tests unpack it some thousand times.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
)

func main() {
	if err := serve(os.Getenv("AWS_LAMBDA_RUNTIME_API")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(host string) error {
	api, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	answers := textproto.NewReader(bufio.NewReader(api))
	outcome, answer := "response", fmt.Sprintf(`{"version":%q}`, os.Getenv("VERSION"))
	if os.Getenv("BROKEN") != "" {
		outcome, answer = "error", `{"errorType":"Broken","errorMessage":"this version is broken"}`
	}
	for {
		fmt.Fprintf(api, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		header, err := read(answers)
		if err != nil {
			return err
		}
		fmt.Fprintf(api, "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s",
			header.Get("Lambda-Runtime-Aws-Request-Id"), outcome, host, len(answer), answer)
		if _, err := read(answers); err != nil {
			return err
		}
	}
}

// read reads an answer, and leaves its body behind.
func read(answers *textproto.Reader) (textproto.MIMEHeader, error) {
	if _, err := answers.ReadLine(); err != nil {
		return nil, err
	}
	header, err := answers.ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("an answer without a length: %w", err)
	}
	_, err = io.CopyN(io.Discard, answers.R, length)
	return header, err
}
