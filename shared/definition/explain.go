package definition

import (
	"strconv"

	"theoneagents.app/agents/shared/condition"
)

// A Part is a part of a definition that decides whether an event starts the agent.
type Part string

// The parts, in the order in which they decide.
const (
	TriggerPart   Part = "trigger"
	FilterPart    Part = "filter"
	ScopePart     Part = "client_scope"
	ConditionPart Part = "condition"
	CausePart     Part = "agent_triggered" // only for an event that an agent caused
)

// Parts returns all parts.
func Parts() []Part { return []Part{TriggerPart, FilterPart, ScopePart, ConditionPart, CausePart} }

// A Check is what one part of a definition says about facts.
type Check struct {
	Part    Part
	Path    string  // in the definition, such as trigger.filters[0]
	Outcome Outcome // Started when the part holds
	Why     string  // it does not hold; empty when it does

	// Comparisons are what the part compares, with the values that it found: one, or in
	// a condition as many as it has inside. Of those below any, one has to hold.
	Comparisons []condition.Comparison
}

// Holds reports whether the part does not refuse the event.
func (c Check) Holds() bool { return c.Outcome == Started }

// Explain returns what every part of the definition says about the facts, also those
// that Judge does not reach. Found values are cut.
func (d Definition) Explain(f condition.Facts) []Check {
	var all []Check
	var said []verdict
	d.eachPart(f, func(v verdict) bool {
		said = append(said, v)
		return true
	})
	for _, v := range said { // after all verdicts, so that the budget is spent on them first
		c := Check{Part: v.part, Outcome: v.outcome, Why: v.why}
		c.Path, c.Comparisons = d.compared(v, f)
		all = append(all, c)
	}
	return all
}

// compared returns the path of a part and its comparisons.
func (d Definition) compared(v verdict, f condition.Facts) (string, []condition.Comparison) {
	one := func(field string, o condition.Operator, want, found any) []condition.Comparison {
		return []condition.Comparison{{
			Condition: condition.Condition{Context: condition.InEvent, Field: field, Operator: o, Value: want},
			Wanted:    condition.Brief(want), Found: condition.Brief(found), Missing: found == nil, Holds: v.outcome == Started, Why: v.why,
		}}
	}
	switch v.part {
	case TriggerPart:
		return "trigger", one("event_type", condition.Eq, d.Trigger.Event(), f.Event.Name())
	case FilterPart:
		return at("trigger.filters", v.index), []condition.Comparison{d.Trigger.Filters[v.index].Comparison(f)}
	case ScopePart:
		var found any
		if c := f.Event.Client; c != "" {
			found = string(c)
		}
		if d.Scope.Include != nil {
			return "client_scope", one("client_id", condition.In, anyOf(d.Scope.Include), found)
		}
		return "client_scope", one("client_id", condition.NotIn, anyOf(d.Scope.Exclude), found)
	case ConditionPart:
		return at("conditions", v.index), d.Conditions[v.index].Comparisons(f)
	case CausePart:
		return "trigger.allow_agent_triggered", one("metadata.agent_triggered", condition.Eq, d.Trigger.AllowAgentTriggered, true)
	}
	return "", nil
}

func at(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }

// anyOf returns names as a list of a document.
func anyOf[T ~string](names []T) []any {
	all := make([]any, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	return all
}
