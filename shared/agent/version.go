package agent

import (
	"context"
	"errors"
	"slices"
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

// numbered returns an edition of a system agent, or ErrVersion. A run that a newer
// release began may have an edition that this program does not know; it goes on when the
// newer release is back.
func (a Agent) numbered(number int) (Edition, error) {
	e, ok := a.edition(number)
	if !ok {
		return Edition{}, ErrVersion.Sayf("Agent %s has no version %d.", a.ID, number)
	}
	return e, nil
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
// even of a deleted agent, or ErrNotFound for an agent that never existed.
func (s *Service) Versions(ctx context.Context, who caller.Caller, agent id.Agent, q VersionQuery) (VersionPage, error) {
	if a, ok := find(s.System, agent); ok {
		return a.page(q), nil
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

// page returns a page of the versions of a system agent.
func (a Agent) page(q VersionQuery) VersionPage {
	var p VersionPage
	for _, e := range slices.Backward(a.Editions) {
		switch {
		case q.Before > 0 && e.Number >= q.Before:
		case len(p.Versions) == q.Limit:
			p.Next = p.Versions[len(p.Versions)-1].Number
			return p
		default:
			p.Versions = append(p.Versions, e.Version)
		}
	}
	return p
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
