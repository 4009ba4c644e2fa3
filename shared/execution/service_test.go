package execution_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/tenant"
)

// A fixture is a store with all dependencies of the service, for one
// organization.
type fixture struct {
	earlier   []approval.Approval // of other runs
	gateReads int
	runs      []execution.Execution
	acts      []audit.Entry
	steps     execution.Steps
	gate      approval.Approval
	tenant    tenant.Tenant
	balance   credit.Balance
	gone      bool // the agent is deleted, its versions are kept

	slept    []time.Duration
	races    int // number of commits that lose their race
	meddle   func(*fixture)
	commits  []execution.Change
	asked    execution.Query // the last
	started  []machine.Cursor
	rings    []string
	reported []error
	broken   error // error of machine and doorbell

	counted  []string       // runs that were counted, with their plan
	full     *quota.Reached // the quota that refuses runs, if any
	rootFull *quota.Reached // of the root event
	below    []string       // runs counted below their root
}

func (w *fixture) Execution(_ context.Context, org id.Org, exec id.Execution) (execution.Execution, execution.Steps, error) {
	for _, x := range w.runs {
		if x.Org == org && x.ID == exec {
			return x, w.steps, nil
		}
	}
	return execution.Execution{}, nil, execution.ErrNotFound
}

// Executions returns pages of two runs.
func (w *fixture) Executions(_ context.Context, org id.Org, q execution.Query) (execution.Page, error) {
	w.asked = q
	var mine []execution.Execution
	for _, x := range w.runs {
		if x.Org == org && (q.Agent == "" || q.Agent == x.Agent) && (q.Status == "" || q.Status == x.Status) {
			mine = append(mine, x)
		}
	}
	from := 0
	if q.After != "" {
		from = slices.IndexFunc(mine, func(x execution.Execution) bool { return string(x.ID) == q.After })
	}
	page := execution.Page{Executions: mine[from:min(from+2, len(mine))]}
	if from+2 < len(mine) {
		page.Next = string(mine[from+2].ID)
	}
	return page, nil
}

func (w *fixture) CreateRetry(ctx context.Context, x execution.Execution, acts ...audit.Entry) error {
	err := w.Create(ctx, x)
	if err == nil {
		w.acts = append(w.acts, acts...)
	}
	return err
}

func (w *fixture) Create(_ context.Context, x execution.Execution) error {
	if slices.ContainsFunc(w.runs, func(old execution.Execution) bool { return old.ID == x.ID }) {
		return execution.ErrExists
	}
	w.runs = append(w.runs, x)
	return nil
}

func (w *fixture) Commit(_ context.Context, c execution.Change) error {
	if w.meddle != nil {
		w.meddle(w)
		w.meddle = nil
	}
	i := slices.IndexFunc(w.runs, func(x execution.Execution) bool { return x.ID == c.Execution.ID })
	if w.races > 0 || w.runs[i].Revision != c.Execution.Revision {
		w.races--
		return execution.ErrStale
	}
	w.commits = append(w.commits, c)
	w.runs[i] = c.Execution
	w.runs[i].Revision++
	return nil
}

func (w *fixture) Version(_ context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error) {
	if org != "org_a" || a != "agent_1" || version != 3 && version != 4 {
		return definition.Definition{}, agent.ErrNotFound
	}
	return nested(), nil
}

func (w *fixture) Current(context.Context, id.Org, tenant.Settings, id.Agent) (definition.Definition, int, error) {
	if w.gone {
		return definition.Definition{}, 0, agent.ErrNotFound
	}
	return definition.Definition{Steps: []definition.Step{step("new")}}, 4, nil
}

func (w *fixture) Tenant(context.Context, id.Org) (tenant.Tenant, error) { return w.tenant, nil }

func (w *fixture) Balance(_ context.Context, _ id.Org, m credit.Month) (credit.Balance, error) {
	if m != "2026-03" {
		return credit.Balance{}, fmt.Errorf("asked for %s", m)
	}
	return w.balance, nil
}

func (w *fixture) Approval(_ context.Context, _ id.Org, appr id.Approval) (approval.Approval, error) {
	w.gateReads++
	for _, a := range append([]approval.Approval{w.gate}, w.earlier...) {
		if a.ID == appr {
			return a, nil
		}
	}
	return approval.Approval{}, approval.ErrNotFound
}

func (w *fixture) Start(_ context.Context, c machine.Cursor) error {
	w.started = append(w.started, c)
	return w.broken
}

func (w *fixture) Restart(ctx context.Context, c machine.Cursor, _ time.Time) error {
	return w.Start(ctx, c)
}

func (w *fixture) AdmitRuns(
	_ context.Context, _ id.Org, plan credit.Plan, runs []id.Execution, _ time.Time,
) ([]id.Execution, *quota.Reached, error) {
	if w.full != nil {
		return nil, w.full, nil
	}
	w.counted = append(w.counted, string(plan)+" "+string(runs[0]))
	return runs, nil, nil
}

func (w *fixture) AdmitBelow(
	_ context.Context, _ id.Org, _ credit.Plan, root quota.Root, runs []id.Execution, _ time.Time,
) ([]id.Execution, *quota.Reached, error) {
	if w.rootFull != nil {
		return nil, w.rootFull, nil
	}
	w.below = append(w.below, fmt.Sprintf("%s below %s with %d", runs[0], root.Event, root.Runs))
	return runs, nil, nil
}

func (w *fixture) Ring(_ context.Context, token string) error {
	w.rings = append(w.rings, token)
	return w.broken
}

func (w *fixture) service() *execution.Service {
	return &execution.Service{
		Store: w, Definitions: w, Tenants: w, Balances: w, Gates: w, Quotas: w, Machine: w, Doorbell: w,
		Now: func() time.Time { return at(60) },
		Sleep: func(_ context.Context, d time.Duration) error {
			w.slept = append(w.slept, d)
			return nil
		},
		Report: func(_ context.Context, err error) { w.reported = append(w.reported, err) },
	}
}

var who = caller.Caller{Org: "org_a", User: "user_1", Roles: []caller.Role{caller.Member}}

// with returns a world that has these runs.
func with(runs ...execution.Execution) *fixture {
	for i := range runs {
		runs[i].Revision = 1
	}
	return &fixture{
		runs: runs, tenant: tenant.Tenant{Org: "org_a", Plan: credit.Growth, Revision: 1},
		balance: credit.Balance{Month: "2026-03", Allocation: 100, Remaining: 100},
	}
}

// asking returns a run that waits for approval at its first step, with its
// records.
func asking(t *testing.T) *fixture {
	t.Helper()
	w := with(leased(t, begun(), "one", 1).AwaitingApproval(at(7200)))
	w.steps = execution.Steps{"a": {ID: "a", Kind: definition.Gate, Status: execution.StepWaiting, Asked: at(2)}}
	w.gate = approval.Approval{
		ID: approval.ID(at(2), "exec_1", "a"), Org: "org_a", Execution: "exec_1", Status: approval.Pending,
		Token: "token", Expires: at(7200), Min: 1, Revision: 5,
	}
	return w
}

func TestARunIsShownWithItsTrace(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1))
	w.steps = execution.Steps{"a": answered("a", hold(credit.Standard))}
	x, tr, err := w.service().Get(t.Context(), who, "exec_1")
	if err != nil || shown(tr) != "a=completed b=pending d=pending" {
		t.Errorf("Get = %s, %v", shown(tr), err)
	}
	// Credits of an answer are shown before they are settled.
	if x.Credits != 20 {
		t.Errorf("%d credits, want 20", x.Credits)
	}
	stranger := who
	stranger.Org = "org_b"
	if _, _, err := w.service().Get(t.Context(), stranger, "exec_1"); !errors.Is(err, execution.ErrNotFound) {
		t.Errorf("a stranger gets %v", err)
	}
	if p, err := w.service().List(t.Context(), who, execution.Query{}); err != nil || len(p.Executions) != 1 {
		t.Errorf("List = %+v, %v", p, err)
	}
	if !w.asked.Now.Equal(at(60)) {
		t.Errorf("the list is of %v, want the time of the service", w.asked.Now)
	}
}

func TestAMissingDefinitionIsAnInternalError(t *testing.T) {
	t.Parallel()

	x := begun()
	x.Version = 99
	_, _, err := with(x).service().Get(t.Context(), who, "exec_1")
	if f := fault.From(err); f.Class != fault.Internal {
		t.Errorf("err = %v, want an internal one", err)
	}
}

func TestACancelledRunHasEnded(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1))
	if err := w.service().Cancel(t.Context(), who, "exec_1"); err != nil {
		t.Fatal(err)
	}
	x := w.runs[0]
	if x.Status != execution.Cancelled || x.Reason != execution.CancelledByUser || !x.Completed.Equal(at(60)) {
		t.Errorf("%+v", x)
	}
	if c := w.commits[0]; c.StatsDelta == nil || c.StatsDelta.Runs != 1 || c.StatsDelta.Completed+c.StatsDelta.Failed != 0 || c.Gate != nil || len(w.rings) != 0 {
		t.Errorf("%+v; rings %v", c, w.rings)
	}
	if err := w.service().Cancel(t.Context(), who, "exec_1"); !errors.Is(err, execution.ErrState) {
		t.Errorf("the second time: %v, want ErrState", err)
	}
}

// A worker that has just looked at the run may begin a step for a moment.
func TestACancellationIsAnsweredWhenNoStepBeginsAnyMore(t *testing.T) {
	t.Parallel()

	held := func() execution.Execution { return leased(t, begun(), "one", 50) } // until 75
	for name, tc := range map[string]struct {
		x      execution.Execution
		answer func(s *execution.Service) error
		waits  bool
	}{
		"a worker is at it":             {held(), nil, true},
		"its first worker may be at it": {begun().FirstLeased("first", at(55)), nil, true},
		"its lease is over":             {leased(t, begun(), "one", 10), nil, false},
		"no worker has come":            {begun(), nil, false},
		"it waits":                      {held().Parked(at(100)), nil, false},
		"a worker, and the agent is deleted": {held(), func(s *execution.Service) error {
			return s.CancelAll(t.Context(), who.Org, "agent_1", "user_1")
		}, true},
		"no worker, and the agent is deleted": {begun(), func(s *execution.Service) error {
			return s.CancelAll(t.Context(), who.Org, "agent_1", "user_1")
		}, false},
	} {
		w := with(tc.x)
		answer := tc.answer
		if answer == nil {
			answer = func(s *execution.Service) error { return s.Cancel(t.Context(), who, "exec_1") }
		}
		if err := answer(w.service()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if w.runs[0].Status != execution.Cancelled {
			t.Errorf("%s: the run is %s", name, w.runs[0].Status)
		}
		var want []time.Duration
		if tc.waits {
			want = []time.Duration{execution.SettleTime}
		}
		if !slices.Equal(w.slept, want) {
			t.Errorf("%s: the answer waits %v, want %v", name, w.slept, want)
		}
	}
	if execution.SettleTime <= execution.LookTime {
		t.Errorf("an answer comes after %v, while a worker may look again after %v", execution.SettleTime, execution.LookTime)
	}
}

func TestCancellingKeepsHoldsOnlyUnderALiveLease(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		seconds int // when the lease was taken; it is cancelled at 60
		held    int
	}{
		"a worker is at it": {50, 1},
		"its lease is over": {10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, _ := leased(t, begun(), "one", tc.seconds).Reserved("a", hold(credit.Standard))
			w := with(c.Execution)
			if err := w.service().Cancel(t.Context(), who, "exec_1"); err != nil {
				t.Fatal(err)
			}
			if got := len(w.runs[0].Holds); got != tc.held || len(w.commits[0].Released) != 1-tc.held {
				t.Errorf("%d held, %v released", got, w.commits[0].Released)
			}
		})
	}
}

func TestCancellingDeniesTheGateAndWakesTheMachine(t *testing.T) {
	t.Parallel()

	w := asking(t)
	if err := w.service().Cancel(t.Context(), who, "exec_1"); err != nil {
		t.Fatal(err)
	}
	g := w.commits[0].Gate
	if g == nil || g.Status != approval.Denied || g.Revision != 5 || g.DecidedBy != "" {
		t.Errorf("the gate is %+v", g)
	}
	if diff := cmp.Diff([]string{"token"}, w.rings); diff != "" {
		t.Error(diff)
	}
}

func TestARunOfADeletedOrganizationEndsWithItsGateAndTellsNobody(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		cancel func(w *fixture) error
		owes   bool
	}{
		"by a person":      {func(w *fixture) error { return w.service().Cancel(t.Context(), who, "exec_1") }, true},
		"for the deletion": {func(w *fixture) error { return w.service().CancelDeleted(t.Context(), who.Org, "exec_1") }, false},
	} {
		w := asking(t)
		gate := w.steps["a"]
		gate.Output = map[string]any{"notified": map[string]any{"asked": []any{map[string]any{
			"channel": "slack", "recipients": []any{map[string]any{"recipient": "https://slack.example/x", "status": "sent"}},
		}}}}
		w.steps["a"] = gate
		if err := tc.cancel(w); err != nil {
			t.Fatal(err)
		}
		x := w.commits[0].Execution
		if x.Status != execution.Cancelled || x.Due.IsZero() == tc.owes {
			t.Errorf("%s: %s, %s, due %v, owes outcomes: want %t", name, x.Status, x.Reason, x.Due, tc.owes)
		}
		if len(w.rings) != 1 || w.commits[0].Gate == nil {
			t.Errorf("%s: the machine was not woken", name)
		}
	}
}

func TestACancellationStandsWhenTheMachineCannotBeWoken(t *testing.T) {
	t.Parallel()

	w := asking(t)
	w.broken = errors.New("no answer")
	if err := w.service().Cancel(t.Context(), who, "exec_1"); err != nil {
		t.Fatal(err)
	}
	if w.runs[0].Status != execution.Cancelled || len(w.reported) != 1 || !errors.Is(w.reported[0], w.broken) {
		t.Errorf("%s; reported %v", w.runs[0].Status, w.reported)
	}
}

func TestCancellingKeepsAVerdictThatWasJustGiven(t *testing.T) {
	t.Parallel()

	w := asking(t)
	w.gate.Status = approval.Approved
	if err := w.service().Cancel(t.Context(), who, "exec_1"); err != nil {
		t.Fatal(err)
	}
	if w.commits[0].Gate != nil || len(w.rings) != 0 || w.runs[0].Status != execution.Cancelled {
		t.Errorf("gate %+v, rings %v, run %s", w.commits[0].Gate, w.rings, w.runs[0].Status)
	}
}

func TestACancellationThatLosesARaceIsTriedAgain(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1))
	w.races = 5
	if err := w.service().Cancel(t.Context(), who, "exec_1"); err != nil || w.runs[0].Status != execution.Cancelled {
		t.Errorf("%v; %s", err, w.runs[0].Status)
	}
	w = with(leased(t, begun(), "one", 1))
	w.races = 1000
	if err := w.service().Cancel(t.Context(), who, "exec_1"); !errors.Is(err, execution.ErrStale) || w.races < 900 {
		t.Errorf("%v with %d races to go; want a conflict, soon", err, w.races)
	}
	// The run ends between the read and the write.
	w = with(leased(t, begun(), "one", 1))
	w.meddle = func(w *fixture) { w.runs[0] = w.runs[0].Complete(at(59)); w.runs[0].Revision++ }
	if err := w.service().Cancel(t.Context(), who, "exec_1"); !errors.Is(err, execution.ErrState) || w.runs[0].Status != execution.Completed {
		t.Errorf("%v; %s", err, w.runs[0].Status)
	}
}

func TestDeletingAnAgentEndsItsOpenRunsAndNoOthers(t *testing.T) {
	t.Parallel()

	var runs []execution.Execution
	for i := range 7 {
		x := begun()
		x.ID = id.Execution(fmt.Sprintf("exec_%d", i))
		switch i {
		case 2:
			x = x.Complete(at(5))
		case 3:
			x.Agent = "agent_2"
		case 4:
			x = leased(t, x, "one", 50)
		case 5:
			x.Org = "org_b"
		}
		runs = append(runs, x)
	}
	w := with(runs...)
	if err := w.service().CancelAll(t.Context(), "org_a", "agent_1", "user_ada"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range w.runs {
		if by := x.CancelledBy; (by == "user_ada") != (x.Status == execution.Cancelled) {
			t.Errorf("%s is %s, cancelled by %q", x.ID, x.Status, by)
		}
		got = append(got, fmt.Sprintf("%s %s", x.Status, x.Reason))
	}
	want := []string{
		"cancelled agent_deleted", "cancelled agent_deleted", "completed ", "pending ", "cancelled agent_deleted", "pending ", "cancelled agent_deleted",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// A run that ends meanwhile causes no error.
	w = with(begun())
	w.meddle = func(w *fixture) { w.runs[0] = w.runs[0].Complete(at(59)); w.runs[0].Revision++ }
	if err := w.service().CancelAll(t.Context(), "org_a", "agent_1", "user_ada"); err != nil {
		t.Error(err)
	}
}

func TestARetryIsANewRunOfTheCurrentDefinition(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{Code: "product_error"}, at(5)))
	x, tr, err := w.service().Retry(t.Context(), who, "exec_1")
	if err != nil {
		t.Fatal(err)
	}
	name := w.runs[0].RetryID(1)
	if x.ID != name || x.RetryOf != "exec_1" || x.Version != 4 || x.Status != execution.Pending || shown(tr) != "new=pending" {
		t.Errorf("%+v with %s", x, shown(tr))
	}
	if len(w.runs) != 2 || w.runs[0].Status != execution.Failed {
		t.Errorf("stored %+v", w.runs)
	}
	if diff := cmp.Diff([]machine.Cursor{{Org: "org_a", Execution: name, Digest: w.runs[0].Digest()}}, w.started); diff != "" {
		t.Error(diff)
	}
}

func TestARetryRecordsItsStarter(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		who  caller.Caller
		want execution.Starter
	}{
		"a person": {who, execution.Starter{Type: execution.ByUser, ID: "user_1"}},
		"a key": {
			caller.Caller{Org: "org_a", Key: "key_7", Access: caller.ReadWrite}, execution.Starter{Type: execution.ByKey, ID: "key_7"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{Code: "product_error"}, at(5)))
			if _, _, err := w.service().Retry(t.Context(), tc.who, "exec_1"); err != nil {
				t.Fatal(err)
			}
			if got, want := w.runs[0].StartedBy(), (execution.Starter{Type: execution.ByEvent, ID: "evt_1"}); got != want {
				t.Errorf("the first run was started by %+v, want %+v", got, want)
			}
			if got := w.runs[1].StartedBy(); got != tc.want {
				t.Errorf("the retry was started by %+v, want %+v", got, tc.want)
			}
		})
	}
	old := execution.Execution{RetryOf: "exec_0", Trigger: trigger()}
	if got := old.StartedBy(); got != (execution.Starter{}) {
		t.Errorf("a retry that does not say was started by %+v", got)
	}
}

func TestAFailedStepThatContinuesIsAWarningAndKeepsItsError(t *testing.T) {
	t.Parallel()

	broken := execution.StepRecord{ID: "a", Kind: definition.Notification, Status: execution.StepFailed, Error: &execution.Failure{Code: "notification_failed", Step: "a"}}
	last := execution.StepRecord{ID: "b", Status: execution.StepFailed, Error: &execution.Failure{Code: "product_error", Step: "b"}}
	x := leased(t, begun(), "one", 1)
	complete := func(x execution.Execution) execution.Execution { return x.Complete(at(9)) }
	fail := func(x execution.Execution) execution.Execution { return x.Fail(*last.Error, at(9)) }
	cancel := func(x execution.Execution) execution.Execution {
		x, _ = x.Cancel(execution.CancelledByUser, "user_1", at(9))
		return x
	}
	for name, tc := range map[string]struct {
		end  execution.Ending
		done execution.Steps
		want int
	}{
		"no failed step":                       {complete, execution.Steps{"a": {ID: "a", Status: execution.StepCompleted}}, 0},
		"completed after a failed step":        {complete, execution.Steps{"a": broken}, 1},
		"completed after two":                  {complete, execution.Steps{"a": broken, "b": last}, 2},
		"failed, but not at the step before":   {fail, execution.Steps{"a": broken, "b": last}, 1},
		"failed at its first step":             {fail, execution.Steps{"b": last}, 0},
		"cancelled after a failed step":        {cancel, execution.Steps{"a": broken}, 1},
		"cancelled before anything has failed": {cancel, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := x.End(tc.end, tc.done, false)
			if c.Execution.Warnings != tc.want {
				t.Errorf("%d warnings, want %d", c.Execution.Warnings, tc.want)
			}
			w := with(c.Execution)
			w.steps = tc.done
			w.runs[0].Warnings = 0 // like a run that ended before warnings were counted
			got, tr, err := w.service().Get(t.Context(), who, "exec_1")
			if err != nil || got.Warnings != tc.want {
				t.Errorf("an old record: %d warnings, %v; want %d", got.Warnings, err, tc.want)
			}
			if s, failed := tc.done["a"]; failed && tr[0].Error != s.Error {
				t.Errorf("the trace has the error %v, want %v", tr[0].Error, s.Error)
			}
		})
	}
}

// A person who asks twice, or a client that repeats a request after a lost
// answer, does not repeat the work.
func TestARetryIsStartedOnceWhileItIsOpen(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{Code: "product_error"}, at(5)))
	retry := func() execution.Execution {
		t.Helper()
		x, _, err := w.service().Retry(t.Context(), who, "exec_1")
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	first, again := retry(), retry()
	if again.ID != first.ID || len(w.runs) != 2 || len(w.started) != 1 {
		t.Errorf("the second is %s, not %s; %d runs, %d started", again.ID, first.ID, len(w.runs), len(w.started))
	}
	w.runs[1] = leased(t, w.runs[1], "one", 6).Fail(execution.Failure{Code: "product_error"}, at(7))
	if next := retry(); next.ID == first.ID || next.RetryOf != "exec_1" || len(w.runs) != 3 {
		t.Errorf("when it had failed, the next is %+v", next)
	}
}

func TestARunNamesItsNewestRetry(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{Code: "product_error"}, at(5)))
	next := func(of id.Execution, n int) id.Execution {
		t.Helper()
		x, _, err := w.service().Retry(t.Context(), who, of)
		if err != nil {
			t.Fatal(err)
		}
		w.runs[n] = leased(t, w.runs[n], "one", 6).Fail(execution.Failure{Code: "product_error"}, at(7))
		return x.ID
	}
	named := func(n int, want id.Execution) {
		t.Helper()
		if got, err := w.service().RetriedAs(t.Context(), w.runs[n]); got != want || err != nil {
			t.Errorf("%s was retried as %q, %v; want %q", w.runs[n].ID, got, err, want)
		}
	}
	named(0, "")
	first := next("exec_1", 1)
	named(0, first)
	named(1, "")
	second := next("exec_1", 2)
	named(0, second)
	third := next(first, 3)
	named(0, second)
	named(1, third)
	w.runs[0].Status = execution.Completed
	named(0, "")
}

func TestARetryIsRecordedEvenIfItsMachineCannotBeStarted(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{}, at(5)))
	w.broken = errors.New("no answer")
	if _, _, err := w.service().Retry(t.Context(), who, "exec_1"); err != nil || len(w.runs) != 2 || len(w.reported) != 1 {
		t.Errorf("%v; %d runs; reported %v", err, len(w.runs), w.reported)
	}
}

func TestARetryIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()

	failed := leased(t, begun(), "one", 1).Fail(execution.Failure{}, at(5))
	stranger := who
	stranger.Org = "org_b"
	for name, tc := range map[string]struct {
		run  execution.Execution
		who  caller.Caller
		with func(*fixture)
		want error
	}{
		"a run that is open":                {begun(), who, func(*fixture) {}, execution.ErrState},
		"a run that was completed":          {leased(t, begun(), "one", 1).Complete(at(2)), who, func(*fixture) {}, execution.ErrState},
		"a run of another organization":     {failed, stranger, func(*fixture) {}, execution.ErrNotFound},
		"a run of an agent that is gone":    {failed, who, func(w *fixture) { w.gone = true }, agent.ErrNotFound},
		"a run of a suspended organization": {failed, who, func(w *fixture) { w.tenant.Suspended = true }, tenant.ErrSuspended},
		"a run when no credit is left":      {failed, who, func(w *fixture) { w.balance.Remaining = 0 }, credit.ErrInsufficient},
		"a run when the plan is overspent":  {failed, who, func(w *fixture) { w.balance.Remaining = -500 }, credit.ErrInsufficient},
		// The status is checked first: a run that can never be retried gets
		// that error.
		"an open run of an agent that is gone": {begun(), who, func(w *fixture) { w.gone = true }, execution.ErrState},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := with(tc.run)
			tc.with(w)
			_, _, err := w.service().Retry(t.Context(), tc.who, "exec_1")
			if !errors.Is(err, tc.want) || len(w.runs) != 1 || len(w.started) != 0 {
				t.Errorf("%v; %d runs, started %v; want %v", err, len(w.runs), w.started, tc.want)
			}
			if f := fault.From(err); errors.Is(tc.want, execution.ErrState) && !strings.Contains(f.Message, string(tc.run.Status)) {
				t.Errorf("it does not say what it is: %q", f.Message)
			}
		})
	}
}

func TestARetryCountsOnceAgainstTheQuotas(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{}, at(5)))
	name := w.runs[0].RetryID(1)
	for range 2 {
		if _, _, err := w.service().Retry(t.Context(), who, "exec_1"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"growth " + string(name)}; !slices.Equal(w.counted, want) {
		t.Errorf("counted %v, want %v", w.counted, want)
	}
	w = with(leased(t, begun(), "one", 1).Fail(execution.Failure{}, at(5)))
	w.full = &quota.Reached{Name: quota.RunsPerMinute, Used: 300, Limit: 300}
	_, _, err := w.service().Retry(t.Context(), who, "exec_1")
	if full, ok := errors.AsType[*quota.Reached](err); !ok || full != w.full || len(w.runs) != 1 || len(w.started) != 0 {
		t.Errorf("%v; %d runs, started %v", err, len(w.runs), w.started)
	}
}

// A retry is one more run of the tree below the root event.
func TestARetryCountsBelowTheRootOfItsRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*execution.Execution)
		want   string
	}{
		"of a root event":                 {func(*execution.Execution) {}, "evt_1 with 1"},
		"of a root event of three agents": {func(x *execution.Execution) { x.RootRuns = 3 }, "evt_1 with 3"},
		"of an event that an agent caused": {func(x *execution.Execution) {
			x.Trigger, x.RootRuns = x.Trigger.CausedBy("exec_0", "evt_root", 2), 4
		}, "evt_root with 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := begun()
			tc.change(&x)
			w := with(leased(t, x, "one", 1).Fail(execution.Failure{}, at(5)))
			want := string(w.runs[0].RetryID(1)) + " below " + strings.Replace(tc.want, "evt_1", string(w.runs[0].Trigger.ID), 1)
			again, _, err := w.service().Retry(t.Context(), who, "exec_1")
			if err != nil || !slices.Equal(w.below, []string{want}) || again.Root() != w.runs[0].Root() {
				t.Errorf("%v; counted %q, want %q; the root is %+v", err, w.below, want, again.Root())
			}
			w = with(leased(t, x, "one", 1).Fail(execution.Failure{}, at(5)))
			w.rootFull = quota.RootFull(50, 50)
			_, _, err = w.service().Retry(t.Context(), who, "exec_1")
			if full, ok := errors.AsType[*quota.Reached](err); !ok || full != w.rootFull || len(w.runs) != 1 || len(w.counted) != 0 {
				t.Errorf("%v; %d runs, counted %v", err, len(w.runs), w.counted)
			}
		})
	}
}

// The retries of a run are counted with those of its retries, so that no chain of
// retries goes around the limit.
func TestARunIsRetriedFiveTimesAnHour(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{}, at(5)))
	now := at(60)
	s := w.service()
	s.Now = func() time.Time { return now }
	retry := func(exec id.Execution) (execution.Execution, error) {
		t.Helper()
		now = now.Add(time.Minute)
		x, _, err := s.Retry(t.Context(), who, exec)
		if err == nil {
			last := len(w.runs) - 1
			w.runs[last] = leased(t, w.runs[last], "one", 6).Fail(execution.Failure{}, now)
		}
		return x, err
	}
	last := id.Execution("exec_1")
	for n := range 5 {
		exec := last
		if n%2 == 0 {
			exec = "exec_1"
		}
		x, err := retry(exec)
		if err != nil || x.RetryOf != exec {
			t.Fatalf("retry %d of %s: %v, %v", n, exec, x.RetryOf, err)
		}
		last = x.ID
	}
	for _, exec := range []id.Execution{"exec_1", last, w.runs[2].ID} {
		_, err := retry(exec)
		want := "exec_1 and its retries were retried 5 times in the last hour, and 5 is the most; the next retry may start at " +
			w.runs[1].Created.Add(time.Hour).UTC().Format(time.RFC3339) + "."
		if f := fault.From(err); !errors.Is(err, execution.ErrRetries) || f.Class != fault.Conflict || f.Message != want {
			t.Errorf("retry of %s: %v, want %q", exec, err, want)
		}
	}
	if len(w.runs) != 6 || len(w.counted) != 5 {
		t.Errorf("%d runs, counted %v", len(w.runs), w.counted)
	}
	now = w.runs[1].Created.Add(time.Hour - time.Minute)
	if _, err := retry(last); err != nil {
		t.Errorf("an hour after the first: %v", err)
	}
}

func TestOneCreditIsEnoughToStart(t *testing.T) {
	t.Parallel()

	w := with(leased(t, begun(), "one", 1).Fail(execution.Failure{}, at(5)))
	w.balance.Remaining = 1
	if _, _, err := w.service().Retry(t.Context(), who, "exec_1"); err != nil {
		t.Error(err)
	}
}
