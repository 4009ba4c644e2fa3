// Package sweep repairs what a crash left behind.
//
// Every run that is not at its end is due at some time, and the store finds
// those whose time has passed without looking at the others. Most often there
// is nothing to do: whoever holds the lease is merely slow. Otherwise the run
// is started again; the runner reads the record and does what is right. So is a
// run at its end of whose outcome the people who were asked have not heard. Either
// way it is marked as one that rests, so that it is listed however long machines
// stay away. A sweep writes nothing that anybody else would not write in the
// same way, so it may run twice or beside everything else.
//
// If the sweeper is down, what lost its machine waits until it is back; nothing
// else depends on it. In an hour without faults it repairs nothing, and its
// metrics say so.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
)

// Store finds what is overdue.
type Store interface {
	execution.Store

	// Overdue returns up to limit runs that were due before now, the longest
	// overdue first. It may be a moment behind.
	Overdue(ctx context.Context, now time.Time, limit int) ([]machine.Cursor, error)
}

// Machine starts runs again. The same run at the same second is started once.
type Machine interface {
	Restart(ctx context.Context, c machine.Cursor, at time.Time) error
}

// Outbox publishes the platform's own events whose writers did not.
type Outbox interface {
	// Sweep publishes them and returns how many.
	Sweep(ctx context.Context) (int, error)
}

// Service sweeps.
type Service struct {
	Store   Store
	Machine Machine
	Outbox  Outbox
	Now     func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
}

// A Report says what a sweep did.
type Report struct {
	Looked    int // runs that were due
	Prolonged int // merely slow: somebody has a live lease
	Started   int // started again
	Settled   int // at their end, with a price still held
	Failed    int // to be tried in the next sweep
	Published int // events of the platform that their writers did not publish
}

// Most is how many runs one sweep looks at.
const Most = 500

// Between is the time between the two sweeps of a watch. A lease of 25 seconds,
// 25 seconds of grace and this are less than the 90 seconds within which a run
// is moved on.
const Between = 30 * time.Second

// Watch sweeps twice, since a scheduler knows no shorter time than a minute. It
// leaves the second to the next watch when there is no time for it.
func (s *Service) Watch(ctx context.Context) (Report, error) {
	first, err := s.Sweep(ctx)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < Between+room || s.Sleep(ctx, Between) != nil {
		return first, err
	}
	second, again := s.Sweep(ctx)
	return first.plus(second), errors.Join(err, again)
}

// room is the time that a sweep should have.
const room = 10 * time.Second

func (r Report) plus(o Report) Report {
	return Report{
		Looked: r.Looked + o.Looked, Prolonged: r.Prolonged + o.Prolonged, Started: r.Started + o.Started,
		Settled: r.Settled + o.Settled, Failed: r.Failed + o.Failed, Published: r.Published + o.Published,
	}
}

// Sweep repairs what is overdue and publishes the events that are left. One that
// fails does not keep the others.
func (s *Service) Sweep(ctx context.Context) (Report, error) {
	r, err := s.runs(ctx)
	published, failed := s.Outbox.Sweep(ctx)
	r.Published = published
	return r, errors.Join(err, failed)
}

// runs repairs the runs that are overdue.
func (s *Service) runs(ctx context.Context) (Report, error) {
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

func (s *Service) repair(ctx context.Context, c machine.Cursor, r *Report) error {
	x, done, err := s.Store.Execution(ctx, c.Org, c.Execution)
	if err != nil {
		return err
	}
	now := s.Now()
	switch {
	case x.Due.IsZero() || now.Before(x.Due):
		return nil // the index was a moment behind
	case now.Before(x.Lease.Until):
		x.Due, x.WasParked = x.Lease.Until.Add(execution.Grace), true
		r.Prolonged++
		return ignoreStale(s.Store.Commit(ctx, execution.Change{Execution: x}))
	}
	if settle, ok := x.Settle(done); ok {
		r.Settled++
		return ignoreStale(s.Store.Commit(ctx, settle))
	}
	if err := s.postpone(ctx, x, now); err != nil {
		return ignoreStale(err)
	}
	if err := s.Machine.Restart(ctx, c, now); err != nil {
		return err
	}
	r.Started++
	return nil
}

// postpone puts a run that was found without progress behind the others that
// are due, so that some which cannot be moved do not keep the rest. It comes
// before the start, whose worker would otherwise be the one to lose the race.
func (s *Service) postpone(ctx context.Context, x execution.Execution, now time.Time) error {
	x.Due, x.WasParked = now.Add(execution.Grace), true
	return s.Store.Commit(ctx, execution.Change{Execution: x})
}

// ignoreStale takes a lost race for what it is: somebody else moved the run on.
func ignoreStale(err error) error {
	if errors.Is(err, execution.ErrStale) {
		return nil
	}
	return err
}
