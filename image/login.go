package image

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// RepositoryOf returns the ECR repository that a docker:// reference names, if it names
// one. ECR gives the password for it to whoever may pull.
func RepositoryOf(reference string) (repository tasuki.Repository, isECR bool) {
	named, isRemote := strings.CutPrefix(reference, "docker://")
	name, _, _ := strings.Cut(named, "@")
	if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
		last, _, _ := strings.Cut(name[slash:], ":")
		name = name[:slash] + last
	}
	repository, err := tasuki.ParseRepository(name)
	return repository, isRemote && err == nil
}

// ParseLogin reads a registry's user and password from a secret's text: a JSON object
// with the members username and password, or both with a colon between. No error quotes
// it.
func ParseLogin(text string) (user, password string, err error) {
	var object struct{ Username, Password string }
	if json.Unmarshal([]byte(text), &object) == nil && object.Username != "" {
		return object.Username, object.Password, nil
	}
	user, password, found := strings.Cut(strings.TrimSpace(text), ":")
	if !found || user == "" || strings.HasPrefix(strings.TrimSpace(text), "{") {
		return "", "", errors.New(`its text is neither {"username": …, "password": …} nor user:password`)
	}
	return user, password, nil
}
