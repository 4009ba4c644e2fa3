package simulation_test

import (
	"slices"
	"sync"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// An invariant is what holds whatever goes wrong. The witness watches those that
// must hold at every instant, and the auditor checks all of them when a story is
// over. Neither shares a rule with the services.
type invariant string

const (
	nothingLost   invariant = "nothing is lost: an event that the bus took ends as runs, as activity with a reason, or as a letter"
	oneRun        invariant = "one run: for an organization, an event and an agent"
	oneEffect     invariant = "one effect: for a run and a step, and every try has the same key"
	sums          invariant = "the sums agree: no balance is negative, and what remains, is held and is used is the allocation"
	oneWay        invariant = "one way: a status moves only along the graph, and an end is final"
	movesOn       invariant = "it moves on: within 90 seconds of the last fault a run is at its end or waits for good reason"
	oneVerdict    invariant = "one verdict: and what is done agrees with it and with what was shown"
	apart         invariant = "apart: nothing of one organization is in what another reads, does or is told"
	again         invariant = "again is nothing new: repeating changes nothing that is done"
	heard         invariant = "each failed run is heard once: by one event id, which starts every listener but the agent that failed"
	heardOfIt     invariant = "heard of it: who was asked hears the outcome, once at most, and nobody else does"
	nothingToMend invariant = "nothing to mend: without faults the sweeper repairs nothing"
)

func invariants() []invariant {
	return []invariant{nothingLost, oneRun, oneEffect, sums, oneWay, movesOn, oneVerdict, apart, again, heard, heardOfIt, nothingToMend}
}

// A witness sees every change when it happens.
type witness struct {
	mu      sync.Mutex
	owner   map[id.Execution]id.Org
	status  map[id.Execution]execution.Status
	rest    map[id.Execution][2]time.Time // until when a run may rest, after and before its last change
	first   map[string]id.Execution       // the run of an agent for an event
	checks  map[invariant]int
	calls   int             // of all ports
	repairs []time.Duration // from the last fault of a run, or the end of its rest, to its restart
	events  []published
}

// A published is an event that the bus took, and what must become of it.
type published struct {
	event  event.Event
	letter string // the reason of its letter; "" when it is to be dispatched
}

func newWitness() *witness {
	return &witness{
		owner: map[id.Execution]id.Org{}, status: map[id.Execution]execution.Status{},
		rest: map[id.Execution][2]time.Time{}, first: map[string]id.Execution{}, checks: map[invariant]int{},
	}
}

// violated fails the test by an invariant's name.
func (w *world) violated(i invariant, format string, args ...any) {
	w.Helper()
	w.Errorf(string(i)+"\n\t"+format, args...)
}

// holds counts a check of an invariant, which fails unless ok.
func (w *world) holds(i invariant, ok bool, format string, args ...any) {
	w.Helper()
	w.witness.mu.Lock()
	w.witness.checks[i]++
	w.witness.mu.Unlock()
	if !ok {
		w.violated(i, format, args...)
	}
}

// begun sees a run that was recorded.
func (w *world) begun(x execution.Execution) {
	w.witness.mu.Lock()
	w.witness.owner[x.ID] = x.Org
	w.witness.status[x.ID] = x.Status
	other := id.Execution("")
	if x.RetryOf == "" {
		key := string(x.Org) + " " + string(x.Trigger.ID) + " " + string(x.Agent)
		if other = w.witness.first[key]; other == "" {
			w.witness.first[key] = x.ID
		}
	}
	w.witness.mu.Unlock()
	w.holds(oneRun, other == "", "%s and %s are runs of %s for %s", other, x.ID, x.Agent, x.Trigger.ID)
}

// ways are the moves that the graph of package execution draws, and staying.
func ways(from, to execution.Status) bool {
	open := []execution.Status{execution.Running, execution.Asking, execution.Completed, execution.Failed, execution.Cancelled}
	switch from {
	case execution.Pending:
		return to == execution.Pending || to == execution.Running || to == execution.Cancelled
	case execution.Running, execution.Asking:
		return slices.Contains(open, to)
	case execution.Completed, execution.Failed, execution.Cancelled:
		return to == from
	}
	return false
}

// saw sees a change that was applied; nothing else is applied meanwhile.
func (w *world) saw(c execution.Change) {
	x := c.Execution
	w.witness.mu.Lock()
	before := w.witness.status[x.ID]
	w.witness.status[x.ID] = x.Status
	w.witness.rest[x.ID] = [2]time.Time{x.Due.Add(-execution.Grace), w.witness.rest[x.ID][0]}
	w.witness.mu.Unlock()
	// Whoever commits under a lease took it in the same write.
	leased := before == execution.Pending && x.Status.Ended() && x.Lease.Attempt > 0
	w.holds(oneWay, leased || ways(before, x.Status), "%s went from %s to %s", x.ID, before, x.Status)
	if c.Reserve != nil || len(c.Released) > 0 || c.StatsDelta != nil {
		w.balances("after a change of " + string(x.ID))
	}
}

// balances checks that every credit is in exactly one place.
func (w *world) balances(when string) {
	w.Helper()
	month := credit.MonthOf(time.Now())
	b, err := w.store.Store.Balance(w.over, w.org, month)
	w.must(err)
	var held, used int64
	for _, x := range w.runs() {
		for _, h := range x.Holds {
			held += h.Amount
		}
	}
	stats, err := w.store.Store.Stats(w.over, w.org)
	w.must(err)
	for _, s := range stats {
		used += s.Used(month)
	}
	w.holds(sums, b.Remaining >= 0 && b.Remaining+held+used == b.Allocation,
		"%s: %d remain, %d are held and %d used of %d", when, b.Remaining, held, used, b.Allocation)
}

// reads sees that a process does something with a run, which must be of the
// organization that it works for.
func (w *world) reads(p *process, run id.Execution) {
	w.witness.mu.Lock()
	w.witness.calls++
	org, known := w.witness.owner[run]
	w.witness.mu.Unlock()
	if p == nil || p.many || !known {
		return
	}
	p.mu.Lock()
	if p.org == "" {
		p.org = org
	}
	mine := p.org
	p.mu.Unlock()
	w.holds(apart, mine == org, "a call about %s is made for %s", run, mine)
}

// repaired sees that the sweeper starts a run again, which it has just put off.
func (w *world) repaired(run id.Execution) {
	since := w.faults.since(run)
	w.witness.mu.Lock()
	defer w.witness.mu.Unlock()
	if rest := w.witness.rest[run][1]; rest.After(since) {
		since = rest
	}
	if !since.IsZero() {
		w.witness.repairs = append(w.witness.repairs, max(time.Since(since), 0))
	}
}
