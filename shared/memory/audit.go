package memory

import (
	"context"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/id"
)

// record stores the acts of a change.
func (o *org) record(acts []audit.Entry) {
	for _, e := range acts {
		o.audit[e.ID] = e
	}
}

// Audit implements audit.Store.
func (s *Store) Audit(_ context.Context, o id.Org, q audit.Query) (audit.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []audit.Entry
	for _, e := range s.org(o).audit {
		late := !q.To.IsZero() && !e.At.Before(q.To)
		if q.Wants(e) && !e.At.Before(q.From) && !late && (q.After == "" || actPosition(e) < q.After) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b audit.Entry) int { return strings.Compare(actPosition(b), actPosition(a)) })
	p := audit.Page{Entries: entries}
	if q.Limit = max(q.Limit, 1); len(entries) > q.Limit {
		p.Entries = entries[:q.Limit]
		p.Next = actPosition(p.Entries[q.Limit-1])
	}
	return p, nil
}

// actPosition returns the position of an entry in a list.
func actPosition(e audit.Entry) string {
	return e.At.UTC().Format("2006-01-02T15:04:05.000000000Z") + "#" + string(e.ID)
}
