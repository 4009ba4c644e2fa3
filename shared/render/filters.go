package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/fault"
)

// A Filter makes another value of a value. This is the documentation of one, and
// all there is to know for calling it.
type Filter struct {
	Name      string
	Arguments []Argument
	Does      string // a sentence
	Example   string // a template; see Filters
	Shows     string // what the template becomes

	reckons bool // takes a number as it is in the midst of a calculation
	apply   func(w *work, v any, args []any) (any, error)
}

// An Argument is one that a filter takes, in this order, or by its name behind
// them.
type Argument struct {
	Name     string
	Optional bool
	Named    bool

	kind kind
}

// A kind says what an argument must be: it returns the value as the filter wants
// it, or what is wrong with it. It knows null only where the argument is needed.
type kind func(v any) (any, error)

// Usage shows how the filter is written.
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

// positions returns how many arguments have no name.
func (f Filter) positions() int {
	n := slices.IndexFunc(f.Arguments, func(a Argument) bool { return a.Named })
	if n < 0 {
		return len(f.Arguments)
	}
	return n
}

// option returns the place of the argument with a name, or -1.
func (f Filter) option(name string) int {
	return slices.IndexFunc(f.Arguments, func(a Argument) bool { return a.Named && a.Name == name })
}

// accept returns an argument's value as the filter wants it; nil stands for one
// that is not given.
func (f Filter) accept(at int, v any) (any, error) {
	a := f.Arguments[at]
	if v == nil && a.Optional {
		return nil, nil //nolint:nilnil // an argument that is not given has no value
	}
	accepted, err := a.kind(v)
	if err != nil {
		return nil, fmt.Errorf("the argument %s of %s: %w", a.Name, f.Name, err)
	}
	return accepted, nil
}

// named returns the filter with the name, or an error that lists what there is.
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

// unknownFilter is the fault of a name that no filter has.
type unknownFilter struct {
	name  string
	known []string // the nearest ones first
}

func (u unknownFilter) Error() string { return fmt.Sprintf("there is no filter %.40q", u.name) }

// nearest returns the names, and first the one that was probably meant.
func nearest(wrong string, names []string) []string {
	if meant := slices.Index(names, fault.Nearest(wrong, names)); meant > 0 {
		return slices.Concat(names[meant:meant+1], names[:meant], names[meant+1:])
	}
	return names
}

func needed(name string, k kind) Argument   { return Argument{Name: name, kind: k} }
func optional(name string, k kind) Argument { return Argument{Name: name, Optional: true, kind: k} }

// Filters returns all filters by their names. In their examples event_payload
// is
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

// groups are the tables of all filters. They are made only as far as a name is
// looked for.
func groups() []func() []Filter {
	return []func() []Filter{otherFilters, cuttingFilters, textFilters, numberFilters, listFilters, selectingFilters, roundingFilters}
}

func otherFilters() []Filter {
	return []Filter{
		{
			Name: "date", Arguments: []Argument{needed("format", formatKind), optional("zone", zoneKind)}, apply: date,
			Does: "Writes a time by a format like those of strftime. It takes RFC 3339 (a time without a zone is UTC), a date, seconds or milliseconds since 1970, " +
				"/Date(…)/, the name of a month with day and year, and now. With a zone it shows the time there.",
			Example: `{{ "2026-03-29T12:00:00Z" | date: "%d %b %Y %H:%M %Z", "Europe/London" }}`, Shows: "29 Mar 2026 13:00 BST",
		},
		{
			Name: "default", Arguments: []Argument{needed("value", anyKind), {Name: "allow_false", Optional: true, Named: true, kind: boolKind}},
			Does: "Takes the place of a value that is missing, null, false or empty; of false not with allow_false: true. " +
				"It is looked at only when it is needed, and may be followed by another.",
			Example: `{{ event_payload.owner | default: event_payload.assignee | default: "nobody" }} {{ event_payload.closed | default: "?", allow_false: true }}`, Shows: "nobody false",
		},
		{
			Name: "json", apply: func(w *work, v any, _ []any) (any, error) { return w.text(jsonText(v)) },
			Does:    "Writes the value as JSON, a text in quotes and null as null.",
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

// wholeKind takes a whole number; one that is larger than an int is as good as
// the largest int.
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

// shown returns a value as an error shows it, cut when it is long.
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
