package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

// A shelf is a version store with one definition, or none.
type shelf struct{ steps []definition.Step }

func (s shelf) Version(context.Context, id.Org, id.Agent, int) (definition.Definition, error) {
	if s.steps == nil {
		return definition.Definition{}, agent.ErrNotFound
	}
	return definition.Definition{Steps: s.steps}, nil
}

// A stepFunctions knows executions by their ARNs.
type stepFunctions struct {
	known map[string]types.ExecutionStatus
	asked []string
}

func (s *stepFunctions) DescribeExecution(
	_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options),
) (*sfn.DescribeExecutionOutput, error) {
	s.asked = append(s.asked, *in.ExecutionArn)
	status, ok := s.known[*in.ExecutionArn]
	if !ok {
		return nil, &types.ExecutionDoesNotExist{}
	}
	return &sfn.DescribeExecutionOutput{Status: status, StartDate: aws.Time(start)}, nil
}

func (s *stepFunctions) GetExecutionHistory(
	_ context.Context, in *sfn.GetExecutionHistoryInput, _ ...func(*sfn.Options),
) (*sfn.GetExecutionHistoryOutput, error) {
	if !in.ReverseOrder {
		return nil, &types.InvalidArn{} // the report must ask for the newest events
	}
	return &sfn.GetExecutionHistoryOutput{Events: []types.HistoryEvent{
		{Type: types.HistoryEventTypeTaskStateEntered, Timestamp: aws.Time(start), StateEnteredEventDetails: &types.StateEnteredEventDetails{Name: aws.String("Ask")}},
	}}, nil
}

const (
	acme  id.Org       = "org_acme"
	ran   id.Execution = "exec_01KK9VH6M0AAAAAAAAAAAAAAAA"
	waits              = "arn:aws:states:eu-central-1:123456789012:stateMachine:one-agents-waits"
)

// stored writes a run with one finished AI step, one running AI step and one
// requested approval.
func stored(t *testing.T) *memory.Store {
	t.Helper()
	s := memory.New()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.SaveTenant(t.Context(), tenant.Tenant{Org: acme, Plan: credit.Growth, Created: start}, "2026-03"))
	x := execution.New(execution.Execution{
		ID: ran, Org: acme, Agent: "agent_1", Version: 2, Trigger: event.Event{
			ID: "evt_1", Type: "ticket.created", Product: "psa", Org: acme, Payload: map[string]any{"subject": "VPN \x1b[31m"}, Published: start,
		},
	}, start)
	must(s.Create(t.Context(), x))
	read := func() execution.Execution {
		x, _, err := s.Execution(t.Context(), acme, ran)
		must(err)
		return x
	}
	x, _ = read().Leased("arn:owner", 0, start)
	must(s.Commit(t.Context(), execution.Change{Execution: x}))
	held := credit.Hold{Month: "2026-03", Tier: credit.Standard, Amount: 20}
	c, _ := read().Reserved("second", held)
	must(s.Commit(t.Context(), c))
	q := approval.Approval{
		ID: approval.ID(start, ran, "gate"), Org: acme, Execution: ran, Agent: "agent_1", Step: "gate", Message: "Really?",
		Status: approval.Pending, Min: 2, Token: "secret-token", Created: start, Expires: start.Add(time.Hour),
		Votes:   []approval.Vote{{User: "user_ann", Approve: true, Note: "yes", At: start}},
		Actions: []approval.Action{{Step: "isolate", Product: "defend", Action: "isolate_device", Params: map[string]any{"device_id": "dev_1"}}},
	}
	x = read()
	for _, step := range []execution.StepRecord{
		{ID: "first", Kind: definition.AI, Status: execution.StepCompleted, Charge: &held, Tries: 1, Attempt: 1, Started: start, Ended: start.Add(time.Second)},
		{ID: "free", Kind: definition.AI, Status: execution.StepFailed, Attempt: 1, Started: start, Ended: start, Error: &execution.Failure{Code: "model_unavailable"}},
	} {
		must(s.SaveStep(t.Context(), x, step))
	}
	gate := execution.StepRecord{ID: "gate", Kind: definition.Gate, Status: execution.StepWaiting, Asked: start, Attempt: 1, Started: start}
	must(s.Commit(t.Context(), execution.Change{Execution: x, Step: &gate, Gate: &q}))
	return s
}

func readerOn(s *memory.Store, steps []definition.Step, known map[string]types.ExecutionStatus) (reader, *stepFunctions) {
	cloud := &stepFunctions{known: known}
	return reader{
		records: s, definitions: shelf{steps}, machines: cloud,
		at: target{runs: "arn:aws:states:eu-central-1:123456789012:stateMachine:one-agents-runs", waits: waits},
	}, cloud
}

func handedOver() map[string]types.ExecutionStatus {
	return map[string]types.ExecutionStatus{
		"arn:aws:states:eu-central-1:123456789012:execution:one-agents-waits:" + string(ran) + "-1": types.ExecutionStatusRunning,
	}
}

func TestAReportHasAllThatIsStoredAboutARun(t *testing.T) {
	t.Parallel()

	r, _ := readerOn(stored(t), []definition.Step{
		{ID: "first", Kind: definition.AI}, {ID: "free", Kind: definition.AI}, {ID: "second", Kind: definition.AI}, {ID: "gate", Kind: definition.Gate}, {ID: "isolate", Kind: definition.Action},
	}, handedOver())
	all, err := r.read(t.Context(), acme, ran)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, s := range all.Steps {
		steps = append(steps, string(s.ID)+":"+string(s.Status))
	}
	if diff := cmp.Diff([]string{"first:completed", "free:failed", "second:pending", "gate:waiting", "isolate:pending"}, steps); diff != "" {
		t.Errorf("steps (-want +got)\n%s", diff)
	}
	twenty := credit.Hold{Month: "2026-03", Tier: credit.Standard, Amount: 20}
	want := ledger{
		Held: []price{{twenty, "second"}}, Charged: []price{{twenty, "first"}}, Returned: []id.Step{"free"},
		Balances: []balance{{Month: "2026-03", Allocation: 100_000, Remaining: 99_980}},
	}
	all.Ledger.Balances[0].Updated = time.Time{}
	if diff := cmp.Diff(want, all.Ledger); diff != "" {
		t.Errorf("ledger (-want +got)\n%s", diff)
	}
	if q := all.Approvals; len(q) != 1 || q[0].Min != 2 || len(q[0].Votes) != 1 || q[0].Actions[0].Action != "isolate_device" || !q[0].Parked {
		t.Errorf("approvals %+v", q)
	}
	if all.Run.Owner != "arn:owner" || all.Run.Attempt != 1 || all.Run.Due.IsZero() || all.Run.Plan != credit.Growth || all.Activity.ID == "" {
		t.Errorf("record %+v, activity %+v", all.Run, all.Activity)
	}
	if w := all.Machines.Waits; len(w) != 1 || w[0].Status != "RUNNING" || w[0].Last[0].State != "Ask" {
		t.Errorf("machines %+v", all.Machines)
	}
}

func TestAReportHidesTheTaskTokenAndControlCharacters(t *testing.T) {
	t.Parallel()

	r, _ := readerOn(stored(t), nil, handedOver())
	all, err := r.read(t.Context(), acme, ran)
	if err != nil {
		t.Fatal(err)
	}
	text := all.text(start.Add(time.Minute))
	var out bytes.Buffer
	if err := (surroundings{out: &out}).document(all); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(out.Bytes()) || strings.Contains(text+out.String(), "secret-token") || strings.ContainsRune(text, '\x1b') {
		t.Errorf("printed %s\n%s", text, &out)
	}
	for _, want := range []string{
		"(35s ago)", "reserved   20 credits for second", "charged    20 credits for first", "released   free", "user_ann approved",
		"1 of 2 votes", "isolate_device", "99980 of 100000", "RUNNING", "Express machine and keeps no executions", "a machine has parked its token",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestARunWithoutItsDefinitionHasTheRecordedSteps(t *testing.T) {
	t.Parallel()

	r, _ := readerOn(stored(t), nil, nil)
	all, err := r.read(t.Context(), acme, ran)
	if err != nil || len(all.Steps) != 3 || len(all.Machines.Waits) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestARunOfAnotherOrganizationIsNotFound(t *testing.T) {
	t.Parallel()

	r, _ := readerOn(stored(t), nil, nil)
	if _, err := r.read(t.Context(), "org_other", ran); err == nil || !strings.Contains(err.Error(), "execution_not_found") && !strings.Contains(err.Error(), "No such execution") {
		t.Errorf("err = %v", err)
	}
}

func TestOnlyTheNewestLeasesAreLookedUp(t *testing.T) {
	t.Parallel()

	_, cloud := readerOn(nil, nil, nil)
	x := execution.Execution{ID: ran, Lease: execution.Lease{Attempt: 100}}
	m, err := machinesOf(t.Context(), cloud, target{waits: waits}, x)
	if err != nil || m.More != 80 || len(cloud.asked) != turns || !slices.Contains(cloud.asked, strings.Replace(waits, ":stateMachine:", ":execution:", 1)+":"+string(ran)+"-100") {
		t.Errorf("%+v, %v after %d calls", m, err, len(cloud.asked))
	}
}
