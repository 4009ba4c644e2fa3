package definition_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/outbox"
)

// A maker generates valid definitions.
type maker struct {
	*rapid.T

	catalog catalog.Catalog
	ids     []string        // the steps before this one on its path; templates may name them
	texts   map[string]bool // the AI steps without a schema
	fillers int             // steps that keep a list of steps from being empty
	left    int             // how many more steps are allowed
}

func pick[T any](m *maker, what string, from ...T) T { return rapid.SampledFrom(from).Draw(m.T, what) }

func (m *maker) maybe(what string) bool { return rapid.IntRange(0, 3).Draw(m.T, what) == 0 }

func (m *maker) text(what string, most int) string {
	s := rapid.StringN(1, most, -1).Draw(m.T, what)
	return strings.NewReplacer("\x00", "", "{", "(", "%", "").Replace(s) + "."
}

// words returns a text that may have placeholders.
func (m *maker) words(what string) string {
	paths := []string{"event_payload.subject", "event.id", "agent.name", "execution.id", `client_context.security_posture_score | default: "none"`}
	for _, id := range m.ids {
		paths = append(paths, "steps."+id+".output", m.output(id)+` | default: 5`)
	}
	s := m.text(what, 20)
	if rapid.Bool().Draw(m.T, "templated") {
		s += "{{ " + pick(m, "path", paths...) + " }}"
	}
	return s
}

func (m *maker) scalar() any {
	return rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.StringN(0, 5, -1).AsAny(), rapid.Int64Range(-1e6, 1e6).AsAny(),
		rapid.SampledFrom([]any{jsonvalue.Number("0.5"), jsonvalue.Number("-1.25"), jsonvalue.Number("1000000000000000000000")}),
	).Draw(m.T, "scalar")
}

// wanted returns a value that the operator takes.
func (m *maker) wanted(o condition.Operator) any {
	list := make([]any, rapid.IntRange(1, 3).Draw(m.T, "values"))
	for i := range list {
		list[i] = m.scalar()
	}
	candidates := []any{
		list, m.scalar(), rapid.Bool().Draw(m.T, "exists"), rapid.Int64().Draw(m.T, "number"), rapid.StringN(0, 5, -1).Draw(m.T, "part"),
	}
	for _, v := range candidates {
		if len(o.Takes("", v)) == 0 {
			return v
		}
	}
	m.Fatalf("%s takes none of %v", o, candidates)
	return nil
}

// output returns a path into the output of a step.
func (m *maker) output(id string) string {
	if m.texts[id] {
		return "steps." + id + ".output.text"
	}
	return "steps." + id + ".output.x"
}

func (m *maker) condition(depth int, contexts ...string) map[string]any {
	if depth > 0 && m.maybe("group") {
		list := make([]any, rapid.IntRange(1, 3).Draw(m.T, "members"))
		for i := range list {
			list[i] = m.condition(depth-1, contexts...)
		}
		return map[string]any{pick(m, "kind of group", "all", "any"): list}
	}
	o := pick(m, "operator", condition.Operators()...)
	context := pick(m, "context", contexts...)
	field := pick(m, "field", "priority", "a.b.0.c", "client_id")
	if context == "run" {
		field = "event_payload." + field
		if len(m.ids) > 0 {
			field = m.output(pick(m, "step", m.ids...))
		}
	}
	if context == "client_context" {
		field = pick(m, "field of the profile", "security_posture_score", "recent_incidents", "device_inventory.devices[0]")
	}
	return map[string]any{"context": context, "field": field, "operator": string(o), "value": m.wanted(o)}
}

// filter returns a filter that the catalogue allows for a field.
func (m *maker) filter(f catalog.Field) map[string]any {
	operators := []condition.Operator{condition.Exists}
	member := func() any { return rapid.StringN(0, 5, -1).Draw(m.T, "member") }
	switch f.Type {
	case catalog.Number:
		operators = append(operators, condition.Eq, condition.Ne, condition.Gt, condition.Gte, condition.Lt, condition.Lte, condition.In, condition.NotIn)
		member = func() any { return rapid.Int64().Draw(m.T, "member") }
	case catalog.Boolean:
		operators = append(operators, condition.Eq, condition.Ne)
		member = func() any { return rapid.Bool().Draw(m.T, "member") }
	case catalog.Enum:
		operators = append(operators, condition.Eq, condition.Ne, condition.In, condition.NotIn, condition.Contains)
		member = func() any { return pick(m, "member", f.EnumValues...) }
	case catalog.String:
		operators = append(operators, condition.Eq, condition.Ne, condition.In, condition.NotIn, condition.Contains, condition.StartsWith, condition.EndsWith)
	case catalog.Object, catalog.Array:
	}
	o := pick(m, "operator", operators...)
	v := m.wanted(o)
	switch o {
	case condition.Eq, condition.Ne:
		v = member()
	case condition.In, condition.NotIn:
		v = []any{member()}
	case condition.Exists, condition.Gt, condition.Gte, condition.Lt, condition.Lte, condition.Contains, condition.StartsWith, condition.EndsWith:
	}
	return map[string]any{"field": f.Path, "operator": string(o), "value": v}
}

// steps returns steps at a depth. approved says whether every path to the first step
// passes a gate that requires approval; the result says the same of the next step.
func (m *maker) steps(depth int, approved bool) ([]any, bool) {
	var out []any
	for range rapid.IntRange(1, 4).Draw(m.T, "steps") {
		if m.left == 0 {
			break
		}
		var s map[string]any
		s, approved = m.step(depth, approved)
		out = append(out, s)
	}
	return out, approved
}

func (m *maker) step(depth int, approved bool) (map[string]any, bool) {
	m.left--
	id := fmt.Sprintf("s%d", m.left)
	kinds := []string{"ai_reason", "product_action", "notification", "approval_gate", "wait"}
	if depth < definition.MaxDepth && m.left > 3 {
		kinds = append(kinds, "branch", "branch")
	}
	s := map[string]any{"id": id, "type": pick(m, "type", kinds...)}
	if m.maybe("name") {
		s["name"] = m.text("name", 10)
	}
	if m.maybe("if") {
		s["if"] = m.condition(2, "event", "client_context", "run")
	}
	if m.maybe("on_error") {
		s["on_error"] = pick(m, "on_error", "fail", "continue")
	}
	if m.maybe("retry") {
		s["retry"] = map[string]any{"max_attempts": int64(rapid.IntRange(1, 5).Draw(m.T, "attempts"))}
	}
	_, conditional := s["if"]
	certain := !conditional && s["on_error"] != "continue"
	switch s["type"] {
	case "ai_reason":
		s["model"], s["prompt"] = pick(m, "model", "quick", "standard", "premium", "expert"), m.words("prompt")
		if m.maybe("system") {
			s["system"] = m.words("system")
		}
		m.texts[id] = true
		if m.maybe("schema") {
			delete(m.texts, id)
			s["output_schema"] = map[string]any{"type": "object", "required": []any{"x"}, "minProperties": int64(1)}
		}
		if m.maybe("var") {
			s["output_var"] = "var_" + id
		}
	case "product_action":
		m.action(s, approved)
	case "notification":
		s["body"] = m.words("body")
		s["channel"], s["recipients"] = m.channel()
	case "approval_gate":
		s["message"] = m.words("message")
		if m.maybe("minimum") {
			s["min_approvals"] = int64(2)
		}
		if m.maybe("notify") {
			channel, recipients := m.channel()
			s["notify"] = []any{map[string]any{"channel": channel, "recipients": recipients}}
		}
		switch pick(m, "expiry", "", "deny", "approve", "escalate") {
		case "deny":
			s["on_expiry"] = "deny"
		case "approve":
			s["on_expiry"], certain = "approve", false
		case "escalate":
			to := map[string]any{"roles": []any{"owner"}, "timeout_seconds": int64(60)}
			if m.maybe("notify the second line") {
				channel, recipients := m.channel()
				to["notify"] = []any{map[string]any{"channel": channel, "recipients": recipients}}
			}
			s["on_expiry"], s["escalate_to"] = "escalate", to
		}
		approved = approved || certain
	case "wait":
		s["duration_seconds"] = rapid.Int64Range(1, definition.MaxWait).Draw(m.T, "seconds")
	case "branch":
		approved = m.branch(s, depth, approved, certain)
	}
	m.ids = append(m.ids, id)
	return s, approved
}

func (m *maker) branch(s map[string]any, depth int, approved, every bool) bool {
	var cases []any
	before := m.ids
	after := before
	for range rapid.IntRange(1, 2).Draw(m.T, "cases") {
		m.ids = slices.Clip(before)
		when := m.condition(2, "event", "client_context", "run")
		steps, ok := m.steps(depth+1, approved)
		if steps == nil {
			m.fillers++
			steps, ok = []any{map[string]any{"id": fmt.Sprintf("x%d", m.fillers), "type": "wait", "duration_seconds": int64(1)}}, approved
		}
		every = every && ok
		cases = append(cases, map[string]any{"when": when, "steps": steps})
		after = slices.Concat(after, m.ids[len(before):])
	}
	m.ids = slices.Clip(before)
	defer func() { m.ids = slices.Concat(after, m.ids[len(before):]) }()
	s["cases"] = cases
	if !m.maybe("no else") {
		if steps, ok := m.steps(depth+1, approved); steps != nil {
			s["else"] = steps
			return approved || every && ok
		}
	}
	return approved
}

// action sets an allowed action with the parameters of its sample.
func (m *maker) action(s map[string]any, approved bool) {
	actions := slices.DeleteFunc(m.catalog.Actions(), func(a catalog.Action) bool { return a.Destructive && !approved })
	a := pick(m, "action", actions...)
	params := map[string]any{}
	for _, p := range a.Params {
		if p.Required || rapid.Bool().Draw(m.T, "optional") {
			params[p.Name] = a.Sample[p.Name]
		}
		if _, ok := params[p.Name]; ok && m.maybe("templated param") {
			params[p.Name] = "{{ event_payload.x }}"
			if p.Role == catalog.Content && a.Risk.Highest() == catalog.Internal && len(m.ids) > 0 && m.maybe("by a step") {
				params[p.Name] = "{{ " + m.output(pick(m, "step", m.ids...)) + " | default: 5 }}"
			}
		}
	}
	s["product"], s["action"], s["params"] = a.Product, a.Action, params
}

func (m *maker) channel() (channel string, recipients []any) {
	channel = pick(m, "channel", "sms", "email", "slack", "teams", "webhook")
	switch channel {
	case "sms":
		return channel, []any{"+15551234567"}
	case "email":
		return channel, []any{"oncall@msp.example", "{{ event_payload.email }}"}
	}
	return channel, []any{"https://hooks.example/x"}
}

// definitions returns a generator of valid definitions, as documents.
func definitions(c catalog.Catalog) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		m := &maker{T: t, catalog: c, texts: map[string]bool{}, left: rapid.IntRange(1, 20).Draw(t, "at most")}
		e := pick(m, "event", c.Events()...)
		filters := []any{}
		for _, f := range e.Filterable {
			if m.maybe("filter") {
				filters = append(filters, m.filter(f))
			}
		}
		conditions := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "conditions") {
			conditions = append(conditions, m.condition(3, "event", "client_context"))
		}
		steps, _ := m.steps(1, false)
		trigger := map[string]any{"type": "bus_event", "source_product": e.Product, "event_type": e.Type, "filters": filters}
		if e.Product == outbox.Product || m.maybe("agent-triggered") {
			trigger["allow_agent_triggered"] = true
		}
		doc := map[string]any{
			"name": m.text("name", 50), "description": rapid.StringN(0, 50, -1).Draw(t, "description"),
			"category":   pick(m, "category", catalog.Categories()...),
			"trigger":    trigger,
			"conditions": conditions, "steps": steps,
			"conflict_behavior": pick(m, "conflict", "additive", "override"),
			"client_scope": pick[any](m, "scope", "all", map[string]any{"include": []any{"cli_a"}},
				map[string]any{"exclude": []any{}}, map[string]any{"include": []any{}}),
		}
		if m.maybe("limit") {
			doc["execution_limit"] = map[string]any{"max_per_hour": int64(rapid.IntRange(1, 100).Draw(t, "limit"))}
		}
		doc["description"] = strings.ReplaceAll(fmt.Sprint(doc["description"]), "\x00", "")
		return doc
	})
}

// drawn returns a random definition as a document, whose numbers have the types that
// decoding a request gives them.
func drawn(t *rapid.T, r definition.Rules, label string) map[string]any {
	doc, err := jsonvalue.Object([]byte(jsonvalue.Canonical(definitions(r.Catalog).Draw(t, label))))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestADefinitionSurvivesItsJSON(t *testing.T) {
	t.Parallel()

	r := rules(t)
	rapid.Check(t, func(t *rapid.T) {
		doc := drawn(t, r, "definition")
		d, err := r.Parse(doc)
		if err != nil {
			t.Fatalf("refused:\n%s\n%s", strings.Join(faults(err), "\n"), jsonvalue.Canonical(doc))
		}
		first, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(jsonvalue.Canonical(doc), canonical(t, first)); diff != "" {
			t.Errorf("parsing changes the document:\n%s", diff)
		}
		var stored definition.Definition
		if err := json.Unmarshal(first, &stored); err != nil {
			t.Fatal(err)
		}
		second, err := json.Marshal(stored)
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(second) {
			t.Errorf("storing and reading changes it:\n%s\n%s", first, second)
		}
		if err := r.Valid(stored); err != nil {
			t.Errorf("the stored definition is not valid: %v", faults(err))
		}
	})
}

func canonical(t fataler, data []byte) string {
	v, err := jsonvalue.Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return jsonvalue.Canonical(v)
}

func TestOneUnknownFieldAnywhereIsRefused(t *testing.T) {
	t.Parallel()

	r := rules(t)
	rapid.Check(t, func(t *rapid.T) {
		doc := drawn(t, r, "definition")
		places := objects("", doc)
		at := rapid.SampledFrom(slices.Sorted(maps.Keys(places))).Draw(t, "place")
		places[at]["zz_unknown"] = "x"
		_, err := r.Parse(doc)
		want := strings.TrimPrefix(at+".zz_unknown", ".")
		if !slices.ContainsFunc(faults(err), func(f string) bool { return strings.HasPrefix(f, want+": ") }) {
			t.Errorf("%s is not refused: %v", want, faults(err))
		}
	})
}

// objects returns the objects of a definition that have a fixed set of fields, by
// path.
func objects(path string, v any) map[string]map[string]any {
	out := map[string]map[string]any{}
	switch v := v.(type) {
	case map[string]any:
		out[path] = v
		for k, e := range v {
			// The tenant chooses the fields of these, and of parameters.
			if k != "output_schema" && k != "value" && !strings.HasSuffix(path, ".params") {
				maps.Copy(out, objects(strings.TrimPrefix(path+"."+k, "."), e))
			}
		}
	case []any:
		for i, e := range v {
			maps.Copy(out, objects(fmt.Sprintf("%s[%d]", path, i), e))
		}
	}
	return out
}
