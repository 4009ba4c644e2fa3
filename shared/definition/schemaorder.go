package definition

import (
	"cmp"
	"maps"
	"slices"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A Schema is a JSON Schema. Its JSON has the keywords in the order in which people
// usually write them, and the properties in the order of required, the others by name
// after them, because readers compare it with the author's text.
type Schema map[string]any

// keywordOrder returns the keywords of a schema in their order.
func keywordOrder() []string {
	return []string{
		"$schema", "$id", "$ref", "title", "description", "type", "format", "enum", "const", "default", "examples",
		"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
		"properties", "required", "additionalProperties", "minProperties", "maxProperties",
		"prefixItems", "items", "minItems", "maxItems", "uniqueItems",
		"oneOf", "anyOf", "allOf", "not", "if", "then", "else", "$defs", "definitions",
	}
}

// MarshalJSON implements json.Marshaler.
func (s Schema) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("null"), nil
	}
	return orderedSchemas{keywordOrder(), keywords()}.append(nil, map[string]any(s)), nil
}

// orderedSchemas writes schemas.
type orderedSchemas struct {
	order []string
	forms map[string]form
}

// append appends the JSON of a schema, or of a list of schemas. Values of other kinds
// have their canonical JSON.
func (o orderedSchemas) append(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		return appendOrdered(b, v, o.order, func(b []byte, keyword string, value any) []byte {
			switch o.forms[keyword] {
			case aSchema, schemaList, schemaOrList:
				return o.append(b, value)
			case namedSchemas:
				if named, ok := value.(map[string]any); ok {
					return appendOrdered(b, named, required(v), func(b []byte, _ string, value any) []byte { return o.append(b, value) })
				}
			case aValue:
			}
			return append(b, jsonvalue.Canonical(value)...)
		})
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = o.append(b, item)
		}
		return append(b, ']')
	}
	return append(b, jsonvalue.Canonical(v)...)
}

// required returns the names that a schema requires.
func required(schema map[string]any) []string {
	list, _ := schema["required"].([]any)
	var names []string
	for _, v := range list {
		if name, ok := v.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// appendOrdered appends the JSON of an object with the fields of order first, in that
// order, and the others by name after them.
func appendOrdered(b []byte, object map[string]any, order []string, field func(b []byte, name string, v any) []byte) []byte {
	place := make(map[string]int, len(order))
	for i, name := range order {
		if _, twice := place[name]; !twice {
			place[name] = i
		}
	}
	at := func(name string) int {
		if i, ok := place[name]; ok {
			return i
		}
		return len(order)
	}
	names := slices.SortedFunc(maps.Keys(object), func(a, b string) int { return cmp.Or(at(a)-at(b), cmp.Compare(a, b)) })
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, jsonvalue.Canonical(name)...)
		b = field(append(b, ':'), name, object[name])
	}
	return append(b, '}')
}
