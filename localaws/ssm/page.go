package ssm

import (
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// tokenPrefix tells tokens of ours from other base64.
const tokenPrefix = "after:"

// nextToken names the last key of a page: the next one begins behind it, whatever
// has been written meanwhile.
func nextToken(last string) *string {
	return aws.String(base64.StdEncoding.EncodeToString([]byte(tokenPrefix + last)))
}

// lastKey returns the key in a token, "" where there is no token.
func lastKey(token *string) (string, error) {
	if aws.ToString(token) == "" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(*token)
	last, ours := strings.CutPrefix(string(b), tokenPrefix)
	if err != nil || !ours || last == "" {
		return "", wire.Errorf("InvalidNextToken", "The specified token isn't valid.")
	}
	return last, nil
}
