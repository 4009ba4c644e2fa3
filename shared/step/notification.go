package step

import (
	"context"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
)

// A Message is a message to one recipient.
type Message struct {
	Org       id.Org
	Execution id.Execution
	Agent     id.Agent
	Channel   definition.Channel
	Recipient string
	Subject   string // plain text
	Body      string // plain text
	// Markup is Body for a channel with a markup (Slack's mrkdwn, Teams'
	// Markdown): the author's text may use it, and filled-in values are
	// escaped. When it is empty the sender escapes all of Body.
	Markup string
	// Link is a URL of the platform that Body contains, or zero. A sender may
	// turn it into a link where Body is plain text.
	Link Link
	Key  string // idempotency key, one for each recipient
}

// A Link is a URL of the platform with its label.
type Link struct {
	Text string // "Decide"
	URL  string
}

// Sender sends messages over one channel. Send returns ErrNotification when the
// recipient cannot be reached, an error that wraps ErrAgain when the message
// was certainly not sent and may be retried, and any other error when it may
// have been sent.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// repeatable reports whether a channel honours the idempotency key, so that a
// message that may have been sent can safely be sent again.
func repeatable(c definition.Channel) bool { return c == definition.Webhook }

// sendNotification sends a notification. On a channel without an idempotency
// key, it records each message before sending it and does not send it again
// after a crash.
func (s *Service) sendNotification(ctx context.Context, t Task) (execution.StepRecord, error) {
	text, err := Text(t)
	if err != nil {
		return failed(t, err), nil
	}
	m := Message{Subject: text.Subject, Body: text.Body, Markup: text.Markup, Key: t.Key()}
	ds := s.deliveries(t, notifies(t), m)
	ds.restrictTo(t.Written.Recipients)
	if t.Before != nil {
		ds.restore(t.Before.Output)
	}
	if err := s.ration(ctx, t, ds); err != nil {
		return execution.StepRecord{}, err
	}
	result := execution.StepRecord{Status: execution.StepRunning, Started: s.Now(), Input: shownMessage(m)}
	result.ID, result.Kind = t.Definition.ID, t.Definition.Kind
	result.Tries, err = s.deliver(ctx, t, ds, func() error {
		result.Output = ds.outcome()
		return t.Lease.Intend(ctx, result)
	})
	if err != nil {
		return execution.StepRecord{}, err
	}
	result.Status, result.Output = execution.StepCompleted, ds.outcome()
	switch {
	case ds.has(waiting): // the step's time ended first
		result.Status, result.Error = execution.StepFailed, Failure(t, ErrNotification)
	case !ds.has(sent, unknown):
		result.Status, result.Error = execution.StepFailed, Failure(t, ds.failure())
	}
	return result, nil
}

// markup returns a body in the markup of a channel, with its values escaped;
// empty for a channel without one. It returns render.ErrTemplate.
func markup(c definition.Channel, body string, s render.Scope) (string, error) {
	switch c {
	case definition.Slack:
		return render.Encoded(body, s, render.Slack)
	case definition.Teams:
		return render.Encoded(body, s, render.Markdown)
	case definition.SMS, definition.Email, definition.Webhook:
	}
	return "", nil
}

func shownMessage(m Message) any {
	return map[string]any{"subject": render.Cut(m.Subject, maxShown), "body": render.Cut(m.Body, maxShown)}
}
