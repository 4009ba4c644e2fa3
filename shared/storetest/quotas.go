package storetest

import (
	"fmt"
	"sync"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
)

// few are limits that a test reaches.
func few() quota.Limits { return quota.Limits{RunsPerMinute: 10, OpenRuns: 100} }

// counting returns an organization whose open runs were counted.
func counting(t trial, s Store) id.Org {
	t.Helper()
	o := anOrg()
	ok(t, s.SaveOpen(t.Context(), o, quota.Tally{}, 0, day()))
	return o
}

// admits counts runs with these numbers in a minute.
func admits(t trial, s Store, o id.Org, m quota.Minute, l quota.Limits, numbers ...int) (quota.Tally, bool) {
	t.Helper()
	a := quota.Admission{Minute: m, Limits: l}
	for _, n := range numbers {
		a.Runs = append(a.Runs, id.Execution(fmt.Sprintf("exec_%d", n)))
	}
	tally, done, err := s.AdmitRuns(t.Context(), o, a)
	ok(t, err)
	return tally, done
}

// numbered returns n numbers from one on.
func numbered(from, n int) []int {
	var out []int
	for i := range n {
		out = append(out, from+i)
	}
	return out
}

func quotas() []promise {
	minute := quota.MinuteOf(day())
	return []promise{
		{"of many racing counts below a root event each one that is stored is kept", func(t trial, s Store) {
			o := anOrg()
			const most = 12
			q := quota.Service{Store: s, Limits: func(credit.Plan) quota.Limits { return quota.Limits{RunsPerRootEvent: most} }, Now: day}
			var mu sync.Mutex
			in := 0
			race(t, racers, nil, func(i int) error {
				runs := []id.Execution{id.Execution(fmt.Sprintf("exec_%d", i))}
				may, _, err := q.AdmitBelow(t.Context(), o, credit.Starter, quota.Root{Event: "evt_root", Runs: 2}, runs, day())
				mu.Lock()
				defer mu.Unlock()
				in += len(may)
				return err
			})
			same(t, "admitted", in, most-2)
			tree, err := s.Tree(t.Context(), o, "evt_root")
			ok(t, err)
			same(t, "counted", tree.Len(), in)
			for _, other := range []id.Org{o, anOrg()} {
				tree, err := s.Tree(t.Context(), other, "evt_other")
				ok(t, err)
				same(t, "below another root", tree.Len(), 0)
			}
		}},
		{"a count below a root event is stored only on the tree from which it was made", func(t trial, s Store) {
			o := anOrg()
			first, _ := quota.Tree{}.Admit(quota.Root{}, []id.Execution{"exec_1"}, 9)
			second, _ := first.Admit(quota.Root{}, []id.Execution{"exec_2"}, 9)
			is(t, s.SaveTree(t.Context(), o, "evt_root", first, second, day()), quota.ErrStale)
			ok(t, s.SaveTree(t.Context(), o, "evt_root", quota.Tree{}, first, day()))
			is(t, s.SaveTree(t.Context(), o, "evt_root", quota.Tree{}, first, day()), quota.ErrStale)
			ok(t, s.SaveTree(t.Context(), o, "evt_root", first, second, day()))
			got, err := s.Tree(t.Context(), o, "evt_root")
			ok(t, err)
			same(t, "tree", got, second)
		}},
		{"runs are counted together or not at all", func(t trial, s Store) {
			o := counting(t, s)
			_, done := admits(t, s, o, minute, few(), numbered(0, 8)...)
			same(t, "first", done, true)
			tally, done := admits(t, s, o, minute, few(), numbered(10, 3)...)
			same(t, "beyond the limit", done, false)
			same(t, "count", tally.Minutes[minute], 8)
			_, done = admits(t, s, o, minute, few(), numbered(20, 2)...)
			same(t, "the rest", done, true)
			tally, err := s.RunTally(t.Context(), o)
			ok(t, err)
			same(t, "count", tally.Minutes[minute], 10)
			same(t, "open", tally.Open, 10)
		}},
		{"a counted run is not counted again in its minute", func(t trial, s Store) {
			o := counting(t, s)
			admits(t, s, o, minute, few(), 1, 2)
			tally, done := admits(t, s, o, minute, few(), 2, 3)
			same(t, "again", done, false)
			same(t, "count", tally.Minutes[minute], 2)
			same(t, "marks", []bool{tally.Has(minute, "exec_1"), tally.Has(minute, "exec_2"), tally.Has(minute, "exec_3")}, []bool{true, true, false})
			tally, done = admits(t, s, o, minute+1, few(), 2)
			same(t, "in the next minute", done, true)
			same(t, "count", tally.Minutes[minute+1], 1)
		}},
		{"each minute and each organization has a count of its own", func(t trial, s Store) {
			o, other := counting(t, s), counting(t, s)
			for m := range quota.Minute(80) { // also those that the store has forgotten
				_, done := admits(t, s, o, minute+11*m, quota.Limits{RunsPerMinute: 10, OpenRuns: 10_000}, numbered(int(100*m), 10)...)
				same(t, "counted", done, true)
			}
			_, done := admits(t, s, other, minute, few(), numbered(0, 10)...)
			same(t, "of another", done, true)
			tally, err := s.RunTally(t.Context(), o)
			ok(t, err)
			same(t, "open", tally.Open, 800)
			if n := len(tally.Minutes); n > 40 {
				t.Errorf("the tally keeps %d minutes", n)
			}
		}},
		{"no run is counted beyond the bound of open runs", func(t trial, s Store) {
			o := counting(t, s)
			l := quota.Limits{RunsPerMinute: 1000, OpenRuns: 5}
			admits(t, s, o, minute, l, 1, 2, 3)
			tally, done := admits(t, s, o, minute, l, 4, 5, 6)
			same(t, "done", done, false)
			same(t, "open", tally.Open, 3)
		}},
		{"no run is counted before the open runs were", func(t trial, s Store) {
			_, done := admits(t, s, anOrg(), minute, few(), 1)
			same(t, "done", done, false)
		}},
		{"the bound of open runs is saved on the tally that was read", func(t trial, s Store) {
			o := counting(t, s)
			before, _ := admits(t, s, o, minute, few(), 1, 2)
			after, _ := admits(t, s, o, minute, few(), 3)
			is(t, s.SaveOpen(t.Context(), o, before, 0, day().Add(time.Second)), quota.ErrStale)
			is(t, s.SaveOpen(t.Context(), o, quota.Tally{}, 0, day().Add(time.Second)), quota.ErrStale)
			ok(t, s.SaveOpen(t.Context(), o, after, 1, day().Add(time.Second)))
			is(t, s.SaveOpen(t.Context(), o, after, 0, day().Add(2*time.Second)), quota.ErrStale)
			tally, err := s.RunTally(t.Context(), o)
			ok(t, err)
			same(t, "open", tally.Open, 1)
			same(t, "counted at", tally.Counted.Equal(day().Add(time.Second)), true)
			same(t, "count of the minute", tally.Minutes[minute], 3)
		}},
		{"spare permits are counted with the runs, or not at all", func(t trial, s Store) {
			o := counting(t, s)
			a := quota.Admission{Minute: minute, Runs: []id.Execution{"exec_1"}, Spare: 6, Limits: few()}
			tally, done, err := s.AdmitRuns(t.Context(), o, a)
			ok(t, err)
			same(t, "counted", done, true)
			same(t, "count and open", [2]int{tally.Minutes[minute], tally.Open}, [2]int{7, 7})
			a.Runs, a.Spare = []id.Execution{"exec_2", "exec_3"}, 2
			tally, done, err = s.AdmitRuns(t.Context(), o, a)
			ok(t, err)
			same(t, "counted without room for the spare ones", done, false)
			same(t, "count and open", [2]int{tally.Minutes[minute], tally.Open}, [2]int{7, 7})
			_, done = admits(t, s, o, minute, few(), 2, 3)
			same(t, "counted without spare ones", done, true)
		}},
		{"a run is taken out of the count once", func(t trial, s Store) {
			o := counting(t, s)
			admits(t, s, o, minute, few(), 1, 2)
			for range 2 {
				ok(t, s.WithdrawRun(t.Context(), o, minute, "exec_1"))
				ok(t, s.WithdrawRun(t.Context(), o, minute, "exec_3"))
			}
			tally, err := s.RunTally(t.Context(), o)
			ok(t, err)
			same(t, "count and open", [2]int{tally.Minutes[minute], tally.Open}, [2]int{1, 1})
			_, done := admits(t, s, o, minute, few(), 1)
			same(t, "counted again", done, true)
		}},
		{"racing counts never exceed the limit, and use it up but for calls whose reply was lost", func(t trial, s Store) {
			o := counting(t, s)
			l := quota.Limits{RunsPerMinute: 20, OpenRuns: 1000}
			counted := race(t, racers, quota.ErrReached, func(i int) error {
				tally, done := admits(t, s, o, minute, l, i)
				if !done && !tally.Has(minute, id.Execution(fmt.Sprintf("exec_%d", i))) { // marked by a call whose reply was lost
					return quota.ErrReached
				}
				return nil
			})
			if counted > 20 || counted < 15 {
				t.Errorf("%d were counted, want 20", counted)
			}
			tally, err := s.RunTally(t.Context(), o)
			ok(t, err)
			same(t, "count", tally.Minutes[minute], 20)
		}},
		{"open runs are counted whatever their status and age", func(t trial, s Store) {
			o := anOrg()
			counted(t, s, o, "agent_1")
			first := aRun(o, "agent_1", 0).Created
			at := func(n int) execution.Execution { return begun(t, s, aRun(o, "agent_1", n)) }
			at(0)                                                             // pending, old
			leased(t, s, at(1))                                               // running, old
			x := leased(t, s, at(2))                                          //
			committed(t, s, execution.Change{Execution: x.Parked(x.Created)}) // parked, old
			ended(t, s, leased(t, s, at(3)), time.Minute)                     // ended, old
			at(100)                                                           // pending
			ended(t, s, leased(t, s, at(101)), time.Minute)                   // ended
			now := first.Add(3 * time.Minute)
			n, err := s.OpenRuns(t.Context(), o, first.Add(30*time.Second), now)
			ok(t, err)
			same(t, "open", n, quota.Open{Before: 3, Since: 2, Ended: 1})
			same(t, "open now", n.Now(), 4)
			n, err = s.OpenRuns(t.Context(), o, first.Add(20*time.Minute), first.Add(21*time.Minute)) // no run is pending for so long
			ok(t, err)
			if n.Before < 1 {
				t.Errorf("the parked run is missing: %+v", n)
			}
		}},
		{"a batch of messages is counted once, or not at all", func(t trial, s Store) {
			o := anOrg()
			batch := func(key string, size int) quota.Batch {
				return quota.Batch{Name: quota.SMSPerDay, Day: "2026-03-09", Key: key, Size: size, Limit: 10}
			}
			counts := func(b quota.Batch, want bool) quota.DayTally {
				t.Helper()
				tally, done, err := s.AdmitMessages(t.Context(), o, b)
				ok(t, err)
				same(t, "counted", done, want)
				return tally
			}
			counts(batch("exec_1:s", 6), true)
			tally := counts(batch("exec_1:s", 3), false)
			size, known := tally.Counted(batch("exec_1:s", 3))
			same(t, "counted before", [2]any{size, known}, [2]any{6, true})
			tally = counts(batch("exec_2:s", 5), false)
			_, known = tally.Counted(batch("exec_2:s", 5))
			same(t, "count, and counted before", [2]any{tally.Count, known}, [2]any{6, false})
			counts(batch("exec_2:s", 4), true)
			tomorrow, mails, tests := batch("exec_1:s", 10), batch("exec_1:s", 1), batch("test_1", 1)
			tomorrow.Day, mails.Name, tests.Name = "2026-03-10", quota.EmailsPerDay, quota.LiveTestsPerDay
			counts(tomorrow, true)
			counts(mails, true)
			counts(tests, true)
			for day, want := range map[quota.Day]map[quota.Name]int{
				"2026-03-09": {quota.SMSPerDay: 10, quota.EmailsPerDay: 1, quota.LiveTestsPerDay: 1},
				"2026-03-10": {quota.SMSPerDay: 10},
				"2026-03-11": {},
			} {
				got, err := s.Messages(t.Context(), o, day)
				ok(t, err)
				for _, name := range quota.Daily() {
					same(t, string(day)+" "+string(name), got[name], want[name])
				}
			}
		}},
		{"racing batches of messages never exceed the limit", func(t trial, s Store) {
			o := anOrg()
			counted := race(t, racers, quota.ErrReached, func(i int) error {
				b := quota.Batch{Name: quota.ChatsPerDay, Day: "2026-03-09", Key: fmt.Sprint("exec_", i), Size: 2, Limit: 20}
				tally, done, err := s.AdmitMessages(t.Context(), o, b)
				if _, known := tally.Counted(b); err == nil && !done && !known { // marked by a call whose reply was lost
					return quota.ErrReached
				}
				return err
			})
			if counted > 10 || counted < 7 {
				t.Errorf("%d were counted, want 10", counted)
			}
		}},
	}
}
