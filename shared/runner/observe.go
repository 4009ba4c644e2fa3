package runner

import (
	"context"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/span"
)

// A Result is a step or a run that a runner has ended, for metrics. Runs that people
// cancel are not among them. Kind, outcome and model
// have few values; an organization is one of many.
type Result struct {
	Org          id.Org
	Kind         string // of the step; "" for the run itself
	Outcome      string // its status
	Model        string // that answered an AI step; or ""
	Took         time.Duration
	InputTokens  int64
	OutputTokens int64
	Credits      int64
}

// resultOf returns the result of a run that has ended.
func resultOf(x execution.Execution) Result {
	return Result{Org: x.Org, Outcome: string(x.Status), Took: max(x.Completed.Sub(x.Created), 0)}
}

// place gives the span of this call its place in the trace of the run, below the run.
func place(ctx context.Context, call machine.Call, x execution.Execution) {
	x.Correlate(ctx)
	turn := span.Current(ctx)
	if turn == nil {
		return
	}
	run := x.Trigger.SpanOf(x.ID)
	turn.In(run, run.Trace.Of("turn", string(x.ID), string(call.Op), turn.Invocation()))
	turn.Text(span.Org, string(x.Org))
	turn.Text(span.Execution, string(x.ID))
}

// stepSpan returns the span of a step. It has the attempt, since a worker that died in
// the step recorded none.
func (t *turn) stepSpan(step id.Step) span.ID {
	trace := t.x.Trigger.Trace().Trace
	return trace.Of("step", string(t.x.ID), string(step), strconv.FormatInt(t.x.Lease.Attempt, 10))
}

// beginStep returns a context whose calls are below the span of a step, which endStep
// records.
func (t *turn) beginStep(ctx context.Context, step id.Step) context.Context {
	if span.Current(ctx) == nil {
		return ctx
	}
	ctx, calls := span.Start(ctx, "step", span.Internal)
	calls.Named(t.stepSpan(step))
	return ctx
}

// endStep records the span of a step with its result, and counts it unless its record
// failed. A step that waits belongs to the run, since it outlives its first turn; the
// others belong to their turn.
func (t *turn) endStep(ctx context.Context, at execution.TraceEntry, s execution.StepRecord, err error) {
	r := Result{Org: t.x.Org, Kind: string(at.Kind), Outcome: string(s.Status), Took: s.Duration(), Credits: s.Credits()}
	if s.Usage != nil {
		r.Model, r.InputTokens, r.OutputTokens = s.Usage.Model, s.Usage.InputTokens, s.Usage.OutputTokens
	}
	if err == nil {
		t.Observe(ctx, r)
	}
	turn := span.Current(ctx)
	if turn == nil {
		return
	}
	parent := turn.ID()
	if at.Kind == definition.Gate || at.Kind == definition.Waiting {
		parent = t.x.Trigger.SpanOf(t.x.ID).Span
	}
	one := span.Span{
		ID: t.stepSpan(at.ID), Parent: parent, Name: "step", Kind: span.Internal, Start: s.Started, End: s.Ended,
		Failed: s.Status == execution.StepFailed,
		Attributes: []span.Attribute{
			{Key: span.Execution, Value: string(t.x.ID)},
			{Key: span.Step, Value: string(at.ID)},
			{Key: span.StepKind, Value: string(at.Kind)},
			{Key: span.Outcome, Value: string(s.Status)},
		},
	}
	if a := at.Definition.ActionStep; a != nil {
		one.Attributes = append(one.Attributes, span.Attribute{Key: span.Product, Value: a.Product}, span.Attribute{Key: span.Action, Value: a.Action})
	}
	if s.Tries > 0 {
		one.Attributes = append(one.Attributes, span.Attribute{Key: span.Tries, Value: int64(s.Tries)})
	}
	if s.Error != nil {
		one.Attributes = append(one.Attributes, span.Attribute{Key: span.ErrorType, Value: s.Error.Code})
	}
	turn.Add(one)
}

// endRun records the span of a run that has ended, below that of its event. It is the
// same span however often it is recorded.
func endRun(ctx context.Context, x execution.Execution) {
	turn := span.Current(ctx)
	if turn == nil {
		return
	}
	one := span.Span{
		ID: x.Trigger.SpanOf(x.ID).Span, Parent: x.Trigger.Span().Span, Name: "run", Kind: span.Internal,
		Start: x.Created, End: x.Completed, Failed: x.Status == execution.Failed,
		Attributes: []span.Attribute{
			{Key: span.Org, Value: string(x.Org)},
			{Key: span.Event, Value: string(x.Trigger.ID)},
			{Key: span.Agent, Value: string(x.Agent)},
			{Key: span.Execution, Value: string(x.ID)},
			{Key: span.Outcome, Value: string(x.Status)},
		},
	}
	if x.Error != nil {
		one.Attributes = append(one.Attributes, span.Attribute{Key: span.ErrorType, Value: x.Error.Code})
	}
	turn.Add(one)
}
