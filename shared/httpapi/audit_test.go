package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
)

// entries returns the audit log of the first organization, the newest first.
func (w *fixture) entries(t *testing.T) []audit.Entry {
	t.Helper()
	p, err := w.store.Audit(t.Context(), "org_a", audit.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return p.Entries
}

// The test calls every route that changes something. A new route needs a call
// here.
func TestEveryChangeRecordsOneActOfItsRoute(t *testing.T) {
	t.Parallel()

	seen := map[audit.Kind]bool{}
	type routed struct {
		call

		pattern string
	}
	calls := []routed{
		{call{as: "owner@org_a", what: "POST /api/agents", body: exampleAgent}, "POST /api/agents"},
		{call{as: "read_write", what: "POST /api/agents", body: exampleAgent, header: map[string]string{"Idempotency-Key": "once"}}, "POST /api/agents"},
		{call{as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: `{"description": "Other"}`}, "PUT /api/agents/{id}"},
		{call{as: "read_write", what: "PUT /api/agents/" + agentID, body: `{"status": "paused"}`}, "PUT /api/agents/{id}"},
		{call{as: "owner@org_a", what: "PUT /api/agents/" + systemID, body: `{"status": "paused"}`}, "PUT /api/agents/{id}"},
		{call{as: "owner@org_a", what: "PUT /api/agents/" + systemID, body: `{"status": "active"}`}, "PUT /api/agents/{id}"},
		{call{as: "owner@org_a", what: "PUT /api/agents/" + systemID, body: `{"pinned_version": 1}`}, "PUT /api/agents/{id}"},
		{call{as: "owner@org_a", what: "PUT /api/agents/" + systemID, body: `{"pinned_version": null}`}, "PUT /api/agents/{id}"},
		{call{as: "owner@org_a", what: "DELETE /api/agents/" + agentID}, "DELETE /api/agents/{id}"},
		{call{as: "owner@org_a", what: "POST /api/agents/" + systemID + "/clone"}, "POST /api/agents/{id}/clone"},
		{call{as: "owner@org_a", what: "POST /api/templates/tmpl_a/clone"}, "POST /api/templates/{id}/clone"},
		{call{as: "owner@org_a", what: "POST /api/executions/" + askingID + "/cancel"}, "POST /api/executions/{id}/cancel"},
		{call{as: "read_write", what: "POST /api/executions/" + failedID + "/retry"}, "POST /api/executions/{id}/retry"},
		{call{as: "owner@org_a", what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "approved", "note": "seen"}`}, "POST /api/approvals/{id}/decision"},
		{call{as: "owner@org_a", what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "denied"}`}, "POST /api/approvals/{id}/decision"},
		{call{as: "owner@org_a", what: "POST /api/keys", body: valid["POST /api/keys"]}, "POST /api/keys"},
		{call{as: "owner@org_a", what: "DELETE /api/keys/key_NEW1"}, "DELETE /api/keys/{id}"},
		{call{as: "owner@org_a", what: "PATCH /api/settings", body: valid["PATCH /api/settings"]}, "PATCH /api/settings"},
		{call{as: "read_write", what: "POST /api/pause", body: `{"reason": "stop"}`}, "POST /api/pause"},
		{call{as: "owner@org_a", what: "DELETE /api/pause", body: valid["DELETE /api/pause"]}, "DELETE /api/pause"},
		{call{as: "owner@org_a", what: "POST /api/webhook-secret/rotate"}, "POST /api/webhook-secret/rotate"},
		{call{as: "read_write", what: "POST /api/agents/" + agentID + "/test", body: `{"model": "live"}`}, "POST /api/agents/{id}/test"},
		{call{as: "read_write", what: "POST /api/backtests", body: valid["POST /api/backtests"]}, "POST /api/backtests"},
		{call{as: "owner@org_a", what: "POST /api/jobs/" + jobID + "/cancel"}, "POST /api/jobs/{id}/cancel"},
	}
	w := newFixture(t)
	for _, rt := range w.routes {
		if len(rt.records.all()) > 0 && !slices.ContainsFunc(calls, func(c routed) bool { return c.pattern == rt.pattern }) {
			t.Errorf("%s is not in this test", rt.pattern)
		}
	}
	for _, c := range calls {
		w := newFixture(t)
		if strings.Contains(c.body, "active") {
			w.do(t, call{as: "owner@org_a", what: c.what, body: `{"status": "paused"}`})
		}
		if strings.Contains(c.body, `"pinned_version": null`) {
			w.do(t, call{as: "owner@org_a", what: c.what, body: `{"pinned_version": 1}`})
		}
		if c.pattern == "DELETE /api/pause" {
			w.do(t, call{as: "owner@org_a", what: "POST /api/pause"})
		}
		switch c.pattern {
		case "POST /api/backtests":
			keptForWeeks(t, w)
		case "POST /api/jobs/{id}/cancel":
			aJob(t, w)
		}
		before := w.entries(t)
		if got := w.do(t, c.call); got.status >= http.StatusBadRequest {
			t.Fatalf("%s: %s", c.what, got.text)
		}
		acts := w.entries(t)
		fresh := slices.DeleteFunc(slices.Clone(acts), func(e audit.Entry) bool { return slices.Contains(before, e) })
		if len(fresh) != 1 {
			t.Errorf("%s %s: %d entries, want 1", c.what, c.body, len(fresh))
			continue
		}
		i := slices.IndexFunc(w.routes, func(rt route) bool { return rt.pattern == c.pattern })
		e := fresh[0]
		if !slices.Contains(w.routes[i].records.all(), e.Kind) || e.Address != "198.51.100.7" || e.Object == "" || e.Actor == "" {
			t.Errorf("%s records %+v", c.what, e)
		}
		seen[e.Kind] = true
		w.do(t, c.call) // again: it is refused, or changes nothing
		repeatable := c.pattern == "POST /api/agents" && c.header == nil || strings.HasSuffix(c.pattern, "/clone") || c.pattern == "POST /api/keys" ||
			c.pattern == "POST /api/webhook-secret/rotate"
		if again := len(w.entries(t)); !repeatable && again != len(acts) {
			t.Errorf("%s again: %d entries, want %d", c.what, again, len(acts))
		}
	}
	for _, k := range audit.Kinds() {
		if !seen[k] {
			t.Errorf("no route records %s", k)
		}
	}
}

func TestARefusedRequestRecordsNothing(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	before := len(w.entries(t))
	for _, rt := range w.routes {
		if rt.open {
			continue
		}
		method, path, _ := strings.Cut(rt.pattern, " ")
		w.do(t, call{as: "viewer@org_a", what: method + " " + missing(path), body: valid[rt.pattern]})
		w.do(t, call{as: "owner@org_a", what: method + " " + missing(path), body: `{"status": 1}`})
		if strings.Contains(path, "{id}") {
			w.do(t, call{as: "owner@org_a", what: method + " " + missing(path), body: valid[rt.pattern]})
		}
	}
	if after := len(w.entries(t)); after != before {
		t.Errorf("%d entries of refused requests", after-before)
	}
}

func TestARouteThatChangesSomethingAndRecordsNothingDoesNotMount(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for name, rt := range map[string]route{
		"POST without acts":      {pattern: "POST /x", act: caller.Edit},
		"PUT without acts":       {pattern: "PUT /x", act: caller.Edit},
		"PATCH without acts":     {pattern: "PATCH /x", act: caller.Edit},
		"DELETE without acts":    {pattern: "DELETE /x", act: caller.Edit},
		"any method":             {pattern: "/x", act: caller.Edit},
		"an unknown kind":        {pattern: "POST /x", act: caller.Edit, records: records("agent.seen")},
		"a read with an act":     {pattern: "GET /x", act: caller.See, records: records(audit.AgentUpdated)},
		"open, without any acts": {pattern: "POST /x", open: true},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the route is mounted", name)
				}
			}()
			w.edge.mount([]route{rt})
		}()
	}
	w.edge.mount([]route{{pattern: "POST /x", records: records(audit.AgentCreated)}, {pattern: "GET /x"}})
}

func TestTheAddressOfARequestComesFromNoHeader(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	w.do(t, call{as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: `{"name": "B"}`, header: map[string]string{
		"X-Forwarded-For": "203.0.113.66", "Forwarded": "for=203.0.113.66", "X-Real-Ip": "203.0.113.66",
	}})
	list := w.entries(t)
	if i := slices.IndexFunc(list, func(e audit.Entry) bool { return e.Kind == audit.AgentUpdated }); list[i].Address != "198.51.100.7" {
		t.Errorf("the address is %q", list[i].Address)
	}
	log := w.log.String()
	for _, want := range []string{`"source":"198.51.100.7"`, `"object_id":"` + agentID + `"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s: %s", want, log)
		}
	}
	if strings.Contains(log, "203.0.113.66") {
		t.Errorf("the log has the address of a header: %s", log)
	}
}
