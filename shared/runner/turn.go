package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/step"
)

// A turn is one worker's hold on a run: its lease and the state read under it.
// The lease is taken with the first write of the run. The first worker of a new run has
// the lease with which the run was recorded, and need not write it.
type turn struct {
	*Service

	definition definition.Definition
	steps      execution.Steps
	profile    map[string]any
	profiled   bool
	budget     *render.Budget // of the templates and conditions of all steps
	pardon     *credit.Pardon // of the step that is recorded

	// busy is a mutex between the step and the renewal of the lease. It is a
	// channel because a goroutine blocked on a sync.Mutex would stop the
	// virtual time of synctest.
	busy      chan struct{}
	x         execution.Execution
	leased    bool      // the record has the lease of this machine
	exclusive bool      // this worker wrote it: no other worker of the machine acts under it
	first     string    // the owner of the lease with which the run was recorded, if it is this machine's
	seen      time.Time // when no other writer had changed the run since it was read
}

// turnWork is the work on templates and conditions after which a run is handed to
// another function: 50 steps with much work keep none busy for minutes.
const turnWork = 2 * render.Work

func (s *Service) begin(x execution.Execution, steps execution.Steps, d definition.Definition) *turn {
	return &turn{
		Service: s, definition: d, steps: steps, budget: render.NewBudget(turnWork), busy: make(chan struct{}, 1), x: x,
	}
}

// shared reports whether another worker of the machine may act under the same lease:
// it is the one with which the run was recorded, and nobody has written it since.
func (t *turn) shared() bool { return t.leased && !t.exclusive }

func (t *turn) lock()   { t.busy <- struct{}{} }
func (t *turn) unlock() { <-t.busy }

func (t *turn) trace() execution.Trace { return execution.TraceOf(t.definition, t.steps, false) }

// commit applies a change that is built from the current state of the run.
func (t *turn) commit(ctx context.Context, change func(execution.Execution) execution.Change) error {
	t.lock()
	defer t.unlock()
	x, now := t.x, t.Now()
	if t.shared() {
		x = x.Lengthened(now)
	}
	c := change(x).Pardoned(t.pardon)
	if err := t.Service.commit(ctx, c); err != nil {
		return err
	}
	t.seen = now
	t.x, t.leased, t.exclusive = c.Execution, true, true
	t.x.Revision++
	return nil
}

// keep applies a change that records work already done, or protects work under way.
// Unlike commit it also succeeds after a pause held the run, or a resumption
// released it, as long as the lease is this worker's.
func (t *turn) keep(ctx context.Context, change func(execution.Execution) execution.Change) error {
	var err error
	for range retry.Tries {
		if err = t.commit(ctx, change); !errors.Is(err, execution.ErrStale) || !t.adopt(ctx) {
			return err
		}
	}
	return err
}

// adopt takes over the state of a run that was held, released, marked by the watchdog or
// found slow since this worker leased it, and reports whether that is all that happened.
func (t *turn) adopt(ctx context.Context) bool {
	now, err := t.Store.Header(ctx, t.x.Org, t.x.ID)
	if err != nil {
		t.Report(ctx, fmt.Errorf("read the run that another worker changed: %w", err))
		return false
	}
	t.lock()
	defer t.unlock()
	unwritten := t.shared() && now.Status == execution.Pending && now.Lease.Owner == t.first
	if !t.leased || now.Lease.Attempt != t.x.Lease.Attempt ||
		!unwritten && (now.Status != t.x.Status || now.Lease.Owner != t.x.Lease.Owner) {
		return false
	}
	if !now.WasParked && !now.FoundOpen || now.Revision == t.x.Revision || !maps.Equal(now.Holds, t.x.Holds) {
		return false
	}
	t.x.Held, t.x.WasParked, t.x.FoundOpen, t.x.Due, t.x.Revision = now.Held, now.WasParked, now.FoundOpen, now.Due, now.Revision
	return true
}

// held reports whether the run is known to be held.
func (t *turn) held() bool {
	t.lock()
	defer t.unlock()
	return t.x.Held
}

// lease writes the lease, unless an earlier write did. It renews a lease that
// is about to expire; the renewal fails with ErrStale if another worker changed
// the run.
func (t *turn) lease(ctx context.Context) error {
	t.lock()
	leased, alive := t.leased, t.Now().Before(t.x.Lease.Until.Add(-recordTime))
	t.unlock()
	switch {
	case !leased:
		return t.writeLease(ctx)
	case !alive:
		return t.renew(ctx)
	}
	return nil
}

// writeLease writes the lease, if no other writer has changed the run.
func (t *turn) writeLease(ctx context.Context) error {
	return t.commit(ctx, func(x execution.Execution) execution.Change { return execution.Change{Execution: x} })
}

// toBegin is lease before a step. It returns ErrStale for a held run. A step whose
// effect cannot be repeated needs a lease that no other worker acts under.
func (t *turn) toBegin(ctx context.Context, at definition.Step) error {
	t.lock()
	shared := t.shared()
	t.unlock()
	lease := t.lease
	if shared && t.unrepeatable(at) {
		lease = t.writeLease
	}
	if err := lease(ctx); err != nil {
		return err
	}
	if t.held() {
		return execution.ErrStale
	}
	return t.look(ctx, false)
}

// unrepeatable reports whether a second try of a step may have a second effect, or
// whether people must approve it.
func (t *turn) unrepeatable(at definition.Step) bool {
	if at.ActionStep == nil {
		return at.Kind == definition.Notification
	}
	action, ok := t.Actions.Action(at.Product, at.Action)
	return !ok || action.Destructive
}

// renew extends the lease.
func (t *turn) renew(ctx context.Context) error {
	return t.keep(ctx, func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x.Renewed(t.Now())}
	})
}

// untilRenewal returns the time until the lease must be renewed.
func (t *turn) untilRenewal() time.Duration {
	t.lock()
	defer t.unlock()
	if t.shared() {
		return t.x.Lease.Until.Add(-recordTime).Sub(t.Now())
	}
	return t.x.Lease.Until.Add(execution.RenewTime - execution.LeaseTime).Sub(t.Now())
}

// look returns ErrStale when another writer changed the run: it was cancelled or held, or
// another worker has the lease. It reads the record, unless this worker has just seen it
// and need not look.
func (t *turn) look(ctx context.Context, must bool) error {
	t.lock()
	at, now := t.seen, t.Now()
	t.unlock()
	if since := now.Sub(at); !must && since >= 0 && since < execution.LookTime {
		return nil
	}
	x, err := t.Store.Header(ctx, t.x.Org, t.x.ID)
	if err != nil {
		return err
	}
	t.lock()
	defer t.unlock()
	if x.Revision != t.x.Revision {
		return execution.ErrStale
	}
	t.seen = now
	return nil
}

// mustLook reports whether the worker looks at the run before a step however recently it
// saw it: before an effect that cannot be repeated, and before a model is called whose
// credits are reserved already. Otherwise their reservation is the look: it is refused
// when another writer changed the run.
func (t *turn) mustLook(at execution.TraceEntry) bool {
	return t.unrepeatable(at.Definition) || t.holdOf(at.StepRecord).Amount > 0
}

// takeOver takes the lease from another worker of the same machine, which may be alive:
// the machine calls again when it has no answer, and the cloud may start it twice. The
// other begins no step a moment later. Until then it may have recorded some.
func (t *turn) takeOver(ctx context.Context) error {
	if err := t.writeLease(ctx); err != nil {
		return err
	}
	if err := t.Sleep(ctx, execution.SettleTime); err != nil {
		return err
	}
	seen := t.Now()
	x, steps, err := t.Store.Execution(ctx, t.x.Org, t.x.ID)
	if err != nil {
		return err
	}
	if x.Revision != t.x.Revision {
		return execution.ErrStale
	}
	t.steps, t.seen = steps, seen
	return nil
}

// save records a step that is not the last.
func (t *turn) save(ctx context.Context, s execution.StepRecord) error {
	if err := t.lease(ctx); errors.Is(err, execution.ErrStale) {
		return t.keepLateAnswer(ctx, s)
	} else if err != nil {
		return err
	}
	s.Attempt = t.x.Lease.Attempt
	if _, unpaid := t.x.Released(s); unpaid {
		err := t.keep(ctx, func(x execution.Execution) execution.Change {
			c, _ := x.Released(s)
			return c
		})
		if err != nil {
			return err
		}
	} else if err := t.Store.SaveStep(ctx, t.x, s); err != nil {
		return err
	}
	t.remember(s)
	return nil
}

// remember adds a recorded step to the turn's copy.
func (t *turn) remember(s execution.StepRecord) {
	t.steps = maps.Clone(t.steps)
	if t.steps == nil {
		t.steps = execution.Steps{}
	}
	t.steps[s.ID] = s
}

// complete ends the run after its last step. A large step is written before the
// end: a worker that continues after a crash finds no step left and ends the
// run.
func (t *turn) complete(ctx context.Context, last *execution.StepRecord) (machine.Next, error) {
	ending := func(x execution.Execution) execution.Execution { return x.Complete(t.Now()) }
	if last != nil && !t.inline(ending, *last) {
		if err := t.save(ctx, *last); err != nil {
			return machine.Next{}, err
		}
		last = nil
	}
	return t.end(ctx, ending, last)
}

// inline reports whether the last step is stored in the record of its run.
func (t *turn) inline(ending execution.Ending, last execution.StepRecord) bool {
	steps := maps.Clone(t.steps)
	if steps == nil {
		steps = execution.Steps{}
	}
	steps[last.ID] = last
	c := t.x.End(ending, steps, false)
	c.Execution.Last = &last
	return t.Store.Inline(c)
}

// end ends the run together with the step that decided it, in one write: a
// worker that found the step without the end would continue with the next step.
func (t *turn) end(ctx context.Context, ending execution.Ending, last *execution.StepRecord) (machine.Next, error) {
	done := machine.Next{Next: machine.NextDone}
	var inline, row *execution.StepRecord
	if last != nil {
		s := *last
		s.Attempt = t.x.Lease.Attempt
		t.remember(s)
		if inline = &s; !t.inline(ending, s) || t.shared() && s.Status == execution.StepFailed {
			inline, row = nil, &s // the row refuses a failure beside the result of another worker
		}
	}
	write := t.commit
	if last != nil {
		write = t.keep
	}
	err := write(ctx, func(x execution.Execution) execution.Change {
		x.Last = inline
		c := x.End(ending, t.steps, false)
		c.Step = row
		if c.Execution.Status == execution.Failed {
			c.Outbox = append(c.Outbox, c.Execution.FailedEvent(t.definition.Name))
		}
		return c
	})
	if errors.Is(err, execution.ErrStale) && last != nil {
		return done, t.keepLateAnswer(ctx, *last)
	}
	if err == nil {
		t.Observe(ctx, resultOf(t.x))
		endRun(ctx, t.x)
	}
	return done, err
}

// park parks the run until due and hands it to the waiting machine. A step that
// starts to wait is recorded in the same write.
func (t *turn) park(ctx context.Context, next machine.State, due time.Time, s *execution.StepRecord) (machine.Next, error) {
	now := t.Now()
	err := t.commit(ctx, func(x execution.Execution) execution.Change {
		c := x.Parked(due).Park(t.steps)
		c.Step = s
		return c
	})
	seconds := max(int64(due.Sub(now).Round(time.Second)/time.Second), 1)
	return machine.Next{Next: next, Seconds: seconds, Name: t.name()}, err
}

// work executes a step and renews the lease meanwhile. It cancels the step when
// the lease is lost.
func (t *turn) work(ctx context.Context, task step.Task) (execution.StepRecord, error) {
	if task.Definition.Kind != definition.AI { // an AI step writes the lease with its reservation
		if err := t.toBegin(ctx, task.Definition); err != nil {
			return execution.StepRecord{}, err
		}
	}
	ctx = t.beginStep(ctx, task.Definition.ID)
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
	renew := time.NewTimer(t.untilRenewal()) // earlier steps may have used up the lease
	defer renew.Stop()
	for {
		select {
		case o := <-finished:
			if err := t.saveMaker(context.WithoutCancel(ctx), task, o.step); err != nil {
				return execution.StepRecord{}, err
			}
			if cause := context.Cause(ctx); errors.Is(cause, execution.ErrStale) {
				return o.step, t.keepLateAnswer(context.WithoutCancel(ctx), o.step)
			}
			return o.step, o.err
		case <-renew.C:
			if err := t.renew(ctx); errors.Is(err, execution.ErrStale) {
				stop(execution.ErrStale)
			} else if err != nil {
				t.Report(ctx, fmt.Errorf("renew the lease: %w", err)) // the next renewal may succeed in time
			}
			renew.Reset(execution.RenewTime)
		}
	}
}

// fence returns a step that an earlier worker has begun as that worker left it. It may be
// alive and about to record another effect: first its records of the step are refused.
func (t *turn) fence(ctx context.Context, at execution.TraceEntry) (execution.TraceEntry, error) {
	if at.Status != execution.StepRunning || at.Attempt >= t.x.Lease.Attempt {
		return at, nil
	}
	if err := t.lease(ctx); err != nil {
		return at, err
	}
	if err := t.Store.FenceStep(ctx, t.x, at.ID); err != nil {
		return at, fmt.Errorf("fence step %s: %w", at.ID, err)
	}
	x, steps, err := t.Store.Execution(ctx, t.x.Org, t.x.ID)
	if err != nil {
		return at, err
	}
	if x.Revision != t.x.Revision {
		return at, execution.ErrStale
	}
	t.steps, at.StepRecord = steps, steps[at.ID]
	return at, nil
}

// saveMaker records the object that a completed action made, before its step is
// recorded: a worker that dies in between repeats both. Events about the object then
// count as caused by this run. A run that waited may be older than the agents that
// listen for these events.
func (t *turn) saveMaker(ctx context.Context, task step.Task, s execution.StepRecord) error {
	a := task.Definition.ActionStep
	if a == nil || s.Status != execution.StepCompleted || t.x.Untracked && !t.x.WasParked {
		return nil
	}
	action, _ := t.Actions.Action(a.Product, a.Action)
	reply, _ := s.Output.(map[string]any)
	made, ok := action.MadeIn(reply)
	if !ok {
		return nil
	}
	if err := t.Store.SaveMaker(ctx, t.x.Org, made, t.x.ID, t.Now()); err != nil {
		return fmt.Errorf("record the maker of a %s: %w", made.Kind, err)
	}
	return nil
}

// keepLateAnswer stores a model's answer, or that the tenant's schema refused it,
// although another writer changed the run, as long as its credits are still held:
// the model has been paid. It returns ErrStale, so that the run is read again.
func (t *turn) keepLateAnswer(ctx context.Context, s execution.StepRecord) error {
	err := retry.Races(execution.ErrStale, func() error {
		x, steps, err := t.Store.Execution(ctx, t.x.Org, t.x.ID)
		if err != nil {
			return err
		}
		h, held := x.Holds[s.ID]
		if s.Charge == nil && !s.Refused || !held || steps[s.ID].Status.Ended() {
			return nil
		}
		s.Attempt = x.Lease.Attempt
		return Pardoning(&s, h, func(p *credit.Pardon) error {
			if p == nil {
				return t.Store.Commit(ctx, execution.Change{Execution: x, Step: &s})
			}
			c, _ := x.Released(s)
			return t.Store.Commit(ctx, c.Pardoned(p))
		})
	})
	return errors.Join(execution.ErrStale, err)
}

// A reservation lets a step reserve credits and record its intents.
type reservation struct {
	*turn

	step id.Step
}

// Reserve implements step.Lease.
func (r reservation) Reserve(ctx context.Context, h credit.Hold) (credit.Hold, error) {
	if held, ok := r.held(); ok {
		return held, r.toBegin(ctx, definition.Step{Kind: definition.AI})
	}
	return execution.Reserve(r.step, h, func(change func(execution.Execution) execution.Change) error { return r.commit(ctx, change) })
}

func (r reservation) held() (credit.Hold, bool) {
	r.lock()
	defer r.unlock()
	h, ok := r.x.Holds[r.step]
	return h, ok
}

// holdOf returns the hold of a step; zero if it has none.
func (t *turn) holdOf(s execution.StepRecord) credit.Hold {
	t.lock()
	defer t.unlock()
	return t.x.Holds[s.ID]
}

// Intend implements step.Lease. Of two workers of one machine that intend the same
// effect, the second has not read what the first intends: it is refused.
func (r reservation) Intend(ctx context.Context, s execution.StepRecord) error {
	r.lock()
	s.Attempt = r.x.Lease.Attempt
	x := r.x
	r.unlock()
	save := r.Store.SaveStep
	if _, known := r.steps[s.ID]; !known {
		save = r.Store.SaveNewStep
	}
	if err := save(ctx, x, s); err != nil {
		return fmt.Errorf("record step %s: %w", s.ID, err)
	}
	r.remember(s)
	return nil
}
