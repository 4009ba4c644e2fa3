package runner

import (
	"context"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/step"
)

// slack is added to the wait of a machine, so that it does not wake before the
// gate's expiry by the clock of the record.
const slack = time.Second

// gate parks the run at its question, or acts on the decision.
func (t *turn) gate(ctx context.Context, at execution.TraceEntry) (machine.Next, bool, error) {
	if at.Status != execution.StepWaiting {
		next, err := t.park(ctx, machine.NextGate, t.Now(), nil)
		next.Seconds = int64((firstWake(at.Definition) + slack) / time.Second)
		return next, true, err
	}
	a, err := t.Store.Approval(ctx, t.x.Org, approval.ID(at.Asked, t.x.ID, at.ID))
	if err != nil {
		return machine.Next{}, true, fmt.Errorf("approval of %s: %w", at.ID, err)
	}
	expired, over := a.Expire(t.Now())
	switch {
	case a.Status == approval.Approved:
		return t.record(ctx, at, t.decided(at, a))
	case a.Status == approval.Denied:
		return t.stop(ctx, at, a, execution.ApprovalDenied)
	case over:
		return t.expire(ctx, at, expired)
	case a.Status == approval.Expired:
		return t.applyExpiry(ctx, at, a)
	}
	a, _ = a.Reminded(t.Now())
	next, err := t.parkAtGate(ctx, at, at.StepRecord, a)
	return next, true, err
}

// firstWake returns how long a machine waits at a gate before it wakes without
// a decision: half the time limit when the gate has channels to remind,
// otherwise the whole.
func firstWake(s definition.Step) time.Duration {
	if len(s.Channels(false)) > 0 {
		return s.TimeLimit() / 2
	}
	return s.TimeLimit()
}

// parkAtGate parks the run at the gate again, with a new token, and sends the
// messages that are due. It also writes the approval, so that a concurrent
// decision makes the write fail.
func (t *turn) parkAtGate(
	ctx context.Context, at execution.TraceEntry, s execution.StepRecord, a approval.Approval,
) (machine.Next, error) {
	err := t.commit(ctx, func(x execution.Execution) execution.Change {
		c := x.AwaitingApproval(a.Next()).Park(t.steps)
		c.Step, c.Gate = &s, &a
		return c
	})
	if err != nil {
		return machine.Next{}, err
	}
	t.remember(s)
	if err := t.notifyGate(ctx, at, a); err != nil {
		return machine.Next{}, err
	}
	seconds := max(int64((a.Next().Sub(t.Now())+slack)/time.Second), 1)
	return machine.Next{Next: machine.NextGate, Seconds: seconds, Name: t.name()}, nil
}

// decided returns the gate's step record after a decision.
func (t *turn) decided(at execution.TraceEntry, a approval.Approval) execution.StepRecord {
	s := at.StepRecord
	s.Status, s.Ended = execution.StepCompleted, t.Now()
	output := map[string]any{
		"approval_id": string(a.ID), "decision": string(a.Status), "decided_by": string(a.DecidedBy), "note": a.Note,
	}
	if a.Renews != nil {
		output["renews"] = string(a.Renews.Approval)
	}
	if a.Status == approval.Approved {
		s.Decided = a.DecidedAt
	}
	s.Output = execution.NotifiedIn(s.Output).Settled().In(output)
	return s
}

// stop cancels the run because its gate was denied or expired.
func (t *turn) stop(
	ctx context.Context, at execution.TraceEntry, a approval.Approval, r execution.Reason,
) (machine.Next, bool, error) {
	s := t.decided(at, a)
	next, err := t.end(ctx, func(x execution.Execution) execution.Execution {
		x, _ = x.Cancel(r, a.Decider(), t.Now()) // the run was just read and has not ended
		return x
	}, &s)
	t.endStep(ctx, at, s, err)
	return next, true, err
}

// expire records that the time limit has passed and applies the gate's expiry
// rule.
func (t *turn) expire(ctx context.Context, at execution.TraceEntry, a approval.Approval) (machine.Next, bool, error) {
	if at.Definition.Expiry() == definition.Escalate && !at.Escalated {
		next, err := t.escalate(ctx, at, a)
		return next, true, err
	}
	err := t.commit(ctx, func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x, Gate: &a}
	})
	if err != nil {
		return machine.Next{}, true, err
	}
	return t.applyExpiry(ctx, at, a)
}

// applyExpiry applies the gate's rule for an expired approval.
func (t *turn) applyExpiry(ctx context.Context, at execution.TraceEntry, a approval.Approval) (machine.Next, bool, error) {
	if at.Definition.Expiry() == definition.Approve {
		return t.record(ctx, at, t.decided(at, a))
	}
	return t.stop(ctx, at, a, execution.ApprovalExpired)
}

// escalate passes the question to the approvers of escalate_to, with a new time
// limit.
func (t *turn) escalate(ctx context.Context, at execution.TraceEntry, a approval.Approval) (machine.Next, error) {
	to, now := at.Definition.EscalateTo, t.Now()
	seconds := to.Timeout
	if seconds == 0 {
		seconds = definition.DefaultGate
	}
	a.Status = approval.Pending
	a = a.Escalate(approvers(to.Approvers), now.Add(time.Duration(seconds)*time.Second))
	if len(at.Definition.Channels(true)) > 0 {
		a = a.Halfway(now)
	}
	s := at.StepRecord
	s.Escalated = true
	return t.parkAtGate(ctx, at, s, a)
}

func approvers(a definition.Approvers) approval.Approvers {
	out := approval.Approvers{Users: a.Users}
	for _, r := range a.Roles {
		out.Roles = append(out.Roles, caller.Role(r))
	}
	return out
}

// ask records the question of the gate at which the run is parked, together
// with the task token. It rings at once when the run is not parked at a gate:
// it has ended, is held, is leased by a worker, or the gate is decided.
func (s *Service) ask(ctx context.Context, call machine.Call) error {
	return retry.Races(execution.ErrStale, func() error { return s.tryAsk(ctx, call) })
}

func (s *Service) tryAsk(ctx context.Context, call machine.Call) error {
	x, steps, err := s.Store.Execution(ctx, call.Cursor.Org, call.Cursor.Execution)
	if err != nil {
		return err
	}
	place(ctx, call, x)
	d, err := s.Definitions.Version(ctx, x.Org, x.Agent, x.Version)
	if err != nil {
		return err
	}
	t := s.begin(x, steps, d)
	at, more := t.trace().Next()
	if x.Status.Ended() || x.Held || x.Lease.Owner != "" || !more || at.Definition.GateStep == nil {
		return s.Doorbell.Ring(ctx, call.Token)
	}
	if at.Status == execution.StepWaiting {
		return t.askAgain(ctx, at, call.Token)
	}
	return t.askFirst(ctx, at, call.Token)
}

// askAgain stores a new token with an open approval.
func (t *turn) askAgain(ctx context.Context, at execution.TraceEntry, token string) error {
	a, err := t.Store.Approval(ctx, t.x.Org, approval.ID(at.Asked, t.x.ID, at.ID))
	if err != nil {
		return err
	}
	if a.Status != approval.Pending || !t.Now().Before(a.Expires) {
		return t.Doorbell.Ring(ctx, token)
	}
	a.Token = token
	err = t.commit(ctx, func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x.AwaitingApproval(a.Next()), Gate: &a}
	})
	if err != nil {
		return err
	}
	return t.notifyGate(ctx, at, a) // an earlier call may have crashed before it did
}

// askFirst writes approval and token in one change and notifies people.
func (t *turn) askFirst(ctx context.Context, at execution.TraceEntry, token string) error {
	scope, facts, err := t.loadScope(ctx)
	if err != nil {
		return err
	}
	a, s, err := t.newApproval(at, scope, facts)
	if err != nil {
		if _, _, err := t.record(ctx, at, t.failed(at, err)); err != nil {
			return err
		}
		return t.Doorbell.Ring(ctx, token)
	}
	a.Token = token
	if a.Guards() {
		if a.Behind, err = t.behind(ctx); err != nil {
			return err
		}
	}
	err = t.commit(ctx, func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x.AwaitingApproval(a.Next()), Step: &s, Gate: &a}
	})
	if err != nil {
		return err
	}
	t.remember(s)
	return t.notifyGate(ctx, at, a)
}

// behind returns the authors of the version and of the run. Events start the runs
// of active versions, so a version without a record of its activation is older
// than these records.
func (t *turn) behind(ctx context.Context) (approval.Behind, error) {
	v, err := t.Definitions.VersionRecord(ctx, t.x.Org, t.x.Agent, t.x.Version)
	if err != nil {
		return approval.Behind{}, fmt.Errorf("authors of %s version %d: %w", t.x.Agent, t.x.Version, err)
	}
	wrote, started := v.WrittenBy(), t.x.StartedBy().Actors()
	return approval.Behind{
		Wrote: wrote, Activated: v.ActivatedBy, Started: started,
		Known: len(wrote) > 0 && (len(v.ActivatedBy) > 0 || len(started) > 0),
	}, nil
}

// newApproval returns the approval of a gate and its waiting step, or
// ErrTemplate.
func (t *turn) newApproval(
	at execution.TraceEntry, scope render.Scope, facts condition.Facts,
) (approval.Approval, execution.StepRecord, error) {
	message, err := render.Text(at.Definition.Message, scope)
	if err != nil {
		return approval.Approval{}, execution.StepRecord{}, err
	}
	message = render.Clean(message)
	ahead := t.preview(at.ID, scope, facts)
	shown, err := ahead.shown()
	if err != nil {
		return approval.Approval{}, execution.StepRecord{}, err
	}
	now, g := t.Now(), at.Definition.GateStep
	a := approval.Approval{
		ID: approval.ID(now, t.x.ID, at.ID), Org: t.x.Org, Execution: t.x.ID, Agent: t.x.Agent, Version: t.x.Version, Step: at.ID, StepName: at.Definition.Name,
		Message: message, Actions: ahead.actions, Risk: ahead.risk, Then: ahead.following(), Status: approval.Pending,
		Approvers: approvers(g.Approvers), Min: g.Min(), OnExpiry: g.Expiry(),
		Created: now, Expires: now.Add(at.Definition.TimeLimit()), KeptUntil: t.x.KeptUntil,
	}
	if len(g.Channels(true)) > 0 {
		a.Chat = chat(g.Message, scope)
	}
	// Values beyond the budget would look like values that are not known yet, and
	// the approvers would agree to something else than they saw.
	if err := scope.Budget().Err(); err != nil {
		return approval.Approval{}, execution.StepRecord{}, err
	}
	if len(g.Channels(false)) > 0 {
		a = a.Halfway(now)
	}
	output := map[string]any{"approval_id": string(a.ID)}
	if a.Renews = t.renews(at.StepRecord); a.Renews != nil {
		output["renews"] = string(a.Renews.Approval)
	}
	return a, execution.StepRecord{
		ID: at.ID, Kind: at.Kind, Status: execution.StepWaiting, Started: now, Asked: now, Attempt: t.x.Lease.Attempt,
		Input: map[string]any{"message": step.Shown(message)}, Output: output, ShownToApprovers: shown, Round: at.Round,
	}, nil
}
