package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// deleteOrg delivers the deletion of an organization until a dispatcher has handled it.
func (w *world) deleteOrg() {
	e := event.Event{ID: "evt_deleted", Product: "hub", Type: "org.deleted", Org: w.org, Published: time.Now(), Payload: map[string]any{}}
	for {
		_, err := call(w, dispatchTime, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, w.dispatcher.Dispatch(ctx, e)
		})
		w.note("deletion: %v", err)
		if err == nil {
			return
		}
		w.pass(time.Second)
	}
}

// An organization is deleted while runs act, wait for approval, wait for a time and
// fail, and calls of the store fail, lose their replies and come late.
func TestADeletedOrganizationLeavesNothingWhateverFails(t *testing.T) {
	t.Parallel()

	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				dice := rand.New(rand.NewPCG(seed, 11))
				other := w.in("org_other")
				other.announce()
				w.products.reply = func(c step.Command, try int) done {
					return done{takes: time.Duration(9*chance("takes", seed, c.Key, try)) * time.Second}
				}
				for _, steps := range []string{list(act("a"), act("b")), list(ask("g"), act("a")), list(pause("z", 3600), act("a")), list(think("t"), hopeless("h"))} {
					w.agent(steps)
				}
				var late []event.Event
				for range 12 {
					e := w.escalated()
					late = append(late, e)
					w.must(w.dispatcher.Dispatch(w.over, e))
					w.pass(time.Duration(dice.IntN(2000)) * time.Millisecond)
				}
				w.faults.set(func(at site) fault {
					if at.port == "stream.Late" { // the erasure is over when they come
						return fault{kind: "batch of the stream late", pause: 20 * time.Hour}
					}
					switch roll := chance("erasure", seed, at.port, at.run, at.n); {
					case roll < 0.02:
						return fault{kind: "refused", before: errFault}
					case roll < 0.04:
						return fault{kind: "reply lost", after: errFault}
					case roll < 0.05:
						return fault{kind: "zombie", pause: 80 * time.Second}
					}
					return fault{}
				})
				w.deleteOrg()
				for range 2 {
					for _, e := range late { // delivered again
						if err := w.dispatcher.Dispatch(w.over, e); !errors.Is(err, tenant.ErrDeleted) && !errors.Is(err, errFault) {
							t.Errorf("an event of a deleted organization: %v", err)
						}
					}
					w.pass(tenant.Quiet)
				}
				w.pass(tenant.Straggling + 3*time.Hour)
				w.faults.set(nil)
				w.pass(3 * time.Hour)

				e, err := w.store.Store.Erasure(w.over, w.org)
				w.must(err)
				if e.Stage != tenant.Erased || e.Items < 30 {
					t.Errorf("the erasure: %+v", e)
				}
				if left, err := w.store.Store.Executions(w.over, w.org, execution.Query{Limit: 100}); err != nil || len(left.Executions) > 0 {
					t.Errorf("%d runs are left, %v", len(left.Executions), err)
				}
				if stats, err := w.store.Store.Stats(w.over, w.org); err != nil || len(stats) > 0 {
					t.Errorf("statistics of %d agents are left, %v", len(stats), err)
				}
				for _, o := range []id.Org{w.org, other.org} {
					_, err := w.store.Store.Tenant(w.over, o)
					if gone := errors.Is(err, tenant.ErrDeleted); gone != (o == w.org) {
						t.Errorf("%s: %v", o, err)
					}
				}
			})
		})
	}
}
