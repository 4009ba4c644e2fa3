package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
)

// A Message is what one recipient is told.
type Message struct {
	Org       id.Org
	Execution id.Execution
	Agent     id.Agent
	Channel   agent.Channel
	Recipient string
	Subject   string // plain text
	Body      string // plain text
	// Markup is Body for a channel with a markup (Slack's mrkdwn, Teams'
	// Markdown): the author's part of it may use that, and values are plain text
	// in it. It is empty where there is none, and then a sender makes plain text
	// of all of Body.
	Markup string
	// Link is an address of ours that Body names, if it does: a sender may make a
	// link of it where Body is plain text.
	Link Link
	Key  string // idempotency key, one for each recipient
}

// A Link is an address of ours, and what it is for.
type Link struct {
	Text string // "Decide"
	URL  string
}

// Sender reaches recipients over one channel. It returns ErrNotification when
// the recipient cannot be reached, an error that wraps ErrAgain when the message
// surely was not sent and may be later, and any other error when nobody knows.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// repeatable reports whether a channel honours the idempotency key, so that a
// message of which nobody knows whether it was sent may be sent again.
func repeatable(c agent.Channel) bool { return c == agent.Webhook }

// What became of a message to one recipient.
const (
	waiting = "pending"
	sending = "sending"
	sent    = "sent"
	refused = "failed"
	unknown = "unknown" // it may have been sent; it is not sent again
)

// notify tells people. Where a channel has no idempotency key, what is about to
// be sent is recorded first, and after a crash it is not sent a second time.
func (s *Service) notify(ctx context.Context, t Task) (execution.Step, error) {
	messages, err := s.messages(t)
	if err != nil {
		return failed(t, err), nil
	}
	var recorded any
	if t.Before != nil {
		recorded = t.Before.Output
	}
	states := earlier(recorded, messages)
	result := execution.Step{Status: execution.StepRunning, Started: s.Now(), Input: shownMessages(messages)}
	result.ID, result.Kind = t.Definition.ID, t.Definition.Kind
	result.Tries, err = s.deliver(ctx, t, messages, states, func() error {
		result.Output = outcomes(messages, states)
		return t.Session.Intend(ctx, result)
	})
	if err != nil {
		return execution.Step{}, err
	}
	result.Status, result.Output = execution.StepCompleted, outcomes(messages, states)
	switch {
	case slices.Contains(states, waiting): // its time was over before all were told
		result.Status, result.Error = execution.StepFailed, Failure(t, ErrNotification)
	case !slices.Contains(states, sent) && !slices.Contains(states, unknown):
		result.Status = execution.StepFailed
		result.Error = Failure(t, ErrNotification.Sayf("None of %d recipients could be reached.", len(messages)))
	}
	return result, nil
}

// deliver sends the messages that wait, and writes into states what became of
// each. Where a channel has no idempotency key, intend is called before.
func (s *Service) deliver(
	ctx context.Context, t Task, messages []Message, states []string, intend func() error,
) (tries int, err error) {
	for i, m := range messages {
		if states[i] != waiting || ctx.Err() != nil {
			continue
		}
		if !repeatable(m.Channel) {
			states[i] = sending
			if err := intend(); err != nil {
				return tries, fmt.Errorf("intend: %w", err)
			}
		}
		var n int
		states[i], n = s.send(ctx, t, m)
		tries = max(tries, n)
	}
	return tries, nil
}

// messages renders the message for each recipient and checks each address: it
// may come from an event. All are rendered before one is sent.
func (s *Service) messages(t Task) ([]Message, error) {
	n := t.Definition.NotificationStep
	subject, err := render.Text(n.Subject, t.Scope)
	if err != nil {
		return nil, err
	}
	body, err := render.Text(n.Body, t.Scope)
	if err != nil {
		return nil, err
	}
	markup, err := markup(n.Channel, n.Body, t.Scope)
	if err != nil {
		return nil, err
	}
	out := make([]Message, 0, len(n.Recipients))
	for i, r := range n.Recipients {
		to, err := address(s.Rules, n.Channel, r, t.Scope)
		if err != nil {
			return nil, err
		}
		out = append(out, Message{
			Org: t.Run.Org, Execution: t.Run.ID, Agent: t.Run.Agent, Channel: n.Channel,
			Recipient: to, Subject: subject, Body: body, Markup: markup, Key: t.Key() + ":" + strconv.Itoa(i),
		})
	}
	return out, nil
}

// markup returns a body in the markup of a channel, its values encoded, or
// nothing for a channel without one. It returns render.ErrTemplate.
func markup(c agent.Channel, body string, s render.Scope) (string, error) {
	switch c {
	case agent.Slack:
		return render.Encoded(body, s, render.Slack)
	case agent.Teams:
		return render.Encoded(body, s, render.Markdown)
	case agent.SMS, agent.Email, agent.Webhook:
	}
	return "", nil
}

// address returns the recipient that a text names: a value is encoded for the
// URL that it is a part of, and one that is the whole address is taken as it is.
// It returns render.ErrTemplate, or agent.ErrRecipient for what the channel
// cannot reach.
func address(rules agent.Rules, c agent.Channel, text string, s render.Scope) (string, error) {
	fill := render.Text
	switch c {
	case agent.Slack, agent.Teams, agent.Webhook:
		if !render.Alone(text) {
			fill = func(text string, s render.Scope) (string, error) { return render.Encoded(text, s, render.Percent) }
		}
	case agent.SMS, agent.Email:
	}
	to, err := fill(text, s)
	if err != nil {
		return "", err
	}
	return to, rules.Reaches(c, to)
}

// earlier returns where each message stands after an earlier try that died with
// this outcome: one that was being sent may have been sent.
func earlier(outcome any, messages []Message) []string {
	states := make([]string, len(messages))
	for i := range states {
		states[i] = waiting
	}
	output, _ := outcome.(map[string]any)
	list, _ := output["recipients"].([]any)
	for i := range min(len(list), len(states)) {
		entry, _ := list[i].(map[string]any)
		switch entry["status"] {
		case sending:
			states[i] = unknown
		case sent, refused, unknown:
			states[i] = fmt.Sprint(entry["status"])
		}
	}
	return states
}

// send sends one message and returns what became of it and the tries it took.
func (s *Service) send(ctx context.Context, t Task, m Message) (string, int) {
	sender, ok := s.Senders[m.Channel]
	if !ok {
		return refused, 0
	}
	tries, err := s.try(ctx, t, func(ctx context.Context) error { return sender.Send(ctx, m) })
	switch {
	case err == nil:
		return sent, tries
	case errors.Is(err, ErrAgain), errors.Is(err, ErrNotification), repeatable(m.Channel):
		return refused, tries
	}
	return unknown, tries
}

func outcomes(messages []Message, states []string) map[string]any {
	list := make([]any, 0, len(messages))
	for i, m := range messages {
		list = append(list, map[string]any{"recipient": shorten(m.Recipient, maxShown), "status": states[i]})
	}
	return map[string]any{"channel": string(messages[0].Channel), "recipients": list}
}

func shownMessages(messages []Message) any {
	return map[string]any{"subject": shorten(messages[0].Subject, maxShown), "body": shorten(messages[0].Body, maxShown)}
}
