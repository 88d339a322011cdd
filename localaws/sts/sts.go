// Package sts is the local endpoint's STS: it says who a request is from.
package sts

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"net/url"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Service answers STS's GetCallerIdentity for one account.
type Service struct{ account string }

// New returns the service. It answers the same in every region.
func New(account string) *Service { return &Service{account} }

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.Query{
		Service:   "sts",
		Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Operations: map[string]func(context.Context, url.Values) (any, error){
			"GetCallerIdentity": func(ctx context.Context, _ url.Values) (any, error) { return s.GetCallerIdentity(ctx), nil },
		},
	}
}

// Identity is the result of GetCallerIdentity. The SDK's own type holds metadata
// that encoding/xml would write out.
type Identity struct {
	Arn     string
	UserId  string
	Account string
}

// GetCallerIdentity returns who signed the request under ctx.
func (s *Service) GetCallerIdentity(ctx context.Context) Identity {
	arn := wire.CallerARN(ctx, s.account)
	return Identity{Arn: arn, UserId: userID(arn), Account: s.account}
}

// userID returns an id of the form that IAM gives to users, always the same one
// for the same user.
func userID(arn string) string {
	const prefix, length = "AIDA", 21 // as in the IAM user guide, "IAM identifiers"
	sum := sha256.Sum256([]byte(arn))
	return (prefix + base32.StdEncoding.EncodeToString(sum[:]))[:length]
}
