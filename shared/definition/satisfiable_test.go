package definition_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
)

const acceptsNone = "accepts no value, so that every answer would be refused"

func TestASchemaThatAcceptsNothingIsRefused(t *testing.T) {
	t.Parallel()

	for _, schema := range []string{
		`{"not": {}}`, `{"not": true}`, `{"not": {"title": "all"}}`, `{"not": {"not": {"not": {}}}}`, `{"not": {"not": false}}`, `{"allOf": [false]}`, `{"allOf": [{}, {"not": {}}]}`,
		`{"anyOf": [false, {"not": {}}]}`, `{"oneOf": [false]}`, `{"oneOf": [{}, true]}`, `{"not": {"anyOf": [{"type": "string"}, {}]}}`,
		`{"not": {"anyOf": [{"type": ["string", "number", "null"]}, {"type": ["boolean", "array", "object"]}]}}`,
		`{"enum": []}`, `{"enum": [1], "type": "string"}`, `{"const": 1, "type": "string"}`, `{"const": 1, "enum": [2, 3]}`, `{"const": 5, "maximum": 4}`,
		`{"enum": ["ab", "cd"], "maxLength": 1}`, `{"enum": ["ab"], "pattern": "^x"}`, `{"enum": ["a"], "not": {"const": "a"}}`, `{"const": {"a": 1}, "required": ["b"]}`,
		`{"type": "string", "not": {"type": "string"}}`, `{"allOf": [{"type": "string"}, {"type": "number"}]}`, `{"type": "string", "allOf": [{"type": ["null", "object"]}]}`,
		`{"not": {"type": ["null", "boolean", "number", "string", "array", "object"]}}`, `{"type": "integer", "not": {"type": "number"}}`,
		`{"type": "number", "minimum": 2, "maximum": 1}`, `{"type": "number", "exclusiveMinimum": 1, "maximum": 1}`, `{"type": "integer", "minimum": 0.1, "maximum": 0.9}`,
		`{"type": "number", "multipleOf": 10, "minimum": 1, "maximum": 9}`, `{"type": "number", "allOf": [{"minimum": 5}, {"maximum": 4}]}`,
		`{"type": "string", "minLength": 2, "maxLength": 1}`, `{"type": "string", "minLength": 40000}`, `{"type": "string", "maxLength": 0}`, `{"const": ""}`, `{"enum": ["", " "]}`,
		`{"type": "array", "minItems": 2, "maxItems": 1}`, `{"type": "array", "minItems": 1, "items": false}`, `{"type": "array", "minItems": 2, "prefixItems": [{}], "items": {"not": {}}}`,
		`{"type": "array", "contains": false}`, `{"type": "array", "minItems": 20000}`, `{"type": "array", "minItems": 1, "items": {"enum": []}}`,
		`{"type": "object", "required": ["a"], "properties": {"a": false}}`, `{"type": "object", "required": ["a"], "properties": {"a": {"type": "object", "required": ["b"], "properties": {"b": {"not": {}}}}}}`,
		`{"type": "object", "required": ["a"], "additionalProperties": false}`, `{"type": "object", "required": ["a"], "properties": {"b": {}}, "additionalProperties": false}`,
		`{"type": "object", "required": ["abc"], "patternProperties": {"^a": false}}`, `{"type": "object", "required": ["a"], "propertyNames": false}`, `{"type": "object", "required": ["a", "b"], "maxProperties": 1}`,
		`{"type": "object", "minProperties": 2, "maxProperties": 1}`, `{"type": "object", "properties": {"a": {}}, "maxProperties": 0}`, `{"type": "object", "minProperties": 20000}`,
		`{"type": "object", "required": ["a"], "allOf": [{"properties": {"a": {"not": {}}}}]}`, `{"required": ["x"], "not": {"required": ["x"]}}`,
		`{"$ref": "#/$defs/x", "$defs": {"x": {"not": {}}}}`, `{"$ref": "#/$defs/x", "type": "string", "$defs": {"x": {"type": "number"}}}`, `{"$ref": "#/$defs/a~1b", "$defs": {"a/b": false}}`,
		`{"$schema": "http://json-schema.org/draft-07/schema#", "not": {}}`, `{"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": false}}`,
		`{"$ref": "#/$defs/list", "$defs": {"list": {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/list"}}}}}`,
		`{"type": "string", "anyOf": [{"type": "number"}, {"minLength": 5, "maxLength": 4}]}`, `{"if": {}, "then": false}`, `{"if": false, "else": {"not": {}}}`, `{"if": {"type": "string"}, "then": false, "else": false}`,
		`{"allOf": [{"type": "null"}]}`,
	} {
		if got := schemaFaults(t, schema); len(got) != 1 || !strings.Contains(got[0], acceptsNone) {
			t.Errorf("%s: %q", schema, got)
		}
	}
}

func TestASchemaThatAcceptsAValueIsKept(t *testing.T) {
	t.Parallel()

	for schema, answer := range map[string]string{
		`{}`: `1`, `{"not": {"type": "string"}}`: `1`, `{"not": {"type": "integer"}}`: `1.5`, `{"not": false}`: `1`, `{"not": {"not": {}}}`: `1`,
		`{"type": "null"}`: `null`, `{"type": "string", "maxLength": 1}`: `"a"`, `{"maxLength": 0}`: `5`, `{"minimum": 2, "maximum": 1}`: `"a"`,
		`{"type": "array", "contains": false, "minContains": 0}`: `[]`, `{"type": "array", "items": false}`: `[]`, `{"type": "array", "minItems": 1, "prefixItems": [{}], "items": false}`: `[1]`,
		`{"type": "object", "required": ["a"], "patternProperties": {"^a": {}}, "additionalProperties": false}`: `{"a": 1}`,
		`{"required": ["a"], "additionalProperties": false}`:                                                    `1`, `{"type": "object", "properties": {"a": false}}`: `{"b": 1}`, `{"properties": {"a": {"not": {}}}, "type": "object"}`: `{"b": 1}`,
		`{"type": "object", "required": ["next"], "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}}}`:                                         `{"next": null}`,
		`{"type": ["object", "string"], "maxLength": 0, "required": ["a"], "properties": {"a": {"$ref": "#"}}}`:                                                  `{"a": ""}`,
		`{"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}], "$defs": {"x": {"type": "string"}}}`:                                                          `"a"`,
		`{"type": "object", "required": ["a", "b"], "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string"}}}`: `{"a": "a", "b": "b"}`,
		`{"oneOf": [{"type": "string"}, {}]}`: `1`, `{"enum": [null, ""], "type": "null"}`: `null`, `{"type": "integer", "minimum": 0.5, "maximum": 1}`: `1`, `{"type": "number", "multipleOf": 3, "minimum": -1, "maximum": 1}`: `0`,
		`{"if": {"type": "string"}, "then": false}`: `1`, `{"not": {"required": ["x"]}, "properties": {"x": {}}}`: `{"y": 1}`,
		`{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/x", "type": "string", "definitions": {"x": {"type": "number"}}}`: `1`,
	} {
		if got := schemaFaults(t, schema); len(got) != 0 && strings.Contains(got[0], acceptsNone) {
			t.Errorf("%s accepts %s, and it is refused: %q", schema, answer, got)
		}
		v, err := jsonvalue.Decode([]byte(answer))
		if err != nil {
			t.Fatal(err)
		}
		if why := (definition.AIStep{Schema: object(t, schema)}).Misfit(t.Context(), v); why != "" {
			t.Errorf("%s refuses %s: %s", schema, answer, why)
		}
	}
}

// small generates JSON values of few texts, names and numbers, so that a random schema
// accepts some.
func small(depth int) *rapid.Generator[any] {
	leaf := rapid.SampledFrom([]any{nil, true, false, int64(0), int64(1), int64(2), int64(5), jsonvalue.Number("0.5"), "", "a", "b", "ab", "abc", []any{}, map[string]any{}})
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(
		leaf,
		rapid.SliceOfN(small(depth-1), 0, 3).AsAny(),
		rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), small(depth-1), 0, 3).AsAny(),
	)
}

// randomSchema generates schemas with many contradictions.
func randomSchema(t *rapid.T, depth int) any {
	if rapid.IntRange(0, 15).Draw(t, "boolean") == 0 {
		return rapid.Bool().Draw(t, "schema")
	}
	s := map[string]any{}
	inner := func() any {
		if depth == 0 {
			return rapid.SampledFrom([]any{true, false, map[string]any{}, map[string]any{"type": "string"}, map[string]any{"$ref": "#/$defs/x"}, map[string]any{"$ref": "#"}, map[string]any{"const": int64(1)}}).Draw(t, "leaf")
		}
		return randomSchema(t, depth-1)
	}
	list := func() any {
		var out []any
		for range rapid.IntRange(1, 3).Draw(t, "length") {
			out = append(out, inner())
		}
		return out
	}
	named := func() any {
		out := map[string]any{}
		for range rapid.IntRange(0, 2).Draw(t, "names") {
			out[rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")] = inner()
		}
		return out
	}
	types := []any{"null", "boolean", "number", "integer", "string", "array", "object"}
	for range rapid.IntRange(0, 4).Draw(t, "keywords") {
		word := rapid.SampledFrom([]string{
			"type", "types", "enum", "const", "not", "allOf", "anyOf", "oneOf", "if", "then", "else", "properties", "patternProperties", "additionalProperties",
			"propertyNames", "required", "minProperties", "maxProperties", "items", "prefixItems", "contains", "minContains", "minItems", "maxItems", "uniqueItems",
			"minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "$ref", "dependentRequired", "dependentSchemas",
			"unevaluatedProperties", "unevaluatedItems",
		}).Draw(t, "keyword")
		switch word {
		case "type":
			s["type"] = rapid.SampledFrom(types).Draw(t, "type")
		case "types":
			s["type"] = rapid.SliceOfNDistinct(rapid.SampledFrom(types), 1, 7, func(v any) any { return v }).Draw(t, "types")
		case "enum":
			s["enum"] = rapid.SliceOfN(small(1), 0, 3).Draw(t, "enum")
		case "const":
			s["const"] = small(1).Draw(t, "const")
		case "not", "if", "then", "else", "additionalProperties", "propertyNames", "items", "contains", "unevaluatedProperties", "unevaluatedItems":
			s[word] = inner()
		case "allOf", "anyOf", "oneOf", "prefixItems":
			s[word] = list()
		case "properties", "dependentSchemas":
			s[word] = named()
		case "patternProperties":
			s[word] = map[string]any{rapid.SampledFrom([]string{"^a", "b", "."}).Draw(t, "pattern"): inner()}
		case "required":
			s[word] = rapid.SliceOfNDistinct(rapid.SampledFrom([]any{"a", "b", "c"}), 0, 3, func(v any) any { return v }).Draw(t, "required")
		case "dependentRequired":
			s[word] = map[string]any{"a": []any{"b"}}
		case "uniqueItems":
			s[word] = true
		case "pattern":
			s[word] = rapid.SampledFrom([]string{"^a", "b$", "^$"}).Draw(t, "pattern")
		case "multipleOf":
			s[word] = rapid.SampledFrom([]any{int64(1), int64(3), jsonvalue.Number("0.5")}).Draw(t, "step")
		case "$ref":
			s[word] = rapid.SampledFrom([]string{"#", "#/$defs/x"}).Draw(t, "ref")
		default:
			s[word] = int64(rapid.IntRange(0, 3).Draw(t, word))
		}
	}
	return s
}

// Whatever a schema is: when it is refused for accepting nothing, no value fits it that
// is not an empty answer.
func TestNoSatisfiableSchemaIsRefused(t *testing.T) {
	t.Parallel()

	refused, accepted := 0, 0
	property := func(t *rapid.T) {
		root, isObject := randomSchema(t, 2).(map[string]any)
		if !isObject {
			return
		}
		root["$defs"] = map[string]any{"x": randomSchema(t, 1)}
		text, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonvalue.Object(text)
		if err != nil {
			t.Fatal(err)
		}
		empty := definition.AcceptsNothing(doc)
		step := definition.AIStep{Schema: doc}
		for range 30 {
			v := small(3).Draw(t, "value")
			if step.Empty(v) || !fits(t, step, v) {
				continue
			}
			accepted++
			if empty {
				t.Fatalf("%s accepts %s, and it is refused", text, jsonvalue.Canonical(v))
			}
		}
		if empty {
			refused++
		}
	}
	// Few random schemas accept nothing: there are more rounds until enough were drawn.
	for round := 0; round < 10 && (round == 0 || refused < 10); round++ {
		rapid.Check(t, property)
	}
	if refused < 5 || accepted < 50 {
		t.Errorf("%d schemas are refused, %d values accepted: the test shows little", refused, accepted)
	}
}

// fits reports whether a value fits the schema of a step.
func fits(t *rapid.T, step definition.AIStep, v any) bool {
	why := step.Misfit(t.Context(), v)
	return why == ""
}

// The search for contradictions takes a limited amount of work.
func TestLookingForContradictionsTakesALimitedAmountOfWork(t *testing.T) {
	t.Parallel()

	var wide []string
	for i := range 300 {
		wide = append(wide, fmt.Sprintf(`{"enum": [%d, "x"], "anyOf": [{"type": "string"}, {"minimum": %d}]}`, i, i))
	}
	for name, schema := range map[string]string{
		"required twice":    doubling(23, `{"type": "object", "required": ["a", "b"], "properties": {"a": NEXT, "b": NEXT}}`),
		"items twice":       doubling(23, `{"type": "array", "minItems": 2, "prefixItems": [NEXT, NEXT]}`),
		"many enums":        `{"allOf": [` + strings.Join(wide, ", ") + `]}`,
		"many alternatives": `{"anyOf": [` + strings.Join(wide, ", ") + `]}`,
		"a long chain":      strings.Repeat(`{"not": `, 60) + `{}` + strings.Repeat(`}`, 60),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := object(t, schema)
			within(t, func() { definition.AcceptsNothing(doc) })
		})
	}
}
