// Package simulate makes the answer of a model without a model: a JSON document that
// fits a schema, always the same for the same schema.
package simulate

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Answer returns JSON that fits the schema, always the same for the same schema and
// hints. The hints are likely values by property name, which it uses where the schema
// allows them. It supports the keywords of output schemas, not all of JSON Schema.
func Answer(schema json.RawMessage, hints map[string]any) json.RawMessage {
	var root any
	d := json.NewDecoder(bytes.NewReader(schema))
	d.UseNumber() // keeps all digits
	if err := d.Decode(&root); err != nil || d.More() {
		return json.RawMessage("{}")
	}
	budget := maxSteps
	g := generator{root: root, hints: hints, budget: &budget}
	out, err := json.Marshal(g.value(root, place{}))
	if err != nil {
		return json.RawMessage("{}")
	}
	return out
}

// A generator generates values for the schemas of one document.
type generator struct {
	root   any
	hints  map[string]any
	budget *int // remaining steps, for schemas of any complexity
}

// maxSteps is the maximum number of schemas evaluated for one answer.
const maxSteps = 20_000

// spent counts one step and reports whether the budget is exceeded.
func (g generator) spent() bool {
	*g.budget--
	return *g.budget < 0
}

// A schema is a JSON Schema that is an object.
type schema map[string]any

// A place is the position of a value in the answer.
type place struct {
	depth int
	name  string // of the property; empty at the top and in lists
	turn  int    // index in a list; each index gives another value
}

// The depth limits of an answer: below shallow it has only required properties,
// below deepest no values at all, so that a recursive schema ends.
const (
	shallow = 4
	deepest = 32
)

func (g generator) value(node any, at place) any {
	s, ok := node.(map[string]any)
	if !ok || at.depth > deepest || g.spent() {
		return map[string]any{}
	}
	whole := g.resolve(s, 0)
	if v, is := whole.takes(g.hints[at.name]); is && at.depth == 1 {
		return v
	}
	if v, is := whole["const"]; is {
		return v
	}
	if choices, is := whole["enum"].([]any); is && len(choices) > 0 {
		return choices[at.turn%len(choices)]
	}
	switch whole.kind() {
	case "object":
		return g.object(whole, at)
	case "array":
		return g.array(whole, at)
	case "integer":
		return whole.number(1, at.turn)
	case "number":
		return whole.number(0, at.turn)
	case "boolean":
		return at.turn%2 == 1
	case "null":
		return nil
	}
	return whole.text(at)
}

// resolve follows references and joins the parts of a composed schema. It takes
// the first of several alternatives.
func (g generator) resolve(s schema, hops int) schema {
	whole := maps.Clone(s)
	for _, key := range []string{"$ref", "allOf", "anyOf", "oneOf"} {
		part, is := whole[key]
		if !is || hops > deepest || g.spent() {
			continue
		}
		delete(whole, key)
		for _, p := range g.parts(key, part) {
			whole = join(whole, g.resolve(p, hops+1))
		}
	}
	return whole
}

// parts returns the schemas that the keyword adds to its schema.
func (g generator) parts(key string, part any) []schema {
	if ref, is := part.(string); is && key == "$ref" {
		part = []any{g.find(ref)}
	}
	list, _ := part.([]any)
	if key != "allOf" && len(list) > 1 {
		list = list[:1]
	}
	var all []schema
	for _, p := range list {
		if s, is := p.(map[string]any); is {
			all = append(all, s)
		}
	}
	return all
}

// find returns the target of a reference like #/$defs/x, or nil.
func (g generator) find(ref string) any {
	path, local := strings.CutPrefix(ref, "#")
	if !local {
		return nil
	}
	node := g.root
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if name == "" {
			continue
		}
		object, _ := node.(map[string]any)
		node = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return node
}

// join returns a with the additions of b.
func join(a, b schema) schema {
	whole := maps.Clone(b)
	maps.Copy(whole, a)
	if properties := mapping(b, "properties"); properties != nil {
		properties = maps.Clone(properties)
		for name, p := range mapping(a, "properties") {
			properties[name] = both(p, properties[name])
		}
		whole["properties"] = properties
	}
	if required := append(slices.Clone(list(a, "required")), list(b, "required")...); len(required) > 0 {
		whole["required"] = required
	}
	return whole
}

// both returns the schema of a property that a and possibly b define.
func both(a, b any) any {
	one, isOne := a.(map[string]any)
	two, isTwo := b.(map[string]any)
	if !isOne || !isTwo {
		return a
	}
	return map[string]any(join(one, two))
}

func mapping(s schema, key string) map[string]any {
	m, _ := s[key].(map[string]any)
	return m
}

func list(s schema, key string) []any {
	l, _ := s[key].([]any)
	return l
}

// kind returns the type of the values of s, or the first of several that is not
// null.
func (s schema) kind() string {
	if t, is := s["type"].(string); is {
		return t
	}
	for _, t := range list(s, "type") {
		if name, is := t.(string); is && (name != "null" || len(list(s, "type")) == 1) {
			return name
		}
	}
	signs := []struct{ key, kind string }{
		{"properties", "object"},
		{"required", "object"},
		{"items", "array"},
		{"prefixItems", "array"},
		{"minItems", "array"},
		{"minimum", "number"},
		{"maximum", "number"},
		{"multipleOf", "number"},
	}
	for _, sign := range signs {
		if _, has := s[sign.key]; has {
			return sign.kind
		}
	}
	return "string"
}

func (g generator) object(s schema, at place) any {
	out := map[string]any{}
	for name, property := range mapping(s, "properties") {
		if at.depth < shallow || slices.Contains(list(s, "required"), any(name)) {
			out[name] = g.value(property, place{depth: at.depth + 1, name: name, turn: at.turn})
		}
	}
	for _, r := range list(s, "required") {
		name, is := r.(string)
		if _, known := out[name]; is && !known {
			out[name] = g.value(additional(s), place{depth: at.depth + 1, name: name, turn: at.turn})
		}
	}
	return out
}

// additional returns the schema of properties that are not listed in s.
func additional(s schema) any {
	if a := mapping(s, "additionalProperties"); a != nil {
		return a
	}
	return map[string]any{}
}

// maxItems is the maximum length of a list, also when the schema requires more.
const maxItems = 1000

func (g generator) array(s schema, at place) any {
	n := 1
	if at.depth >= shallow {
		n = 0
	}
	first := list(s, "prefixItems")
	n = min(max(n, len(first), s.count("minItems", 0)), s.count("maxItems", maxItems), maxItems)
	out := make([]any, 0, n)
	for turn := range n {
		var item any = map[string]any{}
		if turn < len(first) {
			item = first[turn]
		} else if items := mapping(s, "items"); items != nil {
			item = items
		}
		out = append(out, g.value(item, place{depth: at.depth + 1, turn: at.turn + turn}))
	}
	return out
}

// number returns a number as near to 1 as s allows, an integer when step is 1. It
// returns another number at each turn, as far as the bounds allow.
func (s schema) number(step float64, turn int) any {
	low, high := s.bounds(step)
	unit, multiple := number(s["multipleOf"])
	if multiple && unit > 0 {
		low, high = math.Ceil(low/unit)*unit, math.Floor(high/unit)*unit
	} else {
		unit = 1
	}
	start := low
	if math.IsInf(low, -1) {
		start = min(unit, high)
	} else if !multiple {
		start = min(max(1, low), high)
	}
	v := start + float64(turn)*unit
	if v > high {
		v = start
	}
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return int64(v)
	}
	return v
}

// number returns a number of a schema.
func number(v any) (float64, bool) {
	n, is := v.(json.Number)
	if !is {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// bounds returns the smallest and the largest number that s allows.
func (s schema) bounds(step float64) (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	if v, is := number(s["minimum"]); is {
		low = v
	}
	if v, is := number(s["maximum"]); is {
		high = v
	}
	gap := step
	if gap == 0 {
		gap = 1.0 / 1024
	}
	if v, is := number(s["exclusiveMinimum"]); is {
		low = max(low, v+gap)
	}
	if v, is := number(s["exclusiveMaximum"]); is {
		high = min(high, v-gap)
	}
	if step == 1 {
		low, high = math.Ceil(low), math.Floor(high)
	}
	return low, high
}

// count returns the value of a keyword that is a count.
func (s schema) count(key string, otherwise int) int {
	n, is := number(s[key])
	if !is || n < 0 || n > math.MaxInt32 {
		return otherwise
	}
	return int(n)
}

// text returns a text of the right form and length.
func (s schema) text(at place) string {
	if pattern, is := s["pattern"].(string); is {
		if v, ok := matching(pattern); ok {
			return v
		}
	}
	if format, is := s["format"].(string); is {
		if v, known := formatted(format, at.turn); known {
			return v
		}
	}
	v := "text"
	if at.name != "" {
		v = strings.ReplaceAll(at.name, "_", " ")
	}
	if at.turn > 0 {
		v = strconv.Itoa(at.turn+1) + " " + v
	}
	return s.fitted(v)
}

// maxText is the maximum length of a text, also when the schema requires more.
const maxText = 1 << 16

// fitted returns v, lengthened or shortened as s requires.
func (s schema) fitted(v string) string {
	if lack := min(s.count("minLength", 0), maxText) - utf8.RuneCountInString(v); lack > 0 {
		v += strings.Repeat(".", lack)
	}
	if most := s.count("maxLength", maxText); utf8.RuneCountInString(v) > most {
		v = string([]rune(v)[:most])
	}
	return v
}

// formatted returns a text in a format of JSON Schema.
func formatted(format string, turn int) (string, bool) {
	n := strconv.Itoa(turn + 1)
	switch format {
	case "date-time":
		return "2026-01-01T09:00:00Z", true
	case "date":
		return "2026-01-01", true
	case "time":
		return "09:00:00Z", true
	case "duration":
		return "PT1H", true
	case "email":
		return "person" + n + "@example.com", true
	case "hostname":
		return "host" + n + ".example.com", true
	case "uri":
		return "https://example.com/" + n, true
	case "ipv4":
		return "192.0.2." + strconv.Itoa(turn%250+1), true
	case "ipv6":
		return "2001:db8::" + n, true
	case "uuid":
		return "00000000-0000-4000-8000-00000000000" + strconv.Itoa(turn%10), true
	}
	return "", false
}

// takes returns v converted to the schema s, and whether s allows it.
func (s schema) takes(v any) (any, bool) {
	if _, fixed := s["const"]; fixed {
		return nil, false
	}
	if choices, is := s["enum"].([]any); is {
		return v, v != nil && slices.Contains(choices, v)
	}
	switch v := v.(type) {
	case bool:
		return v, s.kind() == "boolean"
	case string:
		_, pattern := s["pattern"]
		_, format := s["format"]
		return s.fitted(v), s.kind() == "string" && !pattern && !format
	}
	return nil, false
}
