// Package step executes the steps of a run, with one file for each kind.
//
// A step that fails returns a result with a code and a sentence for the trace.
// A Go error means that the step has no result yet and must be retried. Every
// call to the outside carries the idempotency key <execution>:<step>, the same
// at every try, so a target that honours it does the work once.
//
// The runner handles gates and waits itself.
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
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/render"
)

// The faults of this package; traces show their codes.
var (
	ErrProduct      = fault.New(fault.Invalid, "product_error", "The product refused or failed.")
	ErrModel        = fault.New(fault.Invalid, "model_unavailable", "The model did not answer.")
	ErrOutput       = fault.New(fault.Invalid, "invalid_model_output", "The model's answer cannot be used.")
	ErrNotification = fault.New(fault.Invalid, "notification_failed", "No recipient could be notified.")
	ErrTimeout      = fault.New(fault.Invalid, "step_timeout", "The step took longer than its timeout_seconds.")
	ErrUnknown      = fault.New(fault.Internal, "internal_error", "This release of the platform does not know the type of the step: a newer release has stored it.")
)

// ErrAgain marks a temporary failure of an external system: the same call may
// succeed later.
var ErrAgain = errors.New("temporary failure; a retry may succeed")

// A Task is a step to execute.
type Task struct {
	Run        execution.Execution
	Definition definition.Step
	Scope      render.Scope          // data for templates
	Facts      condition.Facts       // data for conditions
	Before     *execution.StepRecord // record of an earlier try that crashed
	Agreed     map[string]any        // an action's parameters as a gate showed them; nil: from the definition
	ForGate    bool                  // a gate shows the parameters: without invisible characters
	Written    execution.Written     // a message as a gate showed it; nil fields: from the definition
	Lease      Lease
}

// Lease is a worker's lease on the run.
type Lease interface {
	// Reserve reserves the credits of the step before a model is called, or
	// returns credit.ErrInsufficient. It does not reserve again what an earlier
	// try holds. It returns the hold.
	Reserve(ctx context.Context, h credit.Hold) (credit.Hold, error)

	// Intend records a side effect before it happens.
	Intend(ctx context.Context, s execution.StepRecord) error
}

// Key returns the idempotency key of the step, the same at every try.
func (t Task) Key() string { return string(t.Run.ID) + ":" + string(t.Definition.ID) }

// Quotas counts messages against the quotas of an organization.
type Quotas interface {
	// AdmitMessages counts n messages to be sent now. It returns how many of them may
	// be sent, the first of the list, and the quota that refuses the others. It may be
	// repeated with the same key: the messages are counted once.
	AdmitMessages(ctx context.Context, org id.Org, name quota.Name, key string, n int) (int, *quota.Reached, error)
}

// Service executes steps.
type Service struct {
	Model    Model
	Products Products
	Senders  map[definition.Channel]Sender
	Quotas   Quotas
	Rules    definition.Rules
	Now      func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
	// Failed logs why a call to the outside failed for good. The trace of the run shows
	// less.
	Failed func(ctx context.Context, err error)
}

// doer returns the method that does steps of this kind: the table of kinds. It is
// nil for a kind that the runner waits for.
func doer(k definition.Kind) func(*Service, context.Context, Task) (execution.StepRecord, error) {
	switch k {
	case definition.AI:
		return (*Service).askModel
	case definition.Action:
		return (*Service).runAction
	case definition.Notification:
		return (*Service).sendNotification
	case definition.Branching:
		return (*Service).branch
	case definition.Gate, definition.Waiting:
	}
	return nil
}

// Does reports whether a Service executes steps of this kind.
func Does(k definition.Kind) bool { return doer(k) != nil }

// Do executes a step within its time limit and returns its result, or an error
// when the step must be retried. The limit includes the work on templates and
// conditions. A step of an unknown kind fails: after a rollback the table may have
// kinds of a newer release.
func (s *Service) Do(ctx context.Context, t Task) (execution.StepRecord, error) {
	started := s.Now()
	limited, cancel := context.WithTimeout(ctx, t.Definition.TimeLimit())
	defer cancel()
	budget := t.Scope.Budget().Part(render.Work)
	budget.Until(limited.Err)
	t.Scope, t.Facts.Budget = t.Scope.Within(budget), budget
	result, err := failed(t, ErrUnknown), error(nil)
	if do := doer(t.Definition.Kind); do != nil {
		result, err = do(s, limited, t)
	}
	if err != nil {
		return execution.StepRecord{}, err
	}
	switch bad := result.Status == execution.StepFailed; {
	case bad && ctx.Err() != nil:
		return execution.StepRecord{}, context.Cause(ctx) // the worker was stopped; the step itself did not fail
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

// Failure returns a fault as the trace shows it.
func Failure(t Task, err error) *execution.Failure {
	f := fault.From(err)
	return &execution.Failure{Code: f.Code, Message: render.Cut(f.Message, 500), Step: t.Definition.ID}
}

// Charged returns the failure of a step whose refused answer is charged.
func Charged(f execution.Failure, h credit.Hold) *execution.Failure {
	f.Message += fmt.Sprintf(" The %d credits of the answer are charged: the free answers of the day are used up.", h.Amount)
	return &f
}

// try calls f until it succeeds, fails for good, or reaches the step's limit of
// attempts. It returns the number of calls.
func (s *Service) try(ctx context.Context, t Task, f func(context.Context) error) (int, error) {
	for n := 1; ; n++ {
		err := f(ctx)
		if err == nil {
			return n, nil
		}
		pause, final := s.nextPause(ctx, t, n, err)
		if final == nil && s.Sleep(ctx, pause) != nil {
			final = err
		}
		if final != nil {
			s.Failed(ctx, fmt.Errorf("step %s: try %d: %w", t.Definition.ID, n, final))
			return n, final
		}
	}
}

// nextPause returns the pause before the next try after the n-th failed with err,
// or the final error. A pause requested by the other side is kept in full: a
// step without the time for it fails at once and says so.
func (s *Service) nextPause(ctx context.Context, t Task, n int, err error) (time.Duration, error) {
	if !errors.Is(err, ErrAgain) || n >= t.Definition.Attempts() || ctx.Err() != nil {
		return 0, err
	}
	asked := requestedPause(err)
	if end, limited := ctx.Deadline(); limited && asked > 0 {
		if left := time.Until(end); asked >= left {
			return 0, overdue{err, asked, left}
		}
	}
	return max(backoff(t.Definition)<<(n-1), asked), nil
}

// overdue is a failure whose requested pause is longer than the time left.
type overdue struct {
	error

	asked, left time.Duration
}

func (o overdue) Unwrap() error { return o.error }

// Reason returns the text for the trace.
func (o overdue) Reason() string {
	return fmt.Sprintf("%s and asks for a pause of %d s, but the step has only %d s left",
		reasonOf(o.error), int64((o.asked+time.Second-1)/time.Second), int64(o.left/time.Second))
}

// requestedPause returns the pause that the failed side requested.
func requestedPause(err error) time.Duration {
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

// Limits of the input that the trace shows, in bytes: of one text, and about of
// all together. A step is one item of the store.
const (
	maxShown    = 160
	maxShownAll = 32 << 10
)

// Shown returns v as the trace shows it: long texts and lists are cut, and
// values beyond the limit are left out. A cut text ends with a mark, a cut list
// with the item "… 30 more", and a cut object has the field "…".
func Shown(v any) any { return ShownWithin(v, maxShown, maxShownAll) }

// ShownWithin is Shown with other limits: of one text and of all together, in
// bytes.
func ShownWithin(v any, one, all int) any {
	return shown(v, one, &all)
}

func shown(v any, one int, left *int) any {
	const most, scalar = 20, 8
	switch v := v.(type) {
	case string:
		s := render.Cut(v, one)
		*left -= len(s)
		return s
	case []any:
		out := make([]any, 0, min(len(v), most))
		for _, e := range v[:min(len(v), most)] {
			if *left <= 0 {
				break
			}
			out = append(out, shown(e, one, left))
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
			name := render.Cut(k, one)
			*left -= len(name)
			out[name] = shown(v[k], one, left)
		}
		if more := len(v) - len(out); more > 0 {
			out["…"] = render.Count(more) + " more"
		}
		return out
	}
	*left -= scalar
	return v
}
