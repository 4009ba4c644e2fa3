package storetest

import (
	"fmt"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

const created = "psa:ticket.created"

// listening returns the agents that listen for an event.
func listening(t trial, s Store, o id.Org, event string) map[id.Agent]agent.Listener {
	t.Helper()
	list, _, err := s.Listeners(t.Context(), o, event)
	ok(t, err)
	found := map[id.Agent]agent.Listener{}
	for _, l := range list {
		found[l.Agent] = l
	}
	same(t, "listeners found twice", len(list)-len(found), 0)
	return found
}

func agents() []promise {
	return []promise{
		{"an agent is read as it was written", func(t trial, s Store) {
			want := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			got, err := s.Agent(t.Context(), want.Org, want.ID)
			ok(t, err)
			same(t, "agent", got, want)
			heads, err := s.Agents(t.Context(), want.Org)
			ok(t, err)
			same(t, "heads", heads, []agent.Head{want.Head})
		}},
		{"the names of agents are those of the organization's agents that exist", func(t trial, s Store) {
			a := saved(t, s, agent.Agent{}, anAgent(t, anOrg()))
			gone := anAgent(t, a.Org)
			foreign := saved(t, s, agent.Agent{}, anAgent(t, anOrg()))
			got, err := s.AgentNames(t.Context(), a.Org, []id.Agent{a.ID, gone.ID, foreign.ID})
			ok(t, err)
			same(t, "names", got, map[id.Agent]string{a.ID: a.Name})
		}},
		{"an agent that does not exist is not found", func(t trial, s Store) {
			_, err := s.Agent(t.Context(), announced(t, s, credit.Growth), "agent_1")
			is(t, err, agent.ErrNotFound)
			_, err = s.Version(t.Context(), announced(t, s, credit.Growth), "agent_1", 1)
			is(t, err, agent.ErrNotFound)
			is(t, s.DeleteAgent(t.Context(), agent.Agent{Head: agent.Head{Org: announced(t, s, credit.Growth), ID: "agent_1", Revision: 1}}), agent.ErrStale)
		}},
		{"a head has the needs of its definition, as last written", func(t trial, s Store) {
			a := anAgent(t, announced(t, s, credit.Growth))
			needs := func(want ...string) {
				t.Helper()
				heads, err := s.Agents(t.Context(), a.Org)
				ok(t, err)
				same(t, "heads", len(heads), 1)
				same(t, "needs", heads[0].Needs, want)
				whole, err := s.Agent(t.Context(), a.Org, a.ID)
				ok(t, err)
				same(t, "needs of the agent", whole.Needs, want)
			}
			a.Needs = nil // as agents were stored before they had needs
			a = saved(t, s, agent.Agent{}, a)
			needs()
			b := in(a, agent.Active)
			b.Needs = []string{"action psa:add_note", "event psa:ticket.created"}
			b = saved(t, s, a, b)
			needs("action psa:add_note", "event psa:ticket.created")
			c := b
			c.Needs = []string{"event psa:ticket.created"}
			saved(t, s, b, c)
			needs("event psa:ticket.created")
		}},
		{"agents are listed by age", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			for n := range 5 {
				a := anAgent(t, o)
				a.Created = day().Add(-time.Duration(n) * time.Hour)
				saved(t, s, agent.Agent{}, a)
			}
			heads, err := s.Agents(t.Context(), o)
			ok(t, err)
			same(t, "number", len(heads), 5)
			for i := 1; i < len(heads); i++ {
				if heads[i].Created.Before(heads[i-1].Created) {
					t.Errorf("agent %d is older than the one before it", i)
				}
			}
		}},
		{"one of many racing creations of an agent wins", func(t trial, s Store) {
			a := anAgent(t, announced(t, s, credit.Growth))
			won := race(t, racers, agent.ErrStale, func(int) error {
				return s.SaveAgent(t.Context(), agent.Agent{}, a, agent.Cap{})
			})
			same(t, "winners", won, 1)
		}},
		{"one of many racing changes of an agent wins", func(t trial, s Store) {
			a := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			won := race(t, racers, agent.ErrStale, func(int) error {
				b := in(a, agent.Active)
				b.Version++
				return s.SaveAgent(t.Context(), a, b, agent.Cap{Limited: true, Most: 5})
			})
			same(t, "winners", won, 1)
		}},
		{"a version never changes and outlives its agent", func(t trial, s Store) {
			first := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			next := first
			next.Definition, next.Version = aDefinition(t, "Second", "ticket.escalated"), 2
			next.Name = next.Definition.Name
			next = saved(t, s, first, next)
			ok(t, s.DeleteAgent(t.Context(), next))
			for v, want := range map[int]definition.Definition{1: first.Definition, 2: next.Definition} {
				got, err := s.Version(t.Context(), first.Org, first.ID, v)
				ok(t, err)
				same(t, "definition", got, want)
			}
			_, err := s.Version(t.Context(), first.Org, first.ID, 3)
			is(t, err, agent.ErrNotFound)
			_, err = s.Agent(t.Context(), first.Org, first.ID)
			is(t, err, agent.ErrNotFound)
		}},
		{"a version knows its author and everyone who ever activated it", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			a := anAgent(t, o)
			by := func(from agent.Agent, st agent.Status, actor, maker id.Actor) agent.Agent {
				next := in(from, st)
				next.UpdatedBy, next.KeyMaker = actor, maker
				return saved(t, s, from, next)
			}
			written := func(version int) (got agent.Version) {
				t.Helper()
				got, err := s.VersionRecord(t.Context(), o, a.ID, version)
				ok(t, err)
				return got
			}
			a.UpdatedBy, a.KeyMaker = "key_1", "user_owner"
			a = saved(t, s, agent.Agent{}, a)
			want := agent.Version{Number: 1, Created: a.Updated, CreatedBy: "key_1", KeyMaker: "user_owner", Definition: a.Definition}
			same(t, "a draft", written(1), want)
			a = by(a, agent.Active, "user_b", "")
			a = by(a, agent.Paused, "user_c", "")
			a = by(a, agent.Active, "key_2", "user_a")
			a = by(a, agent.Active, "user_d", "") // a new name of an active agent activates nothing
			a = by(a, agent.Paused, "user_b", "")
			a = by(a, agent.Active, "user_b", "")
			want.ActivatedBy = []id.Actor{"key_2", "user_a", "user_b"}
			same(t, "after three activations", written(1), want)
			next := a
			next.Version, next.UpdatedBy, next.KeyMaker = 2, "key_3", "user_z"
			a = saved(t, s, a, next)
			same(t, "the earlier version", written(1), want)
			got := written(2)
			same(t, "written by", got.WrittenBy(), []id.Actor{"key_3", "user_z"})
			same(t, "a version of an active agent is active at once", got.ActivatedBy, []id.Actor{"key_3", "user_z"})
			stored, err := s.Agent(t.Context(), o, a.ID)
			ok(t, err)
			same(t, "maker", stored.KeyMaker, "user_z")
			_, err = s.VersionRecord(t.Context(), o, a.ID, 3)
			is(t, err, agent.ErrNotFound)
		}},
		{"versions are listed by page, newest first, with the time of their creation", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			a := anAgent(t, o)
			var want []agent.Version
			a = saved(t, s, agent.Agent{}, a)
			for n := 1; n <= 12; n++ {
				if n > 1 {
					next := a
					next.Version, next.Updated, next.UpdatedBy = n, day().Add(time.Duration(n)*time.Hour), id.Actor(fmt.Sprintf("user_%d", n))
					next.Definition = aDefinition(t, fmt.Sprintf("Version %d", n), "ticket.created")
					a = saved(t, s, a, next)
				}
				want = append([]agent.Version{{Number: n, Created: a.Updated, CreatedBy: a.UpdatedBy, Definition: a.Definition}}, want...)
			}
			saved(t, s, a, in(a, agent.Active))
			want[0].ActivatedBy = []id.Actor{a.UpdatedBy}
			var got []agent.Version
			q := agent.VersionQuery{Limit: 5}
			for {
				p, err := s.Versions(t.Context(), o, a.ID, q)
				ok(t, err)
				got = append(got, p.Versions...)
				if q.Before = p.Next; p.Next == 0 {
					break
				}
			}
			same(t, "versions", got, want)
			p, err := s.Versions(t.Context(), o, a.ID, agent.VersionQuery{Limit: 12})
			ok(t, err)
			same(t, "next of a whole page", p.Next, 0)
			p, err = s.Versions(t.Context(), o, a.ID, agent.VersionQuery{Limit: 1, Before: 8})
			ok(t, err)
			same(t, "versions before the eighth", p, agent.VersionPage{Versions: want[5:6], Next: 7})
			for _, q := range []agent.VersionQuery{{Limit: 5, Before: 1}, {Limit: 5, Before: 999_999}} {
				p, err = s.Versions(t.Context(), announced(t, s, credit.Growth), a.ID, q)
				ok(t, err)
				same(t, "versions of another organization", len(p.Versions), 0)
			}
			p, err = s.Versions(t.Context(), o, a.ID, agent.VersionQuery{Limit: 5, Before: 1})
			ok(t, err)
			same(t, "versions before the first", p, agent.VersionPage{})
		}},
		{"a new name and description need no new version", func(t trial, s Store) {
			first := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			next := first
			next.Name, next.Description, next.Definition.Name, next.Definition.Description = "New", "too", "New", "too"
			next = saved(t, s, first, next)
			got, err := s.Agent(t.Context(), first.Org, first.ID)
			ok(t, err)
			same(t, "agent", got, next)
			old, err := s.Version(t.Context(), first.Org, first.ID, 1)
			ok(t, err)
			same(t, "version 1", old, first.Definition)
		}},
		{"an agent that has changed since it was read is not deleted", func(t trial, s Store) {
			a := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			saved(t, s, a, in(a, agent.Active))
			is(t, s.DeleteAgent(t.Context(), a), agent.ErrStale)
			same(t, "listeners", len(listening(t, s, a.Org, created)), 1)
		}},
		{"one of many racing deletions wins", func(t trial, s Store) {
			a := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			won := race(t, racers, agent.ErrStale, func(int) error { return s.DeleteAgent(t.Context(), a) })
			same(t, "winners", won, 1)
		}},
		{"an agent listens while it is active, with its current definition", func(t trial, s Store) {
			draft := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			same(t, "draft listens", len(listening(t, s, draft.Org, created)), 0)
			active := saved(t, s, draft, in(draft, agent.Active))
			want := agent.Listener{Agent: active.ID, Version: 1, Definition: active.Definition}
			same(t, "listeners", listening(t, s, active.Org, created), map[id.Agent]agent.Listener{active.ID: want})
			renamed := active
			renamed.Definition.Name = "Renamed"
			renamed = saved(t, s, active, renamed)
			same(t, "name", listening(t, s, active.Org, created)[active.ID].Definition.Name, "Renamed")
			paused := saved(t, s, renamed, in(renamed, agent.Paused))
			same(t, "paused listens", len(listening(t, s, active.Org, created)), 0)
			active = saved(t, s, paused, in(paused, agent.Active))
			ok(t, s.DeleteAgent(t.Context(), active))
			same(t, "deleted listens", len(listening(t, s, active.Org, created)), 0)
		}},
		{"an agent listens for the event of its newest version only", func(t trial, s Store) {
			a := saved(t, s, agent.Agent{}, in(anAgent(t, announced(t, s, credit.Growth)), agent.Active))
			b := a
			b.Definition, b.Version = aDefinition(t, "First", "ticket.created_late"), 2
			saved(t, s, a, b)
			same(t, "old event", len(listening(t, s, a.Org, created)), 0)
			same(t, "new event", listening(t, s, a.Org, "psa:ticket.created_late")[a.ID].Version, 2)
		}},
		{"exactly as many agents become active as the plan allows", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			drafts := make([]agent.Agent, 50)
			for i := range drafts {
				drafts[i] = saved(t, s, agent.Agent{}, anAgent(t, o))
			}
			won := race(t, len(drafts), agent.ErrLimit, func(i int) error {
				return s.SaveAgent(t.Context(), drafts[i], in(drafts[i], agent.Active), agent.Cap{Limited: true, Most: 5})
			})
			same(t, "winners", won, 5)
			same(t, "listeners", len(listening(t, s, o, created)), 5)
		}},
		{"an organization has exactly as many drafts as allowed", func(t trial, s Store) {
			const room = 5
			o := announced(t, s, credit.Growth)
			var drafts []agent.Agent
			for range agent.MaxDrafts - room {
				drafts = append(drafts, saved(t, s, agent.Agent{}, anAgent(t, o)))
			}
			create := func(i int) error {
				a := anAgent(t, o)
				if i%2 == 0 {
					return s.SaveAgent(t.Context(), agent.Agent{}, a, agent.Cap{})
				}
				r := agent.Request{Key: string(a.ID), Digest: "d", Agent: a.ID, Made: day()}
				return s.SaveRequested(t.Context(), a, r, day().Add(-agent.RequestKept))
			}
			same(t, "winners", race(t, racers, agent.ErrDrafts, create), room)
			heads, err := s.Agents(t.Context(), o)
			ok(t, err)
			same(t, "drafts", len(heads), agent.MaxDrafts)

			changed := drafts[0]
			changed.Definition, changed.Version = aDefinition(t, "Second", "ticket.escalated"), 2
			changed.Name = changed.Definition.Name
			drafts[0] = saved(t, s, drafts[0], changed) // a draft that changes is not counted again
			is(t, create(0), agent.ErrDrafts)
			ok(t, s.DeleteAgent(t.Context(), drafts[0]))
			is(t, s.DeleteAgent(t.Context(), drafts[0]), agent.ErrStale)
			ok(t, create(0))
			is(t, create(1), agent.ErrDrafts)
			active := saved(t, s, drafts[1], in(drafts[1], agent.Active))
			ok(t, create(1))
			saved(t, s, active, in(active, agent.Paused))
			is(t, create(0), agent.ErrDrafts)
			ok(t, s.SaveAgent(t.Context(), agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)), agent.Cap{})) // of another organization
		}},
		{"a repeated create request creates its agent once", func(t trial, s Store) {
			o, other := announced(t, s, credit.Growth), announced(t, s, credit.Growth)
			request := func(a agent.Agent, at time.Time) agent.Request {
				return agent.Request{Key: "make it, #1", Digest: "digest of " + string(a.ID), Agent: a.ID, Made: at}
			}
			agents := make([]agent.Agent, racers)
			for i := range agents {
				agents[i] = anAgent(t, o)
			}
			_, found, err := s.Requested(t.Context(), o, "make it, #1")
			ok(t, err)
			same(t, "found before", found, false)
			won := race(t, racers, agent.ErrRequested, func(i int) error {
				return s.SaveRequested(t.Context(), agents[i], request(agents[i], day()), day().Add(-agent.RequestKept))
			})
			same(t, "winners", won, 1)
			heads, err := s.Agents(t.Context(), o)
			ok(t, err)
			same(t, "agents", len(heads), 1)
			same(t, "revision", heads[0].Revision, 1)
			got, found, err := s.Requested(t.Context(), o, "make it, #1")
			ok(t, err)
			same(t, "found", found, true)
			same(t, "request", got, request(agent.Agent{Head: heads[0]}, day()))

			_, found, err = s.Requested(t.Context(), other, "make it, #1")
			ok(t, err)
			same(t, "found by another organization", found, false)
			b := anAgent(t, other)
			ok(t, s.SaveRequested(t.Context(), b, request(b, day()), day().Add(-agent.RequestKept)))
		}},
		{"an idempotency key may be used anew once its first request is old", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			a, b, c := anAgent(t, o), anAgent(t, o), anAgent(t, o)
			request := func(a agent.Agent, at time.Time) error {
				r := agent.Request{Key: "k", Digest: "d", Agent: a.ID, Made: at}
				return s.SaveRequested(t.Context(), a, r, at.Add(-agent.RequestKept))
			}
			ok(t, request(a, day()))
			is(t, request(b, day().Add(agent.RequestKept-1)), agent.ErrRequested)
			_, err := s.Agent(t.Context(), o, b.ID)
			is(t, err, agent.ErrNotFound)
			ok(t, request(b, day().Add(agent.RequestKept)))
			is(t, request(c, day().Add(agent.RequestKept)), agent.ErrRequested)
			got, _, err := s.Requested(t.Context(), o, "k")
			ok(t, err)
			same(t, "agent", got.Agent, b.ID)
		}},
		{"the placeholders of an agent's template are kept", func(t trial, s Store) {
			a := anAgent(t, announced(t, s, credit.Growth))
			a.Placeholders = []string{"+15550000000", "https://hooks.example.com/x"}
			a = saved(t, s, agent.Agent{}, a)
			b := saved(t, s, a, in(a, agent.Active))
			got, err := s.Agent(t.Context(), b.Org, b.ID)
			ok(t, err)
			same(t, "placeholders", got.Placeholders, a.Placeholders)
		}},
		{"an agent in error neither listens nor counts as active", func(t trial, s Store) {
			o, one := announced(t, s, credit.Growth), agent.Cap{Limited: true, Most: 1}
			a, b := saved(t, s, agent.Agent{}, anAgent(t, o)), saved(t, s, agent.Agent{}, anAgent(t, o))
			a = saved(t, s, a, in(a, agent.Active))
			won := race(t, racers, agent.ErrStale, func(int) error {
				return s.SaveAgent(t.Context(), a, in(a, agent.Invalid), agent.Cap{})
			})
			same(t, "winners", won, 1)
			same(t, "listeners", len(listening(t, s, o, created)), 0)
			ok(t, s.SaveAgent(t.Context(), b, in(b, agent.Active), one))
			a, err := s.Agent(t.Context(), o, a.ID)
			ok(t, err)
			same(t, "status", a.Status, agent.Invalid)
			is(t, s.SaveAgent(t.Context(), a, in(a, agent.Active), one), agent.ErrLimit)
		}},
		{"an agent that is paused or deleted no longer counts as active", func(t trial, s Store) {
			o, one := announced(t, s, credit.Growth), agent.Cap{Limited: true, Most: 1}
			a, b := saved(t, s, agent.Agent{}, anAgent(t, o)), saved(t, s, agent.Agent{}, anAgent(t, o))
			a = saved(t, s, a, in(a, agent.Active))
			is(t, s.SaveAgent(t.Context(), b, in(b, agent.Active), one), agent.ErrLimit)
			a = saved(t, s, a, in(a, agent.Paused))
			ok(t, s.SaveAgent(t.Context(), b, in(b, agent.Active), one))
			b = in(b, agent.Active)
			b.Revision++
			is(t, s.SaveAgent(t.Context(), a, in(a, agent.Active), one), agent.ErrLimit)
			ok(t, s.DeleteAgent(t.Context(), b))
			ok(t, s.SaveAgent(t.Context(), a, in(a, agent.Active), one))
		}},
		{"an active agent that changes is not counted again", func(t trial, s Store) {
			one := agent.Cap{Limited: true, Most: 1}
			a := saved(t, s, agent.Agent{}, in(anAgent(t, announced(t, s, credit.Growth)), agent.Active))
			for range 3 {
				ok(t, s.SaveAgent(t.Context(), a, a, one))
				a.Revision++
			}
		}},
		{"a plan without active agents lets no agent become active", func(t trial, s Store) {
			a := saved(t, s, agent.Agent{}, anAgent(t, announced(t, s, credit.Growth)))
			is(t, s.SaveAgent(t.Context(), a, in(a, agent.Active), agent.Cap{Limited: true}), agent.ErrLimit)
		}},
		{"a system agent is paused for one organization alone, until it is resumed", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			first := agent.Pause{By: "user_1", At: day()}
			for _, p := range []agent.Pause{first, {By: "key_1", At: day().Add(time.Hour)}} {
				ok(t, s.SavePause(t.Context(), o, "agent_system_dispatch", created, p))
			}
			want := map[id.Agent]bool{"agent_system_dispatch": true}
			got, err := s.Pauses(t.Context(), o)
			ok(t, err)
			same(t, "pauses", got, map[id.Agent]agent.Pause{"agent_system_dispatch": first})
			list, paused, err := s.Listeners(t.Context(), o, created)
			ok(t, err)
			same(t, "paused for the event", paused, want)
			same(t, "listeners", len(list), 0)
			_, paused, err = s.Listeners(t.Context(), o, "psa:ticket.resolved")
			ok(t, err)
			same(t, "paused for another event", len(paused), 0)
			for range 2 {
				ok(t, s.DeletePause(t.Context(), o, "agent_system_dispatch", created))
			}
			got, err = s.Pauses(t.Context(), o)
			ok(t, err)
			same(t, "pauses", len(got), 0)
		}},
	}
}
