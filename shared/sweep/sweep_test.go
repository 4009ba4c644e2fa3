package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/tenant"
)

const org = id.Org("org_acme")

// A fixture is a sweeper with its store and a machine. Its clock is manual.
type fixture struct {
	*testing.T
	sweep.Service

	store     *memory.Store
	now       time.Time
	mu        sync.Mutex
	restarted []id.Execution
	broken    map[id.Execution]error
	left      []error          // result of publishing each event left in the outbox
	behind    []machine.Cursor // additional stale entries of the index
	raced     bool             // whether another writer is just ahead of the sweeper
}

// fixtureStore is the store of the sweeper.
type fixtureStore struct {
	*memory.Store

	fixture *fixture
}

func (s fixtureStore) Overdue(ctx context.Context, now time.Time, limit int) ([]machine.Cursor, error) {
	list, err := s.Store.Overdue(ctx, now, limit)
	return append(slices.Clone(s.fixture.behind), list...), err
}

func (s fixtureStore) Commit(ctx context.Context, c execution.Change) error {
	if s.fixture.raced {
		return execution.ErrStale
	}
	return s.Store.Commit(ctx, c)
}

// fixturePauses has no paused organization.
type fixturePauses struct{}

func (fixturePauses) Sweep(context.Context) error { return nil }

// fixtureJobs has no job without a worker.
type fixtureJobs struct{}

func (fixtureJobs) Sweep(context.Context) (int, error) { return 0, nil }

// fixtureErasures has no deleted organization.
type fixtureErasures struct{}

func (fixtureErasures) Sweep(context.Context) (int, error) { return 0, nil }

func open(t *testing.T) *fixture {
	t.Helper()
	y := &fixture{T: t, store: memory.New(), now: time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC), broken: map[id.Execution]error{}}
	now := func() time.Time { return y.now }
	y.Service = sweep.Service{Store: fixtureStore{y.store, y}, Machine: y, Outbox: fixtureOutbox{y}, Pauses: fixturePauses{}, Erasures: fixtureErasures{}, Jobs: fixtureJobs{}, Now: now}
	keeper := &tenant.Service{Store: y.store, Now: now}
	y.must(keeper.Project(t.Context(), event.Event{
		Product: "hub", Type: "org.created", Org: org, Published: y.now, Payload: map[string]any{"plan": "starter"},
	}))
	return y
}

// fixtureOutbox is the outbox of the sweeper.
type fixtureOutbox struct{ fixture *fixture }

// Sweep implements sweep.Outbox.
func (o fixtureOutbox) Sweep(context.Context) (int, error) {
	n := 0
	for _, err := range o.fixture.left {
		if err == nil {
			n++
		}
	}
	return n, errors.Join(o.fixture.left...)
}

// Restart implements sweep.Machine.
func (y *fixture) Restart(_ context.Context, c machine.Cursor, at time.Time) error {
	if !at.Equal(y.now) {
		y.Errorf("restarted at %v, and it is %v", at, y.now)
	}
	if err := y.broken[c.Execution]; err != nil {
		return err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.restarted = append(y.restarted, c.Execution)
	return nil
}

func (y *fixture) must(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// run stores a run that the watchdog has marked, after applying change.
func (y *fixture) run(name id.Execution, change func(x execution.Execution) execution.Change) {
	y.Helper()
	x := execution.New(execution.Execution{ID: name, Org: org, Agent: "agent_a"}, y.now)
	x, _ = x.FindOpen()
	y.must(y.store.Create(y.Context(), x))
	if change != nil {
		x.Revision = 1
		y.must(y.store.Commit(y.Context(), change(x)))
	}
}

// The ledger of a test run is no run: when it is overdue, its answers are charged and the
// rest is released, and no machine starts.
func TestAnOverdueLedgerIsClosedAndNotStarted(t *testing.T) {
	t.Parallel()

	y := open(t)
	x := execution.NewLedger(org, "agent_a", "job_1", y.now)
	y.must(y.store.Create(t.Context(), x))
	x.Revision = 1
	x = x.OpenedBy("w", y.now)
	for _, name := range []id.Step{"answered", "asked"} {
		c, _ := x.Reserved(name, credit.Hold{Month: "2026-03", Tier: credit.Quick, Amount: 5})
		y.must(y.store.Commit(t.Context(), c))
		x = c.Execution
		x.Revision++
	}
	h := x.Holds["answered"]
	y.must(y.store.SaveStep(t.Context(), x, execution.StepRecord{ID: "answered", Status: execution.StepCompleted, Charge: &h, Attempt: 1}))
	sweep := func(after time.Duration, want int) execution.Execution {
		t.Helper()
		y.now = y.now.Add(after)
		if r, err := y.Sweep(t.Context()); err != nil || r.Settled != want || r.Started > 0 || len(y.restarted) > 0 {
			t.Errorf("after %v: %+v, restarted %v: %v", after, r, y.restarted, err)
		}
		got, _, err := y.store.Execution(t.Context(), org, x.ID)
		y.must(err)
		return got
	}
	if got := sweep(execution.LedgerTime, 0); len(got.Holds) != 2 {
		t.Errorf("the open ledger is %+v", got)
	}
	if got := sweep(time.Second, 1); got.Status != execution.Cancelled || got.Credits != 5 || len(got.Holds) > 0 || !got.Due.IsZero() {
		t.Errorf("the closed ledger is %+v", got)
	}
	late := execution.StepRecord{ID: "asked", Status: execution.StepCompleted, Charge: &h, Attempt: 1}
	if err := y.store.SaveStep(t.Context(), x, late); !errors.Is(err, execution.ErrStale) {
		t.Errorf("a late answer: %v", err)
	}
	b, err := y.store.Balance(t.Context(), org, "2026-03")
	y.must(err)
	if b.Remaining != b.Allocation-5 {
		t.Errorf("%d of %d remain", b.Remaining, b.Allocation)
	}
}

func (y *fixture) stored(name id.Execution) execution.Execution {
	y.Helper()
	x, _, err := y.store.Execution(y.Context(), org, name)
	y.must(err)
	return x
}

func (y *fixture) sweep() sweep.Report {
	y.Helper()
	r, err := y.Sweep(y.Context())
	y.must(err)
	return counts(r)
}

// counts returns a report without its time.
func counts(r sweep.Report) sweep.Report {
	r.Late = 0
	return r
}

// leased gives a run a lease that was just taken.
func leased(now time.Time) func(execution.Execution) execution.Change {
	return func(x execution.Execution) execution.Change {
		x, _ = x.Leased("worker", 0, now)
		return execution.Change{Execution: x}
	}
}

func TestTheSweeperRepairsOverdueRuns(t *testing.T) {
	t.Parallel()

	hold := credit.Hold{Month: "2026-03", Tier: credit.Standard, Amount: 20}
	holding := func(now time.Time) func(execution.Execution) execution.Change {
		return func(x execution.Execution) execution.Change {
			x, _ = x.Leased("worker", 0, now)
			c, _ := x.Reserved("judge", hold)
			return c
		}
	}
	for name, tc := range map[string]struct {
		change func(y *fixture) func(execution.Execution) execution.Change
		after  time.Duration
		want   sweep.Report
		ends   bool // whether the run is no longer due
	}{
		"not while a run is young":          {after: execution.Grace, want: sweep.Report{}},
		"a start of a run that never began": {after: execution.Grace + 1, want: sweep.Report{Looked: 1, Started: 1}},
		"not while a lease is live":         {change: func(y *fixture) func(execution.Execution) execution.Change { return leased(y.now) }, after: 20 * time.Second, want: sweep.Report{}},
		"patience while a worker is slow": {
			change: func(y *fixture) func(execution.Execution) execution.Change {
				return leased(y.now.Add(10 * time.Second))
			},
			after: 30 * time.Second, want: sweep.Report{Looked: 1, Prolonged: 1},
		},
		"a start when the worker is dead": {
			change: func(y *fixture) func(execution.Execution) execution.Change { return leased(y.now) },
			after:  time.Minute, want: sweep.Report{Looked: 1, Started: 1},
		},
		"a start of a run at rest when its time has come": {
			change: func(y *fixture) func(execution.Execution) execution.Change {
				return func(x execution.Execution) execution.Change {
					return execution.Change{Execution: x.Parked(y.now.Add(time.Hour))}
				}
			},
			after: time.Hour + time.Minute, want: sweep.Report{Looked: 1, Started: 1},
		},
		"not while a run is parked": {
			change: func(y *fixture) func(execution.Execution) execution.Change {
				return func(x execution.Execution) execution.Change {
					return execution.Change{Execution: x.Parked(y.now.Add(time.Hour))}
				}
			},
			after: time.Hour, want: sweep.Report{},
		},
		"not for an ended run": {
			change: func(y *fixture) func(execution.Execution) execution.Change {
				return func(x execution.Execution) execution.Change { return execution.Change{Execution: x.Complete(y.now)} }
			},
			after: time.Hour, want: sweep.Report{}, ends: true,
		},
		"the price that a dead worker held": {
			change: func(y *fixture) func(execution.Execution) execution.Change {
				return func(x execution.Execution) execution.Change {
					y.must(y.store.Commit(y.Context(), holding(y.now)(x)))
					x, done, err := y.store.Execution(y.Context(), org, x.ID)
					y.must(err)
					return x.End(func(x execution.Execution) execution.Execution {
						x, _ = x.Cancel(execution.CancelledByUser, "user_1", y.now)
						return x
					}, done, true)
				}
			},
			after: time.Minute, want: sweep.Report{Looked: 1, Settled: 1}, ends: true,
		},
		"a start of a run at its end of whose outcome people have not heard": {
			change: func(y *fixture) func(execution.Execution) execution.Change {
				return func(x execution.Execution) execution.Change {
					told := execution.Notified{execution.OnAsked: {{
						Channel: definition.SMS, Recipients: []execution.Receipt{{Recipient: "+15550000001", Status: execution.DeliverySent}},
					}}}
					gate := execution.StepRecord{
						ID: "g", Kind: definition.Gate, Status: execution.StepWaiting, Asked: y.now, Attempt: 1, Output: told.In(nil),
					}
					y.must(y.store.Commit(y.Context(), execution.Change{Execution: x.AwaitingApproval(y.now.Add(time.Hour)), Step: &gate}))
					x, done, err := y.store.Execution(y.Context(), org, x.ID)
					y.must(err)
					return x.End(func(x execution.Execution) execution.Execution {
						x, _ = x.Cancel(execution.CancelledByUser, "user_1", y.now)
						return x
					}, done, false)
				}
			},
			after: time.Minute, want: sweep.Report{Looked: 1, Started: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := open(t)
			change := func(x execution.Execution) execution.Change { return execution.Change{Execution: x} }
			if tc.change != nil {
				change = tc.change(y)
			}
			y.run("exec_1", change)
			y.now = y.now.Add(tc.after)
			if diff := cmp.Diff(tc.want, y.sweep()); diff != "" {
				t.Errorf("report (-want +got)\n%s", diff)
			}
			if len(y.restarted) != tc.want.Started {
				t.Errorf("restarted %v", y.restarted)
			}
			x := y.stored("exec_1")
			if x.Due.IsZero() != tc.ends || len(x.Holds) > 0 {
				t.Errorf("due %v, holds %v", x.Due, x.Holds)
			}
			if b, err := y.store.Balance(t.Context(), org, "2026-03"); err != nil || b.Remaining != b.Allocation {
				t.Errorf("balance %+v, %v", b, err)
			}
		})
	}
}

func TestARunWithALiveLeaseIsPostponed(t *testing.T) {
	t.Parallel()
	y := open(t)
	y.run("exec_1", leased(y.now.Add(10*time.Second)))
	y.now = y.now.Add(30 * time.Second)
	y.sweep()
	before := y.stored("exec_1")
	if want := before.Lease.Until.Add(execution.Grace); !before.Due.Equal(want) || before.Lease.Owner != "worker" {
		t.Errorf("due %v, want %v; lease %+v", before.Due, want, before.Lease)
	}
	if r := y.sweep(); r != (sweep.Report{}) {
		t.Errorf("a second sweep did %+v", r)
	}
	y.now = before.Due.Add(time.Second)
	if r := y.sweep(); r != (sweep.Report{Looked: 1, Started: 1}) {
		t.Errorf("when the lease is over: %+v", r)
	}
}

func TestARunThatCannotBeRepairedDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	y := open(t)
	for _, name := range []id.Execution{"exec_1", "exec_2", "exec_3"} {
		y.run(name, nil)
	}
	y.behind = []machine.Cursor{{Org: org, Execution: "exec_gone"}}
	down := errors.New("down")
	y.broken["exec_2"] = down
	y.now = y.now.Add(time.Minute)
	r, err := y.Sweep(t.Context())
	if !errors.Is(err, down) || !errors.Is(err, execution.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
	if r.Looked != 4 || r.Failed != 2 || len(y.restarted) != 2 {
		t.Errorf("%+v, restarted %v", r, y.restarted)
	}
}

func TestASweepPublishesTheRestOfTheOutbox(t *testing.T) {
	t.Parallel()
	y := open(t)
	down := errors.New("the bus is down")
	y.left = []error{nil, down, nil}
	y.run("exec_1", nil)
	y.now = y.now.Add(time.Minute)
	if r, err := y.Sweep(t.Context()); !errors.Is(err, down) || counts(r) != (sweep.Report{Looked: 1, Started: 1, Published: 2}) {
		t.Errorf("%+v, %v", r, err)
	}
	y.Store, y.left = blind{fixtureStore{y.store, y}}, []error{nil}
	if r, err := y.Sweep(t.Context()); !errors.Is(err, errBlind) || r.Published != 1 {
		t.Errorf("when the runs cannot be read: %+v, %v", r, err)
	}
}

func TestAStaleIndexEntryIsIgnored(t *testing.T) {
	t.Parallel()
	y := open(t)
	y.run("exec_young", nil)
	y.run("exec_over", func(x execution.Execution) execution.Change { return execution.Change{Execution: x.Complete(y.now)} })
	y.behind = []machine.Cursor{{Org: org, Execution: "exec_young"}, {Org: org, Execution: "exec_over"}}
	if r := y.sweep(); r != (sweep.Report{Looked: 2}) || len(y.restarted) > 0 {
		t.Errorf("%+v, restarted %v", r, y.restarted)
	}
}

func TestALostRaceIsNotAFailure(t *testing.T) {
	t.Parallel()
	y := open(t)
	y.run("exec_1", leased(y.now.Add(10*time.Second)))
	y.now = y.now.Add(30 * time.Second)
	y.raced = true
	if _, err := y.Sweep(t.Context()); err != nil {
		t.Errorf("err = %v", err)
	}
}

func TestARunWithoutProgressIsMarkedParkedAndPostponed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(now time.Time) func(execution.Execution) execution.Change{
		"that never began":      nil,
		"whose worker is dead":  leased,
		"whose worker is alive": func(now time.Time) func(execution.Execution) execution.Change { return leased(now.Add(time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := open(t)
			y.run("exec_1", nil)
			if change != nil {
				x := y.stored("exec_1")
				y.must(y.store.Commit(t.Context(), change(y.now)(x)))
			}
			before := y.stored("exec_1")
			if y.sweep(); y.stored("exec_1").WasParked {
				t.Error("a run that is not overdue was marked")
			}
			y.now = y.now.Add(time.Minute)
			y.sweep()
			marked := y.stored("exec_1")
			if !marked.WasParked || marked.Status != before.Status || marked.Lease != before.Lease {
				t.Errorf("%+v, want %+v marked", marked, before)
			}
			y.now = y.now.Add(time.Second)
			if y.sweep(); y.stored("exec_1").Revision != marked.Revision {
				t.Error("it was looked at again at once")
			}
		})
	}
}

func TestARunWithoutMachineStaysListedUnderItsStatus(t *testing.T) {
	t.Parallel()
	y := open(t)
	y.run("exec_1", nil)
	y.run("exec_2", leased(y.now))
	y.now = y.now.Add(time.Minute)
	y.sweep()
	for _, st := range []execution.Status{execution.Pending, execution.Running} {
		p, err := y.store.Executions(t.Context(), org, execution.Query{Status: st, Limit: 10, Now: y.now.Add(time.Hour)})
		if err != nil || len(p.Executions) != 1 {
			t.Errorf("%s: %+v, %v; want one", st, p.Executions, err)
		}
	}
}

// The other writer moves the run on, or the sweeper finds it again.
func TestARunThatAnotherWorkerMovedIsLeftAlone(t *testing.T) {
	t.Parallel()
	y := open(t)
	y.run("exec_1", nil)
	y.now, y.raced = y.now.Add(time.Minute), true
	if r := y.sweep(); r != (sweep.Report{Looked: 1}) || len(y.restarted) != 0 {
		t.Errorf("%+v, restarted %v", r, y.restarted)
	}
	y.raced = false
	if r := y.sweep(); r.Started != 1 {
		t.Errorf("then %+v", r)
	}
}

// More runs are stuck than one sweep handles, and the oldest cannot be moved.
func TestRunsThatCannotBeMovedDoNotBlockTheRest(t *testing.T) {
	t.Parallel()
	y := open(t)
	for n := range sweep.Most {
		name := id.Execution(fmt.Sprintf("exec_stuck%d", n))
		y.run(name, nil)
		y.broken[name] = errors.New("it cannot be started")
	}
	y.now = y.now.Add(time.Second)
	y.run("exec_young", nil)
	for range 4 {
		y.now = y.now.Add(sweep.Between)
		y.Sweep(t.Context()) //nolint:errcheck // the stuck ones fail.
	}
	if !slices.Contains(y.restarted, "exec_young") {
		t.Error("it was never looked at")
	}
}

func TestAWatchSweepsTwice(t *testing.T) {
	t.Parallel()
	y := open(t)
	y.run("exec_1", nil)
	y.Sleep = func(_ context.Context, d time.Duration) error {
		y.now = y.now.Add(d)
		return nil
	}
	y.now = y.now.Add(20 * time.Second)
	r, err := y.Watch(t.Context())
	if diff := cmp.Diff(sweep.Report{Looked: 1, Started: 1}, counts(r)); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	before := y.now
	if _, err := y.Watch(soon); err != nil || !y.now.Equal(before) {
		t.Errorf("without the time for it a watch sweeps again: %v", err)
	}
}

func TestTheLongestOverdueComeFirst(t *testing.T) {
	t.Parallel()
	y := open(t)
	var want []id.Execution
	for i := range sweep.Most + 100 {
		name := id.Execution(fmt.Sprintf("exec_%04d", 9999-i))
		y.run(name, nil)
		y.now = y.now.Add(time.Second)
		if i < sweep.Most {
			want = append(want, name)
		}
	}
	y.now = y.now.Add(time.Minute)
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r, err := y.Sweep(soon)
	y.must(err)
	slices.Sort(want)
	slices.Sort(y.restarted)
	if diff := cmp.Diff(want, y.restarted); diff != "" || r.Looked != sweep.Most {
		t.Errorf("%+v, restarted (-want +got)\n%s", r, diff)
	}
}

func TestAReportSaysHowLongTheOldestRunHadBeenDue(t *testing.T) {
	t.Parallel()
	y := open(t)
	for _, name := range []id.Execution{"exec_1", "exec_2"} {
		y.run(name, nil)
		y.now = y.now.Add(time.Minute)
	}
	r, err := y.Sweep(t.Context())
	y.must(err)
	if want := 2*time.Minute - execution.Grace; r.Late != want {
		t.Errorf("late = %v, want %v", r.Late, want)
	}
}

// distant is a store and a machine with the latency of AWS.
type distant struct {
	sweep.Store

	machine sweep.Machine
}

const latency = 20 * time.Millisecond

func (d distant) Execution(ctx context.Context, o id.Org, x id.Execution) (execution.Execution, execution.Steps, error) {
	time.Sleep(latency)
	return d.Store.Execution(ctx, o, x)
}

func (d distant) Commit(ctx context.Context, c execution.Change) error {
	time.Sleep(latency)
	return d.Store.Commit(ctx, c)
}

func (d distant) Overdue(ctx context.Context, now time.Time, limit int) ([]machine.Cursor, error) {
	time.Sleep(latency)
	return d.Store.Overdue(ctx, now, limit)
}

func (d distant) Restart(ctx context.Context, c machine.Cursor, at time.Time) error {
	time.Sleep(latency)
	return d.machine.Restart(ctx, c, at)
}

func TestThirtyThousandStuckRunsMoveWithinFiveMinutes(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		const stuck = 30_000
		y := open(t)
		for i := range stuck {
			y.run(id.Execution(fmt.Sprintf("exec_%d", i)), nil)
		}
		y.now = y.now.Add(time.Hour)
		far := distant{Store: y.Store, machine: y}
		y.Store, y.Machine = far, far
		y.Sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
		began := time.Now()
		for len(y.restarted) < stuck && time.Since(began) < 5*time.Minute {
			minute := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 58*time.Second)
			if r, err := y.Watch(ctx); err != nil || time.Since(minute) > 58*time.Second {
				t.Fatalf("after %v: %+v, %v", time.Since(minute), r, err)
			}
			cancel()
			time.Sleep(time.Until(minute.Add(time.Minute)))
		}
		if took := time.Since(began); len(y.restarted) != stuck || took > 5*time.Minute {
			t.Errorf("%d runs were started again within %v", len(y.restarted), took)
		}
	})
}

func TestAnIndexThatCannotBeReadIsAFailure(t *testing.T) {
	t.Parallel()
	y := open(t)
	y.Store = blind{fixtureStore{y.store, y}}
	if _, err := y.Sweep(t.Context()); !errors.Is(err, errBlind) {
		t.Errorf("err = %v", err)
	}
}

var errBlind = errors.New("blind")

type blind struct{ fixtureStore }

func (blind) Overdue(context.Context, time.Time, int) ([]machine.Cursor, error) { return nil, errBlind }
