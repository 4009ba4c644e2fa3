package simulation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/step"
)

// low are quotas that a few events reach.
func low() quota.Limits {
	return quota.Limits{RunsPerMinute: 6, OpenRuns: 20, SMSPerDay: 30, EmailsPerDay: 40, ChatsPerDay: 50}
}

// A storm is a world with low quotas whose dispatchers get more events than these
// allow: at once, twice, and while calls go wrong.
func storm(w *world, seed uint64, faults bool) {
	w.Helper()
	w.limits = low()
	dice := rand.New(rand.NewPCG(seed, 11))
	w.agent(list(`{"id": "tell", "type": "notification", "channel": "sms", "recipients": ["+15551234567", "+15551234568"], "body": "b"}`))
	w.agent(list(`{"id": "wait", "type": "wait", "duration_seconds": 1200}`))
	w.agent(list(`{"id": "tell", "type": "notification", "channel": "email", "recipients": ["a@x.example", "b@x.example", "c@x.example"], "body": "b"}`))
	w.addDeployment(time.Duration(dice.IntN(4000)-2000)*time.Millisecond, false)
	if faults {
		begin := time.Now()
		w.faults.set(func(at site) fault {
			if time.Since(begin) > time.Hour {
				return fault{}
			}
			return (&simulation{world: w, seed: seed, dice: dice}).fault(at)
		})
	}
	w.pass(time.Minute)
	for range 40 {
		e := w.escalated()
		w.publish(e, "", time.Duration(dice.IntN(1000))*time.Millisecond)
		if dice.IntN(3) == 0 {
			w.queue.put(e, "", time.Duration(dice.IntN(90))*time.Second)
		}
		w.pass(time.Duration(dice.IntN(15_000)) * time.Millisecond)
	}
	w.pass(4 * time.Hour)
}

// decisions counts the outcomes of the storm's events at all agents.
func (w *world) decisions() map[definition.Outcome]int {
	w.Helper()
	n := map[definition.Outcome]int{}
	heads, err := w.store.Agents(w.over, w.org)
	w.must(err)
	for _, a := range heads {
		p, err := w.store.Activity(w.over, w.org, a.ID, activity.Query{Limit: 10_000})
		w.must(err)
		for _, e := range p.Entries {
			n[e.Outcome]++
		}
	}
	return n
}

func TestQuotasHoldUnderFaultsAndBetweenDispatchers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				storm(w, seed, seed%2 == 1)
				if n := w.decisions(); n[definition.QuotaReached] == 0 || n[definition.Started] == 0 {
					t.Errorf("the story reached no quota: %v", n)
				}
				if n := w.witness.checks[withinQuotas]; n < 50 {
					t.Errorf("the witness checked %d times", n)
				}
				w.audit()
			})
		})
	}
}

// An uncounting store admits every run and every message: the planted fault that the
// witness must find.
type uncounting struct{ *store }

func (uncounting) AdmitRuns(_ context.Context, _ id.Org, _ quota.Admission) (quota.Tally, bool, error) {
	return quota.Tally{}, true, nil
}

func (uncounting) AdmitMessages(_ context.Context, _ id.Org, _ quota.Batch) (quota.DayTally, bool, error) {
	return quota.DayTally{}, true, nil
}

// Complaints are the failures that a test expects.
type complaints struct {
	testing.TB

	mu    sync.Mutex
	found []string
}

func (c *complaints) Errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func TestTheWitnessFindsAQuotaThatIsNotKept(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		c := &complaints{TB: w.TB}
		w.TB = c
		broken := &quota.Service{Store: uncounting{w.store}, Limits: w.quotas, Now: time.Now}
		steps, ok := w.runner.Steps.(*step.Service)
		if !ok {
			t.Fatal("the steps are of another service")
		}
		w.dispatcher.Quotas, steps.Quotas = broken, broken
		storm(w, 1, false)
		for _, want := range []string{"in its minute", "open runs", "on its day"} {
			if !slices.ContainsFunc(c.found, func(s string) bool {
				return strings.HasPrefix(s, string(withinQuotas)) && strings.HasSuffix(s, want)
			}) {
				t.Errorf("the witness found no violation %q in %d", want, len(c.found))
			}
		}
	})
}
