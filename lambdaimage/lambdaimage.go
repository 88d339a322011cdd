// Package lambdaimage knows which container images AWS Lambda runs. It is pure:
// facts about an image go in, findings come out, and nothing is fetched.
//
// The rules are those of the AWS Lambda Developer Guide, "Create a Lambda function
// using a container image" (formats, architecture) and "Lambda quotas" (size).
// Where a limit comes from elsewhere, its rule says so.
package lambdaimage

import (
	"fmt"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.Rules = Check

// The short names of the rules. They are stable: scripts compare them.
const (
	RuleManifestType  = "manifest-type"
	RuleConfigType    = "config-type"
	RuleOS            = "wrong-os"
	RuleArchitecture  = "wrong-architecture"
	RuleForeignLayer  = "foreign-layer"
	RuleZstdLayer     = "zstd-layer"
	RuleLayerType     = "layer-type"
	RuleTooManyLayers = "too-many-layers"
	RuleTooLarge      = "too-large"
	RuleNoEntrypoint  = "no-entrypoint"
)

const (
	// MaxLayers is how many layers an overlay file system takes, and so what
	// Docker allows an image to have. Lambda's documents give no number of their own.
	MaxLayers = 127

	// MaxSize is the largest image in bytes, uncompressed: 10 GiB ("Lambda
	// quotas", container image code package size).
	MaxSize = 10 << 30
)

// Check returns what Lambda's rules say of image on a function of architecture
// arch; nothing where Lambda takes it. It implements [tasuki.Rules]. An arch of ""
// stands for a function that is not known yet, and is not compared.
func Check(image tasuki.Image, arch tasuki.Architecture) []tasuki.Finding {
	var findings []tasuki.Finding
	findings = append(findings, checkTypes(image)...)
	findings = append(findings, checkPlatform(image.Facts, arch)...)
	findings = append(findings, checkLayers(image.Layers)...)
	findings = append(findings, checkSize(image.Size())...)
	findings = append(findings, checkCommand(image.Facts)...)
	return findings
}

// checkTypes refuses what is not an image manifest with an image configuration.
// Lambda takes Docker's image manifest version 2, schema 2, and OCI image
// manifests; no index, no artifact and no schema 1.
func checkTypes(image tasuki.Image) []tasuki.Finding {
	const fix = "Build and push a container image for one platform, for example with 'docker buildx build --provenance=false'."
	switch image.Manifest.MediaType {
	case tasuki.MediaTypeOCIManifest, tasuki.MediaTypeDockerManifest:
	default:
		// What an unknown manifest says of its configuration is not known either.
		return []tasuki.Finding{refuse(RuleManifestType, fix,
			"the manifest is of type %s, which Lambda does not take", name(image.Manifest.MediaType))}
	}
	switch image.Config.MediaType {
	case tasuki.MediaTypeOCIConfig, tasuki.MediaTypeDockerConfig:
		return nil
	}
	return []tasuki.Finding{refuse(RuleConfigType, fix,
		"the configuration is of type %s, so this is an artifact and not a container image", name(image.Config.MediaType))}
}

// checkPlatform compares the configuration with the function. Lambda does not do
// it: it takes the image, and each invocation fails with "exec format error".
func checkPlatform(facts tasuki.ImageConfig, arch tasuki.Architecture) []tasuki.Finding {
	platform := "linux/" + tasuki.X86_64.OCI()
	if arch != "" {
		platform = "linux/" + arch.OCI()
	}
	fix := fmt.Sprintf("Build the image for %s, for example with 'docker buildx build --platform %s --provenance=false'.", platform, platform)
	var findings []tasuki.Finding
	if facts.OS != "linux" {
		findings = append(findings, refuse(RuleOS, fix,
			"the image is for the operating system %s, and Lambda runs linux only", name(facts.OS)))
	}
	if arch != "" && facts.Architecture != arch.OCI() {
		findings = append(findings, refuse(RuleArchitecture, fix,
			"the image is for %s, and the function's architecture is %s, which needs %s", name(facts.Architecture), arch, arch.OCI()))
	}
	return findings
}

// The layer types that Lambda takes: tar archives, plain or with gzip (OCI image
// specification 1.1, "Image Layer Filesystem Changeset"; Docker's image manifest
// version 2, schema 2).
const (
	layerOCI        = "application/vnd.oci.image.layer.v1.tar"
	layerOCIGzip    = "application/vnd.oci.image.layer.v1.tar+gzip"
	layerDocker     = "application/vnd.docker.image.rootfs.diff.tar"
	layerDockerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// checkLayers judges the layers' types: each type that is wrong makes one finding,
// however many layers have it. Lambda says UnsupportedImageLayerDetected, and only
// after the update has begun.
func checkLayers(layers []tasuki.Descriptor) []tasuki.Finding {
	var findings []tasuki.Finding
	seen := map[string]bool{}
	for i, layer := range layers {
		if seen[layer.MediaType] {
			continue
		}
		seen[layer.MediaType] = true
		if finding, found := checkLayer(i+1, layer.MediaType); found {
			findings = append(findings, finding)
		}
	}
	if len(layers) > MaxLayers {
		findings = append(findings, refuse(RuleTooManyLayers,
			"Join instructions of the Dockerfile, or build in stages and copy the result into a small image.",
			"the image has %d layers, and %d is the most that an image may have", len(layers), MaxLayers))
	}
	return findings
}

// IsLayer reports whether content of a media type is a layer that is in the registry and
// can be unpacked, whether or not Lambda does.
func IsLayer(mediaType string) bool {
	return isTar(mediaType) || isZstd(mediaType) && !isForeign(mediaType)
}

func isTar(mediaType string) bool {
	switch mediaType {
	case layerOCI, layerOCIGzip, layerDocker, layerDockerGzip:
		return true
	}
	return false
}

func isZstd(mediaType string) bool { return strings.HasSuffix(mediaType, "zstd") }

func isForeign(mediaType string) bool {
	return strings.Contains(mediaType, ".nondistributable.") || strings.Contains(mediaType, ".foreign.")
}

func checkLayer(number int, mediaType string) (finding tasuki.Finding, found bool) {
	switch {
	case isTar(mediaType):
		return tasuki.Finding{}, false
	case isForeign(mediaType):
		return refuse(RuleForeignLayer,
			"Build on a base image whose layers may be pushed to ECR.",
			"layer %d is of type %s, which is not kept in the registry, so Lambda cannot fetch it", number, mediaType), true
	case isZstd(mediaType):
		return tasuki.Finding{Rule: RuleZstdLayer, Severity: tasuki.SeverityWarning,
			Summary: fmt.Sprintf("layer %d is compressed with zstd, which AWS does not say that Lambda takes", number),
			Fix:     "Build with gzip: 'docker buildx build --output type=image,compression=gzip,force-compression=true'."}, true
	}
	return refuse(RuleLayerType,
		"Build a container image whose layers are tar archives with gzip.",
		"layer %d is of type %s, which Lambda does not take", number, name(mediaType)), true
}

// checkSize refuses what is sure to be too large. The limit is on uncompressed
// bytes, which a manifest does not say; but layers that are over it when
// compressed are over it.
func checkSize(compressed int64) []tasuki.Finding {
	if compressed <= MaxSize {
		return nil
	}
	return []tasuki.Finding{refuse(RuleTooLarge,
		"Make the image smaller: Lambda allows 10 GiB uncompressed, with all layers.",
		"the image's layers have %.1f GiB compressed, and Lambda allows 10 GiB uncompressed", float64(compressed)/(1<<30))}
}

// checkCommand wants something to start. A function's ImageConfig can give an
// entry point to an image without one, but the image alone does not say so: it is
// an error, because a function without that setting fails at every start.
func checkCommand(facts tasuki.ImageConfig) []tasuki.Finding {
	if len(facts.Config.Entrypoint) > 0 || len(facts.Config.Cmd) > 0 {
		return nil
	}
	return []tasuki.Finding{refuse(RuleNoEntrypoint,
		"Set ENTRYPOINT in the Dockerfile, even where the function's ImageConfig gives another one.",
		"the image has neither an entry point nor a command, so Lambda has nothing to start")}
}

func refuse(rule, fix, summary string, args ...any) tasuki.Finding {
	return tasuki.Finding{Rule: rule, Severity: tasuki.SeverityError, Summary: fmt.Sprintf(summary, args...), Fix: fix}
}

// name returns what an image says of itself, as a word that is never empty.
func name(s string) string {
	if s == "" {
		return "(none given)"
	}
	const longest = 80
	if r := []rune(s); len(r) > longest {
		return fmt.Sprintf("%q…", string(r[:longest]))
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
