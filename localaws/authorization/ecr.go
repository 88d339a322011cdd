package authorization

import (
	"net/http"
	"strings"
)

func (f Reference) ecr(action string, m members) []Need {
	switch action {
	case "ecr:GetAuthorizationToken":
		return on(action, anything)
	case "ecr:DescribeRepositories":
		names := m.texts("repositoryNames")
		if len(names) == 0 {
			names = []string{"*"}
		}
		var needs []Need
		for _, name := range names {
			needs = append(needs, on(action, f.repository(name))...)
		}
		return needs
	case "ecr:ListTagsForResource", "ecr:TagResource", "ecr:UntagResource":
		return on(action, m.text("resourceArn"))
	}
	needs := on(action, f.repository(m.text("repositoryName")))
	if action == "ecr:CreateRepository" && m.has("tags") {
		needs = append(needs, on("ecr:TagResource", needs[0].Resource)...)
	}
	return needs
}

func (f Reference) repository(name string) string { return f.arn("ecr", "repository/"+name) }

// Registry returns what a request to the OCI registry needs: ECR authorizes it as
// operations of its API
// (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html). A PUT
// that ends an upload carries the layer as well. A request that names no repository
// needs nothing but a login.
func (f Reference) Registry(r *http.Request) []Need {
	repository, about := RegistryPath(r.URL.Path)
	actions := map[string][]string{
		"HEAD manifests": {"ecr:BatchGetImage"},
		"GET manifests":  {"ecr:BatchGetImage"},
		"PUT manifests":  {"ecr:PutImage"},
		"HEAD blobs":     {"ecr:BatchCheckLayerAvailability"},
		"GET blobs":      {"ecr:GetDownloadUrlForLayer"},
		"POST uploads":   {"ecr:InitiateLayerUpload"},
		"PATCH uploads":  {"ecr:UploadLayerPart"},
		"PUT uploads":    {"ecr:UploadLayerPart", "ecr:CompleteLayerUpload"},
		"GET uploads":    {"ecr:UploadLayerPart"},
		"GET tags":       {"ecr:ListImages"},
		"GET referrers":  {"ecr:ListImageReferrers"},
	}
	if about == "uploads" && r.Method == http.MethodPost && r.URL.Query().Has("digest") { // the whole layer in one request
		actions["POST uploads"] = []string{"ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"}
	}
	var needs []Need
	for _, action := range actions[r.Method+" "+about] {
		needs = append(needs, on(action, f.repository(repository))...)
	}
	return needs
}

// Mount returns what it takes to mount a layer of another repository, as a request to
// begin an upload may ask for: nil where it does not
// (https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html).
func (f Reference) Mount(r *http.Request) []Need {
	query := r.URL.Query()
	if _, about := RegistryPath(r.URL.Path); r.Method != http.MethodPost || about != "uploads" || !query.Has("mount") || !query.Has("from") {
		return nil
	}
	return on("ecr:GetDownloadUrlForLayer", f.repository(query.Get("from")))
}

// RegistryPath returns the repository that a path of the registry is in, and what of it
// the path is about: "manifests", "blobs", "uploads", "tags" or "referrers". Both are ""
// where it is about no repository.
func RegistryPath(path string) (repository, about string) {
	parts := strings.Split(strings.TrimPrefix(path, "/v2/"), "/")
	if n := len(parts); parts[n-1] == "uploads" { // to begin one, without the slash at the end
		parts = append(parts, "")
	}
	n := len(parts) - 2 // what the last part is one of
	if n < 1 {
		return "", ""
	}
	switch about := parts[n]; about {
	case "uploads":
		if parts[n-1] != "blobs" || n < 2 {
			return "", ""
		}
		return strings.Join(parts[:n-1], "/"), about
	case "manifests", "blobs", "tags", "referrers":
		return strings.Join(parts[:n], "/"), about
	}
	return "", ""
}
