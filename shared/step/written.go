package step

import (
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/render"
)

// Text returns what a notification says: what people saw at a gate, or what the
// definition says, filled. It returns render.ErrTemplate.
func Text(t Task) (execution.Text, error) {
	if t.Written.Text != nil {
		return *t.Written.Text, nil
	}
	n := t.Definition.NotificationStep
	subject, err := render.Text(n.Subject, t.Scope)
	if err != nil {
		return execution.Text{}, err
	}
	body, err := render.Text(n.Body, t.Scope)
	if err != nil {
		return execution.Text{}, err
	}
	markup, err := markup(n.Channel, n.Body, t.Scope)
	return execution.Text{Subject: subject, Body: body, Markup: markup}, err
}

// Recipients returns whom a notification will reach. One whose address cannot be
// told stands there as the definition has it.
func (s *Service) Recipients(t Task) []string {
	out := []string{}
	for _, d := range s.deliveries(t, notifies(t), Message{}).list {
		out = append(out, d.Recipient)
	}
	return out
}

func notifies(t Task) definition.Notify {
	return definition.Notify{Channel: t.Definition.Channel, Recipients: t.Definition.Recipients}
}

// hold holds the deliveries to the recipients that people saw at a gate; nil: to
// any.
func (ds *deliveries) hold(shown []string) {
	for _, d := range ds.list {
		if shown != nil && !slices.Contains(shown, d.Recipient) {
			d.status, d.reason = refused, "It is not among the recipients that people saw when they approved."
		}
	}
}
