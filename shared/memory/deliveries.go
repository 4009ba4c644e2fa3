package memory

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/id"
)

// BeginDelivery implements queue.Deliveries.
func (s *Store) BeginDelivery(_ context.Context, o id.Org, message string, _ time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.org(o).begun
	begun[message]++
	return begun[message] - 1, nil
}

// EndDelivery implements queue.Deliveries.
func (s *Store) EndDelivery(_ context.Context, o id.Org, message string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.org(o).begun, message)
	return nil
}
