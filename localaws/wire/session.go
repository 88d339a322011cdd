package wire

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
)

const (
	assumedRole  = "assumed-role/"
	sessionStart = "tasuki-local/" // tells a token of ours from a real one
)

// SessionToken returns the session token of who assumed a role. The token itself says
// who that is: signatures are not verified here, so there is nothing to keep secret,
// and nothing to forget when the endpoint is started again.
func SessionToken(role, session string) string {
	return base64.StdEncoding.EncodeToString([]byte(sessionStart + role + "/" + session))
}

// Principal returns who signed a request: "assumed-role/ROLE/SESSION", or the access
// key id where no role is assumed, or "" where nobody signed.
func Principal(r *http.Request) string {
	token := r.Header.Get("X-Amz-Security-Token")
	if token == "" {
		token = r.URL.Query().Get("X-Amz-Security-Token")
	}
	if said, err := base64.StdEncoding.DecodeString(token); err == nil {
		if name, ours := strings.CutPrefix(string(said), sessionStart); ours {
			return assumedRole + name
		}
	}
	return SignatureScope(r).AccessKey
}

// CallerARN returns the ARN of who signed the request under ctx: an assumed role, or
// the user whose name is the access key id, so that a rehearsal can act as several.
func CallerARN(ctx context.Context, account string) string {
	name := "anonymous"
	if r, ok := ctx.Value(requestKey{}).(*Request); ok && r.Principal != "" {
		name = r.Principal
	}
	if strings.HasPrefix(name, assumedRole) {
		return "arn:aws:sts::" + account + ":" + name
	}
	return "arn:aws:iam::" + account + ":user/" + name
}
