package tasuki

import (
	"crypto/sha256"
	"encoding/hex"
)

// Digest is the SHA-256 digest of a manifest or a blob, "sha256:" and 64
// hexadecimal digits. The zero Digest is no digest. ECR and Lambda know no other
// algorithm.
type Digest struct{ s string }

var digestGrammar = grammar(`^sha256:[0-9a-f]{64}$`)

// ParseDigest returns s as a Digest, or one sentence on why it cannot be one.
func ParseDigest(s string) (Digest, error) {
	if !digestGrammar().MatchString(s) {
		return Digest{}, invalid("%s is not an image digest: a digest is sha256: and 64 hexadecimal digits", quote(s))
	}
	return Digest{s}, nil
}

// DigestOf returns the digest of content.
func DigestOf(content []byte) Digest {
	sum := sha256.Sum256(content)
	return Digest{"sha256:" + hex.EncodeToString(sum[:])}
}

// String returns the digest with its algorithm.
func (d Digest) String() string { return d.s }

// Short returns the algorithm and the first 12 digits, for messages.
func (d Digest) Short() string {
	const length = len("sha256:") + 12
	if len(d.s) < length {
		return d.s
	}
	return d.s[:length]
}

// IsZero reports whether d is no digest.
func (d Digest) IsZero() bool { return d.s == "" }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler by way of [ParseDigest]; the
// empty text is the zero Digest.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Digest{}
		return nil
	}
	*d, err = ParseDigest(string(b))
	return err
}
