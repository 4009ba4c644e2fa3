package execution

import (
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// A Change is applied atomically. Its Execution.Revision is the stored one, so
// the change is refused if the run was changed since it was read.
type Change struct {
	Execution Execution

	Step       *StepRecord        // a step to record
	Reopen     bool               // Step replaces a step that has ended
	Closed     []StepRecord       // steps to record as ended, so that a late answer is refused
	Gate       *approval.Approval // the approval to write; its Revision is the stored one
	Reserve    *credit.Hold       // taken from its month's balance, if sufficient
	Watched    bool               // refuse Reserve with credit.Reached when it is the first to reach a threshold
	Seen       *credit.Balance    // balance for which Reserve is marked; at any other, credit.Reached
	Released   []credit.Hold      // returned to their months' balances
	Pardon     *credit.Pardon     // of a released hold; credit.Moved when its balance has changed
	StatsDelta *StatsDelta        // recorded with the run, and added to the statistics of the agent later; see Contribution
	Outbox     []event.Event      // the platform's own events, published after the change
	Acts       []audit.Entry      // the acts of people and keys that made the change
}

// Gains returns the change of each month's balance; reservations count
// negative.
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
// reached: the next hold that reaches them notifies the organization.
func (c Change) Freed() map[credit.Month]credit.Marks {
	freed := map[credit.Month]credit.Marks{}
	for _, h := range c.Released {
		freed[h.Month] |= h.Low.Marks
	}
	return freed
}

// Pardoned returns the change with a pardon, if it releases that hold.
func (c Change) Pardoned(p *credit.Pardon) Change {
	if p != nil && slices.Contains(c.Released, p.Hold) {
		c.Pardon = p
	}
	return c
}

// A StatsDelta is what a change of a run adds to the statistics of its agent.
type StatsDelta struct {
	Runs, Completed, Failed int64
	Duration                time.Duration
	LastRun                 time.Time // zero: unchanged
	Used                    []credit.Hold
}

// countEnd adds the end of a run. A ledger is none.
func (d *StatsDelta) countEnd(x Execution) {
	if x.IsLedger() {
		return
	}
	d.Runs, d.LastRun, d.Duration = 1, x.Completed, x.Duration()
	switch x.Status {
	case Completed:
		d.Completed = 1
	case Failed:
		d.Failed = 1
	case Cancelled, Pending, Running, WaitingApproval:
	}
}

// A Contribution is the StatsDelta of one change, as the stream of changes delivers it:
// at least once, in any order across runs, and up to a day late. The run and its
// revision name it.
type Contribution struct {
	Org      id.Org
	Agent    id.Agent
	Run      id.Execution
	Revision int64     // of the run after the change
	At       time.Time // of the write, in whole seconds; each delivery has the same
	StatsDelta
}

// Contribution returns what the change adds to the statistics of the agent, and false
// if it adds nothing. Its time is that of the write, which the change does not know.
func (c Change) Contribution() (Contribution, bool) {
	if c.StatsDelta == nil {
		return Contribution{}, false
	}
	x := c.Execution
	return Contribution{Org: x.Org, Agent: x.Agent, Run: x.ID, Revision: x.Revision + 1, StatsDelta: *c.StatsDelta}, true
}

// Contributed returns what the change that made x added to the statistics of the agent:
// the credits used and, with end, the end of the run.
func (x Execution) Contributed(end bool, used []credit.Hold) Contribution {
	d := StatsDelta{Used: used}
	if end {
		d.countEnd(x)
	}
	return Contribution{Org: x.Org, Agent: x.Agent, Run: x.ID, Revision: x.Revision, StatsDelta: d}
}

// Reserved returns the change that reserves the credits of an AI step and counts
// the attempt at it, under the lease of x. It returns false if an earlier attempt that crashed already
// holds them.
func (x Execution) Reserved(step id.Step, h credit.Hold) (c Change, ok bool) {
	if _, held := x.Holds[step]; held {
		return Change{Execution: x}, false
	}
	x.Holds = maps.Clone(x.Holds)
	if x.Holds == nil {
		x.Holds = map[id.Step]credit.Hold{}
	}
	x.Holds[step] = h
	if x.Begun.Step != step {
		x.Begun = Begun{Step: step, Attempts: 1}
	}
	return Change{Execution: x, Reserve: &h}, true
}

// Released returns the change that releases the credits of an AI step and
// records the step without an answer. Both happen in one write, so that a late
// answer finds the step closed.
func (x Execution) Released(step StepRecord) (c Change, ok bool) {
	h, held := x.Holds[step.ID]
	if !held || step.Charge != nil {
		return Change{Execution: x}, false
	}
	x.Holds = maps.Clone(x.Holds)
	delete(x.Holds, step.ID)
	return Change{Execution: x, Released: []credit.Hold{h}, Step: &step}, true
}

// settled returns the change that charges for answered AI steps. Unless a call
// may still be under way, it releases the other holds and closes their steps.
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

// closeAt sets the time at which the closed steps ended.
func (c Change) closeAt(t time.Time) {
	for i := range c.Closed {
		c.Closed[i].Started, c.Closed[i].Ended = t, t
	}
}

// Park returns the change that parks a run and charges for its answers so far.
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

// End returns the change that ends a run. With underWay, another worker may
// still be calling a model: its credits stay held until Settle. The run stays
// due until the outcomes of its gates are sent; see Concluded.
func (x Execution) End(end Ending, done Steps, underWay bool) Change {
	c := x.settled(done, underWay)
	c.Execution = end(c.Execution)
	c.Execution.Warnings = done.PassedOver(c.Execution.Error)
	if len(done.Owing(true)) > 0 {
		c.Execution = c.Execution.owing()
	}
	c.Execution = c.Execution.unleased()
	c.closeAt(c.Execution.Completed)
	c.StatsDelta.countEnd(c.Execution)
	c.Outbox = c.Execution.lowEvents(c.StatsDelta.Used)
	if x.IsLedger() && len(c.StatsDelta.Used) == 0 {
		c.StatsDelta = nil
	}
	return c
}

// Settle returns the change that charges or releases the remaining holds of an
// ended run, and whether it has any. The run stays due until the outcomes of
// its gates are sent.
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
