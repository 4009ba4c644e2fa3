package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

func dispatches() []promise {
	claim := func(t trial, s Store, x execution.Execution, now time.Time) id.Execution {
		t.Helper()
		got, err := s.ClaimDedup(t.Context(), x, now, now.Add(dispatch.Window))
		ok(t, err)
		return got
	}
	named := func(x execution.Execution, name string) execution.Execution {
		x.ID, x.Trigger.ID = id.Execution("exec_"+name), id.Event("evt_"+name)
		return x
	}
	return []promise{
		{"the first run holds the deduplication claim of an event's content until it expires", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			first, twin := named(x, "first"), named(x, "twin")
			same(t, "first", claim(t, s, first, day()), first.ID)
			same(t, "twin", claim(t, s, twin, day().Add(time.Minute)), first.ID)
			same(t, "first again", claim(t, s, first, day().Add(2*time.Minute)), first.ID)
			same(t, "twin in the last moment", claim(t, s, twin, day().Add(dispatch.Window-1)), first.ID)
			same(t, "twin afterwards", claim(t, s, twin, day().Add(dispatch.Window)), twin.ID)
			same(t, "first afterwards", claim(t, s, first, day().Add(dispatch.Window+1)), twin.ID)
		}},
		{"the holder of a claim is found until the claim expires or is released", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			first, twin := named(x, "first"), named(x, "twin")
			holder := func(now time.Time) id.Execution {
				t.Helper()
				got, err := s.DedupHolder(t.Context(), twin, now)
				ok(t, err)
				return got
			}
			same(t, "before", holder(day()), "")
			ok(t, s.ReleaseDedup(t.Context(), first))
			same(t, "of nothing", holder(day()), "")
			claim(t, s, first, day())
			same(t, "claimed", holder(day()), first.ID)
			same(t, "in the last moment", holder(day().Add(dispatch.Window-1)), first.ID)
			same(t, "afterwards", holder(day().Add(dispatch.Window)), "")
			ok(t, s.ReleaseDedup(t.Context(), twin))
			same(t, "given back by another", holder(day()), first.ID)
			for range 2 {
				ok(t, s.ReleaseDedup(t.Context(), first))
				same(t, "given back", holder(day()), "")
			}
			same(t, "claimed again", claim(t, s, twin, day()), twin.ID)
			ok(t, s.ReleaseDedup(t.Context(), first))
			same(t, "given back too late", holder(day()), twin.ID)
		}},
		{"the payload of a released claim is kept for the earlier runs", func(t trial, s Store) {
			x := begun(t, s, aRun(anOrg(), "agent_1", 1))
			later := named(x, "later")
			claim(t, s, later, x.Created.Add(dispatch.Window))
			ok(t, s.ReleaseDedup(t.Context(), later))
			got, _ := read(t, s, x)
			same(t, "payload", got.Trigger.Payload, x.Trigger.Payload)
		}},
		{"other content and other agents are no duplicates", func(t trial, s Store) {
			o := anOrg()
			for i, x := range []execution.Execution{aRun(o, "agent_1", 1), aRun(o, "agent_1", 2), aRun(o, "agent_2", 1)} {
				x = named(x, strconv.Itoa(i))
				same(t, "owner", claim(t, s, x, day()), x.ID)
			}
		}},
		{"of many racing duplicates one run holds the claim, and all know which", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			var mu sync.Mutex
			owners := map[id.Execution]int{}
			race(t, racers, nil, func(i int) error {
				got, err := s.ClaimDedup(t.Context(), named(x, strconv.Itoa(i)), day(), day().Add(dispatch.Window))
				mu.Lock()
				defer mu.Unlock()
				owners[got]++
				return err
			})
			same(t, "owners", len(owners), 1)
		}},
		{"exactly as many racing runs are admitted as the limit allows", func(t trial, s Store) {
			o, l := anOrg(), definition.Limit{PerHour: 7}
			var seen dispatch.LimitStarts // the same for all racers
			var mu sync.Mutex
			in, out := 0, 0
			race(t, racers, nil, func(i int) error {
				why, err := s.AdmitWithinLimit(t.Context(), aRun(o, "agent_1", i), l, seen, day())
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
			o, l := anOrg(), definition.Limit{PerDay: 2}
			race(t, racers, nil, func(i int) error {
				why, err := s.AdmitWithinLimit(t.Context(), aRun(o, "agent_1", i%2), l, dispatch.LimitStarts{}, day())
				if why != "" {
					t.Errorf("racer %d is refused: %s", i, why)
				}
				return err
			})
			seen, err := s.LimitStarts(t.Context(), o, "agent_1")
			ok(t, err)
			same(t, "counted", len(seen.Starts), 2)
			why, err := s.AdmitWithinLimit(t.Context(), aRun(o, "agent_1", 3), l, seen, day().Add(24*time.Hour-1))
			ok(t, err)
			same(t, "why", why, "max_per_day is 2 and 2 started; the next may start at 2026-03-10T14:23:01Z")
			why, err = s.AdmitWithinLimit(t.Context(), aRun(o, "agent_1", 3), l, seen, day().Add(24*time.Hour))
			ok(t, err)
			same(t, "why", why, "")
		}},
		{"an agent is limited for as long as its limit says", func(t trial, s Store) {
			o, l := anOrg(), definition.Limit{Cooldown: 15}
			for n, want := range []string{"", "cooldown_minutes is 15 and the last run started at 2026-03-09T14:23:01Z; " +
				"the next may start at 2026-03-09T14:38:01Z", "", "cooldown_minutes is 15"} {
				why, err := s.AdmitWithinLimit(t.Context(), aRun(o, "agent_1", n), l, dispatch.LimitStarts{}, day().Add(time.Duration(n)*10*time.Minute))
				ok(t, err)
				if !strings.HasPrefix(why, want) || (want == "") != (why == "") {
					t.Errorf("run %d: why = %q, want %q", n, why, want)
				}
			}
			why, err := s.AdmitWithinLimit(t.Context(), aRun(o, "agent_2", 1), l, dispatch.LimitStarts{}, day())
			ok(t, err)
			same(t, "another agent", why, "")
		}},
	}
}

// refusal returns the entry of the nth event, which was refused.
func refusal(o id.Org, a id.Agent, n int) activity.Entry {
	e := anEvent(o, n)
	return activity.Entry{
		ID: activity.ID(o, a, e.ID, e.Published), Org: o, Agent: a, At: e.Published,
		Event: e.ID, EventType: e.Type, Product: e.Product, Outcome: definition.Filtered, Detail: "n is too small",
		Client: e.Client, Related: "exec_1", Fault: &condition.Fault{
			Path: "n", Operator: condition.Gt, Wanted: int64(9007199254740993), Found: []any{"<a>", jsonvalue.Number("0.5"), nil, true},
		},
	}
}

// history returns all entries, page by page, and calls between after each page
// but the last.
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
	nothing := func() {}
	return []promise{
		{"an agent's runs and refusals are one list, newest first, without duplicates or gaps", func(t trial, s Store) {
			o := anOrg()
			var want []activity.Entry
			for n := range 40 {
				e := refusal(o, "agent_1", n)
				if n%5 == 0 || n > 25 && n < 31 {
					e = begun(t, s, aRun(o, "agent_1", n)).Entry()
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
		{"the first decision about an event is the entry, also when the event is redelivered late", func(t trial, s Store) {
			for _, lag := range []time.Duration{0, time.Minute, -time.Minute, 20 * 24 * time.Hour} {
				want := refusal(anOrg(), "agent_1", 1)
				want.At = want.At.Add(lag)
				for n := range 4 {
					again := want
					again.At, again.Detail = want.At.Add(time.Duration(n)*time.Hour), fmt.Sprintf("decision %d", n)
					if n == 0 {
						want = again
					}
					ok(t, s.Refuse(t.Context(), again))
				}
				got := history(t, s, want.Org, want.Agent, activity.Query{Limit: 5}, nothing)
				same(t, "entries", got, []activity.Entry{want})
			}
		}},
		{"of many racing deliveries of an event one decision is the entry", func(t trial, s Store) {
			for _, lag := range []time.Duration{0, time.Hour} {
				e := refusal(anOrg(), "agent_1", 1)
				race(t, racers, nil, func(i int) error {
					again := e
					again.At = e.At.Add(lag + time.Duration(i)*time.Second)
					return s.Refuse(t.Context(), again)
				})
				same(t, "entries", len(history(t, s, e.Org, e.Agent, activity.Query{Limit: 5}, nothing)), 1)
			}
		}},
		{"a refused event may start a run when it is replayed, and then has both entries", func(t trial, s Store) {
			x := aRun(anOrg(), "agent_1", 1)
			e := refusal(x.Org, x.Agent, 1)
			ok(t, s.Refuse(t.Context(), e))
			x.Created = x.Created.Add(time.Hour)
			start := begun(t, s, x).Entry()
			same(t, "entries", history(t, s, x.Org, x.Agent, activity.Query{Limit: 5}, nothing), []activity.Entry{start, e})
			if start.ID == e.ID {
				t.Errorf("both entries are called %s", e.ID)
			}
		}},
		{"late, repeated and concurrent events are one list, sorted by the time of the decision", func(t trial, s Store) {
			for seed := range uint64(30) {
				ordered(t, s, rand.New(rand.NewPCG(seed, 0)))
			}
		}},
		{"many decisions of one second are one list, in their order", func(t trial, s Store) {
			o := anOrg()
			want := make([]activity.Entry, 160)
			race(t, len(want), nil, func(n int) error {
				at := day().Add(time.Duration(n*7919%len(want)) * time.Millisecond)
				if n%2 == 0 {
					x := aRun(o, "agent_1", n)
					x.Created = at
					want[n] = x.Entry()
					return s.Create(t.Context(), x)
				}
				want[n] = refusal(o, "agent_1", n)
				want[n].At = at
				return s.Refuse(t.Context(), want[n])
			})
			slices.SortFunc(want, latest)
			for _, limit := range []int{7, 50, 200} {
				same(t, fmt.Sprintf("pages of %d", limit), history(t, s, o, "agent_1", activity.Query{Limit: limit}, nothing), want)
			}
		}},
		{"the first run that made an object is its maker until the record ends", func(t trial, s Store) {
			o, made := anOrg(), catalog.ObjectID{Kind: "psa:ticket", ID: "tkt #1/\n"}
			maker := func(o id.Org, made catalog.ObjectID, now time.Time) id.Execution {
				t.Helper()
				x, err := s.Maker(t.Context(), o, made, now)
				ok(t, err)
				return x
			}
			same(t, "before", maker(o, made, day()), "")
			for range 2 {
				ok(t, s.SaveMaker(t.Context(), o, made, "exec_1", day()))
			}
			ok(t, s.SaveMaker(t.Context(), o, made, "exec_2", day().Add(execution.MakerKept-1)))
			same(t, "in the last moment", maker(o, made, day().Add(execution.MakerKept-1)), "exec_1")
			same(t, "afterwards", maker(o, made, day().Add(execution.MakerKept)), "")
			same(t, "in another organization", maker(anOrg(), made, day()), "")
			same(t, "another kind", maker(o, catalog.ObjectID{Kind: "psa:note", ID: made.ID}, day()), "")
			same(t, "another object", maker(o, catalog.ObjectID{Kind: made.Kind, ID: "tkt"}, day()), "")
			ok(t, s.SaveMaker(t.Context(), o, made, "exec_3", day().Add(execution.MakerKept)))
			same(t, "made again", maker(o, made, day().Add(execution.MakerKept)), "exec_3")
		}},
		{"of many racing runs one is the maker of an object, and stays it", func(t trial, s Store) {
			o, made := anOrg(), catalog.ObjectID{Kind: "psa:ticket", ID: "tkt_1"}
			var mu sync.Mutex
			makers := map[id.Execution]bool{}
			race(t, racers, nil, func(i int) error {
				if err := s.SaveMaker(t.Context(), o, made, id.Execution("exec_"+strconv.Itoa(i)), day()); err != nil {
					return err
				}
				x, err := s.Maker(t.Context(), o, made, day())
				mu.Lock()
				defer mu.Unlock()
				makers[x] = true
				return err
			})
			same(t, "makers", len(makers), 1)
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
				same(t, "entries", history(t, s, o, "agent_1", activity.Query{Limit: limit}, nothing), []activity.Entry{want.Entry()})
			}
		}},
		{"entries older than the query are not listed", func(t trial, s Store) {
			o := anOrg()
			for n := range 10 {
				ok(t, s.Refuse(t.Context(), refusal(o, "agent_1", 2*n)))
				begun(t, s, aRun(o, "agent_1", 2*n+1))
			}
			got := history(t, s, o, "agent_1", activity.Query{Limit: 3, Since: day().Add(8 * time.Second)}, nothing)
			same(t, "entries", len(got), 12)
			same(t, "oldest", got[11].At, day().Add(8*time.Second))
		}},
		{"the list of an agent without events is empty", func(t trial, s Store) {
			p, err := s.Activity(t.Context(), anOrg(), "agent_1", activity.Query{Limit: 5})
			ok(t, err)
			same(t, "page", p, activity.Page{})
		}},
	}
}

// latest is the order of a list of activity.
func latest(a, b activity.Entry) int { return cmp.Compare(b.Place(), a.Place()) }

// ordered has 30 events of one agent evaluated in a random order, on time or
// late, some of them twice, and compares the list with the first decisions.
func ordered(t trial, s Store, r *rand.Rand) {
	t.Helper()
	one := func(some ...time.Duration) time.Duration { return some[r.IntN(len(some))] }
	o, now := anOrg(), day().Add(time.Hour)
	published := map[int]time.Time{}
	refused, started := map[int]activity.Entry{}, map[int]activity.Entry{}
	for range 40 {
		now = now.Add(one(0, 1, time.Microsecond, 300*time.Millisecond, time.Second, 9*time.Second, time.Minute))
		n := r.IntN(30)
		if published[n].IsZero() {
			published[n] = now.Add(-one(0, time.Millisecond, time.Second, 9*time.Second, 11*time.Second, -time.Second, -time.Hour, 48*time.Hour))
		}
		e, x := refusal(o, "agent_1", n), aRun(o, "agent_1", n)
		x.Trigger.Published, x.Created = published[n], now
		e.ID, e.At = activity.ID(o, "agent_1", e.Event, published[n]), now
		if _, again := started[n]; again || r.IntN(3) == 0 {
			err := s.Create(t.Context(), x)
			if !again {
				ok(t, err)
				started[n] = x.Entry()
			} else {
				is(t, err, execution.ErrExists)
			}
			continue
		}
		ok(t, s.Refuse(t.Context(), e))
		if _, again := refused[n]; !again {
			refused[n] = e
		}
	}
	want := slices.Concat(slices.Collect(maps.Values(refused)), slices.Collect(maps.Values(started)))
	slices.SortFunc(want, latest)
	for _, limit := range []int{1, 4, 100} {
		got := history(t, s, o, "agent_1", activity.Query{Limit: limit}, func() {})
		same(t, fmt.Sprintf("pages of %d", limit), got, want)
	}
	since := now.Add(-3 * time.Minute)
	got := history(t, s, o, "agent_1", activity.Query{Limit: 4, Since: since}, func() {})
	same(t, "recent", got, slices.DeleteFunc(want, func(e activity.Entry) bool { return e.At.Before(since) }))
}
