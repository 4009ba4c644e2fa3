// Package condition compares values of an event, a client's profile or a run with
// the values that an agent demands. It explains each refusal in a sentence.
package condition

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// A Filter is one comparison with a field of an event.
type Filter struct {
	Field    string   `json:"field"`
	Operator Operator `json:"operator"`
	Value    any      `json:"value"`
}

// Holds reports whether the event satisfies the filter, and otherwise the reason as
// a sentence.
func (f Filter) Holds(facts Facts) (ok bool, why string) {
	found, there := facts.lookup(f.Field)
	switch ok, err := facts.compare(f.Operator, found, there, f.Value); {
	case err != nil:
		return false, tooMuch
	case ok:
		return true, ""
	}
	return false, sentence(facts.explain(f.Field, f.Operator, f.Value, found, there))
}

// A Context is the document in which a condition finds its field.
type Context string

// The contexts.
const (
	InEvent  Context = "event"
	InClient Context = "client_context"
	InRun    Context = "run" // in steps only
)

// Contexts returns all contexts.
func Contexts() []Context { return []Context{InEvent, InClient, InRun} }

// A Condition is one comparison with a field of an event, a client's profile or a
// run; or a group of conditions of which all or any must hold.
type Condition struct {
	Context  Context     `json:"context,omitempty"`
	Field    string      `json:"field,omitempty"`
	Operator Operator    `json:"operator,omitempty"`
	Value    any         `json:"value,omitempty"`
	All      []Condition `json:"all,omitempty"`
	Any      []Condition `json:"any,omitempty"`
}

// MarshalJSON keeps a value of null or false, which omitempty would drop, and the
// usual order of the fields: context, field, operator, value.
func (c Condition) MarshalJSON() ([]byte, error) {
	switch {
	case c.All != nil:
		return json.Marshal(map[string]any{"all": c.All})
	case c.Any != nil:
		return json.Marshal(map[string]any{"any": c.Any})
	}
	return json.Marshal(struct {
		Context  Context  `json:"context"`
		Field    string   `json:"field"`
		Operator Operator `json:"operator"`
		Value    any      `json:"value"`
	}{c.Context, c.Field, c.Operator, c.Value})
}

// Facts are the documents of the contexts.
type Facts struct {
	Event  event.Event
	Client map[string]any // the profile of the event's client; nil if it has none
	Run    map[string]any // the scope of the run's templates; nil before a run

	// Budget limits the work of all comparisons; nil is unlimited. A comparison
	// beyond it does not hold.
	Budget *render.Budget
}

// tooMuch is the reason of a comparison beyond the budget.
const tooMuch = "the values to compare are too large together"

// lookupCost is the cost of finding a field, in bytes.
const lookupCost = 256

// compare reports whether a value satisfies an operator, or returns an error when
// the budget is exceeded.
func (f Facts) compare(o Operator, found any, there bool, want any) (bool, error) {
	if f.Budget != nil {
		if err := f.Budget.Spend(lookupCost + size(found) + sizeWanted(want)); err != nil {
			return false, err
		}
	}
	return o.row().holds(found, there, want), nil
}

// size returns about how many bytes of the wanted or the found value a comparison
// reads.
func size(v any) int {
	const scalar = 16
	switch v := v.(type) {
	case string:
		return scalar + len(v)
	case jsonvalue.Number:
		return scalar + len(v)
	}
	return scalar // the operators read no object
}

// sizeWanted is size for a wanted value, which may be a list.
func sizeWanted(v any) int {
	sum := size(v)
	if list, ok := v.([]any); ok {
		for i := range list {
			sum += size(list[i])
		}
	}
	return sum
}

// lookup finds a field of an event: in the payload, then in the envelope. It also
// accepts paths with the roots that templates use, event_payload and event.
func (f Facts) lookup(field string) (any, bool) {
	if v, ok := jsonvalue.Lookup(f.Event.Payload, field); ok {
		return v, true
	}
	envelope := f.Event.Document()
	if v, ok := jsonvalue.Lookup(envelope, field); ok {
		return v, true
	}
	return jsonvalue.Lookup(map[string]any{"event_payload": f.Event.Payload, "event": envelope}, field)
}

// Find returns the value of a field as a condition with this context reads it, and
// whether there is one.
func (f Facts) Find(c Context, field string) (any, bool) { return f.find(c, field) }

func (f Facts) find(c Context, field string) (any, bool) {
	switch c {
	case InClient:
		if f.Client == nil {
			return nil, false
		}
		return jsonvalue.Lookup(f.Client, field)
	case InRun:
		return jsonvalue.Lookup(f.Run, field)
	case InEvent:
		return f.lookup(field)
	}
	return f.lookup(field)
}

// Holds reports whether the condition holds, and otherwise the reason as a
// sentence. No condition holds on a client without a profile, not even ne, not_in
// or exists false. The work grows in proportion to the size of the condition.
func (c Condition) Holds(f Facts) (ok bool, why string) {
	if ok, _ := c.judge(f); ok {
		return true, ""
	}
	if f.Budget.Err() != nil {
		return false, tooMuch
	}
	left := maxReasons
	return false, sentence(c.why(f, &left))
}

// LacksProfile reports whether a condition that does not hold fails for want of
// the client's profile: with one it might hold.
func (c Condition) LacksProfile(f Facts) bool {
	ok, lacks := c.judge(f)
	return !ok && lacks
}

// judge reports whether the condition holds, and if not, whether it might with a
// profile of the client. It looks at each part at most once.
func (c Condition) judge(f Facts) (ok, lacks bool) {
	switch {
	case c.All != nil:
		for i := range c.All {
			if ok, lacks := c.All[i].judge(f); !ok {
				return false, lacks
			}
		}
		return true, false
	case c.Any != nil:
		for i := range c.Any {
			holds, without := c.Any[i].judge(f)
			if holds {
				return true, false
			}
			lacks = lacks || without
		}
		return false, lacks
	case c.Context == InClient && f.Client == nil:
		return false, true
	}
	found, there := f.find(c.Context, c.Field)
	ok, err := f.compare(c.Operator, found, there, c.Value)
	return ok && err == nil, false
}

// why says why a condition does not hold, with at most left reasons.
func (c Condition) why(f Facts, left *int) string {
	switch {
	case c.All != nil:
		for i := range c.All {
			if ok, _ := c.All[i].judge(f); !ok {
				return c.All[i].why(f, left)
			}
		}
		return ""
	case c.Any != nil:
		var whys []string
		for i := range c.Any {
			if *left <= 0 {
				whys = append(whys, fmt.Sprintf("and %d more", len(c.Any)-i))
				break
			}
			whys = append(whys, c.Any[i].why(f, left))
		}
		return "none of: " + strings.Join(whys, "; ")
	}
	*left--
	if c.Context == InClient && f.Client == nil {
		return "the client has no profile"
	}
	found, there := f.find(c.Context, c.Field)
	return f.explain(string(c.Context)+" "+c.Field, c.Operator, c.Value, found, there)
}

// Paths returns the paths that the condition looks up in the run.
func (c Condition) Paths() []jsonvalue.Path {
	var paths []jsonvalue.Path
	if c.Context == InRun {
		paths = append(paths, c.Path())
	}
	for _, inner := range slices.Concat(c.All, c.Any) {
		paths = append(paths, inner.Paths()...)
	}
	return paths
}

// Path returns the path of the condition's field. A field outside the grammar of
// paths, in an old definition, is split at its dots, as in jsonvalue.Lookup.
func (c Condition) Path() jsonvalue.Path {
	path, err := jsonvalue.ParsePath(c.Field)
	if err != nil {
		return strings.Split(c.Field, ".")
	}
	return path
}

// LooksAt reports whether the condition reads a context.
func (c Condition) LooksAt(x Context) bool {
	return c.Context == x ||
		slices.ContainsFunc(c.All, func(s Condition) bool { return s.LooksAt(x) }) ||
		slices.ContainsFunc(c.Any, func(s Condition) bool { return s.LooksAt(x) })
}
