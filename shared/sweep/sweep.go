// Package sweep recovers runs that stopped moving after a crash.
//
// Every run that has not ended has a due time, and the store finds overdue runs
// by an index. Usually there is nothing to do: the worker that holds the lease
// is merely slow. Otherwise the sweeper starts the run's machine again, and the
// runner continues from the record. It does the same for an ended run whose
// outcome messages were not all sent. It also marks the run as parked, so that
// it stays listed while the machines are down. A sweep makes only changes that
// the runner or a second sweep would make too, so it may run twice or beside
// everything else.
//
// If the sweeper is down, runs that lost their machine wait until it is back;
// nothing else depends on it. In an hour without faults it repairs nothing, as
// its metrics show.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
)

// Store finds overdue runs.
type Store interface {
	execution.Store

	// Overdue returns up to limit runs that were due before now, the longest
	// overdue first. Its index may lag behind.
	Overdue(ctx context.Context, now time.Time, limit int) ([]machine.Cursor, error)
}

// Machine starts runs again. Two starts of a run at the same second are one.
type Machine interface {
	Restart(ctx context.Context, c machine.Cursor, at time.Time) error
}

// Outbox publishes the platform's own events that their writers left.
type Outbox interface {
	// Sweep publishes them and returns their number.
	Sweep(ctx context.Context) (int, error)
}

// Pauses holds and releases the open runs of organizations that were paused or
// resumed.
type Pauses interface {
	// Sweep does what a pause or a resumption has left undone.
	Sweep(ctx context.Context) error
}

// Service repairs overdue runs.
type Service struct {
	Store   Store
	Machine Machine
	Outbox  Outbox
	Pauses  Pauses
	Now     func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
}

// A Report counts the results of a sweep.
type Report struct {
	Looked    int // runs that were due
	Prolonged int // merely slow: a worker has a live lease
	Started   int // started again
	Settled   int // ended, with credits still held
	Failed    int // retried in the next sweep
	Published int // platform events that their writers did not publish
}

// Most limits the runs that one sweep handles.
const Most = 500

// Between is the time between the two sweeps of a watch. A lease of 25 seconds,
// 25 seconds of grace and this stay below the 90 seconds within which a run is
// moved on.
const Between = 30 * time.Second

// Watch sweeps twice, because the scheduler's shortest interval is a minute. It
// skips the second sweep when its time is short.
func (s *Service) Watch(ctx context.Context) (Report, error) {
	first, err := s.Sweep(ctx)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < Between+room || s.Sleep(ctx, Between) != nil {
		return first, err
	}
	second, again := s.Sweep(ctx)
	return first.plus(second), errors.Join(err, again)
}

// room is the time reserved for a sweep.
const room = 10 * time.Second

func (r Report) plus(o Report) Report {
	return Report{
		Looked: r.Looked + o.Looked, Prolonged: r.Prolonged + o.Prolonged, Started: r.Started + o.Started,
		Settled: r.Settled + o.Settled, Failed: r.Failed + o.Failed, Published: r.Published + o.Published,
	}
}

// Sweep repairs the overdue runs and publishes the events left in the outbox. A
// failure does not stop the others.
func (s *Service) Sweep(ctx context.Context) (Report, error) {
	r, err := s.runs(ctx)
	published, failed := s.Outbox.Sweep(ctx)
	r.Published = published
	return r, errors.Join(err, failed, s.Pauses.Sweep(ctx))
}

// runs repairs the overdue runs.
func (s *Service) runs(ctx context.Context) (Report, error) {
	due, err := s.Store.Overdue(ctx, s.Now(), Most)
	if err != nil {
		return Report{}, fmt.Errorf("find overdue runs: %w", err)
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
		return nil // the index lagged behind
	case x.Held: // a decision made it due; it moves when its organization resumes
		x.Due = time.Time{}
		return ignoreStale(s.Store.Commit(ctx, execution.Change{Execution: x}))
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

// postpone moves the due time of a run, so that runs which cannot be repaired
// do not block the rest. It precedes the start: otherwise its write could make
// the started worker lose a race.
func (s *Service) postpone(ctx context.Context, x execution.Execution, now time.Time) error {
	x.Due, x.WasParked = now.Add(execution.Grace), true
	return s.Store.Commit(ctx, execution.Change{Execution: x})
}

// ignoreStale ignores a lost race: another writer moved the run on.
func ignoreStale(err error) error {
	if errors.Is(err, execution.ErrStale) {
		return nil
	}
	return err
}
