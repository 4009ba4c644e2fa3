package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// MaxText is how long a text parameter may be that has no max_length, in
// characters. It is the longest text that a template can make.
const MaxText = render.MaxOutput

// Fit returns the parameters of an action as its product takes them, or why it
// cannot take them. A null is left out where the parameter is optional. An
// unknown name is not looked at here: the definition was refused for it.
func (a Action) Fit(given map[string]any) (fit map[string]any, why string) {
	fit = make(map[string]any, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p, known := a.Param(name)
		if !known {
			fit[name] = given[name]
			continue
		}
		v, why := p.Fit(given[name])
		switch {
		case why != "":
			return nil, name + " " + why
		case v != nil:
			fit[name] = v
		}
	}
	for _, p := range a.Params {
		if _, ok := given[p.Name]; p.Required && !ok {
			return nil, p.Name + " is missing; " + a.Name() + " needs it"
		}
	}
	return fit, ""
}

// Fit returns a value as the parameter takes it, or why it cannot: "must be a
// number, not a string: "five"". A number becomes text where text is wanted,
// and nothing else changes its kind. A null stands for no value, which an
// optional parameter may have.
func (p Param) Fit(v any) (fit any, why string) {
	if v == nil {
		if p.Required {
			return nil, "must be " + p.wants() + ", not null; the parameter is required"
		}
		return nil, ""
	}
	number := jsonvalue.Kind(v) == jsonvalue.Kind(int64(0))
	switch {
	case number && (p.Type == String || p.Type == Enum):
		v = render.String(v)
	case jsonvalue.Kind(v) != p.kind():
		return nil, "must be " + p.wants() + ", not " + jsonvalue.Kind(v) + ": " + shown(v) + p.hint(v)
	}
	text, _ := v.(string)
	switch length := utf8.RuneCountInString(text); {
	case p.Type == Enum && !slices.Contains(p.EnumValues, text):
		return nil, "must be " + p.wants() + "; it is " + shown(v)
	case p.Type == String && length > p.longest():
		return nil, fmt.Sprintf("must have at most %d characters; it has %d and begins %s", p.longest(), length, shown(v))
	}
	return v, ""
}

// longest returns how many characters a text may have.
func (p Param) longest() int {
	if p.MaxLength > 0 {
		return p.MaxLength
	}
	return MaxText
}

// kind returns the kind of the parameter's values, as jsonvalue.Kind names it.
func (p Param) kind() string {
	return map[FieldType]string{
		String: "a string", Enum: "a string", Number: "a number",
		Boolean: "a boolean", Object: "an object", Array: "an array",
	}[p.Type]
}

// wants returns what would be right.
func (p Param) wants() string {
	switch p.Type {
	case Enum:
		return "one of " + strings.Join(p.EnumValues, ", ")
	case Boolean:
		return "true or false"
	case String, Number, Object, Array:
	}
	return p.kind()
}

// hint says how a template makes a number of text that looks like one.
func (p Param) hint(v any) string {
	text, isText := v.(string)
	if p.Type != Number || !isText {
		return ""
	}
	if n, err := jsonvalue.Decode([]byte(text)); err != nil || jsonvalue.Kind(n) != p.kind() {
		return ""
	}
	return " (the filter plus: 0 makes a number of it)"
}

// maxShown is how much of a value an error shows, in characters.
const maxShown = 60

// shown returns a value as an error shows it.
func shown(v any) string {
	text := render.Beginning(render.String(v), maxShown)
	if _, isText := v.(string); isText {
		return strconv.Quote(text)
	}
	return text
}
