package storetest

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// many stores n runs, two in each second, agents taking turns, and returns
// them newest first.
func many(t trial, s Store, o id.Org, n int) []execution.Execution {
	t.Helper()
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

// newest is the order of lists: by whole seconds, then by id, from the end.
func newest(a, b execution.Execution) int {
	if c := b.Created.Truncate(time.Second).Compare(a.Created.Truncate(time.Second)); c != 0 {
		return c
	}
	if a.ID > b.ID {
		return -1
	}
	return 1
}

// walked returns all runs that a query finds, page by page, doing something
// between two pages.
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

// that returns the runs of which something holds.
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
		{"nothing is listed of an organization without runs", func(t trial, s Store) {
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
		{"a list shows how the runs stand now", func(t trial, s Store) {
			x := ended(t, s, leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1))), time.Minute)
			p, err := s.Executions(t.Context(), x.Org, execution.Query{Status: execution.Completed, Limit: 10})
			ok(t, err)
			x.Trigger.Payload = nil
			same(t, "runs", p.Executions, []execution.Execution{x})
		}},
	}
}
