package runner_test

import (
	"reflect"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// audit checks what must hold when everything is over, whatever went wrong. It
// reads the records and what the outside saw, and shares no rule with the
// services.
func (w *world) audit() {
	w.Helper()
	type sum struct{ runs, completed, failed, credits int64 }
	agents := map[id.Agent]sum{}
	var all int64
	for _, head := range w.runs() {
		x, steps := w.stored(head.ID)
		w.auditRun(x, steps)
		s := agents[x.Agent]
		s.runs++
		if x.Status == execution.Completed {
			s.completed++
		}
		if x.Status == execution.Failed {
			s.failed++
		}
		s.credits += x.Credits
		all += x.Credits
		agents[x.Agent] = s
	}
	for a, want := range agents {
		stats := w.stats(a)
		got := sum{runs: stats.Runs, completed: stats.Completed, failed: stats.Failed, credits: used(stats)}
		if got != want {
			w.Errorf("stats of %s: got %+v, want %+v", a, got, want)
		}
	}
	if b := w.balance(); b.Allocation-b.Remaining != all {
		w.Errorf("%d of %d credits remain, but runs used %d", b.Remaining, b.Allocation, all)
	}
	for key, n := range w.senders.sent {
		if n > 1 {
			w.Errorf("the message %s was sent %d times", key, n)
		}
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

func (w *world) auditRun(x execution.Execution, steps execution.Steps) {
	w.Helper()
	if x.Status != execution.Completed && x.Status != execution.Failed && x.Status != execution.Cancelled {
		w.Errorf("%s is still %s, due %v", x.ID, x.Status, x.Due)
	}
	if len(x.Holds) > 0 || !x.Due.IsZero() {
		w.Errorf("%s (%s) holds %v and is due at %v", x.ID, x.Status, x.Holds, x.Due)
	}
	var charged int64
	for _, s := range steps {
		if s.Charge == nil {
			continue
		}
		charged += s.Charge.Amount
		if s.Status != execution.StepCompleted || s.Kind != agent.AI {
			w.Errorf("%s: step %s (%s) is charged and %s", x.ID, s.ID, s.Kind, s.Status)
		}
	}
	if charged != x.Credits {
		w.Errorf("%s was charged %d, its steps %d", x.ID, x.Credits, charged)
	}
	asked := map[id.Step]approval.Approval{}
	for _, a := range w.questions() {
		if a.Execution == x.ID {
			if _, twice := asked[a.Step]; twice {
				w.Errorf("%s: two questions at %s", x.ID, a.Step)
			}
			asked[a.Step] = a
		}
	}
	d, err := agent.Library{System: systemAgents(), Shelf: w.store.Store}.Version(w.over, x.Org, x.Agent, x.Version)
	w.must(err)
	p := path{world: w, run: x, steps: steps, asked: asked, open: true, since: x.Started}
	p.walk(d.Steps)
	for key := range asked {
		if !p.seen[key] {
			w.Errorf("%s: a question at %s, which the run did not reach", x.ID, key)
		}
	}
	for _, e := range w.products.effects {
		if e.command.Execution == x.ID && !p.acted[e.command.Key] {
			w.Errorf("%s: %s was done, which the run does not know of", x.ID, e.command.Key)
		}
	}
}

// lag returns how long after its time something may happen when much goes wrong.
func (w *world) lag() time.Duration { return time.Duration(max(*trouble, 1) * float64(10*time.Minute)) }

// A path is what a run may have done, step after step.
type path struct {
	world *world
	run   execution.Execution
	steps execution.Steps
	asked map[id.Step]approval.Approval

	open  bool      // whether the run may get this far
	since time.Time // it got here at the earliest then
	seen  map[id.Step]bool
	acted map[string]bool // by idempotency key
}

func (p *path) walk(defs []agent.Step) {
	if p.seen == nil {
		p.seen, p.acted = map[id.Step]bool{}, map[string]bool{}
	}
	for _, def := range defs {
		p.seen[def.ID] = p.open
		s := p.steps[def.ID]
		p.judge(def, s)
		if def.Kind == agent.Branching && s.Status == execution.StepCompleted {
			if *s.Case < 0 {
				p.walk(def.Else)
			} else {
				p.walk(def.Cases[*s.Case].Steps)
			}
		}
	}
	if p.open && p.run.Status == execution.Failed && len(defs) > 0 && p.run.Error == nil {
		p.world.Errorf("%s failed without an error", p.run.ID)
	}
}

func (p *path) judge(def agent.Step, s execution.Step) {
	w, over := p.world, s.Status == execution.StepCompleted || s.Status == execution.StepSkipped || s.Status == execution.StepFailed
	if s.Status != "" && !p.open {
		w.Errorf("%s: step %s is %s, but the run should not have got there", p.run.ID, def.ID, s.Status)
	}
	if p.run.Status == execution.Completed && p.open && !over {
		w.Errorf("%s completed with step %s %q", p.run.ID, def.ID, s.Status)
	}
	if over && s.Ended.Before(p.since) {
		w.Errorf("%s: step %s ended at %v, before the one before it at %v", p.run.ID, def.ID, s.Ended, p.since)
	}
	switch def.Kind {
	case agent.Action:
		p.action(def, s)
	case agent.Gate:
		p.gate(def, s)
	case agent.Waiting:
		if s.Status == execution.StepCompleted && s.Ended.Sub(s.Until) > w.lag() && s.Started.Add(w.lag()).Before(s.Ended) {
			w.Errorf("%s: step %s waited until %v instead of %v", p.run.ID, def.ID, s.Ended, s.Until)
		}
		if s.Status == execution.StepCompleted && def.Duration > 0 && s.Ended.Sub(s.Started) < time.Duration(def.Duration)*time.Second {
			w.Errorf("%s: step %s waited only %v", p.run.ID, def.ID, s.Ended.Sub(s.Started))
		}
	case agent.AI, agent.Notification, agent.Branching:
	}
	if !over || s.Status == execution.StepFailed && def.OnError != agent.Continue {
		p.open = false
	}
	if over {
		p.since = s.Ended
	}
}

func (p *path) action(def agent.Step, s execution.Step) {
	e, did := p.world.products.did(p.run.ID, def.ID)
	if s.Status == execution.StepCompleted && !did {
		p.world.Errorf("%s: step %s is completed, but the product did nothing", p.run.ID, def.ID)
	}
	if !did {
		return
	}
	p.acted[e.command.Key] = true
	for _, a := range p.asked {
		for _, shown := range a.Actions {
			if p.steps[a.Step].Status == execution.StepCompleted && shown.Step == def.ID && shown.Params != nil &&
				!reflect.DeepEqual(shown.Params, e.command.Params) {
				p.world.Errorf("%s: people saw %v at %s, and %v was done", p.run.ID, shown.Params, a.Step, e.command.Params)
			}
		}
	}
	switch {
	case !p.open:
		p.world.Errorf("%s: %s was done, which the run should not have reached", p.run.ID, e.command.Key)
	case e.at.Before(p.since):
		p.world.Errorf("%s: %s was done at %v, before its turn at %v", p.run.ID, e.command.Key, e.at, p.since)
	case s.Status == execution.StepSkipped:
		p.world.Errorf("%s: %s was done, and skipped", p.run.ID, e.command.Key)
	}
}

func (p *path) gate(def agent.Step, s execution.Step) {
	a, asked := p.asked[def.ID]
	silent := a.Status == approval.Expired && def.OnExpiry == agent.Approve
	said := a.Status == approval.Approved || silent
	switch {
	case asked && a.Status == approval.Pending:
		p.world.Errorf("%s: the question at %s is still open", p.run.ID, def.ID)
	case s.Status == execution.StepSkipped && asked:
		p.world.Errorf("%s: gate %s is skipped and asked", p.run.ID, def.ID)
	case s.Status == execution.StepCompleted && !asked:
		p.world.Errorf("%s: gate %s is completed and never asked", p.run.ID, def.ID)
	}
	want := map[approval.Status]execution.Reason{
		approval.Denied: execution.ApprovalDenied, approval.Expired: execution.ApprovalExpired,
	}[a.Status]
	if asked && !said && p.run.Reason != want && p.run.Reason != execution.CancelledByUser {
		p.world.Errorf("%s: gate %s is %s, but the run is %s (%s)", p.run.ID, def.ID, a.Status, p.run.Status, p.run.Reason)
	}
	if late := s.Ended.Sub(a.DecidedAt); !a.DecidedAt.IsZero() && s.Status == execution.StepCompleted && late > p.world.lag() {
		p.world.Errorf("%s: the run went on %v after the decision at %s", p.run.ID, late, def.ID)
	}
	if a.Status == approval.Approved && len(a.Votes) < def.Min() {
		p.world.Errorf("%s: gate %s is approved by %d", p.run.ID, def.ID, len(a.Votes))
	}
	if asked && !said {
		p.open = false
	}
}
