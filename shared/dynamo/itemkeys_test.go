package dynamo

import (
	"errors"
	"testing"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

func TestAKeyPartWithASeparatorNeverReachesTheTable(t *testing.T) {
	t.Parallel()

	s := New(nil, "table") // any call would panic
	for _, bad := range []string{"", "a#b", "#", "a\n", "\x00", "a\x7f"} {
		_, agentErr := s.Agent(t.Context(), "org_1", id.Agent(bad))
		_, orgErr := s.Tenant(t.Context(), id.Org(bad))
		_, listErr := s.Agents(t.Context(), id.Org(bad))
		_, _, eventErr := s.Listeners(t.Context(), "org_1", bad)
		_, pageErr := s.Executions(t.Context(), id.Org(bad), execution.Query{Limit: 1})
		_, countErr := s.size(t.Context(), runsQuery(id.Org(bad), execution.Query{}), 1)
		_, statusErr := s.Executions(t.Context(), id.Org(bad), execution.Query{Limit: 1, Status: execution.Failed})
		_, bothErr := s.Executions(t.Context(), "org_1", execution.Query{Limit: 1, Status: execution.Failed, Agent: id.Agent(bad + "#")})
		createErr := s.Create(t.Context(), execution.Execution{ID: "exec_1", Org: "org_1", Agent: id.Agent(bad)})
		pauseErr := s.SavePause(t.Context(), "org_1", id.Agent(bad), "psa:ticket.created", agent.Pause{})
		stepErr := s.SaveStep(t.Context(), "org_1", "exec_1", execution.StepRecord{ID: id.Step(bad)})
		for i, err := range []error{agentErr, orgErr, listErr, eventErr, pageErr, countErr, statusErr, bothErr, createErr, pauseErr, stepErr} {
			if !errors.Is(err, errKey) {
				t.Errorf("call %d with %q: err = %v, want errKey", i, bad, err)
			}
		}
	}
}

func TestAPartitionNamesItsRun(t *testing.T) {
	t.Parallel()

	pk, err := runPartition("org_1", "exec_1")
	if err != nil {
		t.Fatal(err)
	}
	if o, x, ok := runOf(pk); !ok || o != "org_1" || x != "exec_1" {
		t.Errorf("runOf(%q) = %q, %q, %t", pk, o, x, ok)
	}
	for _, pk := range []string{"", "ORG#org_1", "ORG#org_1#APPR#appr_1", "KEY#a#EXEC#b"} {
		if _, _, ok := runOf(pk); ok {
			t.Errorf("%q is accepted as the partition of a run", pk)
		}
	}
}
