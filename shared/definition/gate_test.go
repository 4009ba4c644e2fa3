package definition_test

import (
	"fmt"
	"strings"
	"testing"
)

// Parts of definitions, as JSON: a condition, and a step that is not destructive.
const (
	always = `{"field":"priority","operator":"eq","value":"p1"}`
	tell   = `{"id":"tell%d","type":"notification","channel":"sms","recipients":["+15551234567"],"body":"x"}`
)

// A plan generates steps with unique ids.
type plan struct{ n int }

func (p *plan) next() int {
	p.n++
	return p.n
}

// gate returns a gate with additional fields, such as `"on_expiry":"approve"`.
func (p *plan) gate(more ...string) string {
	fields := append([]string{fmt.Sprintf(`"id":"gate%d","type":"approval_gate","message":"?"`, p.next())}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

func (p *plan) harm() string {
	return fmt.Sprintf(`{"id":"harm%d","type":"product_action","product":"defend","action":"isolate_device","params":{"device_id":"d"}}`, p.next())
}

func (p *plan) tell() string { return fmt.Sprintf(tell, p.next()) }

// branch returns a branch with additional fields, a case for each way but the last,
// and the last way as its else, or no else if it is nil.
func (p *plan) branch(more string, ways ...[]string) string {
	var cases []string
	for _, steps := range ways[:len(ways)-1] {
		cases = append(cases, `{"when":`+always+`,"steps":[`+strings.Join(steps, ",")+`]}`)
	}
	otherwise := ""
	if last := ways[len(ways)-1]; last != nil {
		otherwise = `,"else":[` + strings.Join(last, ",") + `]`
	}
	if more != "" {
		more += ","
	}
	return fmt.Sprintf(`{"id":"branch%d","type":"branch",%s"cases":[%s]%s}`, p.next(), more, strings.Join(cases, ","), otherwise)
}

func TestADestructiveActionNeedsAGateOnEveryPath(t *testing.T) {
	t.Parallel()

	const (
		ifs       = `"if":` + always
		continues = `"on_error":"continue"`
		approves  = `"on_expiry":"approve"`
		denies    = `"on_expiry":"deny"`
		escalates = `"on_expiry":"escalate","escalate_to":{"roles":["admin"]}`
	)
	way := func(steps ...string) []string { return steps }
	for name, tc := range map[string]struct {
		steps func(p *plan) []string
		want  string // paths of the refused steps
	}{
		"without a gate":                        {func(p *plan) []string { return way(p.harm()) }, "steps[0]"},
		"with a gate before":                    {func(p *plan) []string { return way(p.gate(), p.harm()) }, ""},
		"with a gate long before":               {func(p *plan) []string { return way(p.gate(), p.tell(), p.tell(), p.harm(), p.harm()) }, ""},
		"with a gate after":                     {func(p *plan) []string { return way(p.harm(), p.gate()) }, "steps[0]"},
		"twice, with a gate between":            {func(p *plan) []string { return way(p.harm(), p.gate(), p.harm()) }, "steps[0]"},
		"with a gate that denies on expiry":     {func(p *plan) []string { return way(p.gate(denies), p.harm()) }, ""},
		"with a gate that escalates":            {func(p *plan) []string { return way(p.gate(escalates), p.harm()) }, ""},
		"with a gate that fails on errors":      {func(p *plan) []string { return way(p.gate(`"on_error":"fail"`), p.harm()) }, ""},
		"with a gate that approves on expiry":   {func(p *plan) []string { return way(p.gate(approves), p.harm()) }, "steps[1]"},
		"with a gate that has an if":            {func(p *plan) []string { return way(p.gate(ifs), p.harm()) }, "steps[1]"},
		"with a gate that goes on after errors": {func(p *plan) []string { return way(p.gate(continues), p.harm()) }, "steps[1]"},
		"with a gate behind one that has an if": {func(p *plan) []string { return way(p.gate(ifs), p.gate(), p.harm()) }, ""},
		"with a gate before one that has an if": {func(p *plan) []string { return way(p.gate(), p.gate(ifs), p.harm()) }, ""},
		"under an if without a gate": {func(p *plan) []string {
			return way(strings.Replace(p.harm(), `"type"`, ifs+`,"type"`, 1))
		}, "steps[0]"},

		"in a case without a gate":        {func(p *plan) []string { return way(p.branch("", way(p.harm()), nil)) }, "steps[0].cases[0].steps[0]"},
		"in a case with a gate before":    {func(p *plan) []string { return way(p.branch("", way(p.gate(), p.harm()), nil)) }, ""},
		"in an else with a gate before":   {func(p *plan) []string { return way(p.branch("", way(p.tell()), way(p.gate(), p.harm()))) }, ""},
		"in a case behind a gate outside": {func(p *plan) []string { return way(p.gate(), p.branch("", way(p.harm()), way(p.harm()))) }, ""},
		"in a case, the gate in another":  {func(p *plan) []string { return way(p.branch("", way(p.gate()), way(p.harm()), nil)) }, "steps[0].cases[1].steps[0]"},
		"in an else, the gate in a case":  {func(p *plan) []string { return way(p.branch("", way(p.gate()), way(p.harm()))) }, "steps[0].else[0]"},
		"in every way without a gate": {func(p *plan) []string {
			return way(p.branch("", way(p.harm()), way(p.tell(), p.harm()), way(p.harm())))
		}, "steps[0].cases[0].steps[0] steps[0].cases[1].steps[1] steps[0].else[0]"},

		"after a branch that asks in every way": {func(p *plan) []string {
			return way(p.branch("", way(p.gate()), way(p.gate()), way(p.gate())), p.harm())
		}, ""},
		"after a branch that asks but has no else":     {func(p *plan) []string { return way(p.branch("", way(p.gate()), way(p.gate()), nil), p.harm()) }, "steps[1]"},
		"after a branch that has an empty else":        {func(p *plan) []string { return way(p.branch("", way(p.gate()), way()), p.harm()) }, "steps[1]"},
		"after a branch that does not ask in its else": {func(p *plan) []string { return way(p.branch("", way(p.gate()), way(p.tell())), p.harm()) }, "steps[1]"},
		"after a branch with one case without a gate": {func(p *plan) []string {
			return way(p.branch("", way(p.gate()), way(p.tell()), way(p.gate())), p.harm())
		}, "steps[1]"},
		"after a branch whose gate has an if":          {func(p *plan) []string { return way(p.branch("", way(p.gate(ifs)), way(p.gate())), p.harm()) }, "steps[1]"},
		"after a branch whose gate approves on expiry": {func(p *plan) []string { return way(p.branch("", way(p.gate()), way(p.gate(approves))), p.harm()) }, "steps[1]"},
		"after a branch that has an if":                {func(p *plan) []string { return way(p.branch(ifs, way(p.gate()), way(p.gate())), p.harm()) }, "steps[1]"},
		"after a branch that goes on after errors":     {func(p *plan) []string { return way(p.branch(continues, way(p.gate()), way(p.gate())), p.harm()) }, "steps[1]"},
		"inside a branch that has an if, after its gate": {func(p *plan) []string {
			return way(p.branch(ifs, way(p.gate(), p.harm()), nil))
		}, ""},
		"after a branch without gates, behind a gate": {func(p *plan) []string { return way(p.gate(), p.branch("", way(p.tell()), nil), p.harm()) }, ""},

		"after a branch in a branch that asks everywhere": {func(p *plan) []string {
			return way(p.branch("", way(p.branch("", way(p.gate()), way(p.gate()))), way(p.tell(), p.gate())), p.harm())
		}, ""},
		"after a branch in a branch that does not": {func(p *plan) []string {
			return way(p.branch("", way(p.branch("", way(p.gate()), nil)), way(p.gate())), p.harm())
		}, "steps[1]"},
		"after a branch in a branch, a gate behind it": {func(p *plan) []string {
			return way(p.branch("", way(p.branch("", way(p.tell()), nil), p.gate()), way(p.gate())), p.harm())
		}, ""},
		"deep inside, the gate one level up": {func(p *plan) []string {
			return way(p.branch("", way(p.gate(), p.branch("", way(p.branch("", way(p.harm()), nil)), nil)), nil))
		}, ""},
		"deep inside, the gate beside": {func(p *plan) []string {
			return way(p.branch("", way(p.branch("", way(p.gate()), nil), p.branch("", way(p.harm()), nil)), nil))
		}, "steps[0].cases[0].steps[1].cases[0].steps[0]"},
		"before the branch that asks": {func(p *plan) []string { return way(p.harm(), p.branch("", way(p.gate()), way(p.gate()))) }, "steps[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc := read(t, "reference")
			edit(t, doc, "steps", "["+strings.Join(tc.steps(&plan{}), ",")+"]")
			_, err := rules(t).Parse(doc)
			var refused []string
			for _, f := range faults(err) {
				path, message, _ := strings.Cut(f, ": ")
				if !strings.Contains(message, "defend:isolate_device is destructive") {
					t.Errorf("another fault: %s", f)
				}
				refused = append(refused, path)
			}
			if got := strings.Join(refused, " "); got != tc.want {
				t.Errorf("refused %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAHarmlessActionNeedsNoGate(t *testing.T) {
	t.Parallel()

	doc := read(t, "reference")
	edit(t, doc, "steps", `[{"id":"a","type":"product_action","product":"defend","action":"unisolate_device","params":{"device_id":"d"}}]`)
	parse(t, doc)
}

func TestEveryDestructiveActionNeedsAGate(t *testing.T) {
	t.Parallel()

	n := 0
	for _, a := range rules(t).Catalog.Actions() {
		doc := read(t, "reference")
		step := map[string]any{"id": "act", "type": "product_action", "product": a.Product, "action": a.Action, "params": a.Sample}
		doc["steps"] = value(t, "["+text(t, step)+"]")
		_, err := rules(t).Parse(doc)
		if got := faults(err); a.Destructive != (len(got) == 1 && strings.Contains(got[0], "destructive")) || !a.Destructive && err != nil {
			t.Errorf("%s, destructive %t: %v", a.Name(), a.Destructive, got)
		}
		p := &plan{}
		doc["steps"] = value(t, "["+p.gate()+","+text(t, step)+"]")
		if _, err := rules(t).Parse(doc); err != nil {
			t.Errorf("%s behind a gate: %v", a.Name(), faults(err))
		}
		if a.Destructive {
			n++
		}
	}
	if n < 5 {
		t.Errorf("%d actions are destructive", n)
	}
}

// think returns a model's step.
func think(id string) string {
	return fmt.Sprintf(`{"id":"%s","type":"ai_reason","model":"quick","prompt":"p","output_var":"%s_said"}`, id, id)
}

// called returns the step with another id.
func called(id, step string) string {
	_, rest, _ := strings.Cut(step, ",")
	return `{"id":"` + id + `",` + rest
}

// harmTo returns a destructive action on the device that a template names.
func (p *plan) harmTo(template string) string {
	return strings.Replace(p.harm(), `"device_id":"d"`, `"device_id":"`+template+`"`, 1)
}

// Approvers must see the final parameters of a destructive action, so these must
// be known at the last gate before the action.
func TestApproversSeeTheParametersOfADestructiveAction(t *testing.T) {
	t.Parallel()

	const ifs = `"if":` + always
	way := func(steps ...string) []string { return steps }
	for name, tc := range map[string]struct {
		steps func(p *plan) []string
		want  string // paths of the refused texts
	}{
		"a value of the event": {func(p *plan) []string {
			return way(p.gate(), p.harmTo("{{ event_payload.device_id }}{{ event.id }}{{ client_context.recent_incidents | default: 1 }}{{ agent.id }}{{ execution.id }}"))
		}, ""},
		"an output from before the gate": {func(p *plan) []string { return way(think("ai"), p.gate(), p.harmTo("{{ ai_said.text }}")) }, ""},
		"an output from after the gate":  {func(p *plan) []string { return way(p.gate(), think("ai"), p.harmTo("{{ ai_said.text }}")) }, "steps[2].params.device_id"},
		"by the step's id":               {func(p *plan) []string { return way(p.gate(), think("ai"), p.harmTo("{{ steps.ai.output.text }}")) }, "steps[2].params.device_id"},
		"in a filter's argument": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.harmTo(`{{ event_payload.x | default: ai_said.text }}`))
		}, "steps[2].params.device_id"},
		"an action's reply from after the gate": {func(p *plan) []string {
			return way(p.gate(), called("made", p.harm()), p.harmTo("{{ made.x }}"))
		}, "steps[2].params.device_id"},
		"the output of the gate itself": {func(p *plan) []string {
			return way(called("ask", p.gate()), p.harmTo("{{ steps.ask.output.note }}"))
		}, "steps[1].params.device_id"},
		"the output of an earlier gate": {func(p *plan) []string {
			return way(called("ask", p.gate()), p.gate(), p.harmTo("{{ steps.ask.output.note }}"))
		}, ""},
		"a parameter of a harmless action": {func(p *plan) []string {
			return way(p.gate(), think("ai"), strings.Replace(p.harmTo("{{ event_payload.device_id }}"), "isolate_", "unisolate_", 1))
		}, ""},

		"after a second gate":                {func(p *plan) []string { return way(p.gate(), think("ai"), p.gate(), p.harmTo("{{ ai_said.text }}")) }, ""},
		"after a second gate that has an if": {func(p *plan) []string { return way(p.gate(), think("ai"), p.gate(ifs), p.harmTo("{{ ai_said.text }}")) }, "steps[3].params.device_id"},
		"after the second gate":              {func(p *plan) []string { return way(p.gate(), p.gate(), think("ai"), p.harmTo("{{ ai_said.text }}")) }, "steps[3].params.device_id"},
		"in two actions": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.harmTo("{{ ai_said.text }}"), p.harmTo("{{ ai_said.text }}"))
		}, "steps[2].params.device_id steps[3].params.device_id"},
		"without a gate, only the gate is demanded": {func(p *plan) []string { return way(think("ai"), p.harmTo("{{ ai_said.text }}")) }, "steps[1]"},

		"in a case, after the gate before the branch": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.branch("", way(p.harmTo("{{ ai_said.text }}")), nil))
		}, "steps[2].cases[0].steps[0].params.device_id"},
		"in a case, after a gate of its own": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.branch("", way(p.gate(), p.harmTo("{{ ai_said.text }}")), nil))
		}, ""},
		"in another case than the gate": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.branch("", way(p.gate()), way(p.harmTo("{{ ai_said.text }}"))))
		}, "steps[2].else[0].params.device_id"},
		"after a branch that asks again on every way": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.branch("", way(p.gate()), way(p.gate())), p.harmTo("{{ ai_said.text }}"))
		}, ""},
		"after a branch that asks again on one way": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.branch("", way(p.gate()), way(p.tell())), p.harmTo("{{ ai_said.text }}"))
		}, "steps[3].params.device_id"},
		"after a branch that asks again and has no else": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.branch("", way(p.gate()), nil), p.harmTo("{{ ai_said.text }}"))
		}, "steps[3].params.device_id"},
		"after a branch that asks again and has an if": {func(p *plan) []string {
			return way(p.gate(), think("ai"), p.branch(ifs, way(p.gate()), way(p.gate())), p.harmTo("{{ ai_said.text }}"))
		}, "steps[3].params.device_id"},
		"an output of a case, after the gate": {func(p *plan) []string {
			return way(p.gate(), p.branch("", way(think("ai")), nil), p.harmTo("{{ ai_said.text | default: 1 }}"))
		}, "steps[2].params.device_id"},
		"an output of a case, before its gate": {func(p *plan) []string {
			return way(p.branch("", way(think("ai"), p.gate()), way(p.gate())), p.harmTo("{{ ai_said.text | default: 1 }}"))
		}, ""},
		"an output of a case, after its gate": {func(p *plan) []string {
			return way(p.branch("", way(p.gate(), think("ai")), way(p.gate())), p.harmTo("{{ ai_said.text | default: 1 }}"))
		}, "steps[1].params.device_id"},
		"the chosen case, before the gate": {func(p *plan) []string {
			return way(called("br", p.branch("", way(p.gate()), way(p.gate()))), p.harmTo("{{ steps.br.output.case }}"))
		}, ""},
		"the chosen case, after the gate": {func(p *plan) []string {
			return way(p.gate(), called("br", p.branch("", way(p.tell()), nil)), p.harmTo("{{ steps.br.output.case }}"))
		}, "steps[2].params.device_id"},
		"the chosen case, after the gate on one path": {func(p *plan) []string {
			return way(p.gate(), called("br", p.branch("", way(p.gate()), nil)), p.harmTo("{{ steps.br.output.case }}"))
		}, "steps[2].params.device_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc := read(t, "reference")
			edit(t, doc, "steps", "["+strings.Join(tc.steps(&plan{}), ",")+"]")
			_, err := rules(t).Parse(doc)
			var refused []string
			for _, f := range faults(err) {
				path, message, _ := strings.Cut(f, ": ")
				if !strings.Contains(message, "move the gate behind the step") && !strings.Contains(message, "is destructive") {
					t.Errorf("another fault: %s", f)
				}
				refused = append(refused, path)
			}
			if got := strings.Join(refused, " "); got != tc.want {
				t.Errorf("refused %q, want %q", got, tc.want)
			}
		})
	}
}
