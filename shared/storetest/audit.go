package storetest

import (
	"context"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// anAct returns the n-th act of an organization.
func anAct(o id.Org, n int) audit.Entry {
	who := caller.Caller{Org: o, User: "user_1", Session: "ses_1", Address: "198.51.100.7"}
	if n%2 == 1 {
		who = caller.Caller{Org: o, Key: "key_1", Address: "2001:db8::7"}
	}
	return audit.Of(who, audit.Change{
		Kind: audit.Kinds()[n%3], Object: fmt.Sprintf("agent_%d", n%4), From: "version 1, draft", To: "version 1, active", Reason: "ä",
	}, day().Add(time.Duration(n)*time.Millisecond))
}

// log returns the whole audit log of an organization, newest first.
func log(t trial, s Store, o id.Org) []audit.Entry {
	t.Helper()
	p, err := s.Audit(t.Context(), o, audit.Query{Limit: 100})
	ok(t, err)
	same(t, "next of the whole log", p.Next, "")
	return p.Entries
}

// acting returns the writes that record acts, each ready for its first call.
func acting(t trial, s Store, o id.Org) map[string]func(context.Context, audit.Entry) error {
	t.Helper()
	draft := anAgent(t, o)
	stored := saved(t, s, agent.Agent{}, anAgent(t, o))
	gone := saved(t, s, agent.Agent{}, in(anAgent(t, o), agent.Active))
	requested := anAgent(t, o)
	k, revoked := aKey(o, 0), aKey(o, 1)
	ok(t, s.CreateKey(t.Context(), revoked))
	ok(t, s.SavePause(t.Context(), o, "agent_system_resumed", created, agent.Pause{By: "user_1", At: day()}))
	gate := asked(t, s, o, 1)
	run := leased(t, s, begun(t, s, aRun(o, "agent_1", 2)))
	cancelled, err := run.Cancel(execution.CancelledByUser, "user_1", day())
	ok(t, err)
	retry := aRun(o, "agent_1", 3)
	return map[string]func(context.Context, audit.Entry) error{
		"SaveAgent, new": func(ctx context.Context, e audit.Entry) error {
			return s.SaveAgent(ctx, agent.Agent{}, draft, agent.Cap{}, e)
		},
		"SaveAgent": func(ctx context.Context, e audit.Entry) error {
			return s.SaveAgent(ctx, stored, in(stored, agent.Active), agent.Cap{Limited: true, Most: 5}, e)
		},
		"SaveRequested": func(ctx context.Context, e audit.Entry) error {
			r := agent.Request{Key: "k", Digest: "d", Agent: requested.ID, Made: day()}
			return s.SaveRequested(ctx, requested, r, day().Add(-agent.RequestKept), e)
		},
		"DeleteAgent": func(ctx context.Context, e audit.Entry) error { return s.DeleteAgent(ctx, gone, e) },
		"SavePause": func(ctx context.Context, e audit.Entry) error {
			return s.SavePause(ctx, o, "agent_system_dispatch", created, agent.Pause{By: "user_1", At: day()}, e)
		},
		"DeletePause": func(ctx context.Context, e audit.Entry) error {
			return s.DeletePause(ctx, o, "agent_system_resumed", created, e)
		},
		"CreateKey": func(ctx context.Context, e audit.Entry) error { return s.CreateKey(ctx, k, e) },
		"RevokeKey": func(ctx context.Context, e audit.Entry) error { return s.RevokeKey(ctx, o, revoked.ID, e) },
		"SaveDecision": func(ctx context.Context, e audit.Entry) error {
			return s.SaveDecision(ctx, voted(gate, approval.Denied), day(), e)
		},
		"Commit": func(ctx context.Context, e audit.Entry) error {
			return s.Commit(ctx, execution.Change{Execution: cancelled, Acts: []audit.Entry{e}})
		},
		"CreateRetry": func(ctx context.Context, e audit.Entry) error { return s.CreateRetry(ctx, retry, e) },
	}
}

func audits() []promise {
	return []promise{
		{"a change and its act are written together, and a refused or repeated one writes no act", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			n := 0
			for name, write := range acting(t, s, o) {
				n++
				ok(t, write(t.Context(), anAct(o, n)))
				list := log(t, s, o)
				same(t, "entries after "+name, len(list), n)
				same(t, "entry of "+name, list[0], anAct(o, n))
				_ = write(t.Context(), anAct(o, 50+n)) // the stores differ in whether a repeated pause is an error
				same(t, "entries after a second "+name, len(log(t, s, o)), n)
			}
		}},
		{"of many equal acts at once one is recorded", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			a := saved(t, s, agent.Agent{}, anAgent(t, o))
			won := race(t, racers, agent.ErrStale, func(i int) error {
				return s.SaveAgent(t.Context(), a, in(a, agent.Active), agent.Cap{}, anAct(o, i))
			})
			same(t, "winners", won, 1)
			same(t, "entries", len(log(t, s, o)), 1)
			race(t, racers, nil, func(i int) error {
				return s.SavePause(t.Context(), o, "agent_system_dispatch", created, agent.Pause{By: "user_1"}, anAct(o, 40+i))
			})
			same(t, "entries after many pauses", len(log(t, s, o)), 2)
		}},
		{"acts are listed newest first, by each filter, without duplicates or gaps", func(t trial, s Store) {
			o := anOrg()
			var all []audit.Entry
			for n := range 25 {
				a := anAgent(t, o)
				ok(t, s.SaveAgent(t.Context(), agent.Agent{}, a, agent.Cap{}, anAct(o, n)))
				all = append([]audit.Entry{anAct(o, n)}, all...)
			}
			from, to := day().Add(5*time.Millisecond), day().Add(20*time.Millisecond)
			for name, q := range map[string]audit.Query{
				"all":        {},
				"an actor":   {Actor: "key_1"},
				"a kind":     {Kind: audit.Kinds()[1]},
				"an object":  {Object: "agent_3"},
				"a time":     {From: from, To: to},
				"two":        {Actor: "user_1", Object: "agent_2"},
				"everything": {Actor: "key_1", Kind: audit.Kinds()[2], Object: "agent_1", From: from, To: to},
				"nothing":    {Actor: "user_1", Object: "agent_3"},
				"an unknown": {Actor: "user_2"},
			} {
				var want []audit.Entry
				for _, e := range all {
					inTime := !e.At.Before(q.From) && (q.To.IsZero() || e.At.Before(q.To))
					if q.Wants(e) && inTime {
						want = append(want, e)
					}
				}
				var got []audit.Entry
				for q.Limit = 3; ; {
					p, err := s.Audit(t.Context(), o, q)
					ok(t, err)
					if got = append(got, p.Entries...); p.Next == "" {
						break
					}
					if len(p.Entries) > 3 {
						t.Errorf("%s: a page of %d entries", name, len(p.Entries))
					}
					q.After = p.Next
				}
				same(t, name, got, want)
			}
			other, err := s.Audit(t.Context(), anOrg(), audit.Query{Limit: 10})
			ok(t, err)
			same(t, "entries of another organization", len(other.Entries), 0)
		}},
	}
}
