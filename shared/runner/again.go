package runner

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
)

// aged returns the gate that must ask again before a destructive action begins,
// because its approval is too old, and whether there is one. An action that has
// begun is not asked about again.
func (t *turn) aged(at execution.TraceEntry) (execution.TraceEntry, bool) {
	if at.Definition.ActionStep == nil || at.Status != execution.StepPending {
		return execution.TraceEntry{}, false
	}
	gate, ok := t.trace().Verdict(at.ID)
	if !ok || !gate.Aged(t.Now()) {
		return execution.TraceEntry{}, false
	}
	var params map[string]any
	if b := t.trace().ShownToApprovers(); b != nil {
		params = b.Params[at.ID]
	}
	return gate, riskOf(t.Actions, at.Definition, params) == catalog.Destructive
}

// reopen parks the run at a gate whose approval is too old. The gate asks as it
// did at first, about the steps that remain.
func (t *turn) reopen(ctx context.Context, gate execution.TraceEntry) (machine.Next, error) {
	again, earlier := gate.Again()
	again.Attempt, earlier.Attempt = t.x.Lease.Attempt, t.x.Lease.Attempt
	err := t.commit(ctx, func(x execution.Execution) execution.Change {
		c := x.Parked(t.Now()).Park(t.steps)
		c.Step, c.Reopen, c.Closed = &again, true, append(c.Closed, earlier)
		return c
	})
	if err != nil {
		return machine.Next{}, err
	}
	t.remember(again)
	t.remember(earlier)
	seconds := int64((firstWake(gate.Definition) + slack) / time.Second)
	return machine.Next{Next: machine.NextGate, Seconds: seconds, Name: t.name()}, nil
}

// renews returns the approval of the gate's round before, or nil in the first.
func (t *turn) renews(gate execution.StepRecord) *approval.Renewal {
	earlier, ok := t.steps.Earlier(gate)
	if !ok {
		return nil
	}
	output, _ := earlier.Output.(map[string]any)
	by, _ := output["decided_by"].(string)
	return &approval.Renewal{
		Approval: approval.ID(earlier.Asked, t.x.ID, gate.ID), DecidedBy: id.User(by), DecidedAt: earlier.ApprovedAt(),
	}
}
