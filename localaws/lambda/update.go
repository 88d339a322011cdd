package lambda

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// decode reads a request's body into an input of the SDK's.
func decode[In any](r *wire.Request) (*In, error) {
	in := new(In)
	if err := wire.Unmarshal(r.Body, in); err != nil {
		return nil, wire.Errorf("SerializationException", "%v", err)
	}
	return in, nil
}

func (s *Service) createFunction(ctx context.Context, r *wire.Request, _ map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.CreateFunctionInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	name, err := s.parseName(aws.ToString(in.FunctionName))
	if err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{
		"CapacityProviderConfig": in.CapacityProviderConfig != nil, "CodeSigningConfigArn": in.CodeSigningConfigArn != nil,
		"DurableConfig": in.DurableConfig != nil, "FileSystemConfigs": len(in.FileSystemConfigs) > 0,
		"KMSKeyArn": in.KMSKeyArn != nil, "Layers": len(in.Layers) > 0,
		"PublishTo": in.PublishTo != "", "SnapStart": in.SnapStart != nil && in.SnapStart.ApplyOn != types.SnapStartApplyOnNone,
		"TenancyConfig": in.TenancyConfig != nil, "TracingConfig": in.TracingConfig != nil && in.TracingConfig.Mode != types.TracingModePassThrough,
		"VpcConfig": in.VpcConfig != nil && len(in.VpcConfig.SubnetIds)+len(in.VpcConfig.SecurityGroupIds) > 0,
	}); err != nil {
		return wire.Answer{}, err
	}
	v := version{
		PackageType: in.PackageType, Role: aws.ToString(in.Role), Description: aws.ToString(in.Description),
		Handler: aws.ToString(in.Handler), Runtime: in.Runtime, Memory: defaultMemory, Timeout: defaultTimeout, Scratch: defaultScratch,
		ImageOverride: in.ImageConfig,
	}
	if v.PackageType == "" {
		v.PackageType = types.PackageTypeZip
	}
	v.set(in.MemorySize, in.Timeout, in.EphemeralStorage, in.Environment)
	if err := v.setSinks(in.DeadLetterConfig, in.LoggingConfig); err != nil {
		return wire.Answer{}, err
	}
	if v.Architecture, err = oneArchitecture(in.Architectures); err != nil {
		return wire.Answer{}, err
	}
	if err := v.check(); err != nil {
		return wire.Answer{}, err
	}
	code := types.FunctionCode{}
	if in.Code != nil {
		code = *in.Code
	}
	if err := s.setCode(ctx, &v, source{code.ImageUri, code.ZipFile, code.S3Bucket, code.S3Key, code.S3ObjectVersion}); err != nil {
		return wire.Answer{}, err
	}
	f := created(name, "")
	f.Tags = in.Tags
	var changed []function
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if _, found, err := functions.Get(tx, name); err != nil || found {
			if err == nil {
				err = conflict("Function already exist: %s", name)
			}
			return err
		}
		changed = f.begin(v, in.Publish)
		return put(tx, changed...)
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusCreated, s.configuration(s.finishAll(changed), ""))
}

// set takes over what is given of the members that have a default.
func (v *version) set(memory, timeout *int32, scratch *types.EphemeralStorage, environment *types.Environment) {
	if memory != nil {
		v.Memory = *memory
	}
	if timeout != nil {
		v.Timeout = *timeout
	}
	if scratch != nil {
		v.Scratch = aws.ToInt32(scratch.Size) // required: 0 is out of bounds
	}
	if environment != nil {
		v.Environment = maps.Clone(environment.Variables)
	}
}

// source is where a request says that the code is.
type source struct {
	image                *string
	zip                  []byte
	bucket, key, version *string
}

// inS3 reports whether a request says that the code is in S3.
func (from source) inS3() bool { return from.bucket != nil || from.key != nil || from.version != nil }

// setCode makes v run the code that a request brings.
func (s *Service) setCode(ctx context.Context, v *version, from source) (err error) {
	switch {
	case v.PackageType == types.PackageTypeImage && (from.image == nil || from.zip != nil || from.inS3()):
		return invalid("Please provide ImageUri when updating a function with packageType Image.")
	case v.PackageType == types.PackageTypeZip && from.image != nil:
		return invalid("Please don't provide ImageUri when updating a function with packageType Zip.")
	case from.inS3() && (from.zip != nil || from.bucket == nil || from.key == nil):
		return invalid("Please provide exactly one source for function code: ZipFile, or S3Bucket and S3Key.")
	case from.version != nil:
		return notProvided("Member S3ObjectVersion")
	case v.PackageType == types.PackageTypeImage:
		v.Image, err = s.resolve(ctx, *from.image) // Lambda gives images no CodeSize
		return err
	case from.inS3():
		v.ZipSHA256, v.CodeSize, err = s.keepObject(ctx, *from.bucket, *from.key)
		return err
	case len(from.zip) == 0:
		return invalid("Please provide a source for function code.")
	}
	v.ZipSHA256, v.CodeSize, err = s.keepZip(bytes.NewReader(from.zip))
	return err
}

func (s *Service) updateFunctionCode(ctx context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.UpdateFunctionCodeInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{"PublishTo": in.PublishTo != "", "SourceKMSKeyArn": in.SourceKMSKeyArn != nil}); err != nil {
		return wire.Answer{}, err
	}
	f, err := s.unpublished(path)
	if err != nil {
		return wire.Answer{}, err
	}
	arch, err := oneArchitecture(in.Architectures)
	if err != nil {
		return wire.Answer{}, err
	}
	code := version{PackageType: f.shown().PackageType}
	if err := s.setCode(ctx, &code, source{in.ImageUri, in.ZipFile, in.S3Bucket, in.S3Key, in.S3ObjectVersion}); err != nil {
		return wire.Answer{}, err
	}
	return s.update(f.Name, change{revision: in.RevisionId, dryRun: in.DryRun, publish: in.Publish, edit: func(v *version) error {
		v.Image, v.ZipSHA256, v.CodeSize, v.Architecture = code.Image, code.ZipSHA256, code.CodeSize, arch
		return nil
	}})
}

func (s *Service) updateFunctionConfiguration(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.UpdateFunctionConfigurationInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{
		"CapacityProviderConfig": in.CapacityProviderConfig != nil,
		"DurableConfig":          in.DurableConfig != nil, "FileSystemConfigs": len(in.FileSystemConfigs) > 0, "KMSKeyArn": aws.ToString(in.KMSKeyArn) != "",
		"Layers":        len(in.Layers) > 0,
		"SnapStart":     in.SnapStart != nil && in.SnapStart.ApplyOn != types.SnapStartApplyOnNone,
		"TracingConfig": in.TracingConfig != nil && in.TracingConfig.Mode != types.TracingModePassThrough,
		"VpcConfig":     in.VpcConfig != nil && len(in.VpcConfig.SubnetIds)+len(in.VpcConfig.SecurityGroupIds) > 0,
	}); err != nil {
		return wire.Answer{}, err
	}
	name, err := s.parseName(path["FunctionName"])
	if err != nil {
		return wire.Answer{}, err
	}
	return s.update(name, change{revision: in.RevisionId, edit: func(v *version) error {
		if in.Role != nil {
			v.Role = *in.Role
		}
		if in.Description != nil {
			v.Description = *in.Description
		}
		if in.Handler != nil {
			v.Handler = *in.Handler
		}
		if in.Runtime != "" {
			v.Runtime = in.Runtime
		}
		if in.ImageConfig != nil {
			v.ImageOverride = in.ImageConfig
		}
		v.set(in.MemorySize, in.Timeout, in.EphemeralStorage, in.Environment)
		if err := v.setSinks(in.DeadLetterConfig, in.LoggingConfig); err != nil {
			return err
		}
		return v.check()
	}})
}

// change is what an update changes of a function.
type change struct {
	revision *string // that the function must be at; nil for any
	dryRun   bool    // to change nothing, and answer as if
	publish  bool    // to publish the result
	edit     func(*version) error
}

// update begins an update of a function that is not being changed.
func (s *Service) update(name string, c change) (wire.Answer, error) {
	var changed []function
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		f, err := s.find(tx, reference{name: name})
		if err != nil {
			return err
		}
		if err := s.mustBeStill(&f, c.revision); err != nil {
			return err
		}
		v := *f.Current
		if err := c.edit(&v); err != nil {
			return err
		}
		if c.dryRun {
			f.Current = &v
			changed = []function{f}
			return nil
		}
		changed = f.begin(v, c.publish)
		return put(tx, changed...)
	}); err != nil {
		return wire.Answer{}, err
	}
	f := s.finishAll(changed)
	return wire.JSONAnswer(http.StatusOK, s.configuration(f, f.Number))
}

// finishAll begins to make ready what a request has changed, and returns what it is
// answered with: the published version, if there is one.
func (s *Service) finishAll(changed []function) *function {
	for _, f := range changed {
		if f.busy() {
			s.tasks.Go(func() { s.finish(f) })
		}
	}
	return &changed[len(changed)-1]
}

// finish makes the next version of a function, or a published version, ready and
// puts it in force. It leaves everything as it is when the service ends meanwhile.
func (s *Service) finish(begun function) {
	why := s.prepare(s.ctx, begun.Next)
	select {
	case <-s.ctx.Done():
	case <-time.After(s.o.UpdateDelay):
	}
	if s.ctx.Err() != nil {
		return // what prepare could not do may be for the end's sake
	}
	live := ""
	err := s.o.Store.Update(func(tx *state.Tx) error {
		table, key := begun.place()
		f, found, err := table.Get(tx, key)
		if err != nil || !found || f.Next == nil || f.Next.ID != begun.Next.ID {
			return err // deleted meanwhile
		}
		if why != nil {
			f.fail(*why)
		} else {
			f.complete()
		}
		live = f.Current.ID
		return put(tx, f)
	})
	if err != nil {
		s.logs.write(begun.Name, []byte("the function's update could not be stored: "+err.Error()+"\n"))
		return
	}
	if live != "" {
		s.pool.promote(begun.key(), live)
	}
}
