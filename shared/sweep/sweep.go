// Package sweep recovers runs that stopped moving after a crash.
//
// Every run that has not ended has a due time, and the store finds overdue runs
// by an index. A new run is not in it: most end within seconds. The watchdog looks at each
// new run once, and enters one that is still open; a run that rests enters itself. Usually
// there is nothing to do: the worker that holds the lease is merely slow. Otherwise the sweeper starts the run's machine again, and the
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
	"sync"
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

// Erasures deletes the data of organizations that the Hub has deleted.
type Erasures interface {
	// Sweep goes on with the erasures that are due, and returns the number of items
	// that it deleted.
	Sweep(ctx context.Context) (int, error)
}

// Jobs starts workers on the jobs that have none.
type Jobs interface {
	// Sweep starts them and returns their number.
	Sweep(ctx context.Context) (int, error)
}

// Service repairs overdue runs.
type Service struct {
	Store    Store
	Machine  Machine
	Outbox   Outbox
	Pauses   Pauses
	Erasures Erasures
	Jobs     Jobs
	Now      func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
}

// A Report counts the results of a sweep.
type Report struct {
	Looked    int           // runs that were due
	Prolonged int           // merely slow: a worker has a live lease
	Started   int           // started again
	Settled   int           // ended with credits still held, or the ledger of a test run
	Failed    int           // retried in the next sweep
	Published int           // platform events that their writers did not publish
	Erased    int           // items of deleted organizations
	Jobs      int           // jobs without a worker
	Late      time.Duration // the longest time that a run had been due
}

const (
	// Most limits the runs that are looked up at once. A sweep looks again until none
	// is due, or its time is short.
	Most = 500
	// Workers is the number of runs that are repaired at a time.
	Workers = 32
	// told limits the faults of a sweep that are reported one by one.
	told = 10
)

// Between is the time between the two sweeps of a watch. A lease of 25 seconds,
// 25 seconds of grace and this stay below the 90 seconds within which a run is
// moved on.
const Between = 30 * time.Second

// Watch sweeps twice, because the scheduler's shortest interval is a minute. It
// skips the second sweep when its time is short.
func (s *Service) Watch(ctx context.Context) (Report, error) {
	first, err := s.Sweep(ctx)
	if short(ctx, Between) || s.Sleep(ctx, Between) != nil {
		return first, err
	}
	second, again := s.Sweep(ctx)
	return first.plus(second), errors.Join(err, again)
}

// room is the time reserved for what follows the repairs, and for a short sweep.
const room = 10 * time.Second

// short reports whether less than d and room is left.
func short(ctx context.Context, d time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return limited && time.Until(deadline) < d+room
}

func (r Report) plus(o Report) Report {
	return Report{
		Looked: r.Looked + o.Looked, Prolonged: r.Prolonged + o.Prolonged, Started: r.Started + o.Started,
		Settled: r.Settled + o.Settled, Failed: r.Failed + o.Failed, Published: r.Published + o.Published,
		Erased: r.Erased + o.Erased, Jobs: r.Jobs + o.Jobs, Late: max(r.Late, o.Late),
	}
}

// Sweep repairs the overdue runs, publishes the events left in the outbox, starts workers
// on overdue jobs, and goes on with pauses and erasures. A failure does not stop the others.
func (s *Service) Sweep(ctx context.Context) (Report, error) {
	r, err := s.runs(ctx)
	published, failed := s.Outbox.Sweep(ctx)
	r.Published = published
	err = errors.Join(err, failed, s.Pauses.Sweep(ctx))
	jobs, failed := s.Jobs.Sweep(ctx)
	r.Jobs = jobs
	err = errors.Join(err, failed)
	erased, failed := s.Erasures.Sweep(ctx)
	r.Erased = erased
	return r, errors.Join(err, failed)
}

// runs repairs the overdue runs. An outage leaves tens of thousands; the index may
// still list those that were just repaired, so a look that moves none is the last.
func (s *Service) runs(ctx context.Context) (Report, error) {
	var all tally
	for {
		due, err := s.Store.Overdue(ctx, s.Now(), Most)
		if err != nil {
			return all.Report, all.failed(fmt.Errorf("find overdue runs: %w", err))
		}
		before := all.moved()
		all.Looked += len(due)
		s.repairAll(ctx, due, &all)
		if len(due) < Most || all.moved() == before || short(ctx, 0) {
			return all.Report, all.failed(nil)
		}
	}
}

// repairAll repairs runs, Workers at a time.
func (s *Service) repairAll(ctx context.Context, due []machine.Cursor, all *tally) {
	each(len(due), func(n int) {
		r, err := s.repair(ctx, due[n])
		if err != nil {
			r.Failed, err = 1, fmt.Errorf("repair %s: %w", due[n].Execution, err)
		}
		all.add(r, err)
	})
}

// each calls do with every number below n, Workers at a time, and returns after the last.
func each(n int, do func(int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(Workers, n) {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// A tally adds up what workers report.
type tally struct {
	Report

	mu   sync.Mutex
	errs []error
}

func (t *tally) add(r Report, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Report = t.plus(r)
	if err != nil && len(t.errs) < told {
		t.errs = append(t.errs, err)
	}
}

// moved returns the number of runs whose due time changed.
func (t *tally) moved() int { return t.Prolonged + t.Started + t.Settled + t.Failed }

// failed returns the faults with one more, if there is any.
func (t *tally) failed(more error) error {
	if rest := t.Failed - len(t.errs); rest > 0 {
		more = errors.Join(fmt.Errorf("%d more repairs failed", rest), more)
	}
	return errors.Join(append(t.errs, more)...)
}

func (s *Service) repair(ctx context.Context, c machine.Cursor) (Report, error) {
	x, done, err := s.Store.Execution(ctx, c.Org, c.Execution)
	if err != nil {
		return Report{}, err
	}
	now := s.Now()
	if x.Due.IsZero() || now.Before(x.Due) {
		return Report{}, nil // the index lagged behind
	}
	r := Report{Late: now.Sub(x.Due)}
	switch settle, settled := x.Settle(done); {
	case x.IsLedger() && !x.Status.Ended(): // its test run was interrupted and not resumed
		r.Settled++
		return r, ignoreStale(s.Store.Commit(ctx, x.Closed(execution.Cancelled, done, now)))
	case x.Held: // a decision made it due; it moves when its organization resumes
		x.Due = time.Time{}
		return r, ignoreStale(s.Store.Commit(ctx, execution.Change{Execution: x}))
	case now.Before(x.Lease.Until):
		x.Due, x.WasParked = x.Lease.Until.Add(execution.Grace), true
		r.Prolonged++
		return r, ignoreStale(s.Store.Commit(ctx, execution.Change{Execution: x}))
	case settled:
		r.Settled++
		return r, ignoreStale(s.Store.Commit(ctx, settle))
	}
	if err := s.postpone(ctx, x, now); err != nil {
		return r, ignoreStale(err)
	}
	if err := s.Machine.Restart(ctx, c, now); err != nil {
		return r, err
	}
	r.Started++
	return r, nil
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
