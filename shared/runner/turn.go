package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/step"
)

// A turn is one turn: a lease on a run, and what is known of the run under
// it. The lease is taken with the first write.
type turn struct {
	*Service

	definition definition.Definition
	steps      execution.Steps
	profile    map[string]any
	profiled   bool

	// A step and the renewal of the lease write by turns. It is a channel, since
	// whoever waits for a lock stops the virtual time of a simulation.
	busy   chan struct{}
	x      execution.Execution
	leased bool
}

func (s *Service) begin(x execution.Execution, steps execution.Steps, d definition.Definition) *turn {
	return &turn{Service: s, definition: d, steps: steps, busy: make(chan struct{}, 1), x: x}
}

func (t *turn) lock()   { t.busy <- struct{}{} }
func (t *turn) unlock() { <-t.busy }

func (t *turn) trace() execution.Trace { return execution.TraceOf(t.definition, t.steps, false) }

// commit applies a change that is made of the run as it is now.
func (t *turn) commit(ctx context.Context, change func(execution.Execution) execution.Change) error {
	t.lock()
	defer t.unlock()
	c := change(t.x)
	if err := t.Service.commit(ctx, c); err != nil {
		return err
	}
	t.x, t.leased = c.Execution, true
	t.x.Revision++
	return nil
}

// lease writes the lease down, unless a write has done so already. One that is
// as good as over is taken again, if nobody else has touched the run.
func (t *turn) lease(ctx context.Context) error {
	t.lock()
	leased, alive := t.leased, t.Now().Before(t.x.Lease.Until.Add(-room))
	t.unlock()
	switch {
	case !leased:
		return t.commit(ctx, func(x execution.Execution) execution.Change { return execution.Change{Execution: x} })
	case !alive:
		return t.renew(ctx)
	}
	return nil
}

// renew prolongs the lease.
func (t *turn) renew(ctx context.Context) error {
	return t.commit(ctx, func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x.Renewed(t.Now())}
	})
}

// aging returns how long the lease may be left alone.
func (t *turn) aging() time.Duration {
	t.lock()
	defer t.unlock()
	return t.x.Lease.Until.Add(execution.RenewTime - execution.LeaseTime).Sub(t.Now())
}

// unchanged returns ErrStale when somebody has changed the run: it may be
// cancelled, or another worker may have it.
func (t *turn) unchanged(ctx context.Context) error {
	now, err := t.Store.Header(ctx, t.x.Org, t.x.ID)
	if err != nil {
		return err
	}
	if now.Revision != t.x.Revision {
		return execution.ErrStale
	}
	return nil
}

// save records a step of which others follow.
func (t *turn) save(ctx context.Context, s execution.StepRecord) error {
	if err := t.lease(ctx); errors.Is(err, execution.ErrStale) {
		return t.late(ctx, s)
	} else if err != nil {
		return err
	}
	s.Attempt = t.x.Lease.Attempt
	if _, unpaid := t.x.Released(s); unpaid {
		err := t.commit(ctx, func(x execution.Execution) execution.Change {
			c, _ := x.Released(s)
			return c
		})
		if err != nil {
			return err
		}
	} else if err := t.Store.SaveStep(ctx, t.x.Org, t.x.ID, s); err != nil {
		return err
	}
	t.note(s)
	return nil
}

// note remembers a step that is recorded.
func (t *turn) note(s execution.StepRecord) {
	t.steps = maps.Clone(t.steps)
	if t.steps == nil {
		t.steps = execution.Steps{}
	}
	t.steps[s.ID] = s
}

// maxInline is how large a step may be to be kept in the record of its run, in
// bytes of JSON: both together then cost one write unit.
const maxInline = 240

// complete ends the run after its last step. A large one is written before the
// end: whoever comes after a crash finds nothing left to do, and ends it too.
func (t *turn) complete(ctx context.Context, last *execution.StepRecord) (machine.Next, error) {
	if last != nil && size(*last) > maxInline {
		if err := t.save(ctx, *last); err != nil {
			return machine.Next{}, err
		}
		last = nil
	}
	return t.end(ctx, func(x execution.Execution) execution.Execution { return x.Complete(t.Now()) }, last)
}

// end ends the run with the step that decided it, in one write: whoever found
// the step without the end would go on after it.
func (t *turn) end(ctx context.Context, ending execution.Ending, last *execution.StepRecord) (machine.Next, error) {
	done := machine.Next{Next: machine.NextDone}
	var inline, row *execution.StepRecord
	if last != nil {
		s := *last
		s.Attempt = t.x.Lease.Attempt
		t.note(s)
		if inline = &s; size(s) > maxInline {
			inline, row = nil, &s
		}
	}
	err := t.commit(ctx, func(x execution.Execution) execution.Change {
		x.Last = inline
		c := x.End(ending, t.steps, false)
		c.Step = row
		if c.Execution.Status == execution.Failed {
			c.Outbox = append(c.Outbox, c.Execution.FailedEvent(t.definition.Name))
		}
		return c
	})
	if errors.Is(err, execution.ErrStale) && last != nil {
		return done, t.late(ctx, *last)
	}
	return done, err
}

func size(s execution.StepRecord) int {
	b, err := json.Marshal(s)
	if err != nil {
		return maxInline + 1
	}
	return len(b)
}

// rest puts the run to rest until due and hands it to the machine that waits. A
// step that begins to wait is recorded with it.
func (t *turn) rest(ctx context.Context, next machine.State, due time.Time, s *execution.StepRecord) (machine.Next, error) {
	now := t.Now()
	err := t.commit(ctx, func(x execution.Execution) execution.Change {
		c := x.Parked(due).Park(t.steps)
		c.Step = s
		return c
	})
	seconds := max(int64(due.Sub(now).Round(time.Second)/time.Second), 1)
	return machine.Next{Next: next, Seconds: seconds, Name: t.name()}, err
}

// work does a step and keeps the lease alive meanwhile. A step whose lease is
// lost is stopped.
func (t *turn) work(ctx context.Context, task step.Task) (execution.StepRecord, error) {
	if task.Definition.Kind != definition.AI { // it writes the lease with its reservation
		if err := t.lease(ctx); err != nil {
			return execution.StepRecord{}, err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	type outcome struct {
		step execution.StepRecord
		err  error
	}
	finished := make(chan outcome, 1)
	go func() {
		s, err := t.Steps.Do(ctx, task)
		finished <- outcome{s, err}
	}()
	renew := time.NewTimer(t.aging()) // steps before this one may have used it up
	defer renew.Stop()
	for {
		select {
		case o := <-finished:
			if cause := context.Cause(ctx); errors.Is(cause, execution.ErrStale) {
				return o.step, t.late(context.WithoutCancel(ctx), o.step)
			}
			return o.step, o.err
		case <-renew.C:
			if err := t.renew(ctx); errors.Is(err, execution.ErrStale) {
				stop(execution.ErrStale)
			}
			renew.Reset(execution.RenewTime)
		}
	}
}

// late keeps the answer that a model gave although the run was changed
// meanwhile, if its price is still held: it is paid for. It returns ErrStale, so
// that the run is read again.
func (t *turn) late(ctx context.Context, s execution.StepRecord) error {
	err := retry.Races(execution.ErrStale, func() error {
		x, steps, err := t.Store.Execution(ctx, t.x.Org, t.x.ID)
		if err != nil {
			return err
		}
		if _, held := x.Holds[s.ID]; s.Charge == nil || !held || steps[s.ID].Status.Ended() {
			return nil
		}
		s.Attempt = x.Lease.Attempt
		return t.Store.Commit(ctx, execution.Change{Execution: x, Step: &s})
	})
	return errors.Join(execution.ErrStale, err)
}

// A reservation is what a step may do with the run that it belongs to.
type reservation struct {
	*turn

	step id.Step
}

// Reserve implements step.Lease.
func (r reservation) Reserve(ctx context.Context, h credit.Hold) (credit.Hold, error) {
	if held, ok := r.held(); ok {
		return held, r.lease(ctx)
	}
	var seen *credit.Balance
	for range retry.Tries {
		err := r.commit(ctx, func(x execution.Execution) execution.Change {
			c, _ := x.Reserved(r.step, h)
			c.Watched, c.Seen = true, seen
			return c
		})
		reached, ok := errors.AsType[*credit.Reached](err)
		if !ok {
			return h, err
		}
		seen = &reached.Balance
		_, h.Low = seen.With(h.Amount)
	}
	return h, fmt.Errorf("reserve for %s: lost %d races at a threshold of the credits", r.step, retry.Tries)
}

func (r reservation) held() (credit.Hold, bool) {
	r.lock()
	defer r.unlock()
	h, ok := r.x.Holds[r.step]
	return h, ok
}

// Intend implements step.Lease.
func (r reservation) Intend(ctx context.Context, s execution.StepRecord) error {
	r.lock()
	s.Attempt = r.x.Lease.Attempt
	org, exec := r.x.Org, r.x.ID
	r.unlock()
	if err := r.Store.SaveStep(ctx, org, exec, s); err != nil {
		return fmt.Errorf("record step %s: %w", s.ID, err)
	}
	return nil
}
