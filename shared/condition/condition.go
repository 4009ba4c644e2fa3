// Package condition compares values of an event, a client's profile or a run with
// the values that an agent demands. It explains each refusal in a sentence.
package condition

import (
	"encoding/json"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/jsonvalue"
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
	if f.Operator.row().holds(found, there, f.Value) {
		return true, ""
	}
	return false, explain(f.Field, f.Operator, f.Value, found, there)
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
// or exists false.
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
		return false, "the client has no profile"
	}
	found, there := f.find(c.Context, c.Field)
	if c.Operator.row().holds(found, there, c.Value) {
		return true, ""
	}
	return false, explain(string(c.Context)+" "+c.Field, c.Operator, c.Value, found, there)
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

// LacksProfile reports whether a condition fails because the client has no profile:
// with a profile it might hold.
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

// LooksAt reports whether the condition reads a context.
func (c Condition) LooksAt(x Context) bool {
	return c.Context == x ||
		slices.ContainsFunc(c.All, func(s Condition) bool { return s.LooksAt(x) }) ||
		slices.ContainsFunc(c.Any, func(s Condition) bool { return s.LooksAt(x) })
}
