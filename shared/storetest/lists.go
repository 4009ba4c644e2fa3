package storetest

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// counted makes the agents known by their statistics, as they are a moment after the end of
// their first run: a list of the completed runs of an organization has those of known agents.
func counted(t trial, s Store, o id.Org, agents ...id.Agent) {
	t.Helper()
	for _, a := range agents {
		c := execution.Contribution{Org: o, Agent: a, Run: "exec_first", Revision: 3, At: day()}
		ok(t, s.AddStats(t.Context(), o, a, []execution.Contribution{c}))
	}
}

// many stores n runs, two in each second, alternating between two agents, and
// returns them newest first.
func many(t trial, s Store, o id.Org, n int) []execution.Execution {
	t.Helper()
	counted(t, s, o, "agent_0", "agent_1")
	all := make([]execution.Execution, n)
	race(t, n, nil, func(i int) error {
		x := aRun(o, id.Agent(fmt.Sprintf("agent_%d", i%2)), i)
		x.ID = id.Execution(fmt.Sprintf("exec_%05d", (i*7919)%100_000))
		x.Created = day().Add(time.Duration(i/2)*time.Second + time.Duration(i%2)*time.Millisecond)
		if i%3 == 0 {
			x.Status = execution.Failed
		}
		all[i] = x
		all[i].Revision, all[i].Trigger.Payload = 1, nil
		return s.Create(t.Context(), x)
	})
	slices.SortFunc(all, newest)
	return all
}

// staged stores n runs of agent_1 in the state that as returns, one in each
// second from the given one, and returns them newest first.
func staged(t trial, s Store, o id.Org, from, n int, as func(execution.Execution) execution.Execution) []execution.Execution {
	t.Helper()
	all := make([]execution.Execution, n)
	race(t, n, nil, func(i int) error {
		x := as(aRun(o, "agent_1", from+i))
		all[n-1-i] = x
		all[n-1-i].Revision, all[n-1-i].Trigger.Payload = 1, nil
		return s.Create(t.Context(), x)
	})
	return all
}

// throughAll stores runs of two agents, each of which passes one more status
// than the run before, and returns them newest first. vary changes the run of each
// number before it is stored.
func throughAll(t trial, s Store, o id.Org, vary ...func(n int, x *execution.Execution)) []execution.Execution {
	t.Helper()
	begin := func(a id.Agent, n int) execution.Execution {
		x := aRun(o, a, n)
		for _, change := range vary {
			change(n, &x)
		}
		return begun(t, s, x)
	}
	lease := func(x execution.Execution) execution.Execution {
		x, _ = x.Leased("owner", 0, x.Created)
		return x
	}
	life := []func(execution.Execution) execution.Execution{
		lease,
		func(x execution.Execution) execution.Execution { return x.AwaitingApproval(day().Add(time.Hour)) },
		lease,
		func(x execution.Execution) execution.Execution { return x.Parked(day().Add(time.Hour)) },
		lease,
		func(x execution.Execution) execution.Execution { return x.Complete(day()) },
	}
	counted(t, s, o, "agent_0", "agent_1")
	var all []execution.Execution
	keep := func(x execution.Execution) {
		x.Trigger.Payload = nil
		all = append(all, x)
	}
	for n := range 2 * (len(life) + 1) {
		x := begin(id.Agent(fmt.Sprintf("agent_%d", n%2)), n)
		for _, next := range life[:n/2] {
			x = committed(t, s, execution.Change{Execution: next(x)})
		}
		keep(x)
	}
	for n, end := range []func(execution.Execution) execution.Execution{
		func(x execution.Execution) execution.Execution { return x.Fail(execution.Failure{Code: "x"}, day()) },
		func(x execution.Execution) execution.Execution {
			x, _ = x.Cancel(execution.CancelledByUser, "user_1", day())
			return x
		},
	} {
		young := begin("agent_0", 20+n)
		keep(committed(t, s, execution.Change{Execution: end(young)}))
		rested := begin("agent_1", 30+n)
		rested = committed(t, s, execution.Change{Execution: rested.AwaitingApproval(day())})
		keep(committed(t, s, execution.Change{Execution: end(rested)}))
	}
	slices.SortFunc(all, newest)
	return all
}

// newest orders runs as lists do: by whole seconds, then by id, newest first.
func newest(a, b execution.Execution) int {
	if c := b.Created.Truncate(time.Second).Compare(a.Created.Truncate(time.Second)); c != 0 {
		return c
	}
	if a.ID > b.ID {
		return -1
	}
	return 1
}

// walked returns all runs of a query, page by page, and calls between after
// each page but the last.
func walked(t trial, s Store, o id.Org, q execution.Query, between func()) []execution.Execution {
	t.Helper()
	var all []execution.Execution
	for {
		p, err := s.Executions(t.Context(), o, q)
		ok(t, err)
		if len(p.Executions) > q.Limit {
			t.Fatalf("a page has %d runs, want at most %d", len(p.Executions), q.Limit)
		}
		all = append(all, p.Executions...)
		if p.Next == "" {
			return all
		}
		q.After = p.Next
		between()
	}
}

// that returns the runs for which holds is true.
func that(all []execution.Execution, holds func(execution.Execution) bool) []execution.Execution {
	var some []execution.Execution
	for _, x := range all {
		if holds(x) {
			some = append(some, x)
		}
	}
	return some
}

func lists() []promise {
	nothing := func() {}
	return []promise{
		{"runs are listed newest first, ties by id, without payloads", func(t trial, s Store) {
			o := anOrg()
			want := many(t, s, o, 41)
			for _, limit := range []int{1, 7, 20, 40, 41, 42, 200} {
				same(t, fmt.Sprintf("pages of %d", limit), walked(t, s, o, execution.Query{Limit: limit}, nothing), want)
			}
		}},
		{"the list of an organization without runs is empty", func(t trial, s Store) {
			p, err := s.Executions(t.Context(), anOrg(), execution.Query{Limit: 10, Count: true})
			ok(t, err)
			same(t, "page", p, execution.Page{})
		}},
		{"a list is narrowed to an agent, a status and a time", func(t trial, s Store) {
			o := anOrg()
			all := many(t, s, o, 40)
			from, to := day().Add(4*time.Second), day().Add(11*time.Second)
			for name, c := range map[string]struct {
				q     execution.Query
				holds func(execution.Execution) bool
			}{
				"agent":  {execution.Query{Agent: "agent_1"}, func(x execution.Execution) bool { return x.Agent == "agent_1" }},
				"status": {execution.Query{Status: execution.Failed}, func(x execution.Execution) bool { return x.Status == execution.Failed }},
				"from":   {execution.Query{From: from}, func(x execution.Execution) bool { return !x.Created.Before(from) }},
				"to":     {execution.Query{To: to}, func(x execution.Execution) bool { return x.Created.Before(to) }},
				"late": {execution.Query{From: from.Add(-time.Millisecond), To: to.Add(-time.Millisecond)}, func(x execution.Execution) bool {
					return !x.Created.Before(from) && x.Created.Before(to)
				}},
				"all": {execution.Query{Agent: "agent_0", Status: execution.Failed, From: from, To: to}, func(x execution.Execution) bool {
					return x.Agent == "agent_0" && x.Status == execution.Failed && !x.Created.Before(from) && x.Created.Before(to)
				}},
				"nothing": {execution.Query{From: to, To: from}, func(execution.Execution) bool { return false }},
				"unknown": {execution.Query{Agent: "agent_2"}, func(execution.Execution) bool { return false }},
			} {
				want := that(all, c.holds)
				for _, limit := range []int{1, 4, 100} {
					c.q.Limit = limit
					same(t, name, walked(t, s, o, c.q, nothing), want)
				}
				c.q.Count = true
				p, err := s.Executions(t.Context(), o, c.q)
				ok(t, err)
				same(t, name+": total", p.Total, len(want))
				same(t, name+": more", p.More, false)
			}
		}},
		{"a total does not depend on the page", func(t trial, s Store) {
			o := anOrg()
			many(t, s, o, 12)
			q := execution.Query{Limit: 5, Count: true}
			for range 3 {
				p, err := s.Executions(t.Context(), o, q)
				ok(t, err)
				same(t, "total", p.Total, 12)
				q.After = p.Next
			}
		}},
		{"pages have no duplicates and no gaps while new runs arrive", func(t trial, s Store) {
			o := anOrg()
			want := many(t, s, o, 60)
			n := 0
			arrive := func() {
				n++
				x := aRun(o, id.Agent(fmt.Sprintf("agent_%d", n%2)), 1000+n)
				x.Created = day().Add(time.Hour + time.Duration(n)*time.Second)
				ok(t, s.Create(t.Context(), x))
			}
			same(t, "all", walked(t, s, o, execution.Query{Limit: 7}, arrive), want)
			old := execution.Query{Agent: "agent_1", Status: execution.Failed, To: day().Add(time.Minute), Limit: 3}
			same(t, "some", walked(t, s, o, old, arrive), that(want, func(x execution.Execution) bool {
				return x.Agent == "agent_1" && x.Status == execution.Failed
			}))
		}},
		{"a page of one status is full, also behind many runs of other statuses", func(t trial, s Store) {
			o := anOrg()
			want := staged(t, s, o, 0, 7, func(x execution.Execution) execution.Execution {
				return x.Fail(execution.Failure{Code: "product_error"}, x.Created)
			})
			staged(t, s, o, 100, 300, func(x execution.Execution) execution.Execution { return x.Complete(x.Created) })
			for _, q := range []execution.Query{{Limit: 5}, {Limit: 7}, {Limit: 5, Agent: "agent_1"}} {
				q.Status, q.Count = execution.Failed, true
				p, err := s.Executions(t.Context(), o, q)
				ok(t, err)
				same(t, "page", p.Executions, want[:q.Limit])
				same(t, "whether it is the last", p.Next == "", q.Limit == len(want))
				same(t, "total", p.Total, len(want))
			}
		}},
		{"the completed runs of many agents are one list, newest first, and one total", func(t trial, s Store) {
			o := anOrg()
			all := make([]execution.Execution, 90)
			race(t, len(all), nil, func(n int) error {
				a := id.Agent(fmt.Sprintf("agent_%d", n%3))
				if n%10 == 0 { // few events start this agent
					a = "agent_rare"
				} else if n < 60 { // no late event starts this agent
					a = "agent_old"
				}
				x := aRun(o, a, n)
				all[n] = x.Complete(x.Created)
				if n%7 == 0 {
					all[n] = x.Fail(execution.Failure{Code: "product_error"}, x.Created)
				}
				x = all[n]
				all[n].Revision, all[n].Trigger.Payload = 1, nil
				return s.Create(t.Context(), x)
			})
			counted(t, s, o, "agent_0", "agent_1", "agent_2", "agent_rare", "agent_old")
			slices.SortFunc(all, newest)
			want := that(all, func(x execution.Execution) bool { return x.Status == execution.Completed })
			for _, limit := range []int{1, 3, 10, 76, 77, 78, 100} {
				same(t, fmt.Sprintf("pages of %d", limit), walked(t, s, o, execution.Query{Status: execution.Completed, Limit: limit}, nothing), want)
			}
			p, err := s.Executions(t.Context(), o, execution.Query{Status: execution.Completed, Limit: 5, Count: true})
			ok(t, err)
			same(t, "total", p.Total, len(want))
			from, to := all[60].Created, all[20].Created
			within := execution.Query{Status: execution.Completed, From: from, To: to, Limit: 7}
			same(t, "within a time", walked(t, s, o, within, nothing), that(want, func(x execution.Execution) bool {
				return !x.Created.Before(from) && x.Created.Before(to)
			}))
		}},
		{"every run is listed and counted under its current status alone", func(t trial, s Store) {
			o := anOrg()
			all := throughAll(t, s, o)
			for _, st := range execution.Statuses() {
				for _, a := range []id.Agent{"", "agent_0", "agent_1", "agent_2"} {
					q := execution.Query{Status: st, Agent: a, Now: day().Add(time.Minute)}
					want := that(all, func(x execution.Execution) bool { return x.Status == st && (a == "" || x.Agent == a) })
					for _, q.Limit = range []int{1, 3, 100} {
						same(t, fmt.Sprintf("%s of %q", st, a), walked(t, s, o, q, nothing), want)
					}
					q.Count = true
					p, err := s.Executions(t.Context(), o, q)
					ok(t, err)
					same(t, fmt.Sprintf("total %s of %q", st, a), p.Total, len(want))
					same(t, "more", p.More, false)
				}
			}
		}},
		{"a list of several statuses has the runs of each, once, and counts them", func(t trial, s Store) {
			o := anOrg()
			all := throughAll(t, s, o)
			for _, among := range [][]execution.Status{
				{execution.Failed, execution.Cancelled},
				{execution.Running, execution.WaitingApproval, execution.Pending, execution.Running},
				{execution.Completed},
				execution.Statuses(),
			} {
				for _, a := range []id.Agent{"", "agent_0", "agent_2"} {
					q := execution.Query{Among: among, Agent: a, Now: day().Add(time.Minute)}
					want := that(all, func(x execution.Execution) bool { return slices.Contains(among, x.Status) && (a == "" || x.Agent == a) })
					for _, q.Limit = range []int{1, 3, 100} {
						same(t, fmt.Sprintf("%s of %q", among, a), walked(t, s, o, q, nothing), want)
					}
					q.Count = true
					p, err := s.Executions(t.Context(), o, q)
					ok(t, err)
					same(t, fmt.Sprintf("total %s of %q", among, a), p.Total, len(want))
					same(t, "more", p.More, false)
				}
			}
		}},
		{"a search finds the runs of a client, an event type and a version, among those of a status and an agent, and counts none", func(t trial, s Store) {
			o := anOrg()
			all := throughAll(t, s, o, func(n int, x *execution.Execution) {
				x.Version, x.Trigger.Type = 1+n%3, []string{"ticket.escalated", "ticket.created"}[n%2]
				x.Trigger.Client = []id.Client{"", "cli_1", "cli_2"}[n/2%3]
			})
			for _, q := range []execution.Query{
				{Client: "cli_1"},
				{EventType: "ticket.created"},
				{Version: 2, Agent: "agent_1"},
				{Client: "cli_2", EventType: "ticket.escalated"},
				{Client: "cli_1", Among: []execution.Status{execution.Running, execution.Failed, execution.WaitingApproval}},
				{EventType: "ticket.created", Status: execution.Completed},
				{Client: "cli_3"},
			} {
				q.Now = day().Add(time.Minute)
				want := that(all, func(x execution.Execution) bool {
					return q.Found(x.Trigger.Client, x.Trigger.Type, x.Version) && (q.Agent == "" || q.Agent == x.Agent) &&
						(len(q.Statuses()) == 0 || slices.Contains(q.Statuses(), x.Status))
				})
				for _, q.Limit = range []int{1, 3, 100} {
					same(t, fmt.Sprintf("%+v", q), walked(t, s, o, q, nothing), want)
				}
				q.Count = true
				p, err := s.Executions(t.Context(), o, q)
				ok(t, err)
				same(t, "total", p.Total, 0)
			}
		}},
		{"the selected runs of a list have the payload of their event", func(t trial, s Store) {
			o := anOrg()
			var want []execution.Execution
			selected := map[id.Execution]bool{}
			for n := range 6 {
				x := aRun(o, "agent_1", n)
				x.Trigger.Payload["n"] = int64(n / 3) // three runs share the payload
				_, err := s.ClaimDedup(t.Context(), x, x.Created, x.Created.Add(time.Minute))
				ok(t, err)
				ok(t, s.Create(t.Context(), x))
				x.Revision = 1
				if selected[x.ID] = n%2 == 0; !selected[x.ID] {
					x.Trigger.Payload = nil
				}
				want = append(want, x)
			}
			slices.SortFunc(want, newest)
			q := execution.Query{Limit: 10, Payload: func(x id.Execution) bool { return selected[x] }}
			p, err := s.Executions(t.Context(), o, q)
			ok(t, err)
			same(t, "runs", p.Executions, want)
		}},
		{"pages of one status have no duplicates and no gaps while new runs arrive", func(t trial, s Store) {
			o := anOrg()
			run := func(x execution.Execution) execution.Execution {
				x, _ = x.Leased("owner", 0, x.Created)
				return x
			}
			want := slices.Concat(
				staged(t, s, o, 60, 20, run),
				staged(t, s, o, 30, 20, func(x execution.Execution) execution.Execution { return run(x.Parked(x.Created)) }),
				staged(t, s, o, 0, 20, run),
			)
			n := 1000
			arrive := func() {
				staged(t, s, o, n, 1, run)
				staged(t, s, o, n+1, 1, func(x execution.Execution) execution.Execution { return run(x.Parked(x.Created)) })
				n += 2
			}
			q := execution.Query{Status: execution.Running, Limit: 7, Now: day().Add(time.Minute)}
			same(t, "all", walked(t, s, o, q, arrive), want)
			q.Agent = "agent_1"
			q.To = day().Add(100 * time.Second)
			same(t, "of an agent", walked(t, s, o, q, arrive), want)
		}},
		{"a run under way is listed by status while it is young, and always once it was parked", func(t trial, s Store) {
			o := anOrg()
			x := leased(t, s, begun(t, s, aRun(o, "agent_1", 0)))
			listed := func(after time.Duration) (n int) {
				q := execution.Query{Status: execution.Running, Limit: 10, Count: true, Now: x.Created.Add(after)}
				p, err := s.Executions(t.Context(), o, q)
				ok(t, err)
				same(t, "total", p.Total, len(p.Executions))
				return len(p.Executions)
			}
			same(t, "young", listed(execution.Young), 1)
			same(t, "old", listed(execution.Young+time.Second), 0)
			committed(t, s, execution.Change{Execution: x.Parked(day())})
			same(t, "young, parked", listed(time.Minute), 1)
			same(t, "old, parked", listed(365*24*time.Hour), 1)
		}},
		{"a list shows the current state of the runs", func(t trial, s Store) {
			x := ended(t, s, leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1))), time.Minute)
			counted(t, s, x.Org, x.Agent)
			p, err := s.Executions(t.Context(), x.Org, execution.Query{Status: execution.Completed, Limit: 10})
			ok(t, err)
			x.Trigger.Payload = nil
			same(t, "runs", p.Executions, []execution.Execution{x})
		}},
	}
}
