package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// occasionOf returns what people should have been told of an open question last.
func occasionOf(s execution.StepRecord, a approval.Approval) execution.Occasion {
	switch waits := !a.Remind.IsZero(); {
	case s.Escalated && waits:
		return execution.OnEscalated
	case s.Escalated:
		return execution.OnRemindedAgain
	case waits:
		return execution.OnAsked
	}
	return execution.OnReminded
}

// tellTime is how long telling people may take in one turn. Who was not reached
// by then is told in the next.
const tellTime = 30 * time.Second

// tell tells the gate's channels of its question a, which was just written,
// unless they were told, and then of the outcomes of the gates before it. What
// became of it stands in the step's output under "notified". The question stands
// whether or not anybody hears of it, so what fails at a channel is only reported.
func (t *turn) tell(ctx context.Context, at execution.TraceEntry, a approval.Approval) error {
	channels := at.Definition.Channels(t.steps[at.ID].Escalated)
	if len(channels) == 0 && !t.owes() {
		return nil
	}
	scope, _, err := t.sees(ctx)
	if err != nil {
		return err
	}
	a.Revision++
	if len(channels) > 0 {
		err = t.tellOf(ctx, at, &a, broadcast{turn: t, step: at.Definition, scope: scope, channels: channels})
	}
	if err == nil {
		err = t.outcomes(ctx, &a)
	}
	switch {
	case errors.Is(err, execution.ErrStale):
		return nil // somebody has decided meanwhile
	case err != nil:
		t.Report(ctx, fmt.Errorf("notify of %s: %w", a.ID, err))
	}
	return nil
}

// tellOf tells people of an open question.
func (t *turn) tellOf(ctx context.Context, at execution.TraceEntry, a *approval.Approval, b broadcast) error {
	s := t.steps[at.ID]
	on := occasionOf(s, *a)
	b.words, b.subject, b.key = t.messageText(*a), subject(t.definition.Name, on), fmt.Sprintf("%s:%s", a.ID, on)
	return b.send(ctx, execution.NotifiedIn(s.Output)[on], func(list []execution.Delivery) error {
		return t.reminded(ctx, a, &s, on, list)
	})
}

// A broadcast is one message to the people of all of a gate's channels.
type broadcast struct {
	*turn

	step     definition.Step
	scope    render.Scope
	channels []definition.Notify
	subject  string
	words    step.MessageText
	key      string // begins the idempotency key of each message
	// only says who of a channel is told, by recipient as the trace shows it; nil:
	// everybody.
	only func(channel int) map[string]bool
}

// send delivers the message over the channels over which it was not, and lets
// keep record how far it got: before each message that must not be sent twice, and
// at the end.
func (b broadcast) send(ctx context.Context, list []execution.Delivery, keep func([]execution.Delivery) error) error {
	limited, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	list = append([]execution.Delivery(nil), list...)
	for i, n := range b.channels {
		if i < len(list) && list[i].Final() {
			continue
		}
		telling := step.GateMessage{Notify: n, Subject: b.subject, Text: b.words, Key: fmt.Sprintf("%s:%d", b.key, i)}
		if i < len(list) {
			telling.Before = list[i]
		} else {
			list = append(list, execution.Delivery{Channel: n.Channel})
		}
		if b.only != nil {
			told := b.only(i)
			telling.Only = func(recipient string) bool { return told[recipient] }
		}
		task := step.Task{Run: b.x, Definition: b.step, Scope: b.scope}
		far, err := b.Steps.Tell(limited, task, telling, func(far execution.Delivery) error {
			list[i] = far
			return keep(list)
		})
		if err != nil {
			return err
		}
		list[i] = far
		if err := keep(list); err != nil {
			return err
		}
	}
	return nil
}

// reminded records who was told of a question, if nobody else has touched the run
// meanwhile: of two who tell people of the same question, one stops before its
// first message. Nor may the question have been decided: a decision says when the
// sweeper looks whether the run has heard of it, and that must stand.
func (t *turn) reminded(
	ctx context.Context, a *approval.Approval, s *execution.StepRecord, on execution.Occasion, list []execution.Delivery,
) error {
	s.Output = execution.NotifiedIn(s.Output).With(on, list).In(s.Output)
	err := t.commit(context.WithoutCancel(ctx), func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x, Step: s, Gate: a}
	})
	if err == nil {
		a.Revision++
		t.note(*s)
	}
	return err
}

func subject(name string, on execution.Occasion) string {
	name = render.OneLine(name)
	switch on {
	case execution.OnReminded, execution.OnRemindedAgain:
		return "Reminder: " + name + " waits for approval"
	case execution.OnEscalated:
		return "Nobody decided: " + name + " waits for approval"
	case execution.OnAsked, execution.OnDecided, execution.OnExpired, execution.OnWithdrawn:
	}
	return name + " waits for approval"
}

// messageText returns what people are told: the question, where to decide, until when,
// what will be done, and which of the words are not the definition's.
func (t *turn) messageText(a approval.Approval) step.MessageText {
	var rest strings.Builder
	for i, line := range ahead(a) {
		if i == 0 {
			rest.WriteString("\n\nIf approved:")
		}
		rest.WriteString("\n- " + line)
	}
	if len(a.Chat.Values) > 0 {
		rest.WriteString("\n\nFilled in from the event or from earlier steps: " + strings.Join(a.Chat.Values, " "))
	}
	return step.MessageText{
		Lead: fmt.Sprintf("%s\n\nDecide until %s: ", question(a), a.Expires.UTC().Format(time.RFC3339)),
		Link: step.Link{Text: "Decide", URL: t.Link(a.ID)},
		Rest: render.Clean(rest.String()),
	}
}

// question returns a question as messages tell it.
func question(a approval.Approval) string {
	if a.Chat.Question != "" {
		return a.Chat.Question
	}
	return render.Beginning(render.Clean(a.Message), maxLead)
}

// The bounds of how messages tell a question, in characters: in no channel may it
// push out the link to where all of it stands.
const (
	maxLead   = 1000
	maxValue  = 60
	maxValues = 8
)

// chat returns a question as messages tell it. A value stands in one line, so
// that it cannot look like a line of ours, and is named as not being ours.
func chat(message string, scope render.Scope) approval.Chat {
	var c approval.Chat
	named := map[string]bool{}
	for _, root := range []string{"agent", "execution"} { // what these say is ours
		ours, _ := scope[root].(map[string]any)
		for _, v := range ours {
			named[render.OneLine(render.String(v))] = true
		}
	}
	text, err := render.Encoded(message, scope, func(value string) string {
		value = render.OneLine(value)
		if value != "" && !named[value] {
			named[value] = true
			c.Values = append(c.Values, "“"+render.Beginning(value, maxValue)+"”")
		}
		return value
	})
	if err != nil {
		return approval.Chat{} // the question itself could not be put either
	}
	if more := len(c.Values) - maxValues; more > 0 {
		c.Values = append(c.Values[:maxValues:maxValues], fmt.Sprintf("and %d more", more))
	}
	c.Question = render.Beginning(render.Clean(text), maxLead)
	return c
}

// ahead returns what follows a question in lines.
func ahead(a approval.Approval) []string {
	params := map[id.Step]approval.Action{}
	for _, action := range a.Actions {
		params[action.Step] = action
	}
	var lines []string
	for _, f := range a.Then {
		action, acts := params[f.Step]
		var line string
		switch {
		case acts:
			line = shownAction(action)
		case f.Message != nil:
			line = shownMessage(*f.Message)
		case f.Branch != nil && f.Branch.Open:
			line = string(f.Step) + ": which way it takes is not known yet"
		default:
			continue
		}
		if !f.Certain {
			line = "perhaps " + line
		}
		lines = append(lines, line)
	}
	if a.Then == nil { // asked before the rest was recorded
		for _, action := range a.Actions {
			lines = append(lines, shownAction(action))
		}
	}
	return lines
}

// shownAction returns an action in a line.
func shownAction(a approval.Action) string {
	return fmt.Sprintf("%s.%s %s", a.Product, a.Action, shownParams(a.Params))
}

// shownMessage returns a message in a line.
func shownMessage(m approval.Message) string {
	const most, few = 100, 3
	to := "recipients that are not known yet"
	if m.Recipients != nil {
		named := make([]string, 0, few)
		for _, r := range m.Recipients[:min(few, len(m.Recipients))] {
			named = append(named, render.Beginning(render.OneLine(r), most))
		}
		to = strings.Join(named, ", ")
		if more := len(m.Recipients) - len(named) + m.More; more > 0 {
			to += fmt.Sprintf(" and %d more", more)
		}
	}
	if m.Text == nil {
		return fmt.Sprintf("%s to %s (with what the steps before it find out)", m.Channel, to)
	}
	says := m.Text.Subject
	if says == "" {
		says = m.Text.Body
	}
	return fmt.Sprintf("%s to %s: “%s”", m.Channel, to, render.Beginning(render.OneLine(says), most))
}

// shownParams returns parameters in a line.
func shownParams(params map[string]any) string {
	if params == nil {
		return "(with what the steps before it find out)"
	}
	text, err := json.Marshal(step.Shown(params))
	if err != nil {
		return ""
	}
	return string(text)
}
