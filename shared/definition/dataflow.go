package definition

import (
	"slices"
	"strings"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A past summarises all paths on which a run can come to a step.
type past struct {
	names    []string // outputs that exist on at least one path, by name in templates: "steps.triage", "verdict"
	approved bool     // every path passes a gate that requires a person's approval
	// afterGate are the names whose values, on at least one path, were not known yet
	// at the last gate that requires approval.
	afterGate []string
	// waited is how long a run waits at least, on every path, since the last gate
	// that asks people, in seconds.
	waited int64
}

// Names returns the names of a step's output in templates: "steps.triage",
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

// after returns the past of the step that follows s.
func (p past) after(s Step) past {
	switch {
	case s.RequiresApproval():
		p.approved, p.afterGate, p.waited = true, s.Names(), 0
	case s.BranchStep == nil: // a branch has its output before the gates in it
		p = p.addAfterGate(s)
	}
	switch {
	case s.GateStep != nil: // it may ask anew
		p.waited = 0
	case s.WaitStep != nil && s.If == nil:
		p.waited += s.Duration
	}
	p.names = slices.Concat(p.names, s.Names())
	return p
}

// addAfterGate adds the names of s to afterGate, but not to names: the past of the
// steps inside a branch, which cannot read the branch's own output yet.
func (p past) addAfterGate(s Step) past {
	if p.approved {
		p.afterGate = slices.Concat(p.afterGate, s.Names())
	}
	return p
}

// joined returns the past of a step at which several paths meet.
func joined(ways []past) past {
	all := past{approved: true}
	for i, w := range ways {
		if all.waited = min(all.waited, w.waited); i == 0 {
			all.waited = w.waited
		}
		all.names = distinct(slices.Concat(all.names, w.names))
		all.afterGate = distinct(slices.Concat(all.afterGate, w.afterGate))
		all.approved = all.approved && w.approved
	}
	return all
}

// Begins reports whether a path begins with one of the names.
func Begins(path jsonvalue.Path, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return path.Begins(strings.Split(name, ".")) })
}
