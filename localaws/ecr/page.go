package ecr

import (
	"encoding/base64"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The sizes of a page in ECR's model.
const (
	defaultPage = 100
	longestPage = 1000
)

// page returns the part of all that comes after token, and the token of the next
// part, nil where there is none. The rows are in the order of their keys, and a
// token holds the last key that was answered, so that rows which come and go
// between two pages neither shift nor repeat the others.
func page[T any](all []T, key func(T) string, token *string, size *int32) ([]T, *string, error) {
	limit := defaultPage
	if size != nil {
		limit = int(*size)
	}
	if limit < 1 || limit > longestPage {
		return nil, nil, invalidParameter("maxResults", "Member must have value between 1 and 1000")
	}
	if token != nil {
		last, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, invalidParameter("nextToken", "must be the nextToken of an earlier answer")
		}
		for len(all) > 0 && key(all[0]) <= string(last) {
			all = all[1:]
		}
	}
	if len(all) <= limit {
		return all, nil, nil
	}
	return all[:limit], aws.String(base64.RawURLEncoding.EncodeToString([]byte(key(all[limit-1])))), nil
}
