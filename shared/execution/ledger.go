package execution

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
)

// A ledger is the record of the credits of one test run with live models. It has the form
// of a run, so that credits are reserved, charged and released by the same changes, and its
// steps are the answers, so that none is asked for twice. It is no run: no list has it, no
// machine works on it, its id is none that the API takes, and it adds to the statistics of
// its agent only the credits used.

const ledgerPrefix = "test_"

// LedgerTime is the time after which an open ledger is closed by the sweeper. The job of its
// test run has ended long before, or will never.
const LedgerTime = 15 * time.Minute

// LedgerID returns the id of the ledger of a job.
func LedgerID(j id.Job) id.Execution {
	return id.Execution(ledgerPrefix + strings.TrimPrefix(string(j), "job_"))
}

// NewLedger returns the ledger of a job for an agent.
func NewLedger(org id.Org, a id.Agent, j id.Job, now time.Time) Execution {
	x := New(Execution{ID: LedgerID(j), Org: org, Agent: a, Trigger: event.Event{Org: org}}, now).Kept(0, MinRetention)
	x.Due, x.FoundOpen = now.Add(LedgerTime), true // most are open when the watchdog would look
	return x
}

// IsLedger reports whether x is a ledger.
func (x Execution) IsLedger() bool { return strings.HasPrefix(string(x.ID), ledgerPrefix) }

// OpenedBy returns the open ledger under the lease of a worker that has the lease of its job.
// The lease fences the worker before: it needs no time of its own.
func (x Execution) OpenedBy(owner string, now time.Time) Execution {
	x.Lease = Lease{Owner: owner, Until: now, Attempt: x.Lease.Attempt + 1}
	if x.Status = Running; x.Started.IsZero() {
		x.Started = now
	}
	return x
}

// Closed returns the change that charges the answers of the open ledger and releases the rest.
// A late answer is refused.
func (x Execution) Closed(s Status, done Steps, now time.Time) Change {
	return x.End(func(x Execution) Execution { return x.ended(s, "", now) }, done, false)
}

// Reserve calls commit with the change that reserves the credits of a step, until it is
// decided for the balance as it is: the hold that first reaches a threshold notifies the
// organization. It returns the hold.
func Reserve(step id.Step, h credit.Hold, commit func(func(Execution) Change) error) (credit.Hold, error) {
	var seen *credit.Balance
	for range retry.Tries {
		err := commit(func(x Execution) Change {
			c, _ := x.Reserved(step, h)
			c.Watched, c.Seen = true, seen
			return c
		})
		reached, ok := errors.AsType[*credit.Reached](err)
		if !ok {
			return h, err
		}
		seen = &reached.Balance
		_, h.Low = seen.With(h.Amount)
	}
	return h, fmt.Errorf("reserve for %s: lost %d races at a threshold of the credits", step, retry.Tries)
}
