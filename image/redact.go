package image

import (
	"regexp"
	"strings"
	"unicode"
)

var (
	wholeURL = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"]*`)
	pathURL  = regexp.MustCompile(`([^\s"?#]*/[^\s"?#]*)[?#][^\s"]*`)
	// A proxy's address needs no scheme. What has a digest after its @ is an image.
	userinfo = regexp.MustCompile(`[^\s"/:@]+:[^\s"/]*@(sha256:)?`)
	// What is sent to log in, and web tokens, as ECR's passwords are.
	credential = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9+/._~=-]{16,}`)
	webToken   = regexp.MustCompile(`\beyJ[A-Za-z0-9+/._=-]{8,}`)
	hostPort   = regexp.MustCompile(`^([^:]*|\[[^\]]*\])(:[0-9]*)?$`)
)

// redact returns text without what may be a secret in it: the queries of URLs (a
// pre-signed one's signature), the names and passwords in them, and tokens.
func redact(text string) string {
	text = wholeURL.ReplaceAllStringFunc(text, redactURL)
	text = pathURL.ReplaceAllString(text, "$1")
	text = userinfo.ReplaceAllStringFunc(text, func(s string) string {
		if strings.HasSuffix(s, "@sha256:") {
			return s
		}
		return ""
	})
	return webToken.ReplaceAllString(credential.ReplaceAllString(text, "$1 …"), "…")
}

// redactURL returns a URL without user information and without a query; nothing of it
// where it cannot be told where these end, as with a password that a person typed with a
// slash in it.
func redactURL(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	authority, path, _ := strings.Cut(rest, "/")
	user := strings.LastIndexByte(authority, '@')
	mayBeUser := user < 0 && !hostPort.MatchString(authority) && strings.Contains(strings.ReplaceAll(path, "@sha256:", ""), "@")
	if mayBeUser || user >= 0 && strings.ContainsAny(authority, "?#") {
		return scheme + "://…"
	}
	rest = rest[user+1:]
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	return scheme + "://" + rest
}

// told returns what a stranger wrote as printable does, without what may be a secret:
// that is looked for in the text as it came.
func told(s string) string { return printable(redact(s)) }

// printable returns what a stranger wrote, cut to one line of a bearable length.
func printable(s string) string { return cut(oneLine(s)) }

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func cut(s string) string {
	const longest = 500
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}
