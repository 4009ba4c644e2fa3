package execution_test

import (
	"testing"
	"time"

	"theoneagents.app/agents/shared/execution"
)

const (
	aDay  = 24 * time.Hour
	aYear = 365 * aDay
)

func TestARunIsKeptForItsRetentionAfterTheLatestEnd(t *testing.T) {
	t.Parallel()

	start := time.Date(2026, 3, 9, 14, 23, 1, 5, time.UTC)
	for name, tc := range map[string]struct {
		patience, retention, open time.Duration
		least, most               time.Duration // after its end
	}{
		"a quick run":                 {0, 30 * aDay, time.Second, 30 * aDay, 38 * aDay},
		"by default":                  {0, 0, time.Second, 400 * aDay, 408 * aDay},
		"a run that waits":            {aYear, 30 * aDay, aYear, 30 * aDay, 38 * aDay},
		"a run that could wait":       {aYear, 30 * aDay, time.Second, 30 * aDay, 38*aDay + aYear},
		"a run that was held":         {0, 30 * aDay, 2 * aYear, execution.MinRetention, execution.MinRetention + 3*time.Hour},
		"a run that ends when it may": {time.Hour, 400 * aDay, time.Hour + 7*aDay, 400 * aDay, 400*aDay + 3*time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			x := execution.New(execution.Execution{}, start).Kept(tc.patience, tc.retention)
			end := start.Add(tc.open)
			before := x.KeptUntil
			x = x.Complete(end)
			if kept := x.KeptUntil.Sub(end.Truncate(time.Second)); kept < tc.least || kept > tc.most {
				t.Errorf("kept %v after the end, want %v to %v", kept, tc.least, tc.most)
			}
			if tc.open <= tc.patience+7*aDay && !x.KeptUntil.Equal(before) {
				t.Errorf("kept until %v, and its steps until %v", x.KeptUntil, before)
			}
			if x.Gone(x.KeptUntil.Add(-1)) || !x.Gone(x.KeptUntil) {
				t.Error("it is not gone from that time on")
			}
		})
	}
}

func TestAnOpenRunIsNeverGoneAndStopsADayBeforeItsStepsExpire(t *testing.T) {
	t.Parallel()

	x := execution.New(execution.Execution{}, time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)).Kept(0, 30*aDay)
	if x.Gone(x.KeptUntil.Add(aYear)) {
		t.Error("an open run is gone")
	}
	if x.Outlived(x.KeptUntil.Add(-aDay-1)) || !x.Outlived(x.KeptUntil.Add(-aDay)) {
		t.Error("it may go on within a day of the expiry of its steps")
	}
	old := execution.New(execution.Execution{}, time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC))
	if old.Outlived(old.Created.Add(10 * aYear)) {
		t.Error("a run without expiry is stopped")
	}
	if got := old.Complete(old.Created).KeptUntil; got.Sub(old.Created) < execution.DefaultRetention || got.Sub(old.Created) > execution.DefaultRetention+3*time.Hour {
		t.Errorf("a run from before runs expired is kept until %v", got)
	}
}
