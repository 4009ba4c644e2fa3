package memory

import (
	"context"
	"maps"
	"slices"

	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/id"
)

// A subject identifies the thing that a fact is about.
type subject struct {
	client id.Client
	kind   client.Kind
	name   string
}

// SaveFact implements client.Store.
func (s *Store) SaveFact(_ context.Context, o id.Org, c id.Client, f client.Fact) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	facts, at := s.org(o).facts, subject{c, f.Kind, f.Name}
	if old, ok := facts[at]; !ok || old.Weight() < f.Weight() {
		facts[at] = f
	}
	return nil
}

// Facts implements client.Store.
func (s *Store) Facts(_ context.Context, o id.Org, c id.Client) ([]client.Fact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	facts := maps.Clone(s.org(o).facts)
	maps.DeleteFunc(facts, func(at subject, _ client.Fact) bool { return at.client != c })
	return slices.Collect(maps.Values(facts)), nil
}
