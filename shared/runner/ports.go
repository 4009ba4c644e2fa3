package runner

import (
	"context"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// Store keeps runs; see package execution for what the methods promise.
type Store interface {
	Execution(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, execution.Steps, error)
	Commit(ctx context.Context, c execution.Change) error

	// Header returns the run alone, as it is now, without its trigger's
	// payload: enough to see whether somebody has changed it.
	Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error)

	// SaveStep records a step, unless it is recorded as ended already or by a
	// later attempt; then it returns execution.ErrStale.
	SaveStep(ctx context.Context, org id.Org, exec id.Execution, s execution.StepRecord) error

	// Approval returns the question of a gate, or approval.ErrNotFound.
	Approval(ctx context.Context, org id.Org, appr id.Approval) (approval.Approval, error)
}

// Outbox publishes the platform's own events after they were stored with a
// change. What it cannot publish, the sweeper does.
type Outbox interface {
	Publish(ctx context.Context, stored []event.Event)
}
