package definition_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
)

func TestASchemaHasTheOrderOfItsAuthor(t *testing.T) {
	t.Parallel()

	for _, text := range []string{
		`null`,
		`{}`,
		`{"type":"object","properties":{"verdict":{"type":"string","enum":["trouble","noise"]},"confidence":{"type":"number","minimum":0,"maximum":1}},"required":["verdict","confidence"]}`,
		`{"description":"<a> & b","type":"array","items":{"type":"object","properties":{"b":true,"a":{"const":{"a":1,"z":2}},"c":false},"required":["b"]},"maxItems":3,"x-other":{"b":1,"d":2}}`,
		`{"type":["object","null"],"properties":[],"required":"a","additionalProperties":{"type":"string","maxLength":5},"oneOf":[{"type":"string","pattern":"^x$"},7]}`,
	} {
		var schema definition.Schema
		if text != "null" {
			schema = object(t, text)
		}
		got, err := schema.MarshalJSON()
		if err != nil || string(got) != text {
			t.Errorf("%s, %v\nwant %s", got, err, text)
		}
	}
}

func TestTheJSONOfASchemaIsTheSchema(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		schema, ok := randomSchema(t, 3).(map[string]any)
		if !ok {
			t.Skip()
		}
		text, err := json.Marshal(definition.Schema(schema))
		if err != nil {
			t.Fatal(err)
		}
		again, err := jsonvalue.Object(text)
		if err != nil || jsonvalue.Canonical(again) != jsonvalue.Canonical(schema) {
			t.Fatalf("%s, %v", text, err)
		}
	})
}
