package definition

import (
	"encoding/json"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/event"
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

// limited reports whether the scope is not that of all clients.
func (s Scope) limited() bool { return s.Include != nil || s.Exclude != nil }

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
	NotListening    Outcome = "not_listening" // only in explanations: such an event leaves no entry
	Broken          Outcome = "agent_error"   // the catalogue lost an event type or action that the agent needs
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

// Judge decides whether the facts start the agent. For a refusal it also returns a
// sentence with the reason. The answer is that of the first check of Explain that does
// not hold; Judge looks no further.
func (d Definition) Judge(f condition.Facts) (outcome Outcome, why string) {
	outcome = Started
	d.eachPart(f, func(p verdict) bool {
		outcome, why = p.outcome, p.why
		return p.outcome == Started
	})
	return outcome, why
}

// A verdict is what one part of a definition says about facts: Started, or the outcome
// and the reason of a refusal.
type verdict struct {
	part    Part
	index   int // of the filter or the condition
	outcome Outcome
	why     string
}

// eachPart calls yield with the verdict of each part, in the order in which they decide,
// until it returns false. It is the only place that knows the parts.
func (d Definition) eachPart(f condition.Facts, yield func(verdict) bool) {
	say := func(p Part, i int, no Outcome, why string) bool {
		if why == "" {
			no = Started
		}
		return yield(verdict{p, i, no, why})
	}
	if !say(TriggerPart, 0, NotListening, d.Trigger.ignores(f.Event)) {
		return
	}
	for i, filter := range d.Trigger.Filters { // a filter that does not hold says why
		if _, why := filter.Holds(f); !say(FilterPart, i, Filtered, why) {
			return
		}
	}
	if d.Scope.limited() && !say(ScopePart, 0, OutOfScope, d.Scope.refuses(f.Event.Client)) {
		return
	}
	for i, c := range d.Conditions {
		no := ConditionNotMet
		ok, why := c.Holds(f)
		if !ok && c.LacksProfile(f) {
			no = NoProfile
		}
		if !say(ConditionPart, i, no, why) {
			return
		}
	}
	if depth := f.Event.Depth(); depth > 0 {
		say(CausePart, 0, LoopGuard, d.Trigger.guards(depth))
	}
}

// ignores returns why the trigger does not listen for an event, or "".
func (t Trigger) ignores(e event.Event) string {
	if t.Event() == e.Name() {
		return ""
	}
	return "it listens for " + t.Event()
}

// guards returns why an event at the end of a chain of runs does not start the agent, or
// "".
func (t Trigger) guards(depth int) string {
	switch {
	case !t.AllowAgentTriggered:
		return "an agent caused the event, and the trigger does not allow that"
	case depth > maxCausalDepth:
		return fmt.Sprintf("the event was caused by a chain of %d runs; %d are allowed", depth, maxCausalDepth)
	}
	return ""
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
