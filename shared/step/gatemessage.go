package step

import (
	"context"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/render"
)

// A GateMessage is the message for one of a gate's channels.
type GateMessage struct {
	definition.Notify

	Subject string
	Text    MessageText
	Key     string             // prefix of each message's idempotency key
	Before  execution.Delivery // state recorded by an earlier try that crashed; may be empty
	// Only selects the recipients, as the trace shows them; nil: all.
	Only func(recipient string) bool
}

// A MessageText is plain text with a link of the platform in it.
type MessageText struct {
	Lead string // text before the link
	Link Link
	Rest string // text after the link
}

// plain returns the text without markup, with the link as a URL.
func (w MessageText) plain() string { return w.Lead + w.Link.URL + w.Rest }

// markup returns the text in the markup of a channel, with everything but the
// link escaped. It is empty for a channel without a markup.
func (w MessageText) markup(c definition.Channel) string {
	switch c {
	case definition.Slack:
		return render.Slack(w.Lead) + render.SlackLink(w.Link.Text, w.Link.URL) + render.Slack(w.Rest)
	case definition.Teams:
		return render.Markdown(w.Lead) + render.MarkdownLink(w.Link.Text, w.Link.URL) + render.Markdown(w.Rest)
	case definition.SMS, definition.Email, definition.Webhook:
	}
	return ""
}

// Tell sends a gate's message like a notification and returns the delivery.
// Before sending a message it passes the delivery so far to intend, which
// records it; Tell returns no error but that of intend or of the count of messages. A message recorded as
// being sent may have arrived, on every channel.
func (s *Service) Tell(
	ctx context.Context, t Task, n GateMessage, intend func(execution.Delivery) error,
) (execution.Delivery, error) {
	ds := s.deliveries(t, n.Notify, Message{
		Subject: n.Subject, Body: n.Text.plain(), Markup: n.Text.markup(n.Channel), Link: n.Text.Link, Key: n.Key,
	})
	if n.Only != nil {
		ds.list = slices.DeleteFunc(ds.list, func(d *delivery) bool { return !n.Only(render.Cut(d.Recipient, maxShown)) })
	}
	ds.restore(resumable(n).Document())
	far := func() execution.Delivery { return execution.DeliveryOf(ds.outcome()) }
	if err := s.ration(ctx, t, ds); err != nil {
		return far(), err
	}
	if repeatable(n.Channel) && ds.has(waiting) {
		if err := intend(allSending(far())); err != nil {
			return far(), fmt.Errorf("intend: %w", err)
		}
	}
	_, err := s.deliver(ctx, t, ds, func() error { return intend(far()) })
	return far(), err
}

// resumable returns the delivery of an earlier try to continue from: on a
// channel that honours the idempotency key, a message being sent is sent again.
func resumable(n GateMessage) execution.Delivery {
	d := n.Before
	if repeatable(n.Channel) {
		d.Recipients = slices.Clone(d.Recipients)
		for i, r := range d.Recipients {
			if r.Status == execution.DeliverySending {
				d.Recipients[i].Status = execution.DeliveryPending
			}
		}
	}
	return d
}

// allSending returns a delivery in which every pending message is being sent.
func allSending(d execution.Delivery) execution.Delivery {
	for i, r := range d.Recipients {
		if r.Status == execution.DeliveryPending {
			d.Recipients[i].Status = execution.DeliverySending
		}
	}
	return d
}
