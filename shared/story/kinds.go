package story

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

// A teller has the words for one kind of step. The words for statuses that every kind
// has are in telling.step.
type teller struct {
	kind definition.Kind

	// subject begins a sentence about the step.
	subject func(s execution.TraceEntry) string

	// source says where a value comes from that a later step reads from the output.
	source func(s execution.TraceEntry) string

	// completed tells what a completed step did.
	completed func(t *telling, s execution.TraceEntry)

	// waiting tells what the run waits for at the step.
	waiting func(t *telling, s execution.TraceEntry)

	// more returns further sentences about a step that is under way or failed; nil for
	// none.
	more func(t *telling, s execution.TraceEntry) string
}

// tellers has one row for each kind of step.
func tellers() []teller {
	return []teller{
		{
			kind:    definition.AI,
			subject: func(s execution.TraceEntry) string { return "The question to a model at " + nameOf(s) },
			source:  func(s execution.TraceEntry) string { return "the model's answer at " + nameOf(s) },
			waiting: waits, completed: answered,
		},
		{
			kind:    definition.Action,
			subject: func(s execution.TraceEntry) string { return "The action " + action(s) + " at " + nameOf(s) },
			source:  func(s execution.TraceEntry) string { return "the reply of " + action(s) + " at " + nameOf(s) },
			waiting: waits, completed: acted,
		},
		{
			kind:    definition.Notification,
			subject: func(s execution.TraceEntry) string { return "The " + message(channel(s)) + " at " + nameOf(s) },
			source:  func(s execution.TraceEntry) string { return "the messages at " + nameOf(s) },
			waiting: waits, completed: notified,
			more: func(_ *telling, s execution.TraceEntry) string { return delivered(execution.DeliveryOf(s.Output)) },
		},
		{
			kind:    definition.Gate,
			subject: func(s execution.TraceEntry) string { return "The approval at " + nameOf(s) },
			source:  func(s execution.TraceEntry) string { return "the decision at " + nameOf(s) },
			waiting: asking, completed: decided,
		},
		{
			kind:    definition.Branching,
			subject: func(s execution.TraceEntry) string { return "The branch " + nameOf(s) },
			source:  func(s execution.TraceEntry) string { return "the branch " + nameOf(s) },
			waiting: waits, completed: branched,
		},
		{
			kind:    definition.Waiting,
			subject: func(s execution.TraceEntry) string { return "The wait at " + nameOf(s) },
			source:  func(s execution.TraceEntry) string { return "the wait at " + nameOf(s) },
			waiting: waits, completed: waited,
		},
	}
}

// tellerOf returns the row of a kind. A kind of a newer release has general words.
func tellerOf(k definition.Kind) teller {
	for _, row := range tellers() {
		if row.kind == k {
			return row
		}
	}
	subject := func(s execution.TraceEntry) string { return "The step " + nameOf(s) }
	return teller{
		kind: k, subject: subject, waiting: waits,
		source:    func(s execution.TraceEntry) string { return "the step " + nameOf(s) },
		completed: func(t *telling, s execution.TraceEntry) { t.say(ended(s), s.ID, subject(s)+" completed.") },
	}
}

func (k teller) extra(t *telling, s execution.TraceEntry) string {
	if k.more == nil {
		return ""
	}
	return k.more(t, s)
}

// tries says that a call was repeated.
func tries(s execution.TraceEntry) string {
	if s.Tries < 2 {
		return ""
	}
	return fmt.Sprintf("It took %d tries.", s.Tries)
}

// answered tells of a model's answer.
func answered(t *telling, s execution.TraceEntry) {
	input, _ := s.Input.(map[string]any)
	tier, _ := input["model"].(string)
	model := "A model"
	if s.Definition.AIStep != nil {
		tier = string(s.Definition.Model)
	}
	if tier != "" {
		model += " of the class " + field(tier)
	}
	if s.Usage != nil && s.Usage.Model != "" {
		model += " (" + quoted(s.Usage.Model, maxName) + ")"
	}
	answer := ": " + shown(s.Output)
	if doc, ok := s.Output.(map[string]any); ok {
		answer = " with " + fields(doc, func(name string) string { return shown(doc[name]) })
	}
	cut := ""
	if _, ok := input["cut"]; ok {
		cut = "It did not read all of its input, which was too long."
	}
	t.say(ended(s), s.ID, fmt.Sprintf("%s answered at %s%s.", model, nameOf(s), answer), cut, tries(s), credits(s))
}

// action returns the name of an action.
func action(s execution.TraceEntry) string {
	a := s.Definition.ActionStep
	if a == nil {
		return "of an earlier definition"
	}
	return field(a.Product) + "." + field(a.Action)
}

// acted tells of an action: what it set, where each value comes from, and the reply.
func acted(t *telling, s execution.TraceEntry) {
	params, _ := s.Input.(map[string]any)
	text := fmt.Sprintf("The action %s was done at %s", action(s), nameOf(s))
	if len(params) > 0 {
		text += " with " + fields(params, func(name string) string { return shown(params[name]) + t.from(s, name) })
	}
	agreed := ""
	if b := t.run.Trace.ShownBefore(s.ID); b != nil && b.Params[s.ID] != nil {
		agreed = "The approvers saw these values."
	}
	replied := ""
	if reply, _ := s.Output.(map[string]any); len(reply) > 0 {
		replied = "The reply: " + fields(reply, func(name string) string { return shown(reply[name]) }) + "."
	}
	t.say(ended(s), s.ID, text+".", agreed, replied, tries(s))
}

// from says where the value of a parameter comes from.
func (t *telling) from(s execution.TraceEntry, name string) string {
	if s.Definition.ActionStep == nil {
		return ""
	}
	v, given := s.Definition.Params[name]
	if !given {
		return ""
	}
	sources := t.sources(v)
	if len(sources) == 0 {
		sources = []string{"the definition"}
	}
	const most = 3
	return " (from " + listed(sources, most) + ")"
}

// sources returns what the placeholders of a value read, each once.
func (t *telling) sources(v any) []string {
	paths, err := render.Named(v)
	if err != nil {
		return nil
	}
	var all []string
	for _, p := range paths {
		if from := t.source(p); !slices.Contains(all, from) {
			all = append(all, from)
		}
	}
	return all
}

func (t *telling) source(p jsonvalue.Path) string {
	switch p[0] {
	case "event_payload", "event":
		return "the event"
	case "client_context":
		return "the client's profile"
	case "agent", "execution":
		return "the run"
	}
	for _, s := range t.run.Trace {
		if definition.Begins(p, s.Definition.Names()) {
			return tellerOf(s.Kind).source(s)
		}
	}
	return "earlier steps"
}

func channel(s execution.TraceEntry) definition.Channel {
	if s.Definition.NotificationStep == nil {
		return ""
	}
	return s.Definition.Channel
}

// notified tells of messages.
func notified(t *telling, s execution.TraceEntry) {
	input, _ := s.Input.(map[string]any)
	subject, _ := input["subject"].(string)
	body, _ := input["body"].(string)
	text := "The step " + nameOf(s) + " sent " + aMessage(channel(s))
	switch {
	case subject != "":
		text += ": " + quoted(subject, maxValue)
	case body != "":
		text += ": " + quoted(body, maxValue)
	}
	t.say(ended(s), s.ID, text+".", delivered(execution.DeliveryOf(s.Output)), tries(s))
}

// branched tells which case a branch took, and why.
func branched(t *telling, s execution.TraceEntry) {
	b, name := s.Definition.BranchStep, nameOf(s)
	switch {
	case b == nil || s.Case == nil || *s.Case >= len(b.Cases):
		t.say(ended(s), s.ID, "The branch "+name+" was decided.")
	case *s.Case >= 0:
		t.say(ended(s), s.ID, fmt.Sprintf("The branch %s took its case %d: %s.", name, *s.Case+1, quoted(b.Cases[*s.Case].When.String(), maxReason)))
	default:
		then := "its other steps followed"
		if len(b.Else) == 0 {
			then = "none of its steps ran"
		}
		input, _ := s.Input.(map[string]any)
		whys, _ := input["cases"].([]any)
		var said []string
		for _, why := range whys {
			text, _ := why.(string)
			said = append(said, quoted(text, maxValue))
		}
		because := ""
		if len(said) > 0 {
			because = " (" + listed(said, maxTold) + ")"
		}
		t.say(ended(s), s.ID, fmt.Sprintf("No case of the branch %s held%s, so %s.", name, because, then))
	}
}

// waits tells until when the run waits.
func waits(t *telling, s execution.TraceEntry) {
	text := "The run waits at " + nameOf(s)
	if !s.Until.IsZero() {
		text += " until " + Clock(s.Until)
	}
	t.say(s.Started, s.ID, text+".")
}

func waited(t *telling, s execution.TraceEntry) {
	t.say(ended(s), s.ID, fmt.Sprintf("The run waited %s at %s.", lasting(s.Duration().Truncate(time.Second)), nameOf(s)))
}
