package httpapi

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Validation answers as the operation would that saves the definition, and leaves
// agents and audit log as they are.
func TestAValidationAgreesWithTheSaveAndWritesNothing(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ body, id string }{
		"a new agent":        {body: exampleAgent},
		"a faulty new agent": {body: `{"name": "", "steps": [{"id": "a", "type": "wait"}]}`},
		"nothing":            {body: `{}`},
		"a change":           {body: `{"conditions": []}`, id: agentID},
		"a pause":            {body: `{"status": "paused"}`, id: agentID},
		"a faulty change":    {body: `{"steps": [{"id": "A", "type": "wait", "duration_seconds": 0}], "colour": "red"}`, id: agentID},
		"a status":           {body: `{"status": "asleep"}`, id: agentID},
		"a system agent":     {body: `{"status": "paused"}`, id: systemID},
		"of a system agent":  {body: `{"steps": []}`, id: systemID},
		"a missing agent":    {body: `{"name": "B"}`, id: "agent_NONE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newFixture(t)
			state := func() []string {
				var all []string
				for _, what := range []string{"/api/agents", "/api/audit", "/api/agents/" + agentID, "/api/agents/" + agentID + "/versions", "/api/agents/" + systemID} {
					all = append(all, w.do(t, call{as: "owner@org_a", what: "GET " + what}).text)
				}
				return all
			}
			before, body := state(), tc.body
			save := call{as: "member@org_a", what: "POST /api/agents", body: tc.body}
			if tc.id != "" {
				body = `{"id": "` + tc.id + `", ` + tc.body[1:]
				save.what = "PUT /api/agents/" + tc.id
			}
			got := w.do(t, call{as: "member@org_a", what: "POST /api/agents/validate", body: body})
			if diff := cmp.Diff(before, state()); diff != "" {
				t.Errorf("it changed something (-before +after):\n%s", diff)
			}
			saved := w.do(t, save)
			switch {
			case saved.status < http.StatusMultipleChoices:
				if details, ok := got.field("details").([]any); got.status != http.StatusOK || got.field("valid") != any(true) || !ok || len(details) > 0 {
					t.Errorf("it is saved; validation says %d %s", got.status, got.text)
				}
			case saved.field("error") == any("invalid_agent_config"):
				if diff := cmp.Diff(saved.field("details"), got.field("details")); got.status != http.StatusOK || got.field("valid") != any(false) || diff != "" {
					t.Errorf("validation says %d %s (-saved +validated):\n%s", got.status, got.text, diff)
				}
			case got.status != saved.status || got.field("error") != saved.field("error") || got.field("message") != saved.field("message"):
				t.Errorf("saving says %d %s\nvalidation %d %s", saved.status, saved.text, got.status, got.text)
			}
		})
	}
}
