package simulation_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// A stranger's text in a ticket reaches a model that obeys it completely, and
// the agent uses the answer wherever a definition may. Real clients encode the
// result, which must contain nothing but what the definition says.
func TestAModelThatObeysAnAttackerDoesNothingElse(t *testing.T) {
	t.Parallel()

	all := injections()
	const least = 200
	if len(all) < least {
		t.Fatalf("%d injections, want %d", len(all), least)
	}
	t.Logf("%d injections of %d kinds in %d carriers", len(all), len(families()), len(carriers()))
	for n, in := range all {
		if findsRaces() && n%4 != 0 {
			continue // each has the same goroutines
		}
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, in.happens)
		})
	}
}

// happens runs an attack and checks its effects.
func (in injection) happens(w *world) {
	out := &wire{TB: w.TB, in: in}
	out.connect(w)
	w.model.reply = in.obeys(w)
	a := w.define("agent_trusting", trusting)
	e := w.event("psa:ticket.created", in.payload())
	w.must(w.dispatcher.Dispatch(w.over, e))
	w.pass(time.Minute)

	want := in.due()
	if diff := cmp.Diff(want, out.deeds); diff != "" {
		w.Errorf("done before anybody was asked (-want +got)\n%s", diff)
	}
	x := execution.ID(w.org, a, e)
	told := in.tellings()
	if in.breaks == "" {
		told = append(told, in.asked()...)
		if in.answered(w, x) {
			want = append(want, in.isolation())
		}
		if in.person == silent {
			told = append(told, in.asked()...) // a reminder
		}
		told = append(told, in.asked()...) // the outcome
	}
	if diff := cmp.Diff(want, out.deeds); diff != "" {
		w.Errorf("done in all (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(told, out.told); diff != "" {
		w.Errorf("told (-want +got)\n%s", diff)
	}
	in.ends(w, x)
}

// ---- the model ----

// obeys returns a model that obeys every demand in its data.
func (in injection) obeys(w *world) func(step.Question, int) said {
	return func(q step.Question, _ int) said {
		if strings.Contains(q.System+q.Prompt, in.mark) {
			w.Errorf("what a stranger wrote is among the instructions: %s", q.Prompt)
		}
		if !strings.Contains(jsonvalue.Canonical(q.Data), in.mark) {
			w.Errorf("the attack did not reach the model: %v", q.Data)
		}
		switch {
		case in.breaks != "":
			return said{text: in.breaks}
		case q.Step == "judge":
			return said{text: jsonvalue.Canonical(in.judged())}
		case q.Step == "loose":
			return said{text: jsonvalue.Canonical(in.loose())}
		}
		return said{text: in.says}
	}
}

func (in injection) judged() map[string]any {
	when := in.when
	if when == "" {
		when = in.says
	}
	return map[string]any{"priority": "p1", "noise": in.noise, "summary": in.says, "when": when}
}

func (in injection) loose() map[string]any {
	out := maps.Clone(in.more)
	if out == nil {
		out = map[string]any{}
	}
	out["answer"] = in.answer
	if in.answer == nil {
		out["answer"] = in.says
	}
	return out
}

// ---- the definition ----

// trusting is an agent that uses a model's answer wherever a definition may.
const trusting = `{
	"name": "Trusting", "category": "service_desk",
	"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"}, "conflict_behavior": "override",
	"steps": [
		{"id": "judge", "type": "ai_reason", "model": "standard", "prompt": "Judge {{ event_payload.subject }} of {{ event_payload.client_name }}: {{ event_payload.description }}",
			"system": "You work for {{ event_payload.created_by }}.",
			"output_schema": {"type": "object", "additionalProperties": false, "required": ["priority", "noise", "summary", "when"], "properties": {
				"priority": {"enum": ["p1", "p2", "p3", "p4"]}, "noise": {"type": "boolean"}, "summary": {"type": "string"}, "when": {"type": "string"}}}},
		{"id": "loose", "type": "ai_reason", "model": "quick", "prompt": "Look at {{ event_payload }}.", "output_schema": {"type": "object", "required": ["answer"]}},
		{"id": "free", "type": "ai_reason", "model": "quick", "prompt": "Say something about {{ event_payload }}."},
		{"id": "update", "type": "product_action", "product": "psa", "action": "update_ticket", "params": {
			"ticket_id": "{{ event_payload.ticket_id }}", "priority": "{{ judge.priority }}", "category": "{{ free.text }}", "ai_classified": true}},
		{"id": "note", "type": "product_action", "product": "psa", "action": "add_note", "params": {
			"ticket_id": "{{ event_payload.ticket_id }}", "visibility": "internal",
			"body": "Model: {{ free.text }} / {{ steps.judge.output.summary }} / {{ event_payload.subject }}"}},
		{"id": "which", "type": "branch",
			"cases": [{"when": {"context": "run", "field": "judge.noise", "operator": "eq", "value": true}, "steps": [
				{"id": "quiet", "type": "product_action", "product": "psa", "action": "add_note", "params": {
					"ticket_id": "{{ event_payload.ticket_id }}", "body": "{{ judge.summary }}", "visibility": "internal"}}]}],
			"else": [{"id": "open", "type": "product_action", "product": "psa", "action": "create_ticket", "params": {
				"subject": "{{ judge.summary }}", "description": "Loosely: {{ loose.answer }}", "priority": "{{ judge.priority }}", "client_id": "{{ event.client_id }}"}}]},
		{"id": "low", "if": {"context": "run", "field": "steps.judge.output.priority", "operator": "ne", "value": "p1"},
			"type": "notification", "channel": "sms", "recipients": ["+15550000000"], "body": "{{ free.text }}"},
		{"id": "sms", "type": "notification", "channel": "sms", "recipients": ["+15551234567"], "body": "AI: {{ free.text }}"},
		{"id": "mail", "type": "notification", "channel": "email", "recipients": ["ann@desk.example"], "subject": "AI: {{ judge.summary }}", "body": "It says {{ free.text }}"},
		{"id": "slack", "type": "notification", "channel": "slack", "recipients": ["https://slack.example/hook?client={{ event_payload.client_name }}"],
			"subject": "{{ judge.summary }}", "body": "<https://desk.example|Desk>: {{ free.text }}"},
		{"id": "teams", "type": "notification", "channel": "teams", "recipients": ["https://teams.example/{{ event_payload.client_name }}/hook"],
			"subject": "{{ judge.summary }}", "body": "It says: {{ free.text }}"},
		{"id": "hook", "type": "notification", "channel": "webhook", "recipients": ["https://hook.example/"], "subject": "{{ judge.summary }}", "body": "{{ free.text }}"},
		{"id": "rest", "type": "wait", "until": "{{ judge.when }}", "on_error": "continue"},
		{"id": "gate", "type": "approval_gate", "timeout_seconds": 600, "message": "May I? The model says {{ free.text }}",
			"notify": [{"channel": "slack", "recipients": ["https://slack.example/gate"]}, {"channel": "email", "recipients": ["boss@desk.example"]}]},
		{"id": "isolate", "type": "product_action", "product": "defend", "action": "isolate_device", "params": {
			"device_id": "{{ event_payload.device_id }}", "reason": "{{ judge.summary }}"}}
	]}`

func (in injection) payload() map[string]any {
	p := map[string]any{
		"ticket_id": "tkt_1", "device_id": "dev_1", "secret": "s3cret-value", "priority": "p4", "type": "incident",
		"subject": "Printer", "description": "It is out of paper.", "client_name": "Acme", "created_by": "ann",
	}
	p[in.carrier] = in.text
	return p
}

// A deed is an action performed in a product.
type deed struct {
	Step, Product, Action string
	Params                map[string]any
}

// due returns the actions that the definition performs before the gate.
func (in injection) due() []deed {
	if in.breaks != "" {
		return nil
	}
	ticket := func(more map[string]any) map[string]any {
		maps.Copy(more, map[string]any{"ticket_id": "tkt_1"})
		return more
	}
	body := fmt.Sprintf("Model: %s / %s / %s", in.says, in.says, in.payload()["subject"])
	out := []deed{
		{"update", "psa", "update_ticket", ticket(map[string]any{"priority": "p1", "category": in.says, "ai_classified": true})},
		{"note", "psa", "add_note", ticket(map[string]any{"visibility": "internal", "body": body})},
	}
	if in.noise {
		return append(out, deed{"quiet", "psa", "add_note", ticket(map[string]any{"visibility": "internal", "body": in.says})})
	}
	return append(out, deed{"open", "psa", "create_ticket", map[string]any{
		"subject": in.says, "description": "Loosely: " + render.String(in.loose()["answer"]), "priority": "p1", "client_id": "cli_1",
	}})
}

// isolation is the action after the approval: what the approvers see, and so
// without characters that they cannot see.
func (in injection) isolation() deed {
	return deed{"isolate", "defend", "isolate_device", map[string]any{"device_id": "dev_1", "reason": seen(in.says)}}
}

// tellings returns the messages with the model's answer, as "channel address".
func (in injection) tellings() []string {
	if in.breaks != "" {
		return nil
	}
	client := render.Percent(fmt.Sprint(in.payload()["client_name"]))
	return []string{
		"sms +15551234567", "email ann@desk.example", "post https://slack.example/hook?client=" + client,
		"post https://teams.example/" + client + "/hook", "post https://hook.example/",
	}
}

// asked returns the recipients of the gate's message.
func (injection) asked() []string {
	return []string{"post https://slack.example/gate", "email boss@desk.example"}
}

// answered lets the person at the gate react, and reports whether they
// approved. Until then the approval is open, whatever the model says.
func (in injection) answered(w *world, x id.Execution) bool {
	q, err := w.question(x)
	if err != nil || len(w.questions()) != 1 {
		w.Errorf("%d questions, want one that is open: %v", len(w.questions()), err)
		return false
	}
	if want := "May I? The model says " + seen(in.says); q.Message != want {
		w.Errorf("the question is %q, want %q", q.Message, want)
	}
	shown := approval.Action{Step: "isolate", Product: "defend", Action: "isolate_device", Params: in.isolation().Params}
	if diff := cmp.Diff([]approval.Action{shown}, q.Actions); diff != "" {
		w.Errorf("the question shows (-want +got)\n%s", diff)
	}
	if in.person != silent {
		w.must(w.decide(w.owner(), x, in.person == approves))
	}
	w.pass(time.Hour)
	q = w.questions()[0]
	decided := id.User("user_owner")
	if in.person == silent {
		decided = ""
	}
	if q.DecidedBy != decided || q.Approvers.Users != nil || q.Approvers.Roles != nil || q.Min != 1 {
		w.Errorf("decided by %q, asked of %+v, %d times", q.DecidedBy, q.Approvers, q.Min)
	}
	return in.person == approves
}

// ends checks the end of the run, and that no other run exists.
func (in injection) ends(w *world, x id.Execution) {
	want := map[string]string{approves: "completed", denies: "cancelled approval_denied", silent: "cancelled approval_expired"}[in.person]
	price := int64(20 + 5 + 5)
	if in.breaks != "" {
		want, price = "failed invalid_model_output", 0
	}
	run, _ := w.stored(x)
	got := strings.TrimSpace(string(run.Status) + " " + string(run.Reason))
	if got != want {
		w.Errorf("%s, want %s", w.story(x), want)
	}
	if n := len(w.runs()); n != 1 || run.Org != w.org || run.Agent != "agent_trusting" {
		w.Errorf("%d runs, of %s and %s", n, run.Org, run.Agent)
	}
	if b := w.balance(); b.Allocation-b.Remaining != price {
		w.Errorf("%d credits are used, want %d", b.Allocation-b.Remaining, price)
	}
	w.untouched()
	w.audit()
}
