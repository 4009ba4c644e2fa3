package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// Suppose returns how every agent of the caller's organization, or only one, would decide
// about an event that no product has published: first those that listen for it. It returns
// agent.ErrNotFound. Records, other agents, limits and quotas have no part in it.
func (s *Service) Suppose(ctx context.Context, who caller.Caller, e event.Event, only id.Agent) (Explanation, error) {
	t, err := s.Tenants.Tenant(ctx, who.Org)
	if err != nil {
		return Explanation{}, err
	}
	heads, err := s.Agents.List(ctx, who, agent.Query{})
	if err != nil {
		return Explanation{}, err
	}
	heads = slices.DeleteFunc(heads, func(h agent.Head) bool { return only != "" && h.ID != only })
	if only != "" && len(heads) == 0 {
		return Explanation{}, agent.ErrNotFound
	}
	slices.SortStableFunc(heads, func(a, b agent.Head) int {
		return cmp.Compare(order(a, e), order(b, e))
	})
	x := Explanation{Event: e, More: len(heads) > MaxAgents}
	for _, h := range heads[:min(len(heads), MaxAgents)] {
		x.Agents = append(x.Agents, agentOf(h))
	}
	if err := s.judge(ctx, who, &x, heads, t); err != nil {
		return x, err
	}
	for i, a := range x.Agents {
		x.Agents[i].Because = supposed(a)
	}
	return x, nil
}

// order returns the place of an agent among those asked about an event.
func order(h agent.Head, e event.Event) int {
	if h.Event() == e.Name() {
		return 0
	}
	return 1
}

// supposed says how an agent would decide about an event that no product has published.
func supposed(a Agent) string {
	switch {
	case a.Now == nil:
		return fmt.Sprintf("It is not judged: more than %d agents listen for the event.", maxJudged)
	case a.Now.Outcome == definition.NotListening:
		return capital(sentence(a.Now.Why))
	case a.Now.Outcome != definition.Started:
		return "It would not start: " + sentence(a.Now.Why)
	}
	switch a.Status {
	case agent.Draft:
		return "It would start if it were active. It is a draft."
	case agent.Paused:
		return "It would start if it were active. It is paused."
	case agent.Invalid:
		return "It would start if it were active. It is out of service."
	case agent.Active:
	}
	return "It would start."
}
