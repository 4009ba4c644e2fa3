package definition_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// parsed returns a valid definition.
func parsed(t fataler, r definition.Rules, doc map[string]any) definition.Definition {
	d, err := r.Parse(doc)
	if err != nil {
		t.Fatalf("%v: %s", faults(err), jsonvalue.Canonical(doc))
	}
	return d
}

// A condition finds a field in the payload, and only then in the envelope.
func TestCapabilitiesNameAFieldWhereAConditionFindsIt(t *testing.T) {
	t.Parallel()

	r := rules(t)
	d := parsed(t, r, withSteps(t, `{"id":"later","type":"wait","duration_seconds":60}`))
	has, _ := r.Catalog.Event(d.Trigger.Event())
	for field, want := range map[string][]string{
		"client_id":                {"event.client_id", "event_payload.client_id"}, // a field of both
		"source_product":           {"event.source_product"},
		"metadata.agent_triggered": {"event.metadata.agent_triggered"},
		has.Filterable[0].Path:     {"event_payload." + has.Filterable[0].Path},
		"payload.subject":          {"event_payload.subject"},
		"unheard_of":               {"event_payload.unheard_of"},
	} {
		d.Trigger.Filters = nil
		d.Conditions = []condition.Condition{{Context: condition.InEvent, Field: field, Operator: condition.Exists, Value: true}}
		if got := r.Capabilities(d).Reads; !slices.Equal(got, want) {
			t.Errorf("a condition on %s reads %v, want %v", field, got, want)
		}
	}
	d.Trigger.EventType = "ticket.invented"
	d.Conditions[0].Field = "client_id"
	if got, want := r.Capabilities(d).Reads, []string{"event.client_id", "event_payload.client_id"}; !slices.Equal(got, want) {
		t.Errorf("a condition on client_id of an unknown type reads %v, want %v", got, want)
	}
}

func TestCapabilitiesSayWhoseWordsReachWhom(t *testing.T) {
	t.Parallel()

	r := rules(t)
	d := parsed(t, r, withSteps(t,
		`{"id":"triage","type":"ai_reason","model":"quick","prompt":"Judge {{ event_payload.subject }} for {{ client_context.recent_incidents | default: 0 }}."}`,
		`{"id":"confirm","type":"approval_gate","message":"May I? {{ triage.text }}","timeout_seconds":60,"notify":[{"channel":"email","recipients":["lead@msp.example"]}]}`,
		act("note", "psa:add_note", param("ticket_id", "{{ event_payload.ticket_id }}"), param("body", "The model said {{ triage.text }}"), `"visibility":"internal"`),
		`{"id":"tell","type":"notification","channel":"sms","recipients":["+15551234567","{{ event_payload.phone }}"],"body":"{{ steps.note.output.id }}"}`,
	))
	got := r.Capabilities(d)

	want := definition.Ask{
		Step: "triage", Model: "quick", Sees: []string{"client_context.recent_incidents", "event_payload.subject"},
		From: []definition.Origin{"author", "client", "event"}, When: []string{}, Credits: 5,
	}
	if diff := cmp.Diff([]definition.Ask{want}, got.Asks); diff != "" {
		t.Errorf("asks: %s", diff)
	}
	note := got.Does[0]
	if !slices.Equal(note.Gates, []id.Step{"confirm"}) || note.Risk != "internal" {
		t.Errorf("gates %v, risk %s", note.Gates, note.Risk)
	}
	for name, want := range map[string][]definition.Origin{
		"ticket_id": {"event"}, "body": {"author", "model:triage"}, "visibility": {"author"},
	} {
		if given := note.Params[name]; !slices.Equal(given.From, want) || !given.Shown {
			t.Errorf("%s: %+v, want %v, shown", name, given, want)
		}
	}
	if !slices.Equal(got.CanCause, []string{"psa:ticket.note_added"}) {
		t.Errorf("a note can cause %v", got.CanCause)
	}
	tell := got.Tells[1]
	// A product may repeat in its reply what the run sent to it.
	if want := []definition.Origin{"author", "event", "model:triage", "product:note"}; !slices.Equal(tell.Words, want) ||
		!slices.Equal(tell.To, []string{"+15551234567"}) || !slices.Equal(tell.ToFrom, []definition.Origin{"event"}) {
		t.Errorf("%+v, want words from %v", tell, want)
	}
	if want := (definition.Bounds{Credits: 5, Actions: 1, Messages: definition.MaxRecipients + 4, People: 1, Seconds: 120}); got.Bounds != want {
		t.Errorf("bounds %+v, want %+v", got.Bounds, want)
	}
}

// TestABranchTakesOneWay also shows that a gate on one way guards nothing behind it.
func TestABranchTakesOneWay(t *testing.T) {
	t.Parallel()

	update := func(id string) string { return act(id, "psa:update_ticket", `"ticket_id":"t","status":"open"`) }
	gate := `{"id":"ask","type":"approval_gate","message":"May I?"}`
	branch := func(first, second string) string {
		return `{"id":"way","type":"branch","cases":[{"when":` + always + `,"steps":[` + first + `]}],"else":[` + second + `]}`
	}
	r := rules(t)
	one := r.Capabilities(parsed(t, r, withSteps(t, branch(gate+","+update("a"), update("b")+","+update("c")), update("d"))))
	if one.Bounds.Actions != 3 || one.Bounds.People != 1 {
		t.Errorf("bounds %+v, want 3 actions and one question", one.Bounds)
	}
	for i, want := range [][]id.Step{{"ask"}, {}, {}, {}} {
		if got := one.Does[i]; !slices.Equal(got.Gates, want) {
			t.Errorf("%s passes %v, want %v", got.Step, got.Gates, want)
		}
	}
	if when := one.Does[1].When; len(when) != 1 || !strings.HasPrefix(when[0], "not (") {
		t.Errorf("else runs when %q", when)
	}
	both := r.Capabilities(parsed(t, r, withSteps(t, branch(gate, strings.Replace(gate, `"ask"`, `"ask2"`, 1)), update("d"))))
	if got := both.Does[0].Gates; !slices.Equal(got, []id.Step{"ask", "ask2"}) {
		t.Errorf("behind a gate on each way the action passes %v", got)
	}
}

func TestEveryStepOfADefinitionIsInItsCapabilities(t *testing.T) {
	t.Parallel()

	r := rules(t)
	rapid.Check(t, func(t *rapid.T) {
		d := parsed(t, r, drawn(t, r, "definition"))
		c := r.Capabilities(d)
		var want, got []string
		definition.EachStep(d.Steps, func(s definition.Step) {
			switch {
			case s.AIStep != nil, s.ActionStep != nil, s.NotificationStep != nil, s.GateStep != nil:
				want = append(want, string(s.ID))
			}
		})
		for _, a := range c.Asks {
			got = append(got, string(a.Step))
		}
		for _, a := range c.Does {
			got = append(got, string(a.Step))
			action, _ := r.Catalog.Action(strings.Split(a.Action, ":")[0], strings.Split(a.Action, ":")[1])
			if action.Destructive && len(a.Gates) == 0 {
				t.Errorf("%s is destructive and passes no gate", a.Step)
			}
		}
		for _, a := range c.Tells {
			if a.Of == definition.Notification {
				got = append(got, string(a.Step))
			}
		}
		for _, a := range c.People {
			got = append(got, string(a.Step))
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAChangeIsWiderOneWayAndNarrowerTheOther(t *testing.T) {
	t.Parallel()

	r := rules(t)
	rapid.Check(t, func(t *rapid.T) {
		var both [2]definition.Capabilities
		for i := range both {
			both[i] = r.Capabilities(parsed(t, r, drawn(t, r, fmt.Sprint("definition ", i))))
		}
		there, back := both[1].After(both[0]), both[0].After(both[1])
		for i, d := range back.Narrower {
			back.Narrower[i].Was, back.Narrower[i].Now = d.Now, d.Was
		}
		if diff := cmp.Diff(there.Wider, back.Narrower); diff != "" {
			t.Errorf("wider there and narrower back differ:\n%s", diff)
		}
		if same := both[0].After(both[0]); len(same.Wider)+len(same.Narrower) > 0 {
			t.Errorf("a definition differs from itself: %+v", same)
		}
	})
}

func TestAChangeNamesWhatIsNew(t *testing.T) {
	t.Parallel()

	r := rules(t)
	note := func(id, text string, more ...string) map[string]any {
		steps := []string{
			think("ai"), act(id, "psa:add_note", param("ticket_id", "{{ event_payload.ticket_id }}"), param("body", text), `"visibility":"internal"`),
		}
		return withSteps(t, append(steps, more...)...)
	}
	narrowed := func(doc map[string]any) map[string]any {
		trigger, _ := doc["trigger"].(map[string]any)
		trigger["filters"] = []any{map[string]any{"field": "priority", "operator": "eq", "value": "p1"}}
		return doc
	}
	gate := `{"id":"ask","type":"approval_gate","message":"May I?"}`
	for name, tc := range map[string]struct {
		was, now map[string]any
		want     []string // the wider ones
	}{
		"another id of a step": {note("a", "x"), note("b", "x"), nil},
		"a model's words": {note("a", "x"), note("a", "{{ ai_said.text }}"), []string{
			"does psa:add_note with body from a model's answer: no → yes",
		}},
		"another action": {note("a", "x"), note("a", "x", act("c", "psa:update_ticket", `"ticket_id":"t","status":"open"`)), []string{
			"actions of a run, at most: 1 → 2", "can cause psa:ticket.assigned: no → yes", "can cause psa:ticket.reopened: no → yes",
			"can cause psa:ticket.resolved: no → yes", "can cause psa:ticket.updated: no → yes", "does psa:update_ticket: no → yes", "does psa:update_ticket with status from the definition: no → yes",
			"does psa:update_ticket with the risk internal: no → yes", "does psa:update_ticket with ticket_id from the definition: no → yes",
			"does psa:update_ticket without a person's approval: no → yes",
		}},
		"a filter less": {narrowed(note("a", "x")), note("a", "x"), []string{`starts only when priority must be "p1": yes → no`}},
		"a gate less": {
			withSteps(t, gate, act("c", "psa:update_ticket", `"ticket_id":"t","status":"open"`)),
			withSteps(t, act("c", "psa:update_ticket", `"ticket_id":"t","status":"open"`)),
			[]string{
				"does psa:update_ticket without a person's approval: no → yes",
			},
		},
	} {
		was, now := parsed(t, r, tc.was), parsed(t, r, tc.now)
		var got []string
		for _, d := range r.Capabilities(now).After(r.Capabilities(was)).Wider {
			got = append(got, d.What+": "+d.Was+" → "+d.Now)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
