package execution_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

var start = time.Date(2026, 3, 9, 14, 23, 1, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func trigger() event.Event {
	return event.Event{ID: "evt_1", Type: "ticket.created", Product: "psa", Org: "org_a", Payload: map[string]any{}, Published: start}
}

// begun returns a run that was just recorded.
func begun() execution.Execution {
	return execution.New(execution.Execution{
		ID: "exec_1", Org: "org_a", Agent: "agent_1", Version: 3, Trigger: trigger(),
	}, start)
}

// leased returns a run leased to owner.
func leased(t *testing.T, x execution.Execution, owner string, seconds int) execution.Execution {
	t.Helper()
	x, ok := x.Leased(owner, 0, at(seconds))
	if !ok {
		t.Fatalf("%s cannot have the lease", owner)
	}
	return x
}

func TestANewRunIsPendingAndDueSoon(t *testing.T) {
	t.Parallel()

	x := begun()
	if x.Status != execution.Pending || !x.Created.Equal(start) || !x.Due.Equal(start.Add(execution.Grace)) || !x.Started.IsZero() {
		t.Errorf("%+v", x)
	}
}

func TestANewRunIsBegunUnderItsFirstLease(t *testing.T) {
	t.Parallel()

	const room = 5 * time.Second
	x := begun().FirstLeased("first", at(1)) // until 11
	x.Revision = 1
	changed, taken := x, leased(t, x, "two", 11)
	changed.Revision = 2
	taken.Revision = 2
	for name, tc := range map[string]struct {
		x       execution.Execution
		owner   string
		seconds int
		want    bool
	}{
		"by its owner":                 {x, "first", 1, true},
		"before its last seconds":      {x, "first", 5, true},
		"not in its last seconds":      {x, "first", 6, false},
		"not by another":               {x, "two", 1, false},
		"not without an owner":         {begun(), "", 1, false},
		"not after a change":           {changed, "first", 1, false},
		"not after another's lease":    {taken, "first", 12, false},
		"not after it was recorded so": {begun(), "first", 1, false},
	} {
		got, ok := tc.x.BegunAt(tc.owner, at(tc.seconds), room)
		if ok != tc.want || ok && (got.Status != execution.Running || !got.Started.Equal(at(tc.seconds)) || got.Lease != x.Lease || !got.Due.Equal(x.Due)) {
			t.Errorf("%s: %t, %+v", name, ok, got)
		}
	}
	if !x.Due.Equal(begun().Due) || !x.Lease.Until.Before(x.Due) {
		t.Errorf("due %v, lease until %v", x.Due, x.Lease.Until)
	}
	if _, ok := x.Leased("two", 0, at(10)); ok {
		t.Error("another worker has the lease while the first may begin")
	}
	if next, ok := x.Leased("two", 0, at(11)); !ok || next.Lease.Attempt != 2 {
		t.Errorf("after the first lease: %t, %+v", ok, next.Lease)
	}
	if changed := x.Changed(); !changed.Equal(x.Created) {
		t.Errorf("changed at %v, recorded at %v", changed, x.Created)
	}
}

func TestALeaseIsTaken(t *testing.T) {
	t.Parallel()

	held := leased(t, begun(), "one", 1) // until 26
	resting := held.Parked(at(100))
	asking := held.AwaitingApproval(at(100))
	cancelled, err := held.Cancel(execution.CancelledByUser, "user_1", at(2))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		x       execution.Execution
		owner   string
		seconds int
		want    bool
	}{
		"of a new run":                              {begun(), "one", 0, true},
		"not from a worker with a live lease":       {held, "two", 2, false},
		"not in the last moment of a lease":         {held, "two", 25, false},
		"when the lease is over":                    {held, "two", 26, true},
		"by its owner again, whose first call died": {held, "one", 2, true},
		"of a run at rest":                          {resting, "two", 2, true},
		"of a run that asks":                        {asking, "two", 2, true},
		"not from a worker that renewed its lease":  {held.Renewed(at(20)), "two", 44, false},
		"when a renewed lease is over":              {held.Renewed(at(20)), "two", 45, true},
		"not of a completed run":                    {held.Complete(at(2)), "one", 99, false},
		"not of a failed run":                       {held.Fail(execution.Failure{Code: "x"}, at(2)), "two", 99, false},
		"not of a cancelled run":                    {cancelled, "two", 99, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, ok := tc.x.Leased(tc.owner, 0, at(tc.seconds))
			if ok != tc.want {
				t.Fatalf("Leased = %t", ok)
			}
			if !ok {
				if diff := cmp.Diff(tc.x, got); diff != "" {
					t.Errorf("refused, and yet it has changed:\n%s", diff)
				}
				return
			}
			want := execution.Lease{Owner: tc.owner, Until: at(tc.seconds).Add(execution.LeaseTime), Attempt: tc.x.Lease.Attempt + 1}
			if diff := cmp.Diff(want, got.Lease); diff != "" {
				t.Errorf("the lease -want +got:\n%s", diff)
			}
			if got.Status != execution.Running || got.Started.IsZero() {
				t.Errorf("%s, started %v", got.Status, got.Started)
			}
		})
	}
}

func TestARunStartsOnce(t *testing.T) {
	t.Parallel()

	x := leased(t, begun(), "one", 1)
	x = leased(t, x.AwaitingApproval(at(500)), "two", 30)
	x = leased(t, x, "three", 90)
	if !x.Started.Equal(at(1)) || x.Lease.Attempt != 3 {
		t.Errorf("started %v at attempt %d; want %v at attempt 3", x.Started, x.Lease.Attempt, at(1))
	}
}

func TestAnOpenRunIsDueAndAnEndedRunIsNot(t *testing.T) {
	t.Parallel()

	held := leased(t, begun(), "one", 1)
	for name, tc := range map[string]struct {
		x     execution.Execution
		due   time.Time
		owner string
	}{
		"a renewed lease":    {held.Renewed(at(10)), at(10).Add(execution.LeaseTime + execution.Grace), "one"},
		"a run at rest":      {held.Parked(at(3600)), at(3600).Add(execution.Grace), ""},
		"a run that asks":    {held.AwaitingApproval(at(7200)), at(7200).Add(execution.Grace), ""},
		"a run that is over": {held.Complete(at(5)), time.Time{}, "one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if !tc.x.Due.Equal(tc.due) || tc.x.Lease.Owner != tc.owner || tc.x.Lease.Attempt != 1 {
				t.Errorf("due %v, lease %+v; want due %v and owner %q", tc.x.Due, tc.x.Lease, tc.due, tc.owner)
			}
		})
	}
}

func TestARunIsListedByStatusOnceParkedOrEnded(t *testing.T) {
	t.Parallel()

	held := leased(t, begun(), "one", 1)
	for name, tc := range map[string]struct {
		x    execution.Execution
		want bool
	}{
		"not a new run":              {begun(), false},
		"not a run at work":          {held, false},
		"not a run at work for long": {held.Renewed(at(100)), false},
		"a run at rest":              {held.Parked(at(99)), true},
		"a run that asks":            {held.AwaitingApproval(at(99)), true},
		"a run at work after a rest": {leased(t, held.Parked(at(99)), "two", 100), true},
		"a completed run":            {held.Complete(at(2)), true},
		"a failed run":               {held.Fail(execution.Failure{Code: "x"}, at(2)), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := tc.x.ListedByStatus(); got != tc.want {
				t.Errorf("Lasting = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestTheSweeperFindsARunThatRestedOrThatTheWatchdogMarked(t *testing.T) {
	t.Parallel()

	held := leased(t, begun(), "one", 1)
	watched, _ := held.FindOpen()
	stopped, _ := watched.Hold()
	owing, _ := held.Reserved("judge", credit.Hold{Month: "2026-03", Tier: credit.Standard, Amount: 20})
	for name, tc := range map[string]struct {
		x    execution.Execution
		want bool
	}{
		"not a new run":                   {begun(), false},
		"not a run at work":               {held, false},
		"a run at work that was marked":   {watched, true},
		"a marked run after a renewal":    {watched.Renewed(at(100)), true},
		"a run at rest":                   {held.Parked(at(99)), true},
		"not a held run":                  {stopped, false},
		"not a completed run":             {watched.Complete(at(2)), false},
		"a failed run that holds credits": {owing.Execution.Fail(execution.Failure{Code: "x"}, at(2)), true},
	} {
		if got := tc.x.Swept(); got != tc.want {
			t.Errorf("%s: Swept = %t", name, got)
		}
	}
	if _, again := watched.FindOpen(); again {
		t.Error("a marked run is marked again")
	}
}

func TestARunEndsWithItsStatusAndReason(t *testing.T) {
	t.Parallel()

	held := leased(t, begun(), "one", 1)
	for name, tc := range map[string]struct {
		x      execution.Execution
		status execution.Status
		reason execution.Reason
		err    *execution.Failure
	}{
		"completed": {held.Complete(at(9)), execution.Completed, "", nil},
		"failed": {
			held.Fail(execution.Failure{Code: "template_error", Message: "No.", Step: "a"}, at(9)),
			execution.Failed, "template_error", &execution.Failure{Code: "template_error", Message: "No.", Step: "a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if tc.x.Status != tc.status || tc.x.Reason != tc.reason || !tc.x.Completed.Equal(at(9)) || tc.x.Duration() != 8*time.Second {
				t.Errorf("%+v", tc.x)
			}
			if diff := cmp.Diff(tc.err, tc.x.Error); diff != "" {
				t.Errorf("the error -want +got:\n%s", diff)
			}
		})
	}
}

func TestOnlyAnOpenRunIsCancelled(t *testing.T) {
	t.Parallel()

	held := leased(t, begun(), "one", 1)
	cancelled, err := held.Cancel(execution.ApprovalDenied, "user_1", at(3))
	if err != nil || cancelled.Status != execution.Cancelled || cancelled.Reason != execution.ApprovalDenied || !cancelled.Due.IsZero() {
		t.Errorf("Cancel = %+v, %v", cancelled, err)
	}
	for name, tc := range map[string]struct {
		x   execution.Execution
		may bool
	}{
		"a pending run":         {begun(), true},
		"a running run":         {held, true},
		"a run that asks":       {held.AwaitingApproval(at(99)), true},
		"a run at rest":         {held.Parked(at(99)), true},
		"not a completed run":   {held.Complete(at(2)), false},
		"not a failed run":      {held.Fail(execution.Failure{}, at(2)), false},
		"not one cancelled yet": {cancelled, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := tc.x.Cancel(execution.CancelledByUser, "user_1", at(5))
			if tc.may != (err == nil) || !tc.may && !errors.Is(err, execution.ErrState) {
				t.Fatalf("err = %v", err)
			}
			if !tc.may && !cmp.Equal(tc.x, got) {
				t.Errorf("refused, and yet it has changed:\n%s", cmp.Diff(tc.x, got))
			}
			if tc.may && (got.Status != execution.Cancelled || got.Reason != execution.CancelledByUser || !got.Completed.Equal(at(5))) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestOnlyAFailedOrCancelledRunIsRetried(t *testing.T) {
	t.Parallel()

	held := leased(t, begun(), "one", 1)
	cancelled, err := held.Cancel(execution.CancelledByUser, "user_1", at(3))
	if err != nil {
		t.Fatal(err)
	}
	failed := held.Fail(execution.Failure{Code: "product_error"}, at(2))
	failed.Credits, failed.Revision = 20, 7
	for name, tc := range map[string]struct {
		x   execution.Execution
		may bool
	}{
		"a failed run":        {failed, true},
		"a cancelled run":     {cancelled, true},
		"not a pending run":   {begun(), false},
		"not a running run":   {held, false},
		"not a run that asks": {held.AwaitingApproval(at(99)), false},
		"not a completed run": {held.Complete(at(2)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := tc.x.Retry("exec_2", 5, execution.Starter{Type: execution.ByKey, ID: "key_1"}, []id.Approval{"appr_1"}, at(60))
			if !tc.may {
				if !errors.Is(err, execution.ErrState) {
					t.Errorf("err = %v, want ErrState", err)
				}
				return
			}
			want := execution.New(execution.Execution{
				ID: "exec_2", Org: "org_a", Agent: "agent_1", Version: 5, Trigger: trigger(), RetryOf: "exec_1",
				By: execution.Starter{Type: execution.ByKey, ID: "key_1"}, Denials: []id.Approval{"appr_1"},
			}, at(60))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestTheDurationIsTheTimeFromStartToEnd(t *testing.T) {
	t.Parallel()

	never, err := begun().Cancel(execution.CancelledByUser, "user_1", at(7))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		x    execution.Execution
		want time.Duration
	}{
		"a run that took eight seconds":       {leased(t, begun(), "one", 1).Complete(at(9)), 8 * time.Second},
		"a run that never started":            {never, 7 * time.Second},
		"a clock that ran backwards":          {leased(t, begun(), "one", 5).Complete(at(3)), 0},
		"a run that is not at its end either": {leased(t, begun(), "one", 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := tc.x.Duration(); got != tc.want {
				t.Errorf("Duration = %v, want %v", got, tc.want)
			}
		})
	}
	s := execution.StepRecord{Started: at(1), Ended: at(3)}
	if s.Duration() != 2*time.Second || (execution.StepRecord{Started: at(1)}).Duration() != 0 {
		t.Errorf("a step took %v, an open one %v", s.Duration(), execution.StepRecord{Started: at(1)}.Duration())
	}
}

func TestTheOffsetOfAStepCountsFromTheStartOfItsRun(t *testing.T) {
	t.Parallel()

	x := leased(t, begun(), "one", 1)
	for name, tc := range map[string]struct {
		x       execution.Execution
		started time.Time
		want    time.Duration
	}{
		"a step in the same second":             {x, at(1).Add(12 * time.Millisecond), 12 * time.Millisecond},
		"a step after a long wait":              {x, at(7201), 2 * time.Hour},
		"a clock that ran backwards":            {x, at(0), 0},
		"a step of a run that was never leased": {begun(), at(3), 3 * time.Second},
	} {
		if got := tc.x.Offset(execution.StepRecord{Started: tc.started}); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestTheIDOfARunIsDerivedFromAgentAndEvent(t *testing.T) {
	t.Parallel()

	first := execution.ID("org_a", "agent_1", trigger())
	if !id.Valid("exec_", string(first)) || len(first) != len("exec_")+26 {
		t.Errorf("%s is no identifier", first)
	}
	again := trigger()
	again.Payload = map[string]any{"told": "otherwise"}
	again.Client = "cli_1"
	again.Published = at(1)
	if got := execution.ID("org_a", "agent_1", again); got != first {
		t.Errorf("told again it is %s, not %s", got, first)
	}
	other := trigger()
	other.ID = "evt_2"
	for name, got := range map[string]id.Execution{
		"another organization": execution.ID("org_b", "agent_1", trigger()),
		"another agent":        execution.ID("org_a", "agent_2", trigger()),
		"another event":        execution.ID("org_a", "agent_1", other),
	} {
		if got == first {
			t.Errorf("%s has the same name", name)
		}
	}
	sooner, later := trigger(), trigger()
	sooner.ID, later.ID = "evt_01KK9FJ34B5DJ4KEMMXJ64H3TP", "evt_01KK9FJ34C5DJ4KEMMXJ64H3TP"
	if execution.ID("org_z", "agent_z", sooner) >= execution.ID("org_a", "agent_1", later) {
		t.Error("names do not sort by the time that is in the events' names")
	}
}

func TestTheFinalStatusesAreThree(t *testing.T) {
	t.Parallel()

	var open, final []execution.Status
	for _, s := range execution.Statuses() {
		if s.Ended() {
			final = append(final, s)
		} else {
			open = append(open, s)
		}
	}
	if diff := cmp.Diff([]execution.Status{"completed", "failed", "cancelled"}, final); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]execution.Status{"pending", "running", "waiting_approval"}, open); diff != "" {
		t.Error(diff)
	}
	for s, want := range map[execution.StepStatus]bool{
		"pending": false, "running": false, "waiting": false, "completed": true, "failed": true, "skipped": true,
	} {
		if s.Ended() != want {
			t.Errorf("a step that is %s: %t", s, !want)
		}
	}
}

func TestARunIsStuckAfterMaxStalledLeasesWithoutAnEndedStep(t *testing.T) {
	t.Parallel()

	x := begun()
	lease := func(done int) {
		t.Helper()
		var ok bool
		if x, ok = x.Leased("one", done, at(1)); !ok {
			t.Fatal("it cannot be leased")
		}
	}
	for range execution.MaxStalledLeases {
		if lease(0); x.Stuck() {
			t.Fatalf("it is stuck after %d leases", x.Lease.Attempt)
		}
	}
	if lease(0); !x.Stuck() {
		t.Error("it is not stuck")
	}
	if lease(1); x.Stuck() || x.StalledLeases != 0 {
		t.Errorf("a step is at its end, and it is stuck: %+v", x)
	}
}

// An attempt counts when the same step began again without a result. Leases of
// other steps, of waiting runs and of workers that ended a step do not count.
func TestAStepIsGivenUpAfterItsAttempts(t *testing.T) {
	t.Parallel()

	x := begun()
	lease := func(step id.Step, done int) {
		t.Helper()
		before := x
		leased, ok := x.Leased("one", done, at(1))
		if !ok {
			t.Fatal("it cannot be leased")
		}
		x = leased.Beginning(step, before, done, false)
	}
	for n := 1; n <= execution.MaxAttempts; n++ {
		if x.GivenUp("a") {
			t.Fatalf("a is given up before its attempt %d", n)
		}
		lease("a", 0)
	}
	if !x.GivenUp("a") || x.GivenUp("b") {
		t.Errorf("a is given up: %t, b: %t, after %+v", x.GivenUp("a"), x.GivenUp("b"), x.Begun)
	}
	lease("b", 1) // the worker that ended a died at b
	if x.Begun != (execution.Begun{Step: "b", Attempts: 2}) {
		t.Errorf("at b: %+v", x.Begun)
	}
	x = x.Parked(at(2))
	lease("c", 2) // the worker that ended b parked the run
	if x.Begun != (execution.Begun{Step: "c", Attempts: 1}) {
		t.Errorf("at c: %+v", x.Begun)
	}
	c, ok := x.Reserved("d", credit.Hold{Amount: 5})
	if got := c.Execution.Begun; !ok || got != (execution.Begun{Step: "d", Attempts: 1}) {
		t.Errorf("the credits of d are reserved, and the run says %+v", got)
	}
	x = c.Execution
	if lease("d", 3); x.Begun.Attempts != 2 {
		t.Errorf("d is begun again, and the run says %+v", x.Begun)
	}
	first := begun().FirstLeased("one", at(0))
	for tried, want := range map[bool]int{false: 1, true: 2} {
		if got := leased(t, first, "one", 1).Beginning("a", first, 0, tried).Begun; got != (execution.Begun{Step: "a", Attempts: want}) {
			t.Errorf("tried under the first lease: %t, and the run says %+v", tried, got)
		}
	}
}
