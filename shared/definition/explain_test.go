package definition_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// agrees fails the test unless Judge answers as the first check that does not hold, and
// returns the outcome and the number of checks that do not.
func agrees(t *testing.T, d definition.Definition, f func() condition.Facts) (definition.Outcome, int) {
	t.Helper()
	outcome, why := d.Judge(f())
	checks := d.Explain(f())
	first := definition.Check{Outcome: definition.Started}
	failed := 0
	for _, c := range checks {
		if c.Holds() != (c.Why == "") {
			t.Fatalf("%s holds: %t, because %q", c.Path, c.Holds(), c.Why)
		}
		if !c.Holds() {
			if failed++; failed == 1 {
				first = c
			}
		}
	}
	if outcome != first.Outcome || why != first.Why {
		t.Fatalf("Judge says %s (%s), the first check that fails %s (%s):\n%+v", outcome, why, first.Outcome, first.Why, d)
	}
	parts := 1 + len(d.Trigger.Filters) + len(d.Conditions)
	if d.Scope.Include != nil || d.Scope.Exclude != nil {
		parts++
	}
	if f().Event.AgentTriggered() {
		parts++
	}
	if len(checks) != parts {
		t.Fatalf("%d checks of %d parts", len(checks), parts)
	}
	return outcome, failed
}

func TestJudgeIsTheFirstCheckThatDoesNotHold(t *testing.T) {
	t.Parallel()

	d := dealer{rand.New(rand.NewPCG(2026, 16))}
	several, seen := 0, map[definition.Outcome]int{}
	for n := range 30_000 {
		p := d.pair()
		def, facts := p.definition(t), p.facts(t)
		def.Trigger.Product, def.Trigger.EventType = "psa", "a"
		if n%5 == 0 {
			def.Trigger.EventType = "b"
		}
		outcome, failed := agrees(t, def, func() condition.Facts {
			f := facts
			if n%7 == 0 {
				f.Budget = render.NewBudget(1000) // the work ends in the middle
			}
			return f
		})
		seen[outcome]++
		if failed > 1 {
			several++
		}
	}
	if several < 5_000 {
		t.Errorf("only %d pairs have several checks that fail", several)
	}
	for _, o := range []definition.Outcome{
		definition.Started, definition.NotListening, definition.Filtered, definition.OutOfScope, definition.ConditionNotMet, definition.NoProfile, definition.LoopGuard,
	} {
		if seen[o] < 100 {
			t.Errorf("only %d pairs are %s", seen[o], o)
		}
	}
}

func TestEveryPartShowsWhatItFound(t *testing.T) {
	t.Parallel()

	def := definition.Definition{
		Trigger: definition.Trigger{Product: "psa", EventType: "ticket.created", Filters: []condition.Filter{
			{Field: "priority", Operator: condition.Eq, Value: "p1"},
			{Field: "subject", Operator: condition.Contains, Value: "VPN"},
		}},
		Scope: definition.Scope{Exclude: []id.Client{"cli_9"}},
		Conditions: []condition.Condition{
			{Any: []condition.Condition{
				{Context: condition.InEvent, Field: "type", Operator: condition.Eq, Value: "alert"},
				{All: []condition.Condition{{Context: condition.InClient, Field: "security_posture_score", Operator: condition.Lt, Value: int64(50)}}},
			}},
		},
	}
	e := event.Event{
		ID: "evt_1", Product: "psa", Type: "ticket.created", Org: "org_a", Client: "cli_1", Published: time.Unix(0, 0),
		Payload: map[string]any{"priority": "p3", "subject": strings.Repeat("x", 1000)}, Metadata: &event.Metadata{AgentTriggered: true},
	}
	type row struct {
		Part        definition.Part
		Path, Inner string
		Found       string
		Whole, One  bool // whether the part and the comparison hold
	}
	var got []row
	for _, c := range def.Explain(condition.Facts{Event: e, Client: map[string]any{"security_posture_score": int64(20)}}) {
		for _, one := range c.Comparisons {
			got = append(got, row{c.Part, c.Path, one.Path, jsonvalue.Canonical(one.Found), c.Holds(), one.Holds})
		}
	}
	want := []row{
		{definition.TriggerPart, "trigger", "", `"psa:ticket.created"`, true, true},
		{definition.FilterPart, "trigger.filters[0]", "", `"p3"`, false, false},
		{definition.FilterPart, "trigger.filters[1]", "", "", false, false},
		{definition.ScopePart, "client_scope", "", `"cli_1"`, true, true},
		{definition.ConditionPart, "conditions[0]", ".any[0]", `null`, true, false},
		{definition.ConditionPart, "conditions[0]", ".any[1].all[0]", `20`, true, true},
		{definition.CausePart, "trigger.allow_agent_triggered", "", `true`, false, false},
	}
	if len(got) > 2 {
		if n := len(got[2].Found); n > 200 {
			t.Errorf("a found value has %d bytes", n)
		}
		got[2].Found = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestADefinitionIgnoresEventsOfAnotherType(t *testing.T) {
	t.Parallel()

	d := definition.Definition{Trigger: definition.Trigger{Product: "psa", EventType: "ticket.created"}}
	for _, name := range [][2]string{{"psa", "ticket.updated"}, {"defend", "ticket.created"}} {
		outcome, why := d.Judge(condition.Facts{Event: event.Event{Product: name[0], Type: name[1]}})
		if outcome != definition.NotListening || why != "it listens for psa:ticket.created" {
			t.Errorf("%v: %s, %s", name, outcome, why)
		}
	}
}
