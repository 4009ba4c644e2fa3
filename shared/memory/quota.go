package memory

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
)

// A messagesKey names the count of a quota of messages on a day.
type messagesKey struct {
	name quota.Name
	day  quota.Day
}

// AdmitRuns implements quota.Store.
func (s *Store) AdmitRuns(_ context.Context, o id.Org, a quota.Admission) (quota.Tally, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.org(o).tally.Admit(a)
	s.org(o).tally = t
	return t, ok, nil
}

// WithdrawRun implements quota.Store.
func (s *Store) WithdrawRun(_ context.Context, o id.Org, m quota.Minute, run id.Execution) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org(o).tally, _ = s.org(o).tally.Withdraw(m, run)
	return nil
}

// SaveOpen implements quota.Store.
func (s *Store) SaveOpen(_ context.Context, o id.Org, before quota.Tally, open int, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.org(o).tally
	if t.Open != before.Open || !t.Counted.Equal(before.Counted) {
		return quota.ErrStale
	}
	t.Open, t.Counted = open, at
	return nil
}

// RunTally returns the tally of an organization; a zero one before the first run.
func (s *Store) RunTally(_ context.Context, o id.Org) (quota.Tally, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(o).tally, nil
}

// OpenRuns implements quota.Store.
func (s *Store) OpenRuns(_ context.Context, o id.Org, since, _ time.Time) (quota.Open, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n quota.Open
	for _, r := range s.org(o).runs {
		x := r.execution
		if x.IsLedger() {
			continue
		}
		switch ended := x.Status.Ended(); {
		case !x.Created.Before(since):
			n.Since++
			if ended {
				n.Ended++
			}
		case !ended:
			n.Before++
		}
	}
	return n, nil
}

// AdmitMessages implements quota.Store.
func (s *Store) AdmitMessages(_ context.Context, o id.Org, b quota.Batch) (quota.DayTally, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, k := s.org(o).messages, messagesKey{b.Name, b.Day}
	t, ok := all[k].Admit(b)
	all[k] = t
	return t, ok, nil
}

// Messages implements quota.Store.
func (s *Store) Messages(_ context.Context, o id.Org, day quota.Day) (map[quota.Name]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[quota.Name]int)
	for k, t := range s.org(o).messages {
		if k.day == day {
			counts[k.name] = t.Count
		}
	}
	return counts, nil
}

// Tree implements quota.TreeStore.
func (s *Store) Tree(_ context.Context, o id.Org, root id.Event) (quota.Tree, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(o).trees[root], nil
}

// SaveTree implements quota.TreeStore.
func (s *Store) SaveTree(_ context.Context, o id.Org, root id.Event, before, after quota.Tree, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	trees := s.org(o).trees
	if trees[root] != before {
		return quota.ErrStale
	}
	trees[root] = after
	return nil
}
