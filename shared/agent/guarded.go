package agent

import (
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
)

// Only owners and admins decide whether a guarded system agent runs. A member or a
// key can neither pause it nor store an agent that overrides it: the check stands
// where agents are saved, so it holds for every way to make or change one. Pausing
// an agent that overrides is free, because the system agent then runs again.

// administers reports whether the caller is an owner or an admin.
func administers(who caller.Caller) bool { return who.Human() && who.Has(caller.Owner, caller.Admin) }

// overridden returns the guarded system agent that a would keep from running.
func (s *Service) overridden(a Agent) (guarded Agent, ok bool) {
	if a.Definition.Conflict != definition.Override {
		return Agent{}, false
	}
	for _, g := range s.System {
		if g.Guarded && g.Definition.Trigger.Event() == a.Definition.Trigger.Event() {
			return g, true
		}
	}
	return Agent{}, false
}

// mayOverride returns ErrGuarded if one of the states of an agent overrides a
// guarded system agent and the caller is no owner or admin.
func (s *Service) mayOverride(who caller.Caller, states ...Agent) error {
	if administers(who) {
		return nil
	}
	for _, a := range states {
		if g, ok := s.overridden(a); ok {
			return ErrGuarded.Sayf("An agent with conflict_behavior override on %s keeps the %s from running; "+
				"only an owner or an admin may create, activate or change it.", a.Definition.Trigger.Event(), g.Name)
		}
	}
	return nil
}

// onlyPaused reports whether an update did nothing but pause an active agent.
func onlyPaused(before, after Agent) bool {
	if before.Status != Active || after.Status != Paused {
		return false
	}
	return after.Version == before.Version && equal(after.Definition, before.Definition)
}
