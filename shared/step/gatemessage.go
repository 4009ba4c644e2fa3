package step

import (
	"context"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/render"
)

// A GateMessage is what the people of one of a gate's channels are told.
type GateMessage struct {
	definition.Notify

	Subject string
	Text    MessageText
	Key     string             // begins the idempotency key of each message
	Before  execution.Delivery // what became of an earlier try that died; empty when there was none
	// Only says which recipients are told, as the trace shows them, once each; nil:
	// all.
	Only func(recipient string) bool
}

// MessageText are plain text with a link of ours in it.
type MessageText struct {
	Lead string // what stands before the link
	Link Link
	Rest string // what stands after it
}

// plain returns the words where there is no markup: the link is its address.
func (w MessageText) plain() string { return w.Lead + w.Link.URL + w.Rest }

// markup returns the words in the markup of a channel, in which nothing but the
// link is one; nothing for a channel without a markup.
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

// Tell reaches people as a notification does, and returns what became of it.
// Before a message is sent it hands intend the delivery so far, to be recorded;
// the error of intend is all that Tell returns. What is recorded as being sent may
// have arrived, over every channel.
func (s *Service) Tell(
	ctx context.Context, t Task, n GateMessage, intend func(execution.Delivery) error,
) (execution.Delivery, error) {
	ds := s.deliveries(t, n.Notify, Message{
		Subject: n.Subject, Body: n.Text.plain(), Markup: n.Text.markup(n.Channel), Link: n.Text.Link, Key: n.Key,
	})
	if n.Only != nil {
		ds.list = slices.DeleteFunc(ds.list, func(d *delivery) bool { return !n.Only(render.Cut(d.Recipient, maxShown)) })
	}
	ds.resume(restarted(n).Document())
	far := func() execution.Delivery { return execution.DeliveryOf(ds.outcome()) }
	if repeatable(n.Channel) && ds.has(waiting) {
		if err := intend(begun(far())); err != nil {
			return far(), fmt.Errorf("intend: %w", err)
		}
	}
	_, err := s.deliver(ctx, t, ds, func() error { return intend(far()) })
	return far(), err
}

// restarted returns an earlier try as one that may go on: where the channel
// honours the idempotency key, what was being sent is sent again.
func restarted(n GateMessage) execution.Delivery {
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

// begun returns a delivery in which everything that waits is being sent.
func begun(d execution.Delivery) execution.Delivery {
	for i, r := range d.Recipients {
		if r.Status == execution.DeliveryPending {
			d.Recipients[i].Status = execution.DeliverySending
		}
	}
	return d
}
