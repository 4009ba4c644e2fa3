package quota_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
)

// A planned store knows the plan of the organization.
type planned struct {
	*memory.Store

	plan credit.Plan
}

func (p planned) Plan(context.Context, id.Org) (credit.Plan, error) { return p.plan, nil }

// Whatever steps, crashes and repetitions do, a day never holds more messages than it
// may, and a message that was admitted is not refused on that day.
func TestNoDayHoldsMoreMessagesThanItMay(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 60).Draw(t, "limit")
		now := noon()
		q := service(planned{memory.New(), credit.Starter}, quota.Limits{SMSPerDay: limit}, &now)
		type batch struct {
			size, may int
			day       quota.Day
		}
		batches, sent := map[string]batch{}, map[quota.Day]int{}
		last := ""
		t.Repeat(map[string]func(*rapid.T){
			"a step": func(t *rapid.T) {
				key := fmt.Sprintf("exec_%d:s", len(batches))
				n := rapid.IntRange(1, 20).Draw(t, "messages")
				may, full, err := q.AdmitMessages(t.Context(), org, quota.SMSPerDay, key, n)
				if err != nil || (full == nil) != (may == n) || may > n {
					t.Fatalf("%d of %d may be sent, refused by %v: %v", may, n, full, err)
				}
				batches[key], last = batch{n, may, quota.DayOf(now)}, key
				sent[quota.DayOf(now)] += may
				if full != nil && sent[quota.DayOf(now)] != limit {
					t.Fatalf("refused after %d of %d", sent[quota.DayOf(now)], limit)
				}
			},
			"the step again": func(t *rapid.T) {
				b, ok := batches[last]
				if !ok || b.day != quota.DayOf(now) {
					return
				}
				may, _, err := q.AdmitMessages(t.Context(), org, quota.SMSPerDay, last, b.size)
				if err != nil || may != b.may {
					t.Fatalf("%d may be sent, before %d: %v", may, b.may, err)
				}
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 9).Draw(t, "hours")) * time.Hour)
			},
			"": func(t *rapid.T) {
				for day, n := range sent {
					if n > limit {
						t.Fatalf("%d messages of at most %d on %s", n, limit, day)
					}
				}
			},
		})
	})
}

func TestADayOfAPlanHasItsMessages(t *testing.T) {
	t.Parallel()

	now := noon()
	q := service(planned{memory.New(), credit.Growth}, quota.Limits{}, &now)
	q.Limits = quota.Of
	for i := range 26 {
		want := 20
		if i == 25 {
			want = 0
		}
		may, full, err := q.AdmitMessages(t.Context(), org, quota.SMSPerDay, fmt.Sprint("exec_", i), 20)
		if err != nil || may != want || (full == nil) != (want == 20) {
			t.Fatalf("%d may be sent, refused by %v: %v", may, full, err)
		}
		if full != nil && (*full != quota.Reached{Name: quota.SMSPerDay, Used: 500, Limit: 500, Reset: noon().Add(12 * time.Hour), Wait: 12 * time.Hour}) {
			t.Errorf("refused by %+v", full)
		}
	}
	usage := usage(t, q)
	if usage[quota.SMSPerDay] != 500 || usage[quota.EmailsPerDay] != 0 || usage[quota.ChatsPerDay] != 0 {
		t.Errorf("used %v", usage)
	}
	now = now.Add(12 * time.Hour)
	if may, full, err := q.AdmitMessages(t.Context(), org, quota.SMSPerDay, "exec_25", 20); err != nil || may != 20 || full != nil {
		t.Errorf("on the next day %d may be sent, refused by %v: %v", may, full, err)
	}
}
