package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/fault"
)

// A Filter converts a value. Its fields are its complete documentation.
type Filter struct {
	Name      string
	Arguments []Argument
	Does      string // one sentence
	Example   string // a template over the payload of Filters
	Shows     string // the result of Example

	acceptsNumber bool // accepts a number of an unfinished calculation
	apply         func(w *work, v any, args []any) (any, error)
}

// An Argument of a filter is given by position, or by name after the positional
// ones.
type Argument struct {
	Name     string
	Optional bool
	Named    bool

	kind kind
}

// A kind checks and converts an argument, or returns the error. It receives
// null only for a required argument.
type kind func(v any) (any, error)

// Usage shows the syntax of the filter.
func (f Filter) Usage() string {
	var b strings.Builder
	b.WriteString(f.Name)
	for i, a := range f.Arguments {
		text := a.Name
		if a.Named {
			text += ": true"
		}
		if i == 0 {
			text = ": " + text
		} else {
			text = ", " + text
		}
		if a.Optional {
			text = "[" + text + "]"
		}
		b.WriteString(text)
	}
	return b.String()
}

// positions returns the number of positional arguments.
func (f Filter) positions() int {
	n := slices.IndexFunc(f.Arguments, func(a Argument) bool { return a.Named })
	if n < 0 {
		return len(f.Arguments)
	}
	return n
}

// option returns the index of a named argument, or -1.
func (f Filter) option(name string) int {
	return slices.IndexFunc(f.Arguments, func(a Argument) bool { return a.Named && a.Name == name })
}

// accept returns a converted argument; nil if it was not given.
func (f Filter) accept(at int, v any) (any, error) {
	a := f.Arguments[at]
	if v == nil && a.Optional {
		return nil, nil //nolint:nilnil // an argument that was not given is nil
	}
	accepted, err := a.kind(v)
	if err != nil {
		return nil, fmt.Errorf("the argument %s of %s: %w", a.Name, f.Name, err)
	}
	return accepted, nil
}

// named returns the filter with the name, or an error that lists the filters.
func named(name string) (Filter, error) {
	for _, group := range groups() {
		for _, f := range group() {
			if f.Name == name {
				return f, nil
			}
		}
	}
	all := Filters()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	if name == "" {
		return Filter{}, fmt.Errorf("a filter's name follows after |; there are %s", strings.Join(names, ", "))
	}
	return Filter{}, unknownFilter{name, nearest(name, names)}
}

// unknownFilter is the fault of an unknown filter.
type unknownFilter struct {
	name  string
	known []string // nearest first
}

func (u unknownFilter) Error() string { return fmt.Sprintf("there is no filter %.40q", u.name) }

// nearest returns the names with the most similar one first.
func nearest(wrong string, names []string) []string {
	if meant := slices.Index(names, fault.Nearest(wrong, names)); meant > 0 {
		return slices.Concat(names[meant:meant+1], names[:meant], names[meant+1:])
	}
	return names
}

func needed(name string, k kind) Argument   { return Argument{Name: name, kind: k} }
func optional(name string, k kind) Argument { return Argument{Name: name, Optional: true, kind: k} }

// Filters returns all filters sorted by name. Their examples use this
// event_payload:
//
//	{"tags": ["vpn", "mail", null, "vpn"], "owner": null, "closed": false,
//	 "devices": [{"name": "PC-1", "online": true, "free_gb": 12.5},
//	             {"name": "pc-2", "online": false, "free_gb": 4}]}
func Filters() []Filter {
	var all []Filter
	for _, group := range groups() {
		all = append(all, group()...)
	}
	slices.SortFunc(all, func(a, b Filter) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// groups returns the tables of the filters. A lookup builds only the tables
// that it needs.
func groups() []func() []Filter {
	return []func() []Filter{otherFilters, cuttingFilters, textFilters, numberFilters, listFilters, selectingFilters, roundingFilters}
}

func otherFilters() []Filter {
	return []Filter{
		{
			Name: "date", Arguments: []Argument{needed("format", formatKind), optional("zone", zoneKind)}, apply: date,
			Does: "Formats a time like strftime. It accepts RFC 3339 (a time without a zone is UTC), a date, seconds or milliseconds since 1970, " +
				"/Date(…)/, the name of a month with day and year, and now. A zone converts the time.",
			Example: `{{ "2026-03-29T12:00:00Z" | date: "%d %b %Y %H:%M %Z", "Europe/London" }}`, Shows: "29 Mar 2026 13:00 BST",
		},
		{
			Name: "default", Arguments: []Argument{needed("value", anyKind), {Name: "allow_false", Optional: true, Named: true, kind: boolKind}},
			Does: "Replaces a value that is missing, null, false or empty; with allow_false: true it keeps false. " +
				"It is evaluated only when needed, and another default may follow.",
			Example: `{{ event_payload.owner | default: event_payload.assignee | default: "nobody" }} {{ event_payload.closed | default: "?", allow_false: true }}`, Shows: "nobody false",
		},
		{
			Name: "json", apply: func(w *work, v any, _ []any) (any, error) { return w.text(jsonText(v)) },
			Does:    "Writes the value as JSON: a text in quotes, null as null.",
			Example: `{"tags": {{ event_payload.tags | json }}, "from": {{ "R&D" | json }}}`, Shows: `{"tags": ["vpn","mail",null,"vpn"], "from": "R&D"}`,
		},
		{
			Name: "size", apply: size,
			Does:    "Counts the characters of a text, the items of a list or the fields of an object.",
			Example: `{{ "Größe" | size }} {{ event_payload.tags | size }}`, Shows: "5 4",
		},
	}
}

// The kinds of arguments.

func anyKind(v any) (any, error) { return plain(v), nil }

func textKind(v any) (any, error) { return String(v), nil }

func boolKind(v any) (any, error) {
	if _, ok := v.(bool); !ok {
		return nil, fmt.Errorf("%s is neither true nor false", shown(v))
	}
	return v, nil
}

func numberKind(v any) (any, error) {
	n, err := numberOf(v)
	if err != nil {
		return nil, err
	}
	return n, nil
}

var errZero = errors.New("a number cannot be divided by zero")

func divisorKind(v any) (any, error) {
	n, err := numberOf(v)
	switch {
	case err != nil:
		return nil, err
	case n.coefficient.Sign() == 0:
		return nil, errZero
	}
	return n, nil
}

// wholeKind accepts a whole number and caps it at the range of int.
func wholeKind(v any) (any, error) {
	n, err := numberOf(v)
	if err != nil {
		return nil, err
	}
	whole, ok := n.whole()
	if !ok {
		return nil, fmt.Errorf("%s is not a whole number", shown(v))
	}
	return whole, nil
}

func countKind(v any) (any, error) {
	n, err := wholeKind(v)
	if count, ok := n.(int); ok && count < 0 {
		return nil, fmt.Errorf("%s is less than 0", shown(v))
	}
	return n, err
}

func listKind(v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is not a list", shown(v))
	}
	return list, nil
}

func propertyKind(v any) (any, error) {
	name, ok := v.(string)
	if !ok || name == "" {
		return nil, fmt.Errorf("%s is not the name of a property", shown(v))
	}
	return name, nil
}

// shown returns a value for an error text, cut if long.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		return jsonText(Beginning(cut(v, 4*maxShown+4), maxShown))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return "an object"
	case number:
		return shown(v.plain())
	}
	return Beginning(jsonText(v), maxShown)
}
