package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/quota"
)

// used returns the runs of the current minute, and the open ones.
func (d *fixture) used() [2]int {
	d.Helper()
	s := quota.Service{Store: d.Store, Limits: d.limits, Now: d.Now}
	usage, err := s.Usage(d.Context(), org, credit.Growth)
	d.must(err)
	return [2]int{usage[0].Used, usage[1].Used}
}

func TestAMinuteStartsAsManyRunsAsThePlanAllows(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.quotas = quota.Limits{RunsPerMinute: 5, OpenRuns: 100}
	agents := []id.Agent{d.agent("agent_a"), d.agent("agent_b")}
	var last event.Event
	for range 3 {
		last = d.created()
		d.must(d.Dispatch(t.Context(), last))
		d.now = d.now.Add(time.Second)
		d.must(d.Dispatch(t.Context(), last)) // it may be delivered again
	}
	d.expect(agents[0], definition.Started, definition.Started, definition.Started)
	d.expect(agents[1], definition.QuotaReached, definition.Started, definition.Started) // one of two was left
	if got, want := d.entries(agents[1])[0].Detail, "runs_per_minute is 5 and 5 runs started; the next may start at 2026-03-09T14:01:00Z"; got != want {
		t.Errorf("the reason is %q, want %q", got, want)
	}
	if got := d.used(); got != [2]int{5, 5} {
		t.Errorf("used %v", got)
	}
	d.now = d.now.Add(time.Minute)
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(agents[1], definition.Started, definition.QuotaReached, definition.Started, definition.Started)
	if got := d.used(); got != [2]int{2, 7} {
		t.Errorf("used %v in the next minute", got)
	}
}

func TestAnOrganizationHasAsManyOpenRunsAsThePlanAllows(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.quotas = quota.Limits{RunsPerMinute: 100, OpenRuns: 3}
	a := d.agent("agent_a")
	var runs []event.Event
	for range 4 {
		runs = append(runs, d.created())
		d.must(d.Dispatch(t.Context(), runs[len(runs)-1]))
		d.now = d.now.Add(20 * time.Second)
	}
	d.expect(a, definition.QuotaReached, definition.Started, definition.Started, definition.Started)
	if got := d.entries(a)[0].Detail; got != "open_runs is 3 and 3 runs are open; the next may start when one of them ends" {
		t.Errorf("the reason is %q", got)
	}
	for _, e := range runs[:2] {
		x, _, err := d.Execution(t.Context(), org, execution.ID(org, a, e))
		d.must(err)
		x, err = x.Cancel(execution.CancelledByUser, "user_1", d.now)
		d.must(err)
		d.must(d.Commit(t.Context(), execution.Change{Execution: x}))
	}
	for range 3 {
		d.must(d.Dispatch(t.Context(), d.created()))
	}
	if got := d.told(a)[:3]; slices.Index(got, definition.QuotaReached) < 0 || d.used()[1] != 3 {
		t.Errorf("%v, and %d are open", got, d.used()[1])
	}
}

// Events that start no run are not counted, nor are those that another check refuses.
func TestOnlyRunsThatStartAreCounted(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.agent("agent_a", ofPriority)
	b := d.agent("agent_b", `execution_limit={"cooldown_minutes": 2}`)
	q := &quotaRecorder{Quotas: d.Quotas}
	d.Quotas = q
	first := d.created()
	for _, e := range []event.Event{first, first, d.event("psa:ticket.created", first.Payload), d.created()} {
		d.now = d.now.Add(time.Second)
		d.must(d.Dispatch(t.Context(), e))
	}
	d.expect(b, definition.LimitReached, definition.Duplicate, definition.Started)
	if want := []id.Execution{execution.ID(org, b, first)}; !slices.Equal(q.asked, want) || d.used() != [2]int{1, 1} {
		t.Errorf("asked about %v, used %v", q.asked, d.used())
	}
}

// A quotaRecorder records the runs that are to be counted.
type quotaRecorder struct {
	dispatch.Quotas

	asked []id.Execution
	lost  error // returned after the count
}

func (q *quotaRecorder) AdmitRuns(
	ctx context.Context, o id.Org, plan credit.Plan, runs []id.Execution, at time.Time,
) ([]id.Execution, *quota.Reached, error) {
	q.asked = append(q.asked, runs...)
	may, full, err := q.Quotas.AdmitRuns(ctx, o, plan, runs, at)
	return may, full, errors.Join(err, q.lost)
}

// A run that loses the race for its content or its agent's limit after it was counted
// is taken out of the count.
func TestARunThatLostARaceIsNotCounted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		more  string
		other func(d *fixture, e event.Event) event.Event
		want  definition.Outcome
	}{
		"for its content": {`conflict_behavior="additive"`, func(d *fixture, e event.Event) event.Event {
			return d.event("psa:ticket.created", e.Payload)
		}, definition.Duplicate},
		"for its limit": {`execution_limit={"max_per_hour": 1}`, func(d *fixture, _ event.Event) event.Event { return d.created() }, definition.LimitReached},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			r := &racingStore{Store: d.Store}
			d.Runs = r
			a := d.agent("agent_a", tc.more)
			e := d.created()
			other := tc.other(d, e)
			r.meanwhile = func() { d.must(d.Dispatch(t.Context(), other)) }
			d.must(d.Dispatch(t.Context(), e))
			if got := d.outcome(a, e); got != tc.want || d.used() != [2]int{1, 1} {
				t.Errorf("%s, used %v", got, d.used())
			}
		})
	}
}

// Neither a lost reply nor a crash after the count counts a run twice, and a run that
// was counted is not refused.
func TestARunThatWasCountedIsStartedByTheNextDelivery(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.quotas = quota.Limits{RunsPerMinute: 1, OpenRuns: 100}
	a := d.agent("agent_a")
	q := &quotaRecorder{Quotas: d.Quotas, lost: errors.New("no reply")}
	d.Quotas = q
	e := d.created()
	if err := d.Dispatch(t.Context(), e); !errors.Is(err, q.lost) {
		t.Fatalf("err = %v", err)
	}
	d.expect(a)
	q.lost = nil
	d.must(d.Dispatch(t.Context(), e))
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(a, definition.QuotaReached, definition.Started)
	if d.used() != [2]int{1, 1} {
		t.Errorf("used %v", d.used())
	}
}

func TestManyDispatchersNeverStartMoreRunsThanThePlanAllows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limits quota.Limits
		times  int // that each event is delivered at once
		least  int // of the runs; a delivery may count a run again when others came between
	}{
		"in a minute":                     {quota.Limits{RunsPerMinute: 10, OpenRuns: 1000}, 1, 10},
		"open":                            {quota.Limits{RunsPerMinute: 1000, OpenRuns: 10}, 1, 10},
		"in a minute, of repeated events": {quota.Limits{RunsPerMinute: 10, OpenRuns: 1000}, 3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			d.quotas = tc.limits
			a, b := d.agent("agent_a"), d.agent("agent_b")
			d.Machine = silent{}
			var events []event.Event
			for range 15 {
				events = append(events, slices.Repeat([]event.Event{d.created()}, tc.times)...)
			}
			var wg sync.WaitGroup
			for _, e := range events {
				wg.Go(func() {
					for errors.Is(d.Dispatch(t.Context(), e), quota.ErrStale) { // the queue delivers it again
						continue
					}
				})
			}
			wg.Wait()
			started := 0
			for _, o := range append(d.told(a), d.told(b)...) {
				if o == definition.Started {
					started++
				} else if o != definition.QuotaReached {
					t.Errorf("an outcome is %s", o)
				}
			}
			if used := d.used(); started > 10 || started < tc.least || used[0] != 10 || used[1] != started {
				t.Errorf("%d runs started, used %v", started, used)
			}
		})
	}
}

// silent is a machine that is not started.
type silent struct{}

func (silent) Start(context.Context, machine.Cursor) error { return nil }
