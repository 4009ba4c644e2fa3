package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// A scenario is a story in a world. Its people repeat a request until they get
// an answer.
type scenario struct {
	name string
	tell func(w *world)
	lost string // a port of the machines whose first call is lost as well
	twin bool   // whether each machine is started twice
}

// scenarios together call every port.
func scenarios() []scenario {
	one := func(steps ...string) func(w *world) {
		return func(w *world) {
			w.agent(list(steps...))
			w.publish(w.escalated(), "", 0)
		}
	}
	people := func(steps []string, then func(w *world, x id.Execution)) func(w *world) {
		return func(w *world) {
			a, e := w.agent(list(steps...)), w.escalated()
			w.publish(e, "", 0)
			w.pass(5 * time.Minute)
			then(w, execution.ID(w.org, a, e))
		}
	}
	decide := func(yes bool) func(w *world, x id.Execution) {
		return func(w *world, x id.Execution) { w.retryUntilDone(func() error { return w.decide(w.owner(), x, yes) }) }
	}
	return []scenario{
		{name: "a machine that is lost", tell: one(act("a"), act("b")), lost: "machine.lostRuns"},
		{name: "a machine that is lost behind a gate", tell: people([]string{ask("g"), act("b")}, decide(true)), lost: "machine.lostWaits"},
		{name: "a machine that starts twice", tell: one(act("a"), act("b")), twin: true},
		{name: "a machine that starts twice, and a message", tell: one(act("a"), tell("n")), twin: true},
		{name: "actions", tell: one(act("a"), act("b"), act("c"))},
		{name: "an answer and the way that it opens", tell: one(think("judge", noise), when("br", isNoise, list(act("y")), list(act("n"))), act("z"))},
		{name: "a wait", tell: one(act("a"), pause("p", 90), act("b"))},
		{name: "a message", tell: one(act("a"), tell("n"), act("b"))},
		{name: "a step that fails and one that follows it", tell: one(act("a"), `{"id": "f", "type": "ai_reason", "model": "quick", "prompt": "{{ event_payload.gone }}", "on_error": "continue"}`, act("b"))},
		{name: "a run that fails, and who hears of it", tell: func(w *world) {
			w.agent(list(act("a"), hopeless("f")))
			w.failureListener(list(says("heard")))
			w.failureListener(list(hopeless("f")))
			w.publish(w.escalated(), "", 0)
		}},
		{name: "runs that fail, and owners who hear of it", tell: func(w *world) {
			w.addOwner()
			w.agent(list(hopeless("f")))
			for range 3 {
				w.publish(w.escalated(), "", 0)
				w.pass(5 * time.Minute)
			}
		}},
		{name: "people say yes", tell: people([]string{ask("g", twoChannels), act("b")}, decide(true))},
		{name: "people say yes to a risk", tell: people([]string{ask("g"), isolates("b")}, decide(true))},
		{name: "people say no", tell: people([]string{act("a"), ask("g", twoChannels), act("b")}, decide(false))},
		{name: "people say yes before a wait and the next question", tell: people(
			[]string{ask("g", twoChannels), pause("p", 90), ask("h", twoChannels)}, func(w *world, x id.Execution) {
				decide(true)(w, x)
				w.pass(5 * time.Minute)
				decide(true)(w, x)
			})},
		{name: "people say nothing", tell: one(ask("g", `"timeout_seconds": 60`), act("b"))},
		{name: "people say nothing and others yes", tell: people([]string{ask("g", `"timeout_seconds": 600, `+escalates), act("b")}, func(w *world, x id.Execution) {
			w.pass(12 * time.Minute)
			w.retryUntilDone(func() error { return w.decide(w.person("user_boss", caller.Member), x, true) })
		})},
		{name: "a cancellation at a gate", tell: people([]string{ask("g", twoChannels), act("b")}, func(w *world, x id.Execution) { w.retryUntilDone(func() error { return w.cancel(x) }) })},
		{name: "a cancellation of a wait", tell: people([]string{pause("p", 900), act("b")}, func(w *world, x id.Execution) { w.retryUntilDone(func() error { return w.cancel(x) }) })},
		{name: "a pause that holds, and a resumption", tell: func(w *world) {
			w.products.reply = func(step.Command, int) done { return done{takes: 3 * time.Second} }
			w.agent(list(act("a"), act("b")))
			w.publish(w.escalated(), "", 0)
			w.pass(2 * time.Second)
			w.retryUntilDone(func() error { return w.stop(tenant.Hold) })
			w.publish(w.escalated(), "", 0)
			w.pass(10 * time.Minute)
			w.retryUntilDone(w.resume)
			w.publish(w.escalated(), "", 0)
		}},
		{name: "a pause that cancels", tell: func(w *world) {
			w.agent(list(act("a"), pause("p", 900), act("b")))
			w.publish(w.escalated(), "", 0)
			w.pass(time.Minute)
			w.retryUntilDone(func() error { return w.stop(tenant.Cancel) })
		}},
		{name: "a deleted agent", tell: func(w *world) {
			a := w.agent(list(ask("g"), act("b")))
			w.publish(w.escalated(), "", 0)
			w.pass(5 * time.Minute)
			w.retryUntilDone(func() error { return w.agents.Delete(w.over, w.owner(), a, 0) })
		}},
		{name: "a retry", tell: people([]string{act("a"), ask("g"), act("b")}, func(w *world, x id.Execution) {
			w.retryUntilDone(func() error { return w.decide(w.owner(), x, false) })
			w.pass(5 * time.Minute)
			w.retryUntilDone(func() error {
				_, _, err := w.executions.Retry(w.over, w.owner(), x)
				return err
			})
		})},
		{name: "a limit, a twin and what does not match", tell: func(w *world) {
			w.limited(list(act("a")), `, "execution_limit": {"max_per_hour": 1}`)
			w.limited(list(act("a")), `, "client_scope": {"exclude": ["cli_1"]}`)
			e := w.escalated()
			w.publish(e, "", 0)
			twin := e
			twin.ID = "evt_twin"
			w.publish(twin, "", time.Minute)
			w.publish(w.escalated(), "", 2*time.Minute)
		}},
		{name: "a client's facts", tell: func(w *world) {
			w.limited(list(act("a")), `, "conditions": [{"context": "client_context", "field": "security_posture_score", "operator": "lt", "value": 50}]`)
			w.publish(w.event("defend:posture.updated", map[string]any{"security_posture_score": int64(20)}), "", 0)
			w.publish(w.escalated(), "", 10*time.Minute)
		}},
		{name: "an object that an agent made, and who hears of it", tell: func(w *world) {
			a, e := w.activate("agent_old", w.read(`{"name": "An old agent", "category": "service_desk",
				"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated"}, "steps": `+list(open("a"))+`}`), false), w.escalated()
			w.define("agent_wary", `{"name": "A wary agent", "category": "service_desk",
				"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"}, "steps": `+list(act("b"))+`}`)
			w.publish(e, "", 0)
			w.pass(5 * time.Minute)
			x := execution.ID(w.org, a, e)
			made := w.event("psa:ticket.created", map[string]any{"ticket_id": objectOf(string(x) + ":a"), "priority": "p1"})
			w.publish(made, "", 0)
			w.pass(5 * time.Minute)
			if _, steps := w.stored(x); steps["a"].Status != execution.StepCompleted {
				return // no reply named the ticket
			}
			if _, err := w.store.Store.Header(w.over, w.org, execution.ID(w.org, "agent_wary", made)); !errors.Is(err, execution.ErrNotFound) {
				w.Errorf("an event about a ticket that an agent made started an agent that does not allow it: %v", err)
			}
		}},
		{name: "a journal, and an event for which nobody listens", tell: func(w *world) {
			w.keepJournal(7)
			w.agent(list(act("a")))
			w.publish(w.escalated(), "", 0)
			e := w.event("psa:ticket.created", map[string]any{"ticket_id": "1", "priority": "p3"})
			w.publish(e, "", 0)
			w.queue.put(e, "", time.Minute)
		}},
		{name: "events that cannot be handled", tell: func(w *world) {
			w.agent(list(act("a")))
			w.publish(w.escalated(), "malformed", 0)
			stranger := w.escalated()
			stranger.Org = "org_nobody"
			w.publish(stranger, "unknown_org", 0)
		}},
	}
}

// retryUntilDone repeats a request until it succeeds. A repeated request finds
// the earlier one done.
func (w *world) retryUntilDone(f func() error) {
	for range 5 {
		_, err := call(w, 15*time.Second, func(context.Context) (struct{}, error) { return struct{}{}, f() })
		if err == nil || !expected(err) {
			return
		}
		w.pass(time.Second)
	}
}

// faultKinds returns the faults of one call by name.
func faultKinds() map[string]fault {
	return map[string]fault{
		"refused":      {before: errFault},
		"reply lost":   {after: errFault},
		"crash before": {kill: true},
		"crash after":  {kill: true, late: true},
		"zombie":       {pause: 80 * time.Second},
	}
}

// The invariants hold after any single fault: each call of each scenario fails
// in each way. The matrix counts the faults by call; a port that no scenario
// calls fails the test. The race detector makes faults many times slower and
// searches for others, so with it every fourth call fails in one way, the next of them in
// the next.
func TestAnySingleFaultIsRepaired(t *testing.T) {
	t.Parallel()
	m := matrix{cells: map[string]map[string]int{}}
	t.Cleanup(func() {
		t.Log(m.String())
		for _, port := range ports() {
			if m.cells[port] == nil {
				t.Errorf("no scenario calls %s", port)
			}
		}
		figuresTo(t, m.String())
	})
	kinds, turn := faultKinds(), 0
	for _, s := range scenarios() {
		calls := s.calls(t)
		for _, port := range slices.Sorted(maps.Keys(calls)) {
			for k := range calls[port] {
				turn++
				for i, kind := range slices.Sorted(maps.Keys(kinds)) {
					if findsRaces() && (k%4 != 0 || i != turn%len(kinds)) {
						continue
					}
					m.count(port, kind)
					t.Run(fmt.Sprintf("%s, %s, call %d, %s", s.name, port, k+1, kind), func(t *testing.T) {
						t.Parallel()
						inWorld(t, func(w *world) {
							w.faults.set(s.nth(port, k+1, kinds[kind]))
							s.tell(w)
							w.pass(3 * time.Hour)
							w.audit()
						})
					})
				}
			}
		}
	}
}

// calls returns the number of calls of each port without faults.
func (s scenario) calls(t *testing.T) map[string]int {
	t.Helper()
	seen := map[string]int{}
	inWorld(t, func(w *world) {
		w.faults.set(s.nth("", 0, fault{}))
		s.tell(w)
		w.pass(3 * time.Hour)
		w.audit()
		w.faults.mu.Lock()
		defer w.faults.mu.Unlock()
		for at, n := range w.faults.seen {
			if slices.Contains(ports(), at.port) && at.port != "store.Overdue" && at.port != "store.Unpublished" && at.port != "store.Searching" && at.port != "store.Erasing" {
				seen[at.port] += n
			}
		}
		seen["store.Overdue"], seen["store.Unpublished"], seen["store.Searching"], seen["store.Erasing"] = 3, 3, 3, 3 // the sweeper's calls do not differ
	})
	return seen
}

// nth plans a fault at the n-th call of a port for any run.
func (s scenario) nth(port string, n int, f fault) func(site) fault {
	var mu sync.Mutex
	count := 0
	return func(at site) fault {
		mu.Lock()
		defer mu.Unlock()
		if at.port == s.lost {
			return given(at.n == 1, fault{kind: "machine lost", before: errFault})
		}
		if at.port == "machine.twice" {
			return given(s.twin, fault{kind: "started twice", after: errFault})
		}
		if at.port != port {
			return fault{}
		}
		count++
		return given(count == n, f)
	}
}

// ports returns all ports where a call may fail, without those of the bubble's
// own machinery.
func ports() []string {
	return []string{
		"bus.Put", "letters.Send", "machine.HandOver", "machine.Invoke", "machine.Restart", "machine.Ring", "machine.Start", "mail.Send", "model.Ask",
		"product.Act", "queue.Handle", "sender.Outcome", "sender.Send", "stream.Tally", "stream.Watchdog",
		"store.AddStats", "store.AdmitMessages", "store.AdmitRuns", "store.SaveMaker", "store.Tree", "store.SaveTree", "store.Maker", "store.AddUses", "store.AdmitWithinLimit", "store.Agent", "store.Alerts", "store.Approval", "store.Balance", "store.ClaimDedup", "store.Commit", "store.LimitStarts", "store.Create",
		"store.DeleteAgent", "store.KeepEvent", "store.Execution", "store.Executions", "store.SaveOrgPause", "store.Searching", "store.Erasing", "store.Facts", "store.DedupHolder", "store.SaveFact", "store.Listeners",
		"store.OpenRuns", "store.Overdue", "store.Plan", "store.Published", "store.Refusal", "store.Refuse", "store.SaveAlerts", "store.SaveDecision", "store.SaveOpen", "store.SaveStep", "store.Header", "store.Tenant", "store.Unpublished", "store.Version", "store.VersionRecord",
	}
}

// A matrix counts the faults by kind and port.
type matrix struct {
	mu    sync.Mutex
	cells map[string]map[string]int
}

// count counts a fault.
func (m *matrix) count(port, kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cells[port] == nil {
		m.cells[port] = map[string]int{}
	}
	m.cells[port][kind]++
}

func (m *matrix) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	kinds := slices.Sorted(maps.Keys(faultKinds()))
	var b strings.Builder
	total := 0
	fmt.Fprintf(&b, "%-20s", "single faults")
	for _, k := range kinds {
		fmt.Fprintf(&b, "%14s", k)
	}
	for _, port := range slices.Sorted(maps.Keys(m.cells)) {
		fmt.Fprintf(&b, "\n%-20s", port)
		for _, k := range kinds {
			fmt.Fprintf(&b, "%14d", m.cells[port][k])
			total += m.cells[port][k]
		}
	}
	fmt.Fprintf(&b, "\n%d single faults in %d scenarios", total, len(scenarios()))
	return b.String()
}
