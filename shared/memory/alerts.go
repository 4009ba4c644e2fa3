package memory

import (
	"context"

	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/id"
)

// Alerts implements alert.Store.
func (s *Store) Alerts(_ context.Context, o id.Org) (alert.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.org(o).alerts), nil
}

// SaveAlerts implements alert.Store.
func (s *Store) SaveAlerts(_ context.Context, o id.Org, r alert.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	org := s.org(o)
	if org.alerts.Revision != r.Revision {
		return alert.ErrStale
	}
	r.Revision++
	org.alerts = clone(r)
	return nil
}
