package memory

import (
	"context"
	"slices"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/outbox"
)

// store puts events into the outbox.
func (o *org) store(events []event.Event) {
	for _, e := range events {
		o.outbox[e.ID] = clone(e)
	}
}

// Unpublished implements outbox.Store.
func (s *Store) Unpublished(_ context.Context, now time.Time, limit int) ([]event.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []event.Event
	for _, o := range s.orgs {
		for _, e := range o.outbox {
			if e.Published.Add(outbox.Grace).Before(now) {
				left = append(left, clone(e))
			}
		}
	}
	slices.SortFunc(left, func(a, b event.Event) int { return a.Published.Compare(b.Published) })
	return left[:min(len(left), limit)], nil
}

// Published implements outbox.Store.
func (s *Store) Published(_ context.Context, o id.Org, e id.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.org(o).outbox, e)
	return nil
}
