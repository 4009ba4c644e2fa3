package definition

import (
	"slices"
	"strings"
)

// A need is an event type or an action that a definition names.
type need struct {
	kind string // "event" or "action"
	name string // qualified, such as "psa:add_note"
}

func (n need) String() string { return n.kind + " " + n.name }

// Needs returns what the definition needs of the catalogue, each once and
// sorted: "action psa:add_note", "event psa:ticket.created".
func (d Definition) Needs() []string {
	var all []string
	d.eachNeed(func(n need) { all = append(all, n.String()) })
	return each(all)
}

// Missing returns what the definition needs and the catalogue no longer has, as
// Needs names it. It looks at names alone, so it is cheap; what it says of a
// definition that was valid once is why it no longer is.
func (r Rules) Missing(d Definition) []string {
	var gone []string
	d.eachNeed(func(n need) {
		if !r.has(n) {
			gone = append(gone, n.String())
		}
	})
	return each(gone)
}

// Lost reports whether the catalogue no longer has one of these needs.
func (r Rules) Lost(needs []string) bool {
	return slices.ContainsFunc(needs, func(text string) bool {
		kind, name, _ := strings.Cut(text, " ")
		return !r.has(need{kind, name})
	})
}

func (r Rules) has(n need) bool {
	if n.kind == "event" {
		_, ok := r.Catalog.Event(n.name)
		return ok
	}
	product, action, _ := strings.Cut(n.name, ":")
	_, ok := r.Catalog.Action(product, action)
	return ok
}

func (d Definition) eachNeed(f func(need)) {
	f(need{"event", d.Trigger.Event()})
	EachStep(d.Steps, func(s Step) {
		if s.ActionStep != nil {
			f(need{"action", s.Product + ":" + s.Action})
		}
	})
}

// EachStep calls f with the steps at all depths.
func EachStep(steps []Step, f func(Step)) {
	for _, s := range steps {
		f(s)
		if s.BranchStep == nil {
			continue
		}
		for _, c := range s.Cases {
			EachStep(c.Steps, f)
		}
		EachStep(s.Else, f)
	}
}

// each returns the names sorted, each once.
func each(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
