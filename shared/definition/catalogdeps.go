package definition

import (
	"cmp"
	"slices"
	"strings"
)

// A need is an event type or an action that a definition names.
type need struct {
	kind string // "event" or "action"
	name string // qualified, such as "psa:add_note"
}

func (n need) String() string { return n.kind + " " + n.name }

// Needs returns the event types and actions that the definition needs, sorted and
// without duplicates: "action psa:add_note", "event psa:ticket.created".
func (d Definition) Needs() []string {
	var all []string
	d.eachNeed(func(n need) { all = append(all, n.String()) })
	return distinct(all)
}

// Missing returns the needs that the catalogue no longer has, in the form of Needs.
// It compares only names, so it is cheap. A missing need is the reason why a
// definition that was once valid no longer is.
func (r Rules) Missing(d Definition) []string {
	var gone []string
	d.eachNeed(func(n need) {
		if !r.has(n) {
			gone = append(gone, n.String())
		}
	})
	return distinct(gone)
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

// EachStep calls f with every step, nested steps included.
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

// distinct sorts the names and removes duplicates.
func distinct[T cmp.Ordered](names []T) []T {
	slices.Sort(names)
	return slices.Compact(names)
}
