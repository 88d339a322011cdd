package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

type copyCommand struct {
	Source            string `arg:"" help:"Image to copy: docker://, docker-daemon:, oci:, oci-archive:, docker-archive: or s3://."`
	Destination       string `arg:"" help:"Where to: docker://HOST/NAME:TAG, in ECR or any other registry, oci:DIR:TAG, oci-archive:FILE:TAG or docker-archive:FILE:NAME:TAG."`
	Architecture      string `placeholder:"ARCH" xor:"what" help:"Of an index, copy the image for x86_64 or arm64; default: the only one for linux."`
	SourceSecret      string `placeholder:"ARN" help:"Secret in AWS Secrets Manager with the user and password for the registry of SOURCE, as {\"username\", \"password\"} or user:password; default: what docker login has stored, and ECR's own."`
	DestinationSecret string `placeholder:"ARN" help:"The same for the registry of DESTINATION."`
	All               bool   `xor:"what" help:"Of an index, copy all of it: every platform, and the attestations."`
}

type copyResult struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Digest      string `json:"digest"`
	Sent        int64  `json:"bytesSent"`
	Mounted     int64  `json:"bytesMounted"`
	Present     int64  `json:"bytesPresent"`
	Requests    int64  `json:"requests"`
}

func (c *copyCommand) Run(s *session) error {
	var arch tasuki.Architecture
	if c.Architecture != "" {
		var err error
		if arch, err = tasuki.ParseArchitecture(c.Architecture); err != nil {
			return &usageError{err}
		}
	}
	o, err := s.reach(c.Source, c.SourceSecret)
	if err != nil {
		return err
	}
	source, err := image.Open(s.ctx, c.Source, o)
	if err != nil {
		return err
	}
	defer source.Close()
	if o, err = s.reach(c.Destination, c.DestinationSecret); err != nil {
		return err
	}
	to, err := image.OpenDestination(c.Destination, o)
	if err != nil {
		return err
	}
	defer to.Close()
	progress := image.PushOptions{Progress: s.progress(pushes)}
	if !strings.HasPrefix(c.Destination, "docker:") {
		progress.Progress = s.progress(writes)
	}
	var copied image.Copied
	if c.All {
		copied, err = to.Copy(s.ctx, source, progress)
	} else {
		copied, err = to.CopyImage(s.ctx, source, arch, progress)
	}
	if err != nil {
		return err
	}
	result := copyResult{c.Source, c.Destination, copied.Digest.String(), copied.Sent, copied.Mounted, copied.Present, copied.Requests}
	return s.result(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s\n", to, copied.Digest)
		fmt.Fprintf(w, "%s sent, %s mounted, %s there already, %d requests\n", megabytes(copied.Sent), megabytes(copied.Mounted), megabytes(copied.Present), copied.Requests)
	})
}

// reach returns how an image is reached. AWS's configuration is read only where AWS has
// a part in it.
func (s *session) reach(reference, secret string) (image.OpenOptions, error) {
	_, isECR := image.RepositoryOf(reference)
	if !isECR && secret == "" && !strings.HasPrefix(reference, "s3:") {
		return image.OpenOptions{LateLogin: s.lateLogin(reference)}, nil
	}
	flags := sourceFlags{ImageSecret: secret}
	return flags.options(s, reference)
}
