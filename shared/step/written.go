package step

import (
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/render"
)

// Text returns the text of a notification: the text shown at a gate, or the
// definition's, filled. It returns render.ErrTemplate.
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

// Recipients returns the recipients of a notification. A recipient without a
// valid address appears as written in the definition.
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

// restrictTo refuses recipients that the gate did not show; nil means no
// restriction.
func (ds *deliveries) restrictTo(shown []string) {
	for _, d := range ds.list {
		if shown != nil && !slices.Contains(shown, d.Recipient) {
			d.status, d.reason = refused, "The recipient was not among those shown to the approvers."
		}
	}
}
