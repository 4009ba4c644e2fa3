package memory

import (
	"context"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/explain"
	"theoneagents.app/agents/shared/id"
)

// Recorded implements explain.Records.
func (s *Store) Recorded(_ context.Context, o id.Org, e event.Event, agents []id.Agent) (map[id.Agent]explain.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[id.Agent]explain.Record{}
	for _, a := range agents {
		var r explain.Record
		if run, ok := s.org(o).runs[execution.ID(o, a, e)]; ok {
			x := run.header()
			r.Run = &x
		}
		if refusal, ok := s.org(o).refusals[activity.ID(o, a, e.ID, e.Published)]; ok {
			refusal = clone(refusal)
			r.Refusal = &refusal
		}
		if r != (explain.Record{}) {
			found[a] = r
		}
	}
	return found, nil
}

// Exist implements explain.Records.
func (s *Store) Exist(_ context.Context, o id.Org, runs []id.Execution) (map[id.Execution]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := map[id.Execution]bool{}
	for _, x := range runs {
		if _, ok := s.org(o).runs[x]; ok {
			there[x] = true
		}
	}
	return there, nil
}
