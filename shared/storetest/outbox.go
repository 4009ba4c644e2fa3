package storetest

import (
	"slices"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/outbox"
)

func outboxes() []promise {
	return []promise{
		{"an event that is stored with a change is unpublished until Published is called", func(t trial, s Store) {
			x := leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1)))
			want := failing(x)
			ok(t, s.Commit(t.Context(), want))
			same(t, "unpublished", left(t, s, x.Org, day().Add(time.Hour)), want.Outbox)
			for range 2 {
				ok(t, s.Published(t.Context(), x.Org, want.Outbox[0].ID))
				same(t, "unpublished", len(left(t, s, x.Org, day().Add(time.Hour))), 0)
			}
		}},
		{"an event is left to its writer for a while before it counts as unpublished", func(t trial, s Store) {
			x := leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1)))
			c := failing(x)
			ok(t, s.Commit(t.Context(), c))
			due := c.Outbox[0].Published.Add(outbox.Grace)
			same(t, "before", len(left(t, s, x.Org, due)), 0)
			same(t, "after", len(left(t, s, x.Org, due.Add(1))), 1)
		}},
		{"a change that is refused stores no event", func(t trial, s Store) {
			x := leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1)))
			c := failing(x)
			c.Execution.Revision--
			is(t, s.Commit(t.Context(), c), execution.ErrStale)
			same(t, "unpublished", len(left(t, s, x.Org, day().Add(time.Hour))), 0)
		}},
		{"of many racing ends of a run one stores its event", func(t trial, s Store) {
			x := leased(t, s, begun(t, s, aRun(anOrg(), "agent_1", 1)))
			same(t, "winners", race(t, racers, execution.ErrStale, func(int) error { return s.Commit(t.Context(), failing(x)) }), 1)
			same(t, "unpublished", len(left(t, s, x.Org, day().Add(time.Hour))), 1)
		}},
		{"publishing an event that does not exist changes nothing", func(t trial, s Store) {
			o := anOrg()
			ok(t, s.Published(t.Context(), o, "evt_none"))
			same(t, "unpublished", len(left(t, s, o, day().Add(time.Hour))), 0)
		}},
		{"an agent that becomes invalid stores its event once", func(t trial, s Store) {
			a := saved(t, s, agent.Agent{}, in(anAgent(t, announced(t, s, credit.Starter)), agent.Active))
			broken := in(a, agent.Invalid)
			ok(t, s.SaveAgent(t.Context(), a, broken, agent.Cap{}))
			is(t, s.SaveAgent(t.Context(), a, broken, agent.Cap{}), agent.ErrStale)
			broken.Revision = a.Revision + 1
			paused := saved(t, s, broken, in(broken, agent.Paused))
			got := left(t, s, a.Org, day().Add(time.Hour))
			same(t, "unpublished", got, broken.Announces(a))
			active := saved(t, s, paused, in(paused, agent.Active))
			ok(t, s.SaveAgent(t.Context(), active, in(active, agent.Invalid), agent.Cap{}))
			again := left(t, s, a.Org, day().Add(time.Hour))
			same(t, "unpublished", len(again), 2)
		}},
	}
}

// failing returns the change that ends a run as failed, with its event.
func failing(x execution.Execution) execution.Change {
	c := x.End(func(x execution.Execution) execution.Execution {
		return x.Fail(execution.Failure{Code: "product_error", Message: "it broke", Step: "act"}, day().Add(time.Minute))
	}, nil, false)
	c.Outbox = []event.Event{c.Execution.FailedEvent("A & <b>")}
	return c
}

// left returns the unpublished events of an organization.
func left(t trial, s Store, o id.Org, now time.Time) []event.Event {
	t.Helper()
	all, err := s.Unpublished(t.Context(), now, 10_000)
	ok(t, err)
	return slices.DeleteFunc(all, func(e event.Event) bool { return e.Org != o })
}
