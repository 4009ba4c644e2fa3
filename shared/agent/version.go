package agent

import (
	"context"
	"errors"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// A Version is a definition as it was at some time; it never changes. Name and
// description are those that it began with.
type Version struct {
	Number     int
	Created    time.Time
	Definition definition.Definition
}

// A VersionQuery says which versions to list.
type VersionQuery struct {
	Before int // only versions before this one; 0: all
	Limit  int // at least 1
}

// A VersionPage is a part of a list of versions. It may be shorter than was
// asked for, because definitions can be large.
type VersionPage struct {
	Versions []Version
	Next     int // the Before of the next page; 0 at the end
}

// Versions returns versions of an agent of the caller's organization, of a
// deleted one too, the newest first, or ErrNotFound when there never was one. A
// system agent has one.
func (s *Service) Versions(ctx context.Context, who caller.Caller, agent id.Agent, q VersionQuery) (VersionPage, error) {
	if a, ok := find(s.System, agent); ok {
		if q.Before > 0 && q.Before <= a.Version {
			return VersionPage{}, nil
		}
		return VersionPage{Versions: []Version{{a.Version, a.Created, a.Definition}}}, nil
	}
	_, missing := s.current(ctx, who.Org, agent)
	if missing != nil && !errors.Is(missing, ErrNotFound) {
		return VersionPage{}, missing
	}
	p, err := s.Store.Versions(ctx, who.Org, agent, q)
	if err == nil && len(p.Versions) == 0 && missing != nil { // a deleted agent has its versions for ever
		return VersionPage{}, missing
	}
	return p, err
}

// Version returns one version of an agent of the caller's organization, of a
// deleted one too, ErrNotFound, or ErrVersion.
func (s *Service) Version(ctx context.Context, who caller.Caller, agent id.Agent, number int) (Version, error) {
	p, err := s.Versions(ctx, who, agent, VersionQuery{Before: number + 1, Limit: 1})
	switch {
	case err != nil:
		return Version{}, err
	case len(p.Versions) == 0 || p.Versions[0].Number != number:
		return Version{}, ErrVersion.Sayf("Agent %s has no version %d.", agent, number)
	}
	return p.Versions[0], nil
}
