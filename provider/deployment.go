package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// Deployment is an image on its way into an ECR repository.
type Deployment struct {
	Source       string // reference
	SourceSecret string // ARN of the secret with the source's credentials; "" for none
	Destination  tasuki.Repository
	Tag          tasuki.Tag          // zero to leave the image untagged
	Architecture tasuki.Architecture // of the child to take of an index; "" takes the index as it is
	ForLambda    bool                // refuses what Lambda would
}

// putDeployment puts an image into an ECR repository.
func (h *Handler) putDeployment(ctx context.Context, r request) (result, error) {
	var p customresource.Deployment
	if err := r.properties(&p); err != nil {
		return result{}, err
	}
	d, err := deploymentOf(p)
	if err != nil {
		return result{}, err
	}
	return h.orWhatThereIs(ctx, r, func(ctx context.Context) (result, error) {
		digest, warnings, err := h.Images.Deploy(ctx, d)
		return deployed(d, digest, warnings...), err
	}, func(ctx context.Context, certain bool) (result, error) {
		if !certain {
			return result{}, errNotCertain
		}
		return h.deployedBefore(ctx, d)
	})
}

func deployed(d Deployment, digest tasuki.Digest, warnings ...string) result {
	id := d.Destination.String()
	if !d.Tag.IsZero() {
		id = d.tagged().String()
	}
	return result{
		physicalID: "tasuki-image-deployment/" + id,
		attributes: map[string]string{
			customresource.AttributeDigest:    digest.String(),
			customresource.AttributeDigestHex: hexOf(digest),
			customresource.AttributeImageURI:  tasuki.ImageURI{Repository: d.Destination, Ref: tasuki.ByDigest(digest)}.String(),
		},
		warnings: warnings,
	}
}

func (d Deployment) tagged() tasuki.ImageURI {
	return tasuki.ImageURI{Repository: d.Destination, Ref: tasuki.ByTag(d.Tag)}
}

// deployedBefore returns what the destination has of a deployment that a rollback
// wants back: the image that its source names by digest, else the one that the tag
// names now.
func (h *Handler) deployedBefore(ctx context.Context, d Deployment) (result, error) {
	const stays = "during the rollback, the image stays as it is in ECR, because its source could not be copied"
	own, err := h.ownDigest(ctx, d)
	switch {
	case errors.Is(err, tasuki.ErrMissing) && !d.Tag.IsZero():
		tagged, err := h.manifest(ctx, d.tagged())
		return deployed(d, tagged.Digest, stays), err
	case err != nil:
		return result{}, err
	}
	res := deployed(d, own.Digest, stays)
	if d.Tag.IsZero() {
		return res, nil
	}
	// The update that is rolled back may have moved the tag.
	if err := h.Reconciler.Tagger.TagImage(ctx, d.Destination, own, d.Tag); err != nil {
		res.warnings = append(res.warnings, "the tag "+d.Tag.String()+" could not be put back: "+explain(err))
	}
	return res, nil
}

// ownDigest returns the image that the source names by its digest, as the destination
// holds it, or ErrMissing. Of an index only a part may have been deployed.
func (h *Handler) ownDigest(ctx context.Context, d Deployment) (tasuki.Manifest, error) {
	missing := &tasuki.Error{Op: "find the digest of", Side: tasuki.SideSource, Subject: d.Source, Kind: tasuki.ErrMissing}
	digest, err := tasuki.ParseDigest(d.Source[strings.LastIndex(d.Source, "@")+1:])
	if err != nil {
		return tasuki.Manifest{}, missing
	}
	there, err := h.manifest(ctx, tasuki.ImageURI{Repository: d.Destination, Ref: tasuki.ByDigest(digest)})
	if err == nil && there.IsIndex() && (d.Architecture != "" || d.ForLambda) {
		return tasuki.Manifest{}, missing
	}
	return there, err
}

func deploymentOf(p customresource.Deployment) (d Deployment, err error) {
	d = Deployment{Source: p.Source, SourceSecret: p.SourceSecret, ForLambda: p.ForLambda == customresource.True}
	if p.Source == "" {
		return d, fmt.Errorf("property Source: it names no image")
	}
	if d.Destination, err = tasuki.ParseRepository(p.Destination); err != nil {
		return d, fmt.Errorf("property Destination: %w", err)
	}
	if p.Tag != "" {
		if d.Tag, err = tasuki.ParseTag(p.Tag); err != nil {
			return d, fmt.Errorf("property Tag: %w", err)
		}
	}
	if p.Architecture != "" {
		if d.Architecture, err = tasuki.ParseArchitecture(p.Architecture); err != nil {
			return d, fmt.Errorf("property Architecture: %w", err)
		}
	}
	return d, nil
}
