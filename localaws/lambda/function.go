package lambda

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// latest is the version of a function that is not published.
const latest = "$LATEST"

// functions holds every function, the unpublished version of it, under its name.
var functions = state.Table[function]{Name: "lambda.functions"}

// function is a function as it is stored: the version that is not published, or a
// published one, which is made ready once and never changed.
type function struct {
	Name      string
	Number    string // of a published version; "" for the unpublished one
	Published int64  // the highest number that a version was given, if this is the unpublished one
	Tags      map[string]string
	Revision  string // a new one at every change, the end of an update included
	Modified  time.Time

	State        types.State
	StateReason  string
	StateCode    types.StateReasonCode
	Update       types.LastUpdateStatus
	UpdateReason string
	UpdateCode   types.LastUpdateStatusReasonCode

	Current *version // what invocations run; nil until the function is created
	Next    *version // what is being made ready; nil where nothing is
}

// version is code and configuration, as they are invoked together.
type version struct {
	ID            string // a new one for every change, and published along: environments belong to it
	PackageType   types.PackageType
	Architecture  types.Architecture
	Image         image  // of an image function
	ZipSHA256     string // of a zip function, in hexadecimal
	CodeSize      int64  // bytes
	Role          string
	Description   string
	Handler       string
	Runtime       types.Runtime
	Memory        int32 // MiB
	Timeout       int32 // seconds
	Scratch       int32 // MiB of /tmp
	Environment   map[string]string
	ImageOverride *types.ImageConfig
	LogGroup      string // "" for the one named after the function
	DeadLetters   string // the ARN of the queue for events that failed; "" for none
}

// image is what a function needs to know of its image.
type image struct {
	URI        string // as it was given
	Resolved   string // by digest
	Digest     string
	Layers     []string // digests, the lowest first
	Entrypoint []string
	Command    []string
	WorkingDir string
	Env        []string
}

// created returns a function, or a published version of it, that is being created.
func created(name, number string) function {
	return function{
		Name: name, Number: number, Revision: wire.NewID(), Modified: time.Now().UTC(),
		State: types.StatePending, StateReason: "The function is being created.", StateCode: types.StateReasonCodeCreating,
	}
}

// label names the version as the function itself is told.
func (f *function) label() string {
	if f.Number == "" {
		return latest
	}
	return f.Number
}

// key is what the pool knows the version by.
func (f *function) key() key { return key{f.Name, f.label()} }

// busy reports whether the function is being created or changed.
func (f *function) busy() bool { return f.Next != nil }

// shown is the version that Get answers with: the one that was asked for last.
func (f *function) shown() *version {
	if f.Next != nil {
		return f.Next
	}
	return f.Current
}

// begin makes v what is being made ready, and publishes it too where that is asked
// for. It returns what has to be stored and finished.
func (f *function) begin(v version, publish bool) []function {
	v.ID = wire.NewID()
	f.Next, f.Modified = &v, time.Now().UTC()
	f.revise()
	if f.State != types.StatePending {
		f.Update, f.UpdateReason, f.UpdateCode = types.LastUpdateStatusInProgress, "", ""
	}
	if !publish {
		return []function{*f}
	}
	published := f.publish(v)
	return []function{*f, published}
}

// revise gives the unpublished version another revision. A published one has the
// same from the beginning, also when it has become active.
func (f *function) revise() {
	if f.Number == "" {
		f.Revision = wire.NewID()
	}
}

// complete ends a creation or an update that succeeded.
func (f *function) complete() {
	f.Current, f.Next = f.Next, nil
	f.revise()
	f.State, f.StateReason, f.StateCode = types.StateActive, "", ""
	f.Update, f.UpdateReason, f.UpdateCode = types.LastUpdateStatusSuccessful, "", ""
}

// fail ends one that did not: a function that runs goes on with what it had.
func (f *function) fail(why failure) {
	if f.Current == nil {
		f.Current = f.Next
		f.State, f.StateReason, f.StateCode = types.StateFailed, why.reason, types.StateReasonCode(why.code)
	}
	f.Next = nil
	f.revise()
	f.Update, f.UpdateReason, f.UpdateCode = types.LastUpdateStatusFailed, why.reason, why.code
}

// rootfs returns where the version's root file system is, in the store's folder.
func (v *version) rootfs(dir string) string {
	if v.PackageType == types.PackageTypeZip {
		return filepath.Join(dir, "rootfs", "zip-"+v.ZipSHA256)
	}
	return filepath.Join(dir, "rootfs", strings.ReplaceAll(v.Image.Digest, ":", "-"))
}

// zip returns where a zip function's package is kept, in the store's folder.
func (v *version) zip(dir string) string { return filepath.Join(dir, "zips", v.ZipSHA256+".zip") }

// codeSHA256 is what Lambda calls CodeSha256: of an image, the digest's digits; of a
// package, its hash in base64.
func (v *version) codeSHA256() string {
	if v.PackageType == types.PackageTypeImage {
		return strings.TrimPrefix(v.Image.Digest, "sha256:")
	}
	sum, err := hex.DecodeString(v.ZipSHA256)
	if err != nil {
		return v.ZipSHA256
	}
	return base64.StdEncoding.EncodeToString(sum)
}

// configuration is the function in Lambda's words. Its ARN ends in the qualifier
// that was asked for, if one was.
func (s *Service) configuration(f *function, qualifier string) *types.FunctionConfiguration {
	v := f.shown()
	c := &types.FunctionConfiguration{
		FunctionName: &f.Name, FunctionArn: aws.String(s.arn(reference{f.Name, qualifier})), Version: aws.String(f.label()), RevisionId: &f.Revision,
		LastModified: aws.String(f.Modified.Format("2006-01-02T15:04:05.000+0000")),
		PackageType:  v.PackageType, Architectures: []types.Architecture{v.Architecture}, CodeSha256: aws.String(v.codeSHA256()), CodeSize: v.CodeSize,
		Role: &v.Role, Description: &v.Description, MemorySize: &v.Memory, Timeout: &v.Timeout, Runtime: v.Runtime,
		EphemeralStorage: &types.EphemeralStorage{Size: &v.Scratch}, TracingConfig: &types.TracingConfigResponse{Mode: types.TracingModePassThrough},
		SnapStart:     &types.SnapStartResponse{ApplyOn: types.SnapStartApplyOnNone, OptimizationStatus: types.SnapStartOptimizationStatusOff},
		LoggingConfig: &types.LoggingConfig{LogFormat: types.LogFormatText, LogGroup: aws.String(v.logGroup(f.Name))},
		State:         f.State, StateReason: notEmpty(f.StateReason), StateReasonCode: f.StateCode,
		LastUpdateStatus: f.Update, LastUpdateStatusReason: notEmpty(f.UpdateReason), LastUpdateStatusReasonCode: f.UpdateCode,
		Handler: notEmpty(v.Handler),
	}
	if len(v.Environment) > 0 {
		c.Environment = &types.EnvironmentResponse{Variables: maps.Clone(v.Environment)}
	}
	if v.DeadLetters != "" {
		c.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: &v.DeadLetters}
	}
	if v.PackageType == types.PackageTypeImage {
		c.ImageConfigResponse = &types.ImageConfigResponse{ImageConfig: v.ImageOverride} // empty without one, as Lambda's
	}
	return c
}

// listed is the function as lists have it: they leave the states out.
func (s *Service) listed(f *function, qualifier string) types.FunctionConfiguration {
	c := s.configuration(f, qualifier)
	c.State, c.StateReason, c.StateReasonCode = "", nil, ""
	c.LastUpdateStatus, c.LastUpdateStatusReason, c.LastUpdateStatusReasonCode = "", nil, ""
	return *c
}

func (s *Service) arn(r reference) string {
	arn := "arn:aws:lambda:" + s.o.Region + ":" + s.o.Account + ":function:" + r.name
	if r.qualifier != "" {
		arn += ":" + r.qualifier
	}
	return arn
}

// logGroup returns the log group of a function of that name.
func (v *version) logGroup(name string) string {
	if v.LogGroup != "" {
		return v.LogGroup
	}
	return "/aws/lambda/" + name
}

func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
