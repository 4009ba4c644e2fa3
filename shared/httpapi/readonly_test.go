package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
)

func encoded(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// shownAgent returns the body of GET for the agent of the fixture.
func shownAgent(t *testing.T, w *fixture) map[string]any {
	t.Helper()
	got := w.do(t, call{as: "member@org_a", what: "GET /api/agents/" + agentID})
	body, ok := got.body.(map[string]any)
	if !ok || got.status != http.StatusOK {
		t.Fatal(got.text)
	}
	return body
}

func TestPutAcceptsTheResponseOfGet(t *testing.T) {
	t.Parallel()

	for name, setUp := range map[string]func(*testing.T, *fixture){"active": nil, "in error": dropAction, "of a second version": changeScope} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture(t)
			if setUp != nil {
				setUp(t, w)
			}
			before := w.do(t, call{as: "member@org_a", what: "GET /api/agents/" + agentID})
			got := w.do(t, call{as: "member@org_a", what: "PUT /api/agents/" + agentID, body: before.text})
			if name == "in error" {
				if got.status != http.StatusBadRequest || got.field("error") != "invalid_agent_config" {
					t.Errorf("%d %s, want the definition's faults", got.status, got.text)
				}
				return
			}
			if got.status != http.StatusOK || got.text != before.text || got.header.Get("ETag") != before.header.Get("ETag") {
				t.Errorf("%d %s\n%s", got.status, got.text, before.text)
			}
		})
	}
}

func TestABodyThatWasReadBeforeAChangeIsAccepted(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	old := shownAgent(t, w)
	changeScope(t, w)
	old["name"] = "B"
	body := encoded(t, old)
	for range 2 {
		got := w.do(t, call{as: "member@org_a", what: "PUT /api/agents/" + agentID, body: body})
		if got.status != http.StatusOK || got.field("name") != "B" || got.field("version") != 3.0 {
			t.Errorf("%d %s", got.status, got.text)
		}
	}
}

func TestAReadOnlyFieldAcceptsOnlyCurrentAndEarlierValues(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	stats, ok := shownAgent(t, w)["stats"].(map[string]any)
	if !ok {
		t.Fatal("no stats")
	}
	with := func(field string, v any) map[string]any {
		c := maps.Clone(stats)
		c[field] = v
		return c
	}
	for name, tc := range map[string]struct {
		field string
		value any
		taken bool
	}{
		"its id":                               {"id", agentID, true},
		"another id":                           {"id", "agent_2", false},
		"an id of another kind":                {"id", 5, false},
		"an id that is null":                   {"id", nil, true},
		"its organization":                     {"org_id", "org_a", true},
		"another organization":                 {"org_id", "org_b", false},
		"its type":                             {"type", "custom", true},
		"another type":                         {"type", "cloned", false},
		"its version":                          {"version", 1, true},
		"a version to come":                    {"version", 2, false},
		"no version":                           {"version", 0, false},
		"when it was created":                  {"created_at", "2026-03-09T13:23:01Z", true},
		"when it was created, in another zone": {"created_at", "2026-03-09T14:23:01+01:00", true},
		"another time of creation":             {"created_at", "2026-03-09T13:23:02Z", false},
		"when it was changed":                  {"updated_at", "2026-03-09T14:22:01Z", true},
		"an earlier change":                    {"updated_at", "2026-03-09T14:00:00Z", true},
		"a change to come":                     {"updated_at", "2026-03-09T14:22:02Z", false},
		"a change before it was created":       {"updated_at", "2026-03-09T13:00:00Z", false},
		"no time":                              {"updated_at", "yesterday", false},
		"its stats":                            {"stats", stats, true},
		"earlier stats":                        {"stats", with("total_runs", 0), true},
		"stats of more runs":                   {"stats", with("total_runs", 99), false},
		"stats with a better rate":             {"stats", with("success_rate", 1), false},
		"stats with another field":             {"stats", with("colour", "red"), false},
		"no stats":                             {"stats", []any{}, false},
		"other warnings":                       {"warnings", []any{map[string]any{"path": "a", "message": "b"}}, true},
		"no warnings":                          {"warnings", []any{}, true},
		"warnings of another kind":             {"warnings", []any{"a"}, false},
	} {
		got := w.do(t, call{as: "member@org_a", what: "PUT /api/agents/" + agentID, body: encoded(t, map[string]any{tc.field: tc.value})})
		switch {
		case tc.taken && (got.status != http.StatusOK || got.field("version") != 1.0):
			t.Errorf("%s: %d %s", name, got.status, got.text)
		case !tc.taken && (got.status != http.StatusBadRequest || got.field("error") != "invalid_request" ||
			got.field("details[0].path") != tc.field || !strings.Contains(got.text, "is read-only; it is ")):
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
}

func TestASystemAgentRefusesReadOnlyFields(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	got := w.do(t, call{as: "owner@org_a", what: "PUT /api/agents/" + systemID, body: `{"id": "` + systemID + `", "status": "paused"}`})
	if got.status != http.StatusForbidden {
		t.Errorf("%d %s", got.status, got.text)
	}
}
