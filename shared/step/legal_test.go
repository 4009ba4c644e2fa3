package step_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/template"
)

// ours returns the definitions of the system agents and all templates, by name.
func ours(t *testing.T) map[string]definition.Definition {
	t.Helper()
	all := map[string]definition.Definition{}
	system, err := agent.SystemAgents(rules(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range system {
		all[string(a.ID)] = a.Definition
	}
	templates, err := template.Load(template.Files, rules(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range templates {
		all[string(found.ID)] = found.Definition
	}
	return all
}

// TestAValidEventNeverExceedsTheLimitsOfAStep fills every step of these agents
// with events whose fields have the types of the catalogue's sample and any
// length, and with answers that the schemas allow.
func TestAValidEventNeverExceedsTheLimitsOfAStep(t *testing.T) {
	t.Parallel()

	for name, d := range ours(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			typ, ok := known(t).Event(d.Trigger.Event())
			if !ok {
				t.Fatalf("there is no event %s", d.Trigger.Event())
			}
			rapid.Check(t, func(t *rapid.T) { fills(t, d, legalEvent(t, typ)) })
		})
	}
}

// fills executes the steps of a definition with an event, including those of
// every branch.
func fills(t *rapid.T, d definition.Definition, e event.Event) {
	outputs := map[string]any{}
	scope := render.Scope{
		"event_payload": e.Payload, "event": e.Envelope(), "steps": outputs,
		"agent":     map[string]any{"id": "agent_1", "name": d.Name, "version": int64(1)},
		"execution": map[string]any{"id": "exec_1", "created_at": "2026-03-09T14:23:01Z", "retry_of": ""},
	}
	if rapid.Bool().Draw(t, "has a profile") {
		scope["client_context"] = map[string]any{
			"security_posture_score": int64(40), "recent_incidents": int64(3),
			"device_inventory": map[string]any{"count": int64(1), "devices": []any{"dev_1"}},
		}
	}
	definition.EachStep(d.Steps, func(s definition.Step) {
		var output any
		switch s.Kind {
		case definition.Branching:
			return
		case definition.Gate:
			if _, err := render.Text(s.Message, scope); err != nil {
				t.Errorf("the question of %s: %v", s.ID, err)
			}
			output = map[string]any{"decision": "approved"}
		case definition.Waiting:
			if until, err := render.Text(s.Until, scope); err != nil {
				t.Errorf("the wait %s until %q: %v", s.ID, until, err)
			}
		case definition.AI, definition.Action, definition.Notification:
			output = done(t, s, scope, e)
		}
		outputs[string(s.ID)] = map[string]any{"output": output}
		scope[s.Var()] = output
	})
}

// done executes a step and returns its output. Products and channels accept
// everything.
func done(t *rapid.T, s definition.Step, scope render.Scope, e event.Event) any {
	h := &fixture{answers: []answer{{text: "Done."}}}
	if s.AIStep != nil && s.Schema != nil {
		h.answers = []answer{{text: jsonvalue.Canonical(allowed(t, string(s.ID), s.Schema))}}
	}
	run := execution.New(execution.Execution{ID: "exec_1", Org: e.Org, Agent: "agent_1", Version: 1, Trigger: e}, time.Now())
	got, err := h.service().Do(t.Context(), step.Task{Run: run, Definition: s, Scope: scope, Lease: h})
	if err != nil || got.Status != execution.StepCompleted {
		t.Fatalf("%s %s: %v, %+v", s.Kind, s.ID, err, got.Error)
	}
	return got.Output
}

// legalEvent returns an event of a type with texts and lists of any allowed
// length and additional fields in some objects.
func legalEvent(t *rapid.T, typ catalog.EventType) event.Event {
	fixed := map[string]bool{}
	for _, f := range typ.Filterable {
		fixed[f.Path] = f.Type != catalog.String
	}
	left := 200 << 10
	payload, _ := grown(t, "", typ.Sample, fixed, &left).(map[string]any)
	product, name, _ := strings.Cut(typ.Name(), ":")
	detail := jsonvalue.Canonical(map[string]any{
		"id": "evt_1", "event_type": name, "source_product": product, "org_id": "org_a", "client_id": "cli_1",
		"payload": payload, "published_at": "2026-03-09T14:23:01Z",
	})
	e, err := event.Parse(product, name, []byte(detail))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// identifies reports whether a field holds an identifier or a time, never
// prose.
func identifies(path string) bool {
	return strings.HasSuffix(path, "_id") || strings.HasSuffix(path, "_at") || strings.HasSuffix(path, "_on") || strings.HasSuffix(path, "_to") ||
		strings.Contains(path, "email") || strings.Contains(path, "phone")
}

func grown(t *rapid.T, path string, v any, fixed map[string]bool, left *int) any {
	switch v := v.(type) {
	case string:
		if fixed[path] || identifies(path) {
			return v
		}
		return prose(t, path, v, left)
	case []any:
		out := slices.Clone(v)
		for i := range out {
			out[i] = grown(t, path, out[i], fixed, left)
		}
		for range rapid.IntRange(0, 200).Draw(t, "more of "+path) {
			if len(v) > 0 && *left > 1000 {
				*left -= len(jsonvalue.Canonical(v[0]))
				out = append(out, v[0])
			}
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out[name] = grown(t, strings.TrimPrefix(path+"."+name, "."), v[name], fixed, left)
		}
		return out
	}
	return v
}

// prose returns a text of any length with characters that templates and markups
// could interpret.
func prose(t *rapid.T, path, sample string, left *int) string {
	bit := rapid.SampledFrom([]string{
		sample + " ", "{{ event.id }}", "{% if %}", "line\r\n", "😀e\u0301", "<b>&amp;", "\"'\\|", "\u202e\u200b", "a", "", "- 1. [x](y)", "\x00",
	}).Draw(t, "text of "+path)
	n := rapid.SampledFrom([]int{0, 1, 3, 50, 1000, 70_000, 190_000}).Draw(t, "bytes of "+path)
	text := strings.Repeat(bit, n/max(len(bit), 1))
	for len(text) > 0 && len(jsonvalue.Canonical(text)) > *left {
		text = strings.ToValidUTF8(text[:len(text)/2], "")
	}
	*left -= len(jsonvalue.Canonical(text))
	return text
}

// allowed returns an answer that a schema allows, with texts of any allowed
// length.
func allowed(t *rapid.T, path string, schema map[string]any) any {
	if values, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(values).Draw(t, path)
	}
	switch schema["type"] {
	case "object":
		out := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			child, _ := properties[name].(map[string]any)
			out[name] = allowed(t, path+"."+name, child)
		}
		return out
	case "array":
		child, _ := schema["items"].(map[string]any)
		return []any{allowed(t, path+"[0]", child)}
	case "boolean":
		return rapid.Bool().Draw(t, path)
	case "integer", "number":
		low, _ := schema["minimum"].(int64)
		return low
	}
	length, ok := schema["maxLength"].(int64)
	if !ok {
		length = 4000 // the limit applies to the whole answer
	}
	return strings.Repeat(rapid.SampledFrom([]string{"é", "x", "&"}).Draw(t, path), int(length))
}
