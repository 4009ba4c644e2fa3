package simulation_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// An invariant must hold under all faults. The witness checks those that must
// hold at every instant; the auditor checks all of them at the end of a story.
// Neither shares a rule with the services.
type invariant string

const (
	nothingLost     invariant = "nothing is lost: an event on the bus ends as runs, as activity with a reason, or as a dead letter"
	oneRun          invariant = "one run: an organization, an event and an agent have at most one run"
	oneEffect       invariant = "one effect: a step of a run has at most one effect, and every try has the same key"
	sums            invariant = "the sums agree: no balance is negative, at every instant remaining, held and charged credits add up to the allocation and the statistics have no more than was charged, and at rest the statistics equal the runs"
	grace           invariant = "the grace holds: refused answers of a day are free up to a hundredth of the allocation, at least 200 credits, and charged beyond it"
	oneWay          invariant = "one way: a status moves only along the graph, and an end is final"
	movesOn         invariant = "it moves on: within 90 seconds of the last fault a run has ended or waits for a gate or a time"
	oneVerdict      invariant = "one verdict: an approval has one verdict, and the run does what was approved and shown"
	othersDecide    invariant = "others decide: a guarded action begins on a fresh verdict of people who may give it, and whose access stands"
	isolation       invariant = "apart: data of one organization never appears in reads, actions or messages of another"
	again           invariant = "idempotent: repeating a completed request or event changes nothing"
	heard           invariant = "failures are published once: a failed run has one event id, which starts every listener but the agent that failed"
	outcomesSent    invariant = "outcomes are sent: only recipients of the question get the outcome, at most once"
	contained       invariant = "contained: a model's words reach a target, an audience or the outside only through a gate that showed them"
	pausedStops     invariant = "a pause stops: two seconds after an organization paused, and the last fault, no step begins, and each held run goes on after the resumption"
	recorded        invariant = "acts are recorded: every vote, cancellation, retry and pause by a person has exactly one entry of the audit log"
	withinQuotas    invariant = "quotas hold: an organization starts no more runs in a minute, has no more open runs and sends no more messages on a day than its plan allows"
	treesBounded    invariant = "trees are bounded: no root event has more runs than its plan allows, whatever products pass on"
	journalled      invariant = "the journal is whole: each delivered event of an organization that keeps a journal is in it once, as it was published"
	told            invariant = "told: the story of a run has a line about each step that it reached, in the order of time, and ends with the end of the run"
	nothingToRepair invariant = "nothing to repair: without faults the sweeper repairs nothing"
)

func invariants() []invariant {
	return []invariant{nothingLost, oneRun, oneEffect, sums, grace, oneWay, movesOn, oneVerdict, othersDecide, isolation, again, heard, outcomesSent, contained, pausedStops, recorded, withinQuotas, treesBounded, journalled, told, nothingToRepair}
}

// A witness observes every change when it happens.
type witness struct {
	mu      sync.Mutex
	owner   map[id.Execution]id.Org
	status  map[id.Execution]execution.Status
	rest    map[id.Execution][2]time.Time // latest allowed next change of a run, after and before its last change
	first   map[string]id.Execution       // the run of an agent for an event
	checks  map[invariant]int
	calls   int             // of all ports
	repairs []time.Duration // time from the last fault of a run, or its due time, to its restart
	events  []published
	pauses  map[id.Org]time.Time // of paused organizations that do not let open runs finish
	born    map[id.Execution]time.Time
	held    map[id.Execution]bool      // runs that a pause ever held
	ended   map[id.Execution]time.Time // when the cancellation of a run was answered
	roots   map[id.Event]id.Event      // the root of each event that a run is known to have caused
	started map[id.Execution]id.Event  // the event of each run
	trees   map[string]int             // runs of an organization below a root event

	charged map[string]int64 // credits of an organization and a month

	windows map[string]int // runs of a minute and messages of a day
	open    map[id.Org]int // runs that have not ended
}

// A published is an event on the bus with its expected result.
type published struct {
	event  event.Event
	letter string // the reason of its dead letter; "" if it is to be dispatched
}

func newWitness() *witness {
	return &witness{
		owner: map[id.Execution]id.Org{}, status: map[id.Execution]execution.Status{},
		rest: map[id.Execution][2]time.Time{}, first: map[string]id.Execution{}, checks: map[invariant]int{},
		pauses: map[id.Org]time.Time{}, born: map[id.Execution]time.Time{}, held: map[id.Execution]bool{}, ended: map[id.Execution]time.Time{},
		roots: map[id.Event]id.Event{}, started: map[id.Execution]id.Event{}, trees: map[string]int{},
		charged: map[string]int64{},
		windows: map[string]int{}, open: map[id.Org]int{},
	}
}

// violated fails the test with the invariant's text.
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

// begun observes the record of a new run.
func (w *world) begun(x execution.Execution) {
	w.witness.mu.Lock()
	w.witness.owner[x.ID] = x.Org
	w.witness.born[x.ID] = time.Now()
	w.witness.status[x.ID] = x.Status
	w.witness.open[x.Org]++
	minute := string(x.Org) + " " + x.Created.UTC().Format("2006-01-02 15:04")
	w.witness.windows[minute]++
	started, open := w.witness.windows[minute], w.witness.open[x.Org]
	w.witness.started[x.ID] = x.Trigger.ID
	root := w.witness.rootOf(x.Trigger.ID)
	w.witness.trees[string(x.Org)+" "+string(root)]++
	tree := w.witness.trees[string(x.Org)+" "+string(root)]
	other := id.Execution("")
	if x.RetryOf == "" {
		key := string(x.Org) + " " + string(x.Trigger.ID) + " " + string(x.Agent)
		if other = w.witness.first[key]; other == "" {
			w.witness.first[key] = x.ID
		}
	}
	w.witness.mu.Unlock()
	perMinute, mostOpen, _ := w.allowed()
	w.holds(withinQuotas, started <= perMinute, "%s is number %d of at most %d in its minute", x.ID, started, perMinute)
	w.holds(withinQuotas, open <= mostOpen, "%s is number %d of at most %d open runs", x.ID, open, mostOpen)
	w.holds(treesBounded, tree <= maxTree, "%s is number %d of at most %d below %s", x.ID, tree, maxTree, root)
	w.holds(oneRun, other == "", "%s and %s are runs of %s for %s", other, x.ID, x.Agent, x.Trigger.ID)
}

// maxTree is the number of runs that a root event may start on the plan starter.
const maxTree = 50

// caused observes that a run made a product publish an event.
func (o *witness) caused(e id.Event, by id.Execution) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.roots[e] = o.rootOf(o.started[by])
}

// rootOf returns the event at the root of another.
func (o *witness) rootOf(e id.Event) id.Event {
	if root, ok := o.roots[e]; ok {
		return root
	}
	return e
}

// allowed returns the quotas of an organization: those of a story, or of the plan
// starter, which all organizations here have.
func (w *world) allowed() (perMinute, open int, messages map[definition.Channel]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.limits; l.RunsPerMinute > 0 {
		return l.RunsPerMinute, l.OpenRuns, map[definition.Channel]int{definition.SMS: l.SMSPerDay, definition.Email: l.EmailsPerDay, "": l.ChatsPerDay}
	}
	return 300, 1000, map[definition.Channel]int{definition.SMS: 50, definition.Email: 500, "": 5000}
}

// messaged observes a message that leaves the platform.
func (w *world) messaged(m step.Message) {
	channel := m.Channel
	if channel != definition.SMS && channel != definition.Email {
		channel = "" // chats and webhooks together
	}
	day := fmt.Sprintf("%s %s %q", m.Org, time.Now().UTC().Format(time.DateOnly), channel)
	_, _, most := w.allowed()
	w.witness.mu.Lock()
	w.witness.windows[day]++
	n := w.witness.windows[day]
	w.witness.mu.Unlock()
	w.holds(withinQuotas, n <= most[channel] || nearMidnight(time.Now()), "the message %s is number %d of at most %d on its day", m.Key, n, most[channel])
}

// nearMidnight reports whether a worker may have counted a message on another day.
func nearMidnight(t time.Time) bool {
	const slow = 2 * time.Minute
	return t.Add(slow).UTC().Day() != t.UTC().Day() || t.Add(-slow).UTC().Day() != t.UTC().Day()
}

// paused observes a pause or a resumption.
func (w *world) paused(t tenant.Tenant) {
	w.witness.mu.Lock()
	defer w.witness.mu.Unlock()
	delete(w.witness.pauses, t.Org)
	if t.Pause.Active() && t.Pause.OpenRuns != tenant.Finish {
		w.witness.pauses[t.Org] = t.Pause.At
	}
}

// stopTime is the time within which a pause stops 200 open runs.
const stopTime = 2 * time.Second

// repairTime is the time within which the sweeper makes up for a pass that died.
const repairTime = time.Minute

// actsIn observes the first call of an action's step.
func (w *world) actsIn(org id.Org, run id.Execution, key string) {
	since := w.faults.latest()
	w.witness.mu.Lock()
	at, paused := w.witness.pauses[org]
	born := w.witness.born[run]
	ended, cancelled := w.witness.ended[run]
	w.witness.mu.Unlock()
	if own := w.faults.since(run); cancelled && time.Since(own) > slowest { // no worker is a zombie
		w.holds(oneWay, !time.Now().After(ended), "%s begins %s after the answer to the cancellation", key, time.Since(ended))
	}
	if !paused {
		return
	}
	if born.After(at) { // by a dispatcher that read the tenant before
		at = born
	}
	until := at.Add(stopTime)
	if !since.IsZero() && since.Add(repairTime).After(until) {
		until = since.Add(repairTime)
	}
	w.holds(pausedStops, time.Now().Before(until), "%s begins %s after the pause or its record", key, time.Since(at))
}

// wasHeld reports whether a pause ever held a run.
func (w *world) wasHeld(run id.Execution) bool {
	w.witness.mu.Lock()
	defer w.witness.mu.Unlock()
	return w.witness.held[run]
}

// allowedMove reports whether the graph of package execution allows the change of
// status, or none changes.
func allowedMove(from, to execution.Status) bool {
	open := []execution.Status{execution.Running, execution.WaitingApproval, execution.Completed, execution.Failed, execution.Cancelled}
	switch from {
	case execution.Pending:
		return to == execution.Pending || to == execution.Running || to == execution.Cancelled
	case execution.Running, execution.WaitingApproval:
		return slices.Contains(open, to)
	case execution.Completed, execution.Failed, execution.Cancelled:
		return to == from
	}
	return false
}

// saw observes an applied change; no other change is applied meanwhile.
func (w *world) saw(c execution.Change) {
	x := c.Execution
	w.witness.mu.Lock()
	before := w.witness.status[x.ID]
	w.witness.status[x.ID] = x.Status
	if x.Status.Ended() && !before.Ended() {
		w.witness.open[x.Org]--
	}
	w.witness.held[x.ID] = w.witness.held[x.ID] || x.Held
	if c.StatsDelta != nil {
		for _, h := range c.StatsDelta.Used {
			w.witness.charged[string(x.Org)+" "+string(h.Month)] += h.Amount
		}
	}
	w.witness.rest[x.ID] = [2]time.Time{x.Due.Add(-execution.Grace), w.witness.rest[x.ID][0]}
	w.witness.mu.Unlock()
	// A commit under a lease took the lease in the same write.
	leased := before == execution.Pending && x.Status.Ended() && x.Lease.Attempt > 0
	w.holds(oneWay, leased || allowedMove(before, x.Status), "%s went from %s to %s", x.ID, before, x.Status)
	if c.Reserve != nil || len(c.Released) > 0 || c.StatsDelta != nil {
		w.balances("after a change of " + string(x.ID))
	}
}

// balances checks that every credit is in exactly one place: it remains, is held by a
// run, or was charged. The statistics may lag behind the charges.
func (w *world) balances(when string) {
	w.Helper()
	month := credit.MonthOf(time.Now())
	b, err := w.store.Store.Balance(w.over, w.org, month)
	w.must(err)
	var held int64
	for _, x := range w.runs() {
		for _, h := range x.Holds {
			held += h.Amount
		}
	}
	used := w.used(month)
	w.witness.mu.Lock()
	charged := w.witness.charged[string(w.org)+" "+string(month)]
	w.witness.mu.Unlock()
	w.holds(sums, b.Remaining >= 0 && b.Remaining+held+charged == b.Allocation,
		"%s: %d remain, %d are held and %d charged of %d", when, b.Remaining, held, charged, b.Allocation)
	w.holds(sums, used <= charged, "%s: the statistics have %d used credits, and %d were charged", when, used, charged)
}

// used returns the credits of a month in the statistics.
func (w *world) used(month credit.Month) int64 {
	stats, err := w.store.Store.Stats(w.over, w.org)
	w.must(err)
	var used int64
	for _, s := range stats {
		used += s.Used(month)
	}
	return used
}

// reads checks that a process accesses only runs of the organization that it
// works for.
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
	w.holds(isolation, mine == org, "a call about %s is made for %s", run, mine)
}

// repaired observes that the sweeper restarts a run that it has postponed.
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
