package credit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
)

func TestAHoldNamesTheThresholdsThatItReachesFirst(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		balance credit.Balance
		amount  int64
		want    []int64
		used    int64
	}{
		"none":                      {credit.Balance{Allocation: 20_000, Remaining: 20_000}, 200, nil, 0},
		"one credit before 80":      {credit.Balance{Allocation: 20_000, Remaining: 4_101}, 100, nil, 0},
		"80 exactly":                {credit.Balance{Allocation: 20_000, Remaining: 4_100}, 100, []int64{80}, 16_000},
		"80 that was reached":       {credit.Balance{Allocation: 20_000, Remaining: 4_100, Announced: 1}, 100, nil, 0},
		"two at once":               {credit.Balance{Allocation: 20_000, Remaining: 5_000}, 4_500, []int64{80, 95}, 19_500},
		"all at once":               {credit.Balance{Allocation: 20_000, Remaining: 20_000}, 20_000, []int64{80, 95, 100}, 20_000},
		"95 after 80":               {credit.Balance{Allocation: 20_000, Remaining: 1_010, Announced: 1}, 20, []int64{95}, 19_010},
		"100 with the last credit":  {credit.Balance{Allocation: 20_000, Remaining: 5, Announced: 3}, 5, []int64{100}, 20_000},
		"80 that was released":      {credit.Balance{Allocation: 20_000, Remaining: 500, Announced: 2}, 5, []int64{80}, 19_505},
		"a plan that became larger": {credit.Balance{Allocation: 100_000, Remaining: 84_000, Announced: 1}, 70_000, nil, 0},
	} {
		after, low := tc.balance.With(tc.amount)
		if diff := cmp.Diff(tc.want, low.Marks.Percents()); diff != "" || low.Used != tc.used {
			t.Errorf("%s: used %d (-want +got)\n%s", name, low.Used, diff)
		}
		if after.Remaining != tc.balance.Remaining-tc.amount || after.Announced != tc.balance.Announced|low.Marks {
			t.Errorf("%s: %+v", name, after)
		}
	}
}

// A hold reaches a threshold exactly when it takes all of the slack.
func TestTheSlackIsTheLargestHoldBelowTheNextThreshold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := credit.Balance{
			Allocation: rapid.Int64Range(1, 300_000).Draw(t, "allocation"),
			Announced:  credit.Marks(rapid.IntRange(0, 7).Draw(t, "told")),
		}
		b.Remaining = rapid.Int64Range(0, b.Allocation).Draw(t, "remaining")
		if b.Slack() <= 0 {
			return // a threshold is reached already, and the next hold says so
		}
		amount := rapid.Int64Range(1, 400_000).Draw(t, "amount")
		_, low := b.With(amount)
		if (low.Marks != 0) != (amount >= b.Slack()) {
			t.Errorf("%+v: a hold of %d reaches %v; the slack is %d", b, amount, low.Marks.Percents(), b.Slack())
		}
	})
}
