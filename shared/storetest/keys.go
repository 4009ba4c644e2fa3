package storetest

import (
	"crypto/rand"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
)

func aKey(o id.Org, n int) key.Key {
	h, _ := key.HashOf(rand.Text())
	return key.Key{
		ID: id.Key("key_" + string(rune('a'+n))), Org: o, Name: "CI", Access: caller.ReadWrite, Hash: h,
		Created: day().Add(time.Duration(n) * time.Second), By: "user_1",
	}
}

func keys() []promise {
	return []promise{
		{"a key is found by its hash and by its organization, oldest first", func(t trial, s Store) {
			o := anOrg()
			want := []key.Key{aKey(o, 0), aKey(o, 1), aKey(o, 2)}
			for _, n := range []int{2, 0, 1} {
				ok(t, s.CreateKey(t.Context(), want[n]))
			}
			got, err := s.Keys(t.Context(), o)
			ok(t, err)
			same(t, "keys", got, want)
			k, err := s.KeyByHash(t.Context(), want[1].Hash)
			ok(t, err)
			same(t, "key", k, want[1])
		}},
		{"a revoked key is not found", func(t trial, s Store) {
			k := aKey(anOrg(), 0)
			ok(t, s.CreateKey(t.Context(), k))
			ok(t, s.RevokeKey(t.Context(), k.Org, k.ID))
			is(t, s.RevokeKey(t.Context(), k.Org, k.ID), key.ErrNotFound)
			_, err := s.KeyByHash(t.Context(), k.Hash)
			is(t, err, key.ErrNotFound)
			got, err := s.Keys(t.Context(), k.Org)
			ok(t, err)
			same(t, "keys", len(got), 0)
		}},
		{"a key keeps its expiry, and the latest day of its use, once", func(t trial, s Store) {
			k := aKey(anOrg(), 0)
			k.Expires = day().Add(time.Hour)
			ok(t, s.CreateKey(t.Context(), k))
			ok(t, s.CreateKey(t.Context(), aKey(k.Org, 1)))
			for _, days := range []int{1, 3, 2, 3} {
				used := k
				used.Used = day().Truncate(24*time.Hour).AddDate(0, 0, days)
				ok(t, s.MarkUsed(t.Context(), used))
				if k.Used.Before(used.Used) {
					k.Used = used.Used
				}
				got, err := s.KeyByHash(t.Context(), k.Hash)
				ok(t, err)
				same(t, "key", got, k)
			}
			all, err := s.Keys(t.Context(), k.Org)
			ok(t, err)
			same(t, "listed", all[0], k)
			same(t, "another's use", all[1].Used, time.Time{})
		}},
		{"a revoked key stays revoked when it is marked as used", func(t trial, s Store) {
			k := aKey(anOrg(), 0)
			ok(t, s.CreateKey(t.Context(), k))
			ok(t, s.RevokeKey(t.Context(), k.Org, k.ID))
			k.Used = day()
			ok(t, s.MarkUsed(t.Context(), k))
			_, err := s.KeyByHash(t.Context(), k.Hash)
			is(t, err, key.ErrNotFound)
		}},
		{"a rotation follows the one that it was made from", func(t trial, s Store) {
			o := anOrg()
			r, err := s.Rotation(t.Context(), o)
			ok(t, err)
			same(t, "before the first", r, key.Rotation{})
			one := r.Next(day())
			ok(t, s.SaveRotation(t.Context(), o, r, one))
			is(t, s.SaveRotation(t.Context(), o, r, one), key.ErrRotated)
			two := one.Next(day().Add(time.Hour))
			ok(t, s.SaveRotation(t.Context(), o, one, two))
			is(t, s.SaveRotation(t.Context(), o, one, two), key.ErrRotated)
			r, err = s.Rotation(t.Context(), o)
			ok(t, err)
			same(t, "rotation", r, two)
			r, err = s.Rotation(t.Context(), anOrg())
			ok(t, err)
			same(t, "another's", r, key.Rotation{})
		}},
		{"one of many racing rotations wins", func(t trial, s Store) {
			o := anOrg()
			won := race(t, racers, key.ErrRotated, func(int) error {
				return s.SaveRotation(t.Context(), o, key.Rotation{}, key.Rotation{}.Next(day()))
			})
			same(t, "winners", won, 1)
		}},
		{"one of many racing revocations wins", func(t trial, s Store) {
			k := aKey(anOrg(), 0)
			ok(t, s.CreateKey(t.Context(), k))
			won := race(t, racers, key.ErrNotFound, func(int) error { return s.RevokeKey(t.Context(), k.Org, k.ID) })
			same(t, "winners", won, 1)
		}},
		{"an organization has exactly as many keys as allowed", func(t trial, s Store) {
			const room = 5
			o := anOrg()
			made := make([]key.Key, key.MaxKeys+racers)
			for i := range made {
				made[i] = aKey(o, i)
				made[i].ID = id.Key("key_" + rand.Text())
			}
			full := made[:key.MaxKeys-room]
			for _, k := range full {
				ok(t, s.CreateKey(t.Context(), k))
			}
			won := race(t, racers, key.ErrLimit, func(i int) error { return s.CreateKey(t.Context(), made[len(full)+i]) })
			same(t, "winners", won, room)
			got, err := s.Keys(t.Context(), o)
			ok(t, err)
			same(t, "keys", len(got), key.MaxKeys)

			won = race(t, racers, key.ErrNotFound, func(int) error { return s.RevokeKey(t.Context(), o, full[0].ID) })
			same(t, "revocations", won, 1)
			ok(t, s.CreateKey(t.Context(), full[0]))
			is(t, s.CreateKey(t.Context(), aKey(o, 0)), key.ErrLimit)
			ok(t, s.CreateKey(t.Context(), aKey(anOrg(), 0))) // of another organization
		}},
		{"a hash without a key is not found", func(t trial, s Store) {
			_, err := s.KeyByHash(t.Context(), aKey("org_1", 1).Hash)
			is(t, err, key.ErrNotFound)
		}},
	}
}

// A filled is an organization with one item of each kind.
type filled struct {
	agent agent.Agent
	run   execution.Execution
	gate  approval.Approval
	key   key.Key
}

// fill stores one item of each kind for an organization, with the same names in
// each.
func fill(t trial, s Store, o id.Org) filled {
	t.Helper()
	f := filled{agent: in(anAgent(t, o), agent.Active), key: aKey(o, 0)}
	f.agent.ID = "agent_1"
	f.agent = saved(t, s, agent.Agent{}, f.agent)
	ok(t, s.SavePause(t.Context(), o, "agent_system_dispatch", created, agent.Pause{By: "user_1", At: day()}))
	f.gate = asked(t, s, o, 1)
	var err error
	f.run, err = s.Header(t.Context(), o, f.gate.Execution)
	ok(t, err)
	ok(t, s.CreateKey(t.Context(), f.key))
	ok(t, s.Refuse(t.Context(), refusal(o, "agent_1", 2)))
	ok(t, s.SaveFact(t.Context(), o, "client_1", client.Fact{Kind: client.Device, Name: "dev_1", At: day()}))
	done := committed(t, s, holding(t, s, aRun(o, "agent_1", 3), 5))
	summed(t, s, ended(t, s, done, time.Minute))
	return f
}

func orgs() []promise {
	return []promise{
		{"no organization can read another's items", func(t trial, s Store) {
			f := fill(t, s, announced(t, s, credit.Growth))
			sees(t, s, anOrg(), f)
			sees(t, s, f.run.Org[:len(f.run.Org)-1], f) // nor by an organization whose id is a prefix of this one
		}},
		{"no organization can change another's items", func(t trial, s Store) {
			f := fill(t, s, announced(t, s, credit.Growth))
			other := announced(t, s, credit.Growth)
			a, x, gate, d := f.agent, f.run, f.gate, voted(f.gate, approval.Denied)
			a.Org, x.Org, gate.Org, d.Org = other, other, other, other
			is(t, s.SaveAgent(t.Context(), a, a, agent.Cap{}), agent.ErrStale)
			is(t, s.DeleteAgent(t.Context(), a), agent.ErrStale)
			is(t, s.Commit(t.Context(), execution.Change{Execution: x, Gate: &gate}), execution.ErrStale)
			is(t, s.SaveDecision(t.Context(), d, day()), approval.ErrStale)
			is(t, s.RevokeKey(t.Context(), other, f.key.ID), key.ErrNotFound)
			ok(t, s.DeletePause(t.Context(), other, "agent_system_dispatch", created))
			bought(t, s, other, credit.Scale)
			same(t, "allocation", balance(t, s, f.run.Org).Allocation, 100_000)
			unchanged(t, s, f)
		}},
		{"two organizations with the same ids share no items", func(t trial, s Store) {
			one, two := announced(t, s, credit.Growth), announced(t, s, credit.Growth)
			f, g := fill(t, s, one), fill(t, s, two)
			unchanged(t, s, f)
			unchanged(t, s, g)
			why, err := s.AdmitWithinLimit(t.Context(), aRun(one, "agent_1", 9), definition.Limit{PerDay: 1}, dispatch.LimitStarts{}, day())
			ok(t, err)
			same(t, "why", why, "")
			why, err = s.AdmitWithinLimit(t.Context(), aRun(two, "agent_1", 9), definition.Limit{PerDay: 1}, dispatch.LimitStarts{}, day())
			ok(t, err)
			same(t, "why", why, "")
			ok(t, s.DeleteAgent(t.Context(), g.agent))
			unchanged(t, s, f)
		}},
	}
}

// sees reports each item of one organization that another can read.
func sees(t trial, s Store, other id.Org, f filled) {
	t.Helper()
	ctx := t.Context()
	_, err := s.Agent(ctx, other, f.agent.ID)
	is(t, err, agent.ErrNotFound)
	_, err = s.Version(ctx, other, f.agent.ID, 1)
	is(t, err, agent.ErrNotFound)
	_, _, err = s.Execution(ctx, other, f.run.ID)
	is(t, err, execution.ErrNotFound)
	_, err = s.Header(ctx, other, f.run.ID)
	is(t, err, execution.ErrNotFound)
	_, err = s.Approval(ctx, other, f.gate.ID)
	is(t, err, approval.ErrNotFound)
	heads, err := s.Agents(ctx, other)
	ok(t, err)
	stats, err := s.Stats(ctx, other)
	ok(t, err)
	pauses, err := s.Pauses(ctx, other)
	ok(t, err)
	list, paused, err := s.Listeners(ctx, other, created)
	ok(t, err)
	ks, err := s.Keys(ctx, other)
	ok(t, err)
	facts, err := s.Facts(ctx, other, "client_1")
	ok(t, err)
	xs, err := s.Executions(ctx, other, execution.Query{Limit: 10, Count: true})
	ok(t, err)
	byAgent, err := s.Executions(ctx, other, execution.Query{Limit: 10, Agent: f.agent.ID})
	ok(t, err)
	as, err := s.Approvals(ctx, other, approval.Query{Limit: 10})
	ok(t, err)
	es, err := s.Activity(ctx, other, f.agent.ID, activity.Query{Limit: 10})
	ok(t, err)
	same(t, "items seen", len(heads)+len(stats)+len(pauses)+len(list)+len(paused)+len(ks)+len(facts)+
		len(xs.Executions)+xs.Total+len(byAgent.Executions)+len(as.Approvals)+len(es.Entries), 0)
}

// unchanged reports each item that is no longer as fill stored it.
func unchanged(t trial, s Store, f filled) {
	t.Helper()
	o, ctx := f.run.Org, t.Context()
	a, err := s.Agent(ctx, o, f.agent.ID)
	ok(t, err)
	same(t, "agent", a, f.agent)
	x, err := s.Header(ctx, o, f.run.ID)
	ok(t, err)
	same(t, "run", x, f.run)
	gate, err := s.Approval(ctx, o, f.gate.ID)
	ok(t, err)
	same(t, "gate", gate, f.gate)
	ks, err := s.Keys(ctx, o)
	ok(t, err)
	same(t, "keys", ks, []key.Key{f.key})
	heads, err := s.Agents(ctx, o)
	ok(t, err)
	same(t, "agents", len(heads), 1)
	list, paused, err := s.Listeners(ctx, o, created)
	ok(t, err)
	same(t, "listeners", len(list), 1)
	same(t, "paused", len(paused), 1)
	xs, err := s.Executions(ctx, o, execution.Query{Limit: 10, Count: true})
	ok(t, err)
	same(t, "runs", xs.Total, 2)
	es, err := s.Activity(ctx, o, f.agent.ID, activity.Query{Limit: 10})
	ok(t, err)
	same(t, "entries", len(es.Entries), 3)
	stats, err := s.Stats(ctx, o)
	ok(t, err)
	same(t, "runs counted", stats["agent_1"].Runs, 1)
	same(t, "remaining", balance(t, s, o).Remaining, 100_000)
}
