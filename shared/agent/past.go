package agent

import (
	"slices"
	"strings"
)

// A past is what a step can look back at, whichever way a run has come to it.
type past struct {
	names []string // what templates call the outputs there may be: "steps.triage", "verdict"
	asked bool     // a person has said yes, on every way
}

// names returns what templates call the output of a step.
func (s Step) names() []string {
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
	p.names = slices.Concat(p.names, s.names())
	p.asked = p.asked || s.Insists()
	return p
}

// joined returns the past of what follows several ways, of which a run has come
// one.
func joined(ways []past) past {
	all := past{asked: true}
	for _, w := range ways {
		all.names = each(slices.Concat(all.names, w.names))
		all.asked = all.asked && w.asked
	}
	return all
}

// begins reports whether a path begins at one of the names.
func begins(path string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(path+".", name+".") })
}
