package condition

import (
	"fmt"
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
	return &Fault{Path: field, Operator: o, Wanted: Brief(want), Found: Brief(found), Missing: !there}
}

// Brief returns a value, or a text that describes a long one. Its work does not grow
// with the size of a list or an object.
func Brief(v any) any {
	if left := maxInside; inside(v, &left) && utf8.RuneCountInString(jsonvalue.Canonical(v)) <= maxShort {
		return v
	}
	return short(v)
}

// A Comparison is what a filter, or a condition without others inside, wants and found.
// Long values are cut as in a Fault.
type Comparison struct {
	Path      string // within the outermost condition, such as .any[1]; empty for that itself
	Condition Condition
	Wanted    any
	Found     any  // nil for null, and for a missing field
	Missing   bool // whether the field is missing
	Holds     bool
	Why       string // it does not hold; empty when it does
}

// Comparison returns what the filter compares.
func (f Filter) Comparison(facts Facts) Comparison {
	return Condition{Context: InEvent, Field: f.Field, Operator: f.Operator, Value: f.Value}.comparison("", facts)
}

// Comparisons returns every comparison within the condition, in their order, also those
// that Holds does not need.
func (c Condition) Comparisons(f Facts) []Comparison { return c.comparisons(nil, "", f) }

func (c Condition) comparisons(all []Comparison, path string, f Facts) []Comparison {
	for i := range c.All {
		all = c.All[i].comparisons(all, fmt.Sprintf("%s.all[%d]", path, i), f)
	}
	for i := range c.Any {
		all = c.Any[i].comparisons(all, fmt.Sprintf("%s.any[%d]", path, i), f)
	}
	if c.All != nil || c.Any != nil {
		return all
	}
	return append(all, c.comparison(path, f))
}

func (c Condition) comparison(path string, f Facts) Comparison {
	found, there := f.find(c.Context, c.Field)
	out := Comparison{Path: path, Condition: c, Wanted: Brief(c.Value), Found: Brief(found), Missing: !there}
	out.Holds, out.Why = c.Holds(f)
	return out
}
