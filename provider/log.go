package provider

import (
	"io"
	"log/slog"
	"regexp"
)

// newLog returns a log of JSON lines, as CloudWatch Logs Insights reads them. Nothing
// that is logged on purpose is a secret; what a service or a panic says might quote a
// signed URL, and that is taken out.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindString {
			a.Value = slog.StringValue(redact(a.Value.String()))
		}
		return a
	}}))
}

// query matches what follows the path of a URL: of a signed one, the signature.
var query = regexp.MustCompile(`(https?://[^\s"'?]*)\?[^\s"']*`)

func redact(text string) string { return query.ReplaceAllString(text, "$1?…") }
