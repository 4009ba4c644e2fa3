package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
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
	b.text = func(c definition.Channel) step.MessageText { return t.messageText(*a, c) }
	b.subject, b.key = subject(t.definition.Name, on), fmt.Sprintf("%s:%s", a.ID, on)
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
	text     func(definition.Channel) step.MessageText
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
		telling := step.GateMessage{Notify: n, Subject: b.subject, Text: b.text(n.Channel), Key: fmt.Sprintf("%s:%d", b.key, i)}
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

// Limits of a message about an approval, in UTF-16 units: below them no channel
// cuts it, so that what it leaves out is left out here, where it can say so.
const (
	maxMessage = 4000
	maxSMS     = 1600
)

func maxOf(c definition.Channel) int {
	if c == definition.SMS {
		return maxSMS
	}
	return maxMessage
}

// within returns a text, or its beginning with an ellipsis in at most most UTF-16
// units, and whether it is not the whole.
func within(text string, most int) (string, bool) {
	if render.Units(text) <= most {
		return text, false
	}
	return render.Within(text, most-1) + "…", true
}

// shortenedNotice follows the link in a message that leaves something out.
const shortenedNotice = "\nThis message is shortened. The link shows everything."

// messageText returns the text of a gate's message on a channel: the question, the
// link, the expiry, the actions that follow, and the values that do not come from
// the definition. No value can make a line or a label of its own. When the message
// leaves something out, it says so behind the link.
func (t *turn) messageText(a approval.Approval, c definition.Channel) step.MessageText {
	most := maxOf(c)
	question, short := question(a, most)
	m := step.MessageText{
		Lead: fmt.Sprintf("%s%s\n\nDecide until %s: ", renewalText(a), question, a.Expires.UTC().Format(time.RFC3339)),
		Link: step.Link{Text: "Decide", URL: t.Link(a.ID)},
	}
	left := most - render.Units(m.Lead) - render.Units(m.Link.URL) - render.Units(shortenedNotice)
	values, cut := within(valuesText(a), left/3)
	short = short || cut
	left -= render.Units(values)
	lines, cut := followingText(a, left)
	if short || cut {
		m.Rest = shortenedNotice
	}
	m.Rest += lines + values
	return m
}

// renewalText introduces a question that is asked again.
func renewalText(a approval.Approval) string {
	if a.Renews == nil {
		return ""
	}
	return fmt.Sprintf("Asked again: the approval by %s at %s is older than 24 hours, and an action that is hard to undo has not begun.\n\n",
		a.Renews.DecidedBy, a.Renews.DecidedAt.UTC().Format(time.RFC3339))
}

// question returns the question as a message of at most most UTF-16 units shows it,
// and whether it is shortened.
func question(a approval.Approval, most int) (string, bool) {
	text, cut := a.Chat.Question, a.Chat.Cut
	if text == "" { // an approval stored before Chat existed
		text = render.Clean(a.Message)
	}
	short, more := within(text, most/2)
	return short, cut || more
}

// valuesText returns the values of the question that do not come from the
// definition.
func valuesText(a approval.Approval) string {
	if len(a.Chat.Values) == 0 {
		return ""
	}
	return "\n\nFilled in from the event or from earlier steps: " + strings.Join(a.Chat.Values, " ")
}

// followingText returns the steps after the gate, one line each, in at most most
// UTF-16 units, and whether it leaves something out.
func followingText(a approval.Approval, most int) (string, bool) {
	const header, mark, last = "\n\nIf approved:", "\n- ", "\n- and 100 more steps"
	lines, cut := followingLines(a)
	if len(lines) == 0 {
		return "", cut
	}
	var b strings.Builder
	b.WriteString(header)
	left := most - render.Units(header) - render.Units(last)
	for i, line := range lines {
		line, short := within(line, maxLine)
		if left -= render.Units(mark) + render.Units(line); left < 0 {
			fmt.Fprintf(&b, "%sand %d more", mark, len(lines)-i)
			return b.String(), true
		}
		cut = cut || short
		b.WriteString(mark + line)
	}
	return b.String(), cut
}

// Limits of the parts of a message, in UTF-16 units.
const (
	maxLead   = 800 // the question
	maxQuoted = 500 // a value in the question
	minQuoted = 20  // the same, if the question is long or has many values
	maxValue  = 60  // a value in the list of values
	maxValues = 8
	maxLine   = 1200 // a step that follows
	maxParam  = 300  // a parameter of an action, in bytes
	maxParams = 1000 // all parameters of an action, in bytes
	maxTo     = 100  // a recipient
	maxFew    = 3    // recipients
	maxSays   = 200  // the text of a message
)

// chat returns the question as messages show it. Each filled-in value is put in
// quotation marks, on one line, so that it cannot imitate a line of the platform,
// and is listed as filled in. A long value leaves room for the author's text.
func chat(message string, scope render.Scope) approval.Chat {
	var c approval.Chat
	ours := map[string]bool{"": true}
	for _, root := range []string{"agent", "execution"} { // these values come from the platform
		values, _ := scope[root].(map[string]any)
		for _, v := range values {
			ours[render.OneLine(render.String(v))] = true
		}
	}
	var all []string
	text, err := render.Encoded(message, scope, func(value string) string {
		if value = render.OneLine(value); ours[value] {
			return value
		}
		all = append(all, value)
		return ""
	})
	if err != nil {
		return approval.Chat{} // newApproval fails with the same error
	}
	most := maxQuoted
	if len(all) > 0 {
		const marks = len(`“…” (30,000 more characters)`)
		most = min(max((maxLead-render.Units(text))/len(all)-marks, minQuoted), maxQuoted)
	}
	text, err = render.Encoded(message, scope, func(value string) string {
		if value = render.OneLine(value); ours[value] {
			return value
		}
		quoted, cut := render.Quoted(value, most)
		c.Cut = c.Cut || cut
		return quoted
	})
	if err != nil {
		return approval.Chat{}
	}
	c.Values = listed(all)
	question, cut := within(render.Clean(text), maxLead)
	c.Question, c.Cut = question, c.Cut || cut
	return c
}

// listed returns the list of values that are not the platform's, each once.
func listed(values []string) []string {
	var list []string
	known := map[string]bool{}
	for _, value := range values {
		if !known[value] {
			known[value] = true
			short, _ := render.Quoted(value, maxValue)
			list = append(list, short)
		}
	}
	if more := len(list) - maxValues; more > 0 {
		return append(list[:maxValues:maxValues], fmt.Sprintf("and %d more", more))
	}
	return list
}

// followingLines returns the steps after the gate, one line each, and whether a
// line leaves something out.
func followingLines(a approval.Approval) (lines []string, cut bool) {
	params := map[id.Step]approval.Action{}
	for _, action := range a.Actions {
		params[action.Step] = action
	}
	for _, f := range a.Then {
		action, acts := params[f.Step]
		var line string
		var short bool
		switch {
		case acts:
			line, short = shownAction(action)
		case f.Message != nil:
			line, short = shownMessage(*f.Message)
		case f.Branch != nil && f.Branch.Open:
			line = string(f.Step) + ": the branch to take is not known yet"
		default:
			continue
		}
		if !f.Certain {
			line = "perhaps " + line
		}
		lines, cut = append(lines, line), cut || short
	}
	if a.Then == nil { // an approval stored before Then existed
		for _, action := range a.Actions {
			line, short := shownAction(action)
			lines, cut = append(lines, line), cut || short
		}
	}
	return lines, cut
}

// shownAction returns an action as one line, and whether it leaves something out.
func shownAction(a approval.Action) (string, bool) {
	params, cut := shownParams(a.Params)
	return fmt.Sprintf("%s.%s %s", a.Product, a.Action, params), cut
}

// shownMessage returns a message as one line, and whether it leaves something out.
func shownMessage(m approval.Message) (line string, cut bool) {
	to := "recipients that are not known yet"
	if m.Recipients != nil {
		named := make([]string, 0, maxFew)
		for _, r := range m.Recipients[:min(maxFew, len(m.Recipients))] {
			name, short := shownRecipient(m.Channel, r)
			named, cut = append(named, name), cut || short
		}
		to = strings.Join(named, ", ")
		if more := len(m.Recipients) - len(named) + m.More; more > 0 {
			to, cut = to+fmt.Sprintf(" and %d more", more), true
		}
	}
	if m.Text == nil {
		return fmt.Sprintf("%s to %s (text depends on results of earlier steps)", m.Channel, to), cut
	}
	cut = cut || m.Text.Cut > 0
	line = fmt.Sprintf("%s to %s:", m.Channel, to)
	for _, says := range []string{m.Text.Subject, m.Text.Body} {
		if says != "" {
			quoted, short := render.Quoted(says, maxSays)
			line, cut = line+" "+quoted, cut || short
		}
	}
	return line, cut
}

// address matches a recipient that cannot be mistaken for words of the platform.
var address = regexp.MustCompile(`^[A-Za-z0-9@+._%/:?&=~-]+$`)

// shownRecipient returns a recipient, in quotation marks if it is no address, and
// whether it is shortened. Of the URL of a chat or a webhook it returns the host.
func shownRecipient(c definition.Channel, r string) (string, bool) {
	if c.Hides(r) {
		return within(c.Shown(r), maxTo)
	}
	if address.MatchString(r) {
		return within(r, maxTo)
	}
	return render.Quoted(r, maxTo)
}

// shownParams returns parameters as one line of JSON, and whether it leaves
// something out.
func shownParams(params map[string]any) (string, bool) {
	if params == nil {
		return "(parameters depend on results of earlier steps)", false
	}
	shown := step.ShownWithin(params, maxParam, maxParams)
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // each channel escapes the whole message
	if err := e.Encode(shown); err != nil {
		return "(parameters cannot be shown here)", true
	}
	return render.OneLine(b.String()), jsonvalue.Canonical(shown) != jsonvalue.Canonical(params)
}
