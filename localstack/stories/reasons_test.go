package stories_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entryOf waits for the entry about an event in an agent's activity, and
// returns it.
func (o *org) entryOf(agent, event string) (entry any) {
	o.t.Helper()
	o.eventually("the event is in the activity", func() bool {
		entry = nil
		for _, e := range o.activity(agent) {
			if text(e, "event_id") == event {
				entry = e
			}
		}
		return entry != nil
	})
	return entry
}

func (o *org) activity(agent string) []any {
	o.t.Helper()
	return list(o.must(http.StatusOK, o.get("/api/agents/"+agent+"/activity?limit=200")), "activity")
}

// outcomes counts the outcomes in an agent's activity.
func (o *org) outcomes(agent string) map[string]int {
	counts := map[string]int{}
	for _, e := range o.activity(agent) {
		counts[text(e, "outcome")]++
	}
	return counts
}

func TestAnAgentThatOverridesReplacesSystemAgents(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	own := o.agentWith("psa", "ticket.created", doc{
		"conflict_behavior": "override",
		"conditions":        []any{doc{"field": "priority", "operator": "eq", "value": "p1"}},
	}, note("tell", "hello"))
	ticket := func(name, priority string) string {
		return o.publish("psa", "ticket.created", doc{
			"ticket_id": name, "priority": priority, "subject": "VPN down", "type": "incident", "created_by": "ann", "created_at": "2026-03-09T14:23:01Z",
		})
	}
	event := ticket("tkt_1", "p1")
	entry := o.entryOf("agent_system_dispatch", event)
	if text(entry, "outcome") != "overridden" || !strings.Contains(text(entry, "detail"), own) || at(entry, "execution_id") != nil {
		t.Errorf("Dispatch: %v, want overridden by %s", entry, own)
	}
	if entry := o.entryOf(own, event); text(entry, "outcome") != "started" {
		t.Errorf("the agent: %v", entry)
	}
	if x := o.ends(o.run()); text(x, "agent_id") != own || text(x, "status") != "completed" {
		t.Errorf("%s of %s", text(x, "status"), text(x, "agent_id"))
	}

	event = ticket("tkt_2", "p3") // the overriding agent does not match, so Dispatch runs
	if entry := o.entryOf("agent_system_dispatch", event); text(entry, "outcome") != "started" {
		t.Errorf("Dispatch alone: %v", entry)
	}
	if entry := o.entryOf(own, event); text(entry, "outcome") != "condition_not_met" {
		t.Errorf("the agent: %v", entry)
	}
}

// publishCaused publishes the event of escalate as the consequence of a call:
// the event carries the metadata that the call sent to the product.
func (o *org) publishCaused(call any, n int) string {
	o.t.Helper()
	depth, err := strconv.Atoi(text(call, "headers", "X-One-Agents-Depth"))
	if err != nil || text(call, "headers", "X-One-Agents-Execution") == "" {
		o.t.Fatalf("the call does not carry its cause: %v", at(call, "headers"))
	}
	e := o.envelope("psa", "ticket.escalated", doc{"ticket_id": fmt.Sprintf("tkt_%d", n), "escalated_to": "p1"})
	e["metadata"] = doc{"agent_triggered": true, "causation": doc{
		"execution_id": text(call, "headers", "X-One-Agents-Execution"), "depth": depth,
	}}
	o.put("psa", "ticket.escalated", e)
	return text(e, "id")
}

func TestTheLoopGuardStopsAgentsThatTriggerEachOther(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	open := o.agentWith("psa", "ticket.escalated", doc{"trigger": doc{"allow_agent_triggered": true}}, note("tell", "hello"))
	wary := o.agent(doc{"id": "pause", "type": "wait", "duration_seconds": 1})
	o.escalate()
	for n := 1; ; n++ {
		o.eventually("the product was called again", func() bool { return len(o.done("add_note")) == n })
		calls := o.done("add_note")
		event := o.publishCaused(calls[n-1], n)
		entry := o.entryOf(open, event)
		if outcome := text(entry, "outcome"); n <= 5 && outcome != "started" {
			t.Fatalf("with %d runs behind it an event is %s, want started: %v", n, outcome, entry)
		} else if n == 6 {
			if outcome != "loop_guard" || !strings.Contains(text(entry, "detail"), "6 runs") {
				t.Errorf("with 6 runs behind it: %v, want loop_guard", entry)
			}
			break
		}
		if entry := o.entryOf(wary, event); text(entry, "outcome") != "loop_guard" {
			t.Errorf("an agent that does not allow it: %v", entry)
		}
	}
	if diff := cmp.Diff(map[string]int{"started": 6, "loop_guard": 1}, o.outcomes(open)); diff != "" {
		t.Errorf("the agent that allows it (-want +got)\n%s", diff)
	}
}

// A product that passes on nothing does not say that an agent opened a ticket. The
// platform knows the ticket from the product's answer.
func TestAgentsThatTriggerEachOtherStopWithoutAnEcho(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	double := doc{"trigger": doc{"allow_agent_triggered": true}}
	opens := func(name string) doc {
		return doc{"id": name, "type": "product_action", "product": "psa", "action": "create_ticket", "params": doc{"subject": "from " + name}}
	}
	loop := o.agentWith("psa", "ticket.escalated", double, opens("one"))
	wary := o.agentWith("psa", "ticket.escalated", doc{}, note("tell", "hello"))
	root := o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_person", "escalated_to": "p1"})
	entry, runs := o.entryOf(loop, root), 0
	for ; text(entry, "outcome") == "started" && runs < 10; runs++ {
		run := o.reaches(text(entry, "execution_id"), "completed")
		want := any(nil)
		if runs > 0 {
			if wary := o.entryOf(wary, text(run, "trigger_event", "id")); text(wary, "outcome") != "loop_guard" {
				t.Errorf("an agent that does not allow it: %v", wary)
			}
			want = doc{"root_event_id": root, "execution_id": at(run, "trigger_event", "causation", "execution_id"), "depth": float64(runs)}
		}
		if diff := cmp.Diff(want, at(run, "trigger_event", "causation")); diff != "" {
			t.Errorf("the cause with %d runs behind it (-want +got)\n%s", runs, diff)
		}
		made := text(run, "steps", 0, "output", "ticket_id")
		event := o.publish("psa", "ticket.escalated", doc{"ticket_id": made, "escalated_to": "p1"})
		entry = o.entryOf(loop, event)
	}
	if outcome := text(entry, "outcome"); runs != 6 || outcome != "loop_guard" || !strings.Contains(text(entry, "detail"), "6 runs") {
		t.Errorf("after %d runs: %v, want loop_guard after 6", runs, entry)
	}
}

func TestAnAgentStartsNoMoreOftenThanItsLimit(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	once := o.agentWith("psa", "ticket.escalated", doc{"execution_limit": doc{"max_per_hour": 1}}, note("tell", "once"))
	thrice := o.agentWith("psa", "ticket.sla_warning", doc{"execution_limit": doc{"max_per_hour": 3}}, note("tell", "thrice"))
	publish := func(n int) string {
		return o.publish("psa", "ticket.escalated", doc{"ticket_id": fmt.Sprintf("tkt_%d", n), "escalated_to": "p1"})
	}
	if entry := o.entryOf(once, publish(1)); text(entry, "outcome") != "started" {
		t.Errorf("the first: %v", entry)
	}
	entry := o.entryOf(once, publish(2))
	if detail := text(entry, "detail"); text(entry, "outcome") != "limit_reached" ||
		!strings.HasPrefix(detail, "max_per_hour is 1 and 1 started; the next may start at 20") {
		t.Errorf("the second: %v", entry)
	}

	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() { o.publish("psa", "ticket.sla_warning", doc{"ticket_id": fmt.Sprintf("tkt_%d", n)}) })
	}
	wg.Wait()
	o.eventually("all twenty are in the activity", func() bool { return len(o.activity(thrice)) == 20 })
	if diff := cmp.Diff(map[string]int{"started": 3, "limit_reached": 17}, o.outcomes(thrice)); diff != "" {
		t.Errorf("twenty at once (-want +got)\n%s", diff)
	}
	o.eventually("all started executions have ended", func() bool {
		runs := o.runs()
		return len(runs) == 4 && !slices.ContainsFunc(runs, func(x any) bool { return !ended(x) })
	})
	if n := len(o.done("add_note")); n != 4 {
		t.Errorf("%d notes, want 4", n)
	}
}

func TestAnAgentRunsOnlyForTheClientsInItsScope(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	only := o.agentWith("psa", "ticket.escalated", doc{"client_scope": doc{"include": []any{"cli_acme"}}}, note("tell", "only"))
	but := o.agentWith("psa", "ticket.escalated", doc{"client_scope": doc{"exclude": []any{"cli_acme"}}}, note("tell", "but"))
	publish := func(ticket, client string) string {
		payload := doc{"ticket_id": ticket, "escalated_to": "p1"}
		if client != "" {
			payload["client_id"] = client
		}
		return o.publish("psa", "ticket.escalated", payload)
	}
	got := map[string]string{}
	for name, event := range map[string]string{
		"acme": publish("tkt_1", "cli_acme"), "globex": publish("tkt_2", "cli_globex"), "no client": publish("tkt_3", ""),
	} {
		for kind, agent := range map[string]string{"only acme": only, "all but acme": but} {
			entry := o.entryOf(agent, event)
			got[kind+", "+name] = strings.TrimSpace(text(entry, "outcome") + " " + text(entry, "detail"))
		}
	}
	if diff := cmp.Diff(map[string]string{
		"only acme, acme":         "started",
		"only acme, globex":       `out_of_scope client_scope does not include client "cli_globex"`,
		"only acme, no client":    "out_of_scope the event has no client, and client_scope includes only listed clients",
		"all but acme, acme":      `out_of_scope client_scope excludes client "cli_acme"`,
		"all but acme, globex":    "started",
		"all but acme, no client": "started",
	}, got); diff != "" {
		t.Errorf("outcomes (-want +got)\n%s", diff)
	}
}

// It is not parallel: a stand-in that receives another story's rules restarts
// the counts of the rules here.
//
//nolint:paralleltest // see above.
func TestATraceHasTheErrorOfEachStep(t *testing.T) {
	o := open(t).tenant(t)
	long := strings.Repeat("long ", 100)
	answer := doc{"type": "object", "required": []any{"noise"}, "properties": doc{"noise": doc{"type": "boolean"}}}
	o.addRules("_model", doc{"contains": "Judge well", "status": 503, "times": 1}, doc{"contains": "Talk nonsense", "respond": "As an AI I cannot."})
	o.addRules("_products",
		doc{"product": "psa", "action": "update_ticket", "status": 503, "times": 2},
		doc{"product": "psa", "action": "create_ticket", "delay_ms": 8000})
	o.agent(
		doc{"id": "judge", "type": "ai_reason", "model": "standard", "prompt": "Judge well: {{ event_payload.ticket_id }}", "output_schema": answer},
		doc{"id": "nonsense", "type": "ai_reason", "model": "quick", "prompt": "Talk nonsense.", "output_schema": answer, "on_error": "continue"},
		doc{
			"id": "flaky", "type": "product_action", "product": "psa", "action": "update_ticket", "retry": doc{"max_attempts": 3, "backoff_seconds": 1},
			"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "category": long},
		},
		doc{
			"id": "slow", "type": "product_action", "product": "psa", "action": "create_ticket", "timeout_seconds": 1, "on_error": "continue",
			"params": doc{"subject": "Too slow"},
		},
		doc{
			"id": "never", "type": "product_action", "product": "psa", "action": "add_note", "if": doc{"field": "escalated_to", "operator": "eq", "value": "p4"},
			"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "body": "never"},
		},
		note("tell", "hello {{ event_payload.ticket_id }}"),
	)
	ticket := o.escalate()
	x := o.ends(o.run())

	want := "judge:completed nonsense:failed flaky:completed slow:failed never:skipped tell:completed"
	if got := statuses(x); got != want || text(x, "status") != "completed" {
		t.Fatalf("%s with %q, want completed with %q", text(x, "status"), got, want)
	}
	o.checkTrace(x, map[string]shown{
		"judge":    {tries: 2, credits: 20},
		"nonsense": {tries: 2, code: "invalid_model_output"},
		"flaky":    {tries: 3},
		"slow":     {tries: 1, code: "step_timeout"},
		"never":    {},
		"tell":     {tries: 1},
	})
	flaky := at(x, "steps", 2)
	category := text(flaky, "input", "category")
	if begins, _, _ := strings.Cut(category, "…"); text(flaky, "input", "ticket_id") != ticket || len(category) > 170 ||
		!strings.HasPrefix(long, begins) || category != fmt.Sprintf("%s… (%d more characters)", begins, len(long)-len(begins)) {
		t.Errorf("input of flaky = %v", at(flaky, "input"))
	}
	if why := text(x, "steps", 4, "input", "if"); !strings.Contains(why, `"p1"`) || !strings.Contains(why, "escalated_to") {
		t.Errorf("never was skipped because %q", why)
	}
	if o.credits(20); number(x, "credits_used") != 20 {
		t.Errorf("the run used %v credits, want 20", at(x, "credits_used"))
	}

	keys := map[string]bool{}
	for _, c := range o.calls("update_ticket") {
		keys[text(c, "idempotency_key")] = true
		if text(c, "params", "category") != long {
			t.Errorf("the product received %v", at(c, "params"))
		}
	}
	if diff := cmp.Diff(map[string]bool{text(x, "id") + ":flaky": true}, keys); diff != "" || len(o.done("update_ticket")) != 1 {
		t.Errorf("%d updates, keys (-want +got)\n%s", len(o.done("update_ticket")), diff)
	}
	asked := o.modelsOf("judge")
	if len(asked) != 2 || number(asked[0], "status") != 503 || number(asked[1], "status") != 200 || text(asked[0], "model") == text(asked[1], "model") {
		t.Errorf("judge asked %v, want two models", asked)
	}
	if n := len(o.modelsOf("nonsense")); n != 2 {
		t.Errorf("the model was asked for nonsense %d times, want 2", n)
	}
}

// A shown is the expected part of a step's trace.
type shown struct {
	tries, credits float64
	code           string
}

// checkTrace compares the trace of an execution, and checks that each attempted
// step has an input and times.
func (o *org) checkTrace(x doc, want map[string]shown) {
	o.t.Helper()
	got := map[string]shown{}
	last := text(x, "created_at")
	for _, s := range list(x, "steps") {
		name := text(s, "step_id")
		got[name] = shown{tries: number(s, "attempts"), credits: number(s, "credits_used"), code: text(s, "error", "code")}
		if at(s, "input") == nil || (at(s, "output") == nil) != (text(s, "status") != "completed") {
			o.t.Errorf("%s has input %v and output %v", name, at(s, "input"), at(s, "output"))
		}
		if (text(s, "error", "message") == "") != (text(s, "status") != "failed") {
			o.t.Errorf("%s is %s with the error %v", name, text(s, "status"), at(s, "error"))
		}
		if begun, done := text(s, "started_at"), text(s, "completed_at"); begun < last || done < begun || at(s, "duration_ms") == nil {
			o.t.Errorf("%s from %s to %s (%v ms) comes after %s", name, begun, done, at(s, "duration_ms"), last)
		}
		last = text(s, "completed_at")
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(shown{})); diff != "" {
		o.t.Errorf("the trace (-want +got)\n%s", diff)
	}
}

// modelsOf returns the models that were called for a step.
func (o *org) modelsOf(step string) []any {
	o.t.Helper()
	all := list(o.send(http.MethodGet, o.outputs.Products+"/_model/calls?org_id="+o.name, nil, nil).body, "calls")
	return slices.DeleteFunc(all, func(c any) bool { return text(c, "step_id") != step })
}
