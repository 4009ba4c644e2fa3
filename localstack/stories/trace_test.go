package stories_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inList returns an execution as lists show it.
func (o *org) inList(exec string) doc {
	o.t.Helper()
	runs := o.runs()
	i := slices.IndexFunc(runs, func(x any) bool { return text(x, "id") == exec })
	if i < 0 {
		o.t.Fatalf("%s is not in %v", exec, runs)
	}
	return object(runs[i])
}

func TestATraceHasTheCauseTheDurationsAndTheSkippedSteps(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_products", doc{"product": "psa", "action": "create_ticket", "status": 422})
	a := o.agent(
		doc{"id": "think", "type": "ai_reason", "model": "quick", "prompt": "Think about {{ event_payload.ticket_id }}."},
		doc{
			"id": "shaky", "type": "product_action", "product": "psa", "action": "create_ticket", "on_error": "continue",
			"params": doc{"subject": "Refused"},
		},
		note("tell", "hello"),
	)
	event := o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p1", "client_id": "cli_story"})
	x := o.ends(o.run())

	if got, want := statuses(x), "think:completed shaky:failed tell:completed"; got != want || text(x, "status") != "completed" {
		t.Fatalf("%s with %q, want completed with %q", text(x, "status"), got, want)
	}
	for where, x := range map[string]doc{"the list": o.inList(text(x, "id")), "the detail": x} {
		got := doc{}
		for _, field := range []string{"agent_id", "agent_version", "source_product", "event_type", "client_id", "started_by", "warnings"} {
			got[field] = x[field]
		}
		want := doc{
			"agent_id": a, "agent_version": 1.0, "source_product": "psa", "event_type": "ticket.escalated",
			"client_id": "cli_story", "started_by": doc{"type": "event", "id": event}, "warnings": 1.0,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", where, diff)
		}
	}
	if code := text(x, "steps", 1, "error", "code"); code != "product_error" {
		t.Errorf("the skipped step has the error %q", code)
	}
	think := at(x, "steps", 0)
	if text(think, "model") == "" || number(think, "tokens", "input") <= 0 || number(think, "tokens", "output") <= 0 {
		t.Errorf("the AI step has model %v and tokens %v", at(think, "model"), at(think, "tokens"))
	}
	if tell := at(x, "steps", 2); at(tell, "model") != nil || at(tell, "tokens") != nil || number(tell, "attempts") != 1 {
		t.Errorf("the action has model %v, tokens %v and %v attempts", at(tell, "model"), at(tell, "tokens"), at(tell, "attempts"))
	}
	end := 0.0
	for _, s := range list(x, "steps") {
		begin := number(s, "started_offset_ms")
		if begin < end-1 { // both are truncated to milliseconds
			t.Errorf("%s begins after %v ms, the step before it ended after %v ms", text(s, "step_id"), begin, end)
		}
		end = begin + number(s, "duration_ms")
	}
	if took := number(x, "duration_ms"); took < end-1 {
		t.Errorf("the run took %v ms, its last step ended after %v ms", took, end)
	}
}

func TestARetryNamesItsStarterAndOutlivesItsAgent(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.addRules("_products", doc{"product": "psa", "action": "add_note", "status": 422})
	a := o.agent(note("tell", "hello"))
	o.must(http.StatusOK, o.call(http.MethodPut, "/api/agents/"+a, doc{"conflict_behavior": "override"}))
	o.escalate()
	first := o.ends(o.run())
	key := o.must(http.StatusCreated, o.post("/api/keys", doc{"name": "CI", "access": "read_write"}))

	retry := o.must(http.StatusCreated, o.as("user_mia", "member").post("/api/executions/"+text(first, "id")+"/retry", nil))
	second := o.ends(text(retry, "id"))
	retry = o.must(http.StatusCreated, o.send(http.MethodPost, o.outputs.API+"/api/executions/"+text(second, "id")+"/retry", nil,
		http.Header{"X-Integration-Key": {text(key, "key")}}))
	third := o.ends(text(retry, "id"))
	want := map[string]doc{
		text(first, "id"):  object(first["started_by"]),
		text(second, "id"): {"type": "user", "id": "user_mia"},
		text(third, "id"):  {"type": "key", "id": text(key, "id")},
	}
	if text(first, "started_by", "type") != "event" {
		t.Errorf("the first run was started by %v", first["started_by"])
	}

	o.must(http.StatusNoContent, o.call(http.MethodDelete, "/api/agents/"+a, nil))
	o.mustRefuse(http.StatusNotFound, "agent_not_found", o.get("/api/agents/"+a))
	for exec, by := range want {
		x := o.must(http.StatusOK, o.get("/api/executions/"+exec))
		if diff := cmp.Diff(by, object(x["started_by"])); diff != "" || statuses(x) != "tell:failed" || number(x, "agent_version") != 2 {
			t.Errorf("%s: steps %q of version %v, started by (-want +got)\n%s", exec, statuses(x), x["agent_version"], diff)
		}
		if diff := cmp.Diff(by, object(o.inList(exec)["started_by"])); diff != "" {
			t.Errorf("%s in the list: started by (-want +got)\n%s", exec, diff)
		}
	}
	viewer := o.as("user_vic", "viewer")
	if n := len(list(o.must(http.StatusOK, viewer.get("/api/agents/"+a+"/versions")), "versions")); n != 2 {
		t.Errorf("%d versions of the deleted agent, want 2", n)
	}
	if v := o.must(http.StatusOK, viewer.get("/api/agents/"+a+"/versions/1")); text(v, "conflict_behavior") != "additive" {
		t.Errorf("the first version has conflict_behavior %v", v["conflict_behavior"])
	}
	o.mustRefuse(http.StatusNotFound, "not_found", viewer.get("/api/agents/"+a+"/versions/3"))
	o.mustRefuse(http.StatusNotFound, "agent_not_found", open(t).tenant(t).get("/api/agents/"+a+"/versions"))
}

// history returns an agent's activity, page by page, as "event outcome", newest
// first, and whether the times descend.
func (o *org) history(agent string, limit int) (entries []string, descend bool) {
	o.t.Helper()
	descend = true
	last, cursor := "9999", ""
	for {
		page := o.must(http.StatusOK, o.get(fmt.Sprintf("/api/agents/%s/activity?limit=%d%s", agent, limit, cursor)))
		for _, e := range list(page, "activity") {
			entries = append(entries, text(e, "event_id")+" "+text(e, "outcome"))
			descend = descend && text(e, "at") <= last
			last = text(e, "at")
		}
		if page["next_cursor"] == nil {
			return entries, descend
		}
		cursor = "&cursor=" + text(page, "next_cursor")
	}
}

func TestActivityIsSortedByTheTimeOfTheDecisionAlsoForLateEvents(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agentWith("psa", "ticket.escalated", doc{"trigger": doc{
		"filters": []any{doc{"field": "escalated_to", "operator": "eq", "value": "p1"}},
	}}, note("tell", "hello"))
	var want []string
	decided := func(e doc, outcome string) {
		t.Helper()
		o.put("psa", "ticket.escalated", e)
		entry := text(e, "id") + " " + outcome
		o.eventually(entry+" is listed", func() bool {
			all, _ := o.history(a, 200)
			return slices.Contains(all, entry)
		})
		want = append([]string{entry}, want...)
	}
	event := func(to, ticket string, late time.Duration) doc {
		e := o.envelope("psa", "ticket.escalated", doc{"ticket_id": ticket, "escalated_to": to})
		e["published_at"] = time.Now().Add(-late).UTC().Format(time.RFC3339)
		return e
	}
	refused, late := event("p3", "tkt_2", 0), event("p4", "tkt_3", 2*time.Hour)
	decided(event("p1", "tkt_1", 0), "started")
	decided(refused, "filtered")
	decided(late, "filtered")
	decided(event("p1", "tkt_4", 3*time.Hour), "started")
	for _, again := range []doc{refused, late, refused, late} {
		o.put("psa", "ticket.escalated", again)
	}
	decided(event("p2", "tkt_5", 0), "filtered")

	for _, limit := range []int{1, 2, 50} {
		got, descend := o.history(a, limit)
		if diff := cmp.Diff(want, got); diff != "" || !descend {
			t.Errorf("pages of %d, times descend: %t (-want +got)\n%s", limit, descend, diff)
		}
	}
}

func TestTheActivityOfASystemAgentIsThatOfTheCallersOrganization(t *testing.T) {
	t.Parallel()

	s := open(t)
	o, other := s.tenant(t), s.tenant(t)
	const system = "agent_system_dispatch"
	e := o.publish("psa", "ticket.created", doc{"ticket_id": "tkt_1", "priority": "p3", "subject": "The printer is on fire", "type": "incident"})
	o.eventually("the event is listed", func() bool {
		all, _ := o.history(system, 50)
		return len(all) == 1 && strings.HasPrefix(all[0], e)
	})
	if all, _ := other.history(system, 50); len(all) != 0 {
		t.Errorf("another organization sees %v", all)
	}
}
