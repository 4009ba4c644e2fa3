package storetest

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/tenant"
)

// everything stores items of every kind for an organization, those of a deleted agent
// and of a refused run among them.
func everything(t trial, s Store, o id.Org) filled {
	t.Helper()
	ctx := t.Context()
	f := fill(t, s, o)
	about := func(n int, a id.Agent) audit.Entry { // every change of an agent has its act
		e := anAct(o, n)
		e.Object = string(a)
		return e
	}
	deleted := anAgent(t, o)
	ok(t, s.SaveRequested(ctx, deleted, agent.Request{Key: "k", Digest: "d", Agent: deleted.ID, Made: day()}, day().Add(-time.Hour), about(1, deleted.ID)))
	deleted.Revision = 1
	ok(t, s.DeleteAgent(ctx, deleted, about(2, deleted.ID)))
	_, err := s.AdmitWithinLimit(ctx, aRun(o, "agent_1", 5), definition.Limit{PerDay: 9}, dispatch.LimitStarts{}, day())
	ok(t, err)
	refused := aRun(o, "agent_1", 6)
	_, err = s.ClaimDedup(ctx, refused, day(), day().Add(dispatch.Window))
	ok(t, err)
	ok(t, s.ReleaseDedup(ctx, refused))
	late := refusal(o, "agent_1", 7)
	late.At = late.At.Add(time.Hour)
	ok(t, s.Refuse(ctx, late))
	ok(t, s.SaveFact(ctx, o, "client_1", client.Fact{Kind: client.Posture, At: day(), Score: 1}))
	ok(t, s.SaveFact(ctx, o, "ümlaut~client", client.Fact{Kind: client.Ticket, Name: "tkt_1", At: day()}))
	ok(t, s.Revoke(ctx, tenant.Revocation{Org: o, JTI: "ses_1", Expires: day().Add(time.Hour)}))
	ok(t, s.Revoke(ctx, tenant.Revocation{Org: o, User: "user_1", Before: day(), Expires: day().Add(time.Hour)}))
	_, err = s.BeginDelivery(ctx, o, "msg_1", day().Add(time.Hour))
	ok(t, err)
	ok(t, s.SaveMaker(ctx, o, catalog.ObjectID{Kind: "psa.ticket", ID: "1"}, "exec_1", day()))
	ok(t, s.SaveAlerts(ctx, o, alert.Record{Told: []id.Event{"evt_1"}}))
	first := key.Rotation{}
	first.Generation = 1
	ok(t, s.SaveRotation(ctx, o, key.Rotation{}, first, anAct(o, 3)))
	ok(t, s.SaveOpen(ctx, o, quota.Tally{}, 0, day()))
	admits(t, s, o, quota.MinuteOf(day()), few(), 1)
	_, _, err = s.AdmitMessages(ctx, o, quota.Batch{Day: "2026-03-09", Name: quota.SMSPerDay, Key: "exec_1:tell", Size: 1, Limit: 5})
	ok(t, err)
	ok(t, s.SaveTree(ctx, o, "evt_root", quota.Tree{}, quota.Tree{Marks: "12345678"}, day()))
	leases(t, s, o, 1, 10)
	x := leased(t, s, begun(t, s, aRun(o, "agent_1", 8)))
	ok(t, s.SaveStep(ctx, x, execution.StepRecord{ID: "act", Status: execution.StepCompleted, Attempt: 1}))
	ok(t, s.Commit(ctx, failing(x)))
	ledger := execution.NewLedger(o, "agent_1", "job_3", day())
	ok(t, s.Create(ctx, ledger))
	ledger.Revision = 1
	ledger = committed(t, s, execution.Change{Execution: ledger.OpenedBy("w", day())})
	ok(t, s.SaveStep(ctx, ledger, execution.StepRecord{ID: "think", Status: execution.StepCompleted, Attempt: 1}))
	ok(t, s.Commit(ctx, ledger.Closed(execution.Completed, nil, day())))
	for n := range 3 {
		ok(t, s.KeepEvent(ctx, o, received(o, "ticket.created", n)))
		ok(t, s.KeepEvent(ctx, o, received(o, "ticket.t"+strconv.Itoa(n), n*1000)))
	}
	endedJob(t, s, o, 1)
	begunJob(t, s, o, 2)
	for n := range 80 { // more than the statistics keep in one item
		ok(t, s.AddStats(ctx, o, "agent_1", []execution.Contribution{aContribution(o, n, 0)}))
	}
	return f
}

// pass walks through all items, and returns the numbers of those that it found and
// deleted.
func pass(t trial, s Store, o id.Org, keepRuns bool) (found, gone int) {
	t.Helper()
	w := erase.Walk{KeepRuns: keepRuns, Limit: 40, System: []id.Agent{"agent_system_dispatch"}}
	for range 100 {
		done, err := s.Erase(t.Context(), o, w)
		ok(t, err)
		found, gone = found+done.Found, gone+done.Deleted
		if w.From = done.Next; w.From == "" {
			return found, gone
		}
	}
	t.Fatal("a walk does not end")
	return 0, 0
}

// deletedOrg begins the erasure of an organization.
func deletedOrg(t trial, s Store, o id.Org) {
	t.Helper()
	ok(t, s.BeginErasure(t.Context(), tenant.Erasure{
		Org: o, Event: "evt_deleted", Deleted: day(), Began: day().Add(time.Second), Stage: tenant.Stopping, Next: day().Add(time.Second),
	}))
}

func erasures() []promise {
	return []promise{
		{"a deleted organization leaves no item that mentions it", func(t trial, s Store) {
			o, other := announced(t, s, credit.Growth), announced(t, s, credit.Growth)
			f := everything(t, s, o)
			g := fill(t, s, other)
			inspect, canLook := s.(Inspector)
			if canLook {
				before, err := inspect.Mentions(t.Context(), o)
				ok(t, err)
				if len(before) < 35 {
					t.Fatalf("everything stores %d items: %q", len(before), before)
				}
			}
			deletedOrg(t, s, o)
			ok(t, s.EraseKeys(t.Context(), o))
			ok(t, s.EraseKeys(t.Context(), o))
			_, err := s.KeyByHash(t.Context(), f.key.Hash)
			is(t, err, key.ErrNotFound)

			if found, gone := pass(t, s, o, true); found <= gone {
				t.Errorf("the first pass found %d items and deleted %d, want more found: those of the open run", found, gone)
			}
			x, _ := read(t, s, f.run)
			same(t, "status of the open run", x.Status, execution.WaitingApproval)
			same(t, "its event", x.Trigger.Payload, anEvent(o, 1).Payload)
			x, _ = x.Cancel(execution.OrgDeleted, "hub", day().Add(time.Hour))
			ok(t, s.Commit(t.Context(), execution.Change{Execution: x}))
			pass(t, s, o, true)
			if found, _ := pass(t, s, o, true); found != 0 {
				t.Errorf("the third pass found %d items beside the records of runs", found)
			}
			_, err = s.Header(t.Context(), o, f.run.ID)
			ok(t, err)
			if _, gone := pass(t, s, o, false); gone < 3 {
				t.Errorf("a pass deleted %d records of runs", gone)
			}
			if found, _ := pass(t, s, o, false); found != 0 {
				t.Errorf("the last pass found %d items", found)
			}
			if canLook {
				after, err := inspect.Mentions(t.Context(), o)
				ok(t, err)
				same(t, "items left", after, nil)
			}
			unchanged(t, s, g)
			_, err = s.Tenant(t.Context(), other)
			ok(t, err)
		}},
		{"a deleted organization is unknown, and stays so", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			was, err := s.Tenant(t.Context(), o)
			ok(t, err)
			for _, o := range []id.Org{o, anOrg()} {
				deletedOrg(t, s, o)
				was.Org = o
				for _, revision := range []int64{0, 1} {
					was.Revision = revision
					is(t, s.SaveTenant(t.Context(), was, month), tenant.ErrStale)
					is(t, s.SaveSettings(t.Context(), was), tenant.ErrStale)
					is(t, s.SaveOrgPause(t.Context(), was), tenant.ErrStale)
				}
				_ = s.AddUses(t.Context(), o, []tenant.Use{"psa.ticket"}) // it may be refused
				_, err = s.Tenant(t.Context(), o)
				is(t, err, tenant.ErrUnknown)
				is(t, err, tenant.ErrDeleted)
				_, err = s.Balance(t.Context(), o, month)
				is(t, err, tenant.ErrUnknown)
			}
			_, err = s.Tenant(t.Context(), anOrg())
			if !errors.Is(err, tenant.ErrUnknown) || errors.Is(err, tenant.ErrDeleted) {
				t.Errorf("an organization that was never announced: %v", err)
			}
		}},
		{"an erasure is read as it was written, and begins once", func(t trial, s Store) {
			o := anOrg()
			_, err := s.Erasure(t.Context(), o)
			is(t, err, tenant.ErrUnknown)
			deletedOrg(t, s, o)
			e, err := s.Erasure(t.Context(), o)
			ok(t, err)
			e.Stage, e.Position, e.Found, e.Items, e.Passes, e.Next = tenant.Clearing, "3 x", 4, 5, 6, day().Add(time.Hour+1)
			ok(t, s.SaveErasure(t.Context(), e))
			is(t, s.SaveErasure(t.Context(), e), tenant.ErrStale)
			deletedOrg(t, s, o)
			e.Revision++
			got, err := s.Erasure(t.Context(), o)
			ok(t, err)
			same(t, "erasure", got, e)
			is(t, s.SaveErasure(t.Context(), tenant.Erasure{Org: announced(t, s, credit.Starter), Stage: tenant.Erased}), tenant.ErrStale)
		}},
		{"an erasure is listed from the time when it goes on until it ends", func(t trial, s Store) {
			o := anOrg()
			listed := func(at time.Time) bool {
				all, err := s.Erasing(t.Context(), at, 1000)
				ok(t, err)
				return slices.Contains(all, o)
			}
			deletedOrg(t, s, o)
			same(t, "before", listed(day()), false)
			same(t, "then", listed(day().Add(time.Second)), true)
			e, err := s.Erasure(t.Context(), o)
			ok(t, err)
			e.Stage, e.Next, e.Proved = tenant.Erased, time.Time{}, day().Add(48*time.Hour)
			ok(t, s.SaveErasure(t.Context(), e))
			same(t, "at the end", listed(day().Add(1000*time.Hour)), false)
			e.Revision++
			got, err := s.Erasure(t.Context(), o)
			ok(t, err)
			same(t, "erasure", got, e)
		}},
	}
}
