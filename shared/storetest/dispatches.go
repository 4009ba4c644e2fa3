package storetest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

func dispatches() []promise {
	claim := func(t trial, s Store, x execution.Execution, now time.Time) id.Execution {
		t.Helper()
		got, err := s.Claim(t.Context(), x, now, now.Add(dispatch.Window))
		ok(t, err)
		return got
	}
	named := func(x execution.Execution, name string) execution.Execution {
		x.ID, x.Trigger.ID = id.Execution("exec_"+name), id.Event("evt_"+name)
		return x
	}
	return []promise{
		{"an event's content belongs to the first run until its time is over", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			first, twin := named(x, "first"), named(x, "twin")
			same(t, "first", claim(t, s, first, day()), first.ID)
			same(t, "twin", claim(t, s, twin, day().Add(time.Minute)), first.ID)
			same(t, "first again", claim(t, s, first, day().Add(2*time.Minute)), first.ID)
			same(t, "twin in the last moment", claim(t, s, twin, day().Add(dispatch.Window-1)), first.ID)
			same(t, "twin afterwards", claim(t, s, twin, day().Add(dispatch.Window)), twin.ID)
			same(t, "first afterwards", claim(t, s, first, day().Add(dispatch.Window+1)), twin.ID)
		}},
		{"who looks finds the run that has the content, until its time is over or it gives it back", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			first, twin := named(x, "first"), named(x, "twin")
			holder := func(now time.Time) id.Execution {
				t.Helper()
				got, err := s.Holder(t.Context(), twin, now)
				ok(t, err)
				return got
			}
			same(t, "before", holder(day()), "")
			ok(t, s.Release(t.Context(), first))
			same(t, "of nothing", holder(day()), "")
			claim(t, s, first, day())
			same(t, "claimed", holder(day()), first.ID)
			same(t, "in the last moment", holder(day().Add(dispatch.Window-1)), first.ID)
			same(t, "afterwards", holder(day().Add(dispatch.Window)), "")
			ok(t, s.Release(t.Context(), twin))
			same(t, "given back by another", holder(day()), first.ID)
			for range 2 {
				ok(t, s.Release(t.Context(), first))
				same(t, "given back", holder(day()), "")
			}
			same(t, "claimed again", claim(t, s, twin, day()), twin.ID)
			ok(t, s.Release(t.Context(), first))
			same(t, "given back too late", holder(day()), twin.ID)
		}},
		{"what is given back is still the payload of those that had it before", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			later := named(x, "later")
			claim(t, s, later, x.Created.Add(dispatch.Window))
			ok(t, s.Release(t.Context(), later))
			got, _ := read(t, s, x)
			same(t, "payload", got.Trigger.Payload, x.Trigger.Payload)
		}},
		{"other content and other agents are not twins", func(t trial, s Store) {
			o := anOrg()
			for i, x := range []execution.Execution{aRun(o, "agent_1", 1), aRun(o, "agent_1", 2), aRun(o, "agent_2", 1)} {
				x = named(x, strconv.Itoa(i))
				same(t, "owner", claim(t, s, x, day()), x.ID)
			}
		}},
		{"of many racing twins one run has the content, and all know which", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			var mu sync.Mutex
			owners := map[id.Execution]int{}
			race(t, racers, nil, func(i int) error {
				got, err := s.Claim(t.Context(), named(x, strconv.Itoa(i)), day(), day().Add(dispatch.Window))
				mu.Lock()
				defer mu.Unlock()
				owners[got]++
				return err
			})
			same(t, "owners", len(owners), 1)
		}},
		{"exactly as many racing runs are let in as the limit says", func(t trial, s Store) {
			o, l := anOrg(), agent.Limit{PerHour: 7}
			var seen dispatch.Counted // by all of them
			var mu sync.Mutex
			in, out := 0, 0
			race(t, racers, nil, func(i int) error {
				why, err := s.Admit(t.Context(), aRun(o, "agent_1", i), l, seen, day())
				mu.Lock()
				defer mu.Unlock()
				if why == "" {
					in++
				} else if strings.Contains(why, "max_per_hour is 7") {
					out++
				}
				return err
			})
			same(t, "let in", in, 7)
			same(t, "refused", out, racers-7)
		}},
		{"a run that was counted is not counted again", func(t trial, s Store) {
			o, l := anOrg(), agent.Limit{PerDay: 2}
			race(t, racers, nil, func(i int) error {
				why, err := s.Admit(t.Context(), aRun(o, "agent_1", i%2), l, dispatch.Counted{}, day())
				if why != "" {
					t.Errorf("racer %d is refused: %s", i, why)
				}
				return err
			})
			seen, err := s.Counted(t.Context(), o, "agent_1")
			ok(t, err)
			same(t, "counted", len(seen.Starts), 2)
			why, err := s.Admit(t.Context(), aRun(o, "agent_1", 3), l, seen, day().Add(24*time.Hour-1))
			ok(t, err)
			same(t, "why", why, "max_per_day is 2 and 2 started; the next may start at 2026-03-10T14:23:01Z")
			why, err = s.Admit(t.Context(), aRun(o, "agent_1", 3), l, seen, day().Add(24*time.Hour))
			ok(t, err)
			same(t, "why", why, "")
		}},
		{"an agent rests as long as its limit says", func(t trial, s Store) {
			o, l := anOrg(), agent.Limit{Cooldown: 15}
			for n, want := range []string{"", "cooldown_minutes is 15 and the last run started at 2026-03-09T14:23:01Z; " +
				"the next may start at 2026-03-09T14:38:01Z", "", "cooldown_minutes is 15"} {
				why, err := s.Admit(t.Context(), aRun(o, "agent_1", n), l, dispatch.Counted{}, day().Add(time.Duration(n)*10*time.Minute))
				ok(t, err)
				if !strings.HasPrefix(why, want) || (want == "") != (why == "") {
					t.Errorf("run %d: why = %q, want %q", n, why, want)
				}
			}
			why, err := s.Admit(t.Context(), aRun(o, "agent_2", 1), l, dispatch.Counted{}, day())
			ok(t, err)
			same(t, "another agent", why, "")
		}},
	}
}

// refusal returns what became of the nth event.
func refusal(o id.Org, a id.Agent, n int) activity.Entry {
	e := anEvent(o, n)
	return activity.Entry{
		ID: activity.ID(o, a, e.ID, e.Published), Org: o, Agent: a, At: e.Published,
		Event: e.ID, EventType: e.Type, Product: e.Product, Outcome: agent.Filtered, Detail: "n is too small",
	}
}

// history returns all entries, page by page, doing something between two pages.
func history(t trial, s Store, o id.Org, a id.Agent, q activity.Query, between func()) []activity.Entry {
	t.Helper()
	var all []activity.Entry
	for {
		p, err := s.Activity(t.Context(), o, a, q)
		ok(t, err)
		if len(p.Entries) > q.Limit {
			t.Fatalf("a page has %d entries, want at most %d", len(p.Entries), q.Limit)
		}
		all = append(all, p.Entries...)
		if p.Next == "" {
			return all
		}
		q.After = p.Next
		between()
	}
}

func activities() []promise {
	started := func(x execution.Execution) activity.Entry {
		return activity.Entry{
			ID: activity.ID(x.Org, x.Agent, x.Trigger.ID, x.Trigger.Published), Org: x.Org, Agent: x.Agent, At: x.Created,
			Event: x.Trigger.ID, EventType: x.Trigger.Type, Product: x.Trigger.Product,
			Outcome: agent.Started, Execution: x.ID,
		}
	}
	return []promise{
		{"an agent's runs and refusals are one list, newest first, without duplicates or gaps", func(t trial, s Store) {
			o := anOrg()
			var want []activity.Entry
			for n := range 40 {
				e := refusal(o, "agent_1", n)
				if n%5 == 0 || n > 25 && n < 31 {
					x := begun(t, s, aRun(o, "agent_1", n))
					e = started(x)
				} else {
					ok(t, s.Refuse(t.Context(), e))
				}
				want = append([]activity.Entry{e}, want...)
				ok(t, s.Refuse(t.Context(), refusal(o, "agent_2", n)))
			}
			n := 1000
			arrive := func() {
				n++
				ok(t, s.Refuse(t.Context(), refusal(o, "agent_1", n)))
				begun(t, s, aRun(o, "agent_1", n+1000))
			}
			for _, limit := range []int{1, 3, 7, 100} {
				q := activity.Query{Limit: limit}
				got := history(t, s, o, "agent_1", q, arrive)
				same(t, fmt.Sprintf("pages of %d", limit), got[len(got)-len(want):], want)
				if limit == 1 {
					same(t, "entries that arrived meanwhile", len(got)-len(want), 0)
				}
			}
		}},
		{"an event that is delivered twice is one entry", func(t trial, s Store) {
			e := refusal(anOrg(), "agent_1", 1)
			ok(t, s.Refuse(t.Context(), e))
			want := e
			e.At, e.Detail = e.At.Add(time.Hour), "still"
			ok(t, s.Refuse(t.Context(), e))
			want.Detail = "still"
			same(t, "entries", history(t, s, e.Org, e.Agent, activity.Query{Limit: 5}, func() {}), []activity.Entry{want})
		}},
		{"retries are not activity", func(t trial, s Store) {
			o := anOrg()
			want := begun(t, s, aRun(o, "agent_1", 0))
			for n := 1; n < 10; n++ {
				x := aRun(o, "agent_1", n)
				x.RetryOf = want.ID
				begun(t, s, x)
			}
			for _, limit := range []int{1, 3, 100} {
				same(t, "entries", history(t, s, o, "agent_1", activity.Query{Limit: limit}, func() {}), []activity.Entry{started(want)})
			}
		}},
		{"what is older than asked for is not listed", func(t trial, s Store) {
			o := anOrg()
			for n := range 10 {
				ok(t, s.Refuse(t.Context(), refusal(o, "agent_1", 2*n)))
				begun(t, s, aRun(o, "agent_1", 2*n+1))
			}
			got := history(t, s, o, "agent_1", activity.Query{Limit: 3, Since: day().Add(8 * time.Second)}, func() {})
			same(t, "entries", len(got), 12)
			same(t, "oldest", got[11].At, day().Add(8*time.Second))
		}},
		{"nothing is listed of an agent that heard nothing", func(t trial, s Store) {
			p, err := s.Activity(t.Context(), anOrg(), "agent_1", activity.Query{Limit: 5})
			ok(t, err)
			same(t, "page", p, activity.Page{})
		}},
	}
}
