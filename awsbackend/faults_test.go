package awsbackend_test

import (
	"errors"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

// The local endpoint's faults, each against the port that has to survive it.

func TestStaleReads(t *testing.T) {
	for _, operation := range []string{"ssm:GetParameter", "ssm:GetParameterHistory"} {
		t.Run(operation, func(t *testing.T) {
			e := start(t)
			name, tag := parse(t, tasuki.ParseParameterName, "/tasuki/orders/image-tag"), parse(t, tasuki.ParseTag, "v1")
			for _, description := range []string{"first", "second"} {
				if _, err := e.backend.Tags.WriteTag(t.Context(), name, tag, description); err != nil {
					t.Fatal(err)
				}
			}
			e.server.Faults().Add(fault.Rule{Operation: operation, Kind: fault.Stale, Times: 1})
			got, err := e.backend.Tags.ReadTag(t.Context(), name)
			if err != nil || got.Version != 2 || got.Description != "second" {
				t.Errorf("read %+v, %v; want version 2", got, err)
			}
		})
	}
}

func TestFaultsAreNeverMissing(t *testing.T) {
	name := parse(t, tasuki.ParseParameterName, "/tasuki/orders/image-tag")
	for kind, want := range map[fault.Kind]error{
		fault.Error: tasuki.ErrUnavailable, fault.Throttle: tasuki.ErrThrottled, fault.Denied: tasuki.ErrDenied, fault.LostAnswer: tasuki.ErrUnavailable,
	} {
		for _, operation := range []string{"ssm:GetParameter", "ssm:GetParameterHistory"} {
			t.Run(string(kind)+" "+operation, func(t *testing.T) {
				e := start(t)
				e.attempts(t, 1)
				e.server.Faults().Add(fault.Rule{Operation: operation, Kind: kind})
				_, err := e.backend.Tags.ReadTag(t.Context(), name)
				if !errors.Is(err, want) || errors.Is(err, tasuki.ErrMissing) {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		}
	}
}

// The answer of an update is lost, and the SDK asks again: what it did must be
// found by reading, and the failure must say that reading is the thing to do.
func TestLostAnswerOfAnUpdate(t *testing.T) {
	e := start(t)
	store := e.functions(t)
	store.Create(t, "orders", store.Image(t, tasuki.ARM64), tasuki.ARM64)
	before := e.settled(t, "orders")
	image := store.Image(t, tasuki.ARM64)
	e.server.Faults().Add(fault.Rule{Operation: "lambda:UpdateFunctionCode", Kind: fault.LostAnswer, Times: 1})
	_, err := e.backend.Functions.UpdateCode(t.Context(), tasuki.CodeUpdate{Function: "orders", Image: image, Architecture: tasuki.ARM64, RevisionID: before.RevisionID})
	if !errors.Is(err, tasuki.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if after := e.settled(t, "orders"); after.Digest != image.Ref.Digest() {
		t.Errorf("the function runs %s, want %s", after.Digest, image.Ref.Digest())
	}
}
