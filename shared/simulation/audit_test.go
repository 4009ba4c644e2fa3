package simulation_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/story"
)

// audit checks the invariants after a story. It reads the records and the
// effects outside, and shares no rule with the services.
func (w *world) audit() {
	w.Helper()
	w.pass(3 * tallyWindow) // the statistics follow the runs
	type sum struct{ runs, completed, failed, credits int64 }
	agents, questions := map[id.Agent]sum{}, w.questions()
	for _, head := range w.runs() {
		x, steps := w.stored(head.ID)
		w.auditRun(x, steps, questions)
		s := agents[x.Agent]
		s.runs++
		if x.Status == execution.Completed {
			s.completed++
		}
		if x.Status == execution.Failed {
			s.failed++
		}
		s.credits += x.Credits
		agents[x.Agent] = s
	}
	for a, want := range agents {
		stats := w.stats(a)
		got := sum{runs: stats.Runs, completed: stats.Completed, failed: stats.Failed, credits: used(stats)}
		w.holds(sums, got == want, "stats of %s: got %+v, want %+v", a, got, want)
	}
	w.balances("at the end")
	for key, charged := range w.witness.charged {
		if org, month, _ := strings.Cut(key, " "); org == string(w.org) {
			w.holds(sums, w.used(credit.Month(month)) == charged, "the statistics have %d used credits of %s at rest, and %d were charged",
				w.used(credit.Month(month)), month, charged)
		}
	}
	w.auditGrace()
	for key, n := range w.senders.sent {
		w.holds(oneEffect, n <= 1, "the message %s was sent %d times", key, n)
	}
	w.auditEvents()
	w.auditJournal()
	w.auditOutside()
	w.auditWords()
	w.auditFailureEvents()
	w.auditActs()
}

// auditGrace checks which refused answers were free. A worker with a slow clock may
// count an answer before midnight for the next day, which others have begun.
func (w *world) auditGrace() {
	w.Helper()
	const least, share = 200, 100
	price := map[string]int64{"quick": 5, "standard": 20, "premium": 100, "expert": 200}
	limit := max(least, w.balance().Allocation/share)
	day := func(at time.Time) string { return at.UTC().Format(time.DateOnly) }
	certain, possible := map[string]int64{}, map[string]int64{}
	type charge struct {
		run    id.Execution
		step   id.Step
		day    string
		amount int64
	}
	var charges []charge
	for _, head := range w.runs() {
		x, steps := w.stored(head.ID)
		d, err := agent.Definitions{System: systemAgents(), Versions: w.store.Store}.Version(w.over, x.Org, x.Agent, x.Version)
		w.must(err)
		definition.EachStep(d.Steps, func(def definition.Step) {
			s := steps[def.ID]
			if !s.Refused {
				return
			}
			w.holds(grace, s.Status == execution.StepFailed && s.Error != nil && def.AIStep != nil, "%s: step %s is refused and %s", x.ID, def.ID, s.Status)
			amount := price[string(def.Model)]
			if s.Charge != nil {
				charges = append(charges, charge{x.ID, def.ID, day(s.Ended), s.Charge.Amount})
				w.holds(grace, s.Charge.Amount == amount && strings.Contains(s.Error.Message, "are charged"),
					"%s: step %s is charged %d and says %q", x.ID, def.ID, s.Charge.Amount, s.Error.Message)
				return
			}
			possible[day(s.Ended)] += amount
			if next := s.Ended.Add(skew); day(next) != day(s.Ended) {
				possible[day(next)] += amount
				return
			}
			certain[day(s.Ended)] += amount
		})
	}
	for d, free := range certain {
		w.holds(grace, free <= limit, "refused answers of %s were free for %d credits of %d", d, free, limit)
	}
	for _, c := range charges {
		w.holds(grace, possible[c.day]+c.amount > limit, "%s: step %s is charged, and only %d credits of %d were free on %s",
			c.run, c.step, possible[c.day], limit, c.day)
	}
}

func used(s agent.Stats) int64 {
	var n int64
	for _, month := range s.Credits {
		for _, amount := range month {
			n += amount
		}
	}
	return n
}

// auditEvents checks the result of each event at each agent that exists since
// before the event.
func (w *world) auditEvents() {
	w.Helper()
	events := slices.Clone(w.witness.events)
	for _, e := range w.bus.all() {
		events = append(events, published{event: e})
	}
	heads, err := w.store.Agents(w.over, w.org)
	w.must(err)
	answered := w.answered(heads)
	for _, p := range events {
		if p.event.Org != w.org && p.letter != "unknown_org" {
			continue
		}
		letters := w.queue.lettersOf(p.event.ID)
		if p.letter != "" {
			w.holds(nothingLost, slices.Contains(letters, p.letter) || slices.Contains(letters, "failed"), // its worker crashed every time
				"%s has letters %v, want %s", p.event.ID, letters, p.letter)
			continue
		}
		for _, a := range heads {
			if a.Created.Before(p.event.Published) && a.Updated.Equal(a.Created) && w.listens(a.ID, p.event) {
				w.holds(nothingLost, slices.Contains(letters, "failed") || answered[answer{a.ID, p.event.ID}],
					"nothing says what became of %s at %s; letters %v", p.event.ID, a.ID, letters)
			}
		}
	}
}

// listens reports whether an agent's trigger names an event.
func (w *world) listens(a id.Agent, e event.Event) bool {
	w.Helper()
	name, ok := w.triggers[a]
	if !ok {
		found, err := w.store.Store.Agent(w.over, w.org, a)
		w.must(err)
		name = found.Definition.Trigger.Event()
		w.triggers[a] = name
	}
	return name == e.Name()
}

// An answer is what an agent has for an event: a run or a reason against one.
type answer struct {
	agent id.Agent
	event id.Event
}

// answered returns the answers of agents to all events.
func (w *world) answered(heads []agent.Head) map[answer]bool {
	w.Helper()
	all := map[answer]bool{}
	for _, x := range w.runs() {
		all[answer{x.Agent, x.Trigger.ID}] = true
	}
	for _, a := range heads {
		p, err := w.store.Activity(w.over, w.org, a.ID, activity.Query{Limit: 10_000})
		w.must(err)
		for _, entry := range p.Entries {
			if entry.Outcome != definition.Started && entry.Detail != "" {
				all[answer{a.ID, entry.Event}] = true
			}
		}
	}
	return all
}

// auditOutside checks the effects on products and the messages to people.
func (w *world) auditOutside() {
	w.Helper()
	keys := map[string]string{}
	for _, c := range w.products.calls {
		org := w.witness.owner[c.Execution]
		w.holds(isolation, c.Org == org, "%s is done for %s, its run belongs to %s", c.Key, c.Org, org)
		what := string(c.Execution) + " " + c.Product + "." + c.Action + " " + event.Event{Payload: c.Params}.Content()
		before, tried := keys[what]
		w.holds(oneEffect, !tried || before == c.Key, "%s was tried as %s and as %s", what, before, c.Key)
		keys[what] = c.Key
	}
	for _, m := range w.senders.list {
		org := w.witness.owner[m.Execution]
		w.holds(isolation, m.Org == org, "the message %s is of %s, its run belongs to %s", m.Key, m.Org, org)
	}
	for _, q := range w.model.asked {
		org := w.witness.owner[q.Execution]
		w.holds(isolation, q.Org == org, "a question is of %s, its run %s belongs to %s", q.Org, q.Execution, org)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.reported { // a log line about one run names no other organization
		for run, org := range w.witness.owner {
			if strings.Contains(line.Error(), string(run)) {
				foreign := slices.ContainsFunc([]string{"org_acme", "org_other"}, func(o string) bool {
					return o != string(org) && strings.Contains(line.Error(), o)
				})
				w.holds(isolation, !foreign, "a report about %s of %s says %q", run, org, line)
			}
		}
	}
}

func (w *world) auditRun(x execution.Execution, steps execution.Steps, questions []approval.Approval) {
	w.Helper()
	w.holds(movesOn, x.Status.Ended(), "%s is still %s, due %v", x.ID, x.Status, x.Due)
	w.holds(sums, len(x.Holds) == 0 && x.Due.IsZero(), "%s (%s) holds %v and is due at %v", x.ID, x.Status, x.Holds, x.Due)
	var charged int64
	for _, s := range steps {
		if s.Charge == nil {
			continue
		}
		charged += s.Charge.Amount
		w.holds(sums, (s.Status == execution.StepCompleted || s.Status == execution.StepFailed && s.Refused) && s.Kind == definition.AI,
			"%s: step %s (%s) is charged and %s", x.ID, s.ID, s.Kind, s.Status)
	}
	w.holds(sums, charged == x.Credits, "%s was charged %d, its steps %d", x.ID, x.Credits, charged)
	asked := map[id.Step]approval.Approval{}
	for _, a := range slices.Backward(questions) { // the oldest first
		if a.Execution != x.ID {
			continue
		}
		before, twice := asked[a.Step]
		stale := before.Status == approval.Approved && a.Created.Sub(before.DecidedAt) >= 24*time.Hour
		w.holds(oneVerdict, (!twice || stale) && a.Org == x.Org, "%s: two questions at %s, or one of %s", x.ID, a.Step, a.Org)
		asked[a.Step] = a
	}
	for _, a := range asked {
		w.auditOutcome(a, steps[a.Step], steps[steps[a.Step].OutcomeRow()])
	}
	d, err := agent.Definitions{System: systemAgents(), Versions: w.store.Store}.Version(w.over, x.Org, x.Agent, x.Version)
	w.must(err)
	w.auditCached(x, d)
	w.auditStory(x, steps, d)
	p := path{world: w, run: x, steps: steps, asked: asked, open: true, since: x.Created} // under its first lease a run begins without a write
	p.walk(d.Steps)
	for key := range asked {
		w.holds(oneVerdict, p.seen[key], "%s: a question at %s, which the run did not reach", x.ID, key)
	}
	for _, e := range w.products.effects {
		if e.command.Execution == x.ID {
			w.holds(oneEffect, p.acted[e.command.Key], "%s: %s was done, which the run does not know of", x.ID, e.command.Key)
		}
	}
}

// auditStory checks that the story of an ended run leaves out no step.
func (w *world) auditStory(x execution.Execution, steps execution.Steps, d definition.Definition) {
	w.Helper()
	trace := execution.TraceOf(d, steps, true).Delivered(steps)
	lines := story.Run{Execution: x, Trace: trace, Agent: d.Name}.Lines()
	about := map[id.Step]bool{}
	var at time.Time
	for _, l := range lines {
		w.holds(told, l.Text != "" && len(l.Text) <= story.MaxText, "%s: a line of the story has %d bytes: %q", x.ID, len(l.Text), l.Text)
		if l.Step != "" {
			w.holds(told, !l.At.Before(at), "%s: the story tells of %v after %v: %q", x.ID, l.At, at, l.Text)
			about[l.Step], at = true, l.At
		}
	}
	for _, s := range trace {
		reached := s.Status != execution.StepSkipped || !s.Started.IsZero()
		w.holds(told, about[s.ID] || !reached, "%s: the story does not tell of step %s (%s)", x.ID, s.ID, s.Status)
	}
	last := lines[len(lines)-1]
	w.holds(told, last.Text == "The run "+story.Outcome(x) && last.At.Equal(x.Completed), "%s: the story ends with %q at %v", x.ID, last.Text, last.At)
}

// auditOutcome checks that exactly the recipients of a question got its
// outcome; row holds the deliveries that the run recorded.
func (w *world) auditOutcome(a approval.Approval, gate, row execution.StepRecord) {
	w.Helper()
	want := "decided"
	switch {
	case a.Status == approval.Expired:
		want = "expired"
	case a.DecidedBy == "":
		want = "withdrawn"
	}
	type person struct {
		channel   definition.Channel
		recipient string
	}
	asked, reached, told := map[person]bool{}, map[person]bool{}, map[person]int{}
	for _, list := range execution.NotifiedIn(gate.Output) { // a recipient who may have been asked counts as asked
		for _, d := range list {
			for _, r := range d.Recipients {
				who := person{d.Channel, r.Recipient}
				asked[who] = asked[who] || slices.Contains([]string{"sending", "unknown"}, string(r.Status))
			}
		}
	}
	seen := map[string]bool{}
	for _, m := range w.senders.list {
		rest, ours := strings.CutPrefix(m.Key, string(a.ID)+":")
		if !ours {
			continue
		}
		occasion, _, _ := strings.Cut(rest, ":")
		who := person{m.Channel, m.Recipient}
		switch {
		case !isOutcome(m):
			asked[who] = true
			reached[who] = reached[who] || w.senders.sent[m.Key] > 0
		case !seen[m.Key]:
			seen[m.Key] = true
			told[who] += w.senders.sent[m.Key]
			w.holds(outcomesSent, occasion == want && asked[who], "%s is %s, and %v, who was asked: %t, is told that it was %s",
				a.ID, a.Status, who, asked[who], occasion)
		}
	}
	status := map[person]string{}
	for _, list := range execution.NotifiedIn(row.Output) {
		for _, d := range list {
			for _, r := range d.Recipients {
				status[person{d.Channel, r.Recipient}] = string(r.Status)
			}
		}
	}
	for who := range reached {
		got := status[who]
		w.holds(outcomesSent, !reached[who] || slices.Contains([]string{"sent", "failed", "unknown"}, got),
			"%s: %v was asked, and the outcome is %q", a.ID, who, got)
		w.holds(outcomesSent, told[who] <= 1 && (got != "sent" || told[who] == 1) && (got != "failed" || told[who] == 0),
			"%s: %v was told the outcome %d times, and it is %q", a.ID, who, told[who], got)
	}
}

// lag is the longest delay of an action under many faults.
func (w *world) lag() time.Duration { return time.Duration(max(*trouble, 1) * float64(10*time.Minute)) }

// skew is the largest difference between the clocks of two deployments.
const skew = 4 * time.Second

// A path is the possible history of a run, step by step.
type path struct {
	world *world
	run   execution.Execution
	steps execution.Steps
	asked map[id.Step]approval.Approval

	open  bool      // whether the run may have reached this step
	since time.Time // earliest time at which it reached this step
	seen  map[id.Step]bool
	acted map[string]bool // by idempotency key

	// renewed is the path behind the last verdict of a gate that asked again: it
	// holds from the destructive action on, the first verdict up to there.
	renewed *path
}

func (p *path) walk(defs []definition.Step) {
	if p.seen == nil {
		p.seen, p.acted = map[id.Step]bool{}, map[string]bool{}
	}
	for _, def := range defs {
		p.seen[def.ID] = p.open
		s := p.steps[def.ID]
		p.judge(def, s)
		if def.Kind == definition.Branching && s.Status == execution.StepCompleted {
			if *s.Case < 0 {
				p.walk(def.Else)
			} else {
				p.walk(def.Cases[*s.Case].Steps)
			}
		}
	}
	p.world.holds(oneWay, !p.open || p.run.Status != execution.Failed || p.run.Error != nil, "%s failed without an error", p.run.ID)
}

func (p *path) judge(def definition.Step, s execution.StepRecord) {
	w, over := p.world, s.Status == execution.StepCompleted || s.Status == execution.StepSkipped || s.Status == execution.StepFailed
	if p.renewed != nil && def.ActionStep != nil && def.Action == "isolate_device" {
		p.open, p.since, p.renewed = p.open && p.renewed.open, p.renewed.since, nil
	}
	w.holds(oneWay, s.Status == "" || p.open, "%s: step %s is %s, but the run should not have got there", p.run.ID, def.ID, s.Status)
	w.holds(oneWay, p.run.Status != execution.Completed || !p.open || over, "%s completed with step %s %q", p.run.ID, def.ID, s.Status)
	w.holds(oneWay, !over || !s.Ended.Before(p.since.Add(-skew)),
		"%s: step %s ended at %v, before the one before it at %v", p.run.ID, def.ID, s.Ended, p.since)
	switch def.Kind {
	case definition.Action:
		p.action(def, s)
	case definition.Gate:
		p.gate(def, s)
		if s.Round > 0 {
			last := *p
			last.since = s.Ended
			p.open, p.renewed, s = true, &last, p.steps[def.ID+":round:0"]
		}
	case definition.Waiting:
		if s.Status == execution.StepCompleted {
			w.holds(movesOn, w.wasHeld(p.run.ID) || s.Ended.Sub(s.Until) <= w.lag() || !s.Started.Add(w.lag()).Before(s.Ended),
				"%s: step %s waited until %v instead of %v", p.run.ID, def.ID, s.Ended, s.Until)
			w.holds(oneWay, s.Ended.Sub(s.Started) >= time.Duration(def.Duration)*time.Second-skew,
				"%s: step %s waited only %v", p.run.ID, def.ID, s.Ended.Sub(s.Started))
		}
	case definition.AI, definition.Notification, definition.Branching:
	}
	if !over || s.Status == execution.StepFailed && def.OnError != definition.Continue {
		p.open = false
	}
	if over {
		p.since = s.Ended
	}
}

func (p *path) action(def definition.Step, s execution.StepRecord) {
	w := p.world
	e, did := w.products.did(p.run.ID, def.ID)
	w.holds(oneEffect, s.Status != execution.StepCompleted || did, "%s: step %s is completed, but the product did nothing", p.run.ID, def.ID)
	if !did {
		return
	}
	p.acted[e.command.Key] = true
	w.holds(oneVerdict, p.open, "%s: %s was done, which the run should not have reached", p.run.ID, e.command.Key)
	w.holds(oneWay, !p.open || !e.at.Before(p.since.Add(-skew)),
		"%s: %s was done at %v, before its turn at %v", p.run.ID, e.command.Key, e.at, p.since)
	w.holds(oneEffect, s.Status != execution.StepSkipped, "%s: %s was done, and skipped", p.run.ID, e.command.Key)
	for _, a := range p.asked {
		for _, shown := range a.Actions {
			if p.steps[a.Step].Status == execution.StepCompleted && shown.Step == def.ID && shown.Params != nil {
				w.holds(oneVerdict, reflect.DeepEqual(shown.Params, e.command.Params),
					"%s: people saw %v at %s, and %v was done", p.run.ID, shown.Params, a.Step, e.command.Params)
			}
		}
	}
}

func (p *path) gate(def definition.Step, s execution.StepRecord) {
	w := p.world
	a, asked := p.asked[def.ID]
	silent := a.Status == approval.Expired && def.OnExpiry == definition.Approve
	said := a.Status == approval.Approved || silent
	w.holds(oneVerdict, !asked || a.Status != approval.Pending, "%s: the question at %s is still open", p.run.ID, def.ID)
	w.holds(oneVerdict, s.Status != execution.StepSkipped || !asked, "%s: gate %s is skipped and asked", p.run.ID, def.ID)
	w.holds(oneVerdict, s.Status != execution.StepCompleted || asked, "%s: gate %s is completed and never asked", p.run.ID, def.ID)
	want := map[approval.Status]execution.Reason{
		approval.Denied: execution.ApprovalDenied, approval.Expired: execution.ApprovalExpired,
	}[a.Status]
	closed := p.run.Reason == execution.CancelledByUser || p.run.Reason == execution.AgentDeleted || p.run.Reason == execution.OrgPaused
	w.holds(oneVerdict, !asked || said || p.run.Reason == want || closed,
		"%s: gate %s is %s, but the run is %s (%s)", p.run.ID, def.ID, a.Status, p.run.Status, p.run.Reason)
	late := s.Ended.Sub(a.DecidedAt)
	w.holds(movesOn, a.DecidedAt.IsZero() || s.Status != execution.StepCompleted || late <= w.lag() || w.wasHeld(p.run.ID),
		"%s: the run went on %v after the decision at %s", p.run.ID, late, def.ID)
	yes := 0
	for _, v := range a.Votes {
		if v.Approve {
			yes++
		}
		w.holds(oneVerdict, v.At.Before(a.Expires.Add(skew)) && (p.run.Completed.IsZero() || !v.At.After(p.run.Completed.Add(skew))),
			"%s: a vote at %v; the time was over at %v, the run at %v", p.run.ID, v.At, a.Expires, p.run.Completed)
	}
	w.holds(oneVerdict, a.Status != approval.Approved || yes >= def.Min() && yes == len(a.Votes),
		"%s: gate %s is approved by %d of %d", p.run.ID, def.ID, yes, len(a.Votes))
	if asked && !said {
		p.open = false
	}
}

// ---- checks during a run ----

// patience is the time after the last fault within which a run must move on;
// see movesOn.
const patience = 90 * time.Second

// checkProgress checks that every run has ended, waits for a gate or a time, or
// was moved on: no run is overdue by more than the sweeper allows.
func (w *world) checkProgress() {
	w.Helper()
	now := time.Now()
	for _, head := range w.runs() {
		x, steps := w.stored(head.ID)
		if x.Status.Ended() || now.Before(x.Lease.Until) {
			continue // checked elsewhere, or executing
		}
		waits := false
		for _, s := range steps {
			if s.Status != execution.StepWaiting {
				continue
			}
			if s.Kind == definition.Waiting {
				waits = waits || now.Before(s.Until.Add(patience))
				continue
			}
			for _, a := range w.questions() {
				waits = waits || a.Execution == x.ID && a.Step == s.ID && a.Status == approval.Pending && now.Before(a.Expires.Add(patience))
			}
		}
		w.holds(movesOn, waits, "%s is %s and stands still, due %v, at %v", x.ID, x.Status, x.Due, now)
	}
}

// ---- repetition ----

// Totals are the sum of all effects.
type totals struct {
	Runs      []execution.Execution
	Steps     []execution.Steps
	Questions []approval.Approval
	Stats     map[id.Agent]agent.Stats
	Remaining int64
	Effects   int
	Sent      int
}

func (w *world) totals() totals {
	w.Helper()
	t := totals{Questions: w.questions(), Remaining: w.balance().Remaining, Effects: len(w.products.effects)}
	for _, head := range w.runs() {
		x, steps := w.stored(head.ID)
		t.Runs, t.Steps = append(t.Runs, x), append(t.Steps, steps)
	}
	var err error
	t.Stats, err = w.store.Store.Stats(w.over, w.org)
	w.must(err)
	for _, n := range w.senders.sent {
		t.Sent += n
	}
	return t
}

// removeLimitedAgents removes the agents with a limit: an event refused by the
// limit may start a run when it is repeated later.
func (w *world) removeLimitedAgents() {
	heads, err := w.store.Agents(w.over, w.org)
	w.must(err)
	for _, h := range heads {
		a, err := w.store.Store.Agent(w.over, w.org, h.ID)
		w.must(err)
		if a.Definition.Limit != nil {
			w.must(w.store.Store.DeleteAgent(w.over, a))
		}
	}
}

// repeat repeats every call that machines, queues and people may repeat after
// the end, and checks that it changes nothing.
func (w *world) repeat() {
	w.Helper()
	w.removeLimitedAgents()
	before := w.totals()
	for _, p := range w.witness.events {
		// A dead letter of a failed event is not complete: putting its event on
		// the bus again handles it.
		if p.event.Org == w.org && !slices.Contains(w.queue.lettersOf(p.event.ID), "failed") {
			w.queue.put(p.event, p.letter, 0)
		}
	}
	for _, e := range w.bus.all() {
		if e.Org == w.org {
			w.queue.put(e, "", 0)
		}
	}
	for _, x := range before.Runs {
		for _, owner := range []string{"again", "once more"} {
			call := machine.Call{Op: machine.OpRun, Cursor: machine.Cursor{Org: x.Org, Execution: x.ID}, Owner: owner}
			next, err := w.runner.Handle(w.over, call)
			w.holds(again, err == nil && next.Next == machine.NextDone, "%s goes on: %+v, %v", x.ID, next, err)
			call.Op, call.Token = machine.OpGate, w.name("token")
			_, err = w.runner.Handle(w.over, call)
			w.holds(again, err == nil, "%s cannot be asked about: %v", x.ID, err)
		}
		err := w.executions.Cancel(w.over, w.person("user_owner", caller.Owner), x.ID)
		w.holds(again, errors.Is(err, execution.ErrState), "%s is cancelled at its end: %v", x.ID, err)
	}
	for _, a := range before.Questions {
		_, err := w.approvals.Decide(w.over, w.person("user_late", caller.Owner), a.ID, approval.Verdict{Approve: true})
		w.holds(again, errors.Is(err, approval.ErrDecided) || errors.Is(err, approval.ErrExpired), "%s is decided again: %v", a.ID, err)
	}
	w.pass(10 * time.Minute)
	diff := cmp.Diff(before, w.totals())
	w.holds(again, diff == "", "(-before +after)\n%s", diff)
}

// auditCached checks that no worker has changed a definition that the workers of a
// process share.
func (w *world) auditCached(x execution.Execution, stored definition.Definition) {
	w.Helper()
	for _, one := range append([]*deployment{w.deployment}, w.others...) {
		cached, err := agent.Definitions{Versions: nothing{}, Cache: one.versions}.Version(w.over, x.Org, x.Agent, x.Version)
		if err == nil && !reflect.DeepEqual(cached, stored) && jsonvalue.Canonical(cached) != jsonvalue.Canonical(stored) {
			w.Errorf("%s: the cache has another version %d of %s than the store", x.ID, x.Version, x.Agent)
		}
	}
}

// nothing is a store without versions.
type nothing struct{ agent.VersionStore }

func (nothing) Version(context.Context, id.Org, id.Agent, int) (definition.Definition, error) {
	return definition.Definition{}, agent.ErrNotFound
}
