package agent

import (
	"context"
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
)

// Invalidate moves an agent of the organization to Invalid if it is active and
// needs what the catalogue no longer has. It does nothing to any other, and
// nothing to one that does not exist.
func (s *Service) Invalidate(ctx context.Context, org id.Org, agent id.Agent) error {
	if _, err := s.current(ctx, org, agent); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// current returns an agent of the organization itself as it is once the
// catalogue has been asked, or ErrNotFound.
func (s *Service) current(ctx context.Context, org id.Org, agent id.Agent) (Agent, error) {
	var a Agent
	err := retry.Races(ErrStale, func() (err error) {
		a, err = s.Store.Agent(ctx, org, agent)
		if err != nil || a.Status != Active || len(s.Rules.Missing(a.Definition)) == 0 {
			return err
		}
		broken := a
		broken.Status, broken.Updated = Invalid, s.Now()
		if a, err = s.save(ctx, a, broken, Cap{}); err != nil {
			return fmt.Errorf("move %s to %s: %w", agent, Invalid, err)
		}
		return nil
	})
	return a, busy(err, "move %s to %s", agent, Invalid)
}

// heads returns the heads of the organization's own agents as they are once the
// catalogue has been asked, and whether that moved any. Only those that it moves
// are read whole.
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
			case errors.Is(err, ErrNotFound): // deleted since
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

// relieved returns what full, an ErrLimit, is once no agent counts that is
// broken without anybody having looked at it: ErrStale if that makes room.
func (s *Service) relieved(ctx context.Context, org id.Org, full error) error {
	_, moved, err := s.heads(ctx, org)
	switch {
	case err != nil:
		return err
	case moved:
		return ErrStale
	}
	return full
}
