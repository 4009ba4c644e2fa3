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

// occasionOf returns which message of an open gate is due.
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

// tellTime limits the time for sending messages in one turn. The next turn
// sends the rest.
const tellTime = 30 * time.Second

// notifyGate sends the open approval a, which was just written, to the gate's
// channels, unless that was done, and then the outcomes of earlier gates. The
// deliveries are recorded in the step's output under "notified". The approval
// is valid even when no message arrives, so a failure of a channel is only
// reported.
func (t *turn) notifyGate(ctx context.Context, at execution.TraceEntry, a approval.Approval) error {
	channels := at.Definition.Channels(t.steps[at.ID].Escalated)
	if len(channels) == 0 && !t.hasPendingOutcomes() {
		return nil
	}
	scope, _, err := t.loadScope(ctx)
	if err != nil {
		return err
	}
	a.Revision++
	if len(channels) > 0 {
		err = t.sendGateMessage(ctx, at, &a, broadcast{turn: t, step: at.Definition, scope: scope, channels: channels})
	}
	if err == nil {
		err = t.outcomes(ctx, &a)
	}
	switch {
	case errors.Is(err, execution.ErrStale):
		return nil // the approval was decided meanwhile
	case err != nil:
		t.Report(ctx, fmt.Errorf("notify of %s: %w", a.ID, err))
	}
	return nil
}

// sendGateMessage sends the message about an open approval.
func (t *turn) sendGateMessage(ctx context.Context, at execution.TraceEntry, a *approval.Approval, b broadcast) error {
	s := t.steps[at.ID]
	on := occasionOf(s, *a)
	b.text, b.subject, b.key = t.messageText(*a), subject(t.definition.Name, on), fmt.Sprintf("%s:%s", a.ID, on)
	return b.send(ctx, execution.NotifiedIn(s.Output)[on], func(list []execution.Delivery) error {
		return t.saveDeliveries(ctx, a, &s, on, list)
	})
}

// A broadcast is one message over all channels of a gate.
type broadcast struct {
	*turn

	step     definition.Step
	scope    render.Scope
	channels []definition.Notify
	subject  string
	text     step.MessageText
	key      string // prefix of each message's idempotency key
	// only returns the recipients of a channel that get the message, as the
	// trace shows them; nil means all.
	only func(channel int) map[string]bool
}

// send delivers the message over each channel that is not final. It calls keep
// to record its progress before each message that must not be sent twice, and
// at the end of each channel.
func (b broadcast) send(ctx context.Context, list []execution.Delivery, keep func([]execution.Delivery) error) error {
	limited, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	list = append([]execution.Delivery(nil), list...)
	for i, n := range b.channels {
		if i < len(list) && list[i].Final() {
			continue
		}
		telling := step.GateMessage{Notify: n, Subject: b.subject, Text: b.text, Key: fmt.Sprintf("%s:%d", b.key, i)}
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

// saveDeliveries records the deliveries of an open approval. It fails with
// ErrStale if another worker changed the run: of two workers that send the same
// message, one stops before its first. It also fails if the approval was
// decided: the decision has set the time at which the sweeper checks the run,
// which must not be overwritten.
func (t *turn) saveDeliveries(
	ctx context.Context, a *approval.Approval, s *execution.StepRecord, on execution.Occasion, list []execution.Delivery,
) error {
	s.Output = execution.NotifiedIn(s.Output).With(on, list).In(s.Output)
	err := t.commit(context.WithoutCancel(ctx), func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x, Step: s, Gate: a}
	})
	if err == nil {
		a.Revision++
		t.remember(*s)
	}
	return err
}

func subject(name string, on execution.Occasion) string {
	name = render.OneLine(name)
	switch on {
	case execution.OnReminded, execution.OnRemindedAgain:
		return "Reminder: " + name + " waits for approval"
	case execution.OnEscalated:
		return "Escalated: " + name + " waits for approval"
	case execution.OnAsked, execution.OnDecided, execution.OnExpired, execution.OnWithdrawn:
	}
	return name + " waits for approval"
}

// messageText returns the text of a gate's message: the question, the link, the
// expiry, the actions that follow, and the values that do not come from the
// definition.
func (t *turn) messageText(a approval.Approval) step.MessageText {
	var rest strings.Builder
	for i, line := range followingLines(a) {
		if i == 0 {
			rest.WriteString("\n\nIf approved:")
		}
		rest.WriteString("\n- " + line)
	}
	if len(a.Chat.Values) > 0 {
		rest.WriteString("\n\nFilled in from the event or from earlier steps: " + strings.Join(a.Chat.Values, " "))
	}
	return step.MessageText{
		Lead: fmt.Sprintf("%s\n\nDecide until %s: ", questionText(a), a.Expires.UTC().Format(time.RFC3339)),
		Link: step.Link{Text: "Decide", URL: t.Link(a.ID)},
		Rest: render.Clean(rest.String()),
	}
}

// questionText returns the question as messages show it.
func questionText(a approval.Approval) string {
	if a.Chat.Question != "" {
		return a.Chat.Question
	}
	return render.Beginning(render.Clean(a.Message), maxLead)
}

// Limits for the question in messages, in characters: no channel may cut off
// the link to the full approval.
const (
	maxLead   = 1000
	maxValue  = 60
	maxValues = 8
)

// chat returns the question as messages show it. Each filled-in value is put on
// one line, so that it cannot imitate a line of the platform, and is listed as
// filled in.
func chat(message string, scope render.Scope) approval.Chat {
	var c approval.Chat
	named := map[string]bool{}
	for _, root := range []string{"agent", "execution"} { // these values come from the platform
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
		return approval.Chat{} // newApproval fails with the same error
	}
	if more := len(c.Values) - maxValues; more > 0 {
		c.Values = append(c.Values[:maxValues:maxValues], fmt.Sprintf("and %d more", more))
	}
	c.Question = render.Beginning(render.Clean(text), maxLead)
	return c
}

// followingLines returns the steps after the gate, one line each.
func followingLines(a approval.Approval) []string {
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
			line = string(f.Step) + ": the branch to take is not known yet"
		default:
			continue
		}
		if !f.Certain {
			line = "perhaps " + line
		}
		lines = append(lines, line)
	}
	if a.Then == nil { // an approval stored before Then existed
		for _, action := range a.Actions {
			lines = append(lines, shownAction(action))
		}
	}
	return lines
}

// shownAction returns an action as one line.
func shownAction(a approval.Action) string {
	return fmt.Sprintf("%s.%s %s", a.Product, a.Action, shownParams(a.Params))
}

// shownMessage returns a message as one line.
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
		return fmt.Sprintf("%s to %s (text depends on results of earlier steps)", m.Channel, to)
	}
	says := m.Text.Subject
	if says == "" {
		says = m.Text.Body
	}
	return fmt.Sprintf("%s to %s: “%s”", m.Channel, to, render.Beginning(render.OneLine(says), most))
}

// shownParams returns parameters as one line.
func shownParams(params map[string]any) string {
	if params == nil {
		return "(parameters depend on results of earlier steps)"
	}
	text, err := json.Marshal(step.Shown(params))
	if err != nil {
		return ""
	}
	return string(text)
}
