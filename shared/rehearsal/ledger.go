package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/step"
)

// LedgerStore keeps ledgers, as runner.Store keeps runs.
type LedgerStore interface {
	Create(ctx context.Context, x execution.Execution) error
	Execution(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, execution.Steps, error)
	Commit(ctx context.Context, c execution.Change) error
	SaveStep(ctx context.Context, x execution.Execution, s execution.StepRecord) error
}

// Ledgers opens ledgers, in which AI steps reach live models.
type Ledgers struct {
	Store    LedgerStore
	Steps    *step.Service // whose model is live
	Now      func() time.Time
	NewOwner func() string // a name that no other worker has
}

// A Ledger executes the AI steps of one test run. It reserves the credits of a step before
// its model is asked, and charges them with the answer. An answer that it has, from a worker
// that died, is not asked for again.
type Ledger struct {
	*Ledgers

	mu    sync.Mutex
	x     execution.Execution
	steps execution.Steps
	count atomic.Int64 // of the answers
}

// Open returns the ledger of a job for an agent, under a lease of its own: every earlier
// worker loses its next write.
func (s *Ledgers) Open(ctx context.Context, org id.Org, a id.Agent, j id.Job) (*Ledger, error) {
	now := s.Now()
	if err := s.Store.Create(ctx, execution.NewLedger(org, a, j, now)); err != nil && !errors.Is(err, execution.ErrExists) {
		return nil, fmt.Errorf("open the ledger of %s: %w", j, err)
	}
	l := &Ledger{Ledgers: s}
	var err error
	if l.x, l.steps, err = s.Store.Execution(ctx, org, execution.LedgerID(j)); err != nil {
		return nil, fmt.Errorf("read the ledger of %s: %w", j, err)
	}
	if l.count.Store(int64(l.steps.Ended())); l.x.Status.Ended() {
		return l, nil
	}
	return l, l.commit(ctx, func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x.OpenedBy(s.NewOwner(), now)}
	})
}

// Answers returns the number of answers that the ledger has.
func (l *Ledger) Answers() int { return int(l.count.Load()) }

// Close charges the answers and releases the rest. It returns the credits charged.
func (l *Ledger) Close(ctx context.Context, s execution.Status) (int64, error) {
	if !l.x.Status.Ended() {
		err := l.commit(ctx, func(x execution.Execution) execution.Change { return x.Closed(s, l.steps, l.Now()) })
		if err != nil {
			return 0, fmt.Errorf("close %s: %w", l.x.ID, err)
		}
	}
	return l.x.Credits, nil
}

// commit applies a change of the ledger. The sweeper publishes its events, such as that the
// credits are low.
func (l *Ledger) commit(ctx context.Context, change func(execution.Execution) execution.Change) error {
	c := change(l.x)
	if err := l.Store.Commit(ctx, c); err != nil {
		return err
	}
	l.x = c.Execution
	l.x.Revision++
	return nil
}

// errClosed stops a test run whose ledger was closed before it had all answers.
var errClosed = ErrTooLong.Sayf("The test run was interrupted, and not resumed within %d minutes.", int64(execution.LedgerTime/time.Minute))

// do executes an AI step. Its times are those of the clock of the world.
func (l *Ledger) do(ctx context.Context, t step.Task) (execution.StepRecord, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := t.Definition.ID
	if s, ok := l.steps[name]; ok && s.Status.Ended() {
		return s, nil
	}
	if l.x.Status.Ended() {
		return execution.StepRecord{}, errClosed
	}
	t.Lease = lease{l, name}
	s, err := l.Steps.Do(ctx, t)
	if err != nil {
		return s, err
	}
	s.Attempt = l.x.Lease.Attempt
	err = runner.Pardoning(&s, l.x.Holds[name], func(p *credit.Pardon) error {
		if c, unpaid := l.x.Released(s); unpaid {
			return l.commit(ctx, func(execution.Execution) execution.Change { return c.Pardoned(p) })
		}
		return l.Store.SaveStep(ctx, l.x, s)
	})
	if err != nil {
		return s, fmt.Errorf("record the answer to %s: %w", name, err)
	}
	l.steps[name] = s
	l.count.Add(1)
	return s, nil
}

// A lease reserves the credits of a step in a ledger.
type lease struct {
	ledger *Ledger
	step   id.Step
}

// Reserve implements step.Lease.
func (r lease) Reserve(ctx context.Context, h credit.Hold) (credit.Hold, error) {
	if held, ok := r.ledger.x.Holds[r.step]; ok {
		// A write shows that no other worker has the ledger: it may have asked the model.
		return held, r.ledger.commit(ctx, func(x execution.Execution) execution.Change { return execution.Change{Execution: x} })
	}
	return execution.Reserve(r.step, h, func(change func(execution.Execution) execution.Change) error {
		return r.ledger.commit(ctx, change)
	})
}

// Intend implements step.Lease. An AI step has no effect but its answer.
func (lease) Intend(context.Context, execution.StepRecord) error { return nil }

// paid are the steps of a test run with live models. All others are held back.
type paid struct {
	*step.Service

	stage *stage
}

// Do implements runner.Steps.
func (p paid) Do(ctx context.Context, t step.Task) (execution.StepRecord, error) {
	if _, fails := p.stage.Answers.Fail[t.Definition.ID]; fails || t.Definition.Kind != definition.AI {
		return p.Service.Do(ctx, t)
	}
	began := p.stage.Now()
	s, err := p.stage.Ledger.do(ctx, t)
	if err != nil {
		return s, err
	}
	p.stage.pass(max(s.Ended.Sub(s.Started), 0))
	p.stage.answered(t.Definition.ID)
	s.Started, s.Ended, s.Attempt = began, p.stage.Now(), t.Run.Lease.Attempt
	return s, nil
}

// answered notes that a live model answered a step.
func (h *held) answered(s id.Step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sources[s] = Live
}
