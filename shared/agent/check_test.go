package agent_test

import (
	"slices"
	"testing"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/id"
)

func TestOnlyActiveAgentsThatAllowItAreWokenByAgents(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	for n, fields := range []string{
		`"allow_agent_triggered":true`, `"allow_agent_triggered":true`, `"allow_agent_triggered":false`,
	} {
		doc := object(t, `{"name":"n","category":"security","steps":[{"id":"w","type":"wait","duration_seconds":1}],`+
			`"trigger":{"type":"bus_event","source_product":"psa","event_type":"ticket.updated",`+fields+`}}`)
		a, err := s.Create(t.Context(), member, doc)
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			continue // stays a draft
		}
		if _, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: object(t, `{"status":"active"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	for events, want := range map[string][]id.Agent{"psa:ticket.updated": {"agent_1"}, "psa:ticket.resolved": nil} {
		heads, err := s.Wakes(t.Context(), member.Org, []string{"psa:ticket.closed", events})
		var got []id.Agent
		for _, h := range heads {
			got = append(got, h.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s wakes %v, %v; want %v", events, got, err, want)
		}
	}
	if none, err := s.Wakes(t.Context(), member.Org, nil); err != nil || len(none) > 0 {
		t.Errorf("no event wakes %v, %v", none, err)
	}
}
