package simulate_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"theoneagents.app/agents/shared/rehearsal/simulate"
)

// dispatchSchema is the output schema of the system agent Dispatch.
const dispatchSchema = `{"type": "object", "additionalProperties": false,
	"required": ["priority", "category", "required_skill", "urgency_notes", "draft_response"],
	"properties": {
		"priority": {"type": "string", "enum": ["p1", "p2", "p3", "p4"]},
		"category": {"type": "string", "enum": ["network", "security", "hardware", "software", "user_access", "general"]},
		"required_skill": {"type": "string", "enum": ["senior", "network", "security", "general"]},
		"urgency_notes": {"type": "string", "maxLength": 500},
		"draft_response": {"type": "string", "minLength": 1, "maxLength": 60}}}`

// hints are likely values, of which a schema may allow some.
var hints = map[string]any{"category": "network", "priority": "p1", "required_skill": "senior", "noise": false}

func TestAnswersFitTheirSchema(t *testing.T) {
	t.Parallel()

	tests := []struct{ name, schema string }{
		{"an object with what is required", `{"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string"}}}`},
		{"unlisted required properties follow additionalProperties", `{"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}}`},
		{"an enum", `{"enum": [3, "x", null]}`},
		{"a constant", `{"const": {"a": [1, 2]}}`},
		{"numbers within bounds", `{"type": "object", "required": ["a", "b", "c", "d", "e", "f"], "properties": {
			"a": {"type": "integer", "minimum": 10, "maximum": 12}, "b": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
			"c": {"type": "integer", "exclusiveMinimum": 3}, "d": {"type": "number", "maximum": -5}, "e": {"type": "integer", "multipleOf": 7, "minimum": 8},
			"f": {"minimum": 0.2, "maximum": 0.9}}}`},
		{"a long text", `{"type": "string", "minLength": 300}`},
		{"a short text", `{"type": "object", "properties": {"description": {"type": "string", "maxLength": 2}}}`},
		{"an empty text", `{"type": "string", "maxLength": 0}`},
		{"a list with enough entries", `{"type": "array", "items": {"type": "string"}, "minItems": 3}`},
		{"a list with no room", `{"type": "array", "items": {"type": "string"}, "maxItems": 0}`},
		{"a list of different entries", `{"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": true}`},
		{"a list of different numbers", `{"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 4}, "minItems": 4, "uniqueItems": true}`},
		{"a list of different objects", `{"type": "array", "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "string"}}}, "minItems": 4, "uniqueItems": true}`},
		{"a list that begins otherwise", `{"prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": {"type": "string"}, "minItems": 4}`},
		{"the first of several", `{"anyOf": [{"type": "integer", "minimum": 5}, {"type": "string"}]}`},
		{"exactly one of several", `{"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}, "oneOf": [
			{"properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}, "required": ["n"]}, {"properties": {"kind": {"const": "b"}}}]}`},
		{"all of several", `{"allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
			{"required": ["b"], "properties": {"b": {"type": "boolean"}}}]}`},
		{"a reference", `{"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/level"}}, "$defs": {"level": {"enum": ["low", "high"]}}}`},
		{"a reference to a reference", `{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b~1c"}, "b/c": {"type": "integer"}}}`},
		{"a schema that holds itself", `{"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["name"], "properties": {
			"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}, "left": {"$ref": "#/$defs/node"}}}}}`},
		{"a type that may be null", `{"type": "object", "required": ["a", "b"], "properties": {"a": {"type": ["null", "integer"]}, "b": {"type": "null"}}}`},
		{"formats", `{"type": "object", "required": ["a", "b", "c", "d", "e"], "properties": {"a": {"type": "string", "format": "date-time"},
			"b": {"type": "string", "format": "email"}, "c": {"type": "string", "format": "uri"}, "d": {"type": "string", "format": "uuid"}, "e": {"type": "string", "format": "ipv6"}}}`},
		{"patterns", `{"type": "object", "required": ["a", "b", "c"], "properties": {"a": {"type": "string", "pattern": "^p[1-4]$"},
			"b": {"type": "string", "pattern": "^(INC|REQ)-[0-9]{4}(-x)?$"}, "c": {"type": "string", "pattern": "^[^a]+\\.\\w{2,}$"}}}`},
		{"anything at all", `{}`},
		{"true", `true`},
		{"Dispatch's own", dispatchSchema},
		{"hints that are of another type", `{"type": "object", "required": ["priority", "category", "noise"], "properties": {
			"priority": {"type": "integer"}, "category": {"enum": ["fruit"]}, "noise": {"type": "string"}}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			got := simulate.Answer(json.RawMessage(tt.schema), hints)
			if err := valid(t, tt.schema, got); err != nil {
				t.Errorf("%s: %v", got, err)
			}
			if again := simulate.Answer(json.RawMessage(tt.schema), hints); !bytes.Equal(got, again) {
				t.Errorf("first %s, then %s", got, again)
			}
		})
	}
}

func TestRecursiveAndHugeSchemasEnd(t *testing.T) {
	t.Parallel()

	for _, wild := range []string{
		`{"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]}`,
		`{"type": "object", "required": ["a", "b", "c"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}}}`,
		`{"type": "array", "minItems": 1e9, "items": {"type": "array", "minItems": 1e9, "items": {"type": "string", "minLength": 3}}}`,
		`{"$ref": "https://elsewhere.example/schema.json"}`,
		`not json`,
	} {
		if got := simulate.Answer(json.RawMessage(wild), nil); !json.Valid(got) {
			t.Errorf("%s: %s", wild, got)
		}
	}
}

func valid(t *testing.T, schema string, answer []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(schema)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("mem:///schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///schema.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}
