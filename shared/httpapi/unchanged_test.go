package httpapi

import (
	"net/http"
	"testing"
)

func TestAPolledResponseThatHasNotChangedHasNoBody(t *testing.T) {
	t.Parallel()

	for _, what := range []string{
		"/api/executions", "/api/executions?status=failed", "/api/executions/" + doneID, "/api/approvals", "/api/approvals/" + pendingID, "/api/me", "/api/credits",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()

			w := newFixture(t)
			get := func(as, tag string) reply {
				t.Helper()
				c := call{as: as, what: "GET " + what, header: map[string]string{"If-None-Match": tag}}
				if tag == "" {
					c.header = nil
				}
				return w.do(t, c)
			}
			first := get("viewer@org_a", "")
			tag := first.header.Get("Etag")
			if first.status != http.StatusOK || tag == "" {
				t.Fatalf("%d, ETag %q", first.status, tag)
			}
			for name, sent := range map[string]string{
				"the tag": tag, "among others": `"x", ` + tag, "as a strong one": tag[len("W/"):], "any": "*",
			} {
				again := get("viewer@org_a", sent)
				if again.status != http.StatusNotModified || again.text != "" || again.header.Get("Etag") != tag || again.header.Get("X-Ratelimit-Remaining") == "" {
					t.Errorf("%s: %d %q %v", name, again.status, again.text, again.header)
				}
			}
			for name, sent := range map[string]string{"another tag": `W/"x"`, "a part of it": tag[:len(tag)-2] + `"`, "no tag": "x"} {
				if again := get("viewer@org_a", sent); again.status != http.StatusOK || again.text != first.text {
					t.Errorf("%s: %d", name, again.status)
				}
			}
			if other := get("viewer@org_b", tag); other.status == http.StatusNotModified {
				t.Errorf("another organization has the same: %d", other.status)
			}
			if bad := get("", tag); bad.status != http.StatusUnauthorized {
				t.Errorf("without a credential: %d", bad.status)
			}
		})
	}
}

func TestAPolledResponseThatHasChangedHasABody(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	one := call{as: "owner@org_a", what: "GET /api/approvals/" + pendingID}
	tag := w.do(t, one).header.Get("Etag")
	if got := w.do(t, call{as: "owner@org_a", what: "POST /api/approvals/" + pendingID + "/decision", body: `{"decision": "denied"}`}); got.status != http.StatusOK {
		t.Fatal(got.text)
	}
	one.header = map[string]string{"If-None-Match": tag}
	if got := w.do(t, one); got.status != http.StatusOK || got.header.Get("Etag") == tag || got.field("status") != any("denied") {
		t.Errorf("%d %s", got.status, got.text)
	}
	missing := w.do(t, call{as: "owner@org_a", what: "GET /api/approvals/appr_NONE", header: map[string]string{"If-None-Match": "*"}})
	if missing.status != http.StatusNotFound || missing.header.Get("Etag") != "" {
		t.Errorf("a missing one: %d %v", missing.status, missing.header)
	}
}
