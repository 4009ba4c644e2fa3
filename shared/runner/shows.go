package runner

import (
	"slices"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/document"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// maxShows is how large the parameters may be that a gate shows, in bytes of
// JSON.
const maxShows = 64 << 10

// An outlook is what follows a gate, seen from it: every action up to the next
// question that a person must answer, with its parameters when they are known
// already.
type outlook struct {
	params  func(step.Task) (map[string]any, error)
	scope   render.Scope
	facts   agent.Facts
	open    []string // what templates call the outputs that are still to come
	actions []approval.Action
}

// outlook returns what follows the gate at which the run stands.
func (t *session) outlook(at id.Step, scope render.Scope, facts agent.Facts) outlook {
	o := outlook{params: t.Steps.Params, scope: scope, facts: facts}
	var ahead []agent.Step
	trace := t.trace()
	i := slices.IndexFunc(trace, func(s execution.Traced) bool { return s.ID == at })
	for _, s := range trace[i:] {
		ahead = append(ahead, s.Definition)
	}
	agent.EachStep(ahead, func(s agent.Step) { o.open = append(o.open, s.Names()...) })
	o.look(ahead[1:], true) // what comes after the gate itself
	return o
}

func ways(s agent.Step) [][]agent.Step {
	out := [][]agent.Step{s.Else}
	for _, c := range s.Cases {
		out = append(out, c.Steps)
	}
	return out
}

// look lists the actions of steps, and reports whether the run may go beyond
// them without another person's yes. Unless it is certain that it comes to them,
// no condition among them is decided yet.
func (o *outlook) look(steps []agent.Step, certain bool) bool {
	for _, s := range steps {
		switch {
		case certain && s.If != nil && o.known(s.If.Paths()) && !o.holds(*s.If):
		case s.Insists():
			return false
		case s.ActionStep != nil:
			o.actions = append(o.actions, o.action(s))
		case s.BranchStep != nil:
			if !o.branch(s, certain) {
				return false
			}
		}
	}
	return true
}

// branch looks into the way that will be taken, or into all of them.
func (o *outlook) branch(s agent.Step, certain bool) bool {
	if s.If != nil && !o.known(s.If.Paths()) {
		certain = false
	}
	for _, c := range s.Cases {
		if !certain || !o.known(c.When.Paths()) {
			certain = false
			break
		}
		if o.holds(c.When) {
			return o.look(c.Steps, true) || s.If != nil
		}
	}
	if certain {
		return o.look(s.Else, true) || s.If != nil
	}
	beyond := false
	for _, way := range ways(s) {
		beyond = o.look(way, false) || beyond
	}
	return beyond || s.If != nil
}

func (o *outlook) holds(c agent.Condition) bool {
	ok, _ := c.Holds(o.facts)
	return ok
}

// action returns what a step will do. What cannot be filled is shown like what
// is not known: the step will say why.
func (o *outlook) action(s agent.Step) approval.Action {
	a := approval.Action{Step: s.ID, Product: s.Product, Action: s.Action}
	paths, err := render.Named(s.Params)
	if err != nil || !o.known(paths) {
		return a
	}
	if params, err := o.params(step.Task{Definition: s, Scope: o.scope}); err == nil {
		a.Params = params
	}
	return a
}

// known reports whether none of the paths begins at what is still to come.
func (o *outlook) known(paths []string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool { return agent.Begins(path, o.open) })
}

// bound returns what the run keeps to after the gate, or ErrTemplate when it is
// too large to be shown.
func (o *outlook) bound() (*execution.Bound, error) {
	b := &execution.Bound{Client: o.facts.Client, Params: map[id.Step]document.Values{}}
	size := 0
	for _, a := range o.actions {
		if a.Params != nil {
			b.Params[a.Step] = a.Params
			size += len(document.Canonical(a.Params))
		}
	}
	if size > maxShows {
		return nil, render.ErrTemplate.Sayf("The actions after this gate have %d bytes of parameters; %d can be shown.", size, maxShows)
	}
	return b, nil
}
