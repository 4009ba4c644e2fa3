// Package step does what the steps of a run say: one file for each kind.
//
// A step that fails is a result, with a code and a sentence in the trace. A Go
// error means that nothing can be said yet: try me again. Whatever reaches the
// outside carries the idempotency key <execution>:<step>, the same at every
// try, so a target that honours it does the work once.
//
// Gates and waits are not here: they are not done but waited for, by the
// runner.
package step

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/render"
)

// The faults of this package; their codes stand in traces.
var (
	ErrProduct      = fault.New(fault.Invalid, "product_error", "The product refused or failed.")
	ErrModel        = fault.New(fault.Invalid, "model_unavailable", "The model did not answer.")
	ErrOutput       = fault.New(fault.Invalid, "invalid_model_output", "The model's answer cannot be used.")
	ErrNotification = fault.New(fault.Invalid, "notification_failed", "Nobody could be notified.")
	ErrTimeout      = fault.New(fault.Invalid, "step_timeout", "The step took longer than its timeout_seconds.")
)

// ErrAgain marks a failure of the outside that may pass: the same call may
// succeed a moment later.
var ErrAgain = errors.New("it may work in a moment")

// A Task is one step to do.
type Task struct {
	Run        execution.Execution
	Definition definition.Step
	Scope      render.Scope          // what templates see
	Facts      condition.Facts       // what conditions see
	Before     *execution.StepRecord // what an earlier try that died has recorded
	Agreed     map[string]any        // the parameters of an action as people saw them at a gate; nil: as the definition says
	Written    execution.Written     // a message as people saw it at a gate; what is nil in it is as the definition says
	Lease      Lease
}

// Lease is the hold that a worker has on the run.
type Lease interface {
	// Reserve holds back the price of the step before a model is called, or
	// returns credit.ErrInsufficient. A price that an earlier try holds already
	// is not taken again. It returns the price that is held.
	Reserve(ctx context.Context, h credit.Hold) (credit.Hold, error)

	// Intend records what is about to happen, before it does.
	Intend(ctx context.Context, s execution.StepRecord) error
}

// Key returns the idempotency key of the step: the same at every try.
func (t Task) Key() string { return string(t.Run.ID) + ":" + string(t.Definition.ID) }

// Service does steps.
type Service struct {
	Model    Model
	Products Products
	Senders  map[definition.Channel]Sender
	Rules    definition.Rules
	Now      func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
}

// kinds returns the table of the kinds of step that are done here, with the method
// that does each.
func kinds() map[definition.Kind]func(*Service, context.Context, Task) (execution.StepRecord, error) {
	return map[definition.Kind]func(*Service, context.Context, Task) (execution.StepRecord, error){
		definition.AI:           (*Service).reason,
		definition.Action:       (*Service).act,
		definition.Notification: (*Service).notify,
		definition.Branching:    (*Service).branch,
		definition.Gate:         nil, // the runner waits for it
		definition.Waiting:      nil, // the same
	}
}

// Does reports whether a Service does steps of this kind.
func Does(k definition.Kind) bool { return kinds()[k] != nil }

// Do does a step within its time and returns what happened, or an error when
// it should be tried again.
func (s *Service) Do(ctx context.Context, t Task) (execution.StepRecord, error) {
	started := s.Now()
	limited, cancel := context.WithTimeout(ctx, t.Definition.TimeLimit())
	defer cancel()
	result, err := kinds()[t.Definition.Kind](s, limited, t)
	if err != nil {
		return execution.StepRecord{}, err
	}
	switch bad := result.Status == execution.StepFailed; {
	case bad && ctx.Err() != nil:
		return execution.StepRecord{}, context.Cause(ctx) // we were stopped; that says nothing of the step
	case bad && limited.Err() != nil:
		result.Error = Failure(t, ErrTimeout.Sayf("The step took longer than %v.", t.Definition.TimeLimit()))
	}
	result.ID, result.Kind, result.Started, result.Ended = t.Definition.ID, t.Definition.Kind, started, s.Now()
	return result, nil
}

// failed returns a failed step.
func failed(t Task, err error) execution.StepRecord {
	return execution.StepRecord{Status: execution.StepFailed, Error: Failure(t, err)}
}

// Failure returns a fault as it stands in the trace.
func Failure(t Task, err error) *execution.Failure {
	f := fault.From(err)
	return &execution.Failure{Code: f.Code, Message: render.Cut(f.Message, 500), Step: t.Definition.ID}
}

// try calls f until it succeeds, fails for good, or has been called as often as
// the step may be tried. It returns how often it was called.
func (s *Service) try(ctx context.Context, t Task, f func(context.Context) error) (int, error) {
	for n := 1; ; n++ {
		err := f(ctx)
		if err == nil {
			return n, nil
		}
		pause, final := s.again(ctx, t, n, err)
		if final != nil {
			return n, final
		}
		if s.Sleep(ctx, pause) != nil {
			return n, err
		}
	}
}

// again returns how long to wait before the next try, after the n-th failed with
// err; or the error that stands when there is no other. A pause that the other
// side asks for is kept in full: if the step does not have the time, it fails at
// once and says so.
func (s *Service) again(ctx context.Context, t Task, n int, err error) (time.Duration, error) {
	if !errors.Is(err, ErrAgain) || n >= t.Definition.Attempts() || ctx.Err() != nil {
		return 0, err
	}
	asked := after(err)
	if end, limited := ctx.Deadline(); limited && asked > 0 {
		if left := time.Until(end); asked >= left {
			return 0, overdue{err, asked, left}
		}
	}
	return max(backoff(t.Definition)<<(n-1), asked), nil
}

// overdue is a failure after which the other side asks for a longer pause than
// the step has time.
type overdue struct {
	error

	asked, left time.Duration
}

func (o overdue) Unwrap() error { return o.error }

// Reason returns what may be shown.
func (o overdue) Reason() string {
	return fmt.Sprintf("%s and asks for a pause of %d s, but the step has only %d s left",
		reasonOf(o.error), int64((o.asked+time.Second-1)/time.Second), int64(o.left/time.Second))
}

// after returns how long whoever failed wants to be left alone.
func after(err error) time.Duration {
	var w interface{ After() time.Duration }
	if errors.As(err, &w) {
		return w.After()
	}
	return 0
}

// backoff returns the pause before the second try.
func backoff(d definition.Step) time.Duration {
	const unasked = 200 * time.Millisecond
	if d.Retry != nil && d.Retry.Backoff > 0 {
		return time.Duration(d.Retry.Backoff) * time.Second
	}
	return unasked
}

// The bounds of what the trace shows of what went in, in bytes: of a text, and
// about of all together. A step is one item of the store.
const (
	maxShown    = 160
	maxShownAll = 32 << 10
)

// Shown returns v as the trace shows it: long texts and lists are cut, and what
// does not fit is left out. A text that was cut says so at its end, a list in a
// last item, "… 30 more", and an object in the field "…".
func Shown(v any) any {
	left := maxShownAll
	return shown(v, &left)
}

func shown(v any, left *int) any {
	const most, scalar = 20, 8
	switch v := v.(type) {
	case string:
		s := render.Cut(v, maxShown)
		*left -= len(s)
		return s
	case []any:
		out := make([]any, 0, min(len(v), most))
		for _, e := range v[:min(len(v), most)] {
			if *left <= 0 {
				break
			}
			out = append(out, shown(e, left))
		}
		if more := len(v) - len(out); more > 0 {
			out = append(out, "… "+render.Count(more)+" more")
		}
		return out
	case map[string]any:
		out := make(map[string]any, min(len(v), most))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if *left <= 0 {
				break
			}
			name := render.Cut(k, maxShown)
			*left -= len(name)
			out[name] = shown(v[k], left)
		}
		if more := len(v) - len(out); more > 0 {
			out["…"] = render.Count(more) + " more"
		}
		return out
	}
	*left -= scalar
	return v
}
