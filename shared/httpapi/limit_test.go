package httpapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/limit"
)

// Every response to a caller with the right for the route has the X-RateLimit
// headers, whatever its status; other responses have none.
func TestEveryResponseToACallerWithTheRightShowsTheRateLimit(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for _, rt := range w.routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		for _, as := range []string{"owner@org_b", "viewer@org_b", "read", ""} {
			got := w.do(t, call{as: as, what: method + " " + missing(path), body: valid[rt.pattern]})
			told := got.header.Get("X-Ratelimit-Limit") == "6000" && got.header.Get("X-Ratelimit-Remaining") != "" &&
				got.header.Get("X-Ratelimit-Reset") == "1773066240"
			if told != (as != "" && !rt.open && got.status != http.StatusForbidden) {
				t.Errorf("%s as %q: %d, %v", rt.pattern, as, got.status, got.header)
			}
		}
	}
}

// limitedTo returns a fixture with this limit for people and keys.
func limitedTo(t *testing.T, n int) *fixture {
	t.Helper()
	w := newFixture(t)
	l, ok := w.edge.Limits.(*limit.Limiter)
	if !ok {
		t.Fatalf("limits are a %T", w.edge.Limits)
	}
	l.Rates = limit.Rates{User: n, Keys: n}
	return w
}

func TestRequestsBeyondTheRateLimitAreRefused(t *testing.T) {
	t.Parallel()

	w := limitedTo(t, 3)
	for _, left := range []string{"2", "1", "0"} {
		got := w.do(t, call{as: "viewer@org_a", what: "GET /api/agents"})
		if got.status != http.StatusOK || got.header.Get("X-Ratelimit-Remaining") != left {
			t.Errorf("%d with %s left, want %s", got.status, got.header.Get("X-Ratelimit-Remaining"), left)
		}
	}
	got := w.do(t, call{as: "viewer@org_a", what: "GET /api/credits"})
	if got.status != http.StatusTooManyRequests || got.field("error") != "rate_limited" ||
		got.header.Get("Retry-After") != "59" || got.header.Get("X-Ratelimit-Remaining") != "0" {
		t.Errorf("%d %s %v", got.status, got.text, got.header)
	}
	for _, as := range []string{"owner@org_a", "read", "viewer@org_b"} {
		if got := w.do(t, call{as: as, what: "GET /api/agents"}); got.status != http.StatusOK {
			t.Errorf("as %s: %d", as, got.status)
		}
	}
	w.do(t, call{as: "read_write", what: "GET /api/agents"})
	w.do(t, call{as: "read_write", what: "GET /api/agents"})
	if got := w.do(t, call{as: "read", what: "GET /api/agents"}); got.status != http.StatusTooManyRequests {
		t.Errorf("keys share a pot: %d", got.status)
	}
}

// A leaked key that sends as much as it can delays none of the acts that stop it.
func TestAnEmptyPotDelaysNoActOfSecurity(t *testing.T) {
	t.Parallel()

	w := limitedTo(t, 2)
	for range 4 {
		w.do(t, call{as: "read", what: "GET /api/agents"})
		w.do(t, call{as: "owner@org_a", what: "GET /api/agents"})
		w.do(t, call{as: "member@org_a", what: "GET /api/agents"})
	}
	for _, as := range []string{"read", "read_write", "owner@org_a"} {
		if got := w.do(t, call{as: as, what: "GET /api/agents"}).status; got != http.StatusTooManyRequests {
			t.Fatalf("as %s: %d, want an empty pot", as, got)
		}
	}
	for _, c := range []call{
		{as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: `{"name": "B"}`},
		{as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: `{"status": "paused", "name": "B"}`},
		{as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: `{"status": "active"}`},
		{as: "owner@org_a", what: "PUT /api/agents/" + agentID, body: strings.Repeat(" ", maxBody) + `{"status": "paused"}`},
		{as: "owner@org_a", what: "POST /api/keys", body: valid["POST /api/keys"]},
		{as: "read_write", what: "POST /api/executions/" + failedID + "/retry"},
	} {
		if got := w.do(t, c); got.status != http.StatusTooManyRequests {
			t.Errorf("%s %s: %d, want no reserve", c.what, c.body, got.status)
		}
	}
	for _, c := range []call{
		{as: "read_write", what: "PUT /api/agents/" + agentID, body: `{"status": "paused"}`},
		{as: "read_write", what: "POST /api/executions/" + askingID + "/cancel"},
		{as: "owner@org_a", what: "DELETE /api/keys/key_NEW1"},
		{as: "member@org_a", what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "denied"}`},
	} {
		got := w.do(t, c)
		if got.status == http.StatusTooManyRequests || got.header.Get("X-Ratelimit-Limit") != "2" || got.header.Get("X-Ratelimit-Remaining") != "0" {
			t.Errorf("%s as %s: %d %s %v", c.what, c.as, got.status, got.text, got.header)
		}
	}
	refused := 0
	for range 2 * limit.Reserve {
		if w.do(t, call{as: "owner@org_a", what: "DELETE /api/keys/key_NONE"}).status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != limit.Reserve+1 { // the revocation above took one
		t.Errorf("%d of %d acts were refused; the reserve is %d", refused, 2*limit.Reserve, limit.Reserve)
	}
}

// The routes with a reserve are those that stop something. The list repeats the
// decision, so that a new one is deliberate.
func TestOnlyRoutesThatStopSomethingHaveAReserve(t *testing.T) {
	t.Parallel()

	want := []string{
		"PUT /api/agents/{id}", "POST /api/executions/{id}/cancel", "POST /api/approvals/{id}/decision", "DELETE /api/keys/{id}",
		"POST /api/pause",
		"POST /api/webhook-secret/rotate",
	}
	for _, rt := range newFixture(t).routes {
		if got := rt.records != nil && rt.records.reserve != nil; got != slices.Contains(want, rt.pattern) {
			t.Errorf("%s: has a reserve: %t", rt.pattern, got)
		}
	}
}

// A request without the right takes no permit of its caller. It counts for the
// address, which is what API Gateway saw, whatever the headers say.
func TestRequestsWithoutTheRightAreCountedByAddress(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]call{
		"no credential":      {what: "GET /api/agents"},
		"an unknown key":     {what: "GET /api/agents", header: map[string]string{"X-Integration-Key": "ik_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},
		"an unknown session": {as: "root@org_a", what: "GET /api/agents"},
		"an unknown org":     {as: "owner@org_none", what: "GET /api/agents"},
		"no permission":      {as: "read", what: "DELETE /api/keys/key_NEW1"},
		"an open route":      {what: "GET /api/openapi.json"},
		"an unknown path":    {what: "GET /nothing"},
		"a broken path":      {what: "GET /nothing//else"},
		"an unknown method":  {what: "PATCH /api/agents"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := limitedTo(t, 3)
			w.counting(&limit.Addresses{Limit: 5, Now: func() time.Time { return now }})
			for n := range 8 {
				c := c
				c.header = maps.Clone(c.header)
				if c.header == nil {
					c.header = map[string]string{}
				}
				c.header["X-Forwarded-For"] = fmt.Sprintf("203.0.113.%d", n)
				c.header["X-Real-Ip"] = c.header["X-Forwarded-For"]
				got := w.do(t, c)
				if limited := got.status == http.StatusTooManyRequests; limited != (n >= 5) {
					t.Fatalf("request %d: %d %s", n, got.status, got.text)
				}
				if n >= 5 && (got.field("error") != "rate_limited" || got.header.Get("Retry-After") != "59") {
					t.Errorf("%s %v", got.text, got.header)
				}
			}
			for _, as := range []string{"read", "owner@org_a"} { // with all their permits, from the same address
				got := w.do(t, call{as: as, what: "GET /api/agents"})
				if got.status != http.StatusOK || got.header.Get("X-Ratelimit-Remaining") != "2" {
					t.Errorf("as %s: %d %v", as, got.status, got.header)
				}
			}
		})
	}
}

func TestAnIPv6SubscriberIsOneAddress(t *testing.T) {
	t.Parallel()

	for in, want := range map[string]string{
		"198.51.100.7": "198.51.100.7", "::ffff:198.51.100.7": "198.51.100.7", "": "", "nonsense": "",
		"2001:db8:1:2::1": "2001:db8:1:2::/64", "2001:db8:1:2:ffff::9": "2001:db8:1:2::/64", "2001:db8:1:3::1": "2001:db8:1:3::/64",
	} {
		if got := networkOf(in); got != want {
			t.Errorf("%q counts for %q, want %q", in, got, want)
		}
	}
}
