package definition

import (
	"slices"
	"strings"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A past is what a step can look back at, whichever way a run has come to it.
type past struct {
	names []string // what templates call the outputs there may be: "steps.triage", "verdict"
	asked bool     // a person has said yes, on every way
	// afterGate are those of the names that were not known on some way when the last
	// gate asked that a run passes only with a person's yes.
	afterGate []string
}

// Names returns what templates call the output of a step: "steps.triage",
// "verdict".
func (s Step) Names() []string {
	var names []string
	if s.ID != "" {
		names = append(names, "steps."+string(s.ID))
	}
	if s.Var() != "" {
		names = append(names, s.Var())
	}
	return names
}

// after returns the past of what follows the step.
func (p past) after(s Step) past {
	switch {
	case s.RequiresApproval():
		p.asked, p.afterGate = true, s.Names()
	case s.BranchStep == nil: // a branch is done before the gates in it ask
		p = p.awaiting(s)
	}
	p.names = slices.Concat(p.names, s.Names())
	return p
}

// awaiting returns the past in which the step is done, without its names: a
// branch's for the steps in it.
func (p past) awaiting(s Step) past {
	if p.asked {
		p.afterGate = slices.Concat(p.afterGate, s.Names())
	}
	return p
}

// joined returns the past of what follows several ways, of which a run has come
// one.
func joined(ways []past) past {
	all := past{asked: true}
	for _, w := range ways {
		all.names = each(slices.Concat(all.names, w.names))
		all.afterGate = each(slices.Concat(all.afterGate, w.afterGate))
		all.asked = all.asked && w.asked
	}
	return all
}

// Begins reports whether a path begins at one of the names.
func Begins(path jsonvalue.Path, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return path.Begins(strings.Split(name, ".")) })
}
