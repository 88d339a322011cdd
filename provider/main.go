package provider

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// Main is the provider function's program. It does not return.
func Main() { lambda.Start(New(os.Getenv("AWS_ENDPOINT_URL"))) }

// New returns the handler of a function on AWS: region, credentials and endpoints are
// those of its environment. Answers may go to endpoint, too; "" for none. Where the
// environment is of no use, the handler says so to all who wait for an answer.
func New(endpoint string) *Handler {
	h := &Handler{Log: newLog(os.Stdout), LocalEndpoint: endpoint}
	backend, err := awsbackend.LoadInFunction(awsbackend.Options{})
	if err != nil {
		h.broken = err
		return h
	}
	h.Reconciler = tasuki.Reconciler{
		Resolver: tasuki.Resolver{Tags: backend.Tags, Functions: backend.Functions, Images: backend.Images, Rules: lambdaimage.Check},
		Updater:  backend.Functions, Versions: backend.Functions, Tagger: backend.Images,
	}
	h.Aliases, h.EventSources, h.Stacks = backend.Functions, backend.Functions, backend.Stacks
	h.Images = newImages(backend)
	return h
}
