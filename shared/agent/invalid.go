package agent

import (
	"context"
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
)

// Invalidate moves an agent of the organization to Invalid if it is active and the
// catalogue no longer has one of its needs. It ignores every other agent, and an
// agent that does not exist.
func (s *Service) Invalidate(ctx context.Context, org id.Org, agent id.Agent) error {
	if _, err := s.current(ctx, org, agent); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// current returns an agent of the organization, or ErrNotFound. It first moves an
// active agent to Invalid if the catalogue no longer has one of its needs.
func (s *Service) current(ctx context.Context, org id.Org, agent id.Agent) (Agent, error) {
	var a Agent
	err := retry.Races(ErrStale, func() (err error) {
		a, err = s.Store.Agent(ctx, org, agent)
		if err != nil || a.Status != Active || len(s.Rules.Missing(a.Definition)) == 0 {
			return err
		}
		broken := a
		broken.Status = Invalid
		broken = broken.changed(author{actor: id.Platform}, s.Now())
		if a, err = s.save(ctx, a, broken, Cap{}); err != nil {
			return fmt.Errorf("move %s to %s: %w", agent, Invalid, err)
		}
		return nil
	})
	return a, busy(err, "move %s to %s", agent, Invalid)
}

// heads returns the heads of the organization's own agents. Like current, it first
// moves active agents to Invalid if the catalogue no longer has one of their needs,
// and reports whether any agent moved. It reads only these agents in full.
func (s *Service) heads(ctx context.Context, org id.Org) (heads []Head, moved bool, err error) {
	stored, err := s.Store.Agents(ctx, org)
	if err != nil {
		return nil, false, err
	}
	heads = make([]Head, 0, len(stored))
	for _, h := range stored {
		if h.Status == Active && s.Rules.Lost(h.Needs) {
			a, err := s.current(ctx, org, h.ID)
			switch {
			case errors.Is(err, ErrNotFound): // deleted in the meantime
				continue
			case err != nil:
				return nil, false, err
			}
			h, moved = a.Head, moved || a.Status != Active
		}
		heads = append(heads, h)
	}
	return heads, moved, nil
}

// recheckLimit checks all active agents after an ErrLimit. It returns ErrStale, so
// that the caller retries, if it moved a broken agent to Invalid; otherwise it
// returns the limit error.
func (s *Service) recheckLimit(ctx context.Context, org id.Org, limit error) error {
	_, moved, err := s.heads(ctx, org)
	switch {
	case err != nil:
		return err
	case moved:
		return ErrStale
	}
	return limit
}
