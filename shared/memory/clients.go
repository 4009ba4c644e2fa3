package memory

import (
	"context"
	"maps"
	"slices"

	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/id"
)

// A subject identifies the thing of a client that a fact is about.
type subject struct {
	kind client.Kind
	name string
}

// SaveFact implements client.Store.
func (s *Store) SaveFact(_ context.Context, o id.Org, c id.Client, f client.Fact) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, at := s.org(o).facts, subject{f.Kind, f.Name}
	facts := all[c]
	if facts == nil {
		facts = map[subject]client.Fact{}
		all[c] = facts
	}
	if old, ok := facts[at]; !ok || old.Weight() < f.Weight() {
		facts[at] = f
	}
	return nil
}

// Facts implements client.Store.
func (s *Store) Facts(_ context.Context, o id.Org, c id.Client) ([]client.Fact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.org(o).facts[c])), nil
}
