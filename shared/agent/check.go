package agent

import (
	"context"
	"errors"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// Check returns the agent that Create would store, or the error with which Create
// would refuse the definition. It writes nothing. The bound on drafts is not checked,
// which only the write knows.
func (s *Service) Check(ctx context.Context, who caller.Caller, doc map[string]any) (Agent, error) {
	d, err := s.parse(ctx, who.Org, doc)
	if err != nil {
		return Agent{}, err
	}
	a := s.draft(who, d, Custom, nil)
	return a, s.mayOverride(who, a)
}

// CheckUpdate returns the agent as Update would store it, or the error with which
// Update would refuse the change. It writes nothing: the plan's limit of active agents
// is not checked, and an agent that the catalogue made invalid keeps its status.
func (s *Service) CheckUpdate(ctx context.Context, who caller.Caller, agent id.Agent, p Patch) (Agent, error) {
	if a, ok := find(s.System, agent); ok {
		status, err := statusOf(p.Fields, a.Status)
		switch {
		case len(p.Fields) != 1 || err != nil || status != Active && status != Paused:
			return Agent{}, ErrSystem
		case a.Guarded && !administers(who):
			return Agent{}, ErrGuarded.Sayf("Only an owner or an admin may pause or resume the %s.", a.Name)
		}
		return a, nil
	}
	before, err := s.Store.Agent(ctx, who.Org, agent)
	if err != nil {
		return Agent{}, err
	}
	after, err := s.patched(ctx, before, p, authorOf(who))
	if err == nil && !equal(before, after) && !onlyPaused(before, after) {
		err = s.mayOverride(who, before, after)
	}
	return after, err
}

// Faulty reports whether the definition is the reason of an error of Check or
// CheckUpdate.
func Faulty(err error) bool { return errors.Is(err, definition.ErrConfig) }
