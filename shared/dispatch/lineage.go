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

// judgeAll judges an event for all listeners. Only when it would start an agent,
// the dispatcher looks for the event's cause, and judges again with a found one.
func (s *Service) judgeAll(
	ctx context.Context, listeners []agent.Listener, f condition.Facts, t tenant.Tenant,
) (event.Event, []verdict, error) {
	first := s.verdicts(listeners, f, t)
	if !slices.ContainsFunc(first, verdict.starts) {
		return f.Event, first, nil
	}
	e, err := s.traced(ctx, f.Event)
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
func (s *Service) traced(ctx context.Context, e event.Event) (event.Event, error) {
	by := e.Cause()
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
