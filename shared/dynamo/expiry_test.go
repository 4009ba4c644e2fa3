package dynamo_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// expiries returns the attribute expires of each item of an organization, by the kind
// of its key; 0 for an item without.
func (s inspected) expiries(t *testing.T, o id.Org) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: &s.table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			var a struct {
				PK      string `dynamodbav:"pk"`
				SK      string `dynamodbav:"sk"`
				Expires int64  `dynamodbav:"expires"`
			}
			if err := attributevalue.UnmarshalMap(i, &a); err != nil {
				t.Fatal(err)
			}
			if rest, own := strings.CutPrefix(a.PK, "ORG#"+string(o)+"#"); own {
				kind, _, _ := strings.Cut(rest, "#")
				sk, _, _ := strings.Cut(a.SK, "#")
				all[kind+" "+sk] = a.Expires
			}
		}
	}
	return all
}

func TestTheItemsOfARunExpireTogetherAndNoneOfAnOpenRun(t *testing.T) {
	t.Parallel()

	db, name := connect(t, direct()), table(t)
	s := inspected{dynamo.New(db, name), db, name}
	const o = id.Org("org_expiry")
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC)
	run := func(exec id.Execution, patience time.Duration) execution.Execution {
		e := event.Event{ID: "evt_1", Type: "ticket.created", Product: "psa", Org: o, Published: start, Payload: map[string]any{"n": int64(1)}}
		return execution.New(execution.Execution{ID: exec, Org: o, Agent: "agent_1", Version: 1, Trigger: e}, start).Kept(patience, 30*24*time.Hour)
	}
	claim := func(x execution.Execution, at time.Time) {
		t.Helper()
		_, err := s.ClaimDedup(t.Context(), x, at, at.Add(dispatch.Window))
		ok(err)
	}
	commit := func(c execution.Change) execution.Execution {
		t.Helper()
		ok(s.Commit(t.Context(), c))
		c.Execution.Revision++
		return c.Execution
	}
	expect := func(when string, want map[string]int64) {
		t.Helper()
		got := s.expiries(t, o)
		for _, kind := range slices.Sorted(maps.Keys(got)) {
			if w, known := want[kind]; !known || got[kind] != w {
				t.Errorf("%s: %s expires at %d, want %d (%t)", when, kind, got[kind], w, known)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d kinds of items, want %d", when, len(got), len(want))
		}
	}

	x := run("exec_1", 10*24*time.Hour)
	until := x.KeptUntil.Unix()
	claim(x, start)
	ok(s.Create(t.Context(), x))
	x.Revision = 1
	x, _ = x.Leased("owner", 0, start)
	x = commit(execution.Change{Execution: x})
	ok(s.SaveStep(t.Context(), x, execution.StepRecord{ID: "a", Kind: definition.Action, Status: execution.StepCompleted, Attempt: 1}))
	gate := approval.Approval{
		ID: "appr_1", Org: o, Execution: x.ID, Agent: x.Agent, Step: "g", Status: approval.Pending, Created: start,
		Expires: start.Add(time.Hour), KeptUntil: x.KeptUntil,
	}
	x = commit(execution.Change{Execution: x.AwaitingApproval(gate.Expires), Gate: &gate})
	gate.Revision = 1
	expect("while it is open", map[string]int64{"SEEN SEEN": until, "EXEC META": 0, "EXEC STEP": until, "APPR APPROVAL": until})

	gate.Status, gate.DecidedAt = approval.Denied, start.Add(time.Minute)
	ok(s.SaveDecision(t.Context(), gate, start.Add(time.Hour)))
	ended, err := x.Cancel(execution.ApprovalDenied, "", start.Add(time.Minute))
	ok(err)
	x = commit(execution.Change{Execution: ended})
	expect("after its end", map[string]int64{"SEEN SEEN": until, "EXEC META": until, "EXEC STEP": until, "APPR APPROVAL": until})

	// A later run of the same content keeps the payload for the earlier one, and a
	// retry keeps it longer.
	claim(run("exec_2", 0), start.Add(time.Hour))
	expect("after another claim", map[string]int64{"SEEN SEEN": until, "EXEC META": until, "EXEC STEP": until, "APPR APPROVAL": until})
	again := run("exec_3", 20*24*time.Hour)
	again.RetryOf = x.ID
	ok(s.CreateRetry(t.Context(), again))
	if got := s.expiries(t, o)["SEEN SEEN"]; got != again.KeptUntil.Unix() {
		t.Errorf("the payload of a retry expires at %d, want %d", got, again.KeptUntil.Unix())
	}
	short := run("exec_4", 0)
	short.RetryOf = x.ID
	ok(s.CreateRetry(t.Context(), short))
	if got := s.expiries(t, o)["SEEN SEEN"]; got != again.KeptUntil.Unix() {
		t.Errorf("a short retry moved the expiry of the payload to %s", strconv.FormatInt(got, 10))
	}
	lost := run("exec_5", 0)
	lost.RetryOf, lost.Trigger.Payload = x.ID, map[string]any{"n": int64(2)}
	if err := s.CreateRetry(t.Context(), lost); err == nil {
		t.Error("a run is retried whose event has expired")
	}
}

// An ended run is read when DynamoDB has deleted its payload before its record.
func TestAnEndedRunIsReadWithoutItsPayload(t *testing.T) {
	t.Parallel()

	db, name := connect(t, direct()), table(t)
	s := dynamo.New(db, name)
	start := time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC)
	e := event.Event{ID: "evt_1", Type: "ticket.created", Product: "psa", Org: "org_1", Published: start}
	x := execution.New(execution.Execution{ID: "exec_1", Org: "org_1", Agent: "agent_1", Trigger: e}, start).Kept(0, 0)
	reads := map[string]func(ctx context.Context) error{
		"by its id": func(ctx context.Context) error {
			_, _, err := s.Execution(ctx, x.Org, x.ID)
			return err
		},
		"by the cursor of its machine": func(ctx context.Context) error {
			_, _, err := s.ExecutionAt(ctx, x.Cursor())
			return err
		},
	}
	if err := s.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	for how, read := range reads {
		if read(t.Context()) == nil {
			t.Errorf("an open run is read %s without its payload", how)
		}
	}
	x.Revision = 1
	if err := s.Commit(t.Context(), execution.Change{Execution: x.Complete(start)}); err != nil {
		t.Fatal(err)
	}
	for how, read := range reads {
		if err := read(t.Context()); err != nil {
			t.Errorf("an ended run, read %s: %v", how, err)
		}
	}
}
