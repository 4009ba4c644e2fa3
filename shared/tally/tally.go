// Package tally adds what runs contribute to the statistics of their agents.
//
// A change that ends a run, or charges for its answers, records its contribution in
// the run's own record and nowhere else, which costs no write. The stream of the table
// delivers it within about a second. Until it is summed, the statistics lag behind the
// records of the runs; they never run ahead.
//
// # Once each
//
// The stream delivers at least once: a batch may come again, whole, in parts or together
// with others, after a crash in its middle, and hours late after an outage. The
// statistics of an agent remember the contributions that they include, by run and
// revision, in the same item and so in the same write as the counters. So it does not
// matter how the stream groups, orders or repeats its records. A mark is forgotten only
// when the stream has long forgotten the record.
//
// A run that a release before 0.2 ended has no contribution in its record: that release
// added it to the statistics itself, in the transaction of the end.
package tally

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// Store keeps the statistics of agents.
type Store interface {
	// AddStats adds the contributions of runs of one agent to its statistics. A
	// contribution that they include is not added again. Either all others are added or,
	// with an error, perhaps only some. Statistics of a deleted organization are not made
	// anew: its contributions are dropped.
	AddStats(ctx context.Context, org id.Org, a id.Agent, all []execution.Contribution) error
}

// Service adds contributions.
type Service struct {
	Store Store
}

// MaxTogether limits the contributions of an agent in one write: with the marks of as
// many, its statistics stay below 3 KB.
const MaxTogether = 100

// workers is the number of agents whose contributions are added at the same time.
const workers = 8

// A group is the contributions of one agent, by their numbers.
type group struct {
	org     id.Org
	agent   id.Agent
	numbers []int
}

// groups returns the contributions by agent, in the order of their first ones.
func groups(all []execution.Contribution) []group {
	var list []group
	at := map[string]int{}
	for n, c := range all {
		key := string(c.Org) + "#" + string(c.Agent)
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, group{org: c.Org, agent: c.Agent})
		}
		list[i].numbers = append(list[i].numbers, n)
	}
	return list
}

// Add adds contributions, in any order. It returns the numbers of those that failed, in
// ascending order; adding them again adds only those that are missing.
func (s *Service) Add(ctx context.Context, all []execution.Contribution) (failed []int, err error) {
	list := groups(all)
	var mu sync.Mutex
	var wait sync.WaitGroup
	var errs []error
	next := make(chan group)
	for range min(workers, len(list)) {
		wait.Go(func() {
			for g := range next {
				left, err := s.addGroup(ctx, g, all)
				if err != nil {
					mu.Lock()
					errs, failed = append(errs, err), append(failed, left...)
					mu.Unlock()
				}
			}
		})
	}
	for _, g := range list {
		next <- g
	}
	close(next)
	wait.Wait()
	slices.Sort(failed)
	return failed, errors.Join(errs...)
}

// addGroup adds the contributions of one agent, and returns the numbers of those that
// are left after an error.
func (s *Service) addGroup(ctx context.Context, g group, all []execution.Contribution) (left []int, err error) {
	for from := 0; from < len(g.numbers); from += MaxTogether {
		var some []execution.Contribution
		for _, n := range g.numbers[from:min(from+MaxTogether, len(g.numbers))] {
			some = append(some, all[n])
		}
		if err := s.Store.AddStats(ctx, g.org, g.agent, some); err != nil {
			return g.numbers[from:], fmt.Errorf("statistics of %s of %s: %w", g.agent, g.org, err)
		}
	}
	return nil, nil
}
