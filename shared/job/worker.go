package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/fault"
)

// ErrMore ends the turn of a worker whose time is short: another one goes on from the
// last progress.
var ErrMore = errors.New("job: there is more to do")

// A Task does the work of jobs of one kind. It may be interrupted anywhere, and then goes
// on from the progress of the job that it is given.
type Task interface {
	// Do returns the result of a job with arguments, as JSON. A fault that is not internal fails the
	// job; after any other error, another worker tries again. Do calls tell when it has
	// progressed, and returns its error.
	Do(ctx context.Context, j Job, args string, tell func(Progress) error) (result string, err error)
}

// Worker does the work of jobs, one in each call.
type Worker struct {
	Store    Store
	Tasks    map[Kind]Task
	Now      func() time.Time
	NewOwner func() string // a name that no other worker has
}

// between is the time between two writes of progress.
const between = 5 * time.Second

// room is the time that a worker keeps for its last writes.
const room = 15 * time.Second

// errLost says that the job is no longer the worker's.
var errLost = errors.New("job: it was cancelled, or another worker has it")

// Work works on a job until it ends or the time of the call is short. A job that has
// ended, or that another worker has, is left alone. After an error the sweeper starts
// another worker.
func (w *Worker) Work(ctx context.Context, c Call) error {
	j, err := w.Store.Job(ctx, c.Org, c.Job)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	j, may := j.Leased(w.NewOwner(), w.Now())
	if !may {
		return nil
	}
	t := &turn{Worker: w, job: j}
	if err := t.save(ctx, j); err != nil {
		return t.unlessLost(err)
	}
	return t.unlessLost(t.work(ctx))
}

// A turn is the work of one worker on a job.
type turn struct {
	*Worker

	job   Job // as it is stored
	wrote time.Time
}

func (t *turn) work(ctx context.Context) error {
	if t.job.Begins > MaxBegins {
		return t.end(ctx, t.job.Failed(errGaveUp, t.Now()), "")
	}
	task, ok := t.Tasks[t.job.Kind]
	if !ok {
		return fmt.Errorf("no task does jobs of the kind %q", t.job.Kind)
	}
	args, err := t.Store.JobArgs(ctx, t.job.Org, t.job.ID)
	if err != nil {
		return fmt.Errorf("the arguments of %s: %w", t.job.ID, err)
	}
	at := t.job.Progress
	result, err := task.Do(ctx, t.job, args, func(p Progress) error {
		at = p
		return t.tell(ctx, p)
	})
	why := fault.From(err)
	switch {
	case errors.Is(err, ErrMore):
		return t.save(ctx, t.job.Released(at, t.Now()))
	case err == nil && len(result) > MaxResult:
		return t.end(ctx, t.job.Failed(errTooLarge, t.Now()), "")
	case err == nil:
		done := t.job
		done.Progress = at
		return t.end(ctx, done.Completed(t.Now()), result)
	case errors.Is(err, errLost) || why.Class == fault.Internal || why.Class == fault.Stale:
		return err
	}
	return t.end(ctx, t.job.Failed(why, t.Now()), "")
}

// tell stores the progress, at most once in between, and returns ErrMore when the time of
// the call is short.
func (t *turn) tell(ctx context.Context, p Progress) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, limited := ctx.Deadline(); limited && time.Until(deadline) < room {
		return ErrMore
	}
	now := t.Now()
	if now.Sub(t.wrote) < between {
		return nil
	}
	return t.save(ctx, t.job.Progressed(p, now))
}

func (t *turn) save(ctx context.Context, j Job) error {
	switch err := t.Store.SaveJob(ctx, j); {
	case errors.Is(err, ErrStale):
		return errLost
	case err != nil:
		return err
	}
	j.Revision++
	t.job, t.wrote = j, t.Now()
	return nil
}

func (t *turn) end(ctx context.Context, j Job, result string) error {
	if err := t.Store.EndJob(ctx, j, result); errors.Is(err, ErrStale) {
		return errLost
	} else if err != nil {
		return err
	}
	return nil
}

// unlessLost returns nil for a worker that lost its job: whoever has it goes on.
func (t *turn) unlessLost(err error) error {
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}
