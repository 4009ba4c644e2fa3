package simulation_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/hold"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// stop pauses the organization.
func (w *world) stop(open tenant.OpenRuns) error {
	_, err := call(w, 15*time.Second, func(ctx context.Context) (hold.State, error) {
		return w.on("pause").pauses.Pause(ctx, w.owner(), "something is wrong", open)
	})
	w.note("pause, %s: %v", open, err)
	return err
}

// resume ends the pause.
func (w *world) resume() error {
	_, err := call(w, 15*time.Second, func(ctx context.Context) (hold.State, error) {
		return w.on("resume").pauses.Resume(ctx, w.owner())
	})
	w.note("resume: %v", err)
	return err
}

// pauseState returns the pause with its effects.
func (w *world) pauseState() hold.State {
	w.Helper()
	s, err := w.pauses.Get(w.over, w.owner())
	w.must(err)
	return s
}

// count returns the number of runs by status.
func (w *world) count() map[execution.Status]int {
	n := map[execution.Status]int{}
	for _, x := range w.runs() {
		n[x.Status]++
	}
	return n
}

const inFlight = 200

// fly starts 200 runs whose steps take three seconds each, spread over three
// seconds.
func (w *world) fly(steps ...string) {
	w.Helper()
	w.products.reply = func(step.Command, int) done { return done{takes: 3 * time.Second} }
	w.agent(list(steps...))
	for range inFlight {
		w.must(w.dispatcher.Dispatch(w.over, w.escalated()))
		w.pass(15 * time.Millisecond)
	}
}

func TestAPauseHoldsTwoHundredRunsAndAResumptionCompletesThem(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.fly(act("a"), act("b"), act("c"))
		w.pass(3 * time.Second)
		w.must(w.stop(tenant.Hold))
		w.pass(stopTime)
		begun := len(w.products.keys())
		w.pass(time.Hour)
		if now := len(w.products.keys()); now != begun {
			t.Errorf("%d calls began two seconds after the pause", now-begun)
		}
		if s := w.pauseState(); s.Held != inFlight || s.Missed != 0 {
			t.Errorf("the pause holds %d runs and missed %d events, want %d and 0", s.Held, s.Missed, inFlight)
		}
		effects := len(w.products.effects)
		if effects != begun {
			t.Errorf("%d calls began and %d had an effect: a step under way must end", begun, effects)
		}
		for _, x := range w.runs() {
			_, steps := w.stored(x.ID)
			for _, s := range steps {
				if s.Status != execution.StepCompleted {
					t.Errorf("%s: step %s is %s in a pause", x.ID, s.ID, s.Status)
				}
			}
			if x.StatusReason() != execution.OrgPaused || x.Status != execution.Running || !x.Due.IsZero() {
				t.Errorf("%s is %s, %s, due %s", x.ID, x.Status, x.StatusReason(), x.Due)
			}
		}
		w.must(w.resume())
		w.pass(time.Minute)
		if n := w.count(); n[execution.Completed] != inFlight {
			t.Errorf("after the resumption the runs are %v, want %d completed", n, inFlight)
		}
		if calls := len(w.products.keys()); calls != 3*inFlight {
			t.Errorf("%d calls for %d steps", calls, 3*inFlight)
		}
		w.untouched()
		w.audit()
	})
}

func TestNothingStartsInAPauseAndActivityTellsWhy(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		a := w.agent(list(act("a")))
		w.must(w.stop(tenant.Finish))
		for range 3 {
			w.must(w.dispatcher.Dispatch(w.over, w.escalated()))
		}
		w.must(w.dispatcher.Dispatch(w.over, w.event("psa:ticket.created", map[string]any{"ticket_id": "tkt_1", "priority": "p3", "subject": "VPN"})))
		w.pass(time.Hour)
		if n := w.count(); len(n) > 0 {
			t.Errorf("runs began: %v", n)
		}
		for agent, want := range map[id.Agent]int{a: 3, "agent_system_dispatch": 1} {
			p, err := w.store.Activity(w.over, w.org, agent, activity.Query{Limit: 10})
			w.must(err)
			for _, e := range p.Entries {
				if e.Outcome != definition.OrgPaused || !strings.Contains(e.Detail, "user_owner paused the organization") {
					t.Errorf("%s: %s, %s", agent, e.Outcome, e.Detail)
				}
			}
			if len(p.Entries) != want {
				t.Errorf("%s: %d entries, want %d", agent, len(p.Entries), want)
			}
		}
		if s := w.pauseState(); s.Missed != 4 || s.Held != 0 {
			t.Errorf("the pause missed %d events and holds %d runs, want 4 and 0", s.Missed, s.Held)
		}
		w.must(w.resume())
		w.pass(time.Hour)
		if n := w.count(); len(n) > 0 {
			t.Errorf("the resumption started what the pause missed: %v", n)
		}
		w.wake(a)
		w.pass(time.Minute)
		if n := w.count(); n[execution.Completed] != 1 {
			t.Errorf("after the resumption: %v", n)
		}
		w.untouched()
		w.audit()
	})
}

// A dispatcher that read the tenant before the pause records its runs after it.
func TestARunRecordedByALateDispatcherIsHeldWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.products.reply = func(step.Command, int) done { return done{takes: 3 * time.Second} }
		a := w.agent(list(act("a"), act("b")))
		var late []id.Execution
		for seconds := range 10 {
			late = append(late, w.recordedAfter(a, time.Duration(seconds)*time.Second+500*time.Millisecond))
		}
		w.must(w.stop(tenant.Hold))
		w.pass(time.Hour)
		for _, x := range late {
			run, _ := w.stored(x)
			if !run.Held {
				t.Errorf("%s is %s and not held", x, run.Status)
			}
			if _, did := w.products.did(x, "b"); did {
				t.Errorf("%s went on to its second step", x)
			}
		}
		w.must(w.resume())
		w.pass(time.Minute)
		if n := w.count(); n[execution.Completed] != len(late) {
			t.Errorf("after the resumption: %v", n)
		}
		w.untouched()
	})
}

// recordedAfter records and starts a run of the agent after a while, as a
// dispatcher does that judged the event now.
func (w *world) recordedAfter(a id.Agent, d time.Duration) id.Execution {
	e := w.escalated()
	x := execution.ID(w.org, a, e)
	go func() {
		if sleep(w.over, d) != nil {
			return
		}
		w.must(w.store.Create(w.over, execution.New(execution.Execution{ID: x, Org: w.org, Agent: a, Version: 1, Trigger: e}, time.Now())))
		w.must(w.machines.Start(w.over, machine.Cursor{Org: w.org, Execution: x}))
	}()
	return x
}

func TestGatesAreDecidedAndWaitsEndInAPauseAndTheRunsStay(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		e := w.escalated()
		of := func(steps ...string) id.Execution { return execution.ID(w.org, w.agent(list(steps...)), e) }
		yes, no, open := of(ask("g"), act("b")), of(ask("h"), act("b")), of(ask("i"), act("b"))
		expired, wait := of(ask("j", `"timeout_seconds": 600`), act("b")), of(pause("p", 120), act("b"))
		w.must(w.dispatcher.Dispatch(w.over, e))
		w.pass(time.Minute)
		started := w.runs()
		w.must(w.stop(tenant.Hold))
		for x, verdict := range map[id.Execution]bool{yes: true, no: false} {
			if err := w.decideFirst(x, verdict); err != nil {
				t.Errorf("decide %s: %v", x, err)
			}
		}
		w.pass(time.Hour)
		if got := len(w.products.keys()); got > 0 {
			t.Errorf("%d calls in the pause", got)
		}
		for _, x := range started {
			if run, _ := w.stored(x.ID); run.Status.Ended() || !run.Held || !run.Due.IsZero() {
				t.Errorf("%s is %s, held %t, due %s", x.ID, run.Status, run.Held, run.Due)
			}
		}
		w.untouched()
		w.must(w.resume())
		w.pass(2 * time.Minute)
		w.expect(wait, "completed: p completed, b completed")
		if a, err := w.question(open); err != nil || a.Status != approval.Pending {
			t.Errorf("the open question is %v, %v", a.Status, err)
		}
		if err := w.decideFirst(open, true); err != nil {
			t.Error(err)
		}
		w.pass(time.Minute)
		w.expect(open, "completed: i completed, b completed")
		w.expect(yes, "completed: g completed, b completed")
		w.expect(no, "cancelled (approval_denied): h completed, b skipped")
		w.expect(expired, "cancelled (approval_expired): j completed, b skipped")
		w.audit()
	})
}

// decideFirst decides the open question of a run.
func (w *world) decideFirst(x id.Execution, yes bool) error { return w.decide(w.owner(), x, yes) }

func TestAPauseCancelsOrLetsOpenRunsFinish(t *testing.T) {
	t.Parallel()
	for open, want := range map[tenant.OpenRuns]execution.Status{tenant.Cancel: execution.Cancelled, tenant.Finish: execution.Completed} {
		t.Run(string(open), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.fly(act("a"), act("b"), act("c"))
				w.must(w.stop(open))
				w.pass(time.Hour)
				if n := w.count(); n[want] != inFlight {
					t.Errorf("the runs are %v, want %d %s", n, inFlight, want)
				}
				for _, x := range w.runs() {
					if x.Status == execution.Cancelled && (x.Reason != execution.OrgPaused || x.CancelledBy != "user_owner") {
						t.Errorf("%s was cancelled by %s because %s", x.ID, x.CancelledBy, x.Reason)
					}
				}
				w.audit()
			})
		})
	}
}

func TestAHeldRunCanBeCancelledAndARetryIsRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		failed := w.wake(w.agent(list(hopeless("f"))))
		w.pass(time.Minute)
		x := w.wake(w.agent(list(pause("p", 900), act("b"))))
		w.pass(time.Minute)
		w.must(w.stop(tenant.Hold))
		w.must(w.cancel(x))
		w.expect(x, "cancelled (cancelled_by_user): p skipped, b skipped")
		if _, _, err := w.executions.Retry(w.over, w.owner(), failed); err == nil || !strings.Contains(err.Error(), "paused") {
			t.Errorf("a retry in a pause: %v", err)
		}
		w.must(w.resume())
		w.pass(time.Hour)
		w.expect(x, "cancelled (cancelled_by_user): p skipped, b skipped")
		w.audit()
	})
}

// A run that was held at its gate may have no machine any more: its cancellation
// starts one, which tells the people that were asked.
func TestACancelledRunThatWasHeldAtItsGateTellsItsOutcome(t *testing.T) {
	t.Parallel()
	const told = `"timeout_seconds": 600, "notify": [{"channel": "sms", "recipients": ["+15550000001"]}]`
	for name, tc := range map[string]struct {
		before func(w *world, x id.Execution) // in the pause
		cancel func(w *world, x id.Execution) error
	}{
		"a pause that cancels, beyond the expiry": {
			func(w *world, _ id.Execution) { w.pass(time.Hour) },
			func(w *world, _ id.Execution) error { return w.stop(tenant.Cancel) },
		},
		"a person, beyond the expiry": {
			func(w *world, _ id.Execution) { w.pass(time.Hour) },
			func(w *world, x id.Execution) error { return w.cancel(x) },
		},
		"a person, after a yes": {
			func(w *world, x id.Execution) { w.must(w.decideFirst(x, true)); w.pass(time.Minute) },
			func(w *world, x id.Execution) error { return w.cancel(x) },
		},
		"a pause that cancels, at once": {
			func(*world, id.Execution) {},
			func(w *world, _ id.Execution) error { return w.stop(tenant.Cancel) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				x := w.wake(w.agent(list(ask("g", told), act("b"))))
				w.pass(time.Minute)
				w.must(w.stop(tenant.Hold))
				tc.before(w, x)
				w.must(tc.cancel(w, x))
				w.pass(10 * time.Second)
				if x, done := w.stored(x); x.Status != execution.Cancelled || len(done.Owing(true)) > 0 {
					t.Errorf("ten seconds later the run is %s and owes %d outcomes", x.Status, len(done.Owing(true)))
				}
				w.untouched()
				w.audit()
			})
		})
	}
}

// A suspended and paused organization starts nothing, and its held runs go on
// after the resumption, as open runs do in a suspension.
func TestAPauseAndASuspensionCompose(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		a := w.agent(list(pause("p", 60), act("b")))
		x := w.wake(a)
		w.pass(time.Second)
		w.must(w.stop(tenant.Hold))
		w.must(w.tenants.Project(w.over, event.Event{ID: "evt_s", Product: "hub", Type: "org.suspended", Org: w.org, Published: time.Now(), Payload: map[string]any{}}))
		w.must(w.dispatcher.Dispatch(w.over, w.escalated()))
		w.pass(time.Hour)
		if s := w.pauseState(); !s.Active() || s.Held != 1 || s.Missed != 0 {
			t.Errorf("the suspension changed the pause: %+v", s)
		}
		w.must(w.resume())
		w.pass(time.Minute)
		w.expect(x, "completed: p completed, b completed")
		if n := len(w.runs()); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	})
}

// A second pause does not weaken the first.
func TestAPauseIsRepeatedAndStrengthenedButNotWeakened(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		x := w.wake(w.agent(list(pause("p", 60), act("b"))))
		w.pass(time.Second)
		w.must(w.stop(tenant.Finish))
		w.must(w.stop(tenant.Hold))
		w.must(w.stop(tenant.Finish))
		w.pass(time.Hour)
		if run, _ := w.stored(x); !run.Held || w.pauseState().OpenRuns != tenant.Hold {
			t.Errorf("%s is %s, held %t, in a pause that lets runs %s", x, run.Status, run.Held, w.pauseState().OpenRuns)
		}
		w.must(w.stop(tenant.Cancel))
		w.pass(time.Minute)
		w.expect(x, "cancelled (org_paused): p skipped, b skipped")
		w.must(w.resume())
		w.must(w.resume())
		w.pass(time.Hour)
		w.audit()
	})
}

// The steps of a run expire at a fixed time. A run that a pause has held until then
// must not repeat them.
func TestARunThatWasHeldUntilItsStepsExpireIsCancelledByTheResumption(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		a := w.agent(list(act("a"), pause("p", 60), act("b")))
		old, young := w.wake(a), w.wake(a)
		w.pass(time.Second)
		w.must(w.stop(tenant.Hold))
		w.pass(time.Hour)
		x, _ := w.stored(old)
		x.KeptUntil = time.Now().Add(23 * time.Hour)
		w.must(w.store.Store.Commit(w.over, execution.Change{Execution: x}))
		w.must(w.resume())
		w.pass(time.Hour)
		w.expect(old, "cancelled (org_paused): a completed, p skipped, b skipped")
		w.expect(young, "completed: a completed, p completed, b completed")
		w.audit()
	})
}
