package memory

import (
	"context"
	"errors"
	"strconv"

	"github.com/tasuki-dev/tasuki"
)

// PublishVersion implements [tasuki.VersionPublisher].
func (a *AWS) PublishVersion(ctx context.Context, name string, digest tasuki.Digest, revisionID string) (version string, err error) {
	err = a.do(ctx, "PublishVersion", name, func() error {
		f, there := a.functions[name]
		if !there {
			return missing(tasuki.SideFunction, name)
		}
		a.settle(f)
		if f.Updating() || f.RevisionID != revisionID || f.Digest != digest {
			return &tasuki.Error{Op: "publish", Side: tasuki.SideFunction, Subject: name, Kind: tasuki.ErrConflict, Err: errors.New("the function has changed")}
		}
		if n := len(f.versions); n == 0 || f.configured || f.versions[n-1].Digest != digest {
			f.versions, f.configured = append(f.versions, f.Function), false
			a.revise(&f.Function) // as Lambda does, though nothing of the function changes
		}
		version = strconv.Itoa(len(f.versions))
		return nil
	})
	return version, err
}

// Alias implements [tasuki.VersionPublisher].
func (a *AWS) Alias(ctx context.Context, name, alias string) (found tasuki.Alias, err error) {
	err = a.do(ctx, "Alias", name+":"+alias, func() error {
		f, there := a.functions[name]
		if there {
			found, there = f.aliases[alias]
		}
		if !there {
			return missing(tasuki.SideFunction, name+":"+alias)
		}
		return nil
	})
	return found, err
}

// MoveAlias implements [tasuki.VersionPublisher].
func (a *AWS) MoveAlias(ctx context.Context, move tasuki.AliasMove) error {
	return a.do(ctx, "MoveAlias", move.Function+":"+move.Alias, func() error {
		f, there := a.functions[move.Function]
		if !there {
			return missing(tasuki.SideFunction, move.Function)
		}
		if _, there := f.version(move.Version); !there {
			return missing(tasuki.SideFunction, move.Function+":"+move.Version)
		}
		if f.aliases[move.Alias].RevisionID != move.RevisionID {
			return &tasuki.Error{Op: "move", Side: tasuki.SideFunction, Subject: move.Function + ":" + move.Alias, Kind: tasuki.ErrConflict, Err: errors.New("the alias has changed")}
		}
		if f.aliases == nil {
			f.aliases = map[string]tasuki.Alias{}
		}
		a.revision++
		description := move.Description
		if before, there := f.aliases[move.Alias]; there {
			description = before.Description
		}
		f.aliases[move.Alias] = tasuki.Alias{Version: move.Version, RevisionID: strconv.Itoa(a.revision), Description: description}
		return nil
	})
}

// DeleteAlias implements [tasuki.AliasDeleter].
func (a *AWS) DeleteAlias(ctx context.Context, name, alias string) error {
	return a.do(ctx, "DeleteAlias", name+":"+alias, func() error {
		if f, there := a.functions[name]; there {
			delete(f.aliases, alias)
		}
		return nil
	})
}
