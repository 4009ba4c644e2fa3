package stories_test

import (
	"net/http"
	"testing"
	"time"
)

// In the deployed system a test run shows the action, the message and the question of
// an agent, and nothing of it happens: no call reaches the product, no run is listed.
func TestATestRunShowsWhatAnAgentWouldDoAndDoesNothing(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agent(
		doc{"id": "ask", "type": "approval_gate", "message": "Add the note?"},
		note("first", "Seen {{ event_payload.ticket_id }}"),
		doc{"id": "tell", "type": "notification", "channel": "email", "recipients": []any{"desk@msp.test"}, "body": "Noted."},
	)
	got := o.must(http.StatusOK, o.post("/api/agents/"+a+"/test", doc{"event": "sample"}))
	if text(got, "outcome") != "started" || text(got, "status") != "completed" || len(list(got, "effects")) != 2 || len(list(got, "gates")) != 1 {
		t.Fatalf("the test run is %v", got)
	}
	if text(got, "effects", 0, "what") != "psa.add_note" || text(got, "effects", 0, "gate") != "ask" || text(got, "effects", 1, "recipient") != "desk@msp.test" {
		t.Errorf("the effects are %v", at(got, "effects"))
	}
	denied := o.must(http.StatusOK, o.post("/api/agents/"+a+"/test", doc{"decisions": doc{"ask": "denied"}}))
	if text(denied, "status_reason") != "approval_denied" || len(list(denied, "effects")) != 0 {
		t.Errorf("denied: %v", denied)
	}
	o.mustRefuse(http.StatusBadRequest, "invalid_request", o.post("/api/agents/"+a+"/test", doc{"decisions": doc{"asks": "denied"}}))
	viewer := o.as("user_viewer", "viewer")
	viewer.mustRefuse(http.StatusForbidden, "forbidden", viewer.post("/api/agents/"+a+"/test", doc{}))
	if calls, runs := o.calls("add_note"), o.runs(); len(calls)+len(runs) != 0 {
		t.Errorf("%d calls, %d runs", len(calls), len(runs))
	}
	if len(list(o.must(http.StatusOK, o.get("/api/approvals")), "approvals")) != 0 {
		t.Error("an approval was stored")
	}

	of := o.must(http.StatusOK, o.post("/api/templates/tmpl_server_offline/test", doc{}))
	if text(of, "status") != "completed" || text(of, "effects", 0, "what") != "oncall.create_incident" {
		t.Errorf("the template does %v", at(of, "effects"))
	}
}

// A test run with recorded answers gets that of the run whose event it plays, and names
// the run. A question that no run asked gets a simulated answer and a warning.
func TestATestRunTakesTheAnswersOfEarlierRuns(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agent(doc{
		"id": "sort", "type": "ai_reason", "model": "quick", "prompt": "Sort {{ event_payload.ticket_id }}.",
		"output_schema": doc{"type": "object", "required": []any{"word"}, "properties": doc{"word": doc{"type": "string"}}},
	})
	o.escalate()
	run := o.run()
	was := o.ends(run)
	got := o.must(http.StatusOK, o.post("/api/agents/"+a+"/test", doc{"model": "recorded", "event": doc{"execution_id": run}}))
	if text(got, "steps", 0, "source") != "recorded" || text(got, "steps", 0, "source_execution_id") != run || len(list(got, "warnings")) != 0 {
		t.Errorf("the test run is %v", got)
	}
	if text(got, "steps", 0, "output", "word") != text(was, "steps", 0, "output", "word") {
		t.Errorf("the answer is %v, want that of %v", at(got, "steps", 0, "output"), at(was, "steps", 0, "output"))
	}
	other := o.must(http.StatusOK, o.post("/api/agents/"+a+"/test", doc{"model": "recorded", "event": doc{"payload": doc{"ticket_id": "t-other"}}}))
	if text(other, "steps", 0, "source") != "simulated" || text(other, "warnings", 0, "path") != "model.sort" {
		t.Errorf("the test run of another question is %v", other)
	}
}

// A test run with live models is a job. The model is asked and charged once, under the agent;
// the action, the message and the question are held back, and no list has a run.
func TestALiveTestAsksTheModelAndHoldsTheRestBack(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	a := o.agent(
		doc{"id": "sort", "type": "ai_reason", "model": "quick", "prompt": "Sort {{ event_payload.ticket_id }}."},
		doc{"id": "ask", "type": "approval_gate", "message": "Add the note?"},
		note("first", "{{ steps.sort.output.text }}"),
	)
	before := o.must(http.StatusOK, o.get("/api/credits"))
	started := o.must(http.StatusAccepted, o.post("/api/agents/"+a+"/test", doc{"model": "live"}))
	if text(started, "kind") != "live_test" || text(started, "status") != "pending" {
		t.Fatalf("the test run is %v", started)
	}
	var j doc
	o.within(time.Minute, "the test run has ended", func() bool {
		j = o.must(http.StatusOK, o.get("/api/jobs/"+text(started, "id")))
		return text(j, "status") != "pending" && text(j, "status") != "running"
	})
	r := at(j, "result")
	if text(j, "status") != "completed" || text(r, "steps", 0, "source") != "live" || text(r, "steps", 0, "output", "text") == "" || number(r, "credits", "charged") != 5 {
		t.Fatalf("the test run ended as %v", j)
	}
	if text(r, "effects", 0, "what") != "psa.add_note" || len(list(r, "gates")) != 1 {
		t.Errorf("the effects are %v", at(r, "effects"))
	}
	o.eventually("the agent has used 5 credits", func() bool {
		after := o.must(http.StatusOK, o.get("/api/credits"))
		return number(after, "by_agent", a) == 5 && number(after, "total_used") == 5 && number(after, "by_model", "quick") == 5 &&
			number(after, "remaining") == number(before, "remaining")-5
	})
	if calls, runs := o.calls("add_note"), o.runs(); len(calls)+len(runs) != 0 {
		t.Errorf("%d calls, %d runs", len(calls), len(runs))
	}
	if stats := at(o.must(http.StatusOK, o.get("/api/agents/"+a)), "stats"); number(stats, "total_executions") != 0 || number(stats, "credits_used_this_month") != 5 {
		t.Errorf("the statistics are %v", stats)
	}
	if len(list(o.must(http.StatusOK, o.get("/api/approvals")), "approvals")) != 0 {
		t.Error("an approval was stored")
	}
	o.mustRefuse(http.StatusBadRequest, "invalid_request", o.post("/api/templates/tmpl_server_offline/test", doc{"model": "live"}))
}
