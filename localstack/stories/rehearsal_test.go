package stories_test

import (
	"net/http"
	"testing"
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
