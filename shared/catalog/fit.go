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

// MaxText is the default max_length of a text parameter, in characters. It is the
// length of the longest text that a template can make.
const MaxText = render.MaxOutput

// Fit converts the parameters of an action to the types that its product accepts,
// or returns the reason why that is impossible. It omits a null for an optional
// parameter. It passes unknown parameters through: the validation of definitions
// refuses them.
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
			return nil, p.Name + " is missing; " + a.Name() + " requires it"
		}
	}
	return fit, ""
}

// Fit converts a value to the type of the parameter, or returns the reason why that
// is impossible: "must be a number, not a string: "five"". The only conversion is
// from a number to text. Null means absent, which only an optional parameter may be.
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
		return nil, fmt.Sprintf("must have at most %d characters; it has %d and begins with %s", p.longest(), length, shown(v))
	}
	return v, ""
}

// longest returns the maximum number of characters of a text.
func (p Param) longest() int {
	if p.MaxLength > 0 {
		return p.MaxLength
	}
	return MaxText
}

// kind returns the jsonvalue.Kind of the parameter's values.
func (p Param) kind() string {
	return map[FieldType]string{
		String: "a string", Enum: "a string", Number: "a number",
		Boolean: "a boolean", Object: "an object", Array: "an array",
	}[p.Type]
}

// wants describes the values that the parameter accepts.
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

// hint returns a note on how a template converts a text with a number to a number,
// or "".
func (p Param) hint(v any) string {
	text, isText := v.(string)
	if p.Type != Number || !isText {
		return ""
	}
	if n, err := jsonvalue.Decode([]byte(text)); err != nil || jsonvalue.Kind(n) != p.kind() {
		return ""
	}
	return " (the filter plus: 0 converts it to a number)"
}

// maxShown is the number of characters of a value in an error.
const maxShown = 60

// shown returns a value for an error, cut to maxShown characters.
func shown(v any) string {
	text := render.Beginning(render.String(v), maxShown)
	if _, isText := v.(string); isText {
		return strconv.Quote(text)
	}
	return text
}
