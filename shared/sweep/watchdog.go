package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
)

// Runs keeps the records of runs.
type Runs interface {
	// Header returns a run as it is at that moment, or execution.ErrNotFound.
	Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error)

	// Commit writes a change of a run that is still at its revision, or returns
	// execution.ErrStale.
	Commit(ctx context.Context, c execution.Change) error
}

// A Watchdog enters new runs that are still open into the index of the sweeper.
//
// The stream of the table delivers the record of each new run at least once, up to
// machine.WatchWindow after it was written. Most runs have ended by then. A run that has
// not is marked, and from then on the sweeper finds it whenever it is due. So each run is
// looked at by one of the two, however its machine ends, and a run that ends soon costs no
// write to the index. While the stream is not read, runs that lost their machine wait; the
// stream keeps its records for a day.
type Watchdog struct {
	Runs Runs
}

// Look marks the runs that are still open. It returns the numbers of those that failed,
// in ascending order; looking at a run again does no harm.
func (d *Watchdog) Look(ctx context.Context, runs []machine.Cursor) (failed []int, err error) {
	var mu sync.Mutex
	var errs []error
	each(len(runs), func(n int) {
		if err := d.look(ctx, runs[n]); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, n)
			if len(errs) < told {
				errs = append(errs, fmt.Errorf("look at %s of %s: %w", runs[n].Execution, runs[n].Org, err))
			}
		}
	})
	slices.Sort(failed)
	return failed, errors.Join(errs...)
}

// look marks a run if it is open. When another writer was faster, it looks again: that
// writer may have read the run before it was marked.
func (d *Watchdog) look(ctx context.Context, c machine.Cursor) error {
	for {
		x, err := d.Runs.Header(ctx, c.Org, c.Execution)
		if errors.Is(err, execution.ErrNotFound) {
			return nil // its organization was deleted
		}
		if err != nil {
			return err
		}
		open, ok := x.FindOpen()
		if !ok {
			return nil
		}
		if err := d.Runs.Commit(ctx, execution.Change{Execution: open}); !errors.Is(err, execution.ErrStale) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
