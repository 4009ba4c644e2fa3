package step

import (
	"context"
	"slices"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/render"
)

// A Telling is what the people of one of a gate's channels are told.
type Telling struct {
	agent.Notify

	Subject string
	Words   Words
	Key     string // begins the idempotency key of each message
	Before  any    // the outcome of an earlier try that died; nil when there was none
}

// Words are plain text with a link of ours in it.
type Words struct {
	Lead string // what stands before the link
	Link Link
	Rest string // what stands after it
}

// plain returns the words where there is no markup: the link is its address.
func (w Words) plain() string { return w.Lead + w.Link.URL + w.Rest }

// markup returns the words in the markup of a channel, in which nothing but the
// link is one; nothing for a channel without a markup.
func (w Words) markup(c agent.Channel) string {
	switch c {
	case agent.Slack:
		return render.Slack(w.Lead) + render.SlackLink(w.Link.Text, w.Link.URL) + render.Slack(w.Rest)
	case agent.Teams:
		return render.Markdown(w.Lead) + render.MarkdownLink(w.Link.Text, w.Link.URL) + render.Markdown(w.Rest)
	case agent.SMS, agent.Email, agent.Webhook:
	}
	return ""
}

// Tell reaches people as a notification does, and returns what became of it, by
// recipient. Before a message that must not be sent twice it hands intend the
// outcome so far, to be recorded; its error is all that Tell returns.
func (s *Service) Tell(
	ctx context.Context, t Task, n Telling, intend func(outcome map[string]any) error,
) (map[string]any, error) {
	ds := s.deliveries(t, n.Notify, Message{
		Subject: n.Subject, Body: n.Words.plain(), Markup: n.Words.markup(n.Channel), Link: n.Words.Link, Key: n.Key,
	})
	ds.resume(n.Before)
	_, err := s.deliver(ctx, t, ds, func() error { return intend(ds.outcome()) })
	return ds.outcome(), err
}

// Told reports whether the outcome of a telling is final.
func Told(outcome any) bool {
	doc, _ := outcome.(map[string]any)
	list, _ := doc["recipients"].([]any)
	return len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool {
		entry, _ := v.(map[string]any)
		return entry["status"] == waiting || entry["status"] == sending
	})
}
