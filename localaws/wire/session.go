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

// RoleOf returns the name of the role that a principal has assumed; "" for one that has
// assumed none.
func RoleOf(principal string) (role string, assumed bool) {
	session, assumed := strings.CutPrefix(principal, assumedRole)
	if !assumed {
		return "", false
	}
	role, _, _ = strings.Cut(session, "/")
	return role, true
}

// PrincipalARN returns the ARN of a principal: an assumed role, or the user whose name
// is the access key id, so that a rehearsal can act as several.
func PrincipalARN(principal, account string) string {
	if _, assumed := RoleOf(principal); assumed {
		return "arn:aws:sts::" + account + ":" + principal
	}
	if principal == "" {
		principal = "anonymous"
	}
	return "arn:aws:iam::" + account + ":user/" + principal
}

// Caller returns the principal that signed the request under ctx, "" where nobody did.
func Caller(ctx context.Context) string {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r.Principal
	}
	return ""
}

// CallerARN returns the ARN of the principal that signed the request under ctx.
func CallerARN(ctx context.Context, account string) string {
	return PrincipalARN(Caller(ctx), account)
}
