package quota_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/quota"
)

func TestAPlanHasItsQuotas(t *testing.T) {
	t.Parallel()

	for plan, want := range map[credit.Plan]quota.Limits{
		credit.Starter: {RunsPerMinute: 300, RunsPerRootEvent: 50, OpenRuns: 1_000, SMSPerDay: 50, EmailsPerDay: 500, ChatsPerDay: 5_000, LiveTestsPerDay: 200},
		credit.Growth:  {RunsPerMinute: 1_500, RunsPerRootEvent: 100, OpenRuns: 10_000, SMSPerDay: 500, EmailsPerDay: 5_000, ChatsPerDay: 50_000, LiveTestsPerDay: 200},
		credit.Scale:   {RunsPerMinute: 6_000, RunsPerRootEvent: 200, OpenRuns: 50_000, SMSPerDay: 5_000, EmailsPerDay: 50_000, ChatsPerDay: 500_000, LiveTestsPerDay: 200},
		"":             {RunsPerMinute: 300, RunsPerRootEvent: 50, OpenRuns: 1_000, SMSPerDay: 50, EmailsPerDay: 500, ChatsPerDay: 5_000, LiveTestsPerDay: 200},
	} {
		if got := quota.Of(plan); got != want {
			t.Errorf("%q: got %+v, want %+v", plan, got, want)
		}
	}
}

func TestAReachedQuotaNamesItsLimitUseAndReset(t *testing.T) {
	t.Parallel()

	reset := time.Date(2026, time.March, 9, 14, 24, 0, 0, time.UTC)
	for want, r := range map[string]*quota.Reached{
		"runs_per_minute is 300 and 300 runs started; the next may start at 2026-03-09T14:24:00Z": {
			Name: quota.RunsPerMinute, Used: 300, Limit: 300, Reset: reset,
		},
		"sms_per_day is 50 and 50 messages are counted; the next may be sent at 2026-03-09T14:24:00Z": {
			Name: quota.SMSPerDay, Used: 50, Limit: 50, Reset: reset,
		},
		"live_tests_per_day is 200 and 200 test runs with live models are counted; the next may start at 2026-03-09T14:24:00Z": {
			Name: quota.LiveTestsPerDay, Used: 200, Limit: 200, Reset: reset,
		},
		"open_runs is 1000 and 1000 runs are open; the next may start when one of them ends": {
			Name: quota.OpenRuns, Used: 1000, Limit: 1000,
		},
		"runs_per_root_event is 50 and 50 runs started from it; no more may start": {
			Name: quota.RunsPerRootEvent, Used: 50, Limit: 50,
		},
	} {
		if got := r.Sentence(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		f := fault.From(r)
		if !errors.Is(r, quota.ErrReached) || f.Class != fault.Limited || f.Code != "quota_reached" || !strings.Contains(f.Message, want) {
			t.Errorf("the fault is %+v", f)
		}
	}
}
