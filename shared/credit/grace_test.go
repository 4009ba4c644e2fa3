package credit_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
)

func TestADayIsOfTheMonthOfItsHold(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		month credit.Month
		at    time.Time
		want  credit.Day
	}{
		"within":         {"2026-03", time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC), "2026-03-09"},
		"the first":      {"2026-03", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "2026-03-01"},
		"the last":       {"2026-03", time.Date(2026, 3, 31, 23, 59, 59, 999, time.UTC), "2026-03-31"},
		"after its end":  {"2026-02", time.Date(2026, 3, 1, 0, 0, 1, 0, time.UTC), "2026-02-28"},
		"long after":     {"2026-02", time.Date(2026, 6, 5, 0, 0, 1, 0, time.UTC), "2026-02-28"},
		"before":         {"2026-02", time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC), "2026-02-01"},
		"another zone":   {"2026-03", time.Date(2026, 3, 10, 0, 30, 0, 0, time.FixedZone("CET", 3600)), "2026-03-09"},
		"a leap year":    {"2028-02", time.Date(2028, 3, 2, 0, 0, 0, 0, time.UTC), "2028-02-29"},
		"turn of a year": {"2026-12", time.Date(2027, 1, 1, 5, 0, 0, 0, time.UTC), "2026-12-31"},
	} {
		if got := tc.month.DayOf(tc.at); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestTheGraceIsAHundredthOfTheAllocation(t *testing.T) {
	t.Parallel()

	for plan, want := range map[credit.Plan]int64{credit.Starter: 200, credit.Growth: 1000, credit.Scale: 3000, "": 200} {
		if got := plan.Unused("2026-03").DailyGrace(); got != want {
			t.Errorf("%q has a grace of %d a day, want %d", plan, got, want)
		}
	}
}

// Whatever the order of pardons, plans and clocks is, no day forgives more than the
// largest grace of the day, and a pardon without a look at the balance is the first
// of its day.
func TestPardonsNeverExceedTheGrace(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		plans := []credit.Plan{credit.Starter, credit.Growth, credit.Scale}
		b := credit.Starter.Unused("2026-03")
		forgiven, most := map[credit.Day]int64{}, map[credit.Day]int64{}
		var seen *credit.Balance
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "plan") == 0 {
				b.Allocation = rapid.SampledFrom(plans).Draw(t, "new plan").Allocation()
			}
			if rapid.Bool().Draw(t, "look") {
				now := b
				seen = &now
			}
			p := credit.Pardon{
				Hold: credit.Hold{Amount: rapid.SampledFrom(credit.Tiers()).Draw(t, "tier").Price()},
				Day:  rapid.SampledFrom([]credit.Day{"2026-03-08", "2026-03-09", "2026-03-10"}).Draw(t, "day"), Seen: seen,
			}
			if !b.Pardons(p) {
				continue
			}
			after, ok := b.Forgive(p.Day, p.Hold.Amount)
			if !ok || after.Grace.Day < b.Grace.Day {
				t.Fatalf("%+v pardons %+v: %+v", b, p, after)
			}
			b = after
			forgiven[b.Grace.Day] += p.Hold.Amount
			most[b.Grace.Day] = max(most[b.Grace.Day], b.DailyGrace())
		}
		for day, n := range forgiven {
			if n > most[day] {
				t.Errorf("%d credits are free on %s, and the grace is %d", n, day, most[day])
			}
		}
	})
}
