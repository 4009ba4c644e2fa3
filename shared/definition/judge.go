package definition

import (
	"encoding/json"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/id"
)

// A Scope says which clients' events an agent sees: all, or only some, or all
// but some.
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

// Allows reports whether events of c are seen. Only an exclusion lets an event
// without a client pass.
func (s Scope) Allows(c id.Client) bool { return s.refuses(c) == "" }

// refuses returns why events of c are not seen, or "".
func (s Scope) refuses(c id.Client) string {
	switch {
	case s.Include != nil && c == "":
		return "the event names no client, and client_scope includes only some"
	case s.Include != nil && !slices.Contains(s.Include, c):
		return fmt.Sprintf("client_scope does not include client %q", c)
	case c != "" && slices.Contains(s.Exclude, c):
		return fmt.Sprintf("client_scope excludes client %q", c)
	}
	return ""
}

// An Outcome is what became of an event at an agent.
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
	Suspended       Outcome = "org_suspended"
	Broken          Outcome = "agent_error" // it needs what the catalogue no longer has
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{
		Started, Filtered, OutOfScope, ConditionNotMet, NoProfile, LoopGuard, Overridden, Duplicate, LimitReached, Suspended, Broken,
	}
}

// maxCausalDepth is how many runs may stand behind an event that still starts
// one.
const maxCausalDepth = 5

// Judge says whether the event wakes an agent of this definition as far as the
// definition alone can tell, and if not, why in words. The trigger itself is
// taken to match.
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
			return LoopGuard, fmt.Sprintf("%d runs stand behind the event; %d are allowed", depth, maxCausalDepth)
		}
	}
	return Started, ""
}

// UsesClient reports whether the trigger's conditions look at the client's
// profile.
func (d Definition) UsesClient() bool {
	return slices.ContainsFunc(d.Conditions, func(c condition.Condition) bool { return c.LooksAt(condition.InClient) })
}
