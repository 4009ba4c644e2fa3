package memory

import (
	"context"
	"fmt"
	"strings"

	"theoneagents.app/agents/shared/id"
)

// Mentions implements storetest.Inspector.
func (s *Store) Mentions(_ context.Context, o id.Org) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for name, stored := range s.orgs {
		if name == o {
			for n := range stored.items() {
				all = append(all, fmt.Sprintf("item %d", n))
			}
			continue
		}
		if strings.Contains(fmt.Sprintf("%+v", *stored), string(o)) {
			all = append(all, string(name))
		}
	}
	return all, nil
}
