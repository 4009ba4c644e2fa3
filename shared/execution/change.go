package execution

import (
	"maps"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// A Change is what must happen together or not at all. It is applied to the
// run as it was when it was read: Execution.Revision is still the stored one.
type Change struct {
	Execution Execution

	Step       *StepRecord        // a step to record
	Closed     []StepRecord       // steps to record, so that no answer to them can be recorded any more
	Gate       *approval.Approval // the question to write; its Revision is the stored one
	Reserve    *credit.Hold       // to be taken from its month's balance, if that has enough
	Watched    bool               // whether Reserve is refused with credit.Reached when it is the first to reach a threshold
	Seen       *credit.Balance    // for which Reserve is marked; another balance refuses it with credit.Reached
	Released   []credit.Hold      // to be given back to their months' balances
	StatsDelta *StatsDelta        // to be added to the stats of the agent
	Outbox     []event.Event      // of the platform itself, to be published after the change
}

// Gains returns what the balance of each month gains by the change; what is
// reserved is a loss.
func (c Change) Gains() map[credit.Month]int64 {
	gains := map[credit.Month]int64{}
	for _, h := range c.Released {
		gains[h.Month] += h.Amount
	}
	if c.Reserve != nil {
		gains[c.Reserve.Month] -= c.Reserve.Amount
	}
	return gains
}

// Freed returns the thresholds of each month that the released holds had
// reached: the next hold that reaches them tells the organization.
func (c Change) Freed() map[credit.Month]credit.Marks {
	freed := map[credit.Month]credit.Marks{}
	for _, h := range c.Released {
		freed[h.Month] |= h.Low.Marks
	}
	return freed
}

// A StatsDelta is what a run adds to the stats of its agent.
type StatsDelta struct {
	Runs, Completed, Failed int64
	Duration                time.Duration
	LastRun                 time.Time // zero leaves it
	Used                    []credit.Hold
}

// Reserved returns the change that takes an AI step's price, under the lease
// that x has. A price that is held already, since an earlier try died, is not
// taken twice: ok is false then and there is nothing to do.
func (x Execution) Reserved(step id.Step, h credit.Hold) (c Change, ok bool) {
	if _, held := x.Holds[step]; held {
		return Change{Execution: x}, false
	}
	x.Holds = maps.Clone(x.Holds)
	if x.Holds == nil {
		x.Holds = map[id.Step]credit.Hold{}
	}
	x.Holds[step] = h
	return Change{Execution: x, Reserve: &h}, true
}

// Released returns the change that gives back what an AI step held, and records
// that it has no answer: in one, so that an answer that comes late finds the
// step closed.
func (x Execution) Released(step StepRecord) (c Change, ok bool) {
	h, held := x.Holds[step.ID]
	if !held || step.Charge != nil {
		return Change{Execution: x}, false
	}
	x.Holds = maps.Clone(x.Holds)
	delete(x.Holds, step.ID)
	return Change{Execution: x, Released: []credit.Hold{h}, Step: &step}, true
}

// settled returns the change in which what was answered is used and, unless a
// call may still be under way, the rest is given back, and closed for answers.
func (x Execution) settled(done Steps, underWay bool) Change {
	c := Change{StatsDelta: &StatsDelta{}}
	holds := map[id.Step]credit.Hold{}
	for step, h := range x.Holds {
		switch {
		case done[step].Charge != nil:
			c.StatsDelta.Used = append(c.StatsDelta.Used, h)
			x.Credits += h.Amount
		case underWay:
			holds[step] = h
		default:
			c.Released = append(c.Released, h)
			if !done[step].Status.Ended() {
				c.Closed = append(c.Closed, StepRecord{
					ID: step, Kind: definition.AI, Status: StepSkipped, Attempt: x.Lease.Attempt,
				})
			}
		}
	}
	x.Holds = holds
	c.Execution = x
	return c
}

// closeAt says that the steps were closed when the run ended.
func (c Change) closeAt(t time.Time) {
	for i := range c.Closed {
		c.Closed[i].Started, c.Closed[i].Ended = t, t
	}
}

// Park returns the change that puts a run to rest: what was answered so far is
// paid for.
func (x Execution) Park(done Steps) Change {
	c := x.settled(done, true)
	c.Outbox = c.Execution.lowEvents(c.StatsDelta.Used)
	if len(c.StatsDelta.Used) == 0 {
		c.StatsDelta = nil
	}
	return c
}

// An Ending moves a run to its end; see Complete, Fail and Cancel.
type Ending func(Execution) Execution

// End returns the change that ends a run. A call may be under way when somebody
// else than the holder of the lease ends it: its price stays held, and is
// settled by Settle. The run stays due while people who were asked have not been
// told of the outcome; see Concluded.
func (x Execution) End(end Ending, done Steps, underWay bool) Change {
	c := x.settled(done, underWay)
	c.Execution = end(c.Execution)
	c.Execution.Warnings = done.PassedOver(c.Execution.Error)
	if len(done.Owing(true)) > 0 {
		c.Execution = c.Execution.owing()
	}
	c.closeAt(c.Execution.Completed)
	c.StatsDelta.Runs, c.StatsDelta.LastRun = 1, c.Execution.Completed
	c.StatsDelta.Duration = c.Execution.Duration()
	switch c.Execution.Status {
	case Completed:
		c.StatsDelta.Completed = 1
	case Failed:
		c.StatsDelta.Failed = 1
	case Cancelled, Pending, Running, Asking:
	}
	c.Outbox = c.Execution.lowEvents(c.StatsDelta.Used)
	return c
}

// Settle returns the change that settles what a run that is at its end still
// holds, and whether there is anything. The run stays due while people are to be
// told of an outcome.
func (x Execution) Settle(done Steps) (Change, bool) {
	if !x.Status.Ended() || len(x.Holds) == 0 {
		return Change{Execution: x}, false
	}
	c := x.settled(done, false)
	c.closeAt(x.Completed)
	c.Execution = c.Execution.Concluded(done)
	c.Outbox = c.Execution.lowEvents(c.StatsDelta.Used)
	if len(c.StatsDelta.Used) == 0 {
		c.StatsDelta = nil
	}
	return c, true
}
