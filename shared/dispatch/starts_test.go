package dispatch_test

import (
	"strconv"
	"testing"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/id"
)

func TestAdmit(t *testing.T) {
	t.Parallel()

	day := time.Date(2026, time.March, 9, 14, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		limit definition.Limit
		at    []time.Duration // times at which different runs ask
		want  string          // the reason that refuses the last run
	}{
		"the first run":             {definition.Limit{PerHour: 1, PerDay: 1, Cooldown: 1}, []time.Duration{0}, ""},
		"one too many in an hour":   {definition.Limit{PerHour: 2}, []time.Duration{0, time.Minute, time.Hour - 1}, "max_per_hour is 2 and 2 started; the next may start at 2026-03-09T15:00:00Z"},
		"after an hour":             {definition.Limit{PerHour: 2}, []time.Duration{0, time.Minute, time.Hour}, ""},
		"one too many in a day":     {definition.Limit{PerDay: 1}, []time.Duration{0, 24*time.Hour - 1}, "max_per_day is 1 and 1 started; the next may start at 2026-03-10T14:00:00Z"},
		"after a day":               {definition.Limit{PerDay: 1}, []time.Duration{0, 24 * time.Hour}, ""},
		"while resting":             {definition.Limit{Cooldown: 10}, []time.Duration{0, 10*time.Minute - 1}, "cooldown_minutes is 10 and the last run started at 2026-03-09T14:00:00Z; the next may start at 2026-03-09T14:10:00Z"},
		"after a rest":              {definition.Limit{Cooldown: 10}, []time.Duration{0, 10 * time.Minute}, ""},
		"refused runs do not count": {definition.Limit{PerHour: 1}, []time.Duration{0, time.Minute, time.Hour}, ""},
		"no limit at all":           {definition.Limit{}, []time.Duration{0, 0, 0}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var s dispatch.Starts
			why := ""
			for i, after := range c.at {
				s, why = s.Admit(id.Execution(strconv.Itoa(i)), c.limit, day.Add(after))
			}
			if why != c.want {
				t.Errorf("why = %q, want %q", why, c.want)
			}
		})
	}
}

func TestStartsStaySmall(t *testing.T) {
	t.Parallel()

	var s dispatch.Starts
	for i := range 100 {
		s, _ = s.Admit(id.Execution(strconv.Itoa(i)), definition.Limit{PerHour: 3}, time.Unix(int64(i)*3600, 0))
	}
	if len(s) != 3 {
		t.Errorf("%d starts are kept, want 3", len(s))
	}
	if again, why := s.Admit("99", definition.Limit{PerHour: 1}, time.Unix(99*3600, 0)); why != "" || len(again) != 3 {
		t.Errorf("a run that was counted is counted again: %v, %q", again, why)
	}
}
