package runner

import (
	"context"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// wait parks the run until the wait is over by the time in the record, not by
// the machine's timer.
func (t *turn) wait(ctx context.Context, at execution.TraceEntry, scope render.Scope) (machine.Next, bool, error) {
	now := t.Now()
	s := at.StepRecord
	if at.Status != execution.StepWaiting {
		until, err := waitUntil(at.Definition.WaitStep, scope, now)
		if err != nil {
			return t.record(ctx, at, t.failed(at, err))
		}
		s.Status, s.Started, s.Until = execution.StepWaiting, now, until
		s.Input = map[string]any{"until": until.UTC().Format(time.RFC3339)}
	}
	limit := s.Started.Add(at.Definition.TimeLimit())
	switch {
	case !now.Before(s.Until):
		s.Status, s.Ended = execution.StepCompleted, now
		s.Output = map[string]any{"waited_seconds": int64(now.Sub(s.Started).Seconds())}
		return t.record(ctx, at, s)
	case !now.Before(limit):
		s.Status, s.Ended = execution.StepFailed, now
		s.Error = step.Failure(step.Task{Definition: at.Definition}, step.ErrTimeout)
		return t.record(ctx, at, s)
	}
	if err := t.outcomes(ctx, nil); err != nil { // the run is about to be parked anyway
		return machine.Next{}, true, err
	}
	s.Attempt = t.x.Lease.Attempt
	if t.hasPendingOutcomes() && !t.stalling() {
		next, err := t.park(ctx, machine.NextRun, t.Now(), &s)
		return next, true, err
	}
	due := s.Until
	if limit.Before(due) {
		due = limit
	}
	next, err := t.park(ctx, machine.NextWait, due, &s)
	next.Seconds = max(int64((due.Sub(t.Now())+time.Second-1)/time.Second), 1)
	return next, true, err
}

// waitUntil returns the end of a wait, at most a year from now.
func waitUntil(w *definition.WaitStep, scope render.Scope, now time.Time) (time.Time, error) {
	if w.Duration > 0 {
		return now.Add(time.Duration(w.Duration) * time.Second), nil
	}
	text, err := render.Text(w.Until, scope)
	if err != nil {
		return time.Time{}, err
	}
	until, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	switch {
	case err != nil:
		return time.Time{}, render.ErrTemplate.Sayf("until became %.60q, but must be a time like 2026-03-09T14:23:01Z.", text)
	case until.After(now.Add(definition.MaxWait * time.Second)):
		return time.Time{}, render.ErrTemplate.Sayf("until became %s, which is more than a year away.", text)
	}
	return until, nil
}
