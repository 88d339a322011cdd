package ssm

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

// mostVersions is how many versions of a parameter are kept.
const mostVersions = 100

// parameter is all of a parameter that can change. Its versions never do, so that
// the parameter as it was before its last write is one more small record.
type parameter struct {
	First, Last int64             // the versions that are kept, both included
	Labels      map[string]int64  `json:",omitempty"` // the version that each is attached to
	Tags        map[string]string `json:",omitempty"`
}

// holds reports whether version n is kept; a nil parameter keeps none.
func (p *parameter) holds(n int64) bool {
	return p != nil && p.First <= n && n <= p.Last
}

// version is one version of a parameter.
type version struct {
	Value          string
	Type           types.ParameterType
	Description    string `json:",omitempty"`
	KeyID          string `json:",omitempty"`
	AllowedPattern string `json:",omitempty"`
	ModifiedBy     string
	ModifiedAt     time.Time
}

// reveal returns the value as a read answers it. A hash stands for a SecureString's
// ciphertext: nothing decrypts it, and the local endpoint has no KMS to ask.
func (v version) reveal(decrypt bool) string {
	if v.Type != types.ParameterTypeSecureString || decrypt {
		return v.Value
	}
	sum := sha512.Sum512([]byte(v.ModifiedAt.String() + v.Value))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// versionKey is the key of a parameter's n-th version. It sorts by number, and no
// name is another one's prefix, since no name has a NUL.
func versionKey(name string, n int64) string {
	return fmt.Sprintf("%s%019d", versionPrefix(name), n)
}

func versionPrefix(name string) string { return name + "\x00" }

// seen returns the parameters that a read under ctx sees.
func (s *Service) seen(ctx context.Context) state.Table[parameter] {
	if fault.IsStale(ctx) {
		return s.before
	}
	return s.now
}

// version returns the n-th version of a parameter, which keeps it.
func (s *Service) version(tx *state.Tx, name string, n int64) (version, error) {
	v, found, err := s.versions.Get(tx, versionKey(name, n))
	if err == nil && !found {
		err = fmt.Errorf("version %d of parameter %s is missing from the store", n, name)
	}
	return v, err
}

// write replaces a parameter; old is nil for a new one, next for one that is to be
// gone. Versions that neither of the two keeps are removed: those of a deleted
// parameter stay until its name is written again, for stale reads.
func (s *Service) write(tx *state.Tx, name string, old, next *parameter) error {
	older, found, err := s.before.Get(tx, name)
	if err != nil {
		return err
	}
	for n := older.First; found && n <= older.Last; n++ {
		if old.holds(n) || next.holds(n) {
			continue
		}
		if err := s.versions.Delete(tx, versionKey(name, n)); err != nil {
			return err
		}
	}
	if err := replace(tx, s.before, name, old); err != nil {
		return err
	}
	return replace(tx, s.now, name, next)
}

func replace(tx *state.Tx, table state.Table[parameter], name string, p *parameter) error {
	if p == nil {
		return table.Delete(tx, name)
	}
	return table.Put(tx, name, *p)
}
