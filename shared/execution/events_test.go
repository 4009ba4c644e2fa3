package execution_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
)

func TestTheEventOfAFailedRunHoldsOnlyIDsAndAFixedSentence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC)
	x := execution.New(execution.Execution{ID: "exec_1", Org: "org_acme", Agent: "agent_a", Trigger: event.Event{
		ID: "evt_1", Org: "org_acme", Client: "cli_1", Payload: map[string]any{"subject": "SECRET of the event"},
		Metadata: &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_0", Depth: 2}},
	}}, now)
	x = x.Fail(execution.Failure{Code: "product_error", Message: "The product said SECRET.", Step: "act"}, now)
	e := x.FailedEvent("My agent")
	want := map[string]any{
		"agent_id": "agent_a", "agent_name": "My agent", "execution_id": "exec_1", "step_id": "act", "code": "product_error",
		"message": "A product refused an action or could not do it.", "client_id": "cli_1", "event_id": "evt_1",
	}
	if diff := cmp.Diff(want, e.Payload); diff != "" {
		t.Errorf("payload (-want +got)\n%s", diff)
	}
	if e.Depth() != 3 || e.Metadata.Causation.Execution != "exec_1" || e.Client != "cli_1" {
		t.Errorf("%+v", e.Metadata)
	}
	if again := x.FailedEvent("Renamed"); again.ID != e.ID {
		t.Errorf("the ids of one failure are %s and %s", e.ID, again.ID)
	}
	if retried := execution.New(execution.Execution{ID: "exec_2", Org: x.Org, Agent: x.Agent, Trigger: x.Trigger}, now).
		Fail(*x.Error, now).FailedEvent("My agent"); retried.ID == e.ID {
		t.Error("the failure of the retry has the same id")
	}
}

// The codes that filters may use are the codes that have a sentence.
func TestEachCodeOfTheCatalogueHasASentence(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	typ, _ := c.Event("agents:execution.failed")
	field, _ := typ.Field("code")
	if diff := cmp.Diff(slices.Sorted(slices.Values(field.EnumValues)), slices.Sorted(maps.Keys(execution.Sentences()))); diff != "" {
		t.Errorf("codes (-catalogue +sentences)\n%s", diff)
	}
	for code := range execution.Sentences() {
		if s := (execution.Failure{Code: code, Message: "SECRET"}).Sentence(); !strings.HasSuffix(s, ".") || strings.Contains(s, "SECRET") {
			t.Errorf("%s: %q", code, s)
		}
	}
	if s := (execution.Failure{Code: "new", Message: "SECRET"}).Sentence(); s == "" || strings.Contains(s, "SECRET") {
		t.Errorf("of an unknown code: %q", s)
	}
}
