package agent

import (
	"context"
	"errors"
	"slices"

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

// CheckUpdate returns the agent as it is and as Update would store it, or the error with
// which Update would refuse the change. It writes nothing: the plan's limit of active
// agents is not checked, and an agent that the catalogue made invalid keeps its status.
func (s *Service) CheckUpdate(ctx context.Context, who caller.Caller, agent id.Agent, p Patch) (before, after Agent, err error) {
	if a, ok := find(s.System, agent); ok {
		ours, err := s.ours(ctx, who.Org)
		if err != nil {
			return Agent{}, Agent{}, err
		}
		_, after, err := ours.change(who, a, p)
		return ours.seen(a), after, err
	}
	before, err = s.Store.Agent(ctx, who.Org, agent)
	if err != nil {
		return Agent{}, Agent{}, err
	}
	after, err = s.patched(ctx, before, p, authorOf(who))
	if err == nil && !equal(before, after) && !onlyPaused(before, after) {
		err = s.mayOverride(who, before, after)
	}
	return before, after, err
}

// Faulty reports whether the definition is the reason of an error of Check or
// CheckUpdate.
func Faulty(err error) bool { return errors.Is(err, definition.ErrConfig) }

// Wakes returns the active agents of the organization that these events start when a run
// of an agent caused them, system agents first.
func (s *Service) Wakes(ctx context.Context, org id.Org, events []string) ([]Head, error) {
	if len(events) == 0 {
		return nil, nil
	}
	var woken []Head
	ours, err := s.ours(ctx, org)
	if err != nil {
		return nil, err
	}
	for _, a := range s.System {
		if a = ours.seen(a); a.Status == Active && woke(a, events) {
			woken = append(woken, a.Head)
		}
	}
	heads, _, err := s.heads(ctx, org)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		if h.Status != Active || !slices.Contains(events, h.Event()) {
			continue
		}
		a, err := s.Store.Agent(ctx, org, h.ID)
		switch {
		case errors.Is(err, ErrNotFound): // deleted in the meantime
		case err != nil:
			return nil, err
		case woke(a, events):
			woken = append(woken, a.Head)
		}
	}
	return woken, nil
}

func woke(a Agent, events []string) bool {
	trigger := a.Definition.Trigger
	return trigger.AllowAgentTriggered && slices.Contains(events, trigger.Event())
}
