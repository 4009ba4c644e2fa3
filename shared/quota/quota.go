// Package quota limits what an organization may use of the platform, by its plan.
// No definition can raise a quota.
package quota

import (
	"fmt"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/fault"
)

// A Name is the name of a quota in the API.
type Name string

// The quotas.
const (
	RunsPerMinute    Name = "runs_per_minute"
	RunsPerRootEvent Name = "runs_per_root_event"
	OpenRuns         Name = "open_runs"
	SMSPerDay        Name = "sms_per_day"
	EmailsPerDay     Name = "emails_per_day"
	ChatsPerDay      Name = "chat_and_webhook_messages_per_day"
	LiveTestsPerDay  Name = "live_tests_per_day"
)

// Limits are the quotas of a plan.
type Limits struct {
	RunsPerMinute    int // that start in one calendar minute (UTC)
	RunsPerRootEvent int // that one event starts, directly and by the events that its runs cause
	OpenRuns         int // that have not ended
	SMSPerDay        int // on one calendar day (UTC), as are the next
	EmailsPerDay     int
	ChatsPerDay      int // messages to Slack, Teams and webhooks together
	LiveTestsPerDay  int // test runs with live models
}

// liveTests is the number of test runs with live models on a day, with every plan.
const liveTests = 200

// Daily returns the quotas of a calendar day, in the order of the API.
func Daily() []Name { return []Name{SMSPerDay, EmailsPerDay, ChatsPerDay, LiveTestsPerDay} }

// perDay returns the limit of a quota of a day.
func (l Limits) perDay(name Name) int {
	switch name {
	case SMSPerDay:
		return l.SMSPerDay
	case EmailsPerDay:
		return l.EmailsPerDay
	case ChatsPerDay:
		return l.ChatsPerDay
	case LiveTestsPerDay:
		return l.LiveTestsPerDay
	case RunsPerMinute, RunsPerRootEvent, OpenRuns:
	}
	return 0
}

// Of returns the limits of a plan. An unknown plan has those of the smallest.
func Of(p credit.Plan) Limits {
	switch p {
	case credit.Scale:
		return Limits{RunsPerMinute: 6_000, RunsPerRootEvent: 200, OpenRuns: 50_000, SMSPerDay: 5_000, EmailsPerDay: 50_000, ChatsPerDay: 500_000, LiveTestsPerDay: liveTests}
	case credit.Growth:
		return Limits{RunsPerMinute: 1_500, RunsPerRootEvent: 100, OpenRuns: 10_000, SMSPerDay: 500, EmailsPerDay: 5_000, ChatsPerDay: 50_000, LiveTestsPerDay: liveTests}
	case credit.Starter:
	}
	return Limits{RunsPerMinute: 300, RunsPerRootEvent: 50, OpenRuns: 1_000, SMSPerDay: 50, EmailsPerDay: 500, ChatsPerDay: 5_000, LiveTestsPerDay: liveTests}
}

// ErrReached refuses a request that would exceed a quota. The errors of this package
// are of type *Reached, which match it.
var ErrReached = fault.New(fault.Limited, "quota_reached", "A quota of the organization's plan is reached.")

// Reached says which quota is reached.
type Reached struct {
	Name  Name
	Used  int
	Limit int
	Reset time.Time     // when the quota begins anew; zero for one without a window
	Wait  time.Duration // until another try makes sense
}

// Sentence names the quota, its limit, its use and its reset.
func (r *Reached) Sentence() string {
	text := fmt.Sprintf("%s is %d and %d runs ", r.Name, r.Limit, r.Used)
	switch r.Name {
	case SMSPerDay, EmailsPerDay, ChatsPerDay:
		return fmt.Sprintf("%s is %d and %d messages are counted; the next may be sent at %s",
			r.Name, r.Limit, r.Used, r.Reset.UTC().Format(time.RFC3339))
	case LiveTestsPerDay:
		return fmt.Sprintf("%s is %d and %d test runs with live models are counted; the next may start at %s",
			r.Name, r.Limit, r.Used, r.Reset.UTC().Format(time.RFC3339))
	case OpenRuns:
		return text + "are open; the next may start when one of them ends"
	case RunsPerRootEvent:
		return text + "started from it; no more may start"
	case RunsPerMinute:
	}
	return text + "started; the next may start at " + r.Reset.UTC().Format(time.RFC3339)
}

func (r *Reached) Error() string { return r.Unwrap().Error() }

// Unwrap returns the fault.
func (r *Reached) Unwrap() error {
	return ErrReached.Sayf("The quota of the organization's plan is reached: %s.", r.Sentence())
}
