// Package condition compares the values of an event, a client's profile or a run
// with the values that an agent demands, and explains each refusal in a sentence.
package condition

import (
	"encoding/json"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A Filter is one demand on an event.
type Filter struct {
	Field    string   `json:"field"`
	Operator Operator `json:"operator"`
	Value    any      `json:"value"`
}

// Holds reports whether the event satisfies the filter, and if not, why in words.
func (f Filter) Holds(facts Facts) (ok bool, why string) {
	found, there := facts.lookup(f.Field)
	if f.Operator.row().holds(found, there, f.Value) {
		return true, ""
	}
	return false, explain(f.Field, f.Operator, f.Value, found, there)
}

// A Context is where a condition looks.
type Context string

// The contexts.
const (
	InEvent  Context = "event"
	InClient Context = "client_context"
	InRun    Context = "run" // in steps only
)

// Contexts returns all contexts.
func Contexts() []Context { return []Context{InEvent, InClient, InRun} }

// A Condition is a demand on an event, a client's profile or a run; or a group
// of which all or any must hold.
type Condition struct {
	Context  Context     `json:"context,omitempty"`
	Field    string      `json:"field,omitempty"`
	Operator Operator    `json:"operator,omitempty"`
	Value    any         `json:"value,omitempty"`
	All      []Condition `json:"all,omitempty"`
	Any      []Condition `json:"any,omitempty"`
}

// MarshalJSON keeps a value of null or false, which omitempty would drop, and
// the order in which people write a comparison.
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

// Facts are what conditions look at.
type Facts struct {
	Event  event.Event
	Client map[string]any // the profile of the event's client; nil when there is none
	Run    map[string]any // what templates see; nil before a run
}

// lookup finds a field of an event: in the payload, then in the envelope. The
// names that templates use for the two, event_payload and event, are understood
// as well.
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

// Holds reports whether the condition does, and if not, why in words. A
// condition on a client without a profile does not hold, whatever it asks.
func (c Condition) Holds(f Facts) (ok bool, why string) {
	switch {
	case c.All != nil:
		for _, sub := range c.All {
			if ok, why := sub.Holds(f); !ok {
				return false, why
			}
		}
		return true, ""
	case c.Any != nil:
		var whys []string
		for _, sub := range c.Any {
			ok, why := sub.Holds(f)
			if ok {
				return true, ""
			}
			whys = append(whys, why)
		}
		return false, "none of: " + strings.Join(whys, "; ")
	}
	if c.Context == InClient && f.Client == nil {
		return false, "there is no profile of the client"
	}
	found, there := f.find(c.Context, c.Field)
	if c.Operator.row().holds(found, there, c.Value) {
		return true, ""
	}
	return false, explain(string(c.Context)+" "+c.Field, c.Operator, c.Value, found, there)
}

// Paths returns what the condition looks up of the run, as templates call it.
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

// Path returns the place that the condition looks at. A field outside the grammar
// of paths, in a definition of earlier times, is split at its dots, as
// jsonvalue.Lookup does.
func (c Condition) Path() jsonvalue.Path {
	path, err := jsonvalue.ParsePath(c.Field)
	if err != nil {
		return strings.Split(c.Field, ".")
	}
	return path
}

// LacksProfile reports whether a condition that does not hold fails for want of
// the client's profile: with one it might hold.
func (c Condition) LacksProfile(f Facts) bool {
	switch {
	case c.All != nil:
		i := slices.IndexFunc(c.All, func(s Condition) bool { ok, _ := s.Holds(f); return !ok })
		return i >= 0 && c.All[i].LacksProfile(f)
	case c.Any != nil:
		return slices.ContainsFunc(c.Any, func(s Condition) bool { return s.LacksProfile(f) })
	}
	return c.Context == InClient && f.Client == nil
}

// LooksAt reports whether the condition looks at a context.
func (c Condition) LooksAt(x Context) bool {
	return c.Context == x ||
		slices.ContainsFunc(c.All, func(s Condition) bool { return s.LooksAt(x) }) ||
		slices.ContainsFunc(c.Any, func(s Condition) bool { return s.LooksAt(x) })
}
