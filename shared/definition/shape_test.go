package definition_test

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
)

// asking returns a definition whose second step has a condition on a path in the
// output of the first.
func asking(schema map[string]any, path jsonvalue.Path) map[string]any {
	return map[string]any{
		"name": "Asks", "category": "service_desk",
		"trigger": map[string]any{"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"},
		"steps": []any{
			map[string]any{"id": "say", "type": "ai_reason", "model": "quick", "prompt": "p", "output_schema": schema},
			map[string]any{"id": "rest", "type": "wait", "duration_seconds": int64(1), "if": map[string]any{
				"context": "run", "field": slices.Concat(jsonvalue.Path{"steps", "say", "output"}, path).String(), "operator": "exists", "value": true,
			}},
		},
	}
}

func TestAPathIsRefusedIfTheSchemaForbidsIt(t *testing.T) {
	t.Parallel()

	for schema, paths := range map[string]map[string]bool{
		`{}`: {"a": true, "a.b[0].c": true, "size": true, "[0]": true},

		`{"type":"object"}`: {"a.b": true, "[0]": true, "size": true},

		`{"type":"object","properties":{"a":{"type":"string"}}}`: {"a": true, "a.size": true, "a.b": false, "b": true},

		`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`: {"a": true, "b": false, "size": true, "first": false},

		`{"properties":{"a":{}},"additionalProperties":false}`: {"a.b": true, "b": false, "[0]": true},

		`{"type":["object","null"],"properties":{"a":{}},"additionalProperties":false}`: {"a": true, "b": false},

		`{"type":"object","additionalProperties":{"type":"number"}}`: {"a": true, "a.b": false},

		`{"type":"object","additionalProperties":false,"patternProperties":{"^x_":{"type":"number"}}}`: {"x_a": true, "x_a.b": false, "y": false},

		`{"type":"object","properties":{"a":{}},"unevaluatedProperties":false}`: {"a": true, "b": false},

		`{"type":"object","properties":{"a":{}},"allOf":[{"properties":{"b":{}}}],"unevaluatedProperties":false}`: {"b": true},

		`{"type":"array","items":{"type":"object","properties":{"a":{}},"additionalProperties":false}}`: {"[0].a": true, "first.a": true, "last.b": false, "[-1].a": true, "a": false, "size": true, "size.a": false},

		`{"type":"array","prefixItems":[{"type":"string"}],"items":false}`: {"[0]": true, "[1]": false, "last": true, "[0].a": false},

		`{"type":"array","maxItems":2}`: {"[1]": true, "[2]": false, "last": true},

		`{"type":"string"}`: {"size": true, "a": false, "[0]": false},

		`{"type":"boolean"}`: {"size": false},

		`{"enum":[{"a":1},{"b":[1]}]}`: {"a": true, "b[0]": true, "b[1]": false, "c": false},

		`{"const":{"a":1}}`: {"a": true, "b": false},

		`{"type":"object","properties":{"a":false}}`: {"a": false, "b": true},

		`{"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"}},"additionalProperties":false}},"$ref":"#/$defs/n"}`: {"next.next.next": true, "next.next.prev": false},

		`{"$defs":{"a/b":{"type":"string"}},"properties":{"x":{"$ref":"#/$defs/a~1b"}}}`: {"x": true, "x.y": false},

		`{"$ref":"#"}`: {"a.b.c": true},

		`{"anyOf":[{"type":"object","properties":{"a":{}},"additionalProperties":false},{"type":"object","properties":{"b":{}},"additionalProperties":false}]}`: {"a": true, "b": true, "c": false},

		`{"oneOf":[{"type":"string"},{"type":"object","properties":{"b":{}},"additionalProperties":false}]}`: {"b": true, "c": false, "size": true},

		`{"allOf":[{"properties":{"a":{}}},{"type":"object","properties":{"b":{}},"additionalProperties":false}]}`: {"a": false, "b": true},

		`{"not":{"required":["a"]}}`: {"a": true},

		`{"if":{"required":["a"]},"then":false}`: {"a": true},

		`{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"o":{"type":"object"}},"$ref":"#/definitions/o","additionalProperties":false}`: {"a": true},

		`{"$schema":"http://json-schema.org/draft-07/schema#","type":"array","items":[{"type":"string"}],"additionalItems":false}`: {"[0]": true, "[1]": false},

		`{"$defs":{"e":{"$id":"urn:e","$defs":{"o":{"type":"object"}},"properties":{"a":{"$ref":"#/$defs/o"}}}},"$ref":"#/$defs/e"}`: {"a.b": true},
	} {
		for text, want := range paths {
			path, err := jsonvalue.ParsePath(text)
			if err != nil {
				t.Fatal(err)
			}
			_, err = rules(t).Parse(asking(object(t, schema), path))
			if got := err == nil; got != want {
				t.Errorf("%s: %s is allowed: %v, want %v (%v)", schema, text, got, want, faults(err))
			}
		}
	}
}

// eachPath calls f with every path that leads to a value.
func eachPath(v any, at jsonvalue.Path, f func(jsonvalue.Path)) {
	f(at)
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			eachPath(v[name], slices.Concat(at, jsonvalue.Path{name}), f)
		}
	case []any:
		for i, e := range v {
			eachPath(e, slices.Concat(at, jsonvalue.Path{strconv.Itoa(i)}), f)
		}
	}
}

func answer(depth int) *rapid.Generator[any] {
	leaf := rapid.SampledFrom([]any{nil, true, int64(1), "x"})
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(answer(depth-1), 0, 2), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), answer(depth-1), 0, 3), func(m map[string]any) any { return m }))
}

func schemas(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if depth == 0 || rapid.IntRange(0, 9).Draw(t, "trivial") == 0 {
			return rapid.SampledFrom([]any{true, map[string]any{}, map[string]any{"type": "string"}, map[string]any{"enum": []any{int64(1), map[string]any{"a": "x"}}}}).Draw(t, "leaf")
		}
		sub := func() any { return schemas(depth-1).Draw(t, "sub") }
		m := map[string]any{}
		for _, keyword := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"type", "properties", "additionalProperties", "unevaluatedProperties", "patternProperties", "items", "prefixItems", "maxItems",
			"anyOf", "oneOf", "allOf", "not", "$ref", "if",
		}), 1, 5, rapid.ID).Draw(t, "keywords") {
			switch keyword {
			case "type":
				m[keyword] = rapid.SampledFrom([]any{"object", "array", []any{"object", "null"}, []any{"array", "string", "integer"}}).Draw(t, "type")
			case "properties":
				m[keyword] = map[string]any{"a": sub(), "b": sub()}
			case "patternProperties":
				m[keyword] = map[string]any{"^[bc]$": sub()}
			case "additionalProperties", "unevaluatedProperties":
				m[keyword] = rapid.SampledFrom([]any{false, true, sub()}).Draw(t, keyword)
			case "items", "not", "if":
				m[keyword] = sub()
			case "prefixItems", "anyOf", "oneOf", "allOf":
				m[keyword] = []any{sub(), sub()}
			case "maxItems":
				m[keyword] = int64(1)
			case "$ref":
				m[keyword] = "#/$defs/d"
			}
		}
		return m
	})
}

func TestAPathOfAValidAnswerIsNeverRefused(t *testing.T) {
	t.Parallel()

	r := rules(t)
	rapid.Check(t, func(t *rapid.T) {
		schema, ok := schemas(3).Draw(t, "schema").(map[string]any)
		if !ok {
			return
		}
		schema["$defs"] = map[string]any{"d": schemas(2).Draw(t, "definition")}
		compiled, err := definition.CompileSchema(schema)
		if err != nil {
			return
		}
		v := answer(3).Draw(t, "answer")
		if compiled.Validate(v) != nil {
			return
		}
		eachPath(v, nil, func(path jsonvalue.Path) {
			if _, err := r.Parse(asking(schema, path)); err != nil && errors.Is(err, definition.ErrConfig) {
				t.Errorf("%v has %s and %v allows it: %v", jsonvalue.Canonical(v), path, jsonvalue.Canonical(schema), faults(err))
			}
		})
	})
}
