package agent_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// A shelf has version 1 of agents, with the name of their organization, and records
// what it is asked for.
type shelf struct {
	agent.VersionStore

	has   []id.Agent
	asked []id.Agent
	down  error
}

func (s *shelf) Version(_ context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error) {
	s.asked = append(s.asked, a)
	switch {
	case s.down != nil:
		return definition.Definition{}, s.down
	case version != 1 || !slices.Contains(s.has, a):
		return definition.Definition{}, agent.ErrNotFound
	}
	return definition.Definition{Name: string(org)}, nil
}

func TestAVersionIsReadOnceForEachOrganization(t *testing.T) {
	t.Parallel()
	s := &shelf{has: []id.Agent{"agent_1"}}
	l := agent.Definitions{Versions: s, Cache: agent.NewVersionCache()}
	for range 3 {
		for _, org := range []id.Org{"org_a", "org_b"} {
			if d, err := l.Version(t.Context(), org, "agent_1", 1); err != nil || d.Name != string(org) {
				t.Errorf("%s has %q, %v", org, d.Name, err)
			}
		}
	}
	if len(s.asked) != 2 {
		t.Errorf("the store was asked %d times, want 2", len(s.asked))
	}
}

func TestAVersionThatWasNotReadIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := &shelf{down: errors.New("no table")}
	l := agent.Definitions{Versions: s, Cache: agent.NewVersionCache()}
	if _, err := l.Version(t.Context(), "org_a", "agent_1", 1); !errors.Is(err, s.down) {
		t.Errorf("err = %v", err)
	}
	s.down = nil
	if _, err := l.Version(t.Context(), "org_a", "agent_1", 1); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
	s.has = append(s.has, "agent_1") // created meanwhile
	if _, err := l.Version(t.Context(), "org_a", "agent_1", 1); err != nil {
		t.Error(err)
	}
	if _, err := l.Version(t.Context(), "org_a", "agent_1", 2); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("another version: err = %v", err)
	}
}
