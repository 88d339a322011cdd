package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

type versionResult struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func (versionCommand) Run(s *session) error {
	result := versionResult{Version: "development", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		result.Version = info.Main.Version
	}
	return s.result(result, func(w io.Writer) {
		fmt.Fprintf(w, "tasuki %s (%s, %s/%s)\n", result.Version, result.Go, result.OS, result.Arch)
	})
}
