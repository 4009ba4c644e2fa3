package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// What a test run holds back reaches no one, and it leaves no record: no execution, no
// approval, no activity, no audit entry, no credit used.
func TestATestRunChangesNothing(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	records := []string{"/api/executions", "/api/approvals", "/api/agents/" + agentID + "/activity", "/api/audit", "/api/credits", "/api/quotas", "/api/agents"}
	read := func() string {
		var all strings.Builder
		for _, path := range records {
			got := w.do(t, call{as: "owner@org_a", what: "GET " + path})
			if got.status != http.StatusOK {
				t.Fatal(got.text)
			}
			all.WriteString(got.text)
		}
		return all.String()
	}
	before, starts, rings := read(), w.machine.starts, w.machine.rings
	for _, body := range []string{"", testBody, `{"ignore_match": true, "definition": {"conditions": [], "steps": [
		{"id": "ask", "type": "approval_gate", "message": "Go on?"}, {"id": "tell", "type": "notification", "channel": "sms", "recipients": ["+15551234567"], "body": "Look."}]}}`} {
		if got := w.do(t, call{as: "member@org_a", what: "POST /api/agents/" + agentID + "/test", body: body}); got.status != http.StatusOK {
			t.Fatal(got.text)
		}
	}
	if after := read(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if w.machine.starts != starts || w.machine.rings != rings {
		t.Errorf("%d machines were started and %d rung", w.machine.starts-starts, w.machine.rings-rings)
	}
}
