package memory

import (
	"context"
	"strconv"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// AddStats implements tally.Store. It never forgets what it has counted.
func (s *Store) AddStats(_ context.Context, org id.Org, a id.Agent, all []execution.Contribution) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(org)
	if _, known := o.stats[a]; !known && o.erasure.Revision > 0 {
		return nil
	}
	for _, c := range all {
		name := string(c.Run) + "#" + strconv.FormatInt(c.Revision, 10)
		if o.counted[name] {
			continue
		}
		o.counted[name] = true
		o.stats[a] = added(o.stats[a], c.StatsDelta)
	}
	return nil
}

// Contribution returns what the last change of a run adds to the statistics of its
// agent, as the stream of changes would deliver it, and false if it adds nothing.
func (s *Store) Contribution(_ context.Context, o id.Org, exec id.Execution) (execution.Contribution, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.org(o).runs[exec]
	if !ok {
		return execution.Contribution{}, false, execution.ErrNotFound
	}
	return clone(r.contribution), r.contributes, nil
}

// added returns the stats with a StatsDelta added.
func added(s agent.Stats, t execution.StatsDelta) agent.Stats {
	s.Runs += t.Runs
	s.Completed += t.Completed
	s.Failed += t.Failed
	s.Duration += t.Duration
	if t.LastRun.After(s.LastRun) {
		s.LastRun = t.LastRun
	}
	s.Credits = clone(s.Credits)
	if s.Credits == nil {
		s.Credits = map[credit.Month]map[credit.Tier]int64{}
	}
	for _, h := range t.Used {
		if s.Credits[h.Month] == nil {
			s.Credits[h.Month] = make(map[credit.Tier]int64)
		}
		s.Credits[h.Month][h.Tier] += h.Amount
	}
	return s
}
