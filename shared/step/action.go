package step

import (
	"context"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
)

// A Command is an action to perform in a product.
type Command struct {
	Org       id.Org
	Execution id.Execution
	Step      id.Step
	Depth     int // causal depth of the resulting events: runs behind them, including this one
	Product   string
	Action    string
	Params    map[string]any
	Key       string // idempotency key
	// Traceparent is the place of the event in the trace of its publisher, or "". It is
	// passed on when the platform itself records no trace.
	Traceparent string
}

// Products performs actions. Act returns the reply, ErrProduct when the product
// refuses, or an error that wraps ErrAgain when a retry may succeed.
type Products interface {
	Act(ctx context.Context, c Command) (map[string]any, error)
}

// runAction performs an action in a product.
func (s *Service) runAction(ctx context.Context, t Task) (execution.StepRecord, error) {
	a := t.Definition.ActionStep
	params, err := s.Params(t)
	if err != nil {
		return failed(t, err), nil
	}
	var reply map[string]any
	tries, err := s.try(ctx, t, func(ctx context.Context) (err error) {
		reply, err = s.Products.Act(ctx, Command{
			Org: t.Run.Org, Execution: t.Run.ID, Step: t.Definition.ID, Depth: t.Run.Trigger.Depth() + 1,
			Product: a.Product, Action: a.Action, Params: params, Key: t.Key(), Traceparent: t.Run.Trigger.Traceparent(),
		})
		return err
	})
	result := execution.StepRecord{Status: execution.StepCompleted, Output: reply}
	if err != nil {
		result = failed(t, ErrProduct.Sayf("%s.%s: %s.", a.Product, a.Action, reasonOf(err)))
	}
	result.Input, result.Tries = Shown(params), tries
	return result, nil
}

// Params returns the parameters of an action: those approved at a gate, or
// those of the definition, filled and converted to the action's types. For a gate
// they have no invisible characters, so that approvers see exactly what the product
// receives. It returns render.ErrTemplate for parameters that the action
// does not accept.
func (s *Service) Params(t Task) (map[string]any, error) {
	if t.Agreed != nil {
		return t.Agreed, nil
	}
	v, err := render.Value(t.Definition.Params, t.Scope)
	if err != nil {
		return nil, err
	}
	if t.ForGate {
		v = render.CleanValue(v)
	}
	params, _ := v.(map[string]any) // rendering an object returns an object
	action, known := s.Rules.Catalog.Action(t.Definition.Product, t.Definition.Action)
	if !known {
		return params, nil // the product reports an unknown action
	}
	fit, why := action.Fit(params)
	if why != "" {
		return nil, render.ErrTemplate.Sayf("%s.%s: %s.", t.Definition.Product, t.Definition.Action, why)
	}
	return fit, nil
}
