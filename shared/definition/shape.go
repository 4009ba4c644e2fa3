package definition

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"theoneagents.app/agents/shared/jsonvalue"
)

// kinds is a set of kinds of JSON values.
type kinds uint8

// The kinds.
const (
	kindNull kinds = 1 << iota
	kindBoolean
	kindNumber
	kindString
	kindArray
	kindObject

	noKind  kinds = 0
	allKind       = kindNull | kindBoolean | kindNumber | kindString | kindArray | kindObject
)

// kindOf returns the kind of a value.
func kindOf(v any) kinds {
	switch v.(type) {
	case nil:
		return kindNull
	case bool:
		return kindBoolean
	case string:
		return kindString
	case []any:
		return kindArray
	case map[string]any:
		return kindObject
	}
	return kindNumber
}

// String names the kinds for a sentence: "a string or null".
func (k kinds) String() string {
	var names []string
	for i, name := range []string{"a boolean", "a number", "a string", "an array", "an object"} {
		if k&(kindBoolean<<i) != 0 {
			names = append(names, name)
		}
	}
	if k&kindNull != 0 {
		names = append(names, "null")
	}
	return strings.Join(names, " or ")
}

// naming says whether a schema lists the name of a place among its properties.
type naming uint8

const (
	silent   naming = iota // the schema lists no properties
	listed                 // the schema lists the name
	unlisted               // the schema lists other names and forbids none
)

// A place holds the values that a schema allows at a path.
type place struct {
	kinds  kinds    // noKind: no value is allowed
	values []any    // all allowed values, or nil if they are not known
	naming naming   // of the last name of the path
	names  []string // the listed properties of an object at the path
}

// anywhere returns the place at which every value is allowed.
func anywhere() place { return place{kinds: allKind} }

// both returns the values that two schemas allow when both apply.
func both(a, b place) place {
	out := place{kinds: a.kinds & b.kinds, values: a.values, names: distinct(slices.Concat(a.names, b.names))}
	if out.values == nil {
		out.values = b.values
	}
	switch {
	case a.naming == listed || b.naming == listed:
		out.naming = listed
	case a.naming == unlisted || b.naming == unlisted:
		out.naming = unlisted
	}
	return out
}

// either returns the values that two schemas allow when one of them applies.
func either(a, b place) place {
	switch {
	case a.kinds == noKind:
		return b
	case b.kinds == noKind:
		return a
	}
	out := place{kinds: a.kinds | b.kinds, names: distinct(slices.Concat(a.names, b.names)), naming: unlisted}
	if a.values != nil && b.values != nil {
		out.values = slices.Concat(a.values, b.values)
	}
	switch {
	case a.naming == listed || b.naming == listed:
		out.naming = listed
	case a.naming == silent || b.naming == silent:
		out.naming = silent
	}
	return out
}

// A shape finds the values that a JSON Schema allows at a path. It errs on the
// side of allowing: a keyword that it does not know allows everything.
type shape struct {
	schema any
	alone  bool // $ref hides the keywords beside it, as before draft 2019-09
	hasID  bool // the schema has an $id, to which references may be relative
	left   int  // how much more work the question may take
	spent  int  // work of all questions

	targets  map[string]any // targets of references
	patterns map[string]sized
}

// maxShape bounds the work of one question, in schemas and names that are looked
// at; a recursive schema has no end.
const maxShape = 2000

func newShape(schema any) *shape {
	s := &shape{schema: schema, targets: map[string]any{}, patterns: map[string]sized{}}
	if m, ok := schema.(map[string]any); ok {
		s.hasID = strings.Contains(jsonvalue.Canonical(schema), `"$id"`)
		draft, given := m["$schema"].(string)
		s.alone = given && !strings.Contains(draft, "2020-12") && !strings.Contains(draft, "2019-09")
	}
	return s
}

// at returns the values that are allowed at a path.
func (s *shape) at(path jsonvalue.Path) place {
	s.left = maxShape
	defer func() { s.spent += maxShape - s.left }()
	return s.below(s.schema, path)
}

func (s *shape) below(node any, path jsonvalue.Path) place {
	if s.left--; s.left < 0 {
		return anywhere()
	}
	m, ok := node.(map[string]any)
	if !ok {
		if node == false {
			return place{}
		}
		return anywhere()
	}
	out := anywhere()
	if ref, ok := m["$ref"].(string); ok {
		if target, found := s.resolve(ref); found {
			out = s.below(target, path)
		}
		if s.alone {
			return out
		}
	}
	out = both(out, s.here(m, path))
	all, _ := m["allOf"].([]any)
	for _, sub := range all {
		out = both(out, s.below(sub, path))
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		options, ok := m[keyword].([]any)
		if !ok {
			continue
		}
		some := place{}
		for _, sub := range options {
			some = either(some, s.below(sub, path))
		}
		out = both(out, some)
	}
	return out
}

// resolve returns the part of the schema that a $ref points to.
func (s *shape) resolve(ref string) (any, bool) {
	if s.hasID {
		return nil, false
	}
	if target, known := s.targets[ref]; known {
		return target, true
	}
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || pointer != "" && !strings.HasPrefix(pointer, "/") || strings.Contains(pointer, "%") {
		return nil, false
	}
	node := s.schema
	for _, part := range strings.Split(pointer, "/")[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := node.(type) {
		case map[string]any:
			if node, ok = v[part]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			node = v[i]
		default:
			return nil, false
		}
	}
	s.targets[ref] = node
	return node, true
}

// here returns the values that the schema's own keywords allow, without $ref,
// allOf, anyOf and oneOf.
func (s *shape) here(m map[string]any, path jsonvalue.Path) place {
	allowed := typesOf(m["type"])
	if values, ok := valuesOf(m); ok {
		s.left -= len(values)
		out := place{naming: listed, values: []any{}}
		for _, v := range values {
			if found, ok := path.In(v); ok && allowed&kindOf(v) != noKind {
				out.kinds, out.values = out.kinds|kindOf(found), append(out.values, found)
			}
		}
		return out
	}
	if len(path) == 0 {
		properties, _ := m["properties"].(map[string]any)
		s.left -= len(properties)
		return place{kinds: allowed, names: slices.Sorted(maps.Keys(properties))}
	}
	out, sized := place{}, place{}
	if path[0] == "size" && len(path) == 1 {
		sized = place{kinds: kindNumber, naming: listed}
	}
	if allowed&kindString != noKind {
		out = sized
	}
	if allowed&kindArray != noKind {
		out = either(out, either(sized, s.item(m, path[0], path[1:])))
	}
	if allowed&kindObject != noKind {
		out = either(out, either(sized, s.property(m, path[0], path[1:])))
	}
	return out
}

// typesOf returns the kinds that the keyword type allows.
func typesOf(keyword any) kinds {
	names, isList := keyword.([]any)
	if !isList {
		names = []any{keyword}
	}
	var k kinds
	for _, name := range names {
		switch name {
		case "null":
			k |= kindNull
		case "boolean":
			k |= kindBoolean
		case "number", "integer":
			k |= kindNumber
		case "string":
			k |= kindString
		case "array":
			k |= kindArray
		case "object":
			k |= kindObject
		default:
			return allKind
		}
	}
	return k
}

// valuesOf returns the values of const or enum, if the schema has either.
func valuesOf(m map[string]any) ([]any, bool) {
	if v, ok := m["const"]; ok {
		return []any{v}, true
	}
	values, ok := m["enum"].([]any)
	return values, ok
}

// property returns the values that the schema of an object allows at a path, which
// begins with a name.
func (s *shape) property(m map[string]any, name string, rest jsonvalue.Path) place {
	properties, _ := m["properties"].(map[string]any)
	patterns, _ := m["patternProperties"].(map[string]any)
	out, found := anywhere(), false
	if sub, ok := properties[name]; ok {
		out, found = both(out, s.below(sub, rest)), true
	}
	for pattern, sub := range patterns {
		p := s.pattern(pattern)
		if s.left -= 1 + len(name)*p.size/100; p.re == nil || s.left < 0 {
			return anywhere()
		}
		if p.re.MatchString(name) {
			out, found = both(out, s.below(sub, rest)), true
		}
	}
	if found {
		if len(rest) == 0 {
			out.naming = listed
		}
		return out
	}
	others, limited := m["additionalProperties"]
	if !limited && standalone(m) {
		others, limited = m["unevaluatedProperties"]
	}
	switch {
	case limited && others != true:
		return s.below(others, rest)
	case len(properties) > 0 && len(patterns) == 0:
		return place{kinds: allKind, naming: unlisted}
	}
	return anywhere()
}

// A sized is a regular expression with its number of instructions.
type sized struct {
	re   *regexp.Regexp // nil: no regular expression
	size int
}

// pattern returns a compiled pattern.
func (s *shape) pattern(text string) sized {
	p, known := s.patterns[text]
	if !known {
		p.size = patternSize(text)
		s.left -= p.size / 10 // compiling it takes its time too
		if p.size <= maxPatternSize {
			p.re, _ = regexp.Compile(text)
		}
		s.patterns[text] = p
	}
	return p
}

// standalone reports whether no other schema can evaluate a property of the object.
func standalone(m map[string]any) bool {
	return !slices.ContainsFunc([]string{
		"$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas",
	}, func(keyword string) bool { _, ok := m[keyword]; return ok })
}

var wholeIndex = regexp.MustCompile(`^-?[0-9]{1,9}$`)

// item returns the values that the schema of an array allows at a path, which
// begins with an index, "first" or "last".
func (s *shape) item(m map[string]any, part string, rest jsonvalue.Path) place {
	tuple, isTuple := m["prefixItems"].([]any)
	others, limited := m["items"]
	if old, ok := others.([]any); ok {
		tuple, isTuple = old, true
		others, limited = m["additionalItems"]
	}
	if part == "first" {
		part = "0"
	}
	i, err := strconv.Atoi(part)
	switch {
	case part == "last":
		i = -1
	case !wholeIndex.MatchString(part) || err != nil:
		return place{}
	}
	remaining := anywhere()
	if limited {
		remaining = s.below(others, rest)
	}
	most, bounded := m["maxItems"].(int64)
	switch {
	case bounded && int64(i) >= most || bounded && most == 0:
		return place{}
	case i >= len(tuple) || !isTuple:
		return remaining
	case i >= 0:
		return s.below(tuple[i], rest)
	}
	for _, sub := range tuple {
		remaining = either(remaining, s.below(sub, rest))
	}
	return remaining
}

// closed returns the schema of an object that has only these properties.
func closed(properties map[string]any) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

func typed(name string) map[string]any { return map[string]any{"type": name} }

// sampled derives a schema from a sample. An empty list, an empty object and null
// say nothing about their contents, so the schema allows everything there.
func sampled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return map[string]any{"type": []any{"object", "null"}}
		}
		properties := make(map[string]any, len(v))
		for name, child := range v {
			properties[name] = sampled(child)
		}
		schema := closed(properties)
		schema["type"] = []any{"object", "null"}
		return schema
	case []any:
		schema := map[string]any{"type": []any{"array", "null"}}
		if len(v) > 0 {
			var options []any
			for _, child := range v {
				options = append(options, sampled(child))
			}
			schema["items"] = map[string]any{"anyOf": options}
		}
		return schema
	case nil:
		return true
	case string:
		return map[string]any{"type": []any{"string", "null"}}
	case bool:
		return map[string]any{"type": []any{"boolean", "null"}}
	}
	return map[string]any{"type": []any{"number", "null"}}
}
