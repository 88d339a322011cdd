package cli

import (
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/builtin"
)

// builtin is the placeholder that Tasuki carries, to be put into ECR's registry.
func (s *session) builtin(handoff tasuki.HandoffName) tasuki.ImageSource {
	return &builtin.Source{Handoff: handoff, Registry: s.registry}
}
