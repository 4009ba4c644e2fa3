package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// A row is an entry of a list and its position.
type row[T any] struct {
	at string
	of T
}

// sortKey returns the position of an entry in a list: its time in whole
// seconds, as the API shows it, then its id.
func sortKey(t time.Time, name string) string {
	return second(t) + "#" + name
}

func second(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// up rounds t up to a whole second.
func up(t time.Time) time.Time {
	if s := t.Truncate(time.Second); !s.Equal(t) {
		return s.Add(time.Second)
	}
	return t
}

// page returns at most limit rows before a position, newest first, and the
// position of the last one if more follow.
func page[T any](rows []row[T], after string, limit int) (list []T, next string) {
	slices.SortFunc(rows, func(a, b row[T]) int { return strings.Compare(b.at, a.at) })
	for i, r := range rows {
		if after != "" && r.at >= after {
			continue
		}
		if len(list) == max(limit, 1) {
			return list, rows[i-1].at
		}
		list = append(list, r.of)
	}
	return list, ""
}

// Executions implements execution.Store.
func (s *Store) Executions(_ context.Context, o id.Org, q execution.Query) (execution.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []row[*run]
	for _, r := range s.org(o).runs {
		if !r.execution.IsLedger() && wants(q, &r.execution) {
			rows = append(rows, row[*run]{at: sortKey(r.execution.Created, string(r.execution.ID)), of: r})
		}
	}
	var p execution.Page
	if q.Count && !q.Searches() {
		p.Total, p.More = min(len(rows), execution.MaxTotal), len(rows) > execution.MaxTotal
	}
	var found []*run
	found, p.Next = page(rows, q.After, q.Limit)
	if len(found) > 0 {
		p.Executions = make([]execution.Execution, len(found))
	}
	for i, r := range found {
		p.Executions[i] = r.header()
		if q.Payload != nil && q.Payload(r.execution.ID) {
			p.Executions[i].Trigger.Payload = clone(r.execution.Trigger.Payload)
		}
	}
	return p, nil
}

// wants reports whether a run matches a query.
func wants(q execution.Query, x *execution.Execution) bool {
	created, statuses := x.Created.Truncate(time.Second), q.Statuses()
	return (q.Agent == "" || q.Agent == x.Agent) && q.Found(x.Trigger.Client, x.Trigger.Type, x.Version) &&
		(len(statuses) == 0 || slices.Contains(statuses, x.Status) && (x.ListedByStatus() || !created.Before(q.Youngest()))) &&
		!created.Before(up(q.From)) &&
		(q.To.IsZero() || created.Before(up(q.To)))
}

// Approvals implements approval.Store.
func (s *Store) Approvals(_ context.Context, o id.Org, q approval.Query) (approval.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []row[approval.Approval]
	for _, a := range s.org(o).approvals {
		if q.Status == "" || q.Status == a.Status {
			rows = append(rows, row[approval.Approval]{at: sortKey(a.Created, string(a.ID)), of: a})
		}
	}
	var p approval.Page
	p.Approvals, p.Next = page(rows, q.After, q.Limit)
	p.Approvals = clone(p.Approvals)
	return p, nil
}

// Missed implements hold.Store.
func (s *Store) Missed(_ context.Context, o id.Org, a id.Agent, since time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.org(o).refusals {
		if e.Agent == a && e.Outcome == definition.OrgPaused && !e.At.Before(since) {
			n++
		}
	}
	return n, nil
}

// Activity implements activity.Store.
func (s *Store) Activity(_ context.Context, o id.Org, a id.Agent, q activity.Query) (activity.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []row[activity.Entry]
	keep := func(e activity.Entry) {
		if e.Agent == a && !e.At.Before(q.Since) {
			rows = append(rows, row[activity.Entry]{at: string(e.Place()), of: e})
		}
	}
	for _, e := range s.org(o).refusals {
		keep(e)
	}
	for _, r := range s.org(o).runs {
		if r.execution.Agent == a && r.execution.RetryOf == "" && !r.execution.IsLedger() { // a retry is started by a caller, not by an event
			keep(r.execution.Entry())
		}
	}
	var p activity.Page
	p.Entries, p.Next = page(rows, q.After, q.Limit)
	return p, nil
}
