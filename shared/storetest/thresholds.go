package storetest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// thresholds returns the promises about holds that reach a threshold of the
// credits.
func thresholds() []promise {
	return []promise{
		{"a watched hold that reaches no threshold is taken like any other", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			for n := range 3 { // the first opens the month
				x, err := reserve(t, s, aRun(o, "agent_1", n), 100)
				ok(t, err)
				same(t, "low", x.Holds["think"].Low, credit.Low{})
			}
			same(t, "remaining", balance(t, s, o).Remaining, 19_700)
		}},
		{"a watched hold that reaches a threshold is refused until it is marked", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 0), 15_900))
			before := balance(t, s, o)
			c := holding(t, s, aRun(o, "agent_1", 1), 100)
			c.Watched = true
			is(t, reachedBy(t, s.Commit(t.Context(), c)), nil)
			got := s.Commit(t.Context(), c)
			r, _ := errors.AsType[*credit.Reached](got)
			same(t, "balance", r.Balance, before)
			same(t, "remaining", balance(t, s, o).Remaining, 4_100)
			marked := mark(c, r.Balance)
			same(t, "low", marked.Reserve.Low, credit.Low{Marks: 1, Used: 16_000, Allocation: 20_000})
			x := committed(t, s, marked)
			stored, _ := read(t, s, x)
			same(t, "hold", stored.Holds["think"], *marked.Reserve)
			same(t, "told", balance(t, s, o).Announced, 1)
			again, err := reserve(t, s, aRun(o, "agent_1", 2), 100)
			ok(t, err)
			same(t, "low of the next", again.Holds["think"].Low, credit.Low{})
		}},
		{"a hold that was marked for another balance is refused", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 0), 15_900))
			seen := balance(t, s, o)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 1), 5))
			c := mark(holding(t, s, aRun(o, "agent_1", 2), 100), seen)
			is(t, reachedBy(t, s.Commit(t.Context(), c)), nil)
			same(t, "remaining", balance(t, s, o).Remaining, 4_095)
			same(t, "told", balance(t, s, o).Announced, 0)
		}},
		{"a watched hold of more credits than remain is refused as insufficient", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 0), 19_950))
			_, err := reserve(t, s, aRun(o, "agent_1", 1), 100)
			is(t, err, credit.ErrInsufficient)
			same(t, "remaining", balance(t, s, o).Remaining, 50)
		}},
		{"a threshold that a released hold had reached can be reached again", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 0), 15_900))
			x, err := reserve(t, s, aRun(o, "agent_1", 1), 100)
			ok(t, err)
			back, _ := x.Released(execution.StepRecord{ID: "think", Status: execution.StepFailed, Attempt: x.Lease.Attempt})
			committed(t, s, back)
			same(t, "told", balance(t, s, o).Announced, 0)
			other, err := reserve(t, s, aRun(o, "agent_1", 2), 100)
			ok(t, err)
			same(t, "marks", other.Holds["think"].Low.Marks, 1)
		}},
		{"as many racing refused answers are pardoned as the grace of a day allows", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			changes := make([]execution.Change, 2*racers)
			for i := range changes {
				x, err := reserve(t, s, aRun(o, "agent_1", i+1), 20)
				ok(t, err)
				changes[i], _ = x.Released(execution.StepRecord{ID: "think", Status: execution.StepFailed, Attempt: x.Lease.Attempt, Refused: true})
			}
			day := month.DayOf(month.Start().AddDate(0, 0, 8))
			won := race(t, len(changes), errCharged, func(i int) error { return pardon(t, s, changes[i], day) })
			same(t, "pardoned", won, 10)
			same(t, "grace", balance(t, s, o).Grace, credit.Grace{Day: day, Used: 200})
			same(t, "remaining", balance(t, s, o).Remaining, 20_000-20*int64(len(changes)-won))
		}},
		{"each day has a grace of its own, and a day does not come back", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			first, second := month.DayOf(month.Start().AddDate(0, 0, 8)), month.DayOf(month.Start().AddDate(0, 0, 9))
			for i, step := range []struct {
				day  credit.Day
				want error
				used int64
			}{{first, nil, 150}, {first, errCharged, 150}, {second, nil, 150}, {first, errCharged, 150}} {
				x, err := reserve(t, s, aRun(o, "agent_1", i+1), 150)
				ok(t, err)
				c, _ := x.Released(execution.StepRecord{ID: "think", Status: execution.StepFailed, Attempt: x.Lease.Attempt})
				is(t, pardon(t, s, c, step.day), step.want)
				same(t, "used", balance(t, s, o).Grace.Used, step.used)
			}
			same(t, "day", balance(t, s, o).Grace.Day, second)
		}},
		{"the grace follows the plan", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			day := month.DayOf(month.Start())
			for i := range 3 {
				if i == 2 {
					bought(t, s, o, credit.Starter)
				}
				x, err := reserve(t, s, aRun(o, "agent_1", i+1), 150)
				ok(t, err)
				c, _ := x.Released(execution.StepRecord{ID: "think", Status: execution.StepFailed, Attempt: x.Lease.Attempt})
				is(t, pardon(t, s, c, day), []error{nil, nil, errCharged}[i])
			}
			same(t, "used", balance(t, s, o).Grace.Used, 300)
		}},
		{"a pardon of a run that has changed is stale and leaves the grace", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			x, err := reserve(t, s, aRun(o, "agent_1", 1), 20)
			ok(t, err)
			c, _ := x.Released(execution.StepRecord{ID: "think", Status: execution.StepFailed, Attempt: x.Lease.Attempt})
			committed(t, s, execution.Change{Execution: x})
			is(t, pardon(t, s, c, month.DayOf(month.Start())), execution.ErrStale)
			same(t, "grace", balance(t, s, o).Grace, credit.Grace{})
		}},
		{"each threshold is reached by one of many racing holds", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 0), 15_000))
			var mu sync.Mutex
			reached := map[int64]int{}
			race(t, racers, credit.ErrInsufficient, func(i int) error {
				x, err := reserve(t, s, aRun(o, "agent_1", i+1), 200)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				for _, percent := range x.Holds["think"].Low.Marks.Percents() {
					reached[percent]++
				}
				return nil
			})
			same(t, "remaining", balance(t, s, o).Remaining, 0)
			same(t, "reached", reached, map[int64]int{80: 1, 95: 1, 100: 1})
		}},
		{"a new plan moves the thresholds, and those of the month that were reached stay so", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			first, err := reserve(t, s, aRun(o, "agent_1", 0), 16_000)
			ok(t, err)
			same(t, "marks", first.Holds["think"].Low.Marks.Percents(), []int64{80})
			bought(t, s, o, credit.Growth)
			second, err := reserve(t, s, aRun(o, "agent_1", 1), 70_000) // 86 percent
			ok(t, err)
			same(t, "low", second.Holds["think"].Low, credit.Low{})
			third, err := reserve(t, s, aRun(o, "agent_1", 2), 10_000)
			ok(t, err)
			same(t, "low", third.Holds["think"].Low, credit.Low{Marks: 2, Used: 96_000, Allocation: 100_000})
		}},
		{"the event of a threshold is stored when its hold is charged", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			x, err := reserve(t, s, aRun(o, "agent_1", 0), 19_500)
			ok(t, err)
			same(t, "unpublished", len(left(t, s, o, day().Add(time.Hour))), 0)
			answer := execution.StepRecord{ID: "think", Kind: definition.AI, Status: execution.StepCompleted, Charge: &credit.Hold{}}
			done := func(x execution.Execution) execution.Execution { return x.Complete(x.Created.Add(time.Minute)) }
			committed(t, s, x.End(done, execution.Steps{"think": answer}, false))
			var percents []any
			for _, e := range left(t, s, o, day().Add(time.Hour)) {
				percents = append(percents, e.Payload["threshold_percent"])
				same(t, "used", e.Payload["used"], any(int64(19_500)))
			}
			slices.SortFunc(percents, func(a, b any) int { return int(a.(int64) - b.(int64)) }) //nolint:errcheck,forcetypeassert // a test.
			same(t, "thresholds", percents, []any{int64(80), int64(95)})
		}},
	}
}

// reachedBy returns nil for the refusal of a hold at a threshold, or err.
func reachedBy(t trial, err error) error {
	t.Helper()
	if err == nil {
		t.Fatal("the hold was taken")
	}
	if _, ok := errors.AsType[*credit.Reached](err); ok {
		return nil
	}
	return err
}

// mark returns a change whose hold is marked for a balance.
func mark(c execution.Change, seen credit.Balance) execution.Change {
	h := *c.Reserve
	_, h.Low = seen.With(h.Amount)
	c.Reserve, c.Watched, c.Seen = &h, true, &seen
	c.Execution.Holds = map[id.Step]credit.Hold{"think": h}
	return c
}

// reserve takes a hold of a new run as the runner does, and returns the run.
func reserve(t trial, s Store, x execution.Execution, amount int64) (execution.Execution, error) {
	t.Helper()
	c := holding(t, s, x, amount)
	c.Watched = true
	for {
		err := s.Commit(t.Context(), c)
		r, ok := errors.AsType[*credit.Reached](err)
		if !ok {
			c.Execution.Revision++
			return c.Execution, err
		}
		c = mark(c, r.Balance)
	}
}

// errCharged reports that the grace of a day does not suffice.
var errCharged = errors.New("the refused answer is charged")

// pardon commits the release of a hold with a pardon on a day, or returns errCharged.
func pardon(t trial, s Store, c execution.Change, day credit.Day) error {
	h := c.Released[0]
	p := credit.Pardon{Hold: h, Day: day}
	for {
		err := s.Commit(t.Context(), c.Pardoned(&p))
		moved, ok := errors.AsType[*credit.Moved](err)
		if !ok {
			return err
		}
		if _, free := moved.Balance.Forgive(day, h.Amount); !free {
			return errCharged
		}
		p.Seen = &moved.Balance
	}
}
