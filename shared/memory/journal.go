package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
)

// KeepEvent implements dispatch.Journal.
func (s *Store) KeepEvent(_ context.Context, o id.Org, e journal.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e = clone(e)
	e.Event.Org = o
	s.org(o).received[e.Event.Name()+" "+string(e.Place())] = e
	return nil
}

// KeepLetter implements dispatch.LetterStore.
func (s *Store) KeepLetter(_ context.Context, o id.Org, l journal.Letter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org(o).letters[l.Event] = l
	return nil
}

// Letter implements explain.Records.
func (s *Store) Letter(_ context.Context, o id.Org, e id.Event) (journal.Letter, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.org(o).letters[e]
	return l, ok, nil
}

// Received implements journal.Store.
func (s *Store) Received(_ context.Context, o id.Org, q journal.Query) (journal.Page, error) {
	if _, _, ok := q.After.Parts(); !ok && q.After != "" {
		return journal.Page{}, fmt.Errorf("memory: %q is not a position in the journal", q.After)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var p journal.Page
	for _, e := range s.org(o).received {
		if q.Wants(e) {
			p.Entries = append(p.Entries, clone(e))
		}
	}
	slices.SortFunc(p.Entries, func(a, b journal.Entry) int {
		return cmp.Or(cmp.Compare(b.Place(), a.Place()), cmp.Compare(a.Event.Name(), b.Event.Name()))
	})
	if limit := max(q.Limit, 1); len(p.Entries) > limit {
		p.Entries = p.Entries[:limit]
		p.Next = p.Entries[limit-1].Place()
	}
	return p, nil
}
