package storetest

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

func tenants() []promise {
	return []promise{
		{"a session that was revoked is known to its organization alone", func(t trial, s Store) {
			r := tenant.Revocation{Org: anOrg(), JTI: "ses#1/\n", Expires: time.Now().Add(time.Hour)}
			for range 2 {
				ok(t, s.Revoke(t.Context(), r))
			}
			for session, want := range map[tenant.Session]bool{
				{Org: r.Org, JTI: r.JTI, User: "user_1"}:   true,
				{Org: r.Org, JTI: r.JTI, User: "user_2"}:   true,
				{Org: anOrg(), JTI: r.JTI, User: "user_1"}: false,
				{Org: r.Org, JTI: "ses", User: "user_1"}:   false,
				{Org: r.Org, User: "user_1"}:               false,
			} {
				got, err := s.Revoked(t.Context(), session)
				ok(t, err)
				same(t, "revoked", got, want)
			}
		}},
		{"the standing of a session is that of its organization and of its revocations", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			revoked := tenant.Session{Org: o, JTI: "ses_1", User: "user_1", Issued: day()}
			valid := tenant.Session{Org: o, JTI: "ses_2", User: "user_1", Issued: day()}
			ok(t, s.Revoke(t.Context(), tenant.Revocation{Org: o, JTI: revoked.JTI, Expires: time.Now().Add(time.Hour)}))
			want, err := s.Tenant(t.Context(), o)
			ok(t, err)
			standing := func(session tenant.Session, gone bool, why error) {
				t.Helper()
				got, revoked, err := s.Standing(t.Context(), session)
				is(t, err, why)
				same(t, "revoked", revoked, gone)
				if why == nil {
					same(t, "tenant", got, want)
				}
			}
			standing(revoked, true, nil)
			standing(valid, false, nil)
			ok(t, s.Revoke(t.Context(), tenant.Revocation{Org: o, User: "user_1", Before: day().Add(time.Second), Expires: time.Now().Add(time.Hour)}))
			standing(valid, true, nil)
			valid.Issued = day().Add(time.Minute)
			standing(valid, false, nil)
			ok(t, s.BeginErasure(t.Context(), tenant.Erasure{Org: o, Event: "evt_1", Deleted: day(), Began: day(), Stage: tenant.Stopping, Next: day()}))
			standing(valid, false, tenant.ErrDeleted)
			standing(revoked, true, tenant.ErrDeleted)
			standing(tenant.Session{Org: anOrg(), User: "user_1", Issued: day()}, false, tenant.ErrUnknown)
		}},
		{"the uses of agents that become active are added to those of their organization, and stay", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			uses := func(want ...tenant.Use) {
				t.Helper()
				got, err := s.Tenant(t.Context(), o)
				ok(t, err)
				same(t, "uses", got.Uses, want)
			}
			a := anAgent(t, o)
			a.Uses = []tenant.Use{tenant.Hears("psa:ticket"), tenant.Makes("psa:note")}
			a = saved(t, s, agent.Agent{}, a)
			uses()
			a = saved(t, s, a, in(a, agent.Active))
			uses(a.Uses...)
			b := in(anAgent(t, o), agent.Active)
			b.Uses = []tenant.Use{tenant.Hears("psa:note"), tenant.Makes("psa:note")}
			saved(t, s, agent.Agent{}, b)
			ok(t, s.DeleteAgent(t.Context(), a))
			stored, err := s.Tenant(t.Context(), o)
			ok(t, err)
			ok(t, s.SaveTenant(t.Context(), stored, month))
			for range 2 {
				ok(t, s.AddUses(t.Context(), o, []tenant.Use{tenant.Makes("psa:ticket"), tenant.Makes("psa:note")}))
			}
			uses(tenant.Hears("psa:note"), tenant.Hears("psa:ticket"), tenant.Makes("psa:note"), tenant.Makes("psa:ticket"))
		}},
		{"every change of what listens is counted in its organization, and no other change", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			last := int64(0)
			count := func(change string, want int64) {
				t.Helper()
				got, err := s.Tenant(t.Context(), o)
				ok(t, err)
				same(t, "counted for "+change, got.Listeners-last, want)
				last = got.Listeners
			}
			a := saved(t, s, agent.Agent{}, anAgent(t, o))
			count("a draft", 0)
			a = saved(t, s, a, in(a, agent.Active))
			count("an activation", 1)
			b := a
			b.Definition, b.Version = aDefinition(t, "First", "ticket.escalated"), 2
			b = saved(t, s, a, b)
			count("another event", 1)
			is(t, s.SaveAgent(t.Context(), a, b, agent.Cap{}), agent.ErrStale)
			count("a change that is refused", 0)
			b = saved(t, s, b, in(b, agent.Paused))
			count("a pause", 1)
			b = saved(t, s, b, in(b, agent.Active))
			count("an activation", 1)
			ok(t, s.DeleteAgent(t.Context(), b))
			count("a deletion", 1)
			c := saved(t, s, agent.Agent{}, anAgent(t, o))
			ok(t, s.DeleteAgent(t.Context(), c))
			count("the deletion of a draft", 0)
			for _, want := range []int64{1, 0} {
				ok(t, s.SavePause(t.Context(), o, "agent_system_dispatch", created, agent.Pause{By: "user_1"}))
				count("the pause of a system agent", want)
			}
			for _, want := range []int64{1, 0} {
				ok(t, s.DeletePause(t.Context(), o, "agent_system_dispatch", created))
				count("its resumption", want)
			}
			stored, err := s.Tenant(t.Context(), o)
			ok(t, err)
			ok(t, s.SaveTenant(t.Context(), stored, month))
			stored.Revision++
			ok(t, s.SaveSettings(t.Context(), stored, anAct(o, 1)))
			ok(t, s.AddUses(t.Context(), o, []tenant.Use{tenant.Makes("psa:ticket")}))
			count("a change of the organization", 0)
		}},
		{"many changes of what listens at once are all counted", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			won := race(t, racers, nil, func(i int) error {
				if i%2 == 0 {
					return s.SavePause(t.Context(), o, id.Agent(fmt.Sprintf("agent_system_%d", i)), created, agent.Pause{By: "user_1"})
				}
				return s.SaveAgent(t.Context(), agent.Agent{}, in(anAgent(t, o), agent.Active), agent.Cap{})
			})
			same(t, "changes", won, racers)
			got, err := s.Tenant(t.Context(), o)
			ok(t, err)
			same(t, "counted", got.Listeners, racers)
		}},
		{"nothing listens in an organization that is unknown or deleted", func(t trial, s Store) {
			gone := announced(t, s, credit.Growth)
			active := saved(t, s, agent.Agent{}, in(anAgent(t, gone), agent.Active))
			ok(t, s.BeginErasure(t.Context(), tenant.Erasure{Org: gone, Event: "evt_1", Deleted: day(), Began: day(), Stage: tenant.Stopping, Next: day()}))
			for o, why := range map[id.Org]error{anOrg(): tenant.ErrUnknown, gone: tenant.ErrDeleted} {
				is(t, s.SaveAgent(t.Context(), agent.Agent{}, in(anAgent(t, o), agent.Active), agent.Cap{}), why)
				is(t, s.SavePause(t.Context(), o, "agent_system_dispatch", created, agent.Pause{By: "user_1"}), why)
			}
			is(t, s.SaveAgent(t.Context(), active, active, agent.Cap{}), tenant.ErrDeleted)
			is(t, s.DeleteAgent(t.Context(), active), tenant.ErrDeleted)
			saved(t, s, agent.Agent{}, anAgent(t, anOrg())) // a draft does not listen
		}},
		{"the sessions of a user that were issued before the latest revocation are revoked", func(t trial, s Store) {
			at := time.Now().UTC().Truncate(time.Second)
			first := tenant.Revocation{Org: anOrg(), User: "user_1", Before: at, Expires: at.Add(tenant.MaxSession)}
			latest := first
			latest.Before, latest.Expires = at.Add(time.Minute+time.Nanosecond), latest.Expires.Add(time.Minute)
			for _, r := range []tenant.Revocation{first, first, latest, first, latest} {
				ok(t, s.Revoke(t.Context(), r))
				one := tenant.Session{Org: r.Org, JTI: "ses", User: r.User, Issued: r.Before.Add(-time.Nanosecond)}
				got, err := s.Revoked(t.Context(), one)
				ok(t, err)
				same(t, "revoked", got, true)
			}
			issued := latest.Before.Add(-time.Nanosecond)
			for session, want := range map[tenant.Session]bool{
				{Org: first.Org, JTI: "ses", User: "user_1", Issued: issued}:        true,
				{Org: first.Org, User: "user_1", Issued: issued}:                    true,
				{Org: first.Org, JTI: "ses", User: "user_1", Issued: latest.Before}: false,
				{Org: first.Org, JTI: "ses", User: "user_2", Issued: issued}:        false,
				{Org: anOrg(), JTI: "ses", User: "user_1", Issued: issued}:          false,
			} {
				got, err := s.Revoked(t.Context(), session)
				ok(t, err)
				same(t, "revoked", got, want)
			}
		}},
		{"an organization that was not announced is unknown", func(t trial, s Store) {
			o := anOrg()
			_, err := s.Tenant(t.Context(), o)
			is(t, err, tenant.ErrUnknown)
			_, err = s.Plan(t.Context(), o)
			is(t, err, tenant.ErrUnknown)
			_, err = s.Balance(t.Context(), o, month)
			is(t, err, tenant.ErrUnknown)
			_, err = s.Balances(t.Context(), o, month, 12)
			is(t, err, tenant.ErrUnknown)
		}},
		{"a tenant is read as it was written", func(t trial, s Store) {
			want := tenant.Tenant{
				Org: anOrg(), Plan: credit.Growth, Suspended: true, Created: day(), Updated: day().Add(123456789),
				PlanAt: day().Add(time.Hour), StateAt: day().Add(time.Minute), OwnersAt: day().Add(time.Second),
				Owners: []tenant.Owner{{User: "user_olivia", Email: "olivia@brightside.example"}, {Email: "b@c.example"}},
				Name:   "Brightside IT", NameAt: day().Add(2 * time.Second),
			}
			ok(t, s.SaveTenant(t.Context(), want, month))
			got, err := s.Tenant(t.Context(), want.Org)
			ok(t, err)
			want.Revision = 1
			same(t, "tenant", got, want)
			plan, err := s.Plan(t.Context(), want.Org)
			ok(t, err)
			same(t, "plan", plan, credit.Growth)
		}},
		{"a tenant that has changed since it was read is not overwritten", func(t trial, s Store) {
			old := tenant.Tenant{Org: announced(t, s, credit.Starter), Plan: credit.Growth}
			is(t, s.SaveTenant(t.Context(), old, month), tenant.ErrStale)
			old.Revision = 2
			is(t, s.SaveTenant(t.Context(), old, month), tenant.ErrStale)
		}},
		{"settings are read as they were written, with their act", func(t trial, s Store) {
			want, err := s.Tenant(t.Context(), announced(t, s, credit.Growth))
			ok(t, err)
			want.Settings = denying(3)
			act := anAct(want.Org, 1)
			ok(t, s.SaveSettings(t.Context(), want, act))
			want.Revision++
			got, err := s.Tenant(t.Context(), want.Org)
			ok(t, err)
			same(t, "tenant", got, want)
			same(t, "acts", log(t, s, want.Org), []audit.Entry{act})
		}},
		{"settings of a tenant that has changed since it was read are not written, nor is their act", func(t trial, s Store) {
			x, err := s.Tenant(t.Context(), announced(t, s, credit.Starter))
			ok(t, err)
			for _, revision := range []int64{0, x.Revision - 1, x.Revision + 1} {
				old := x
				old.Revision, old.Settings = revision, denying(1)
				is(t, s.SaveSettings(t.Context(), old, anAct(x.Org, 1)), tenant.ErrStale)
			}
			is(t, s.SaveSettings(t.Context(), tenant.Tenant{Org: anOrg(), Settings: denying(1)}), tenant.ErrStale)
			got, err := s.Tenant(t.Context(), x.Org)
			ok(t, err)
			same(t, "tenant", got, x)
			same(t, "acts", len(log(t, s, x.Org)), 0)
		}},
		{"the Hub's data leaves the settings, and settings leave the Hub's data", func(t trial, s Store) {
			hub, err := s.Tenant(t.Context(), announced(t, s, credit.Starter))
			ok(t, err)
			ok(t, s.SaveSettings(t.Context(), tenant.Tenant{Org: hub.Org, Revision: hub.Revision, Settings: denying(1)}))
			hub.Revision++
			hub.Plan, hub.Suspended, hub.StateAt, hub.Owners = credit.Scale, true, day(), []tenant.Owner{{Email: "b@c.example"}}
			ok(t, s.SaveTenant(t.Context(), hub, month)) // of a writer that knows no settings
			hub.Revision++
			hub.Settings = denying(1)
			got, err := s.Tenant(t.Context(), hub.Org)
			ok(t, err)
			same(t, "tenant", got, hub)
			hub.Suspended, hub.Owners = false, nil
			ok(t, s.SaveTenant(t.Context(), hub, month))
			hub.Revision++
			got, err = s.Tenant(t.Context(), hub.Org)
			ok(t, err)
			same(t, "tenant", got, hub)
		}},
		{"no change is lost between the Hub and people who change settings", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			race(t, racers, nil, func(i int) error {
				return insist(tenant.ErrStale, func() error {
					x, err := s.Tenant(t.Context(), o)
					if err != nil {
						return err
					}
					if i%2 == 0 {
						x.Updated = x.Updated.Add(time.Second)
						return s.SaveTenant(t.Context(), x, month)
					}
					x.Settings = denying(x.Settings.Revision + 1)
					return s.SaveSettings(t.Context(), x, anAct(o, i))
				})
			})
			x, err := s.Tenant(t.Context(), o)
			ok(t, err)
			same(t, "changes of settings", x.Settings, denying(racers/2))
			same(t, "writes", x.Revision, 1+racers)
		}},
		{"a pause is read as it was written, with its act, and leaves all else", func(t trial, s Store) {
			want, err := s.Tenant(t.Context(), announced(t, s, credit.Growth))
			ok(t, err)
			ok(t, s.SaveSettings(t.Context(), tenant.Tenant{Org: want.Org, Revision: want.Revision, Settings: denying(1)}))
			want.Revision++
			act := anAct(want.Org, 1)
			paused := tenant.Tenant{
				Org: want.Org, Revision: want.Revision, SearchUntil: day().Add(time.Minute), Resumed: day().Add(-time.Hour),
				Pause: tenant.Pause{By: "user_1", At: day(), Reason: "ä", OpenRuns: tenant.Cancel},
			}
			ok(t, s.SaveOrgPause(t.Context(), paused, act))
			is(t, s.SaveOrgPause(t.Context(), paused, act), tenant.ErrStale)
			want.Revision++
			want.Settings, want.Pause, want.Resumed, want.SearchUntil = denying(1), paused.Pause, paused.Resumed, paused.SearchUntil
			got, err := s.Tenant(t.Context(), want.Org)
			ok(t, err)
			same(t, "tenant", got, want)
			same(t, "acts", log(t, s, want.Org), []audit.Entry{act})
			ok(t, s.SaveTenant(t.Context(), tenant.Tenant{
				Org: want.Org, Plan: want.Plan, Created: want.Created, Updated: want.Updated, Revision: want.Revision,
			}, month)) // of a writer that knows no pause
			got, err = s.Tenant(t.Context(), want.Org)
			ok(t, err)
			same(t, "pause", got.Pause, want.Pause)
			ok(t, s.SaveOrgPause(t.Context(), tenant.Tenant{Org: got.Org, Revision: got.Revision}))
			got, err = s.Tenant(t.Context(), want.Org)
			ok(t, err)
			same(t, "paused", got.Pause.Active() || !got.SearchUntil.IsZero(), false)
			same(t, "settings", got.Settings, denying(1))
		}},
		{"an organization is searched until its search ends", func(t trial, s Store) {
			x, err := s.Tenant(t.Context(), announced(t, s, credit.Starter))
			ok(t, err)
			for _, until := range []time.Time{day(), {}, day().Add(time.Hour)} {
				x.SearchUntil = until
				ok(t, s.SaveOrgPause(t.Context(), x))
				x.Revision++
				all, err := s.Searching(t.Context(), 1000)
				ok(t, err)
				same(t, "searched", slices.Contains(all, x.Org), !until.IsZero())
			}
		}},
		{"a held run is read and listed as held", func(t trial, s Store) {
			x := begun(t, s, aRun(announced(t, s, credit.Starter), "agent_1", 1))
			held, changed := x.Hold()
			same(t, "changed", changed, true)
			ok(t, s.Commit(t.Context(), execution.Change{Execution: held}))
			got, err := s.Header(t.Context(), x.Org, x.ID)
			ok(t, err)
			same(t, "held", got.Held, true)
			p, err := s.Executions(t.Context(), x.Org, execution.Query{Status: execution.Pending, Limit: 10, Now: x.Created.Add(time.Hour)})
			ok(t, err)
			same(t, "listed", len(p.Executions), 1)
			same(t, "listed as held", p.Executions[0].Held, true)
			released, changed := got.Release(day())
			same(t, "changed", changed, true)
			ok(t, s.Commit(t.Context(), execution.Change{Execution: released}))
			got, err = s.Header(t.Context(), x.Org, x.ID)
			ok(t, err)
			same(t, "held", got.Held, false)
			same(t, "due", got.Due.IsZero(), false)
		}},
		{"only the events that a pause kept from an agent are missed, each once", func(t trial, s Store) {
			o, at := anOrg(), day()
			refuse := func(n int, outcome definition.Outcome, published, decided time.Time) {
				t.Helper()
				e := event.Event{ID: id.Event(fmt.Sprintf("evt_%d", n)), Org: o, Published: published}
				entry := activity.Entry{
					ID: activity.ID(o, "agent_1", e.ID, published), Org: o, Agent: "agent_1", At: decided, Event: e.ID, Outcome: outcome,
				}
				before, err := s.Refusal(t.Context(), entry)
				ok(t, err)
				same(t, "before", before, "")
				ok(t, s.Refuse(t.Context(), entry))
				ok(t, s.Refuse(t.Context(), entry))
				got, err := s.Refusal(t.Context(), entry)
				ok(t, err)
				same(t, "outcome", got, outcome)
			}
			refuse(1, definition.OrgPaused, at.Add(-time.Second), at.Add(time.Second)) // published just before
			refuse(2, definition.OrgPaused, at.Add(time.Minute), at.Add(time.Minute))
			refuse(3, definition.OrgPaused, at.Add(-time.Hour), at.Add(2*time.Minute)) // replayed
			refuse(4, definition.Filtered, at.Add(time.Minute), at.Add(time.Minute))
			refuse(5, definition.OrgPaused, at.Add(-time.Hour), at.Add(-time.Hour)) // of an earlier pause
			n, err := s.Missed(t.Context(), o, "agent_1", at)
			ok(t, err)
			same(t, "missed", n, 3)
			n, err = s.Missed(t.Context(), o, "agent_2", at)
			ok(t, err)
			same(t, "missed by another", n, 0)
		}},
		{"one of many racing writes of a tenant wins", func(t trial, s Store) {
			x := tenant.Tenant{Org: anOrg(), Plan: credit.Starter, Created: day(), Updated: day()}
			for range 2 {
				won := race(t, racers, tenant.ErrStale, func(int) error { return s.SaveTenant(t.Context(), x, month) })
				same(t, "winners", won, 1)
				x.Revision++
			}
		}},
	}
}

// denying returns settings with a choice that is no default.
func denying(revision int64) tenant.Settings {
	return tenant.Settings{
		Chosen: map[tenant.Policy]tenant.Choice{tenant.SelfApproval: tenant.Deny}, RetentionDays: 190, Revision: revision,
		Pins:        map[id.Agent]int{"agent_system_dispatch": 1},
		JournalDays: 30, JournalSince: day(),
	}
}

// balance returns the balance of the month.
func balance(t trial, s Store, o id.Org) credit.Balance {
	t.Helper()
	b, err := s.Balance(t.Context(), o, month)
	ok(t, err)
	return b
}

// bought moves an organization to a plan.
func bought(t trial, s Store, o id.Org, plan credit.Plan) {
	t.Helper()
	ok(t, insist(tenant.ErrStale, func() error {
		x, err := s.Tenant(t.Context(), o)
		if err != nil {
			return err
		}
		x.Plan, x.Updated = plan, x.Updated.Add(time.Second)
		return s.SaveTenant(t.Context(), x, month)
	}))
}

// holding returns a run and the change by which it holds credits.
func holding(t trial, s Store, x execution.Execution, amount int64) execution.Change {
	t.Helper()
	c, _ := leased(t, s, begun(t, s, x)).Reserved("think", credit.Hold{Month: month, Tier: credit.Expert, Amount: amount})
	return c
}

func credits() []promise {
	return []promise{
		{"a month without use has the balance of the current plan", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			same(t, "balance", balance(t, s, o), credit.Balance{Month: month, Allocation: 20_000, Remaining: 20_000})
			bought(t, s, o, credit.Growth)
			same(t, "balance", balance(t, s, o), credit.Balance{Month: month, Allocation: 100_000, Remaining: 100_000})
		}},
		{"the balances of months are listed newest first", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			each := func(n int) {
				t.Helper()
				var want []credit.Balance
				for ago := range n {
					b, err := s.Balance(t.Context(), o, month.Before(ago))
					ok(t, err)
					want = append(want, b)
				}
				got, err := s.Balances(t.Context(), o, month, n)
				ok(t, err)
				same(t, fmt.Sprintf("balances of %d months", n), got, want)
			}
			each(12) // none has use
			for i, m := range []credit.Month{month, month.Before(1), month.Before(3), month.Before(11), month.Before(12), month.Before(-1)} {
				c, _ := leased(t, s, begun(t, s, aRun(o, "agent_1", i))).Reserved("think", credit.Hold{Month: m, Tier: credit.Quick, Amount: int64(i + 1)})
				committed(t, s, c)
			}
			bought(t, s, o, credit.Growth) // of this month, and of those without use
			each(12)
			each(2) // all have use
			each(1)
		}},
		{"a reservation reduces the remaining credits until it is released", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			x := committed(t, s, holding(t, s, aRun(o, "agent_1", 1), 200))
			same(t, "remaining", balance(t, s, o).Remaining, 19_800)
			got, _ := read(t, s, x)
			same(t, "holds", got.Holds, x.Holds)
			back, _ := x.Released(execution.StepRecord{ID: "think", Status: execution.StepFailed, Attempt: x.Lease.Attempt})
			x = committed(t, s, back)
			same(t, "remaining", balance(t, s, o).Remaining, 20_000)
			got, _ = read(t, s, x)
			same(t, "holds", got.Holds, map[id.Step]credit.Hold{})
		}},
		{"a closed step takes no answer, and an answered step is not closed", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			held := holding(t, s, aRun(o, "agent_1", 1), 200)
			x := committed(t, s, held)
			done := func(x execution.Execution) execution.Execution { return x.Complete(x.Created.Add(time.Minute)) }
			x = committed(t, s, x.End(done, nil, true)) // another worker ends it during a call
			closing, _ := x.Settle(nil)
			same(t, "closed steps", len(closing.Closed), 1)
			answer := execution.StepRecord{ID: "think", Status: execution.StepCompleted, Attempt: x.Lease.Attempt}
			other := committed(t, s, holding(t, s, aRun(o, "agent_1", 2), 200))
			ok(t, s.SaveStep(t.Context(), other, answer))
			unread, _ := done(other).Settle(nil)
			is(t, s.Commit(t.Context(), unread), execution.ErrStale)
			ok(t, s.Commit(t.Context(), closing))
			is(t, s.SaveStep(t.Context(), x, answer), execution.ErrStale)
			_, steps := read(t, s, x)
			same(t, "step", steps["think"].Status, execution.StepSkipped)
		}},
		{"a balance has about the time of its last change", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			x := committed(t, s, holding(t, s, aRun(o, "agent_1", 1), 200))
			same(t, "updated", balance(t, s, o).Updated, x.Lease.Until.Add(-execution.LeaseTime))
		}},
		{"a reservation of more than remains is refused and changes nothing", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			c := holding(t, s, aRun(o, "agent_1", 1), 20_001)
			is(t, s.Commit(t.Context(), c), credit.ErrInsufficient)
			same(t, "remaining", balance(t, s, o).Remaining, 20_000)
			got, _ := read(t, s, c.Execution)
			same(t, "holds", len(got.Holds), 0)
			same(t, "revision", got.Revision, c.Execution.Revision)
		}},
		{"all that remains may be reserved", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 1), 20_000))
			same(t, "remaining", balance(t, s, o).Remaining, 0)
			is(t, s.Commit(t.Context(), holding(t, s, aRun(o, "agent_1", 2), 1)), credit.ErrInsufficient)
		}},
		{"released credits pay for a reservation in the same change", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			x := committed(t, s, holding(t, s, aRun(o, "agent_1", 1), 20_000))
			h := credit.Hold{Month: month, Tier: credit.Expert, Amount: 200}
			ok(t, s.Commit(t.Context(), execution.Change{
				Execution: x, Reserve: &h, Released: []credit.Hold{{Month: month, Tier: credit.Expert, Amount: 20_000}},
			}))
			same(t, "remaining", balance(t, s, o).Remaining, 19_800)
		}},
		{"an organization that was not announced has no credits", func(t trial, s Store) {
			is(t, s.Commit(t.Context(), holding(t, s, aRun(anOrg(), "agent_1", 1), 5)), tenant.ErrUnknown)
		}},
		{"as many racing reservations succeed as the balance allows", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 0), 19_000))
			changes := make([]execution.Change, racers)
			for i := range changes {
				changes[i] = holding(t, s, aRun(o, "agent_1", i+1), 200)
			}
			won := race(t, racers, credit.ErrInsufficient, func(i int) error { return s.Commit(t.Context(), changes[i]) })
			same(t, "winners", won, 5)
			same(t, "remaining", balance(t, s, o).Remaining, 0)
		}},
		{"a repeated reservation of one run is applied once", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			c := holding(t, s, aRun(o, "agent_1", 1), 200)
			won := race(t, racers, execution.ErrStale, func(int) error { return s.Commit(t.Context(), c) })
			same(t, "winners", won, 1)
			same(t, "remaining", balance(t, s, o).Remaining, 19_800)
		}},
		{"a new plan moves the balance of its month by the difference", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			committed(t, s, holding(t, s, aRun(o, "agent_1", 1), 30_000))
			bought(t, s, o, credit.Scale)
			same(t, "remaining", balance(t, s, o).Remaining, 270_000)
			bought(t, s, o, credit.Starter)
			b := balance(t, s, o)
			same(t, "remaining", b.Remaining, -10_000)
			same(t, "allocation", b.Allocation, 20_000)
			is(t, s.Commit(t.Context(), holding(t, s, aRun(o, "agent_1", 2), 5)), credit.ErrInsufficient)
		}},
		{"no credit is lost between new plans and reservations", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			changes := make([]execution.Change, racers)
			for i := range changes {
				changes[i] = holding(t, s, aRun(o, "agent_1", i), 100)
			}
			race(t, racers, nil, func(i int) error {
				if i%10 == 0 {
					bought(t, s, o, []credit.Plan{credit.Starter, credit.Growth, credit.Scale}[i/10%3])
				}
				return s.Commit(t.Context(), changes[i])
			})
			b := balance(t, s, o)
			same(t, "taken", b.Allocation-b.Remaining, racers*100)
			plan, err := s.Plan(t.Context(), o)
			ok(t, err)
			same(t, "allocation", b.Allocation, plan.Allocation())
		}},
	}
}
