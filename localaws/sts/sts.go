// Package sts is the local endpoint's STS: it says who a request is from, and gives
// out sessions of roles.
package sts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Options is what the service works with.
type Options struct {
	Account string
	// Role reports whether there is a role of a name; nil where there is none.
	Role func(ctx context.Context, name string) (bool, error)
}

// Service answers STS's operations for one account, the same in every region.
type Service struct{ o Options }

// New returns the service.
func New(o Options) *Service { return &Service{o} }

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.Query{
		Service:   "sts",
		Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Operations: map[string]wire.Handler{
			"AssumeRole":        wire.HandleQuery(wire.Checked(s.AssumeRole, "RoleArn", "RoleSessionName", "Tags.Key", "Tags.Value")),
			"GetCallerIdentity": wire.HandleQuery(s.GetCallerIdentity),
		},
	}
}

// GetCallerIdentity returns who signed the request under ctx.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	arn := wire.CallerARN(ctx, s.o.Account)
	id := uniqueID("AIDA", arn)
	if session, assumed := strings.CutPrefix(arn, "arn:aws:sts::"+s.o.Account+":assumed-role/"); assumed {
		role, name, _ := strings.Cut(session, "/")
		id = uniqueID("AROA", role) + ":" + name
	}
	return &sts.GetCallerIdentityOutput{Account: aws.String(s.o.Account), Arn: aws.String(arn), UserId: aws.String(id)}, nil
}

// sessionName is what STS's model takes for RoleSessionName.
var sessionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{2,64}$`) })

// The bounds of a session's life, as the model has them, and its default.
const (
	shortestSession = 15 * time.Minute
	longestSession  = 12 * time.Hour
	defaultSession  = time.Hour
)

// AssumeRole returns credentials of a role of the account. Trust policies are not
// looked at: whoever reaches the local endpoint may assume any role that exists.
func (s *Service) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	arn, session := aws.ToString(in.RoleArn), aws.ToString(in.RoleSessionName)
	if arn == "" || !sessionName().MatchString(session) {
		return nil, wire.Errorf("ValidationError", "AssumeRole takes a RoleArn, and a RoleSessionName that satisfies regular expression pattern: [\\w+=,.@-]* with a length of 2 to 64")
	}
	life := defaultSession
	if in.DurationSeconds != nil {
		life = time.Duration(*in.DurationSeconds) * time.Second
	}
	if life < shortestSession || life > longestSession {
		return nil, wire.Errorf("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must have value between %d and %d", *in.DurationSeconds, int(shortestSession.Seconds()), int(longestSession.Seconds()))
	}
	name, exists, err := s.role(ctx, arn)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, wire.Errorf("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", wire.CallerARN(ctx, s.o.Account), arn).WithStatus(403)
	}
	key := rand.Text()
	return &sts.AssumeRoleOutput{
		AssumedRoleUser: &types.AssumedRoleUser{
			Arn:           aws.String("arn:aws:sts::" + s.o.Account + ":assumed-role/" + name + "/" + session),
			AssumedRoleId: aws.String(uniqueID("AROA", name) + ":" + session),
		},
		Credentials: &types.Credentials{
			AccessKeyId:     aws.String("ASIA" + key[:16]),
			SecretAccessKey: aws.String(rand.Text()),
			SessionToken:    aws.String(wire.SessionToken(name, session)),
			Expiration:      aws.Time(time.Now().Add(life)),
		},
	}, nil
}

// role returns the name of the role that an ARN names, without its path, and whether
// there is one of it in the account.
func (s *Service) role(ctx context.Context, arn string) (name string, exists bool, err error) {
	path, ours := strings.CutPrefix(arn, "arn:aws:iam::"+s.o.Account+":role/")
	if !ours || s.o.Role == nil {
		return "", false, nil
	}
	name = path[strings.LastIndexByte(path, '/')+1:]
	exists, err = s.o.Role(ctx, name)
	return name, exists, err
}

// uniqueID returns an id of the form that IAM gives, always the same one for the same
// name.
func uniqueID(prefix, name string) string {
	const length = 21 // as in the IAM user guide, "IAM identifiers"
	sum := sha256.Sum256([]byte(name))
	return (prefix + base32.StdEncoding.EncodeToString(sum[:]))[:length]
}
