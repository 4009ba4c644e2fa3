package runner

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// maxShows limits the parameters and messages that a gate shows and the run
// keeps to, in bytes of JSON.
const maxShows = 64 << 10

// A preview lists the steps after a gate, up to the next gate that requires a
// person, as far as they are known when the gate is reached.
type preview struct {
	steps    Steps
	scope    render.Scope
	facts    condition.Facts
	open     []string // template names of outputs that do not exist yet
	catalog  Actions
	actions  []approval.Action
	risk     catalog.Risk // the greatest of the actions; empty without any
	then     []approval.Following
	messages map[id.Step]execution.Written
}

// preview returns the preview at the gate where the run is parked.
func (t *turn) preview(at id.Step, scope render.Scope, facts condition.Facts) preview {
	o := preview{steps: t.Steps, catalog: t.Actions, scope: scope, facts: facts, messages: map[id.Step]execution.Written{}}
	var ahead []definition.Step
	trace := t.trace()
	i := slices.IndexFunc(trace, func(s execution.TraceEntry) bool { return s.ID == at })
	for _, s := range trace[i:] {
		if !s.Status.Ended() { // a gate that asks again shows the steps that remain
			ahead = append(ahead, s.Definition)
		}
	}
	definition.EachStep(ahead, func(s definition.Step) { o.open = append(o.open, s.Names()...) })
	o.walk(ahead[1:], true, nil) // without the gate itself
	return o
}

// walk lists steps of a branch's case (within) or of the run. It reports
// whether the run can continue beyond them without another approval. Unless the
// run certainly reaches the steps, their conditions stay undecided.
func (o *preview) walk(steps []definition.Step, certain bool, within *approval.Place) bool {
	for _, s := range steps {
		decided := certain && (s.If == nil || o.known(s.If.Paths()))
		if decided && s.If != nil && !o.holds(*s.If) {
			continue
		}
		f := approval.Following{Step: s.ID, Kind: s.Kind, Name: render.OneLine(s.Name), Certain: decided, Within: within}
		switch {
		case s.ActionStep != nil:
			a := o.action(s)
			o.actions = append(o.actions, a)
			o.risk = o.risk.Or(riskOf(o.catalog, s, a.Params))
		case s.NotificationStep != nil:
			f.Message = o.message(s)
		case s.WaitStep != nil:
			f.Wait = o.wait(s)
		case s.BranchStep != nil:
			if !o.branch(s, f, decided) {
				return false
			}
			continue
		}
		o.then = append(o.then, f)
		if s.RequiresApproval() {
			return false
		}
	}
	return true
}

// branch follows the case that will be taken, or every case when that is
// unknown.
func (o *preview) branch(s definition.Step, f approval.Following, certain bool) bool {
	n, known := o.taken(s, certain)
	f.Branch = &approval.Way{Open: !known}
	if known {
		f.Branch.Case = n
	}
	o.then = append(o.then, f)
	if known {
		return o.walk(way(s, n), true, &approval.Place{Step: s.ID, Case: n}) || s.If != nil
	}
	beyond := false
	for n := range s.Cases {
		beyond = o.walk(way(s, n), false, &approval.Place{Step: s.ID, Case: n}) || beyond
	}
	beyond = o.walk(s.Else, false, &approval.Place{Step: s.ID, Case: -1}) || beyond
	return beyond || s.If != nil
}

// taken returns the index of the case that a branch will take, or -1 for else,
// and whether it is known.
func (o *preview) taken(s definition.Step, certain bool) (n int, known bool) {
	for n, c := range s.Cases {
		switch {
		case !certain || !o.known(c.When.Paths()):
			return 0, false
		case o.holds(c.When):
			return n, true
		}
	}
	return -1, certain
}

// way returns the steps of case n, or of else for -1.
func way(s definition.Step, n int) []definition.Step {
	if n < 0 {
		return s.Else
	}
	return s.Cases[n].Steps
}

func (o *preview) holds(c condition.Condition) bool {
	ok, _ := c.Holds(o.facts)
	return ok
}

// action returns the action of a step. Parameters that cannot be filled are
// left out like unknown ones; the step will fail with the reason.
func (o *preview) action(s definition.Step) approval.Action {
	a := approval.Action{Step: s.ID, Product: s.Product, Action: s.Action}
	paths, err := render.Named(s.Params)
	if err != nil || !o.known(paths) {
		return a
	}
	if params, err := o.steps.Params(step.Task{Definition: s, Scope: o.scope, ForGate: true}); err == nil {
		a.Params = params
	}
	return a
}

// riskOf returns the risk of an action with the parameters as they are known, or,
// before they are, with any that the step may fill in. An action that the catalogue
// no longer has counts as destructive.
func riskOf(actions Actions, s definition.Step, params map[string]any) catalog.Risk {
	action, ok := actions.Action(s.Product, s.Action)
	switch {
	case !ok || action.Destructive:
		return catalog.Destructive
	case params == nil:
		return action.RiskOf(s.Params)
	}
	return action.RiskOf(params)
}

// known reports whether none of the paths depends on an output that does not
// exist yet.
func (o *preview) known(paths []jsonvalue.Path) bool {
	return !slices.ContainsFunc(paths, func(path jsonvalue.Path) bool { return definition.Begins(path, o.open) })
}

// message returns the text and recipients of a notification as far as they are
// known, and stores them so that the run sends exactly these. Templates that
// cannot be filled count as unknown.
func (o *preview) message(s definition.Step) *approval.Message {
	m := &approval.Message{Channel: s.Channel}
	task, w := step.Task{Definition: s, Scope: o.scope}, execution.Written{}
	if o.filled(s.Recipients...) {
		w.Recipients = o.steps.Recipients(task)
		for _, r := range w.Recipients {
			m.Recipients = append(m.Recipients, render.OneLine(r))
		}
	}
	if o.filled(s.Subject, s.Body) {
		if text, err := step.Text(task); err == nil {
			text.Subject, text.Body, text.Markup = render.OneLine(text.Subject), render.Clean(text.Body), render.Clean(text.Markup)
			w.Text, m.Text = &text, &approval.Text{Subject: text.Subject, Body: text.Body}
		}
	}
	if w.Recipients != nil || w.Text != nil {
		o.messages[s.ID] = w
	}
	return m
}

// wait returns the duration of a wait, as far as it is known.
func (o *preview) wait(s definition.Step) *approval.Wait {
	w := &approval.Wait{Seconds: s.Duration}
	if s.Duration == 0 && o.filled(s.Until) {
		until, _ := render.Text(s.Until, o.scope) // a template that cannot be filled counts as unknown
		w.Until = render.OneLine(until)
	}
	return w
}

// filled reports whether every value that the templates refer to is known.
func (o *preview) filled(texts ...string) bool {
	for _, text := range texts {
		if paths, err := render.Paths(text); err != nil || !o.known(paths) {
			return false
		}
	}
	return true
}

// shown returns the values that the run must use after the gate, or ErrTemplate
// when the parameters are too large to be shown. A message that does not fit is
// shown in part and filled again when it is sent.
func (o *preview) shown() (*execution.ShownToApprovers, error) {
	b := &execution.ShownToApprovers{Client: o.facts.Client, Params: map[id.Step]jsonvalue.Values{}}
	size := 0
	for _, a := range o.actions {
		if a.Params != nil {
			b.Params[a.Step] = a.Params
			size += len(jsonvalue.Canonical(a.Params))
		}
	}
	if size > maxShows {
		return nil, render.ErrTemplate.Sayf("The actions after this gate have %d bytes of parameters; the limit is %d.", size, maxShows)
	}
	for _, f := range o.then {
		w, ok := o.messages[f.Step]
		if !ok {
			continue
		}
		need := jsonSize(w)
		if size+need > maxShows {
			continue
		}
		if b.Messages == nil {
			b.Messages = map[id.Step]execution.Written{}
		}
		b.Messages[f.Step] = w
		size += need
	}
	return b, nil
}

// jsonSize returns the size of v as JSON, in bytes.
func jsonSize(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return maxShows + 1
	}
	return len(b)
}

// Limits of an approval's messages: all together in bytes, one body in
// characters.
const (
	maxThen = 48 << 10
	maxBody = 2000
)

// following returns the steps that an approval shows, with long messages cut.
func (o *preview) following() []approval.Following {
	messages := 0
	for _, f := range o.then {
		if f.Message != nil {
			messages++
		}
	}
	out := slices.Clone(o.then)
	for i, f := range out {
		if f.Message != nil {
			m := cut(*f.Message, maxThen/messages)
			out[i].Message = &m
		}
	}
	return out
}

// cut shortens a message to about most bytes, half for recipients and half for
// the text, and counts the rest.
func cut(m approval.Message, most int) approval.Message {
	left, kept := most/2, 0
	for _, r := range m.Recipients {
		if left -= len(r); left < 0 {
			break
		}
		kept++
	}
	if m.More = len(m.Recipients) - kept; m.More > 0 {
		m.Recipients = m.Recipients[:kept:kept]
	}
	if m.Text != nil {
		text := *m.Text
		text.Body = beginning(text.Body, maxBody, most/2)
		text.Cut = utf8.RuneCountInString(m.Text.Body) - utf8.RuneCountInString(text.Body)
		text.Subject = render.Beginning(text.Subject, definition.MaxName)
		m.Text = &text
	}
	return m
}

// beginning returns a prefix of a text, limited in characters and in bytes of
// JSON.
func beginning(text string, characters, bytes int) string {
	const escaped = len(`\u0000`)
	for i, r := range text {
		characters--
		if bytes -= utf8.RuneLen(r); r < ' ' || r == '"' || r == '\\' {
			bytes -= escaped - 1
		}
		if characters < 0 || bytes < 0 {
			return text[:i]
		}
	}
	return text
}
