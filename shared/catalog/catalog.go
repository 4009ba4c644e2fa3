// Package catalog has the event types for which agents may listen and the actions
// that they may call. Both are read from one file each.
package catalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A FieldType is the type of a field or a parameter.
type FieldType string

// The field types.
const (
	String  FieldType = "string"
	Number  FieldType = "number"
	Boolean FieldType = "boolean"
	Enum    FieldType = "enum"
	Object  FieldType = "object" // parameters only
	Array   FieldType = "array"  // parameters only
)

// Categories returns the categories of event types and of agents.
func Categories() []string {
	return []string{
		"service_desk", "security", "operations", "finance",
		"compliance", "communications", "onboarding", "client_success",
	}
}

// An EventType describes events that a product publishes.
type EventType struct {
	Product     string         `json:"source_product"`
	Type        string         `json:"event_type"`
	Category    string         `json:"category"`
	DisplayName string         `json:"display_name"`
	Description string         `json:"description"`
	Headline    string         `json:"headline"` // the path of the text of the payload that tells events apart
	Filterable  []Field        `json:"filterable_fields"`
	Objects     []ObjectField  `json:"objects,omitempty"` // which it is about and actions make; the most specific first
	Sample      map[string]any `json:"sample_payload"`
	Internal    bool           `json:"internal,omitempty"` // for an agent of the platform's own: no list shows it
}

// Name returns the qualified name, such as "psa:ticket.created".
func (t EventType) Name() string { return t.Product + ":" + t.Type }

// Field returns the filterable field at a path.
func (t EventType) Field(path string) (Field, bool) {
	i := slices.IndexFunc(t.Filterable, func(f Field) bool { return f.Path == path })
	if i < 0 {
		return Field{}, false
	}
	return t.Filterable[i], true
}

// FieldPaths returns the paths of the filterable fields, in the catalogue's order.
func (t EventType) FieldPaths() []string {
	paths := make([]string, len(t.Filterable))
	for i, f := range t.Filterable {
		paths[i] = f.Path
	}
	return paths
}

// A Field is a field of an event that filters may compare.
type Field struct {
	Path       string    `json:"path"`
	Label      string    `json:"label"`
	Type       FieldType `json:"type"`
	EnumValues []string  `json:"enum_values,omitempty"`
}

// An Action is an operation of a product that agents may call.
type Action struct {
	Product     string         `json:"product"`
	Action      string         `json:"action"`
	DisplayName string         `json:"display_name"`
	Description string         `json:"description"`
	Destructive bool           `json:"destructive"` // a person must approve it first
	Risk        RiskRule       `json:"risk"`
	Params      []Param        `json:"params"`
	Makes       *ObjectField   `json:"makes,omitempty"` // the object that it makes; nil for none
	Emits       []string       `json:"emits,omitempty"` // the qualified event types that it can cause, sorted
	Undo        *Undo          `json:"undo,omitempty"`  // the action that takes it back; nil for none
	Sample      map[string]any `json:"sample_params"`
	Reply       map[string]any `json:"sample_reply"` // of the product, to the sample parameters
}

// An Undo is an action of the same product that takes another one back.
type Undo struct {
	Action string            `json:"action"`
	Params map[string]string `json:"params"` // of that action, each filled by this parameter of the action taken back
}

// Name returns the qualified name, such as "psa:add_note".
func (a Action) Name() string { return a.Product + ":" + a.Action }

// Param returns the parameter of this name.
func (a Action) Param(name string) (Param, bool) {
	i := slices.IndexFunc(a.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return Param{}, false
	}
	return a.Params[i], true
}

// A Param is a parameter of an action.
type Param struct {
	Name        string    `json:"name"`
	Type        FieldType `json:"type"`
	Required    bool      `json:"required"`
	Role        Role      `json:"role"`
	Description string    `json:"description"`
	EnumValues  []string  `json:"enum_values,omitempty"`
	MaxLength   int       `json:"max_length,omitempty"` // of a string, in characters; 0: MaxText
}

// ParamNames returns the names of the parameters in the catalogue's order.
func (a Action) ParamNames() []string {
	names := make([]string, len(a.Params))
	for i, p := range a.Params {
		names[i] = p.Name
	}
	return names
}

// A Catalog holds all event types and actions. It is immutable.
type Catalog struct {
	events   map[string]EventType
	internal map[string]EventType
	actions  map[string]Action
}

// Event returns the event type of this qualified name, which may be internal.
func (c Catalog) Event(name string) (EventType, bool) {
	if t, ok := c.internal[name]; ok {
		return t, true
	}
	t, ok := c.events[name]
	return t, ok
}

// Action returns an action of a product.
func (c Catalog) Action(product, action string) (Action, bool) {
	a, ok := c.actions[product+":"+action]
	return a, ok
}

// Events returns all event types by name; it and the methods below leave out the
// internal ones.
func (c Catalog) Events() []EventType { return sorted(c.events, EventType.Name) }

// Actions returns all actions by name.
func (c Catalog) Actions() []Action { return sorted(c.actions, Action.Name) }

// EventNames returns the qualified names of all event types, sorted.
func (c Catalog) EventNames() []string { return slices.Sorted(maps.Keys(c.events)) }

// EventProducts returns the products that publish events, sorted.
func (c Catalog) EventProducts() []string {
	return products(c.events, func(t EventType) string { return t.Product })
}

// ActionProducts returns the products that have actions, sorted.
func (c Catalog) ActionProducts() []string {
	return products(c.actions, func(a Action) string { return a.Product })
}

// products returns the products of event types or actions, sorted and without
// duplicates.
func products[T any](all map[string]T, of func(T) string) []string {
	var names []string
	for _, v := range all {
		names = append(names, of(v))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ActionsOf returns the names of a product's actions, sorted.
func (c Catalog) ActionsOf(product string) []string {
	var names []string
	for _, a := range c.actions {
		if a.Product == product {
			names = append(names, a.Action)
		}
	}
	slices.Sort(names)
	return names
}

// EventTypesOf returns the event types of a product, unqualified and sorted.
func (c Catalog) EventTypesOf(product string) []string {
	var names []string
	for _, t := range c.events {
		if t.Product == product {
			names = append(names, t.Type)
		}
	}
	slices.Sort(names)
	return names
}

func sorted[T any](m map[string]T, name func(T) string) []T {
	all := make([]T, 0, len(m))
	for _, v := range m {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
	return all
}

// Load reads a catalogue: <product>/<event type>.json and
// <product>/actions/<action>.json. Its error names every invalid file.
func Load(files fs.FS) (Catalog, error) {
	c := Catalog{events: map[string]EventType{}, internal: map[string]EventType{}, actions: map[string]Action{}}
	err := errors.Join(
		each(files, "*/*.json", func(file string, t EventType) error {
			if t.Internal {
				c.internal[t.Name()] = t
			} else {
				c.events[t.Name()] = t
			}
			return expect(t.Product+"/"+t.Type+".json" == file, "the file defines %s, so its name is wrong", t.Name())
		}),
		each(files, "*/actions/*.json", func(file string, a Action) error {
			c.actions[a.Name()] = a
			return expect(a.Product+"/actions/"+a.Action+".json" == file, "the file defines %s, so its name is wrong", a.Name())
		}),
	)
	return c, err
}

func each[T any](files fs.FS, pattern string, f func(file string, v T) error) error {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		v, err := decode[T](files, name)
		if err == nil {
			err = f(strings.TrimPrefix(path.Clean(name), "/"), v)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func decode[T any](files fs.FS, name string) (T, error) {
	var v T
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return v, err
	}
	doc, err := jsonvalue.Object(data)
	if err != nil {
		return v, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, err
	}
	switch v := any(&v).(type) { // json.Decoder would round the numbers of a sample
	case *EventType:
		v.Sample, _ = doc["sample_payload"].(map[string]any)
	case *Action:
		v.Sample, _ = doc["sample_params"].(map[string]any)
		v.Reply, _ = doc["sample_reply"].(map[string]any)
	}
	return v, nil
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
