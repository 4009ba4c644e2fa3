package model

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
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

func TestGeneratedAnswersFitTheirSchema(t *testing.T) {
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

			got := generate(json.RawMessage(tt.schema), classify("the vpn is down for all users"))
			if err := valid(t, tt.schema, got); err != nil {
				t.Errorf("%s: %v", got, err)
			}
			if again := generate(json.RawMessage(tt.schema), classify("the vpn is down for all users")); !bytes.Equal(got, again) {
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
		if got := generate(json.RawMessage(wild), nil); !json.Valid(got) {
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

func TestTicketsAreClassifiedByTheirWords(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, prompt              string
		category, priority, skill string
	}{
		{"a network outage is urgent and for seniors", "Subject: VPN down for all users", "network", "p1", "senior"},
		{"a phishing mail is for security", "I got a phishing mail", "security", "p3", "security"},
		{"ransomware is always urgent", "Ransomware on the file server", "security", "p1", "senior"},
		{"a broken screen blocks work", "The screen of my laptop is broken", "hardware", "p2", "general"},
		{"a crash is a matter of software", "Excel crashes at start", "software", "p3", "general"},
		{"a question about a password can wait", "How do I change my password?", "user_access", "p4", "general"},
		{"the rest is general", "Please order more coffee", "general", "p3", "general"},
		{"a download is not down", "The download of the report is slow", "general", "p3", "general"},
		{"names of fields and lists of answers say nothing", `Choose category: network, security, hardware, software, user_access or general.
			{"network_id": "n1", "subject": "Coffee"}`, "general", "p3", "general"},
		{
			"only what stands in tags counts, if anything does", "Is it urgent? Is the network down?\n<event_data>\n{\"subject\": \"printer jam\"}\n</event_data>\nAnswer when ready.",
			"hardware", "p3", "general",
		},
		{"a tag without an end is only text", "wifi is slow in <room 5>", "network", "p3", "network"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			text := generate(json.RawMessage(dispatchSchema), classify(tt.prompt))
			if err := valid(t, dispatchSchema, text); err != nil {
				t.Fatal(err)
			}
			var got struct {
				Category string `json:"category"`
				Priority string `json:"priority"`
				Skill    string `json:"required_skill"`
			}
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.category, tt.priority, tt.skill}, []string{got.Category, got.Priority, got.Skill}); diff != "" {
				t.Errorf("category, priority, skill (-want +got):\n%s", diff)
			}
		})
	}
}
