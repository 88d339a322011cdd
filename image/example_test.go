package image_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

func ExampleOpen() {
	_, err := image.Open(context.Background(), "orders:v1", image.OpenOptions{})
	fmt.Println(err)
	// Output:
	// open source image orders:v1: it does not say where the image is: give docker://HOST/NAME:TAG, docker-daemon:NAME:TAG, oci:PATH:TAG, oci-archive:FILE:TAG, docker-archive:FILE:NAME:TAG or s3://BUCKET/KEY
}

func ExampleRegistry_Push() {
	server := httptest.NewServer(ociserver.New(ocimem.New(), nil))
	defer server.Close()
	ctx := context.Background()

	source, _ := memoryImage("an image", []byte("a layer"))
	found, err := source.Inspect(ctx, tasuki.ARM64)
	if err != nil {
		fmt.Println(err)
		return
	}
	registry := image.Registry{Host: strings.TrimPrefix(server.URL, "http://"), PlainHTTP: true, Username: "AWS", Password: "secret"}
	err = registry.Push(ctx, source, found, orders, tagOf("v1"), image.PushOptions{Progress: func(p image.Progress) {
		if p.Done == p.Total {
			fmt.Printf("pushed %d bytes\n", p.Total)
		}
	}})
	fmt.Println(err)
	// Unordered output:
	// pushed 110 bytes
	// pushed 7 bytes
	// <nil>
}

func ExampleRelease() {
	server := httptest.NewServer(ociserver.New(ocimem.New(), nil))
	defer server.Close()
	ctx := context.Background()

	placeholder, _ := memoryImage("the placeholder", []byte("a layer"))
	var source tasuki.ImageSource = image.Release{
		Source: placeholder,
		Registry: func(context.Context, tasuki.Repository) (image.Registry, error) { // would ask GetAuthorizationToken
			return image.Registry{Host: strings.TrimPrefix(server.URL, "http://"), PlainHTTP: true}, nil
		},
		Options: image.PushOptions{AssumeAbsent: true},
	}
	found, err := source.Inspect(ctx, tasuki.ARM64)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(source, found.Facts.Architecture, source.Push(ctx, found, orders, tagOf("initial")))
	// Output: the placeholder arm64 <nil>
}
