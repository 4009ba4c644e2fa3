// Package runner executes runs: it does the steps of the definition in order
// and records each result, until the run ends or has to wait.
//
// One loop serves every agent and both machines. Each call begins by reading
// the record and ends by writing it. A call that arrives twice, late or from an
// abandoned machine therefore does no harm:
//
//	read ─▶ lease ─▶ do step ─▶ record ─▶ … ─▶ end
//	                    │                └───▶ park, hand over (gate, wait, time short)
//	                    └ stale: another writer was first; read again or stop
//
// The runner saves writes: it writes the lease together with the first write of
// the first step, if that step writes before its effect, and the last step
// together with the end. It never starts a side effect before recording it.
//
// A run is recorded with a short lease for the machine that is started with it. The
// first worker of that machine acts under it and writes no lease, as long as the lease
// lasts, until a step that must not be repeated: a message, or an action that people
// must approve. The cloud may start a machine twice. Two workers that act under this
// lease call the product with the same key and parameters, and the first result of the
// step that is recorded, or the first change of the run, stops the other.
//
// If the runner crashes, its machine calls again; if the machine is gone too,
// the sweeper starts another. A step that crashed execution.MaxAttempts workers is
// given up, or one before which execution.MaxStalledLeases workers crashed in a row. When an external system is down, the step
// reports it; see package step.
//
// Before each step the runner looks whether another writer has changed the run, unless it
// knows the record from a moment ago; see execution.LookTime. Before a step that must not
// be repeated it always looks.
//
// The people who were asked at a gate are notified of its outcome. No step
// waits for these messages: the runner sends them while the run is parked or
// after its end. An ended run stays due until they are sent.
package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/span"
	"theoneagents.app/agents/shared/step"
)

// Definitions finds the definition of a run.
type Definitions interface {
	// Version returns a version of an agent, even of a deleted agent.
	Version(ctx context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error)

	// VersionRecord is Version with the version's authors.
	VersionRecord(ctx context.Context, org id.Org, a id.Agent, version int) (agent.Version, error)
}

// Actions finds actions of the catalogue.
type Actions interface {
	Action(product, action string) (catalog.Action, bool)
}

// Profiles finds the profile of a client; nil when it has none.
type Profiles interface {
	Profile(ctx context.Context, org id.Org, client id.Client) (map[string]any, error)
}

// Steps executes the steps that do not wait, and sends the messages of gates.
type Steps interface {
	// Params returns the parameters with which an action will be called, or the
	// error that prevents the call.
	Params(t step.Task) (map[string]any, error)
	// Recipients returns the recipients of a notification, as far as their
	// addresses are known.
	Recipients(t step.Task) []string
	Do(ctx context.Context, t step.Task) (execution.StepRecord, error)
	Tell(ctx context.Context, t step.Task, n step.GateMessage, intend func(execution.Delivery) error) (execution.Delivery, error)
}

// Service executes runs.
type Service struct {
	Store       Store
	Definitions Definitions
	Actions     Actions
	Profiles    Profiles
	Steps       Steps
	Doorbell    approval.Doorbell
	Outbox      Outbox
	Pauses      Pauses
	// Link returns the URL of the page where approvers decide.
	Link func(id.Approval) string
	Now  func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
	// Report logs a failure that does not affect the run.
	Report func(ctx context.Context, err error)
	// Observe counts a step or a run that has ended, for metrics. A worker that dies
	// may count it twice, or not at all.
	Observe func(ctx context.Context, r Result)
}

// Handle serves a call of a machine. After an error the machine calls again.
func (s *Service) Handle(ctx context.Context, call machine.Call) (machine.Next, error) {
	correlation.Set(ctx, func(f *correlation.Fields) { f.Org, f.Execution = call.Cursor.Org, call.Cursor.Execution })
	ctx, turn := span.Begin(ctx, "turn", span.Consumer)
	defer turn.End()
	next, err := s.handle(ctx, call)
	turn.Text(span.Outcome, string(next.Next))
	if err != nil {
		turn.Fail(fault.From(err).Code)
	}
	return next, err
}

func (s *Service) handle(ctx context.Context, call machine.Call) (machine.Next, error) {
	// The record stores the owner with the lease, and machine names are long.
	call.Owner = id.Digest(call.Owner)
	switch call.Op {
	case machine.OpRun:
		if call.Cursor.Pause() {
			return machine.Next{Cursor: call.Cursor, Next: machine.NextDone}, s.Pauses.Repeat(ctx, call.Cursor.Org)
		}
		next, err := s.run(ctx, call)
		if err != nil {
			return machine.Next{}, fmt.Errorf("run %s: %w", call.Cursor.Execution, err)
		}
		return next, nil
	case machine.OpGate:
		if err := s.ask(ctx, call); err != nil {
			return machine.Next{}, fmt.Errorf("ask %s: %w", call.Cursor.Execution, err)
		}
		return machine.Next{Cursor: call.Cursor, Next: machine.NextDone}, nil
	}
	return machine.Next{}, fmt.Errorf("unknown operation %q", call.Op)
}

func (s *Service) run(ctx context.Context, call machine.Call) (machine.Next, error) {
	var next machine.Next
	first := call.Retries == 0
	err := retry.Races(execution.ErrStale, func() (err error) {
		next, err = s.advance(ctx, call, first)
		first = false
		return err
	})
	if err != nil {
		return machine.Next{}, err
	}
	return next, nil
}

// advance reads the run and executes as many steps as possible. The first call of a new
// run's machine acts under the lease with which the run was recorded.
func (s *Service) advance(ctx context.Context, call machine.Call, first bool) (machine.Next, error) {
	from, later := call.Cursor, call.Cursor.Later()
	done := machine.Next{Cursor: later, Next: machine.NextDone}
	if !first {
		from = later
	}
	seen := s.Now()
	x, steps, err := s.Store.ExecutionAt(ctx, from)
	if err != nil {
		return done, err
	}
	place(ctx, call, x)
	now := s.Now()
	begun, fresh := x.BegunAt(from.First, now, recordTime)
	tried := call.Retries > 0 && x.Unbegun() && x.Lease.Owner == call.Cursor.First
	x.Lease.Owner = ownerOf(x.Lease, call)
	x = x.UnderWay(steps)
	if x.Status.Ended() {
		if x.Status == execution.Cancelled {
			endRun(ctx, x) // by a caller, whose function records no spans
		}
		next, err := s.settle(ctx, call.Owner, x, steps)
		next.Cursor = later
		return next, err
	}
	if x.Held {
		return done, s.rest(ctx, call.Owner, x, steps)
	}
	leased, ok := x.Leased(call.Owner, steps.Ended(), now)
	if !ok && x.Unbegun() {
		return awaitFirst(later, x, now), nil
	}
	if !ok {
		return done, nil // another worker has the lease, or the sweeper will find it expired
	}
	d, err := s.Definitions.Version(ctx, x.Org, x.Agent, x.Version)
	if err != nil {
		return done, fmt.Errorf("definition %s version %d: %w", x.Agent, x.Version, err)
	}
	// Two workers under the first lease must find the same at the first step, and only
	// the profile of the client may have changed between their reads.
	if fresh = fresh && (x.Trigger.Client == "" || !d.Mentions(string(condition.InClient))); fresh {
		leased = begun
		leased.Lease.Owner = call.Owner
	}
	t := s.begin(leased, steps, d)
	t.leased, t.first, t.seen = fresh, call.Cursor.First, seen
	at, more := t.trace().Next()
	stuck := leased.Stuck() || leased.GivenUp(at.ID)
	if more && !stuck && step.Does(at.Kind) {
		t.x = leased.Beginning(at.ID, x, steps.Ended(), tried)
	}
	if !fresh && x.UnderLease(now) {
		if err := t.takeOver(ctx); err != nil {
			return done, err
		}
		at, _ = t.trace().Next()
		stuck = leased.Stuck() || leased.GivenUp(at.ID)
	}
	next, err := t.walk(ctx, stuck)
	if err == nil && t.x.Status.Ended() {
		next, err = t.conclude(ctx)
	}
	next.Cursor = later
	return next, err
}

// awaitFirst tells a machine to look again when the lease with which the run was recorded
// has expired: the machine that it was given to may never have started.
func awaitFirst(c machine.Cursor, x execution.Execution, now time.Time) machine.Next {
	left := x.Lease.Until.Sub(now) + slack
	return machine.Next{
		Cursor: c, Next: machine.NextWait, Seconds: int64((left + time.Second - 1) / time.Second), Name: machine.NameOf(x.ID, 0),
	}
}

// ownerOf returns the owner of a lease, as the machine that calls knows it: the lease
// with which the run was recorded is of the machine that was started with it.
func ownerOf(l execution.Lease, call machine.Call) string {
	if l.Owner != "" && l.Owner == call.Cursor.First {
		return call.Owner
	}
	return l.Owner
}

// rest gives up the lease of a held run, unless another worker that may be alive
// has it. The machine then ends; a resumption starts another.
func (s *Service) rest(ctx context.Context, owner string, x execution.Execution, steps execution.Steps) error {
	if x.Lease.Owner == "" || x.Lease.Owner != owner && s.Now().Before(x.Lease.Until) {
		return nil
	}
	return s.commit(ctx, x.Parked(s.Now()).Park(steps))
}

// settle charges for model answers that arrived after the end of the run and
// notifies people of outcomes not yet sent, unless the worker that holds the
// lease is still alive and will do both.
func (s *Service) settle(
	ctx context.Context, owner string, x execution.Execution, steps execution.Steps,
) (machine.Next, error) {
	done := machine.Next{Next: machine.NextDone}
	if owner != x.Lease.Owner && s.Now().Before(x.Lease.Until) {
		return done, nil
	}
	if c, ok := x.Settle(steps); ok {
		if err := s.commit(ctx, c); err != nil {
			return done, err
		}
		x = c.Execution
		x.Revision++
	}
	switch recalled, ok := x.Recalled(owner, steps.Ended(), s.Now()); {
	case !ok || x.Due.IsZero():
		return done, nil
	case len(steps.Owing(true)) == 0:
		return done, s.Store.Commit(ctx, execution.Change{Execution: x.Concluded(steps)})
	default:
		d, err := s.Definitions.Version(ctx, x.Org, x.Agent, x.Version)
		if err != nil {
			return done, fmt.Errorf("definition %s version %d: %w", x.Agent, x.Version, err)
		}
		return s.begin(recalled, steps, d).conclude(ctx)
	}
}

// commit applies a change and publishes the events that were stored with it.
func (s *Service) commit(ctx context.Context, c execution.Change) error {
	if err := s.Store.Commit(ctx, c); err != nil {
		return err
	}
	if len(c.Outbox) > 0 {
		s.Outbox.Publish(ctx, c.Outbox)
	}
	return nil
}

// recordTime is the time reserved for recording a step's result.
const recordTime = 5 * time.Second

// fits reports whether a step with this time limit can finish before the
// function times out.
func fits(ctx context.Context, limit time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > limit+recordTime
}

// walk executes the steps in order. A stuck first step is given up. A run whose lease is
// not written yet is looked at by that write.
func (t *turn) walk(ctx context.Context, stuck bool) (machine.Next, error) {
	for first := true; ; first = false {
		at, more := t.trace().Next()
		if !more {
			return t.complete(ctx, nil)
		}
		if !first {
			if t.held() {
				return machine.Next{Next: machine.NextDone}, t.commit(ctx, func(x execution.Execution) execution.Change {
					return x.Parked(t.Now()).Park(t.steps)
				})
			}
			if err := t.look(ctx, t.mustLook(at)); err != nil {
				return machine.Next{}, err
			}
			tired := t.budget.Left() < render.Work // the next turn has a function of its own
			if tired || !fits(ctx, at.Definition.TimeLimit()) && at.Definition.GateStep == nil && at.Definition.WaitStep == nil {
				return t.park(ctx, machine.NextRun, t.Now(), nil)
			}
		}
		next, stop, err := t.step(ctx, at, first && stuck)
		if err != nil || stop {
			return next, err
		}
	}
}

// ErrGivenUp is the failure of a step that crashed every worker that ran it.
var ErrGivenUp = fault.New(fault.Internal, "internal_error", "Gave up: every worker that ran this step crashed. Its effect may have happened.")

// givenUp returns ErrGivenUp with the number of attempts.
func (t *turn) givenUp(step id.Step) error {
	attempts := t.x.StalledLeases
	if t.x.GivenUp(step) {
		attempts = t.x.Begun.Attempts
	}
	return ErrGivenUp.Sayf("Gave up after %d attempts: every worker that ran this step crashed. Its effect may have happened.", attempts)
}

// step executes one step or parks the run at it. A stuck step is given up,
// unless it is waiting: a waiting step cannot crash a worker.
func (t *turn) step(ctx context.Context, at execution.TraceEntry, stuck bool) (next machine.Next, stop bool, err error) {
	if stuck && at.Status != execution.StepWaiting {
		s := t.failed(at, t.givenUp(at.ID))
		s.Refused = t.holdOf(s).Amount > 0 // the model was called
		return t.record(ctx, at, s)
	}
	scope, facts, err := t.loadScope(ctx)
	if err != nil {
		return next, false, err
	}
	if at.Status == execution.StepPending && at.Definition.If != nil {
		ok, why := at.Definition.If.Holds(facts)
		if err := facts.Budget.Err(); err != nil {
			return t.record(ctx, at, t.failed(at, err))
		}
		if !ok {
			return t.record(ctx, at, t.skipped(at, why))
		}
	}
	if at.Definition.Kind == definition.Gate {
		return t.gate(ctx, at)
	}
	if at.Definition.Kind == definition.Waiting {
		return t.wait(ctx, at, scope)
	}
	if gate, old := t.aged(at); old {
		next, err := t.reopen(ctx, gate)
		return next, true, err
	}
	if at, err = t.fence(ctx, at); err != nil {
		return next, false, err
	}
	task := step.Task{Run: t.x, Definition: at.Definition, Scope: scope, Facts: facts, Lease: reservation{t, at.ID}}
	if at.Status == execution.StepRunning {
		task.Before = &at.StepRecord
	}
	if b := t.trace().ShownToApprovers(); b != nil {
		task.Agreed, task.Written = b.Params[at.ID], b.Messages[at.ID]
	}
	result, err := t.work(ctx, task)
	if err != nil {
		return next, false, err
	}
	return t.record(ctx, at, result)
}

// failed returns the record of a step that failed without being executed.
func (t *turn) failed(at execution.TraceEntry, err error) execution.StepRecord {
	return execution.StepRecord{
		ID: at.ID, Kind: at.Kind, Status: execution.StepFailed, Started: t.Now(), Ended: t.Now(), Output: at.Output,
		Error: step.Failure(step.Task{Definition: at.Definition}, err),
	}
}

func (t *turn) skipped(at execution.TraceEntry, why string) execution.StepRecord {
	return execution.StepRecord{
		ID: at.ID, Kind: at.Kind, Status: execution.StepSkipped,
		Input: map[string]any{"if": step.Shown(why)}, Started: t.Now(), Ended: t.Now(),
	}
}

// record saves a step's result. A refused answer is free while the grace of the day
// suffices, and charged beyond it. It reports whether the run stops here.
func (t *turn) record(ctx context.Context, at execution.TraceEntry, s execution.StepRecord) (next machine.Next, stop bool, err error) {
	defer func() { t.pardon = nil }()
	err = Pardoning(&s, t.holdOf(s), func(p *credit.Pardon) error {
		t.pardon = p
		next, stop, err = t.recordResult(ctx, at, s)
		return err
	})
	t.endStep(ctx, at, s, err)
	return next, stop, err
}

// Pardoning calls write for a step's result: for a refused answer with the pardon of
// its hold, or, when the grace of the day is used up, with the hold charged.
func Pardoning(s *execution.StepRecord, h credit.Hold, write func(*credit.Pardon) error) error {
	if !s.Refused || s.Charge != nil || h.Amount == 0 {
		return write(nil)
	}
	p := &credit.Pardon{Hold: h, Day: h.Month.DayOf(s.Ended)}
	for range retry.Tries {
		err := write(p)
		moved, refused := errors.AsType[*credit.Moved](err)
		if !refused {
			return err
		}
		if _, free := moved.Balance.Forgive(p.Day, h.Amount); !free {
			s.Charge = &h
			s.Error = step.Charged(*s.Error, h)
			return write(nil)
		}
		p = &credit.Pardon{Hold: h, Day: p.Day, Seen: &moved.Balance}
	}
	return fmt.Errorf("pardon %s: lost %d races for the grace of a day", s.ID, retry.Tries)
}

func (t *turn) recordResult(ctx context.Context, at execution.TraceEntry, s execution.StepRecord) (machine.Next, bool, error) {
	if s.Status == execution.StepFailed && at.Definition.OnError != definition.Continue {
		next, err := t.end(ctx, func(x execution.Execution) execution.Execution { return x.Fail(*s.Error, t.Now()) }, &s)
		return next, true, err
	}
	if t.trace().Last(at.ID) {
		next, err := t.complete(ctx, &s)
		return next, true, err
	}
	return machine.Next{}, false, t.save(ctx, s)
}

// loadScope returns the data that templates and conditions can refer to at this
// step, with the budget of their work.
func (t *turn) loadScope(ctx context.Context) (scope map[string]any, facts condition.Facts, err error) {
	x := t.x
	outputs := map[string]any{}
	scope = map[string]any{}
	turn := x.Created // the time at which the step became due, equal for every worker
	for _, s := range t.trace() {
		if s.Ended.After(turn) {
			turn = s.Ended
		}
		if s.Status == execution.StepCompleted {
			output := s.Readable()
			outputs[string(s.ID)] = map[string]any{"output": output}
			scope[s.Definition.Var()] = output
		}
	}
	// The roots are copied last: a step with the name of a root must not hide
	// it.
	maps.Copy(scope, map[string]any{
		"event_payload": x.Trigger.Payload,
		"event":         x.Trigger.Envelope(),
		"agent":         map[string]any{"id": string(x.Agent), "name": t.definition.Name, "version": int64(x.Version)},
		"execution": map[string]any{
			"id": string(x.ID), "created_at": x.Created.UTC().Format(time.RFC3339), "retry_of": string(x.RetryOf),
		},
		"steps": outputs,
	})
	budget := t.budget.Part(render.Work)
	facts = condition.Facts{Event: x.Trigger, Run: scope, Budget: budget}
	if facts.Client, err = t.client(ctx); facts.Client != nil {
		scope["client_context"] = facts.Client
	}
	return render.Scope(scope).At(turn).Within(budget), facts, err
}

// client returns the profile of the event's client, if the definition refers to
// it: the version shown at the last gate, otherwise the current one. It is read
// once a turn.
func (t *turn) client(ctx context.Context) (map[string]any, error) {
	if b := t.trace().ShownToApprovers(); b != nil {
		return b.Client, nil
	}
	if t.profiled || t.x.Trigger.Client == "" {
		return t.profile, nil
	}
	if !t.definition.Mentions(string(condition.InClient)) {
		t.profiled = true // search the definition only once
		return nil, nil   //nolint:nilnil // no profile is no error.
	}
	p, err := t.Profiles.Profile(ctx, t.x.Org, t.x.Trigger.Client)
	if err != nil {
		return nil, fmt.Errorf("profile of %s: %w", t.x.Trigger.Client, err)
	}
	t.profile, t.profiled = p, true
	return p, nil
}

// name returns the name of the machine execution to which this turn hands over.
func (t *turn) name() string { return machine.NameOf(t.x.ID, t.x.Lease.Attempt) }
