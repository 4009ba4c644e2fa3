package erase_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

const org = id.Org("org_acme")

// A fixture is a deleted organization with open runs. Its clock is manual.
type fixture struct {
	*testing.T
	*memory.Store
	erase.Service

	now    time.Time
	stuck  error                        // of cancellations
	failed error                        // of the next walk
	late   func(w erase.Walk)           // a straggler, before each walk
	walks  []bool                       // whether each kept the runs
	stages []tenant.Stage               // of the erasure, as it was saved
	saved  func(e tenant.Erasure) error // nil: as stored
}

func open(t *testing.T, runs int) *fixture {
	t.Helper()
	f := &fixture{T: t, Store: memory.New(), now: time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)}
	f.Service = erase.Service{Store: f, Runs: f, Now: func() time.Time { return f.now }}
	hub := tenant.Service{Store: f.Store, Now: f.Now}
	f.must(hub.Project(t.Context(), f.event("org.created")))
	for n := range runs {
		x := f.run(n)
		x.WasParked = true
		f.must(f.Create(t.Context(), x))
		_, err := f.ClaimDedup(t.Context(), x, f.now, f.now.Add(time.Minute))
		f.must(err)
	}
	f.must(hub.Project(t.Context(), f.event("org.deleted")))
	return f
}

func (f *fixture) event(typ string) event.Event {
	return event.Event{ID: id.Event("evt_" + typ), Product: "hub", Type: typ, Org: org, Published: f.now, Payload: map[string]any{"plan": string(credit.Growth)}}
}

func (f *fixture) run(n int) execution.Execution {
	x := execution.Execution{ID: id.Execution(fmt.Sprintf("exec_%d", n)), Org: org, Agent: "agent_1", Trigger: f.event("client.review_due")}
	return execution.New(x, f.now)
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// CancelDeleted implements erase.Canceller.
func (f *fixture) CancelDeleted(ctx context.Context, o id.Org, exec id.Execution) error {
	if f.stuck != nil {
		return f.stuck
	}
	x, _, err := f.Execution(ctx, o, exec)
	f.must(err)
	x, err = x.Cancel(execution.OrgDeleted, "hub", f.now)
	if err != nil {
		return err
	}
	return f.Commit(ctx, execution.Change{Execution: x})
}

// Erase implements erase.Store.
func (f *fixture) Erase(ctx context.Context, o id.Org, w erase.Walk) (erase.Walked, error) {
	if f.late != nil {
		f.late(w)
	}
	if err := f.failed; err != nil {
		f.failed = nil
		return erase.Walked{}, err
	}
	f.walks = append(f.walks, w.KeepRuns)
	return f.Store.Erase(ctx, o, w)
}

// SaveErasure implements erase.Store.
func (f *fixture) SaveErasure(ctx context.Context, e tenant.Erasure) error {
	if f.saved != nil {
		if err := f.saved(e); err != nil {
			return err
		}
	}
	f.stages = append(f.stages, e.Stage)
	return f.Store.SaveErasure(ctx, e)
}

// pass lets time pass, with a sweep every half minute.
func (f *fixture) pass(d time.Duration) (deleted int) {
	f.Helper()
	for until := f.now.Add(d); f.now.Before(until); f.now = f.now.Add(30 * time.Second) {
		n, err := f.Sweep(f.Context())
		f.must(err)
		deleted += n
	}
	return deleted
}

func (f *fixture) erasure() tenant.Erasure {
	f.Helper()
	e, err := f.Erasure(f.Context(), org)
	f.must(err)
	return e
}

func TestADeletedOrganizationIsErasedInOrderAndProvedADayLater(t *testing.T) {
	t.Parallel()
	f := open(t, 3)
	began := f.now
	f.pass(tenant.Quiet - time.Minute)
	if e := f.erasure(); e.Stage != tenant.Stopping || len(f.walks) > 0 {
		t.Fatalf("in the quiet time: %+v, walks %v", e, f.walks)
	}
	for n := range 3 {
		x, err := f.Header(t.Context(), org, f.run(n).ID)
		f.must(err)
		if x.Status != execution.Cancelled || x.Reason != execution.OrgDeleted {
			t.Errorf("%s: %s, %s", x.ID, x.Status, x.Reason)
		}
	}
	f.pass(3 * tenant.Quiet)
	if e := f.erasure(); e.Stage != tenant.Proving || e.Items == 0 || !e.Proved.IsZero() {
		t.Fatalf("after the passes: %+v", e)
	}
	if kept := slices.Index(f.walks, false); kept < 2 || slices.Contains(f.walks[kept:], true) {
		t.Errorf("walks that keep runs: %v, want two at least, and before all others", f.walks)
	}
	if n := f.pass(tenant.Straggling); n != 0 {
		t.Errorf("%d items were deleted while the proof was awaited", n)
	}
	e := f.erasure()
	if e.Stage != tenant.Erased || e.Proved.Sub(began) < tenant.Straggling || e.Event != "evt_org.deleted" {
		t.Errorf("at the end: %+v", e)
	}
	saves := len(f.stages)
	f.pass(time.Hour)
	if len(f.stages) != saves {
		t.Error("an erasure that ended goes on")
	}
}

func TestAStragglerDelaysTheProof(t *testing.T) {
	t.Parallel()
	f := open(t, 1)
	deliveries := 0
	f.late = func(w erase.Walk) { // at the first walk of every stage
		if stage := f.erasure().Stage; deliveries < 3 && stage != tenant.Stopping {
			deliveries++
			_, err := f.BeginDelivery(t.Context(), org, "msg_"+string(stage), f.now)
			f.must(err)
		}
	}
	f.pass(6 * tenant.Quiet)
	if e := f.erasure(); e.Stage != tenant.Proving || deliveries != 3 {
		t.Fatalf("after the passes: %+v", e)
	}
	f.late = func(erase.Walk) {
		f.late = nil
		_, err := f.BeginDelivery(t.Context(), org, "msg_late", f.now)
		f.must(err)
	}
	f.pass(tenant.Straggling - time.Hour)
	if e := f.erasure(); e.Stage != tenant.Proving {
		t.Fatalf("before the proof: %+v", e)
	}
	f.pass(time.Hour + 10*time.Minute)
	if e := f.erasure(); e.Stage != tenant.Proving || !e.Proved.IsZero() {
		t.Errorf("after a proof that found an item: %+v", e)
	}
	f.pass(2 * time.Hour)
	if e := f.erasure(); e.Stage != tenant.Erased || e.Items < 5 {
		t.Errorf("at the end: %+v", e)
	}
}

func TestARunThatCannotBeCancelledDelaysTheErasureForTwoDaysAtMost(t *testing.T) {
	t.Parallel()
	f := open(t, 1)
	f.stuck = errors.New("cannot be read")
	if _, err := f.Sweep(t.Context()); !errors.Is(err, f.stuck) {
		t.Errorf("err = %v, want %v", err, f.stuck)
	}
	f.now = f.now.Add(tenant.Patience - time.Minute)
	if _, err := f.Sweep(t.Context()); !errors.Is(err, f.stuck) || len(f.walks) > 0 {
		t.Errorf("err = %v, walks %v", err, f.walks)
	}
	f.now = f.now.Add(time.Minute)
	f.pass(tenant.Straggling + time.Hour)
	if e := f.erasure(); e.Stage != tenant.Erased {
		t.Errorf("at the end: %+v", e)
	}
}

func TestAnErasureSurvivesFaultsAndRaces(t *testing.T) {
	t.Parallel()
	f := open(t, 2)
	f.pass(tenant.Quiet + time.Minute)
	f.now = f.now.Add(tenant.Quiet)
	f.failed = errors.New("throttled")
	if _, err := f.Sweep(t.Context()); err == nil || err.Error() != "erase org_acme: throttled" {
		t.Errorf("err = %v", err)
	}
	races := 0
	f.saved = func(e tenant.Erasure) error {
		if races++; races%2 == 1 {
			return tenant.ErrStale
		}
		return nil
	}
	f.pass(tenant.Straggling + 2*time.Hour)
	if e := f.erasure(); e.Stage != tenant.Erased {
		t.Errorf("at the end: %+v", e)
	}
}
