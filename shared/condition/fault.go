package condition

import (
	"unicode/utf8"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A Fault is the comparison that refused an event, with the wanted and the found value.
// A value of more than maxShort characters is a text that describes it.
type Fault struct {
	Path     string // of the field; that of a client's profile begins with client_context
	Operator Operator
	Wanted   any
	Found    any  // nil for null, and for a missing field
	Missing  bool // whether the field is missing
}

// Fault returns the comparison that fails when the filter does not hold for the facts,
// and nil when the filter holds.
func (f Filter) Fault(facts Facts) *Fault {
	found, there := facts.lookup(f.Field)
	if ok, err := facts.compare(f.Operator, found, there, f.Value); ok || err != nil {
		return nil
	}
	return faultOf(f.Field, f.Operator, f.Value, found, there)
}

// Fault returns the first comparison because of which the condition does not hold; nil
// for a condition that holds, for one on a client without a profile, and for a group
// of which any would do.
func (c Condition) Fault(f Facts) *Fault {
	switch {
	case c.All != nil:
		for i := range c.All {
			if ok, _ := c.All[i].judge(f); !ok {
				return c.All[i].Fault(f)
			}
		}
		return nil
	case len(c.Any) == 1:
		return c.Any[0].Fault(f)
	case c.Any != nil, c.Context == InClient && f.Client == nil:
		return nil
	}
	found, there := f.find(c.Context, c.Field)
	if ok, err := f.compare(c.Operator, found, there, c.Value); ok || err != nil {
		return nil
	}
	field := c.Field
	if c.Context == InClient {
		field = string(InClient) + "." + field
	}
	return faultOf(field, c.Operator, c.Value, found, there)
}

func faultOf(field string, o Operator, want, found any, there bool) *Fault {
	return &Fault{Path: field, Operator: o, Wanted: brief(want), Found: brief(found), Missing: !there}
}

// brief returns a value, or a text that describes a long one. Its work does not grow
// with the size of a list or an object.
func brief(v any) any {
	if left := maxInside; inside(v, &left) && utf8.RuneCountInString(jsonvalue.Canonical(v)) <= maxShort {
		return v
	}
	return short(v)
}
