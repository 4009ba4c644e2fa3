package definition

import (
	"encoding/json"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/id"
)

// A Scope selects the clients whose events an agent sees: all, only the included,
// or all but the excluded.
type Scope struct {
	Include []id.Client
	Exclude []id.Client
}

// MarshalJSON writes "all", {"include": […]} or {"exclude": […]}.
func (s Scope) MarshalJSON() ([]byte, error) {
	switch {
	case s.Include != nil:
		return json.Marshal(map[string]any{"include": s.Include})
	case s.Exclude != nil:
		return json.Marshal(map[string]any{"exclude": s.Exclude})
	}
	return json.Marshal("all")
}

// Allows reports whether the agent sees events of c. An event without a client
// passes unless the scope has an include list.
func (s Scope) Allows(c id.Client) bool { return s.refuses(c) == "" }

// refuses returns the reason why the agent does not see events of c, or "".
func (s Scope) refuses(c id.Client) string {
	switch {
	case s.Include != nil && c == "":
		return "the event has no client, and client_scope includes only listed clients"
	case s.Include != nil && !slices.Contains(s.Include, c):
		return fmt.Sprintf("client_scope does not include client %q", c)
	case c != "" && slices.Contains(s.Exclude, c):
		return fmt.Sprintf("client_scope excludes client %q", c)
	}
	return ""
}

// An Outcome is the result of judging an event for an agent.
type Outcome string

// The outcomes.
const (
	Started         Outcome = "started"
	Filtered        Outcome = "filtered"
	OutOfScope      Outcome = "out_of_scope"
	ConditionNotMet Outcome = "condition_not_met"
	NoProfile       Outcome = "client_context_missing"
	LoopGuard       Outcome = "loop_guard"
	Overridden      Outcome = "overridden"
	Duplicate       Outcome = "duplicate"
	LimitReached    Outcome = "limit_reached"
	QuotaReached    Outcome = "quota_reached"
	Suspended       Outcome = "org_suspended"
	OrgPaused       Outcome = "org_paused"
	Broken          Outcome = "agent_error" // the catalogue lost an event type or action that the agent needs
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{
		Started, Filtered, OutOfScope, ConditionNotMet, NoProfile, LoopGuard, Overridden, Duplicate, LimitReached, QuotaReached, Suspended, OrgPaused, Broken,
	}
}

// maxCausalDepth is the maximum length of the chain of runs that caused an event
// for the event to start another run.
const maxCausalDepth = 5

// Judge decides whether the event starts an agent of this definition, and if not,
// returns the reason as a sentence. It checks only the definition, not limits or
// deduplication, and assumes that the trigger matches.
func (d Definition) Judge(f condition.Facts) (Outcome, string) {
	for _, filter := range d.Trigger.Filters {
		if ok, why := filter.Holds(f); !ok {
			return Filtered, why
		}
	}
	if why := d.Scope.refuses(f.Event.Client); why != "" {
		return OutOfScope, why
	}
	for _, c := range d.Conditions {
		if ok, why := c.Holds(f); !ok {
			if c.LacksProfile(f) {
				return NoProfile, why
			}
			return ConditionNotMet, why
		}
	}
	if depth := f.Event.Depth(); depth > 0 {
		switch {
		case !d.Trigger.AllowAgentTriggered:
			return LoopGuard, "an agent caused the event, and the trigger does not allow that"
		case depth > maxCausalDepth:
			return LoopGuard, fmt.Sprintf("the event was caused by a chain of %d runs; %d are allowed", depth, maxCausalDepth)
		}
	}
	return Started, ""
}

// Fault returns the comparison because of which Judge refuses the event, or nil when no
// single comparison does.
func (d Definition) Fault(f condition.Facts) *condition.Fault {
	for _, filter := range d.Trigger.Filters {
		if fault := filter.Fault(f); fault != nil {
			return fault
		}
	}
	for _, c := range d.Conditions {
		if ok, _ := c.Holds(f); !ok {
			return c.Fault(f)
		}
	}
	return nil
}

// UsesClient reports whether the agent's conditions read the client's profile.
func (d Definition) UsesClient() bool {
	return slices.ContainsFunc(d.Conditions, func(c condition.Condition) bool { return c.LooksAt(condition.InClient) })
}
