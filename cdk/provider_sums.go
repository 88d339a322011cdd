//go:build tasuki_provider

package tasukicdk

// This file is never built. It makes 'go mod tidy' and 'go mod vendor' of the user's
// module record what the provider's package is built of.
import _ "github.com/tasuki-dev/tasuki/provider"
