// Package lookup finds a handoff's image while a CDK program runs, for
// [tasukicdk.ResolveSynthTime]: what the usual recipe asks the AWS CLI for. It is a
// package of its own because it links AWS's SDK.
package lookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	tasukicdk "github.com/tasuki-dev/tasuki/cdk"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// Options say what to look up, and where. Account and Region are required.
type Options struct {
	Account string // that the stack is for, 12 digits
	Region  string // that the stack is for
	Profile string // of the AWS configuration; "" for the default chain's

	Handoff string // "" means TASUKI_HANDOFF

	// What stands in for the contract where there is none yet, as before the first deploy.
	TagParameter   string   // "" means TASUKI_TAG_PARAMETER, else /tasuki/<handoff>/image-tag
	PlaceholderTag string   // "" means "initial"
	Repository     string   // name; "" means the handoff's
	Functions      []string // names
}

// Tag returns the image that the handoff's function should run: what is registered, else
// what the function runs, else the placeholder, which the stack then puts into ECR.
//
// It is strict. "There is none" is believed only where AWS has said so for some seconds;
// denied, throttled, timed out and malformed are errors, and so are credentials of
// another account. The program has to stop at an error: a stack that is deployed with a
// guess may replace what runs.
func Tag(ctx context.Context, o Options) (*tasukicdk.Lookup, error) {
	name, err := tasuki.ParseHandoffName(cmp.Or(o.Handoff, os.Getenv(tasukicdk.EnvironmentHandoff)))
	if err != nil {
		return nil, err
	}
	if o.Account == "" || o.Region == "" {
		return nil, fmt.Errorf("the lookup of %s needs the stack's account and region: set Account and Region", name)
	}
	aws, err := awsbackend.Load(ctx, awsbackend.Options{Region: o.Region, Profile: o.Profile})
	if err != nil {
		return nil, err
	}
	caller, err := aws.Caller(ctx)
	if err != nil {
		return nil, err
	}
	if caller.Account != o.Account {
		return nil, fmt.Errorf("the lookup of %s is for account %s, but the credentials are of account %s: choose a profile of the stack's account", name, o.Account, caller.Account)
	}
	h, err := o.handoff(ctx, aws, name)
	if err != nil {
		return nil, err
	}
	resolution, err := tasuki.Resolver{
		Tags: aws.Tags, Functions: aws.Functions, Images: images{aws.Images}, Rules: lambdaimage.Check, Placeholder: deferred{},
	}.Resolve(ctx, h)
	if errors.Is(err, errDeferred) {
		resolution, err = tasuki.Resolution{Handoff: name, Tag: h.PlaceholderTag, Origin: tasuki.OriginPlaceholder}, nil
	}
	if err != nil {
		return nil, explain(err)
	}
	return &tasukicdk.Lookup{Resolution: resolution, Account: o.Account, Region: o.Region}, nil
}

// handoff returns what the contract says; before the first deploy, what the options say.
func (o Options) handoff(ctx context.Context, aws *awsbackend.Backend, name tasuki.HandoffName) (tasuki.Handoff, error) {
	contract, err := tasuki.FindContract(ctx, aws.Contracts, name)
	if err == nil {
		return contract.Handoff, nil
	}
	if !errors.Is(err, tasuki.ErrMissing) {
		return tasuki.Handoff{}, explain(err)
	}
	h := tasuki.Handoff{Name: name, TagParameter: name.TagParameter(), PlaceholderTag: tasuki.DefaultPlaceholderTag}
	if parameter := cmp.Or(o.TagParameter, os.Getenv(tasukicdk.EnvironmentTagParameter)); parameter != "" {
		if h.TagParameter, err = tasuki.ParseParameterName(parameter); err != nil {
			return h, err
		}
	}
	if o.PlaceholderTag != "" {
		if h.PlaceholderTag, err = tasuki.ParseTag(o.PlaceholderTag); err != nil {
			return h, err
		}
	}
	for _, function := range o.Functions {
		if err := tasuki.CheckFunctionName(function); err != nil {
			return h, err
		}
		h.Functions = append(h.Functions, tasuki.FunctionTarget{Name: function})
	}
	h.Repository, err = o.repository(ctx, aws, name)
	return h, err
}

// repository returns the repository, which may be one that the stack is about to make.
func (o Options) repository(ctx context.Context, aws *awsbackend.Backend, handoff tasuki.HandoffName) (tasuki.Repository, error) {
	name := cmp.Or(o.Repository, handoff.String())
	if err := tasuki.CheckRepositoryName(name); err != nil {
		return tasuki.Repository{}, err
	}
	repository, err := aws.Images.Repository(ctx, name)
	if !errors.Is(err, tasuki.ErrMissing) {
		return repository, explain(err)
	}
	return tasuki.ParseRepository(fmt.Sprintf("%s.dkr.ecr.%s.%s/%s", o.Account, o.Region, tasuki.RegionDomain(o.Region), name))
}

// images takes a repository that there is not for one without images: before the first
// deploy there is none. A release that is registered is then missing from it.
type images struct{ tasuki.Images }

func (i images) Manifests(ctx context.Context, repository tasuki.Repository, refs ...tasuki.Ref) (map[tasuki.Ref]tasuki.Manifest, error) {
	found, err := i.Images.Manifests(ctx, repository, refs...)
	if errors.Is(err, tasuki.ErrMissing) {
		return nil, nil
	}
	return found, err
}

// errDeferred says that the image is the placeholder, which is not in ECR yet.
var errDeferred = errors.New("the stack puts the placeholder into ECR")

// deferred is a placeholder that is not put into ECR now: a lookup changes nothing.
type deferred struct{}

func (deferred) String() string { return "placeholder" }

func (deferred) Inspect(context.Context, tasuki.Architecture) (tasuki.Image, error) {
	return tasuki.Image{}, errDeferred
}

func (deferred) Push(context.Context, tasuki.Image, tasuki.Repository, tasuki.Tag) error {
	return errDeferred
}

// explain adds an error's hint to it: whoever runs a CDK program sees nothing else.
func explain(err error) error {
	if hint := tasuki.HintOf(err); hint != "" {
		return fmt.Errorf("%w. %s", err, hint)
	}
	return err
}
