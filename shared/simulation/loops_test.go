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

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
)

// An echo is what a product passes on about the call that made it publish an event.
type echo func(w *world, c step.Command) *event.Metadata

// echoes returns what products pass on, right and wrong.
func echoes() map[string]echo {
	says := func(x id.Execution, depth int) *event.Metadata {
		return &event.Metadata{AgentTriggered: depth > 0, Causation: &event.Causation{Execution: x, Depth: depth}}
	}
	return map[string]echo{
		"nothing":        func(*world, step.Command) *event.Metadata { return nil },
		"all":            func(_ *world, c step.Command) *event.Metadata { return says(c.Execution, c.Depth) },
		"a depth of 0":   func(_ *world, c step.Command) *event.Metadata { return says(c.Execution, 0) },
		"a wrong depth":  func(_ *world, c step.Command) *event.Metadata { return says(c.Execution, c.Depth-3) },
		"an unknown run": func(_ *world, c step.Command) *event.Metadata { return says("exec_unknown", 1) },
		"another run": func(w *world, c step.Command) *event.Metadata {
			for _, x := range w.runs() {
				if x.ID != c.Execution && !x.Trigger.AgentTriggered() {
					return says(x.ID, 1)
				}
			}
			return nil
		},
	}
}

// A loop is agents that open tickets and listen for new ones, and a product that
// publishes each ticket. Each agent opens some tickets for one.
type loop struct {
	agents, tickets int
	echo            echo
	most            int // tickets that the product publishes
}

// begins starts the loop with the tickets of two people.
func (l loop) begins(w *world) {
	w.Helper()
	var steps []string
	for n := range l.tickets {
		steps = append(steps, open(fmt.Sprintf("t%d", n)))
	}
	for range l.agents {
		w.define(id.Agent("agent_"+w.name("l")), `{"name": "A loop", "category": "service_desk",
			"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created", "allow_agent_triggered": true},
			"steps": `+list(steps...)+`}`)
	}
	var mu sync.Mutex
	w.products.made = func(c step.Command) {
		mu.Lock()
		defer mu.Unlock()
		if c.Action != "create_ticket" { // Dispatch adds notes
			return
		}
		if l.most--; l.most < 0 {
			return
		}
		e := w.event("psa:ticket.created", map[string]any{"ticket_id": objectOf(c.Key), "subject": "made"})
		e.Metadata = l.echo(w, c)
		w.witness.caused(e.ID, c.Execution)
		w.publish(e, "", 10*time.Minute) // after the reply was recorded, and twice
		w.queue.put(e, "", 15*time.Minute)
	}
	for n := range 2 {
		w.publish(w.event("psa:ticket.created", map[string]any{"ticket_id": fmt.Sprintf("tkt_person_%d", n), "subject": "asked"}), "", 0)
	}
}

// largest returns the number of runs of the largest tree.
func (o *witness) largest() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	most := 0
	for _, n := range o.trees {
		most = max(most, n)
	}
	return most
}

func TestNoRootEventHasMoreRunsThanItsPlanAllows(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)

	for name, passes := range echoes() {
		for _, tickets := range []int{1, 2, 5} {
			for _, faults := range []bool{false, true} {
				t.Run(fmt.Sprintf("a product that passes on %s, %d tickets, faults %t", name, tickets, faults), func(t *testing.T) {
					t.Parallel()
					inWorld(t, func(w *world) {
						if faults {
							w.addDeployment(time.Second, false)
							w.faults.set(loopFaults(w, uint64(tickets)))
						}
						loop{agents: 2, tickets: tickets, echo: passes, most: 2000}.begins(w)
						w.pass(4 * time.Hour)
						w.audit()
						if got := w.witness.largest(); got < maxTree-15 {
							t.Errorf("the largest tree has %d runs: the loop did not run", got)
						}
					})
				})
			}
		}
	}
}

// loopFaults returns random faults. A reply of a product that never comes names no
// object, so products only crash their callers, and few faults strike each run: a step
// that crashes three workers is given up, and its reply is never recorded.
func loopFaults(w *world, seed uint64) func(site) fault {
	s := &simulation{world: w, seed: seed, dice: rand.New(rand.NewPCG(seed, 13))}
	begin := time.Now()
	var mu sync.Mutex
	struck := map[id.Execution]int{}
	return func(at site) fault {
		f := s.fault(at)
		if at.run != "" && f != (fault{}) {
			mu.Lock()
			defer mu.Unlock()
			if struck[at.run]++; struck[at.run] > 2 {
				return fault{}
			}
		}
		if time.Since(begin) > 3*time.Hour {
			return fault{}
		}
		if at.port == "product.Act" && (f.before != nil || f.after != nil || f.pause > 0) {
			return fault{}
		}
		return f
	}
}

// A forgetful store knows no makers: the planted fault that the witness must find.
type forgetful struct{ *store }

func (forgetful) Maker(context.Context, id.Org, catalog.ObjectID, time.Time) (id.Execution, error) {
	return "", nil
}

func TestTheWitnessFindsATreeThatOutgrowsItsPlan(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		c := &complaints{TB: w.TB}
		w.TB = c
		w.dispatcher.Runs = forgetful{w.store}
		loop{agents: 2, tickets: 2, echo: echoes()["nothing"], most: 60}.begins(w)
		w.pass(4 * time.Hour)
		if !slices.ContainsFunc(c.found, func(s string) bool { return strings.HasPrefix(s, string(treesBounded)) }) {
			t.Errorf("the witness found no violation in a tree of %d runs: %v", w.witness.largest(), c.found)
		}
	})
}
