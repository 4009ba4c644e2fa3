package quota_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
)

const org = id.Org("org_acme")

// noon is the begin of a minute.
func noon() time.Time { return time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC) }

// A shelf is a store whose calls may go wrong, with open runs of its own.
type shelf struct {
	*memory.Store

	lose   func() error // called after AdmitRuns
	before func()       // called before SaveOpen
	open   map[id.Execution]time.Time
	ended  map[id.Execution]time.Time // creation of the runs that have ended
	counts int                        // of open runs
}

func newShelf() *shelf {
	return &shelf{Store: memory.New(), open: map[id.Execution]time.Time{}, ended: map[id.Execution]time.Time{}}
}

func (s *shelf) AdmitRuns(ctx context.Context, o id.Org, a quota.Admission) (quota.Tally, bool, error) {
	t, ok, err := s.Store.AdmitRuns(ctx, o, a)
	if s.lose != nil {
		err = errors.Join(err, s.lose())
	}
	return t, ok, err
}

func (s *shelf) SaveOpen(ctx context.Context, o id.Org, before quota.Tally, open int, at time.Time) error {
	if s.before != nil {
		s.before()
	}
	return s.Store.SaveOpen(ctx, o, before, open, at)
}

func (s *shelf) OpenRuns(_ context.Context, _ id.Org, since, _ time.Time) (quota.Open, error) {
	s.counts++
	var n quota.Open
	for _, created := range s.open {
		if created.Before(since) {
			n.Before++
		} else {
			n.Since++
		}
	}
	for _, created := range s.ended {
		if !created.Before(since) {
			n.Since++
			n.Ended++
		}
	}
	return n, nil
}

func service(s quota.Store, l quota.Limits, now *time.Time) *quota.Service {
	return &quota.Service{Store: s, Limits: func(credit.Plan) quota.Limits { return l }, Now: func() time.Time { return *now }}
}

// Whatever dispatchers, crashes, lost replies and redeliveries do, a minute never holds
// more runs than it may, and no more runs are ever open.
func TestNoWindowHoldsMoreThanItMay(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		l := quota.Limits{RunsPerMinute: rapid.IntRange(1, 12).Draw(t, "runs_per_minute"), OpenRuns: rapid.IntRange(1, 20).Draw(t, "open_runs")}
		agents, pause := 5, 90
		if rapid.Bool().Draw(t, "spare") { // instances take spare permits
			l = quota.Limits{RunsPerMinute: rapid.IntRange(64, 130).Draw(t, "runs_per_minute"), OpenRuns: rapid.IntRange(64, 260).Draw(t, "open_runs")}
			agents, pause = 20, 5
		}
		s, now := newShelf(), noon()
		instances := []*quota.Service{service(s, l, &now), service(s, l, &now), service(s, l, &now)}
		minutes := map[quota.Minute]int{}
		var lost [][]id.Execution // batches to deliver again
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"an event": func(t *rapid.T) {
				var runs []id.Execution
				for range rapid.IntRange(1, agents).Draw(t, "agents") {
					next++
					runs = append(runs, id.Execution(fmt.Sprintf("exec_%d", next)))
				}
				if len(lost) > 0 && rapid.Bool().Draw(t, "again") {
					runs, lost = lost[0], lost[1:]
				}
				runs = slices.DeleteFunc(slices.Clone(runs), func(x id.Execution) bool { // the dispatcher does not ask for a recorded one
					_, open := s.open[x]
					_, ended := s.ended[x]
					return open || ended
				})
				n := rapid.IntRange(0, len(instances)-1).Draw(t, "instance")
				if rapid.IntRange(0, 9).Draw(t, "fresh") == 0 {
					instances[n] = service(s, l, &now) // the earlier one died with its permits
				}
				may, full, err := instances[n].AdmitRuns(t.Context(), org, credit.Starter, runs, now)
				switch {
				case err != nil:
					t.Fatal(err)
				case (full == nil) != (len(may) == len(runs)):
					t.Fatalf("%v of %v may start, refused by %v", may, runs, full)
				case full != nil && full.Used < full.Limit:
					t.Fatalf("refused: %s", full.Sentence())
				}
				crash := len(may)
				if rapid.IntRange(0, 3).Draw(t, "fate") == 0 {
					crash = rapid.IntRange(0, len(may)).Draw(t, "crash")
					lost = append(lost, runs)
				}
				for _, x := range may[:crash] {
					if rapid.IntRange(0, 9).Draw(t, "withdrawn") == 0 {
						if err := instances[n].WithdrawRun(t.Context(), org, x, now); err != nil {
							t.Fatal(err)
						}
						continue
					}
					s.open[x] = now
					minutes[quota.MinuteOf(now)]++
				}
			},
			"a run ends": func(t *rapid.T) {
				for x, created := range s.open {
					delete(s.open, x)
					s.ended[x] = created
					break
				}
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, pause).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				for m, n := range minutes {
					if n > l.RunsPerMinute {
						t.Fatalf("%d runs started in minute %d of at most %d", n, m, l.RunsPerMinute)
					}
				}
				if len(s.open) > l.OpenRuns {
					t.Fatalf("%d runs are open of at most %d", len(s.open), l.OpenRuns)
				}
			},
		})
	})
}

// runs returns n ids from one on.
func runs(from, n int) []id.Execution {
	var out []id.Execution
	for i := range n {
		out = append(out, id.Execution(fmt.Sprintf("exec_%d", from+i)))
	}
	return out
}

func TestAnEventWithMoreRunsThanAreLeftStartsTheFirst(t *testing.T) {
	t.Parallel()

	s, now := newShelf(), noon().Add(10*time.Second)
	q := service(s, quota.Limits{RunsPerMinute: 5, OpenRuns: 100}, &now)
	may, full, err := q.AdmitRuns(t.Context(), org, "", runs(0, 8), now)
	want := quota.Reached{Name: quota.RunsPerMinute, Used: 5, Limit: 5, Reset: noon().Add(time.Minute), Wait: 50 * time.Second}
	if err != nil || !slices.Equal(may, runs(0, 5)) || full == nil || *full != want {
		t.Errorf("%v may start, refused by %+v: %v", may, full, err)
	}
	may, full, err = q.AdmitRuns(t.Context(), org, "", runs(3, 4), now) // delivered again, without the first three
	if err != nil || !slices.Equal(may, runs(3, 2)) || full == nil {
		t.Errorf("again: %v may start, refused by %+v: %v", may, full, err)
	}
}

func TestARepetitionInTheSameMinuteIsCountedOnce(t *testing.T) {
	t.Parallel()

	s, now := newShelf(), noon()
	q := service(s, quota.Of(credit.Starter), &now)
	s.lose = func() error { return context.DeadlineExceeded }
	if _, _, err := q.AdmitRuns(t.Context(), org, "", runs(0, 3), now); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("err = %v", err)
	}
	s.lose = nil
	for range 3 {
		if may, full, err := q.AdmitRuns(t.Context(), org, "", runs(0, 3), now); err != nil || len(may) != 3 || full != nil {
			t.Errorf("%v may start, refused by %+v: %v", may, full, err)
		}
	}
	if used := taken(t, s, now); used != 3 {
		t.Errorf("used %d", used)
	}
}

// taken returns the number of runs and spare permits that a minute counts.
func taken(t *testing.T, s *shelf, at time.Time) int {
	t.Helper()
	tally, err := s.RunTally(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	return tally.Minutes[quota.MinuteOf(at)]
}

// An instance counts one run after another: the first with one write each, then with
// one for more and more, and the last half of the minute's again with one each.
func TestABusyInstanceWritesOnceForManyRuns(t *testing.T) {
	t.Parallel()

	s, now, writes := newShelf(), noon(), 0
	s.lose = func() error { writes++; return nil }
	q := service(s, quota.Limits{RunsPerMinute: 1500, OpenRuns: 10_000}, &now)
	for i := range 1500 {
		before := writes
		may, full, err := q.AdmitRuns(t.Context(), org, "", runs(i, 1), now)
		if err != nil || len(may) != 1 || full != nil {
			t.Fatalf("run %d: %v may start, refused by %+v: %v", i, may, full, err)
		}
		if i > 760 && writes != before+1 {
			t.Errorf("run %d, in the second half, is not counted by itself", i)
		}
		if i == 700 && writes > 30 {
			t.Errorf("700 runs cost %d writes", writes)
		}
	}
	if may, full, err := q.AdmitRuns(t.Context(), org, "", runs(1500, 1), now); err != nil || len(may) != 0 || full == nil {
		t.Errorf("beyond the quota: %v may start, refused by %+v: %v", may, full, err)
	}
}

// A run that spent a spare permit has no mark in the store. Its permit goes to the next
// run, and a repetition at the same instance does not spend another.
func TestASparePermitIsSpentOnce(t *testing.T) {
	t.Parallel()

	s, now := newShelf(), noon()
	q := service(s, quota.Of(credit.Growth), &now)
	admit := func(from, n int) {
		t.Helper()
		if may, full, err := q.AdmitRuns(t.Context(), org, "", runs(from, n), now); err != nil || len(may) != n || full != nil {
			t.Fatalf("%v may start, refused by %+v: %v", may, full, err)
		}
	}
	admit(0, 1)
	admit(1, 1) // takes a spare permit
	for range 3 {
		admit(2, 1) // spends it
	}
	if n := taken(t, s, now); n != 3 {
		t.Errorf("%d are counted after 3 runs", n)
	}
	if err := q.WithdrawRun(t.Context(), org, runs(2, 1)[0], now); err != nil {
		t.Fatal(err)
	}
	admit(3, 1)
	if n := taken(t, s, now); n != 3 {
		t.Errorf("%d are counted after a run was withdrawn and another admitted", n)
	}
	now = now.Add(time.Minute)
	admit(4, 1)
	if n := taken(t, s, now); n != 1 {
		t.Errorf("%d are counted in the next minute after 1 run", n)
	}
}

func usage(t *testing.T, q *quota.Service) map[quota.Name]int {
	t.Helper()
	all, err := q.Usage(t.Context(), org, "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[quota.Name]int{}
	for _, u := range all {
		out[u.Name] = u.Used
	}
	return out
}

// The open runs are counted when the bound reaches the limit, and not for each event.
func TestOpenRunsAreCountedOnlyAtTheLimit(t *testing.T) {
	t.Parallel()

	s, now := newShelf(), noon()
	q := service(s, quota.Limits{RunsPerMinute: 1000, OpenRuns: 100}, &now)
	admit := func(from, n int) int {
		t.Helper()
		may, _, err := q.AdmitRuns(t.Context(), org, "", runs(from, n), now)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range may {
			s.open[x] = now
		}
		return len(may)
	}
	for i := range 100 {
		admit(i, 1)
	}
	if s.counts != 1 { // at the very first
		t.Errorf("the open runs were counted %d times", s.counts)
	}
	now = now.Add(time.Minute)
	for i := range 10 {
		if n := admit(1000+i, 1); n != 0 {
			t.Errorf("%d more may start", n)
		}
	}
	if s.counts != 2 {
		t.Errorf("the open runs were counted %d times", s.counts)
	}
	for _, x := range runs(0, 40) {
		s.ended[x] = s.open[x]
		delete(s.open, x)
	}
	now = now.Add(time.Second)
	for i := range 41 {
		if n := admit(2000+i, 1); n != 1 && i < 40 || n != 0 && i == 40 {
			t.Errorf("%d may start as number %d", n, i)
		}
	}
	if got := usage(t, q)[quota.OpenRuns]; got != 100 {
		t.Errorf("%d are open", got)
	}
}

func TestACountOfOpenRunsLosesAgainstAnAdmission(t *testing.T) {
	t.Parallel()

	s, now := newShelf(), noon()
	q := service(s, quota.Limits{RunsPerMinute: 1000, OpenRuns: 5}, &now)
	if _, _, err := q.AdmitRuns(t.Context(), org, "", runs(0, 4), now); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute) // none of them was recorded
	other := service(s.Store, quota.Limits{RunsPerMinute: 1000, OpenRuns: 5}, &now)
	s.before = func() {
		s.before = nil
		if may, _, err := other.AdmitRuns(t.Context(), org, "", runs(10, 1), now); err != nil || len(may) != 1 {
			t.Errorf("%v may start: %v", may, err)
		}
	}
	may, full, err := q.AdmitRuns(t.Context(), org, "", runs(20, 5), now)
	if err != nil || len(may) != 4 || full == nil {
		t.Errorf("%v may start, refused by %+v: %v", may, full, err)
	}
}
