package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"theoneagents.app/agents/shared/limit"
)

// Every response to an authenticated caller has the X-RateLimit headers, whatever
// its status; other responses have none.
func TestEveryAuthenticatedResponseShowsTheRateLimit(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	for _, rt := range w.routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		for _, as := range []string{"owner@org_b", "viewer@org_b", ""} {
			got := w.do(t, call{as: as, what: method + " " + missing(path), body: valid[rt.pattern]})
			told := got.header.Get("X-Ratelimit-Limit") == "6000" && got.header.Get("X-Ratelimit-Remaining") != "" &&
				got.header.Get("X-Ratelimit-Reset") == "1773066240"
			if told != (as != "" && !rt.open) {
				t.Errorf("%s as %q: %d, %v", rt.pattern, as, got.status, got.header)
			}
		}
	}
}

func TestRequestsBeyondTheRateLimitAreRefused(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	l, ok := w.edge.Limits.(*limit.Limiter)
	if !ok {
		t.Fatalf("limits are a %T", w.edge.Limits)
	}
	l.Limit = 3
	for _, left := range []string{"2", "1", "0"} {
		got := w.do(t, call{as: "viewer@org_a", what: "GET /api/agents"})
		if got.status != http.StatusOK || got.header.Get("X-Ratelimit-Remaining") != left {
			t.Errorf("%d with %s left, want %s", got.status, got.header.Get("X-Ratelimit-Remaining"), left)
		}
	}
	for _, as := range []string{"owner@org_a", "read"} { // people and keys share the limit
		got := w.do(t, call{as: as, what: "DELETE /api/keys/key_NONE"})
		if got.status != http.StatusTooManyRequests || got.field("error") != "rate_limited" ||
			got.header.Get("Retry-After") != "59" || got.header.Get("X-Ratelimit-Remaining") != "0" {
			t.Errorf("as %s: %d %s %v", as, got.status, got.text, got.header)
		}
	}
	if got := w.do(t, call{as: "viewer@org_b", what: "GET /api/agents"}); got.status != http.StatusOK {
		t.Errorf("another organization: %d", got.status)
	}
	if got := w.do(t, call{as: "nobody@org_a", what: "GET /api/agents"}); got.status != http.StatusUnauthorized {
		t.Errorf("without a credential: %d", got.status)
	}
}
