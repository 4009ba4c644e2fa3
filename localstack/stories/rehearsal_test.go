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
