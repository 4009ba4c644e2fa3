package step

import (
	"context"
	"slices"
	"strconv"

	"theoneagents.app/agents/shared/agent"
)

// A Telling is what the people of one of a gate's channels are told.
type Telling struct {
	agent.Notify

	Subject string
	Body    string
	Key     string // begins the idempotency key of each message
	Before  any    // the outcome of an earlier try that died; nil when there was none
}

// Tell reaches people as a notification does, and returns what became of it, by
// recipient. Before a message that must not be sent twice it hands intend the
// outcome so far, to be recorded; its error is all that Tell returns.
func (s *Service) Tell(
	ctx context.Context, t Task, n Telling, intend func(outcome map[string]any) error,
) (map[string]any, error) {
	messages := make([]Message, 0, len(n.Recipients))
	var unreachable []int
	for i, r := range n.Recipients {
		to, err := Address(s.Rules, n.Channel, r, t.Scope)
		if err != nil {
			to, unreachable = r, append(unreachable, i)
		}
		messages = append(messages, Message{
			Org: t.Run.Org, Execution: t.Run.ID, Agent: t.Run.Agent, Channel: n.Channel,
			Recipient: to, Subject: n.Subject, Body: n.Body, Key: n.Key + ":" + strconv.Itoa(i),
		})
	}
	states := earlier(n.Before, messages)
	for _, i := range unreachable {
		states[i] = refused
	}
	_, err := s.deliver(ctx, t, messages, states, func() error { return intend(outcomes(messages, states)) })
	return outcomes(messages, states), err
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
