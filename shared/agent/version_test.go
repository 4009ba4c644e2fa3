package agent_test

import (
	"errors"
	"testing"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/id"
)

func TestAVersionIsFoundByItsNumberInItsOrganizationOnly(t *testing.T) {
	t.Parallel()

	w, s, a := created(t)
	w.versions = []agent.Version{{Number: 3}, {Number: 1, Definition: a.Definition}}
	for number, want := range map[int]error{1: nil, 2: agent.ErrVersion, 3: nil, 4: agent.ErrVersion} {
		if got, err := s.Version(t.Context(), member, "agent_1", number); !errors.Is(err, want) || err == nil && got.Number != number {
			t.Errorf("version %d: %d, %v; want %v", number, got.Number, err, want)
		}
	}
	if _, err := s.Version(t.Context(), stranger, "agent_1", 1); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("a stranger: err = %v", err)
	}
}

func TestTheVersionsOfADeletedAgentStayReadable(t *testing.T) {
	t.Parallel()

	w, s, a := created(t)
	w.versions = []agent.Version{{Number: 2}, {Number: 1, Definition: a.Definition}}
	if err := s.Delete(t.Context(), member, a.ID, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), member, a.ID); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("the agent itself: err = %v", err)
	}
	if p, err := s.Versions(t.Context(), member, a.ID, agent.VersionQuery{Limit: 5}); err != nil || len(p.Versions) != 2 {
		t.Errorf("all: %+v, %v", p, err)
	}
	for number, want := range map[int]error{1: nil, 2: nil, 3: agent.ErrVersion} {
		if _, err := s.Version(t.Context(), member, a.ID, number); !errors.Is(err, want) {
			t.Errorf("version %d: err = %v, want %v", number, err, want)
		}
	}
	if _, err := s.Versions(t.Context(), stranger, a.ID, agent.VersionQuery{Limit: 5}); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("a stranger: err = %v", err)
	}
	w.versions = nil
	if _, err := s.Version(t.Context(), member, "agent_2", 1); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("an agent that never existed: err = %v", err)
	}
}

func TestASystemAgentHasTheSameVersionsInEveryOrganization(t *testing.T) {
	t.Parallel()

	_, s, _ := created(t)
	const guardian id.Agent = "agent_system_guardian"
	p, err := s.Versions(t.Context(), stranger, guardian, agent.VersionQuery{Limit: 5})
	if err != nil || len(p.Versions) != 1 || p.Versions[0].Number != 1 || p.Next != 0 || p.Versions[0].Definition.Name == "" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := s.Version(t.Context(), member, guardian, 1); err != nil {
		t.Error(err)
	}
	if _, err := s.Version(t.Context(), member, guardian, 2); !errors.Is(err, agent.ErrVersion) {
		t.Errorf("version 2: err = %v", err)
	}
	if p, err := s.Versions(t.Context(), member, guardian, agent.VersionQuery{Limit: 5, Before: 1}); err != nil || len(p.Versions) != 0 {
		t.Errorf("before the first: %+v, %v", p, err)
	}
}

func TestADeletionOfAnotherRevisionIsRefused(t *testing.T) {
	t.Parallel()

	w, s, a := created(t)
	if err := s.Delete(t.Context(), member, a.ID, a.Revision+1); !errors.Is(err, agent.ErrChanged) || len(w.agents) != 1 {
		t.Errorf("err = %v; %d agents", err, len(w.agents))
	}
	if err := s.Delete(t.Context(), member, a.ID, a.Revision); err != nil {
		t.Error(err)
	}
}
