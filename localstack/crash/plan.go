package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// options are the command line's settings.
type options struct {
	events int
	seed   uint64
	rate   float64
	hurry  bool
	outage time.Duration
}

// tenantCount is the number of organizations. The last one is poor: it has the
// smallest plan and uses the most expensive model.
const tenantCount = 4

// A plan has all events, user actions and kills of a test.
type plan struct {
	events []plannedEvent
	kills  []kill
	length time.Duration // from the first event to the last fault
}

// A plannedEvent is an event, with the users' actions on the runs that it starts.
type plannedEvent struct {
	at     time.Duration
	number int
	org    int
	name   string // like psa:ticket.created
	level  string // read by branches and filters
	flaw   string // reason of its dead letter; empty for a valid event
	twice  bool   // it is published twice
	twin   int    // number of the event with the same content; its own if none

	verdict    string // approve, deny, none, or both at once
	cancel     bool
	retry      bool
	killCallee bool   // the called function is killed during the call
	pick       uint64 // chooses the process
}

// A kill ends a process of a function.
type kill struct {
	at       time.Duration
	function string
	pick     uint64 // chooses the process
}

// A share is a name's probability in percent.
type share struct {
	name string
	part int
}

func draw(r *rand.Rand, shares []share) string {
	n := r.IntN(100)
	for _, s := range shares {
		if n -= s.part; n < 0 {
			return s.name
		}
	}
	return shares[0].name
}

func eventShares() []share {
	return []share{{ticketEscalated, 35}, {slaWarning, 15}, {alertFired, 15}, {ticketCreated, 20}, {slaBreached, 7}, {deviceAlert, 8}}
}

func flawShares() []share {
	return []share{{"", 92}, {"malformed", 3}, {"unknown_org", 2}, {"envelope_mismatch", 2}, {"too_large", 1}}
}

func verdictShares() []share {
	return []share{{"approve", 45}, {"deny", 20}, {"none", 20}, {"both", 15}}
}

func killShares() []share {
	return []share{{"runner", 45}, {"dispatcher", 20}, {"executions", 12}, {"approvals", 12}, {"sweeper", 7}, {"watchdog", 5}, {"agents", 4}}
}

// newPlan returns the plan of a seed.
func newPlan(o options) plan {
	r := rand.New(rand.NewPCG(o.seed, 1)) //nolint:gosec // repeatable, not secret.
	p := plan{length: time.Duration(float64(o.events) / o.rate * float64(time.Second))}
	for n := range o.events {
		h := plannedEvent{
			at: time.Duration(r.Int64N(int64(p.length))), number: n, org: r.IntN(tenantCount), name: draw(r, eventShares()),
			level: fmt.Sprintf("p%d", 1+r.IntN(4)), flaw: draw(r, flawShares()), twice: r.IntN(12) == 0, twin: n,
			verdict: draw(r, verdictShares()), cancel: r.IntN(12) == 0, retry: r.IntN(4) == 0, killCallee: r.IntN(3) == 0, pick: r.Uint64(),
		}
		if n > 0 && r.IntN(20) == 0 {
			h = h.echo(p.events[r.IntN(n)], p.length)
		}
		p.events = append(p.events, h)
	}
	slices.SortStableFunc(p.events, func(a, b plannedEvent) int { return int(a.at - b.at) })
	// Kills begin with the first event and end with the last one.
	for at := time.Second; at < p.length; at += time.Duration(100+r.IntN(700)) * time.Millisecond {
		p.kills = append(p.kills, kill{at, draw(r, killShares()), r.Uint64()})
	}
	return p
}

// echo returns h as an event with the same content as another, one second later,
// if both are valid.
func (h plannedEvent) echo(of plannedEvent, length time.Duration) plannedEvent {
	if of.flaw == "" && h.flaw == "" {
		h.twin, h.org, h.name, h.level = of.twin, of.org, of.name, of.level
		h.at = min(of.at+time.Second, length-1)
	}
	return h
}

// String returns a summary of the plan.
func (p plan) String() string {
	kinds, flaws, kills := map[string]int{}, map[string]int{}, map[string]int{}
	twice, twins := 0, 0
	for _, h := range p.events {
		if h.flaw != "" {
			flaws[h.flaw]++
		} else {
			kinds[h.name]++
		}
		if h.twice {
			twice++
		}
		if h.twin != h.number {
			twins++
		}
	}
	for _, k := range p.kills {
		kills[k.function]++
	}
	return strings.Join([]string{
		fmt.Sprintf("%d events for %d organizations within %v: %v", len(p.events), tenantCount, p.length.Round(time.Second), kinds),
		fmt.Sprintf("invalid %v, published twice %d, with the content of another event %d", flaws, twice, twins),
		fmt.Sprintf("%d kills: %v; a product fails one call in five and loses one reply in five", len(p.kills), kills),
	}, "\n")
}
