package agent_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// shelves has one agent, and the versions of another that was deleted.
type shelves struct {
	agent.VersionStore

	reads int
	err   error
}

func (s *shelves) AgentNames(_ context.Context, org id.Org, agents []id.Agent) (map[id.Agent]string, error) {
	s.reads++
	names := map[id.Agent]string{}
	for _, a := range agents {
		if org == "org_a" && a == "agent_1" {
			names[a] = "New name"
		}
	}
	return names, s.err
}

func (s *shelves) Version(_ context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error) {
	if org != "org_a" || a != "agent_2" || version != 3 {
		return definition.Definition{}, agent.ErrNotFound
	}
	return definition.Definition{Name: "Deleted"}, nil
}

func TestNamesAreCurrentAndADeletedAgentHasThatOfItsVersion(t *testing.T) {
	t.Parallel()

	asked := map[id.Agent]int{"agent_system_a": 1, "agent_1": 2, "agent_2": 3, "agent_3": 0, "agent_4": 1}
	s := &shelves{}
	names := agent.Names{Store: s, Definitions: agent.Definitions{
		Versions: s, System: []agent.Agent{{Head: agent.Head{ID: "agent_system_a", Name: "System"}}},
	}}
	got, err := names.Of(t.Context(), "org_a", asked)
	want := map[id.Agent]string{"agent_system_a": "System", "agent_1": "New name", "agent_2": "Deleted"}
	if err != nil || !cmp.Equal(want, got) || s.reads != 1 {
		t.Errorf("%v, %v, %d reads; want %v and one read", got, err, s.reads, want)
	}
	got, err = names.Of(t.Context(), "org_b", asked)
	if err != nil || !cmp.Equal(map[id.Agent]string{"agent_system_a": "System"}, got) {
		t.Errorf("in another organization: %v, %v", got, err)
	}
	s.reads = 0
	if _, err := names.Of(t.Context(), "org_a", map[id.Agent]int{"agent_system_a": 1}); err != nil || s.reads > 0 {
		t.Errorf("the name of a system agent takes %d reads, %v", s.reads, err)
	}
	s.err = errors.New("the store is down")
	if _, err := names.Of(t.Context(), "org_a", asked); !errors.Is(err, s.err) {
		t.Errorf("a failure of the store is %v", err)
	}
}
