// Package stories_test tests the deployed system from outside, over HTTP and
// the bus. It checks the messages and calls that people and products receive.
package stories_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func TestANewTicketIsClassifiedUpdatedAndAnswered(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	event := o.publish("psa", "ticket.created", doc{
		"ticket_id": "tkt_1", "priority": "p3", "subject": "VPN down for all users", "type": "incident",
		"created_by": "ann", "created_at": "2026-03-09T14:23:01Z",
	})
	x := o.ends(o.run())

	if got, want := text(x, "status"), "completed"; got != want {
		t.Fatalf("status %s, want %s: %v", got, want, x)
	}
	if got, want := statuses(x), "classify_ticket:completed update_ticket:completed add_draft:completed"; got != want {
		t.Errorf("steps %q, want %q", got, want)
	}
	if text(x, "trigger_event", "id") != event || text(x, "trigger_event", "payload", "subject") != "VPN down for all users" {
		t.Errorf("trigger_event = %v", at(x, "trigger_event"))
	}
	if number(x, "credits_used") != 20 || number(x, "steps", 0, "credits_used") != 20 {
		t.Errorf("credits_used = %v, and of the first step %v; want 20", at(x, "credits_used"), at(x, "steps", 0, "credits_used"))
	}
	updates, notes := o.done("update_ticket"), o.done("add_note")
	if len(updates) != 1 || len(notes) != 1 {
		t.Fatalf("%d updates and %d notes, want one each", len(updates), len(notes))
	}
	if text(updates[0], "params", "category") != "network" || at(updates[0], "params", "ai_classified") != true {
		t.Errorf("update = %v", at(updates[0], "params"))
	}
	if text(notes[0], "params", "visibility") != "public" || text(notes[0], "params", "body") == "" {
		t.Errorf("note = %v", at(notes[0], "params"))
	}
	if got, want := text(updates[0], "idempotency_key"), text(x, "id")+":update_ticket"; got != want {
		t.Errorf("idempotency key %s, want %s", got, want)
	}
	if last := text(x, "steps", 0, "started_at"); last > text(x, "steps", 2, "completed_at") {
		t.Error("the trace is out of order")
	}
	if credits := o.credits(20); number(credits, "remaining") != 99_980 || number(credits, "reserved") != 0 {
		t.Errorf("credits = %v", credits)
	}
	o.summed("agent_system_dispatch")
	dispatch := o.must(http.StatusOK, o.get("/api/agents/agent_system_dispatch"))
	if number(dispatch, "stats", "total_runs") != 1 || number(dispatch, "stats", "credits_used_this_month") != 20 {
		t.Errorf("stats = %v", at(dispatch, "stats"))
	}
}

// alert publishes a critical alert.
func (o *org) alert() {
	o.publish("defend", "alert.fired", doc{
		"severity": "critical", "description": "Ransomware behaviour", "mitre_tactic": "impact",
		"device_id": "dev_1", "client_id": "client_1", "detection_confidence": 0.97,
	})
}

func TestACriticalAlertIsolatesTheDeviceOnceAPersonApproves(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.alert()
	exec := o.run()
	approval := o.approvalOf(exec)
	if n := len(o.calls("isolate_device")); n != 0 {
		t.Fatalf("the device was isolated %d times before the approval", n)
	}
	a := o.must(http.StatusOK, o.decide(approval, "approved"))
	if text(a, "status") != "approved" || text(a, "decided_by") != o.user || text(a, "decided_at") == "" {
		t.Errorf("approval = %v", a)
	}
	x := o.ends(exec)
	if got, want := statuses(x), "confirm_isolation:completed isolate_device:completed"; got != want || text(x, "status") != "completed" {
		t.Errorf("%s with %q, want completed with %q", text(x, "status"), got, want)
	}
	if n := len(o.done("isolate_device")); n != 1 {
		t.Errorf("the device was isolated %d times, want 1", n)
	}
}

func TestADeniedAlertIsolatesNothing(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.alert()
	exec := o.run()
	o.must(http.StatusOK, o.decide(o.approvalOf(exec), "denied"))
	x := o.ends(exec)
	if text(x, "status") != "cancelled" || text(x, "status_reason") != "approval_denied" {
		t.Errorf("%v, %v; want cancelled, approval_denied", at(x, "status"), at(x, "status_reason"))
	}
	if n := len(o.calls("isolate_device")); n != 0 {
		t.Errorf("the device was isolated %d times", n)
	}
}

func gate(seconds int) doc {
	return doc{"id": "gate", "type": "approval_gate", "message": "Isolate {{ event_payload.ticket_id }}?", "timeout_seconds": seconds}
}

func isolate() doc {
	return doc{
		"id": "isolate", "type": "product_action", "product": "defend", "action": "isolate_device",
		"params": doc{"device_id": "dev_1", "reason": "a story"},
	}
}

func TestAnExpiredApprovalIsolatesNothing(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(gate(10), isolate())
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	x := o.ends(exec)
	if text(x, "status") != "cancelled" || text(x, "status_reason") != "approval_expired" {
		t.Errorf("%v, %v; want cancelled, approval_expired", at(x, "status"), at(x, "status_reason"))
	}
	if n := len(o.calls("isolate_device")); n != 0 {
		t.Errorf("the device was isolated %d times", n)
	}
	a := o.must(http.StatusOK, o.get("/api/approvals/"+approval))
	if text(a, "status") != "expired" {
		t.Errorf("approval is %s, want expired", text(a, "status"))
	}
	if r := o.decide(approval, "approved"); r.status != http.StatusConflict || text(r.body, "error") != "approval_expired" {
		t.Errorf("late vote: %d %v", r.status, r.body)
	}
}

func TestAWaitResumes(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(note("before", "before"), doc{"id": "pause", "type": "wait", "duration_seconds": 2}, note("after", "after"))
	o.escalate()
	exec := o.run()
	o.eventually("the first note was added", func() bool { return len(o.done("add_note")) == 1 })
	x := o.must(http.StatusOK, o.get("/api/executions/"+exec))
	if s := text(x, "status"); s != "running" {
		t.Errorf("a waiting execution is %s, want running", s)
	}
	x = o.ends(exec)
	if got, want := statuses(x), "before:completed pause:completed after:completed"; got != want || text(x, "status") != "completed" {
		t.Errorf("%s with %q", text(x, "status"), got)
	}
	if n := len(o.done("add_note")); n != 2 {
		t.Errorf("%d notes, want 2", n)
	}
}

func TestACancelledWaitNeverResumes(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(doc{"id": "pause", "type": "wait", "duration_seconds": 3}, note("after", "after"))
	o.escalate()
	exec := o.run()
	o.eventually("it waits", func() bool {
		return strings.HasPrefix(statuses(o.get("/api/executions/"+exec).body), "pause:waiting")
	})
	x := o.must(http.StatusOK, o.post("/api/executions/"+exec+"/cancel", nil))
	if text(x, "status") != "cancelled" || text(x, "status_reason") != "cancelled_by_user" {
		t.Errorf("%v, %v", at(x, "status"), at(x, "status_reason"))
	}
	// A second agent with a longer wait shows when the first would have
	// resumed.
	o.agentOn("psa", "ticket.sla_warning", doc{"id": "longer", "type": "wait", "duration_seconds": 5}, note("witness", "witness"))
	o.publish("psa", "ticket.sla_warning", doc{"ticket_id": "tkt_2"})
	o.eventually("the witness added its note", func() bool { return len(o.done("add_note")) > 0 })
	notes := o.calls("add_note")
	if len(notes) != 1 || text(notes[0], "params", "body") != "witness" {
		t.Errorf("notes = %v, want the witness's alone", notes)
	}
	if s := statuses(o.get("/api/executions/" + exec).body); s != "pause:skipped after:skipped" {
		t.Errorf("steps %q", s)
	}
	if r := o.post("/api/executions/"+exec+"/cancel", nil); r.status != http.StatusConflict || text(r.body, "error") != "invalid_execution_state" {
		t.Errorf("second cancel: %d %v", r.status, r.body)
	}
}

func TestAFailedRunIsRetriedWithTheSameEvent(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_products", doc{"product": "psa", "action": "add_note", "status": 503})
	o.agent(note("tell", "hello"))
	o.escalate()
	exec := o.run()
	x := o.ends(exec)
	if text(x, "status") != "failed" || text(x, "error", "code") != "product_error" || text(x, "error", "step_id") != "tell" {
		t.Fatalf("%v: %v, want failed with product_error at tell", at(x, "status"), at(x, "error"))
	}
	calls := o.calls("add_note")
	if len(calls) != 3 || text(calls[0], "idempotency_key") != text(calls[2], "idempotency_key") {
		t.Errorf("%d calls with keys that differ, want 3 with one key", len(calls))
	}

	o.removeRules("_products")
	again := o.must(http.StatusCreated, o.post("/api/executions/"+exec+"/retry", nil))
	if text(again, "id") == exec || text(again, "retry_of") != exec {
		t.Fatalf("retry = %v", again)
	}
	y := o.ends(text(again, "id"))
	if text(y, "status") != "completed" || text(y, "trigger_event", "id") != text(x, "trigger_event", "id") {
		t.Errorf("%s with event %s, want completed with %s", text(y, "status"), text(y, "trigger_event", "id"), text(x, "trigger_event", "id"))
	}
	if r := o.post("/api/executions/"+text(y, "id")+"/retry", nil); r.status != http.StatusConflict {
		t.Errorf("retry of a completed execution: %d", r.status)
	}
}

func TestTheSameEventTwentyTimesIsOneRun(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(note("tell", "hello"))
	e := o.envelope("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p1"})
	body, _ := json.Marshal(e)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { o.put("psa", "ticket.escalated", string(body)) })
	}
	wg.Wait()
	exec := o.run()
	o.ends(exec)
	// An event with other content shows that the twenty were handled.
	o.escalate()
	o.eventually("the next event ran", func() bool { return len(o.runs()) > 1 })
	if n := len(o.runs()); n != 2 {
		t.Errorf("%d executions, want one of the twenty and one of the next", n)
	}
	notes := slices.DeleteFunc(o.done("add_note"), func(c any) bool { return text(c, "params", "ticket_id") != "tkt_1" })
	if len(notes) != 1 {
		t.Errorf("%d notes, want 1", len(notes))
	}
}

func TestTheSameContentWithAnotherIDIsADuplicate(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agent(note("tell", "hello"))
	for range 3 {
		o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p1"})
	}
	o.eventually("all three are in the activity", func() bool {
		return len(list(o.get("/api/agents/"+a+"/activity").body, "activity")) == 3
	})
	var outcomes []string
	for _, e := range list(o.get("/api/agents/"+a+"/activity").body, "activity") {
		outcomes = append(outcomes, text(e, "outcome"))
	}
	slices.Sort(outcomes)
	if got := strings.Join(outcomes, " "); got != "duplicate duplicate started" {
		t.Errorf("outcomes %q", got)
	}
	if n := len(o.runs()); n != 1 {
		t.Errorf("%d executions, want 1", n)
	}
}

func TestAnEventThatDoesNotMatchIsExplained(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := text(o.must(http.StatusCreated, o.post("/api/agents", doc{
		"name": "Only p1", "category": "service_desk",
		"trigger": doc{
			"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated",
			"filters": []any{doc{"field": "escalated_to", "operator": "eq", "value": "p1"}},
		},
		"steps": []any{note("tell", "hello")},
	})), "id")
	o.must(http.StatusOK, o.call(http.MethodPut, "/api/agents/"+a, doc{"status": "active"}))
	o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p2"})
	var entry any
	o.eventually("the refusal is in the activity", func() bool {
		entry = at(o.get("/api/agents/"+a+"/activity").body, "activity", 0)
		return entry != nil
	})
	if text(entry, "outcome") != "filtered" || !strings.Contains(text(entry, "detail"), `"p2"`) {
		t.Errorf("activity = %v", entry)
	}
}

func TestOneOfTwentyConcurrentDecisionsWins(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(gate(600), note("tell", "hello"))
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	replies := make([]reply, 20)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() {
			decision := []string{"approved", "denied"}[i%2]
			replies[i] = o.as(fmt.Sprintf("user_%d", i), "admin").decide(approval, decision)
		})
	}
	wg.Wait()
	won := slices.DeleteFunc(slices.Clone(replies), func(r reply) bool { return r.status != http.StatusOK })
	if len(won) != 1 {
		t.Fatalf("%d decisions succeeded, want 1", len(won))
	}
	for _, r := range replies {
		if r.status != http.StatusOK && (r.status != http.StatusConflict || text(r.body, "error") != "approval_already_decided") {
			t.Errorf("a late vote: %d %v", r.status, r.body)
		}
	}
	x := o.ends(exec)
	want, notes := "completed", 1
	if text(won[0].body, "status") == "denied" {
		want, notes = "cancelled", 0
	}
	if text(x, "status") != want || len(o.done("add_note")) != notes {
		t.Errorf("%s with %d notes after %s", text(x, "status"), len(o.done("add_note")), text(won[0].body, "status"))
	}
}

func TestAnotherOrganizationSeesNoneOfTheData(t *testing.T) {
	t.Parallel()

	s := open(t)
	o, other := s.tenant(t), s.tenant(t)
	a := o.agent(gate(600), note("tell", "hello"))
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	for _, c := range []struct {
		method, path string
		body         any
		code         string
	}{
		{http.MethodGet, "/api/agents/" + a, nil, "agent_not_found"},
		{http.MethodPut, "/api/agents/" + a, doc{"name": "Mine"}, "agent_not_found"},
		{http.MethodDelete, "/api/agents/" + a, nil, "agent_not_found"},
		{http.MethodGet, "/api/agents/" + a + "/activity", nil, "agent_not_found"},
		{http.MethodGet, "/api/executions/" + exec, nil, "execution_not_found"},
		{http.MethodPost, "/api/executions/" + exec + "/cancel", nil, "execution_not_found"},
		{http.MethodPost, "/api/executions/" + exec + "/retry", nil, "execution_not_found"},
		{http.MethodGet, "/api/approvals/" + approval, nil, "approval_not_found"},
		{http.MethodPost, "/api/approvals/" + approval + "/decision", doc{"decision": "approved"}, "approval_not_found"},
	} {
		r := other.call(c.method, c.path, c.body)
		if r.status != http.StatusNotFound || text(r.body, "error") != c.code {
			t.Errorf("%s %s: %d %v, want 404 %s", c.method, c.path, r.status, r.body, c.code)
		}
	}
	for path, field := range map[string]string{
		"/api/executions": "executions", "/api/approvals": "approvals", "/api/executions?agent_id=" + a: "executions",
	} {
		if got := list(other.must(http.StatusOK, other.get(path)), field); len(got) != 0 {
			t.Errorf("%s shows %v", path, got)
		}
	}
	o.must(http.StatusOK, o.decide(approval, "denied"))
	o.ends(exec)
}

func TestARunThatWouldOverdrawFails(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.publish("hub", "subscription.changed", doc{"plan": "starter"})
	o.eventually("the plan is starter", func() bool {
		return number(o.get("/api/credits").body, "allocation") == 20_000
	})
	think := func(id string) doc {
		return doc{"id": id, "type": "ai_reason", "model": "expert", "prompt": "Think hard."}
	}
	var steps []any
	for i := range 50 {
		steps = append(steps, think(fmt.Sprintf("think_%d", i)))
	}
	o.agent(steps...)
	o.escalate() // 50 answers of 200 credits are half of the month
	o.ends(o.run())
	if first := o.credits(10_000); number(first, "remaining") != 10_000 {
		t.Fatalf("credits = %v", first)
	}
	o.escalate()
	o.escalate()
	o.eventually("three executions ended", func() bool {
		ended := 0
		for _, x := range o.runs() {
			if s := text(x, "status"); s == "completed" || s == "failed" {
				ended++
			}
		}
		return ended == 3
	})
	var codes []string
	for _, x := range o.runs() {
		if text(x, "status") == "failed" {
			codes = append(codes, text(o.get("/api/executions/"+text(x, "id")).body, "error", "code"))
		}
	}
	if len(codes) == 0 || slices.ContainsFunc(codes, func(c string) bool { return c != "credit_insufficient" }) {
		t.Errorf("failures %v, want credit_insufficient", codes)
	}
	if credits := o.credits(20_000); number(credits, "remaining") != 0 {
		t.Errorf("credits = %v, want all used", credits)
	}
	failed := slices.DeleteFunc(o.runs(), func(x any) bool { return text(x, "status") != "failed" })
	if r := o.post("/api/executions/"+text(failed[0], "id")+"/retry", nil); r.status != http.StatusPaymentRequired {
		t.Errorf("retry without credits: %d %v", r.status, r.body)
	}
}

func TestAnEventThatCannotBeHandledIsADeadLetterWithItsReason(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	malformed := o.envelope("psa", "ticket.created", doc{"ticket_id": "tkt_1"})
	malformed["payload"] = "not an object"
	oversize := o.envelope("psa", "ticket.created", doc{"ticket_id": "tkt_1", "description": strings.Repeat("x", 300<<10)})
	mismatched := o.envelope("psa", "ticket.resolved", doc{"ticket_id": "tkt_1"})
	unknown := o.envelope("psa", "ticket.created", doc{"ticket_id": "tkt_1"})
	unknown["org_id"] = o.name + "x"
	want := map[string]string{
		text(malformed, "id"): "malformed", text(oversize, "id"): "too_large",
		text(mismatched, "id"): "envelope_mismatch", text(unknown, "id"): "unknown_org",
	}
	for _, e := range []doc{malformed, oversize, mismatched, unknown} {
		o.put("psa", "ticket.created", e)
	}
	found := map[string]string{}
	o.eventually("all four are in the dead-letter queue", func() bool {
		for _, l := range o.letters() {
			if _, mine := want[text(l, "event", "id")]; mine {
				found[text(l, "event", "id")] = text(l, "reason")
				if text(l, "message") == "" {
					t.Errorf("no message in %v", l)
				}
			}
		}
		return len(found) == len(want)
	})
	for id, reason := range want {
		if found[id] != reason {
			t.Errorf("%s: reason %q, want %q", id, found[id], reason)
		}
	}
	if n := len(o.runs()); n != 0 {
		t.Errorf("%d executions, want none", n)
	}
}

// letters returns the dead letters and leaves them in the queue. SQS hides a
// received message for a while, at least for a second: the client omits a
// visibility timeout of 0, and the queue's own is longer. Other readers may
// hide some of many letters at the moment.
func (o *org) letters() []doc {
	api, seen := sqs.NewFromConfig(o.config), map[string]doc{}
	for {
		out, err := api.ReceiveMessage(o.t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &o.outputs.DeadLetters, MaxNumberOfMessages: 10, VisibilityTimeout: 1,
		})
		if err != nil {
			o.t.Fatal(err)
		}
		before := len(seen)
		for _, m := range out.Messages {
			var l doc
			if err := json.Unmarshal([]byte(*m.Body), &l); err != nil {
				o.t.Errorf("a dead letter is not JSON: %s", *m.Body)
			}
			seen[*m.MessageId] = l
		}
		if len(seen) == before {
			return slices.Collect(maps.Values(seen))
		}
	}
}

func TestTheArchiveOfEachBusKeepsEveryEvent(t *testing.T) {
	t.Parallel()

	o := open(t)
	out, err := eventbridge.NewFromConfig(o.config).ListArchives(t.Context(), &eventbridge.ListArchivesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bus := range []string{o.outputs.Bus, o.outputs.HubBus} {
		if !slices.ContainsFunc(out.Archives, func(a types.Archive) bool {
			return strings.HasSuffix(*a.EventSourceArn, "/"+bus) && *a.RetentionDays == 30
		}) {
			t.Errorf("no archive of 30 days for %s: %+v", bus, out.Archives)
		}
	}
}

func TestAnIntegrationKeyWorksAndNeverDecides(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	made := o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "story", "access": "read_write"}))
	with := func(method, path string, body any) reply {
		return o.send(method, o.outputs.API+path, body, http.Header{"X-Integration-Key": {text(made, "key")}})
	}
	o.must(http.StatusOK, with(http.MethodGet, "/api/agents", nil))
	o.agent(gate(600), note("tell", "hello"))
	o.escalate()
	exec := o.run()
	approval := o.approvalOf(exec)
	if r := with(http.MethodPost, "/api/approvals/"+approval+"/decision", doc{"decision": "approved"}); r.status != http.StatusForbidden {
		t.Errorf("a key decided: %d %v", r.status, r.body)
	}
	x := o.must(http.StatusOK, with(http.MethodPost, "/api/executions/"+exec+"/cancel", nil))
	if text(x, "status") != "cancelled" {
		t.Errorf("cancelled by key: %v", x)
	}
	a := o.must(http.StatusOK, o.get("/api/approvals/"+approval))
	if text(a, "status") != "denied" {
		t.Errorf("the gate of a cancelled execution is %s, want denied", text(a, "status"))
	}
	o.must(http.StatusNoContent, o.call(http.MethodDelete, "/api/keys/"+text(made, "id"), nil))
	if by := text(x, "cancelled_by"); by != text(made, "id") {
		t.Errorf("cancelled by %q, want the key", by)
	}
	acts := o.must(http.StatusOK, o.get("/api/audit?actor="+text(made, "id")))
	if text(acts, "entries", 0, "kind") != "execution.cancelled" || text(acts, "entries", 0, "object") != exec || text(acts, "entries", 0, "address") == "" {
		t.Errorf("the acts of the key: %v", acts)
	}
	for n, kind := range []string{"key.revoked", "key.created"} {
		acts := o.must(http.StatusOK, o.get("/api/audit?object="+text(made, "id")))
		if text(acts, "entries", n, "kind") != kind {
			t.Errorf("entry %d of the key: %v, want %s", n, acts, kind)
		}
	}
	if r := with(http.MethodGet, "/api/audit", nil); r.status != http.StatusUnauthorized {
		t.Errorf("a revoked key reads the audit log: %d", r.status)
	}
	if r := with(http.MethodGet, "/api/agents", nil); r.status != http.StatusUnauthorized {
		t.Errorf("a revoked key: %d", r.status)
	}
}

func TestEveryChannelReachesItsRecipient(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	hook := func(channel string) string {
		return strings.NewReplacer("{org}", o.name, "{channel}", channel).Replace(o.outputs.Hook)
	}
	tell := func(channel, recipient string) doc {
		return doc{
			"id": channel, "type": "notification", "channel": channel, "recipients": []any{recipient},
			"subject": "About {{ event_payload.ticket_id }}", "body": "Hello {{ event_payload.escalated_to }}",
		}
	}
	o.agent(tell("sms", "+15551234567"), tell("email", "ann@example.com"),
		tell("slack", hook("slack")), tell("teams", hook("teams")), tell("webhook", hook("webhook")))
	o.escalate()
	x := o.ends(o.run())
	if text(x, "status") != "completed" {
		t.Fatalf("%v: %v", at(x, "status"), at(x, "error"))
	}
	kinds := map[string]int{}
	for _, c := range o.calls("") {
		kinds[text(c, "kind")]++
	}
	for _, k := range []string{"sms", "email", "slack", "teams", "webhook"} {
		if kinds[k] != 1 {
			t.Errorf("%d messages by %s, want 1", kinds[k], k)
		}
	}
	body, header := o.webhook()
	if err := o.verifies(body, header); err != nil {
		t.Errorf("with the secret from the API: %v", err)
	}
	if o.tenant(t).verifies(body, header) == nil {
		t.Error("another organization's secret verifies the webhook too")
	}
}

// webhook returns the one webhook that was received. Its body has no white
// space, so the stand-in's listing is byte for byte the same.
func (o *org) webhook() (body []byte, header http.Header) {
	o.t.Helper()
	resp, err := http.Get(o.outputs.Products + "/_calls?org_id=" + url.QueryEscape(o.name))
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body was only read.
	var came struct {
		Calls []struct {
			Kind    string
			Body    json.RawMessage
			Headers map[string]string
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&came); err != nil {
		o.t.Fatal(err)
	}
	header = http.Header{}
	for _, c := range came.Calls {
		if c.Kind != "webhook" {
			continue
		}
		body = c.Body
		for name, value := range c.Headers {
			header.Set(name, value)
		}
	}
	return body, header
}

// verifies checks a webhook as its receiver does, with the secret of the
// organization.
func (o *org) verifies(body []byte, header http.Header) error {
	o.t.Helper()
	secret := text(o.must(http.StatusOK, o.get("/api/webhook-secret")), "secret")
	receiver, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		o.t.Fatal(err)
	}
	return receiver.Verify(body, header)
}

// A chat has no idempotency key, and neither has a text message: the chat
// stands here for both, since the emulator's SNS loses no reply.
func TestAMessageWithUnknownDeliveryIsNotSentAgain(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_products", doc{"product": "hooks", "action": "slack", "lost_reply": true})
	slack := strings.NewReplacer("{org}", o.name, "{channel}", "slack").Replace(o.outputs.Hook)
	o.agent(doc{
		"id": "tell", "type": "notification", "channel": "slack", "recipients": []any{slack}, "body": "Hello",
		"retry": doc{"max_attempts": 5, "backoff_seconds": 0},
	})
	o.escalate()
	x := o.ends(o.run())
	if got := text(x, "steps", 0, "output", "recipients", 0, "status"); got != "unknown" || text(x, "status") != "completed" {
		t.Errorf("the recipient is %s and the run %s: %v", got, text(x, "status"), at(x, "error"))
	}
	if calls := o.calls("slack"); len(calls) != 1 {
		t.Errorf("%d messages, want 1", len(calls))
	}
}

func TestABranchTakesTheFirstCaseThatHolds(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.agent(doc{
		"id": "which", "type": "branch",
		"cases": []any{
			doc{"when": doc{"field": "escalated_to", "operator": "eq", "value": "p2"}, "steps": []any{note("two", "two")}},
			doc{"when": doc{"field": "escalated_to", "operator": "eq", "value": "p1"}, "steps": []any{note("one", "one")}},
		},
		"else": []any{note("other", "other")},
	}, note("last", "last"))
	o.escalate()
	x := o.ends(o.run())
	if got, want := statuses(x), "which:completed one:completed last:completed"; got != want {
		t.Errorf("steps %q, want %q", got, want)
	}
}
