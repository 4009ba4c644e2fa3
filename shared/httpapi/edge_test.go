package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/correlation"
)

func TestTheContractAndTheTableHaveTheSameRoutes(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	var mounted, described []string
	for _, rt := range w.routes {
		mounted = append(mounted, rt.pattern)
	}
	for path, item := range w.contract.Paths.Map() {
		for method, op := range item.Operations() {
			described = append(described, method+" "+path)
			open := op.Security != nil && len(*op.Security) == 0
			i := slices.IndexFunc(w.routes, func(rt route) bool { return rt.pattern == method+" "+path })
			if i >= 0 && w.routes[i].open != open {
				t.Errorf("%s %s: open is %t in the table, %t in the contract", method, path, w.routes[i].open, open)
			}
		}
	}
	slices.Sort(mounted)
	slices.Sort(described)
	if diff := cmp.Diff(described, mounted); diff != "" {
		t.Errorf("routes (-contract +table):\n%s", diff)
	}
}

func TestOnlyTheDocumentRoutesNeedNoAuthentication(t *testing.T) {
	t.Parallel()

	for _, rt := range newFixture(t).routes {
		want := rt.pattern == "GET /docs" || rt.pattern == "GET /api/openapi.json" || rt.pattern == "GET /.well-known/jwks.json"
		if rt.open != want {
			t.Errorf("%s: open is %t", rt.pattern, rt.open)
		}
		if !rt.open && rt.act == "" {
			t.Errorf("%s: the route requires no permission", rt.pattern)
		}
	}
}

// The test calls every route as every kind of caller. Its tables repeat the
// permissions that roles and key accesses are documented to have.
func TestEveryRouteAdmitsExactlyTheAllowedCallers(t *testing.T) {
	t.Parallel()

	allCallers := []string{"owner@org_a", "admin@org_a", "member@org_a", "viewer@org_a", "read", "read_write"}
	allowed := map[caller.Act][]string{
		caller.See:    allCallers,
		caller.Edit:   {"owner@org_a", "admin@org_a", "member@org_a", "read_write"},
		caller.Delete: {"owner@org_a", "admin@org_a", "read_write"},
		caller.Decide: {"owner@org_a", "admin@org_a", "member@org_a"},
		caller.Manage: {"owner@org_a", "admin@org_a"},
	}
	acts := map[string]caller.Act{
		"POST /api/agents": caller.Edit, "PUT /api/agents/{id}": caller.Edit, "DELETE /api/agents/{id}": caller.Delete,
		"POST /api/agents/validate":   caller.Edit,
		"POST /api/agents/{id}/clone": caller.Edit, "POST /api/templates/{id}/clone": caller.Edit,
		"POST /api/agents/{id}/test": caller.Edit, "POST /api/templates/{id}/test": caller.Edit,
		"POST /api/executions/{id}/cancel": caller.Edit,
		"POST /api/executions/{id}/retry":  caller.Edit, "POST /api/approvals/{id}/decision": caller.Decide,
		"GET /api/keys": caller.Manage, "POST /api/keys": caller.Manage, "DELETE /api/keys/{id}": caller.Manage,
		"GET /api/webhook-secret": caller.Manage, "POST /api/webhook-secret/rotate": caller.Manage, "GET /api/audit": caller.Manage,
		"GET /api/settings": caller.Manage, "PATCH /api/settings": caller.Manage,
		"POST /api/pause": caller.Edit, "DELETE /api/pause": caller.Manage,
		"POST /api/events/explain": caller.See, // changes nothing
		"POST /api/backtests":      caller.Edit, "POST /api/jobs/{id}/cancel": caller.Edit,
	}
	w := newFixture(t)
	for _, rt := range w.routes {
		act, special := acts[rt.pattern]
		method, path, _ := strings.Cut(rt.pattern, " ")
		switch {
		case rt.open:
			continue
		case !special && method != http.MethodGet:
			t.Errorf("%s is not in this test", rt.pattern)
		case !special:
			act = caller.See
		}
		for _, who := range allCallers {
			got := w.do(t, call{as: who, what: method + " " + missing(path), body: valid[rt.pattern]}).status
			if may := slices.Contains(allowed[act], who); may == (got == http.StatusForbidden) {
				t.Errorf("%s as %s: %d, allowed %t", rt.pattern, who, got, may)
			}
		}
		for _, who := range []string{"", "nobody@org_a", "root@org_a"} {
			if got := w.do(t, call{as: who, what: method + " " + missing(path), body: valid[rt.pattern]}).status; got != http.StatusUnauthorized {
				t.Errorf("%s as %q: %d, want 401", rt.pattern, who, got)
			}
		}
	}
}

func TestResourcesOfAnotherOrganizationAreNotFound(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	has := map[string]string{"agents": agentID, "executions": failedID, "approvals": pendingID, "keys": "key_NEW1", "events": receivedID}
	received(t, w)
	for _, rt := range w.routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if !strings.Contains(path, "{id}") {
			continue
		}
		path = strings.ReplaceAll(path, "{id}", has[strings.Split(path, "/")[2]])
		got := w.do(t, call{as: "owner@org_b", what: method + " " + path, body: valid[rt.pattern]})
		if got.status != http.StatusNotFound {
			t.Errorf("%s %s: %d, want 404", method, path, got.status)
		}
	}
	if w.machine.starts+w.machine.rings > 0 {
		t.Error("a machine was started or its doorbell rung")
	}
}

func TestAnUnknownPathGetsTheErrorBody(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for _, target := range []string{
		"/", "/api", "/api/agents/", "/api/agents/x/y/z", "//api/agents", "/api//agents", "/api/../api/agents",
		"/api/agents/./x", "/api/agents/..", "/API/agents", "/api/agents/%2e%2e", "/api/agents/a/clone/",
	} {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		path, err := r.URL.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path, r.URL.RawPath = target, target
		if target == "/api/agents/%2e%2e" {
			r.URL.Path, r.URL.RawPath = path.Path, path.RawPath
		}
		w.handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusNotFound && rec.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", target, rec.Code, rec.Body)
		}
		if !strings.Contains(rec.Body.String(), `"request_id":"req_1"`) {
			t.Errorf("%s: %s", target, rec.Body)
		}
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for _, c := range []call{
		{as: "viewer@org_a", what: "HEAD /api/agents/" + agentID},
		{as: "viewer@org_a", what: "HEAD /api/agents/agent_NONE"},
		{what: "HEAD /docs"},
	} {
		got := w.do(t, c)
		if got.text != "" {
			t.Errorf("%s has a body: %s", c.what, got.text)
		}
	}
}

func TestAPanicIsAnInternalErrorAndLeaksNothing(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	h := w.edge.mount([]route{{"GET /boom", caller.See, false, nil, func(http.ResponseWriter, *http.Request) error {
		panic("the password is swordfish")
	}}})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, call{as: "owner@org_a", what: "GET /boom"}.request(w))
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "swordfish") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if !strings.Contains(w.log.String(), "swordfish") || !strings.Contains(w.log.String(), `"request_id":"req_1"`) {
		t.Errorf("the log does not have the panic: %s", w.log)
	}
}

// A losingStore is a store of agents that loses every race.
type losingStore struct{ agent.Store }

func (losingStore) SaveAgent(context.Context, agent.Agent, agent.Agent, agent.Cap, ...audit.Entry) error {
	return agent.ErrStale
}

func (losingStore) DeleteAgent(context.Context, agent.Agent, ...audit.Entry) error {
	return agent.ErrStale
}

func TestOnlyTheLogShowsTheCauseOfALostRace(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		call call
		want string // the warning in the log; empty: no warning
	}{
		"an update that lost too often":  {call{what: "PUT /api/agents/" + agentID, body: `{"name": "B"}`}, "update agent_01CUSTOM: lost 30 races in a row"},
		"a deletion that lost too often": {call{what: "DELETE /api/agents/" + agentID}, "delete agent_01CUSTOM: lost 30 races in a row"},
		"a move that is not allowed":     {call{what: "PUT /api/agents/" + agentID, body: `{"status": "draft"}`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture(t)
			w.agents.Store = losingStore{w.agents.Store}
			tc.call.as = "owner@org_a"
			got := w.do(t, tc.call)
			if got.status != http.StatusConflict || tc.want != "" && strings.Contains(got.text, tc.want) {
				t.Errorf("%d %s", got.status, got.text)
			}
			log := w.log.String()
			if warned := strings.Contains(log, `"level":"WARN"`); warned != (tc.want != "") || !strings.Contains(log, tc.want) {
				t.Errorf("want a warning with %q in the log: %s", tc.want, log)
			}
		})
	}
}

func TestOnlyTheLogShowsTheCauseOfAStaleWrite(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	h := w.edge.mount([]route{{"GET /late", caller.See, false, nil, func(http.ResponseWriter, *http.Request) error {
		return fmt.Errorf("save swordfish: %w", approval.ErrStale)
	}}})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, call{as: "owner@org_a", what: "GET /late"}.request(w))
	if rec.Code != http.StatusConflict || strings.Contains(rec.Body.String(), "swordfish") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if log := w.log.String(); !strings.Contains(log, "save swordfish") || !strings.Contains(log, `"level":"WARN"`) {
		t.Errorf("the log does not have the stale write: %s", log)
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	w.do(t, call{as: "read_write", what: "GET /api/agents"})
	w.do(t, call{as: "owner@org_a", what: "POST /api/keys", body: valid["POST /api/keys"]})
	w.do(t, call{what: "GET /api/agents", header: map[string]string{"X-Integration-Key": "ik_live_wrong"}})
	w.do(t, call{as: "owner@org_a", what: "GET /api/webhook-secret"})
	w.do(t, call{as: "owner@org_a", what: "POST /api/webhook-secret/rotate"})
	log := w.log.String()
	if strings.Contains(log, "ik_live_") || strings.Contains(log, "whsec_") || strings.Contains(log, "owner@org_a") {
		t.Errorf("the log has a secret: %s", log)
	}
	for _, want := range []string{`"key_id":"key_NEW2"`, `"user_id":"user_owner"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not have %s: %s", want, log)
		}
	}
}

func TestEveryResponseHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for _, c := range []call{{what: "GET /api/agents"}, {as: "owner@org_a", what: "GET /api/agents"}, {as: "owner@org_a", what: "GET /api/webhook-secret"}, {what: "GET /docs"}, {what: "GET /nothing"}} {
		h, cache := w.do(t, c).header, "no-store"
		if c.what == "GET /docs" {
			cache = "no-cache" // the same for everybody: kept, and asked for again by its ETag
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != cache {
			t.Errorf("%s: %v", c.what, h)
		}
	}
}

func TestAShortCursorKeyPanicsAtStart(t *testing.T) {
	t.Parallel()

	defer func() {
		if recover() == nil {
			t.Error("a short key signs cursors")
		}
	}()
	Executions(nil, nil, catalog.Catalog{}, Edge{CursorKey: bytes.Repeat([]byte("k"), 31)})
}

// serveOnce serves a request that a call cannot express.
func serveOnce(w *fixture, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// Log lines of a request carry the fields of its context; an object of another
// organization, which the path may name, must not be one of them.
func TestAForeignObjectIsNoFieldOfLogLines(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for _, path := range []string{"/api/executions/" + doneID, "/api/agents/" + agentID} {
		ctx := correlation.With(t.Context())
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, call{as: "owner@org_b", what: "GET " + path}.request(w).WithContext(ctx))
		if rec.Code != http.StatusNotFound {
			t.Fatalf("%s: %d", path, rec.Code)
		}
		if got := correlation.Of(ctx); got.Org != "org_b" || got.Execution != "" || got.Agent != "" {
			t.Errorf("%s: the fields are %+v", path, got)
		}
	}
}
