package step_test

import (
	"encoding/json"
	"slices"
	"testing"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/jsonvalue"
)

// FuzzOutput checks that for every answer of a model the step either has an
// output that satisfies the schema and is charged, or failed and is not
// charged.
func FuzzOutput(f *testing.F) {
	const object = `{"type":"object","required":["p"],"properties":{"p":{"enum":["p1","p2"]},"n":{"type":"integer"}}}`
	for _, answer := range []string{
		`{"p":"p1"}`, ` {"p": "p2", "n": 12345678901234567890} `, `p1`, ``, `null`, `{"p":"p1"} {"p":"p2"}`, "{\"p\":\"\xff\"}", `{"p":"p9","p":"p1"}`,
		"```json\n{}\n```", `[[[[[[`, `{"p":1e999}`,
	} {
		f.Add(object, answer, `{"p":"p2","n":1.0}`)
		f.Add(``, answer, ``)
	}
	f.Add(`{"type":"string","pattern":"^(a+)+$"}`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"`, `"a"`)
	f.Add(`{"anyOf":[{"$ref":"#/$defs/x"}],"$defs":{"x":{"type":"array","items":{"$ref":"#"}}}}`, `[[],[[]]]`, `1`)
	f.Add(`{"multipleOf":0.1,"minimum":-1e300}`, `0.3`, `9007199254740993`)
	f.Fuzz(func(t *testing.T, schema, first, second string) {
		h := &fixture{answers: []answer{{text: first}, {text: second}}}
		task := task(t, h, plain+`}`)
		if schema != "" {
			doc, err := jsonvalue.Object([]byte(schema))
			if err != nil {
				return
			}
			task.Definition.Schema = doc
		}
		s, err := h.service().Do(t.Context(), task)
		switch {
		case err != nil:
			t.Fatalf("no result of %q: %v", first, err)
		case len(h.asked) > 2 || len(h.reserved) != 1:
			t.Errorf("%d questions, %d holds", len(h.asked), len(h.reserved))
		case s.Status == execution.StepFailed:
			if s.Error == nil || s.Output != nil || s.Charge != nil {
				t.Errorf("it failed with %+v", s)
			}
			return
		case s.Status != execution.StepCompleted || s.Error != nil || s.Charge == nil:
			t.Fatalf("it ended as %+v", s)
		}
		stored, err := json.Marshal(s.Output)
		if err != nil {
			t.Fatalf("the output of %q has no JSON: %v", first, err)
		}
		if schema == "" {
			whole, _ := s.Output.(map[string]any)
			if text, ok := whole["text"].(string); !ok || !slices.Contains([]string{first, second}, text) {
				t.Errorf("%q and %q became %s", first, second, stored)
			}
			return
		}
		output, err := jsonvalue.Decode(stored)
		if err != nil {
			t.Fatalf("%s is not read: %v", stored, err)
		}
		compiled, err := definition.CompileSchema(task.Definition.Schema)
		if err != nil {
			t.Fatalf("%s has an output: %v", schema, err)
		}
		if err := compiled.Validate(output); err != nil {
			t.Errorf("%s does not satisfy %s: %v", stored, schema, err)
		}
	})
}
