// Package sweep repairs what a crash left behind.
//
// Every run that is not at its end is due at some time, and the store finds
// those whose time has passed without looking at the others. Most often there
// is nothing to do: whoever holds the lease is merely slow. Otherwise the run
// is started again; the runner reads the record and does what is right. Either
// way it is marked as one that rests, so that it is listed however long machines
// stay away. A sweep writes nothing that anybody else would not write in the
// same way, so it may run twice or beside everything else.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/flow"
)

// Store finds what is overdue.
type Store interface {
	execution.Store

	// Overdue returns up to limit runs that were due before now, the longest
	// overdue first. It may be a moment behind.
	Overdue(ctx context.Context, now time.Time, limit int) ([]flow.Cursor, error)
}

// Machine starts runs again. The same run at the same second is started once.
type Machine interface {
	Restart(ctx context.Context, c flow.Cursor, at time.Time) error
}

// Service sweeps.
type Service struct {
	Store   Store
	Machine Machine
	Now     func() time.Time
}

// A Report says what a sweep did.
type Report struct {
	Looked    int // runs that were due
	Prolonged int // merely slow: somebody has a live lease
	Started   int // started again
	Settled   int // at their end, with a price still held
	Failed    int // to be tried in the next sweep
}

// Most is how many runs one sweep looks at.
const Most = 500

// Sweep repairs what is overdue. One run that cannot be repaired does not keep
// the others.
func (s *Service) Sweep(ctx context.Context) (Report, error) {
	due, err := s.Store.Overdue(ctx, s.Now(), Most)
	if err != nil {
		return Report{}, fmt.Errorf("find what is overdue: %w", err)
	}
	r := Report{Looked: len(due)}
	var errs []error
	for _, c := range due {
		if err := s.repair(ctx, c, &r); err != nil {
			r.Failed++
			errs = append(errs, fmt.Errorf("repair %s: %w", c.Execution, err))
		}
	}
	return r, errors.Join(errs...)
}

func (s *Service) repair(ctx context.Context, c flow.Cursor, r *Report) error {
	x, done, err := s.Store.Execution(ctx, c.Org, c.Execution)
	if err != nil {
		return err
	}
	now := s.Now()
	switch {
	case x.Due.IsZero() || now.Before(x.Due):
		return nil // the index was a moment behind
	case now.Before(x.Lease.Until):
		x.Due, x.Rested = x.Lease.Until.Add(execution.Grace), true
		r.Prolonged++
		return ignoreStale(s.Store.Commit(ctx, execution.Change{Execution: x}))
	}
	if settle, ok := x.Settle(done); ok {
		r.Settled++
		return ignoreStale(s.Store.Commit(ctx, settle))
	}
	if err := s.mark(ctx, x); err != nil {
		return err
	}
	r.Started++
	return s.Machine.Restart(ctx, c, now)
}

// mark records once that a run was found without progress. It comes before the
// start, whose worker would otherwise be the one to lose the race.
func (s *Service) mark(ctx context.Context, x execution.Execution) error {
	if x.Rested {
		return nil
	}
	x.Rested = true
	return ignoreStale(s.Store.Commit(ctx, execution.Change{Execution: x}))
}

// ignoreStale takes a lost race for what it is: somebody else moved the run on.
func ignoreStale(err error) error {
	if errors.Is(err, execution.ErrStale) {
		return nil
	}
	return err
}
