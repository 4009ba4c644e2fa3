package agent_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
)

func TestARepeatedRequestWithAKeyCreatesOneAgent(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	first, err := s.CreateOnce(t.Context(), member, "key 1", read(t, "reference"))
	if err != nil || first.Status != agent.Draft || first.Version != 1 || first.Revision != 1 {
		t.Fatalf("%+v, %v", first.Head, err)
	}
	w.clock = w.clock.Add(agent.RequestKept - time.Minute)
	again, err := s.CreateOnce(t.Context(), member, "key 1", read(t, "reference"))
	if err != nil || again.ID != first.ID || len(w.agents) != 1 {
		t.Errorf("again: %+v, %v; %d agents", again.Head, err, len(w.agents))
	}
	if other, err := s.CreateOnce(t.Context(), member, "key 2", read(t, "reference")); err != nil || other.ID == first.ID {
		t.Errorf("another key: %+v, %v", other.Head, err)
	}
	w.clock = w.clock.Add(2 * time.Minute)
	if later, err := s.CreateOnce(t.Context(), member, "key 1", read(t, "everything")); err != nil || later.ID == first.ID {
		t.Errorf("a day later: %+v, %v", later.Head, err)
	}
}

func TestAKeyWithAnotherBodyOrADeletedAgentIsRefused(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	doc := read(t, "reference")
	a, err := s.CreateOnce(t.Context(), member, "k", doc)
	if err != nil {
		t.Fatal(err)
	}
	doc["name"] = "Another"
	if _, err := s.CreateOnce(t.Context(), member, "k", doc); !errors.Is(err, agent.ErrKeyReused) || !strings.Contains(err.Error(), "another body") {
		t.Errorf("another body: %v", err)
	}
	doc["steps"] = []any{}
	if _, err := s.CreateOnce(t.Context(), member, "k", doc); !errors.Is(err, agent.ErrKeyReused) {
		t.Errorf("another body that is not valid: %v", err)
	}
	if err := s.Delete(t.Context(), member, a.ID, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateOnce(t.Context(), member, "k", read(t, "reference")); !errors.Is(err, agent.ErrKeyReused) || !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("a deleted agent: %v", err)
	}
}

func TestARefusedRequestLeavesItsKeyFree(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	doc := read(t, "reference")
	doc["steps"] = []any{}
	if _, err := s.CreateOnce(t.Context(), member, "k", doc); !errors.Is(err, definition.ErrConfig) {
		t.Fatal(err)
	}
	if _, err := s.CreateOnce(t.Context(), member, "k", read(t, "reference")); err != nil {
		t.Error(err)
	}
}

func TestAnActiveAgentThatNewerRulesRefuseCanBePaused(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	a, err := s.Create(t.Context(), member, read(t, "everything"))
	if err != nil {
		t.Fatal(err)
	}
	a.Status = agent.Active
	a.Definition.Steps[4].If.Field = "event_payload.priority" // older rules accepted it
	w.agents[a.ID] = a
	if got, err := s.Get(t.Context(), member, a.ID); err != nil || got.Status != agent.Active {
		t.Errorf("%+v, %v", got.Head, err)
	}
	if warnings := s.Rules.Warnings(a.Definition); len(warnings) == 0 || warnings[0].Path != "steps[4].if.field" {
		t.Errorf("warnings %v", warnings)
	}
	got, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: map[string]any{"status": "paused"}})
	if err != nil || got.Status != agent.Paused {
		t.Errorf("pausing: %+v, %v", got.Head, err)
	}
	if _, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: map[string]any{"status": "active"}}); !errors.Is(err, definition.ErrConfig) {
		t.Errorf("activating: %v", err)
	}
}

func TestTimeDoesNotMakeADefinitionInvalid(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	s.Rules.Now = func() time.Time { return w.clock }
	doc := read(t, "everything")
	doc["steps"] = object(t, `{"steps": [{"id": "rest", "type": "wait", "until": "2026-04-01T00:00:00Z"}]}`)["steps"]
	a, err := s.Create(t.Context(), member, doc)
	if err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.AddDate(2, 0, 0)
	got, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: map[string]any{"status": "active"}})
	if err != nil || got.Status != agent.Active {
		t.Errorf("%+v, %v", got.Head, faults(err))
	}
}

func TestANullFieldOfAnUpdateIsAbsent(t *testing.T) {
	t.Parallel()

	w := newFixture()
	s := w.service(t)
	a, err := s.Create(t.Context(), member, read(t, "everything"))
	if err != nil {
		t.Fatal(err)
	}
	same := map[string]any{"description": nil, "conditions": nil, "conflict_behavior": nil, "client_scope": nil, "status": nil}
	if got, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: same}); err != nil || got.Version != 1 || got.Revision != a.Revision {
		t.Errorf("%+v, %v", got.Head, err)
	}
	got, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: map[string]any{"execution_limit": nil}})
	if err != nil || got.Definition.Limit != nil || got.Version != 2 {
		t.Errorf("%+v, %v", got.Head, err)
	}
	for _, required := range []string{"name", "category", "trigger", "steps"} {
		_, err := s.Update(t.Context(), member, a.ID, agent.Patch{Fields: map[string]any{required: nil}})
		if got := faults(err); len(got) != 1 || got[0] != required+": is required" {
			t.Errorf("%s: %v", required, got)
		}
	}
}
