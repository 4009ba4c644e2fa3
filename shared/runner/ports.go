package runner

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
)

// Store keeps runs. Package execution states the contract of its methods.
type Store interface {
	Execution(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, execution.Steps, error)

	// ExecutionAt is Execution for the cursor of a machine. With a digest it is one
	// cheap read while the run is at the revision of its creation, and then omits steps
	// that a worker may have recorded without a change of the run.
	ExecutionAt(ctx context.Context, c machine.Cursor) (execution.Execution, execution.Steps, error)

	Commit(ctx context.Context, c execution.Change) error

	// Header returns the run as it is now, without steps and trigger payload.
	// The runner compares its revision to detect a change by another writer.
	Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error)

	// SaveStep records a step of a run, to be kept as long as the run. It returns
	// execution.ErrStale when the step has already ended or a later attempt has
	// written it.
	SaveStep(ctx context.Context, x execution.Execution, s execution.StepRecord) error

	// SaveNewStep is SaveStep for a step of which the caller has read no record. It
	// returns execution.ErrStale when there is one.
	SaveNewStep(ctx context.Context, x execution.Execution, s execution.StepRecord) error

	// FenceStep makes SaveStep refuse the recorded step to every attempt before the one
	// of the run's lease. It returns execution.ErrStale when a later attempt has written
	// the step, or the step has ended.
	FenceStep(ctx context.Context, x execution.Execution, s id.Step) error

	// Inline reports whether the record of a run that ends, with its last step in it,
	// costs no more than without: otherwise the step is recorded as the others are.
	Inline(end execution.Change) bool

	// SaveMaker records until execution.MakerKept after now that a run made an
	// object. Of several runs the first stays.
	SaveMaker(ctx context.Context, org id.Org, made catalog.ObjectID, by id.Execution, now time.Time) error

	// Approval returns the approval of a gate, or approval.ErrNotFound.
	Approval(ctx context.Context, org id.Org, appr id.Approval) (approval.Approval, error)
}

// Pauses holds the open runs of paused organizations.
type Pauses interface {
	// Repeat searches the open runs of the organization again and again for a
	// while, to hold those that were recorded after the pause.
	Repeat(ctx context.Context, org id.Org) error
}

// Outbox publishes the platform's own events after they were stored with a
// change. The sweeper publishes the events that Publish could not.
type Outbox interface {
	Publish(ctx context.Context, stored []event.Event)
}
