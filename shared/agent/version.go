package agent

import (
	"context"
	"errors"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// A Version is one immutable version of a definition. Its name and description are
// those of the version's creation; later changes of them create no version.
type Version struct {
	Number     int
	Created    time.Time
	CreatedBy  id.Actor // empty in versions from before it was kept
	KeyMaker   id.Actor // the person who made the key that CreatedBy names
	Definition definition.Definition

	// ActivatedBy names, in order, everyone who ever made the version active, and
	// the makers of their keys. It only grows.
	ActivatedBy []id.Actor
}

// WrittenBy returns the author of the version, followed by the person who made the
// author's key.
func (v Version) WrittenBy() []id.Actor { return actors(v.CreatedBy, v.KeyMaker) }

// version returns the version of a system agent, which the platform wrote and
// activated.
func (a Agent) version() Version {
	return Version{
		Number: a.Version, Created: a.Created, CreatedBy: a.CreatedBy, Definition: a.Definition, ActivatedBy: []id.Actor{a.CreatedBy},
	}
}

// A VersionQuery selects the versions to list.
type VersionQuery struct {
	Before int // only versions before this one; 0: all
	Limit  int // at least 1
}

// A VersionPage is a page of a list of versions. It may be shorter than the limit,
// because definitions can be large.
type VersionPage struct {
	Versions []Version
	Next     int // the Before of the next page; 0 at the end
}

// Versions returns versions of an agent of the caller's organization, newest first,
// even of a deleted agent, or ErrNotFound for an agent that never existed. A system
// agent has one version.
func (s *Service) Versions(ctx context.Context, who caller.Caller, agent id.Agent, q VersionQuery) (VersionPage, error) {
	if a, ok := find(s.System, agent); ok {
		if q.Before > 0 && q.Before <= a.Version {
			return VersionPage{}, nil
		}
		return VersionPage{Versions: []Version{a.version()}}, nil
	}
	_, missing := s.current(ctx, who.Org, agent)
	if missing != nil && !errors.Is(missing, ErrNotFound) {
		return VersionPage{}, missing
	}
	p, err := s.Store.Versions(ctx, who.Org, agent, q)
	if err == nil && len(p.Versions) == 0 && missing != nil { // an agent without versions never existed
		return VersionPage{}, missing
	}
	return p, err
}

// Version returns one version of an agent of the caller's organization, even of a
// deleted agent, or ErrNotFound or ErrVersion.
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
