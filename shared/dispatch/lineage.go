package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// Runs cause events, and events start runs: all runs below one event without a
// cause, the root, form a tree. The platform keeps the place of each run in it: the
// record of a run has the root and the depth of its event. A product may pass on the
// run that caused an event. It decides neither the root nor the depth: both come
// from the record of that run, and a greater depth that the product says counts. A
// run that is unknown to the organization leaves the event a root, with a cause.
//
// A product may also pass on nothing. The runner therefore records which run made an
// object, and an event about this object counts as caused by that run, whatever run
// the product names. Organizations whose agents make no objects of the event's kind
// pay no read for this.

// judgeAll judges an event for all listeners. Only when it would start an agent,
// the dispatcher looks for the event's cause, and judges again with a found one.
func (s *Service) judgeAll(
	ctx context.Context, listeners []agent.Listener, f condition.Facts, t tenant.Tenant,
) (event.Event, []verdict, error) {
	first := s.verdicts(listeners, f, t)
	if !slices.ContainsFunc(first, verdict.starts) {
		return f.Event, first, nil
	}
	e, err := s.traced(ctx, f.Event, t)
	if err != nil {
		return e, nil, fmt.Errorf("find the cause of %s: %w", e.ID, err)
	}
	if e.Root() == f.Event.Root() && e.Depth() == f.Event.Depth() {
		return e, first, nil
	}
	f.Event = e
	again := s.verdicts(listeners, f, t)
	for i, v := range first {
		again[i].traced = v.starts() && !again[i].starts()
	}
	return e, again, nil
}

func (v verdict) starts() bool { return v.outcome == definition.Started }

// traced returns the event with its cause as the platform knows it.
func (s *Service) traced(ctx context.Context, e event.Event, t tenant.Tenant) (event.Event, error) {
	by, err := s.maker(ctx, e, t)
	if err != nil {
		return e, err
	}
	if by == "" {
		by = e.Cause()
	}
	if by == "" && !e.AgentTriggered() {
		return e, nil
	}
	if id.Valid("exec_", string(by)) {
		x, err := s.Runs.Header(ctx, e.Org, by)
		switch {
		case err == nil:
			return e.CausedBy(by, x.Trigger.Root(), x.Trigger.Depth()+1), nil
		case !errors.Is(err, execution.ErrNotFound):
			return e, err
		}
	}
	return e.CausedBy(by, e.ID, 1), nil
}

// maker returns the run that made the object that the event is about, or "".
func (s *Service) maker(ctx context.Context, e event.Event, t tenant.Tenant) (id.Execution, error) {
	about, _ := s.Rules.Catalog.Event(e.Name())
	for _, o := range about.ObjectsIn(e.Payload) {
		if !t.Has(tenant.Makes(o.Kind)) {
			continue
		}
		if by, err := s.Runs.Maker(ctx, e.Org, o, s.Now()); err != nil || by != "" {
			return by, err
		}
	}
	return "", nil
}

// declare adds to the uses of the organization what the definition, which is about
// to start, makes. A system agent is never activated, and other agents may have been
// active before uses were kept.
func (s *Service) declare(ctx context.Context, d definition.Definition, t tenant.Tenant) error {
	added := slices.DeleteFunc(s.makes(d), t.Has)
	if len(added) == 0 {
		return nil
	}
	if err := s.Runs.AddUses(ctx, t.Org, added); err != nil {
		return fmt.Errorf("add the uses of an agent: %w", err)
	}
	return nil
}

// makes returns the uses of the definition that make objects.
func (s *Service) makes(d definition.Definition) []tenant.Use {
	return slices.DeleteFunc(s.Rules.Uses(d), func(u tenant.Use) bool {
		_, makes := u.Made()
		return !makes
	})
}

// untracked reports whether the definition makes objects, and no agent listens for
// events about them.
func (s *Service) untracked(d definition.Definition, t tenant.Tenant) bool {
	made := s.makes(d)
	return len(made) > 0 && !slices.ContainsFunc(made, func(u tenant.Use) bool {
		kind, _ := u.Made()
		return s.hears(t, tenant.Hears(kind))
	})
}

// hears reports whether an agent of the organization or a system agent has a use.
func (s *Service) hears(t tenant.Tenant, u tenant.Use) bool {
	return t.Has(u) || slices.ContainsFunc(s.System, func(a agent.Agent) bool {
		return slices.Contains(s.Rules.Uses(a.Definition), u)
	})
}
