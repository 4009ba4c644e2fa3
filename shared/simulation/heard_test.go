package simulation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/step"
)

func TestAFailedRunStartsItsListeners(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		a := w.agent(list(act("a"), hopeless("f")))
		listener := w.failureListener(list(says("heard")))
		self := w.failureListener(list(hopeless("f")))
		x := w.wake(a)
		w.pass(5 * time.Minute)
		w.expect(x, "failed (template_error): a completed, f failed (template_error)")
		told := w.bus.eventsByRun(w.org, outbox.ExecutionFailed)
		if len(told[x]) != 1 {
			t.Fatalf("the bus has %v", told)
		}
		for _, e := range w.bus.all() {
			if e.Payload["execution_id"] != string(x) {
				continue
			}
			w.expect(execution.ID(w.org, listener, e), "completed: b completed")
			own := execution.ID(w.org, self, e)
			w.expect(own, "failed (template_error): f failed (template_error)")
			if len(told[own]) != 1 {
				t.Errorf("the failure of the listener was told as %v", told[own])
			}
			if e.Depth() != 1 {
				t.Errorf("depth %d", e.Depth())
			}
		}
		// The failure of the second listener starts the first again, but not
		// itself.
		runs := map[string]int{}
		for _, r := range w.runs() {
			runs[string(r.Agent)]++
		}
		if runs[string(listener)] != 2 || runs[string(self)] != 1 {
			t.Errorf("runs by agent: %v", runs)
		}
		w.audit()
	})
}

func TestARunWithoutFailurePublishesNoEvent(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.wake(w.agent(list(act("a"), `{"id": "f", "type": "ai_reason", "model": "quick", "prompt": "{{ event_payload.gone }}", "on_error": "continue"}`)))
		cancelled := w.wake(w.agent(list(pause("p", 600))))
		denied := w.wake(w.agent(list(ask("g"))))
		w.pass(time.Minute)
		w.must(w.cancel(cancelled))
		w.must(w.decide(w.owner(), denied, false))
		w.pass(time.Hour)
		if all := w.bus.all(); len(all) > 0 {
			t.Errorf("the bus has %+v", all)
		}
		if n := w.faults.count("store.Published") + w.faults.count("bus.Put"); n > 0 {
			t.Errorf("%d calls", n)
		}
		w.audit()
	})
}

// lowCreditEvents returns the thresholds reported on the bus with the number of
// events.
func (w *world) lowCreditEvents() map[int64]int {
	told := map[int64]int{}
	for _, e := range w.bus.all() {
		if e.Type != outbox.CreditsLow || e.Org != w.org {
			continue
		}
		if percent, ok := e.Payload["threshold_percent"].(int64); ok {
			told[percent]++
		}
	}
	return told
}

func TestLowCreditsAreReportedOnceForConcurrentRuns(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.leaveCredits(4_100) // 79.5 percent are used
		a := w.agent(list(think("judge")))
		for range 30 {
			go w.wake(a)
		}
		w.pass(5 * time.Minute)
		if diff := cmp.Diff(map[int64]int{80: 1}, w.lowCreditEvents()); diff != "" {
			t.Errorf("told (-want +got)\n%s", diff)
		}
		for _, e := range w.bus.all() {
			used, _ := e.Payload["used"].(int64)
			if used < 16_000 || used > 16_500 || e.Payload["month"] != string(credit.MonthOf(time.Now())) || e.Payload["agent_id"] != nil {
				t.Errorf("%+v", e.Payload)
			}
		}
		w.audit()
	})
}

// An answer that fails is not charged and reports no threshold; the next
// charged answer does.
func TestReleasedCreditsReportNoThreshold(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.leaveCredits(4_010)
		fail := true
		w.model.reply = func(q step.Question, _ int) said {
			if fail {
				return said{err: errFault}
			}
			return said{text: fitting(q.Schema)}
		}
		a := w.agent(list(think("judge")))
		w.wake(a)
		w.pass(5 * time.Minute)
		if told := w.lowCreditEvents(); len(told) > 0 {
			t.Errorf("told of %v, and nothing was charged", told)
		}
		fail = false
		w.wake(a)
		w.pass(5 * time.Minute)
		if diff := cmp.Diff(map[int64]int{80: 1}, w.lowCreditEvents()); diff != "" {
			t.Errorf("told (-want +got)\n%s", diff)
		}
		w.audit()
	})
}

func TestEachThresholdOfTheCreditsIsReported(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.leaveCredits(4_020)
		a := w.agent(list(think("judge")))
		for range 201 {
			w.wake(a)
			w.pass(time.Second)
		}
		w.pass(5 * time.Minute)
		if diff := cmp.Diff(map[int64]int{80: 1, 95: 1, 100: 1}, w.lowCreditEvents()); diff != "" {
			t.Errorf("told (-want +got)\n%s", diff)
		}
		w.audit()
	})
}

func TestOwnersGetOneEMailForThreeFailuresWithinAnHour(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.addOwner()
		a := w.agent(list(hopeless("f")))
		for range 3 {
			w.wake(a)
			w.pass(5 * time.Minute)
		}
		if n := len(w.mail.sent[w.org]); n != 1 {
			t.Errorf("%d e-mails for three failures within an hour", n)
		}
		w.failureListener(list(says("heard")))
		w.pass(time.Hour)
		w.wake(a)
		w.pass(5 * time.Minute)
		if n := len(w.mail.sent[w.org]); n != 1 {
			t.Errorf("%d e-mails, and an agent listens", n)
		}
		w.audit()
	})
}

// Each code that a step can fail with has a sentence of its own.
func TestEachCodeOfAStepHasASentence(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		step.ErrProduct, step.ErrModel, step.ErrOutput, step.ErrNotification, step.ErrTimeout,
		render.ErrTemplate, definition.ErrRecipient, credit.ErrInsufficient, runner.ErrGivenUp, errors.New("not a fault"),
	} {
		if code := step.Failure(step.Task{}, err).Code; execution.Sentences()[code] == "" {
			t.Errorf("%s has no sentence", code)
		}
	}
}
