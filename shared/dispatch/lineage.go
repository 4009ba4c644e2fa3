package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
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
// the product names. The plan limits the runs below one root event: those that the
// root starts itself by their number, which their records carry on, the others by a
// count of one write for each event. Organizations whose agents make no objects of the event's kind
// pay no read for this.

// judgeAll judges an event for all listeners. Only when it would start an agent,
// the dispatcher looks for the event's cause, and judges again with a found one. It
// also returns Execution.RootRuns of the runs.
func (s *Service) judgeAll(
	ctx context.Context, listeners []agent.Listener, f condition.Facts, t tenant.Tenant,
) (e event.Event, rootRuns int, all []verdict, err error) {
	first := s.verdicts(listeners, f, t)
	if !slices.ContainsFunc(first, verdict.starts) {
		return f.Event, 0, first, nil
	}
	e, rootRuns, err = s.traced(ctx, f.Event, t)
	if err != nil {
		return e, 0, nil, fmt.Errorf("find the cause of %s: %w", e.ID, err)
	}
	if !e.AgentTriggered() {
		return e, min(startsOf(first), s.Quotas.RunsPerRoot(t.Plan)), first, nil
	}
	if e.Root() == f.Event.Root() && e.Depth() == f.Event.Depth() {
		return e, rootRuns, first, nil
	}
	f.Event = e
	again := s.verdicts(listeners, f, t)
	for i, v := range first {
		again[i].traced = v.starts() && !again[i].starts()
	}
	return e, rootRuns, again, nil
}

// startsOf returns Execution.RootRuns for the runs of an event without a cause.
func startsOf(all []verdict) int {
	n := 0
	for _, v := range all {
		if v.starts() {
			n++
		}
	}
	if n == 1 {
		return 0
	}
	return n
}

// countBelow counts the admitted runs of an event that an agent caused below the root
// of the event.
func (s *Service) countBelow(ctx context.Context, o id.Org, verdicts []verdict, t tenant.Tenant, now time.Time) {
	var runs []id.Execution
	var root quota.Root
	for _, v := range verdicts {
		if v.err == nil && v.start.counted {
			runs, root = append(runs, v.start.run.ID), v.start.run.Root()
		}
	}
	if len(runs) == 0 {
		return
	}
	may, full, err := s.Quotas.AdmitBelow(ctx, o, t.Plan, root, runs, now)
	for i := range verdicts {
		v := &verdicts[i]
		switch {
		case v.err != nil || !v.start.counted:
		case err != nil:
			v.err = fmt.Errorf("count below the root event: %w", err)
		case !slices.Contains(may, v.start.run.ID):
			v.start.no = refusal{outcome: definition.QuotaReached, why: full.Sentence(), holds: v.start.holds}
		}
	}
}

func (v verdict) starts() bool { return v.outcome == definition.Started }

// traced returns the event with its cause as the platform knows it, and the number
// of runs that the root of a caused event started itself.
func (s *Service) traced(ctx context.Context, e event.Event, t tenant.Tenant) (event.Event, int, error) {
	by, err := s.maker(ctx, e, t)
	if err != nil {
		return e, 0, err
	}
	if by == "" {
		by = e.Cause()
	}
	if by == "" && !e.AgentTriggered() {
		return e, 0, nil
	}
	if id.Valid("exec_", string(by)) {
		x, err := s.Runs.Header(ctx, e.Org, by)
		switch {
		case err == nil:
			root := x.Root()
			return e.CausedBy(by, root.Event, x.Trigger.Depth()+1).InTraceOf(x.Trigger), root.Runs, nil
		case !errors.Is(err, execution.ErrNotFound):
			return e, 0, err
		}
	}
	return e.CausedBy(by, e.ID, 1), 0, nil
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
