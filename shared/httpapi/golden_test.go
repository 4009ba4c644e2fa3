package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// A golden is a call whose whole response is kept in testdata.
type golden struct {
	name string
	call call
	with func(t *testing.T, w *fixture) // changes the fixture before the call
}

// written returns the goldens of single operations: their results and their own
// faults.
func written() []golden {
	owner, member := "owner@org_a", "member@org_a"
	longNote := `{"decision": "approved", "note": "` + strings.Repeat("n", 2001) + `"}`
	return []golden{
		{"all", call{as: "viewer@org_a", what: "GET /api/agents"}, nil},
		{"of a type", call{as: "read", what: "GET /api/agents?type=system&status=active&category=service_desk"}, nil},
		{"of another organization", call{as: "viewer@org_b", what: "GET /api/agents?type=custom"}, nil},
		{"unknown values", call{as: owner, what: "GET /api/agents?status=asleep&type=mine&category=fun"}, nil},
		{"repeated and empty", call{as: owner, what: "GET /api/agents?status=active&status=draft&type="}, nil},
		{"in error", call{as: "viewer@org_a", what: "GET /api/agents?status=error"}, dropAction},

		{"a draft", call{as: member, what: "POST /api/agents", body: exampleAgent}, nil},
		{"too many drafts", call{as: member, what: "POST /api/agents", body: exampleAgent}, fillDrafts},
		{"too many drafts with a key", call{as: member, what: "POST /api/agents", body: exampleAgent, header: withKey("a key")}, fillDrafts},
		{"with a key", call{as: member, what: "POST /api/agents", body: exampleAgent, header: withKey("a key")}, nil},
		{"repeated with its key", call{as: member, what: "POST /api/agents", body: exampleAgent, header: withKey("a key")}, createOnce},
		{"a key of another request", call{as: member, what: "POST /api/agents", body: `{"name": "B"}`, header: withKey("a key")}, createOnce},
		{"a long key", call{as: member, what: "POST /api/agents", body: exampleAgent, header: withKey(strings.Repeat("k", 256))}, nil},
		{"every fault", call{as: "read_write", what: "POST /api/agents", body: `{"name": 7, "id": "agent_1", "trigger": {}, "steps": [{"type": "wait"}]}`}, nil},

		{"valid", call{as: member, what: "POST /api/agents/validate", body: exampleAgent}, nil},
		{"every fault", call{as: "read_write", what: "POST /api/agents/validate", body: `{"name": 7, "id": 7, "trigger": {}, "steps": [{"type": "wait"}]}`}, nil},
		{"a change", call{as: member, what: "POST /api/agents/validate", body: `{"id": "` + agentID + `", "name": "B", "version": 1}`}, nil},
		{"faults of a change", call{as: member, what: "POST /api/agents/validate", body: `{"id": "` + agentID + `", "steps": [], "status": "active"}`}, nil},
		{"not filled in", call{as: member, what: "POST /api/agents/validate", body: `{"id": "agent_NEW3", "status": "active"}`}, cloneTemplate},
		{"not allowed move", call{as: member, what: "POST /api/agents/validate", body: `{"id": "` + agentID + `", "status": "draft"}`}, nil},
		{"read-only fields that changed", call{as: member, what: "POST /api/agents/validate", body: `{"id": "` + agentID + `", "version": 7}`}, nil},
		{"change system", call{as: owner, what: "POST /api/agents/validate", body: `{"id": "` + systemID + `", "name": "Mine"}`}, nil},
		{"pause system", call{as: owner, what: "POST /api/agents/validate", body: `{"id": "` + systemID + `", "status": "paused"}`}, nil},
		{"of another organization", call{as: "member@org_b", what: "POST /api/agents/validate", body: `{"id": "` + agentID + `", "name": "B"}`}, nil},
		{"strange id", call{as: member, what: "POST /api/agents/validate", body: `{"id": "a#b", "name": "B"}`}, nil},
		{"what a change widens", call{as: member, what: "POST /api/agents/validate", body: `{"id": "` + agentID + `", "trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created", "allow_agent_triggered": true}}`}, nil},

		{"of now", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/capabilities"}, nil},
		{"against itself", call{as: "read", what: "GET /api/agents/" + agentID + "/capabilities?version=1&against=1"}, nil},
		{"of a system agent", call{as: "viewer@org_b", what: "GET /api/agents/" + systemID + "/capabilities"}, nil},
		{"no such version", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/capabilities?version=7"}, nil},
		{"no numbers", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/capabilities?version=new&against=0"}, nil},
		{"of another organization", call{as: "viewer@org_b", what: "GET /api/agents/" + agentID + "/capabilities"}, nil},

		{"sample", call{as: member, what: "POST /api/agents/" + agentID + "/test"}, nil},
		{"answers", call{as: "read_write", what: "POST /api/agents/" + agentID + "/test", body: testBody}, nil},
		{"unknown names", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"colour": "red", "event": {"id": 7}, "model": {"judge": 1, "nobody": 1}, "at": "now", "client_context": "then"}`}, nil},
		{"names that the definition lacks", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"model": {"later": "x"}, "replies": {"psa.add_notes": {}}, "fail": {"wait": {"code": "x"}}, "decisions": {"note": "approved"}}`}, nil},
		{"a definition that is not saved", call{as: owner, what: "POST /api/agents/" + agentID + "/test", body: `{"ignore_match": true, "definition": {"conditions": [], "steps": [{"id": "ask", "type": "approval_gate", "message": "Post it?"}, {"id": "post", "type": "notification", "channel": "slack", "recipients": ["https://hooks.slack.com/services/T0/B0/x"], "body": "Look."}]}}`}, nil},
		{"a URL that is hidden", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"ignore_match": true, "definition": {"conditions": [], "steps": [{"id": "post", "type": "notification", "channel": "slack", "recipients": ["https://hooks.slack.com/services/T0/B0/x"], "body": "Look."}]}}`}, nil},
		{"faults of a definition that is not saved", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"definition": {"steps": [], "colour": 1}}`}, nil},
		{"a version and a definition", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"version": 1, "definition": {}}`}, nil},
		{"a missing version", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"version": 7}`}, nil},
		{"an earlier version", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"version": 1, "event": {"payload": {"priority": "p2"}}}`}, changeScope},
		{"the event of an execution", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"event": {"execution_id": "` + doneID + `"}}`}, nil},
		{"empty ids", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"event": {"payload": {}, "client_id": "", "execution_id": ""}}`}, nil},
		{"a payload and null", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"event": {"payload": {}, "execution_id": null}}`}, nil},
		{"recorded answers", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"model": "recorded"}`}, nil},
		{"live models", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"model": "live", "ignore_match": true}`}, nil},
		{"live models of a key", call{as: "read_write", what: "POST /api/agents/" + agentID + "/test", body: `{"model": "live"}`}, nil},
		{"live models while another test is open", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"model": "live"}`}, aLiveTest},
		{"live models after too many", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"model": "live"}`}, noLiveTests},
		{"live models without credits", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"model": "live"}`}, noCredits},
		{"an unknown model", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"model": "newest"}`}, nil},
		{"a missing execution", call{as: member, what: "POST /api/agents/" + agentID + "/test", body: `{"event": {"execution_id": "exec_NONE"}}`}, nil},
		{"system", call{as: "member@org_b", what: "POST /api/agents/" + systemID + "/test", body: `{"at": "2026-03-09T14:00:00Z"}`}, nil},
		{"of another organization", call{as: "member@org_b", what: "POST /api/agents/" + agentID + "/test"}, nil},
		{"sample", call{as: member, what: "POST /api/templates/tmpl_c/test"}, nil},
		{"live models", call{as: member, what: "POST /api/templates/tmpl_c/test", body: `{"model": "live"}`}, nil},
		{"a version", call{as: member, what: "POST /api/templates/tmpl_c/test", body: `{"version": 1}`}, nil},

		{"custom", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID}, nil},
		{"system", call{as: "viewer@org_b", what: "GET /api/agents/" + systemID}, nil},
		{"in error", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID}, dropAction},

		{"read-only fields that changed", call{as: member, what: "PUT /api/agents/" + agentID, body: readOnlyChanged}, nil},
		{"not filled in", call{as: member, what: "PUT /api/agents/agent_NEW3", body: `{"status": "active"}`}, cloneTemplate},
		{"pause", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"status": "paused"}`}, nil},
		{"new version", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"client_scope": "all", "execution_limit": null}`}, nil},
		{"nothing", call{as: member, what: "PUT /api/agents/" + agentID, body: `{}`}, nil},
		{"current tag", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"name": "B"}`, header: map[string]string{"If-Match": `"9", "1"`}}, nil},
		{"stale tag", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"name": "B"}`, header: map[string]string{"If-Match": `"2"`}}, nil},
		{"not allowed move", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"status": "draft"}`}, nil},
		{"unknown status", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"status": "error"}`}, nil},
		{"faults", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"steps": [], "type": "custom"}`}, nil},
		{"pause system", call{as: member, what: "PUT /api/agents/" + systemID, body: `{"status": "paused"}`}, nil},
		{"change system", call{as: owner, what: "PUT /api/agents/" + systemID, body: `{"name": "Mine"}`}, nil},
		{"pin system", call{as: owner, what: "PUT /api/agents/" + systemID, body: `{"pinned_version": 1}`}, nil},
		{"pin system to no version", call{as: owner, what: "PUT /api/agents/" + systemID, body: `{"pinned_version": 2}`}, nil},
		{"pin system as a member", call{as: member, what: "PUT /api/agents/" + systemID, body: `{"pinned_version": 1}`}, nil},
		{"pin an agent", call{as: owner, what: "PUT /api/agents/" + agentID, body: `{"pinned_version": 1}`}, nil},
		{"too many active", call{as: member, what: "PUT /api/agents/agent_NEW3", body: `{"status": "active"}`}, fillPlan},
		{"still in error", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"status": "active"}`}, dropAction},
		{"out of error", call{as: member, what: "PUT /api/agents/" + agentID, body: `{"steps": [{"id": "later", "type": "wait", "duration_seconds": 60}], "status": "active"}`}, dropAction},

		{"custom", call{as: owner, what: "DELETE /api/agents/" + agentID}, nil},
		{"system", call{as: owner, what: "DELETE /api/agents/" + systemID}, nil},

		{"with a name", call{as: member, what: "POST /api/agents/" + agentID + "/clone", body: `{"name": "Mine"}`}, nil},
		{"system without a body", call{as: member, what: "POST /api/agents/" + systemID + "/clone"}, nil},
		{"too many drafts", call{as: member, what: "POST /api/agents/" + agentID + "/clone"}, fillDrafts},
		{"bad name", call{as: member, what: "POST /api/agents/" + agentID + "/clone", body: `{"name": ""}`}, nil},
		{"null", call{as: member, what: "POST /api/agents/" + agentID + "/clone", body: `{"name": null}`}, nil},

		{"current tag", call{as: owner, what: "DELETE /api/agents/" + agentID, header: map[string]string{"If-Match": `"1"`}}, nil},
		{"stale tag", call{as: owner, what: "DELETE /api/agents/" + agentID, header: map[string]string{"If-Match": `"2"`}}, nil},

		{"custom", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions"}, nil},
		{"first page", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions?limit=1"}, changeScope},
		{"broken cursor", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions?cursor=AAAA"}, nil},
		{"system", call{as: "viewer@org_b", what: "GET /api/agents/" + systemID + "/versions"}, nil},
		{"too often", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions"}, exhaustLimit},
		{"first", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions/1"}, changeScope},
		{"deleted agent", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions"}, deleteAgent},
		{"deleted agent", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions/1"}, deleteAgent},
		{"deleted agent of another organization", call{as: "viewer@org_b", what: "GET /api/agents/" + agentID + "/versions/1"}, deleteAgent},
		{"deleted agent", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID}, deleteAgent},
		{"missing version", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions/2"}, nil},
		{"not a number", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/versions/01"}, nil},
		{"system", call{as: "viewer@org_b", what: "GET /api/agents/" + systemID + "/versions/1"}, nil},

		{"first page", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/activity?limit=2"}, nil},
		{"refused", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/activity?limit=2"}, refuse},
		{"no limit", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/activity?limit=0"}, nil},
		{"broken cursor", call{as: "viewer@org_a", what: "GET /api/agents/" + agentID + "/activity?cursor=AAAA"}, nil},

		{"all", call{as: "viewer@org_b", what: "GET /api/templates"}, nil},
		{"of a category", call{as: "read", what: "GET /api/templates?category=security"}, nil},
		{"unknown value", call{as: "read", what: "GET /api/templates?category=service_desk"}, nil},
		{"whole", call{as: "viewer@org_b", what: "GET /api/templates/tmpl_c"}, nil},
		{"with a name", call{as: member, what: "POST /api/templates/tmpl_a/clone", body: `{"name": "Mine"}`}, nil},
		{"without a body", call{as: "read_write", what: "POST /api/templates/tmpl_b/clone"}, nil},
		{"too many drafts", call{as: member, what: "POST /api/templates/tmpl_a/clone"}, fillDrafts},
		{"bad name", call{as: member, what: "POST /api/templates/tmpl_a/clone", body: `{"name": ""}`}, nil},
		{"long name", call{as: member, what: "POST /api/templates/tmpl_a/clone", body: `{"name": "` + strings.Repeat("n", 201) + `"}`}, nil},

		{"all", call{as: "viewer@org_a", what: "GET /api/executions"}, nil},
		{"first page", call{as: "read", what: "GET /api/executions?limit=1&status=completed"}, nil},
		{"of a time", call{as: "read", what: "GET /api/executions?from=2026-03-09T14:21:00Z&to=2026-03-09T15:22:00%2B01:00"}, nil},
		{"of another organization's agent", call{as: "viewer@org_b", what: "GET /api/executions?agent_id=" + agentID}, nil},
		{"of days", call{as: "read", what: "GET /api/executions?from=2026-03-09&to=2026-03-10"}, nil},
		{"of the day before", call{as: "read", what: "GET /api/executions?from=2026-03-08&to=2026-03-09"}, nil},
		{"of several statuses", call{as: "read", what: "GET /api/executions?status=failed,waiting_approval&limit=1"}, nil},
		{"of several parameters", call{as: "read", what: "GET /api/executions?status=failed&status=waiting_approval&limit=1"}, nil},
		{"a status twice", call{as: "read", what: "GET /api/executions?status=failed,failed"}, nil},
		{"an unknown status of several", call{as: "read", what: "GET /api/executions?status=failed,done"}, nil},
		{"an empty status of several", call{as: "read", what: "GET /api/executions?status=failed,"}, nil},
		{"of a client", call{as: "read", what: "GET /api/executions?client_id=cli_acme&event_type=ticket.created&limit=1"}, nil},
		{"of a version", call{as: "read", what: "GET /api/executions?version=1&agent_id=" + agentID}, nil},
		{"bad values of a search", call{as: "read", what: "GET /api/executions?version=0&client_id=a%23b&event_type=psa:ticket.created"}, nil},
		{"a version of no agent", call{as: "read", what: "GET /api/executions?version=1"}, nil},
		{"of a deleted agent", call{as: "viewer@org_a", what: "GET /api/executions?limit=2"}, deleteAgent},
		{"bad values", call{as: owner, what: "GET /api/executions?agent_id=a%23b&status=done&from=today&to=2026-02-30&limit=1e2"}, nil},
		{"limits", call{as: owner, what: "GET /api/executions?limit=201&cursor="}, nil},
		{"passed over", call{as: "viewer@org_a", what: "GET /api/executions?limit=1"}, passOver},

		{"completed", call{as: "viewer@org_a", what: "GET /api/executions/" + doneID}, nil},
		{"with its story", call{as: "viewer@org_a", what: "GET /api/executions/" + doneID + "?include=story"}, nil},
		{"with something unknown", call{as: "viewer@org_a", what: "GET /api/executions/" + doneID + "?include=all"}, nil},
		{"failed", call{as: "viewer@org_a", what: "GET /api/executions/" + failedID}, nil},
		{"waiting", call{as: "viewer@org_a", what: "GET /api/executions/" + askingID}, nil},
		{"passed over", call{as: "viewer@org_a", what: "GET /api/executions/" + passedID}, passOver},
		{"caused", call{as: "viewer@org_a", what: "GET /api/executions/" + causedID}, causeRun},
		{"of a deleted agent", call{as: "viewer@org_a", what: "GET /api/executions/" + doneID}, deleteAgent},
		{"retried", call{as: "viewer@org_a", what: "GET /api/executions/" + failedID}, retryFailed},

		{"completed", call{as: "viewer@org_a", what: "GET /api/executions/" + doneID + "/story"}, nil},
		{"failed", call{as: "read", what: "GET /api/executions/" + failedID + "/story"}, nil},
		{"waiting", call{as: "viewer@org_a", what: "GET /api/executions/" + askingID + "/story"}, nil},
		{"passed over", call{as: "viewer@org_a", what: "GET /api/executions/" + passedID + "/story"}, passOver},
		{"caused", call{as: "viewer@org_a", what: "GET /api/executions/" + causedID + "/story"}, causeRun},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/executions/" + doneID + "/story"}, nil},
		{"in a language", call{as: owner, what: "GET /api/executions/" + doneID + "/story?lang=de"}, nil},

		{"waiting", call{as: member, what: "POST /api/executions/" + askingID + "/cancel"}, nil},
		{"completed", call{as: member, what: "POST /api/executions/" + doneID + "/cancel"}, nil},
		{"with a body", call{as: member, what: "POST /api/executions/" + askingID + "/cancel", body: `{"why": "bored"}`}, nil},

		{"failed", call{as: member, what: "POST /api/executions/" + failedID + "/retry", body: `{}`}, nil},
		{"by a key", call{as: "read_write", what: "POST /api/executions/" + failedID + "/retry"}, nil},
		{"completed", call{as: member, what: "POST /api/executions/" + doneID + "/retry"}, nil},
		{"no quota left", call{as: member, what: "POST /api/executions/" + failedID + "/retry"}, func(_ *testing.T, w *fixture) { w.quotas.RunsPerMinute = 0 }},
		{"no credits", call{as: member, what: "POST /api/executions/" + failedID + "/retry"}, func(_ *testing.T, w *fixture) { w.broken = credit.ErrInsufficient }},
		{"suspended", call{as: member, what: "POST /api/executions/" + failedID + "/retry"}, suspend},
		{"deleted agent", call{as: member, what: "POST /api/executions/" + failedID + "/retry"}, deleteAgent},

		{"pending", call{as: "viewer@org_a", what: "GET /api/approvals?status=pending"}, nil},
		{"first page", call{as: "read", what: "GET /api/approvals?limit=1"}, nil},
		{"unknown value", call{as: "read", what: "GET /api/approvals?status=open"}, nil},
		{"approved", call{as: "viewer@org_a", what: "GET /api/approvals/" + oldID}, nil},
		{"not named", call{as: "viewer@org_a", what: "GET /api/approvals/" + pendingID}, nil},
		{"for a key", call{as: "read", what: "GET /api/approvals/" + pendingID}, nil},
		{"of a deleted agent", call{as: member, what: "GET /api/approvals/" + pendingID}, deleteAgent},
		{"expired", call{as: owner, what: "GET /api/approvals/appr_01LATE"}, func(t *testing.T, w *fixture) {
			t.Helper()
			w.ask(t, approval.Approval{ID: "appr_01LATE", Status: approval.Pending, Created: now.Add(-time.Hour), Expires: now.Add(-time.Minute)})
		}},

		{"approve", call{as: member, what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "approved", "note": "Go."}`}, nil},
		{"deny", call{as: owner, what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "denied"}`}, nil},
		{"decided", call{as: owner, what: "POST /api/approvals/" + oldID + "/decision", body: `{"decision": "denied"}`}, nil},
		{"expired", call{as: owner, what: "POST /api/approvals/appr_01LATE/decision", body: `{"decision": "denied"}`}, func(t *testing.T, w *fixture) {
			t.Helper()
			w.ask(t, approval.Approval{ID: "appr_01LATE", Status: approval.Expired, Created: now.Add(-time.Hour), Expires: now.Add(-time.Minute)})
		}},
		{"null note", call{as: owner, what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "approved", "note": null}`}, nil},
		{"long note", call{as: owner, what: "POST /api/approvals/" + pendingID + "/decision", body: longNote}, nil},
		{"every fault", call{as: owner, what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "maybe", "note": 1, "by": "me"}`}, nil},
		{"null", call{as: owner, what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": null, "note": null}`}, nil},

		{"nothing is kept", call{as: "read", what: "GET /api/events/received"}, nil},
		{"all", call{as: "viewer@org_a", what: "GET /api/events/received"}, received},
		{"first page", call{as: owner, what: "GET /api/events/received?limit=1"}, received},
		{"of a type and a client", call{as: "read", what: "GET /api/events/received?event_type=psa:ticket.created&client_id=client_2"}, received},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/events/received"}, received},
		{"every fault", call{as: owner, what: "GET /api/events/received?event_type=ticket.created&client_id=a%23b&limit=0&cursor=&since=now"}, nil},
		{"another cursor", call{as: owner, what: "GET /api/events/received?cursor=abc"}, nil},

		{"with its payload", call{as: "viewer@org_a", what: "GET /api/events/" + receivedID + "/explain?event_type=psa:ticket.created"}, received},
		{"at one agent", call{as: "read", what: "GET /api/events/" + receivedID + "/explain?at=2026-03-09T14:00:00Z&agent_id=" + agentID}, received},
		{"of a run, without a journal", call{as: "read", what: "GET /api/events/" + startedID + "/explain?agent_id=" + agentID}, started},
		{"with what it did and caused", call{as: "viewer@org_a", what: "GET /api/events/" + startedID + "/explain?agent_id=" + agentID}, startedAndFailed},
		{"of a dead letter", call{as: "read", what: "GET /api/events/" + startedID + "/explain?agent_id=" + agentID}, func(t *testing.T, w *fixture) {
			t.Helper()
			l := journal.LetterOf(startedID, "psa:ticket.created", "failed", "The event crashed 5 workers.", now)
			if err := w.store.KeepLetter(t.Context(), "org_a", l); err != nil {
				t.Fatal(err)
			}
		}},
		{"of an unknown type", call{as: owner, what: "GET /api/events/evt_01KK9FJ34B5DJ4KEMMXJ64H3TQ/explain?event_type=psa:ticket.creatd"}, received},
		{"at an unknown agent", call{as: owner, what: "GET /api/events/" + receivedID + "/explain?agent_id=agent_none"}, received},
		{"not kept", call{as: owner, what: "GET /api/events/evt_01KK9FJ34B5DJ4KEMMXJ64H3TQ/explain"}, received},
		{"without a journal", call{as: owner, what: "GET /api/events/evt_01KK9FJ34B5DJ4KEMMXJ64H3TQ/explain"}, nil},
		{"without a time", call{as: owner, what: "GET /api/events/evt_order7/explain"}, received},
		{"not an id", call{as: owner, what: "GET /api/events/order-7/explain"}, nil},
		{"every fault", call{as: owner, what: "GET /api/events/" + receivedID + "/explain?event_type=psa&at=soon&agent_id=7&draft=true"}, nil},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/events/" + receivedID + "/explain"}, received},

		{"at every agent", call{as: "viewer@org_a", what: "POST /api/events/explain", body: `{"event_type": "psa:ticket.created", "payload": {"priority": "p2", "client_id": "client_1"}, "depth": 2}`}, nil},
		{"at one agent", call{as: "read", what: "POST /api/events/explain", body: `{"event_type": "psa:ticket.created", "payload": {"priority": "p1"}, "client_id": "cli_acme", "agent_id": "` + agentID + `"}`}, nil},
		{"of a misspelled type", call{as: owner, what: "POST /api/events/explain", body: `{"event_type": "psa:ticket.creatd", "payload": {}, "agent_id": "` + agentID + `"}`}, nil},
		{"of a type without an agent", call{as: "read", what: "POST /api/events/explain", body: `{"event_type": "psa:ticket.invented", "payload": {}, "agent_id": "` + agentID + `"}`}, nil},
		{"at an unknown agent", call{as: owner, what: "POST /api/events/explain", body: `{"event_type": "psa:ticket.created", "payload": {}, "agent_id": "agent_none"}`}, nil},
		{"every fault", call{as: owner, what: "POST /api/events/explain", body: `{"event_type": "ticket.created", "payload": [], "client_id": "a#b", "agent_id": "7", "depth": -1, "at": "now"}`}, nil},
		{"without a payload", call{as: owner, what: "POST /api/events/explain", body: `{"event_type": "psa:ticket.created", "payload": null}`}, nil},

		{"all", call{as: "viewer@org_a", what: "GET /api/events"}, nil},
		{"of a product", call{as: "read", what: "GET /api/events?source_product=psa&category=service_desk"}, nil},
		{"unknown values", call{as: "read", what: "GET /api/events?source_product=phone&category=fun"}, nil},

		{"all", call{as: "viewer@org_a", what: "GET /api/actions"}, nil},
		{"of a product", call{as: "read", what: "GET /api/actions?product=psa&destructive=false"}, nil},
		{"destructive", call{as: "read", what: "GET /api/actions?destructive=true"}, nil},
		{"unknown values", call{as: "read", what: "GET /api/actions?product=defend&destructive=1&prodct=psa"}, nil},

		{"owner", call{as: owner, what: "GET /api/me"}, nameOrg},
		{"viewer", call{as: "viewer@org_b", what: "GET /api/me"}, nil},
		{"key", call{as: "read", what: "GET /api/me"}, nil},
		{"suspended", call{as: member, what: "GET /api/me"}, suspend},

		{"used", call{as: "viewer@org_a", what: "GET /api/credits"}, nil},
		{"unused", call{as: "viewer@org_b", what: "GET /api/credits"}, nil},
		{"internal error", call{as: owner, what: "GET /api/credits"}, func(_ *testing.T, w *fixture) { w.broken = os.ErrDeadlineExceeded }},
		{"used", call{as: "viewer@org_a", what: "GET /api/credits/history"}, nil},
		{"used", call{as: "viewer@org_a", what: "GET /api/quotas"}, nil},
		{"unused", call{as: "viewer@org_b", what: "GET /api/quotas"}, nil},
		{"internal error", call{as: owner, what: "GET /api/credits/history"}, func(_ *testing.T, w *fixture) { w.broken = os.ErrDeadlineExceeded }},

		{"all", call{as: owner, what: "GET /api/keys"}, nil},
		{"new", call{as: "admin@org_a", what: "POST /api/keys", body: `{"name": "CI", "access": "read_write"}`}, nil},
		{"too many", call{as: owner, what: "POST /api/keys", body: `{"name": "CI", "access": "read"}`}, fillKeys},
		{"every fault", call{as: owner, what: "POST /api/keys", body: `{"name": "", "access": "admin", "org_id": "org_b"}`}, nil},
		{"revoked", call{as: owner, what: "DELETE /api/keys/key_NEW1"}, nil},
		{"of another organization", call{as: "owner@org_b", what: "DELETE /api/keys/key_NEW1"}, nil},

		{"new keys", call{as: owner, what: "GET /api/audit?kind=key.created"}, nil},
		{"all", call{as: owner, what: "GET /api/audit"}, act},
		{"first page", call{as: owner, what: "GET /api/audit?limit=1"}, act},
		{"of an actor", call{as: "admin@org_a", what: "GET /api/audit?actor=user_member&from=2026-03-09&to=2026-03-10"}, act},
		{"of a key and an object", call{as: owner, what: "GET /api/audit?actor=key_NEW2&kind=agent.updated&object=" + agentID}, act},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/audit"}, act},
		{"every fault", call{as: owner, what: "GET /api/audit?actor=platform&kind=agent.seen&object=ORG&from=soon&to=2026-13-01&limit=0"}, nil},
		{"not allowed to a key", call{as: "read_write", what: "GET /api/audit"}, nil},
		{"not allowed to a member", call{as: "member@org_a", what: "GET /api/audit"}, nil},

		{"default", call{as: owner, what: "GET /api/settings"}, nil},
		{"chosen", call{as: "admin@org_a", what: "GET /api/settings"}, deny},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/settings"}, deny},
		{"not allowed to a member", call{as: "member@org_a", what: "GET /api/settings"}, nil},
		{"not allowed to a key", call{as: "read_write", what: "GET /api/settings"}, nil},
		{"changed", call{as: owner, what: "PATCH /api/settings", body: `{"policy": {"self_approval": "deny"}}`}, nil},
		{"unchanged", call{as: owner, what: "PATCH /api/settings", body: `{"policy": {"self_approval": "allow"}}`, header: match(`"1"`)}, nil},
		{"empty", call{as: owner, what: "PATCH /api/settings", body: `{}`}, deny},
		{"reset", call{as: owner, what: "PATCH /api/settings", body: `{"policy": {"self_approval": null}}`}, deny},
		{"reset all", call{as: owner, what: "PATCH /api/settings", body: `{"policy": null}`, header: match(`"7", "2"`)}, deny},
		{"lost update", call{as: owner, what: "PATCH /api/settings", body: `{"policy": {"self_approval": "allow"}}`, header: match(`"1"`)}, deny},
		{"strange tag", call{as: owner, what: "PATCH /api/settings", body: `{}`, header: match(`W/"1"`)}, nil},
		{"every fault", call{as: owner, what: "PATCH /api/settings", body: `{"policy": {"self_approval": "never", "self_approvals": "deny"}, "polices": {}}`}, nil},
		{"no object", call{as: owner, what: "PATCH /api/settings", body: `{"policy": "strict"}`}, nil},
		{"a list", call{as: owner, what: "PATCH /api/settings", body: `{"policy": {"self_approval": ["deny"]}}`}, nil},
		{"retention", call{as: owner, what: "PATCH /api/settings", body: `{"retention_days": 190}`}, deny},
		{"retention reset", call{as: owner, what: "PATCH /api/settings", body: `{"retention_days": null}`}, deny},
		{"journal", call{as: owner, what: "PATCH /api/settings", body: `{"journal_days": 30}`}, deny},
		{"journal off", call{as: owner, what: "PATCH /api/settings", body: `{"journal_days": 0}`}, journalled},
		{"journal reset", call{as: owner, what: "PATCH /api/settings", body: `{"journal_days": null}`}, journalled},
		{"journal too long", call{as: owner, what: "PATCH /api/settings", body: `{"journal_days": 91}`}, nil},
		{"retention too short", call{as: owner, what: "PATCH /api/settings", body: `{"retention_days": 29}`}, nil},
		{"by a member", call{as: "member@org_a", what: "PATCH /api/settings", body: `{"policy": {"self_approval": "deny"}}`}, nil},
		{"by a key", call{as: "read_write", what: "PATCH /api/settings", body: `{"policy": {"self_approval": "deny"}}`}, nil},

		{"not paused", call{as: "read", what: "GET /api/pause"}, nil},
		{"paused", call{as: "viewer@org_a", what: "GET /api/pause"}, halt},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/pause"}, halt},
		{"by a member", call{as: member, what: "POST /api/pause", body: `{"reason": "Tickets are closed by mistake.", "open_runs": "hold"}`}, nil},
		{"by a key, without a body", call{as: "read_write", what: "POST /api/pause"}, nil},
		{"nulls", call{as: owner, what: "POST /api/pause", body: `{"reason": null, "open_runs": null}`}, nil},
		{"cancelling", call{as: owner, what: "POST /api/pause", body: `{"open_runs": "cancel"}`}, nil},
		{"finishing", call{as: owner, what: "POST /api/pause", body: `{"open_runs": "finish"}`}, nil},
		{"again, weaker", call{as: member, what: "POST /api/pause", body: `{"reason": "Later.", "open_runs": "finish"}`}, halt},
		{"again, stronger", call{as: member, what: "POST /api/pause", body: `{"open_runs": "cancel"}`}, halt},
		{"every fault", call{as: owner, what: "POST /api/pause", body: `{"reason": 5, "open_runs": "stop", "now": true}`}, nil},
		{"long reason", call{as: owner, what: "POST /api/pause", body: `{"reason": "` + strings.Repeat("a", 201) + `"}`}, nil},
		{"resumed", call{as: "admin@org_a", what: "DELETE /api/pause", body: `{"confirm": true}`}, halt},
		{"not paused", call{as: owner, what: "DELETE /api/pause", body: `{"confirm": true}`}, nil},
		{"not confirmed", call{as: owner, what: "DELETE /api/pause", body: `{"confirm": false}`}, halt},
		{"text", call{as: owner, what: "DELETE /api/pause", body: `{"confirm": "true"}`}, halt},
		{"empty", call{as: owner, what: "DELETE /api/pause", body: `{}`}, halt},
		{"by a member", call{as: member, what: "DELETE /api/pause", body: `{"confirm": true}`}, halt},
		{"by a key", call{as: "read_write", what: "DELETE /api/pause", body: `{"confirm": true}`}, halt},
		{"held", call{as: member, what: "GET /api/executions/" + askingID}, halt},
		{"held", call{as: member, what: "POST /api/executions/" + askingID + "/cancel"}, halt},
		{"org paused", call{as: member, what: "POST /api/executions/" + failedID + "/retry"}, halt},

		{"started", call{as: member, what: "POST /api/backtests", body: backtestBody}, keptForWeeks},
		{"by a key, of a definition", call{as: "read_write", what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "definition": {"conditions": []}}`}, keptForWeeks},
		{"of a system agent", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "` + systemID + `", "against": "live", "play": "none", "clients": ["client_1"]}`}, keptForWeeks},
		{"nulls", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "version": null, "definition": null, "from": null, "to": null, "against": null, "clients": null, "play": null}`}, keptForWeeks},
		{"without a journal", call{as: owner, what: "POST /api/backtests", body: backtestBody}, nil},
		{"nothing kept", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}`}, keptForWeeks},
		{"while another is open", call{as: owner, what: "POST /api/backtests", body: backtestBody}, aJob},
		{"of another organization's agent", call{as: "owner@org_b", what: "POST /api/backtests", body: backtestBody}, nil},
		{"of an unknown version", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "version": 7}`}, keptForWeeks},
		{"against an agent that is not active", call{as: owner, what: "POST /api/backtests", body: backtestBody}, pausedAgent},
		{"of a broken definition", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "definition": {"steps": [], "trigger": 5}}`}, keptForWeeks},
		{"every fault", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "a", "version": 0, "definition": 5, "from": "yesterday", "to": "9999-01-01T00:00:00Z", "against": "dead", "clients": ["", "a b", 5], "play": "recorded", "sample": 1}`}, nil},
		{"too long", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "from": "2025-11-01T00:00:00Z"}`}, nil},
		{"backwards", call{as: owner, what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}`}, nil},
		{"none", call{as: "read", what: "GET /api/jobs"}, nil},
		{"one", call{as: "viewer@org_a", what: "GET /api/jobs"}, aJob},
		{"first page", call{as: owner, what: "GET /api/jobs?limit=1"}, twoJobs},
		{"forged cursor", call{as: owner, what: "GET /api/jobs?cursor=abc"}, nil},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/jobs"}, aJob},
		{"pending", call{as: "read", what: "GET /api/jobs/" + jobID}, aJob},
		{"completed", call{as: "viewer@org_a", what: "GET /api/jobs/" + jobID}, aDoneJob},
		{"a live test", call{as: "viewer@org_a", what: "GET /api/jobs/" + jobID}, aDoneLiveTest},
		{"failed", call{as: owner, what: "GET /api/jobs/" + jobID}, aFailedJob},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/jobs/" + jobID}, aJob},
		{"cancelled", call{as: member, what: "POST /api/jobs/" + jobID + "/cancel"}, aJob},
		{"by a key", call{as: "read_write", what: "POST /api/jobs/" + jobID + "/cancel"}, aJob},
		{"that has ended", call{as: owner, what: "POST /api/jobs/" + jobID + "/cancel"}, aDoneJob},

		{"of an organization", call{as: owner, what: "GET /api/webhook-secret"}, nil},
		{"rotated", call{as: owner, what: "POST /api/webhook-secret/rotate"}, nil},
		{"with a body", call{as: owner, what: "POST /api/webhook-secret/rotate", body: `{"now": true}`}, nil},
		{"of another organization", call{as: "owner@org_b", what: "GET /api/webhook-secret"}, nil},
		{"not allowed to a key", call{as: "read_write", what: "GET /api/webhook-secret"}, nil},
	}
}

// readOnlyChanged has a wrong value for every read-only field.
const readOnlyChanged = `{"id": "agent_2", "org_id": "org_b", "type": "system", "version": 2, "stats": {"total_runs": 99},
	"created_at": "2026-03-09T13:23:00Z", "updated_at": "2026-03-09T14:22:02Z", "warnings": "none", "name": "B"}`

// deny chooses a setting that is not the default.
func deny(t *testing.T, w *fixture) {
	t.Helper()
	if got := w.do(t, call{as: "owner@org_a", what: "PATCH /api/settings", body: `{"policy": {"self_approval": "deny"}}`}); got.status != http.StatusOK {
		t.Fatal(got.text)
	}
}

// journalled keeps received events.
func journalled(t *testing.T, w *fixture) {
	t.Helper()
	if got := w.do(t, call{as: "owner@org_a", what: "PATCH /api/settings", body: `{"journal_days": 30}`}); got.status != http.StatusOK {
		t.Fatal(got.text)
	}
}

// The ids of events, which have the time of 2026-03-09 14:00.
const (
	receivedID = "evt_01KK9EBHR05DJ4KEMMXJ64H3TP"
	startedID  = "evt_01KK9EBHR05DJ4KEMMXJ64H3TR"
)

// received keeps two events in the journal, of which an agent refused one.
func received(t *testing.T, w *fixture) {
	t.Helper()
	journalled(t, w)
	at, _ := id.TimeOf(id.Event(receivedID))
	e := event.Event{
		ID: receivedID, Org: "org_a", Product: "psa", Type: "ticket.created", Client: "client_2", Published: at,
		Payload: map[string]any{"priority": "p2", "ticket_id": "tkt_9"},
	}
	other := e
	other.ID, other.Client, other.Type, other.Published = "evt_other", "", "ticket.resolved", at.Add(time.Minute)
	for _, e := range []event.Event{e, other} {
		entry, _ := journal.Of(e, 30, now)
		if err := w.store.KeepEvent(t.Context(), "org_a", entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.store.Refuse(t.Context(), activity.Entry{
		ID: activity.ID("org_a", agentID, e.ID, at), Org: "org_a", Agent: agentID, At: at.Add(time.Second), Event: e.ID, EventType: e.Type, Product: e.Product,
		Outcome: definition.Filtered, Detail: `priority must be "p1"; it is "p2"`,
	}); err != nil {
		t.Fatal(err)
	}
}

// started stores a run of an event.
func started(t *testing.T, w *fixture) {
	t.Helper()
	at, _ := id.TimeOf(id.Event(startedID))
	e := event.Event{ID: startedID, Org: "org_a", Product: "psa", Type: "ticket.created", Client: "client_2", Published: at, Payload: map[string]any{"priority": "p1"}}
	x := execution.New(execution.Execution{ID: execution.ID("org_a", agentID, e), Org: "org_a", Agent: agentID, Version: 1, Trigger: e}, at.Add(time.Second))
	if err := w.store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
}

// startedAndFailed stores a failed run of an event that the journal has.
func startedAndFailed(t *testing.T, w *fixture) {
	t.Helper()
	journalled(t, w)
	started(t, w)
	x, steps, err := w.store.Execution(t.Context(), "org_a", execution.ID("org_a", agentID, event.Event{ID: startedID}))
	if err != nil {
		t.Fatal(err)
	}
	f := execution.Failure{Code: "product_error", Message: "The product said no.", Step: "note"}
	err = w.store.Commit(t.Context(), x.End(func(x execution.Execution) execution.Execution { return x.Fail(f, x.Created.Add(time.Second)) }, steps, false))
	entry, _ := journal.Of(x.Trigger, 30, now)
	if err := errors.Join(err, w.store.KeepEvent(t.Context(), "org_a", entry)); err != nil {
		t.Fatal(err)
	}
}

// backtestBody is a back-test with every part.
const backtestBody = `{"agent_id": "` + agentID + `", "version": 1, "from": "2026-02-20T00:00:00Z", "to": "2026-03-09T14:00:00Z", "against": "live", "clients": ["client_1", "client_2"], "play": "simulated"}`

// jobID is the id of the first job: the keys of the fixture come before it.
const jobID = "job_NEW3"

// keptForWeeks has a journal since 18 days ago, of events that the agent answers in
// different ways.
func keptForWeeks(t *testing.T, w *fixture) {
	t.Helper()
	org, err := w.store.Tenant(t.Context(), "org_a")
	if err != nil {
		t.Fatal(err)
	}
	org.Settings = tenant.Settings{JournalDays: 30, JournalSince: now.AddDate(0, 0, -18), Revision: 1}
	if err := w.store.SaveSettings(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		at := now.AddDate(0, 0, -17).Add(time.Duration(n*12) * time.Hour)
		e := event.Event{
			ID: id.Event("evt_" + id.Derive(at, strconv.Itoa(n))), Product: "psa", Type: "ticket.created", Org: "org_a", Client: id.Client(fmt.Sprintf("client_%d", 1+n%4)),
			Payload: map[string]any{"ticket_id": fmt.Sprintf("tkt_%d", n), "subject": "VPN", "priority": fmt.Sprintf("p%d", 1+n%3%2)}, Published: at,
		}
		if err := w.store.KeepEvent(t.Context(), "org_a", journal.Entry{Event: e, Expires: now.AddDate(1, 0, 0)}); err != nil {
			t.Fatal(err)
		}
	}
}

// aJob has an open back-test.
func aJob(t *testing.T, w *fixture) {
	t.Helper()
	keptForWeeks(t, w)
	if got := w.do(t, call{as: "member@org_a", what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "definition": {"conditions": [], "client_scope": {"include": ["client_1", "client_2"]}}, "against": "live", "play": "simulated"}`}); got.status != http.StatusAccepted {
		t.Fatal(got.text)
	}
}

// works lets a worker do the open job.
func works(t *testing.T, w *fixture) {
	t.Helper()
	worker := &job.Worker{Store: w.store, Now: func() time.Time { return now.Add(3 * time.Second) }, NewOwner: func() string { return "w" }, Tasks: map[job.Kind]job.Task{
		job.Backtest: &backtest.Task{
			Journal: w.store, Past: w.store, Definitions: agent.Definitions{System: w.agents.System, Versions: w.store}, System: w.agents.System,
			Rules: definition.Rules{Catalog: w.catalog},
		},
		job.LiveTest: &rehearsal.Task{
			Service: &rehearsal.Service{Rules: definition.Rules{Catalog: w.catalog}},
			Ledgers: &rehearsal.Ledgers{
				Store: w.store, Now: w.now, NewOwner: func() string { return "w" },
				Steps: &step.Service{Model: wiseModel{}, Rules: definition.Rules{Catalog: w.catalog}, Now: w.now, Sleep: atOnce, Failed: w.report},
			},
		},
	}}
	if err := worker.Work(t.Context(), job.Call{Org: "org_a", Job: jobID}); err != nil {
		t.Fatal(err)
	}
}

// aLiveTest has an open test run with live models.
func aLiveTest(t *testing.T, w *fixture) {
	t.Helper()
	body := `{"model": "live", "ignore_match": true, "definition": {"conditions": [], "steps": [
		{"id": "judge", "type": "ai_reason", "model": "standard", "prompt": "Judge {{ event_payload.ticket_id }}."},
		{"id": "post", "type": "notification", "channel": "slack", "recipients": ["https://hooks.slack.com/services/T0/B0/x"], "body": "{{ steps.judge.output.text }}"}]}}`
	if got := w.do(t, call{as: "owner@org_a", what: "POST /api/agents/" + agentID + "/test", body: body}); got.status != http.StatusAccepted {
		t.Fatal(got.text)
	}
}

func aDoneLiveTest(t *testing.T, w *fixture) {
	t.Helper()
	aLiveTest(t, w)
	works(t, w)
}

// A wiseModel answers every question.
type wiseModel struct{}

func (wiseModel) Ask(context.Context, step.Question) (step.Answer, error) {
	return step.Answer{Text: "It is urgent.", Usage: execution.Usage{Model: "m", InputTokens: 12, OutputTokens: 3}}, nil
}

// noLiveTests has had all live tests of the day.
func noLiveTests(_ *testing.T, w *fixture) { w.quotas.LiveTestsPerDay = 0 }

// noCredits has 3 credits left.
func noCredits(t *testing.T, w *fixture) {
	t.Helper()
	b, err := w.store.Balance(t.Context(), "org_a", credit.MonthOf(now))
	if err != nil {
		t.Fatal(err)
	}
	x := execution.New(execution.Execution{ID: "exec_01SPENDS", Org: "org_a", Agent: agentID}, now)
	if err := w.store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	x.Revision = 1
	c, _ := x.Reserved("s", credit.Hold{Month: b.Month, Tier: credit.Expert, Amount: b.Remaining - 3})
	if err := w.store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func aDoneJob(t *testing.T, w *fixture) {
	t.Helper()
	aJob(t, w)
	works(t, w)
}

// aFailedJob has a back-test of a day without events.
func aFailedJob(t *testing.T, w *fixture) {
	t.Helper()
	keptForWeeks(t, w)
	if got := w.do(t, call{as: "member@org_a", what: "POST /api/backtests", body: `{"agent_id": "` + agentID + `", "from": "2026-03-09T14:00:00Z"}`}); got.status != http.StatusAccepted {
		t.Fatal(got.text)
	}
	works(t, w)
}

func twoJobs(t *testing.T, w *fixture) {
	t.Helper()
	aDoneJob(t, w)
	if got := w.do(t, call{as: "member@org_a", what: "POST /api/backtests", body: backtestBody}); got.status != http.StatusAccepted {
		t.Fatal(got.text)
	}
}

// pausedAgent has an agent that is not active.
func pausedAgent(t *testing.T, w *fixture) {
	t.Helper()
	keptForWeeks(t, w)
	if got := w.do(t, call{as: "member@org_a", what: "PUT /api/agents/" + agentID, body: `{"status": "paused"}`}); got.status != http.StatusOK {
		t.Fatal(got.text)
	}
}

// halt pauses the organization.
func halt(t *testing.T, w *fixture) {
	t.Helper()
	if got := w.do(t, call{as: "member@org_a", what: "POST /api/pause", body: `{"reason": "Stop."}`}); got.status != http.StatusOK {
		t.Fatal(got.text)
	}
}

// match returns the header of an ETag.
func match(tag string) map[string]string { return map[string]string{"If-Match": tag} }

// withKey returns the header of an idempotency key.
func withKey(key string) map[string]string { return map[string]string{"Idempotency-Key": key} }

// createOnce creates an agent with an idempotency key.
func createOnce(t *testing.T, w *fixture) {
	t.Helper()
	w.do(t, call{as: "member@org_a", what: "POST /api/agents", body: exampleAgent, header: withKey("a key")})
}

// cloneTemplate clones a template with a placeholder recipient.
func cloneTemplate(t *testing.T, w *fixture) {
	t.Helper()
	w.do(t, call{as: "member@org_a", what: "POST /api/templates/tmpl_c/clone"})
}

// fillPlan creates five drafts and activates them up to the limit of the plan.
func fillPlan(t *testing.T, w *fixture) {
	t.Helper()
	org, err := w.store.Tenant(t.Context(), "org_a")
	if err != nil {
		t.Fatal(err)
	}
	org.Plan = credit.Starter
	if err := w.store.SaveTenant(t.Context(), org, "2026-03"); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		made := w.do(t, call{as: "owner@org_a", what: "POST /api/agents", body: exampleAgent}).field("id")
		if n > 0 {
			w.do(t, call{as: "owner@org_a", what: fmt.Sprintf("PUT /api/agents/%v", made), body: `{"status": "active"}`})
		}
	}
}

// fillDrafts stores as many drafts as an organization may have.
func fillDrafts(t *testing.T, w *fixture) {
	t.Helper()
	for n := 0; ; n++ {
		a := agent.Agent{Head: agent.Head{ID: id.Agent(fmt.Sprintf("agent_draft_%d", n)), Org: "org_a", Status: agent.Draft, Version: 1}}
		switch err := w.store.SaveAgent(t.Context(), agent.Agent{}, a, agent.Cap{}); {
		case errors.Is(err, agent.ErrDrafts):
			return
		case err != nil || n > agent.MaxDrafts:
			t.Fatal(n, err)
		}
	}
}

// fillKeys stores as many keys as an organization may have.
func fillKeys(t *testing.T, w *fixture) {
	t.Helper()
	for n := 0; ; n++ {
		hash, _ := key.HashOf(strconv.Itoa(n))
		k := key.Key{ID: id.Key(fmt.Sprintf("key_%d", n)), Org: "org_a", Access: caller.Read, Hash: hash}
		switch err := w.store.CreateKey(t.Context(), k); {
		case errors.Is(err, key.ErrLimit):
			return
		case err != nil || n > key.MaxKeys:
			t.Fatal(n, err)
		}
	}
}

// dropAction removes the agent's action from the catalogue.
func dropAction(t *testing.T, w *fixture) {
	t.Helper()
	files := maps.Clone(catalogueFiles)
	delete(files, "psa/actions/add_note.json")
	var err error
	if w.agents.Rules.Catalog, err = catalog.Load(files); err != nil {
		t.Fatal(err)
	}
}

// deleteAgent deletes the agent.
func deleteAgent(t *testing.T, w *fixture) {
	t.Helper()
	w.do(t, call{as: "owner@org_a", what: "DELETE /api/agents/" + agentID})
}

// passedID is a run that passed over a failed step; see passOver.
const passedID = "exec_01PASSED"

// passOver records a run that passed over a failed step.
func passOver(t *testing.T, w *fixture) {
	t.Helper()
	w.run(t, passedID, time.Second, func(x execution.Execution) execution.Change {
		at := x.Started.Add(7 * time.Millisecond)
		steps := execution.Steps{"tell": {
			ID: "tell", Kind: definition.Notification, Status: execution.StepFailed, Tries: 3, Started: at, Ended: at.Add(31 * time.Millisecond),
			Error: &execution.Failure{Code: "notification_failed", Message: "None of 1 recipients could be reached.", Step: "tell"},
			Output: map[string]any{"channel": "slack", "recipients": []any{map[string]any{
				"recipient": "https://hooks.example.com/a", "status": "failed", "reason": "HTTP 503",
			}}},
		}}
		step := steps["tell"]
		c := x.End(func(x execution.Execution) execution.Execution {
			return x.Complete(x.Started.Add(45 * time.Millisecond))
		}, steps, false)
		c.Step = &step
		return c
	})
}

// causedID is a run whose event another run caused; see causeRun.
const causedID = "exec_01CAUSED"

// causeRun records a run whose event another run caused.
func causeRun(t *testing.T, w *fixture) {
	t.Helper()
	e := event.Event{
		ID: "evt_01CAUSED", Type: "ticket.created", Product: "psa", Org: "org_a", Published: now,
		Payload: map[string]any{"ticket_id": "tkt_made"},
	}
	x := execution.New(execution.Execution{
		ID: causedID, Org: "org_a", Agent: agentID, Version: 1, Trigger: e.CausedBy(passedID, "evt_01HXYZ", 2),
	}, now)
	if err := w.store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
}

// changeScope makes a second version of the agent.
func changeScope(t *testing.T, w *fixture) {
	t.Helper()
	w.do(t, call{as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: `{"client_scope": "all"}`})
}

// exhaustLimit takes all permits of a viewer of org_a in this minute.
func exhaustLimit(_ *testing.T, w *fixture) {
	for w.edge.Limits.Take(context.Background(), caller.Caller{Org: "org_a", User: "user_viewer"}).Allowed {
	}
}

// refuse records a filtered event and a duplicate.
func refuse(t *testing.T, w *fixture) {
	t.Helper()
	e := activity.Entry{
		ID: "act_01FILTERED", Org: "org_a", Agent: agentID, At: now, Event: "evt_01LOW", EventType: "ticket.created", Product: "psa",
		Outcome: definition.Filtered, Detail: `priority must be "p1"; it is missing`, Client: "cli_acme",
		Fault: &condition.Fault{Path: "priority", Operator: condition.Eq, Wanted: "p1", Missing: true},
	}
	again := activity.Entry{
		ID: "act_01AGAIN", Org: "org_a", Agent: agentID, At: now.Add(-time.Second), Event: "evt_01AGAIN", EventType: "ticket.created", Product: "psa",
		Outcome: definition.Duplicate, Detail: "an event with the same content started " + doneID + " within 5m0s", Related: doneID,
	}
	for _, e := range []activity.Entry{e, again} {
		if err := w.store.Refuse(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// retryFailed retries the failed run.
func retryFailed(t *testing.T, w *fixture) {
	t.Helper()
	if got := w.do(t, call{as: "member@org_a", what: "POST /api/executions/" + failedID + "/retry"}); got.status != http.StatusCreated {
		t.Fatal(got.text)
	}
}

// nameOrg names org_a, on a plan without a limit of agents, and pauses it.
func nameOrg(t *testing.T, w *fixture) {
	t.Helper()
	org, err := w.store.Tenant(t.Context(), "org_a")
	if err != nil {
		t.Fatal(err)
	}
	org.Name, org.Plan = "Brightside IT", credit.Scale
	if err := w.store.SaveTenant(t.Context(), org, "2026-03"); err != nil {
		t.Fatal(err)
	}
	if got := w.do(t, call{as: "member@org_a", what: "POST /api/pause"}); got.status != http.StatusOK {
		t.Fatal(got.text)
	}
}

func suspend(t *testing.T, w *fixture) {
	t.Helper()
	org, err := w.store.Tenant(t.Context(), "org_a")
	if err != nil {
		t.Fatal(err)
	}
	org.Suspended = true
	if err := w.store.SaveTenant(t.Context(), org, "2026-03"); err != nil {
		t.Fatal(err)
	}
}

// act changes an agent as a person and as a key.
func act(t *testing.T, w *fixture) {
	t.Helper()
	for _, c := range []call{{as: "member@org_a", body: `{"status": "paused"}`}, {as: "read_write", body: `{"name": "B"}`}} {
		c.what = "PUT /api/agents/" + agentID
		if got := w.do(t, c); got.status != http.StatusOK {
			t.Fatal(got.text)
		}
	}
}

// testBody lets the whole of exampleAgent run: the note is written, the message fails.
const testBody = `{"event": {"payload": {"ticket_id": "tkt_9", "priority": "p1", "subject": "VPN"}, "client_id": "client_2"}, "client_context": {"recent_incidents": 5},
	"at": "2026-03-09T14:00:00Z", "ignore_match": true, "model": {"classify": "p1"}, "replies": {"psa.add_note": {"note_id": "note_1"}}, "fail": {"tell": {"code": "notification_failed"}}}`

// valid has a valid body for each operation that needs one.
var valid = map[string]string{
	"POST /api/agents":                  exampleAgent,
	"POST /api/agents/validate":         exampleAgent,
	"PUT /api/agents/{id}":              `{"name": "B"}`,
	"POST /api/approvals/{id}/decision": `{"decision": "denied"}`,
	"POST /api/backtests":               `{"agent_id": "` + agentID + `"}`,
	"POST /api/events/explain":          `{"event_type": "psa:ticket.created", "payload": {"priority": "p1"}}`,
	"POST /api/keys":                    `{"name": "CI", "access": "read"}`,
	"PATCH /api/settings":               `{"policy": {"self_approval": "deny"}}`,
	"DELETE /api/pause":                 `{"confirm": true}`,
}

// missing returns the path of a route with the id of a missing resource.
func missing(path string) string {
	ids := map[string]string{"agents": "agent_NONE", "executions": "exec_NONE", "approvals": "appr_NONE", "keys": "key_NONE", "jobs": "job_NONE", "templates": "tmpl_NONE", "events": "evt_01KK9FJ34B5DJ4KEMMXJ64H3TQ"}
	for group, id := range ids {
		if strings.HasPrefix(path, "/api/"+group+"/") {
			return strings.NewReplacer("{id}", id, "{version}", "1").Replace(path)
		}
	}
	return path
}

// derived returns the goldens that every route has. They come from the table, so
// that a new route has them too.
func derived(rt route) []golden {
	method, path, _ := strings.Cut(rt.pattern, " ")
	missing, valid := missing(path), valid[rt.pattern]
	owner := func(what, body string, header ...string) call {
		c := call{as: "owner@org_a", what: what, body: body, header: map[string]string{}}
		if len(header) > 0 {
			c.header["Content-Type"] = header[0]
		}
		return c
	}
	wrong := http.MethodPatch
	if path == "/api/settings" {
		wrong = http.MethodPut
	}
	all := []golden{
		{"unknown parameter", owner(method+" "+missing+"?colour=red", valid), nil},
		{"unreadable query", owner(method+" "+missing+"?a=%zz", valid), nil},
		{"wrong method", owner(wrong+" "+missing, ""), nil},
	}
	if !rt.open {
		all = append(all,
			golden{"no credentials", call{what: method + " " + missing, body: valid}, nil},
			golden{"unknown organization", call{as: "owner@org_new", what: method + " " + missing, body: valid}, nil})
	}
	if strings.Contains(path, "{id}") {
		strange := strings.NewReplacer("{id}", "a%2F..%23b", "{version}", "1").Replace(path)
		all = append(all,
			golden{"missing", owner(method+" "+missing, valid), nil},
			golden{"strange id", owner(method+" "+strange, valid), nil})
	}
	if rt.act != caller.See && !rt.open && rt.pattern != "GET /api/keys" && rt.pattern != "GET /api/audit" && rt.pattern != "GET /api/settings" {
		all = append(all, golden{"not allowed", call{as: "viewer@org_a", what: method + " " + missing, body: valid}, nil})
	}
	if method != http.MethodPost && method != http.MethodPut && method != http.MethodPatch {
		return all
	}
	all = append(all,
		golden{"too large", owner(method+" "+missing, `"`+strings.Repeat("x", maxBody)+`"`), nil},
		golden{"other media type", owner(method+" "+missing, "{}", "text/plain"), nil},
		golden{"no media type", owner(method+" "+missing, "{}", ""), nil},
		golden{"not an object", owner(method+" "+missing, `[{"name": "B"}]`), nil},
		golden{"not JSON", owner(method+" "+missing, `{"name": `), nil},
		golden{"two values", owner(method+" "+missing, `{} {}`), nil},
		golden{"not UTF-8", owner(method+" "+missing, "{\"name\": \"\xff\"}"), nil},
		golden{"unknown field", owner(method+" "+missing, `{"colour": "red"}`), nil},
	)
	if valid != "" {
		all = append(all, golden{"no body", owner(method+" "+missing, ""), nil})
	}
	return all
}

func TestEveryEndpointAndFaultAnswersAsBefore(t *testing.T) {
	t.Parallel()

	shown := map[string]bool{} // the routes with a golden of a success
	for _, g := range written() {
		w := newFixture(t)
		pattern := w.pattern(g.call.request(w))
		if !shown[pattern] {
			if g.with != nil {
				g.with(t, w)
			}
			shown[pattern] = w.do(t, g.call).status < 300
		}
		check(t, pattern, g)
	}
	for _, rt := range newFixture(t).routes {
		if !shown[rt.pattern] && !rt.open {
			t.Errorf("%s has no golden of a success", rt.pattern)
		}
		for _, g := range derived(rt) {
			check(t, rt.pattern, g)
		}
	}
}

func check(t *testing.T, pattern string, g golden) {
	t.Helper()
	t.Run(pattern+" "+g.name, func(t *testing.T) {
		t.Parallel()

		w := newFixture(t)
		if g.with != nil {
			g.with(t, w)
		}
		got := kept(t, g.call, w.do(t, g.call))
		folder := strings.NewReplacer(" /", "_", "/", "_", "{", "", "}", "").Replace(pattern)
		file := filepath.Join("testdata", "golden", folder, strings.ReplaceAll(g.name, " ", "_")+".json")
		if os.Getenv("UPDATE") != "" {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got; UPDATE=all keeps it):\n%s", file, diff)
		}
	})
}

// kept returns the golden text of a call and its reply. It omits cursors, which
// are opaque.
func kept(t *testing.T, c call, r reply) string {
	t.Helper()
	headers := map[string]string{}
	for _, name := range []string{"Content-Type", "Etag", "Allow", "Www-Authenticate", "Retry-After"} {
		if v := r.header.Get(name); v != "" {
			headers[name] = v
		}
	}
	var body any
	if r.text != "" {
		doc, err := jsonvalue.Decode([]byte(r.text))
		if err != nil {
			doc = "(not JSON)"
		}
		if m, ok := doc.(map[string]any); ok && m["next_cursor"] != nil {
			m["next_cursor"] = "(a cursor)"
		}
		body = doc
	}
	sent := c.body
	if len(sent) > 200 {
		sent = sent[:200] + "…"
	}
	out, err := json.MarshalIndent(struct {
		Request string            `json:"request"`
		As      string            `json:"as"`
		Sent    string            `json:"sent,omitempty"`
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    any               `json:"body"`
	}{c.what, c.as, strings.ToValidUTF8(sent, "\ufffd"), r.status, headers, body}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}
