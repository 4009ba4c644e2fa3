package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Invariant is a promise that holds under all faults.
type Invariant string

// The invariants.
const (
	EventsEnd     Invariant = "every accepted event ends as runs, as activity with a reason, or as a dead letter with a reason"
	OneRun        Invariant = "at most one run per organization, event and agent"
	OneEffect     Invariant = "at most one side effect per run and step, and every try carries the same key"
	CreditsAddUp  Invariant = "credits are never negative or beyond the allocation, their sums agree, and an answer is charged once"
	MovesAreDrawn Invariant = "a run changes its status only along the state graph, and a final status stays"
	NothingStuck  Invariant = "every run that can continue does so within 90 seconds of the last fault"
	OneVerdict    Invariant = "one verdict per approval, and the effect agrees with it"
	OrgsApart     Invariant = "no organization sees names of another"
	OutageIsOurs  Invariant = "an outage of the platform makes no dead letter"
	AgainIsNoMore Invariant = "repeating an event, redrive, decision or cancellation changes no result"
)

// Patience limits the standstill of a run after the last fault.
const Patience = 90 * time.Second

// A Violation is one breach of an invariant.
type Violation struct {
	Invariant Invariant
	Org, Run  string // where to look; Run may be empty
	What      string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s\n    %s %s: %s", v.Invariant, v.Org, v.Run, v.What)
}

// An auditor collects violations.
type auditor struct {
	*Evidence

	found []Violation
}

func (a *auditor) note(i Invariant, org, run, format string, args ...any) {
	a.found = append(a.found, Violation{i, org, run, fmt.Sprintf(format, args...)})
}

// Audit returns the violations in e.
func Audit(e Evidence) []Violation {
	a := &auditor{Evidence: &e}
	a.letters()
	calls := map[string][]Call{} // by organization
	for _, c := range e.Calls {
		calls[c.Org] = append(calls[c.Org], c)
	}
	for _, o := range e.Orgs {
		i := indexed(o, calls[o.Name])
		a.events(i)
		a.runs(i)
		a.effects(i)
		a.credits(i)
		a.moves(i)
		a.verdicts(i)
	}
	a.apart()
	return a.found
}

// An index looks up the evidence of one organization.
type index struct {
	Org

	calls  []Call
	agents map[string]Agent
	runs   map[string]Run
	steps  map[string]Definition // by agent and step
	asked  map[string]Approval   // by run and step
	done   map[string]Call       // by idempotency key
}

func indexed(o Org, calls []Call) *index {
	i := &index{
		Org: o, calls: calls, agents: map[string]Agent{}, runs: map[string]Run{}, steps: map[string]Definition{},
		asked: map[string]Approval{}, done: map[string]Call{},
	}
	for _, a := range o.Agents {
		i.agents[a.ID] = a
		i.define(a.ID, a.Steps)
	}
	for _, r := range o.Runs {
		i.runs[r.ID] = r
	}
	for _, p := range o.Approvals {
		i.asked[p.Run+":"+p.Step] = p
	}
	for _, c := range calls {
		if c.Done() {
			i.done[c.Key] = c
		}
	}
	return i
}

func (i *index) define(agent string, steps []Definition) {
	for _, s := range steps {
		i.steps[agent+":"+s.ID] = s
		for _, c := range s.Cases {
			i.define(agent, c.Steps)
		}
		i.define(agent, s.Else)
	}
}

// letters checks that each invalid event has a dead letter with its reason.
func (a *auditor) letters() {
	for _, p := range a.Published {
		if p.Reason == "" {
			continue
		}
		var reasons []string
		for _, l := range a.Letters {
			if strings.Contains(string(l.Event), p.ID) {
				reasons = append(reasons, l.Reason)
			}
		}
		reasons = slices.Compact(reasons)
		if !slices.Equal(reasons, []string{p.Reason}) && !slices.Equal(reasons, []string{"failed"}) {
			a.note(EventsEnd, p.Org, "", "event %s should have a dead letter with the reason %q, its letters have %q", p.ID, p.Reason, reasons)
		}
	}
}

// events checks that each listening agent has an activity entry for each event.
func (a *auditor) events(o *index) {
	said := map[string][]Activity{} // by agent and event
	for agent, entries := range o.Activity {
		for _, e := range entries {
			said[agent+" "+e.Event] = append(said[agent+" "+e.Event], e)
		}
	}
	for _, p := range a.Published {
		if p.Org != o.Name || p.Reason != "" {
			continue
		}
		for _, g := range o.Agents {
			if g.Trigger.Product+":"+g.Trigger.Type == p.Name {
				a.outcome(o, g, p, said[g.ID+" "+p.ID])
			}
		}
	}
	for _, r := range o.Runs {
		started := slices.ContainsFunc(said[r.Agent+" "+r.Event.ID], func(e Activity) bool { return e.Run == r.ID })
		if r.RetryOf == "" && !started {
			a.note(EventsEnd, o.Name, r.ID, "no activity entry of %s says that event %s started the run", r.Agent, r.Event.ID)
		}
	}
}

// outcome checks an agent's activity entries for an event.
func (a *auditor) outcome(o *index, g Agent, p Publication, said []Activity) {
	if len(said) == 0 && !a.gaveUp(p.ID) {
		a.note(EventsEnd, o.Name, "", "%s (%s) has no activity entry for event %s (%s)", g.ID, g.Name, p.ID, p.Name)
	}
	for _, e := range said {
		run, exists := o.runs[e.Run]
		switch {
		case e.Outcome == "":
			a.note(EventsEnd, o.Name, "", "the activity entry of %s for event %s has no outcome", g.ID, p.ID)
		case e.Outcome == "started" && (!exists || run.Agent != g.ID || run.Event.ID != p.ID):
			a.note(EventsEnd, o.Name, e.Run, "activity says that event %s started the run for %s, but no such run exists", p.ID, g.ID)
		}
	}
}

// gaveUp reports whether the event has a dead letter because every try failed.
func (a *auditor) gaveUp(event string) bool {
	return slices.ContainsFunc(a.Letters, func(l Letter) bool {
		return l.Reason == "failed" && strings.Contains(string(l.Event), event)
	})
}

// window is the time within which events of equal content must start one run. The
// product promises five minutes; this is shorter, because an event may be handled
// long after it was published.
const window = 2 * time.Minute

// runs checks that each event, and each content within window, started one run
// per agent.
func (a *auditor) runs(o *index) {
	first := map[string]string{}
	content := map[string]Publication{}
	for _, p := range a.Published {
		content[p.ID] = p
	}
	twins := map[string][]Run{}
	for _, r := range o.Runs {
		if r.RetryOf != "" {
			continue
		}
		key := r.Agent + " " + r.Event.ID
		if other := first[key]; other != "" {
			a.note(OneRun, o.Name, r.ID, "event %s also started %s for %s", r.Event.ID, other, r.Agent)
		}
		first[key] = r.ID
		said := content[r.Event.ID]
		key = r.Agent + " " + said.Content
		for _, other := range twins[key] {
			apart := said.At.Sub(content[other.Event.ID].At).Abs()
			if other.Event.ID != r.Event.ID && said.Content != "" && apart < window {
				a.note(OneRun, o.Name, r.ID, "event %s has the same content as %s, which started %s; they were published %v apart", r.Event.ID, other.Event.ID, other.ID, apart)
			}
		}
		twins[key] = append(twins[key], r)
	}
	a.retries(o)
}

func (a *auditor) retries(o *index) {
	again := map[string]int{}
	for _, r := range o.Runs {
		if r.RetryOf == "" {
			continue
		}
		again[r.RetryOf]++
		if of := o.runs[r.RetryOf]; of.Event.ID != r.Event.ID || of.Agent != r.Agent {
			a.note(OneRun, o.Name, r.ID, "the run retries %s, which has another event or agent", r.RetryOf)
		}
	}
	for of, n := range again {
		if n > o.Retries[of] {
			a.note(OneRun, o.Name, of, "the run was retried %d times, but users sent %d retries", n, o.Retries[of])
		}
	}
}

// effects checks that each action had one effect, under the right key, and that
// the traces agree with the calls.
func (a *auditor) effects(o *index) {
	done := map[string]int{}
	for _, c := range o.calls {
		run, step := parts(c.Key)
		r, known := o.runs[run]
		switch {
		case !known || !r.has(step):
			a.note(OneEffect, o.Name, c.Headers.Run, "%s %s has the key %q, which names no step of a run", c.Kind, c.Action, c.Key)
		case c.Headers.Run != "" && c.Headers.Run != run:
			a.note(OneEffect, o.Name, run, "%s %s of run %s has the key %q of another run", c.Kind, c.Action, c.Headers.Run, c.Key)
		case !strings.Contains(string(c.Params)+string(c.Body), run+":"+step) && marked(c):
			a.note(OneEffect, o.Name, run, "the call with the key %s is a try of another step: %s", c.Key, string(c.Params)+string(c.Body))
		}
		if c.Kind == "action" && c.Done() {
			if done[c.Key]++; done[c.Key] == 2 {
				a.note(OneEffect, o.Name, run, "%s %s took effect twice under the key %q", c.Product, c.Action, c.Key)
			}
		}
	}
	for _, r := range o.Runs {
		for _, s := range r.Steps {
			if s.Type == "product_action" && s.Status == "completed" && done[r.ID+":"+s.ID] != 1 {
				a.note(OneEffect, o.Name, r.ID, "step %s is completed, but took effect %d times", s.ID, done[r.ID+":"+s.ID])
			}
			if s.Type == "product_action" && (s.Status == "pending" || s.Status == "skipped" && s.Started == nil) && done[r.ID+":"+s.ID] > 0 && !interrupted(r) {
				a.note(OneEffect, o.Name, r.ID, "step %s is %s, but took effect", s.ID, s.Status)
			}
		}
	}
}

// interrupted reports whether a user cancelled the run, possibly during a step.
func interrupted(r Run) bool { return r.Reason == "cancelled_by_user" }

// parts returns the run and the step of an idempotency key. The key of a message
// has a third part, its recipient.
func parts(key string) (run, step string) {
	run, rest, _ := strings.Cut(key, ":")
	step, _, _ = strings.Cut(rest, ":")
	return run, step
}

// Mark precedes the run and step in the text of a call, by which the audit
// recognizes a call under a wrong key.
const Mark = "try of "

func marked(c Call) bool { return strings.Contains(string(c.Params)+string(c.Body), Mark) }

func (r Run) has(step string) bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.ID == step })
}
