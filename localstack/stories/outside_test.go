package stories_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// hook returns the address of a stand-in for a chat or a webhook.
func (o *org) hook(channel string) string {
	return strings.NewReplacer("{org}", o.name, "{channel}", channel).Replace(o.outputs.Hook)
}

// recipients returns the status, the recipient and the reason of each recipient
// of a step.
func recipients(x doc, step int) []string {
	var lines []string
	for _, r := range list(x, "steps", step, "output", "recipients") {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s %s: %s", text(r, "status"), text(r, "recipient"), text(r, "reason")), ": "))
	}
	return lines
}

// tell returns a step that notifies these recipients.
func tell(channel string, recipients ...any) doc {
	return doc{"id": "tell", "type": "notification", "channel": channel, "recipients": recipients, "subject": "S", "body": "Hello"}
}

func TestOneBadRecipientOfThreeFailsAlone(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(tell("email", "lead@msp.example", "{{ event_payload.contact }}", "{{ event_payload.owner }}"), note("after", "done"))
	o.publish("psa", "ticket.escalated", doc{
		"ticket_id": "tkt_1", "escalated_to": "p1", "contact": nil, "owner": `"Smith, John" <john@acme.example>`,
	})
	x := o.ends(o.run())
	want := []string{"sent lead@msp.example", "failed {{ event_payload.contact }}: The recipient is null.", "sent john@acme.example"}
	if diff := cmp.Diff(want, recipients(x, 0)); diff != "" || text(x, "status") != "completed" {
		t.Errorf("%s: %v; recipients (-want +got)\n%s", text(x, "status"), at(x, "error"), diff)
	}
	told := 0
	for _, c := range o.calls("") {
		if text(c, "kind") == "email" {
			told++
		}
	}
	if told != 2 {
		t.Errorf("%d e-mails, want 2", told)
	}
}

// It is not parallel: a stand-in that receives another story's rules restarts
// the counts of the rules here.
//
//nolint:paralleltest // see above.
func TestAnActionIsRetriedAfterTheTimeThatTheProductNames(t *testing.T) {
	o := open(t).tenant(t)
	o.addRules("_products",
		doc{"product": "psa", "action": "add_note", "status": 429, "retry_after": 3, "times": 1},
		doc{"product": "psa", "action": "update_ticket", "status": 503, "retry_after": 120, "body": "Down for maintenance."},
	)
	o.agent(note("wait", "hello"), doc{
		"id": "late", "type": "product_action", "product": "psa", "action": "update_ticket", "params": doc{"ticket_id": "t"},
	})
	o.escalate()
	x := o.ends(o.run())
	calls := o.calls("add_note")
	if len(calls) != 2 || text(x, "steps", 0, "status") != "completed" {
		t.Fatalf("%d calls, and the step is %v", len(calls), at(x, "steps", 0))
	}
	first, err := time.Parse(time.RFC3339Nano, text(calls[0], "at"))
	second, err2 := time.Parse(time.RFC3339Nano, text(calls[1], "at"))
	if err != nil || err2 != nil || second.Sub(first) < 3*time.Second {
		t.Errorf("it was called again after %v (%v, %v)", second.Sub(first), err, err2)
	}
	const want = "psa.update_ticket: the product answered 503 (Down for maintenance) and asks for a pause of 120 s, but the step has only "
	if got := text(x, "error", "message"); !strings.HasPrefix(got, want) || text(x, "error", "code") != "product_error" {
		t.Errorf("the error is %v", at(x, "error"))
	}
	if n := len(o.calls("update_ticket")); n != 1 {
		t.Errorf("%d calls of a product that names more time than the step has, want 1", n)
	}
}

func TestASuccessfulActionCompletesWithAnyAnswerBody(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_products",
		doc{"action": "add_note", "body": "OK"},
		doc{"action": "update_ticket", "status": 201, "body": "[12345678901234567890]"},
		doc{"action": "create_ticket", "body": strings.Repeat("x", 70<<10)},
	)
	act := func(action string, params doc) doc {
		return doc{"id": action, "type": "product_action", "product": "psa", "action": action, "params": params}
	}
	o.agent(note("word", "a"), act("update_ticket", doc{"ticket_id": "t"}), act("create_ticket", doc{"subject": "s"}))
	o.escalate()
	x := o.ends(o.run())
	if text(x, "status") != "completed" {
		t.Fatalf("%s: %v", text(x, "status"), at(x, "error"))
	}
	if got := text(x, "steps", 0, "output", "text"); got != "OK" {
		t.Errorf("the output of a word is %v", at(x, "steps", 0, "output"))
	}
	if len(list(x, "steps", 1, "output", "value")) != 1 {
		t.Errorf("the output of a list is %v", at(x, "steps", 1, "output"))
	}
	if at(x, "steps", 2, "output", "truncated") != true {
		t.Errorf("the output of a long answer is %.100v", at(x, "steps", 2, "output"))
	}
	if n := len(o.calls("")); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestARefusalOfAChatWithStatus200FailsTheStep(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_products",
		doc{"product": "hooks", "action": "teams", "body": "Webhook message delivery failed with error: Bad payload."},
		doc{"product": "hooks", "action": "slack", "status": 404, "body": "channel_is_archived"},
	)
	teams, slack := tell("teams", o.hook("teams")), tell("slack", o.hook("slack"))
	teams["on_error"], slack["id"] = "continue", "slack"
	o.agent(teams, slack)
	o.escalate()
	x := o.ends(o.run())
	const refused = "It answered 200 (Webhook message delivery failed with error: Bad payload)."
	if diff := cmp.Diff([]string{"failed " + o.hook("teams") + ": " + refused}, recipients(x, 0)); diff != "" {
		t.Errorf("Teams (-want +got)\n%s", diff)
	}
	if got := text(x, "steps", 0, "error", "message"); got != refused {
		t.Errorf("the step says %q", got)
	}
	if diff := cmp.Diff([]string{"failed " + o.hook("slack") + ": It answered 404 (channel_is_archived)."}, recipients(x, 1)); diff != "" {
		t.Errorf("Slack (-want +got)\n%s", diff)
	}
	if text(x, "error", "code") != "notification_failed" || len(o.calls("teams")) != 1 {
		t.Errorf("%v after %d calls of Teams", at(x, "error"), len(o.calls("teams")))
	}
}

func TestASchemaWithUnsupportedKeywordsIsNotSaved(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	agent := func(schema doc) doc {
		return doc{
			"name": "Story agent", "category": "service_desk",
			"trigger": doc{"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated"},
			"steps":   []any{doc{"id": "ask", "type": "ai_reason", "model": "quick", "prompt": "When?", "output_schema": schema}},
		}
	}
	r := o.must(http.StatusBadRequest, o.post("/api/agents", agent(doc{"type": "object", "properties": doc{
		"at": doc{"type": "string", "format": "datetime"}, "who": doc{"type": "string", "nullable": true},
	}})))
	var said []string
	for _, d := range list(r, "details") {
		said = append(said, text(d, "path")+": "+text(d, "message"))
	}
	want := []string{
		`steps[0].output_schema: /properties/at/format: "datetime" is not a supported format; did you mean date-time?`,
		`steps[0].output_schema: /properties/who: "nullable" is not a keyword of JSON Schema draft 2020-12, so it would not be checked; write "type": ["string", "null"]`,
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("details (-want +got)\n%s", diff)
	}

	o.addRules("_model", doc{"respond": doc{"at": "tomorrow"}})
	made := o.must(http.StatusCreated, o.post("/api/agents", agent(doc{"type": "object", "properties": doc{
		"at": doc{"type": "string", "format": "date-time"},
	}})))
	o.must(http.StatusOK, o.call(http.MethodPut, "/api/agents/"+text(made, "id"), doc{"status": "active"}))
	o.escalate()
	x := o.ends(o.run())
	const misfit = `The answer does not fit the output_schema: /at must be a date-time such as 2026-03-09T14:23:01Z.`
	if text(x, "error", "code") != "invalid_model_output" || text(x, "error", "message") != misfit || number(x, "credits_used") != 0 {
		t.Errorf("%v for %v credits", at(x, "error"), at(x, "credits_used"))
	}
}

func TestAParameterIsCheckedBeforeTheProductIsCalled(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(doc{
		"id": "log", "type": "product_action", "product": "psa", "action": "update_ticket",
		"params": doc{"ticket_id": "{{ event_payload.number }}", "priority": "{{ event_payload.priority }}", "assignee": "{{ event_payload.nothing }}"},
	})
	o.publish("psa", "ticket.escalated", doc{"ticket_id": "t", "escalated_to": "p1", "number": 1234567890123456789, "priority": "p1", "nothing": nil})
	first := o.run()
	if x := o.ends(first); text(x, "status") != "completed" {
		t.Fatalf("%s: %v", text(x, "status"), at(x, "error"))
	}
	if diff := cmp.Diff(any(doc{"ticket_id": "1234567890123456789", "priority": "p1"}), at(o.calls("update_ticket")[0], "params")); diff != "" {
		t.Errorf("parameters (-want +got)\n%s", diff)
	}
	o.publish("psa", "ticket.escalated", doc{"ticket_id": "t", "escalated_to": "p1", "number": 7, "priority": "urgent", "nothing": nil})
	x := o.ends(o.runBeside(first))
	if got := text(x, "error", "message"); got != `psa.update_ticket: priority must be one of p1, p2, p3, p4; it is "urgent".` || len(o.calls("update_ticket")) != 1 {
		t.Errorf("the error is %v", at(x, "error"))
	}
}

func TestAProductAcceptsOnlyTheCallThatWasSigned(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(doc{
		"id": "note", "type": "product_action", "product": "psa", "action": "add_note",
		"params": doc{"ticket_id": "tkt_signed", "body": "Seen.", "visibility": "internal"},
	})
	o.escalate()
	exec := text(o.ends(o.run()), "id")
	sent := o.done("add_note")
	if len(sent) != 1 {
		t.Fatalf("%d notes, want 1", len(sent))
	}
	claims := doc{}
	token := strings.TrimPrefix(text(sent[0], "headers", "Authorization"), "Bearer ")
	if _, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims(claims)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"sub": exec, "org": o.name, "action": "add_note", "jti": text(sent[0], "idempotency_key"), "aud": []any{"psa"},
		"step": "note", "iss": "https://agents.theoneagents.app",
		"exp": at(claims, "iat").(float64) + 60, //nolint:errcheck,forcetypeassert // the comparison of jti fails first.
	} {
		if !reflect.DeepEqual(claims[name], want) {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	if n := len(list(o.send(http.MethodGet, o.outputs.API+"/.well-known/jwks.json", nil, nil).body, "keys")); n != 1 {
		t.Errorf("%d keys are served, want 1", n)
	}

	header := http.Header{}
	for name, value := range at(sent[0], "headers").(map[string]any) { //nolint:errcheck,forcetypeassert // read above.
		header.Set(name, value.(string)) //nolint:errcheck,forcetypeassert // headers are texts.
	}
	header.Del("Content-Length")
	header.Del("Accept-Encoding")
	address := o.outputs.Products + "/products/psa/actions/"
	body := doc{"ticket_id": "tkt_signed", "body": "Seen.", "visibility": "internal"}
	forged, err := o.key.Sign(claims) // the Hub's key is none of ours
	if err != nil {
		t.Fatal(err)
	}
	changed := func(name, value string) http.Header {
		h := header.Clone()
		h.Set(name, value)
		return h
	}
	for name, tc := range map[string]struct {
		action string
		body   doc
		header http.Header
	}{
		"another body":         {"add_note", doc{"ticket_id": "tkt_signed", "body": "Forged."}, header},
		"another action":       {"update_ticket", body, header},
		"another organization": {"add_note", body, changed("X-Org-Id", "org_other")},
		"another key":          {"add_note", body, changed("Idempotency-Key", exec+":other")},
		"a forged signature":   {"add_note", body, changed("Authorization", "Bearer "+forged)},
		"no token":             {"add_note", body, changed("Authorization", "")},
	} {
		if r := o.send(http.MethodPost, address+tc.action, tc.body, tc.header); r.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %v, want 401", name, r.status, r.body)
		}
	}
	if n := len(o.done("add_note")); n != 1 {
		t.Errorf("%d notes, want 1 as before", n)
	}
}
