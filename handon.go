package tasuki

import (
	"context"
	"fmt"
)

// handOn ends a release and a rollback: it registers a record, unless the parameter
// says the same already, and reconciles. It does both again where the parameter turns
// out not to have said so. With an error, registered is done where the record is known
// to be registered.
func (r Reconciler) handOn(ctx context.Context, h Handoff, writer TagWriter, record Record, before *Release) (registered Registered, end Reconciled, err error) {
	for {
		if registered, err = (Registrar{r.Resolver, writer}).ensure(ctx, h, record, before); err != nil {
			return Registered{}, Reconciled{}, err
		}
		if end, err = r.finish(ctx, h, registered); err != nil || !end.belies(registered) {
			return registered, end, err
		}
		before = end.Release
	}
}

// done reports whether the release is registered.
func (r Registered) done() bool { return !r.Release.Tag.IsZero() }

// finish reconciles after a registration. Whoever interrupts it interrupts nothing:
// the release is registered.
func (r Reconciler) finish(ctx context.Context, h Handoff, registered Registered) (Reconciled, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer cancel()
	r.Stack = "" // it does not wait: the release is registered
	end, err := r.reconcile(ctx, h, registered.Release.Version.Version)
	if err != nil {
		err = &UndoError{
			Err:  fmt.Errorf("%s is registered, but it could not be verified that the functions run it", registered.Release.Tag),
			Undo: err,
			Hint: mend(h),
		}
	}
	return end, err
}

// supersedes returns what is registered at the end when it is not what a verb
// registered; nil when it is.
func (r Reconciled) supersedes(tag Tag, digest Digest) *Release {
	if r.Release == nil || r.Release.Tag == tag && r.Digest == digest {
		return nil
	}
	return r.Release
}

// belies reports whether what was taken for registered already is not registered: it
// was read when SSM had not settled, or somebody else has registered since. It has not
// been written then, so nothing was superseded.
func (r Reconciled) belies(registered Registered) bool {
	return registered.Unchanged && r.supersedes(registered.Release.Tag, registered.Release.Digest()) != nil
}
