package definition

import (
	"context"
	"errors"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"theoneagents.app/agents/shared/jsonvalue"
)

// MaxAnswer limits the length of a model's answer, in bytes.
const MaxAnswer = 32 << 10

// acceptsNothing reports whether no answer of a model can satisfy a schema. It is
// certain when it says so: a contradiction that it does not see, such as a pattern
// that matches no text, is refused when an answer comes.
//
// It works by induction on the size of a value: a schema that refers to itself in a
// property that it requires accepts no finite value.
func acceptsNothing(schema map[string]any) bool {
	const visits, checks = 2000, 50
	dialect, _ := schema["$schema"].(string)
	if strings.Contains(dialect, "draft-04") || strings.Contains(dialect, "draft-06") {
		return false // some keywords mean something else there
	}
	e := emptiness{
		root: schema, left: visits, checks: checks, open: map[string]bool{}, lone: strings.Contains(dialect, "draft-0"),
	}
	return e.empty(schema, true)
}

// emptiness looks for contradictions in a schema.
type emptiness struct {
	root   map[string]any
	left   int             // schemas to visit; afterwards none is taken for empty
	checks int             // schemas with listed values to check
	open   map[string]bool // references that lead to the values that hold the value
	lone   bool            // a $ref has no siblings
}

// jsonTypes are the types that a value may have.
type jsonTypes map[string]bool

func allTypes() jsonTypes {
	return jsonTypes{"null": true, "boolean": true, "number": true, "string": true, "array": true, "object": true}
}

// A level is what is known of one value: the schemas that it must all satisfy, and the
// references that led to them. The whole answer must not be empty.
type level struct {
	all   []map[string]any
	refs  map[string]bool
	whole bool
}

func (l level) clone() level {
	return level{all: slices.Clone(l.all), refs: maps.Clone(l.refs), whole: l.whole}
}

// empty reports whether a schema accepts no value.
func (e *emptiness) empty(schema any, whole bool) bool {
	if e.left--; e.left < 0 {
		return false
	}
	l := level{refs: map[string]bool{}, whole: whole}
	return e.conjoin(&l, schema, 0) || e.contradict(l) || e.choicesEmpty(l, 0)
}

// conjoin adds the schemas that a value must satisfy for one: the schema, its allOf
// and the target of its reference. It reports whether one of them accepts nothing.
func (e *emptiness) conjoin(l *level, schema any, depth int) bool {
	s, isObject := schema.(map[string]any)
	switch {
	case schema == false:
		return true
	case !isObject || depth > maxDepth:
		return false
	}
	ref, refers := s["$ref"].(string)
	if !refers || !e.lone {
		l.all = append(l.all, s)
		for _, part := range parts(s) {
			if e.conjoin(l, part, depth+1) {
				return true
			}
		}
	}
	target, found := e.target(ref)
	switch {
	case !refers || !found || l.refs[ref]:
		return false
	case e.open[ref]:
		return true // by induction
	}
	l.refs[ref] = true
	return e.conjoin(l, target, depth+1)
}

// parts returns schemas within a schema that a value must satisfy, too.
func parts(s map[string]any) []any {
	list, _ := s["allOf"].([]any)
	out := slices.Clone(list)
	if not, has := s["not"]; has {
		out = append(out, negated(not))
	}
	if condition, has := s["if"]; has {
		if then, ok := s["then"]; ok && universal(condition) {
			out = append(out, then)
		}
		if other, ok := s["else"]; ok && condition == false {
			out = append(out, other)
		}
	}
	return out
}

// maxDepth limits the conjunctions within conjunctions that are looked at.
const maxDepth = 30

// target returns the schema that a reference within the document names.
func (e *emptiness) target(ref string) (any, bool) {
	rest, ok := strings.CutPrefix(ref, "#")
	if !ok || strings.Contains(rest, "%") || rest != "" && rest[0] != '/' {
		return nil, false
	}
	var v any = e.root
	for _, name := range pointed(rest) {
		if v, ok = child(v, strings.NewReplacer("~1", "/", "~0", "~").Replace(name)); !ok {
			return nil, false
		}
		if s, is := v.(map[string]any); is && s["$id"] != nil {
			return nil, false // another document begins
		}
	}
	return v, true
}

// pointed returns the names of a JSON pointer.
func pointed(pointer string) []string {
	if pointer == "" {
		return nil
	}
	return strings.Split(pointer[1:], "/")
}

// negated returns a schema that accepts at least what a schema refuses: false when it
// accepts all values, true when nothing is known.
func negated(schema any) any {
	s, isObject := schema.(map[string]any)
	switch {
	case universal(schema):
		return false
	case !isObject:
		return true
	}
	if inner, has := s["not"]; has && onlyHas(s, "not") {
		return inner
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		list, has := s[word].([]any)
		if !has || word == "oneOf" && len(list) != 1 || !onlyHas(s, word) {
			continue
		}
		var parts []any
		for _, part := range list {
			parts = append(parts, map[string]any{"not": part})
		}
		return map[string]any{"allOf": parts}
	}
	return true
}

// onlyHas reports whether a schema has no other keyword that refuses values.
func onlyHas(s map[string]any, word string) bool {
	for name := range s {
		if name != word && !slices.Contains(annotations(), name) {
			return false
		}
	}
	return true
}

// annotations are the keywords that refuse no value.
func annotations() []string {
	return []string{"$schema", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
}

// universal reports that a schema certainly accepts every value.
func universal(schema any) bool {
	s, isObject := schema.(map[string]any)
	if !isObject {
		return schema == true
	}
	for name, v := range s {
		switch list, _ := v.([]any); {
		case slices.Contains(annotations(), name):
		case name == "anyOf" && slices.ContainsFunc(list, universal):
		case name == "allOf" && !slices.ContainsFunc(list, func(part any) bool { return !universal(part) }):
		case name == "not" && v == false:
		case name == "type" && len(list) >= len(allTypes()) && len(typesAllowed(s)) == len(allTypes()):
		default:
			return false
		}
	}
	return true
}

// typesAllowed returns the jsonTypes that the keyword type of a schema allows.
func typesAllowed(s map[string]any) jsonTypes {
	list, isList := s["type"].([]any)
	if name, isText := s["type"].(string); isText {
		list, isList = []any{name}, true
	}
	if !isList {
		return allTypes()
	}
	out := jsonTypes{}
	for _, v := range list {
		switch name, _ := v.(string); name {
		case "integer":
			out["number"] = true
		default:
			out[name] = true
		}
	}
	return out
}

// wholeNumbers reports whether a schema allows no number but integers.
func wholeNumbers(s map[string]any) bool {
	list, _ := s["type"].([]any)
	return s["type"] == "integer" || slices.Contains(list, any("integer")) && !slices.Contains(list, any("number"))
}

// contradict reports whether no kind of value satisfies all schemas of a level.
func (e *emptiness) contradict(l level) bool {
	if !l.whole { // that the whole answer is not empty is no reason for a part
		var opened []string
		for ref := range l.refs {
			if !e.open[ref] {
				e.open[ref] = true
				opened = append(opened, ref)
			}
		}
		defer func() {
			for _, ref := range opened {
				delete(e.open, ref)
			}
		}()
	}
	left, all := allTypes(), l.all
	for _, s := range all {
		allowed := typesAllowed(s)
		for kind := range left {
			if !allowed[kind] {
				delete(left, kind)
			}
		}
		not, _ := s["not"].(map[string]any)
		if not["type"] != nil && onlyHas(not, "type") {
			for kind := range typesAllowed(not) {
				if kind != "number" || !wholeNumbers(not) {
					delete(left, kind)
				}
			}
		}
		if not != nil && repeats(s, not) || e.noneListed(s, l.whole) {
			return true
		}
	}
	filled := l.whole && AIStep{Schema: e.root}.Empty(map[string]any{})
	for kind, impossible := range map[string]func() bool{
		"null":   func() bool { return l.whole && AIStep{Schema: e.root}.Empty(nil) },
		"number": func() bool { return noNumber(all) },
		"string": func() bool { return noLength(all, "minLength", "maxLength", MaxAnswer, l.whole) },
		"array":  func() bool { return noLength(all, "minItems", "maxItems", MaxAnswer/2, false) || e.noItem(all) },
		"object": func() bool {
			return noLength(all, "minProperties", "maxProperties", MaxAnswer/4, filled) || e.noObject(all)
		},
	} {
		if left[kind] && impossible() {
			delete(left, kind)
		}
	}
	return len(left) == 0
}

// repeats reports whether a schema demands what its not refuses: each keyword of the
// not is one of the schema. Keywords that depend on their neighbours do not count.
func repeats(s, not map[string]any) bool {
	alone := []string{
		"type", "enum", "const", "required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
		"pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "dependentRequired",
	}
	for name, v := range not {
		if slices.Contains(annotations(), name) {
			continue
		}
		own, has := s[name]
		if !has || !slices.Contains(alone, name) || jsonvalue.Canonical(own) != jsonvalue.Canonical(v) {
			return false
		}
	}
	return true
}

// noneListed reports whether a schema refuses each of the values that it lists itself.
// The validator decides, where the schema stands alone.
func (e *emptiness) noneListed(s map[string]any, whole bool) bool {
	values, listed := s["enum"].([]any)
	if constant, fixed := s["const"]; fixed {
		if listed && !slices.ContainsFunc(values, func(v any) bool {
			return jsonvalue.Same(v, constant) || jsonvalue.Canonical(v) == jsonvalue.Canonical(constant)
		}) {
			return len(values) == 0 || jsonvalue.Kind(constant) != "an array" && jsonvalue.Kind(constant) != "an object"
		}
		values, listed = []any{constant}, true
	}
	if !listed {
		return false
	}
	accepts := func(any) bool { return true }
	if e.checks--; e.checks >= 0 && !refers(s) {
		doc := maps.Clone(s)
		if dialect, has := e.root["$schema"]; has {
			doc["$schema"] = dialect
		}
		if c, err := newChecker(doc); err == nil {
			accepts = func(v any) bool {
				_, invalid := errors.AsType[*jsonschema.ValidationError](c.check(context.Background(), v)) //nolint:forbidigo // saving bounds the work of the check, not its time
				return !invalid
			}
		}
	}
	return !slices.ContainsFunc(values, func(v any) bool {
		return len(jsonvalue.Canonical(v)) <= MaxAnswer && (!whole || !AIStep{Schema: e.root}.Empty(v)) && accepts(v)
	})
}

// refers reports whether a schema names other schemas, at any depth.
func refers(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, refers)
	case map[string]any:
		for name, inner := range v {
			if strings.HasPrefix(name, "$") && name != "$schema" && name != "$comment" || refers(inner) {
				return true
			}
		}
	}
	return false
}

// rational returns a number of a schema.
func rational(v any) (*big.Rat, bool) {
	text, is := jsonvalue.NumberText(v)
	if !is || len(text) > maxNumberLength {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// noNumber reports whether the limits of numbers leave none.
func noNumber(all []map[string]any) bool {
	var low, high *big.Rat
	var lowOpen, highOpen, whole bool
	var steps []*big.Rat
	for _, s := range all {
		whole = whole || wholeNumbers(s)
		if n, ok := rational(s["minimum"]); ok && (low == nil || n.Cmp(low) > 0) {
			low, lowOpen = n, false
		}
		if n, ok := rational(s["exclusiveMinimum"]); ok && (low == nil || n.Cmp(low) >= 0) {
			low, lowOpen = n, true
		}
		if n, ok := rational(s["maximum"]); ok && (high == nil || n.Cmp(high) < 0) {
			high, highOpen = n, false
		}
		if n, ok := rational(s["exclusiveMaximum"]); ok && (high == nil || n.Cmp(high) <= 0) {
			high, highOpen = n, true
		}
		if n, ok := rational(s["multipleOf"]); ok && n.Sign() > 0 {
			steps = append(steps, n)
		}
	}
	if low == nil || high == nil {
		return false
	}
	if c := low.Cmp(high); c > 0 || c == 0 && (lowOpen || highOpen) {
		return true
	}
	if whole {
		steps = append(steps, big.NewRat(1, 1))
	}
	return slices.ContainsFunc(steps, func(step *big.Rat) bool { return !multipleWithin(low, high, lowOpen, highOpen, step) })
}

// multipleWithin reports whether a multiple of step is between two limits.
func multipleWithin(low, high *big.Rat, lowOpen, highOpen bool, step *big.Rat) bool {
	q := new(big.Rat).Quo(low, step)
	n := new(big.Int).Div(q.Num(), q.Denom()) // rounds down
	first := new(big.Rat).Mul(new(big.Rat).SetInt(n), step)
	if c := first.Cmp(low); c < 0 || c == 0 && lowOpen {
		first.Add(first, step)
	}
	c := first.Cmp(high)
	return c < 0 || c == 0 && !highOpen
}

// noLength reports whether two limits of a length leave none, or none that an answer
// may have. Filled demands at least one.
func noLength(all []map[string]any, low, high string, most int64, filled bool) bool {
	least, top := new(big.Rat), big.NewRat(most, 1)
	if filled {
		least.SetInt64(1)
	}
	for _, s := range all {
		if n, ok := rational(s[low]); ok && n.Cmp(least) > 0 {
			least = n
		}
		if n, ok := rational(s[high]); ok && n.Cmp(top) < 0 {
			top = n
		}
	}
	return least.Cmp(top) > 0
}

// noItem reports whether an array must have an item that cannot be.
func (e *emptiness) noItem(all []map[string]any) bool {
	var least int64
	for _, s := range all {
		if n, ok := s["minItems"].(int64); ok {
			least = max(least, n)
		}
	}
	for _, s := range all {
		fixed, _ := s["prefixItems"].([]any)
		for i, item := range fixed {
			if int64(i) < least && e.empty(item, false) {
				return true
			}
		}
		if items, has := s["items"]; has && int64(len(fixed)) < least && e.empty(items, false) {
			return true
		}
		_, fewest := s["minContains"]
		if contained, has := s["contains"]; has && !fewest && e.empty(contained, false) {
			return true
		}
	}
	return false
}

// noObject reports whether an object must have a property that cannot be.
func (e *emptiness) noObject(all []map[string]any) bool {
	var required []string
	most := int64(MaxAnswer)
	for _, s := range all {
		list, _ := s["required"].([]any)
		for _, v := range list {
			if name, is := v.(string); is && !slices.Contains(required, name) {
				required = append(required, name)
			}
		}
		if n, ok := s["maxProperties"].(int64); ok {
			most = min(most, n)
		}
	}
	if int64(len(required)) > most {
		return true
	}
	return slices.ContainsFunc(required, func(name string) bool {
		return slices.ContainsFunc(all, func(s map[string]any) bool { return e.forbids(s, name) })
	})
}

// forbids reports whether a schema accepts no object with a property.
func (e *emptiness) forbids(s map[string]any, name string) bool {
	if names, has := s["propertyNames"]; has && names == false {
		return true
	}
	properties, _ := s["properties"].(map[string]any)
	own, named := properties[name]
	if named && e.empty(own, false) {
		return true
	}
	patterns, _ := s["patternProperties"].(map[string]any)
	for pattern, schema := range patterns {
		matcher, err := regexp.Compile(pattern)
		switch {
		case err != nil:
			named = true // perhaps
		case matcher.MatchString(name):
			if named = true; e.empty(schema, false) {
				return true
			}
		}
	}
	others, limited := s["additionalProperties"]
	return limited && !named && e.empty(others, false)
}

// choicesEmpty reports whether every alternative of an anyOf or oneOf contradicts the
// schemas that apply too.
func (e *emptiness) choicesEmpty(l level, from int) bool {
	for _, s := range l.all[from:] {
		for _, word := range []string{"anyOf", "oneOf"} {
			list, has := s[word].([]any)
			if !has {
				continue
			}
			sure := 0 // alternatives that always hold; oneOf allows one
			for _, one := range list {
				if universal(one) {
					sure++
				}
			}
			if word == "oneOf" && sure > 1 || !slices.ContainsFunc(list, func(one any) bool { return !e.conflicts(l, one) }) {
				return true
			}
		}
		then, hasThen := s["then"]
		other, hasElse := s["else"]
		if s["if"] != nil && hasThen && hasElse && e.conflicts(l, then) && e.conflicts(l, other) {
			return true
		}
	}
	return false
}

// conflicts reports whether a schema contradicts the schemas of a level.
func (e *emptiness) conflicts(l level, one any) bool {
	if e.left--; e.left < 0 {
		return false
	}
	more := l.clone()
	return e.conjoin(&more, one, 0) || e.contradict(more) || e.choicesEmpty(more, len(l.all))
}
