// Package execution is one run of an agent: what happened to it, step by step,
// and where it goes from here.
//
//	pending ──▶ running ◀──▶ waiting_approval
//	   │           ├──▶ completed │
//	   │           ├──▶ failed    │
//	   └───────────┴──▶ cancelled ◀┘
//
// The record is the truth. Whoever moves a run on holds its lease, and every
// write is conditional on the revision that was read, so of two who act on the
// same state one wins and the other reads again. The steps that are done are
// rows of their own, and where the run stands follows from them: it is never
// stored, so it can never disagree.
//
// If the table is down nothing moves and nothing is lost: the bus, the queue
// and the machines repeat. If a function dies, its machine repeats it; if the
// machine is gone too, the sweeper finds the record by the time at which it was
// due, and starts another. A step that brings down every worker is given up in
// the end, so that nothing is tried for ever.
package execution

import (
	"strconv"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "execution_not_found", "No such execution.")
	ErrState    = fault.New(fault.Conflict, "invalid_execution_state", "The execution is not in a status that allows this.")
	ErrExists   = fault.New(fault.Stale, "execution_exists", "The execution exists already.")
	ErrStale    = fault.New(fault.Stale, "conflict", "The execution has changed; try again.")
)

// A Status is where a run stands.
type Status string

// The statuses. The last three are final.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Asking    Status = "waiting_approval"
	Completed Status = "completed"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Statuses returns all statuses.
func Statuses() []Status { return []Status{Pending, Running, Asking, Completed, Failed, Cancelled} }

// Ended reports whether the status is final.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// A Reason says why a run ended as it did.
type Reason string

// The reasons of a cancellation. A failed run has the code of its error.
const (
	ApprovalDenied  Reason = "approval_denied"
	ApprovalExpired Reason = "approval_expired"
	CancelledByUser Reason = "cancelled_by_user"
	AgentDeleted    Reason = "agent_deleted"
)

// Reasons returns all reasons of a cancellation.
func Reasons() []Reason {
	return []Reason{ApprovalDenied, ApprovalExpired, CancelledByUser, AgentDeleted}
}

// A Failure is what went wrong.
type Failure struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Step    id.Step `json:"step_id,omitempty"`
}

// An Execution is one run of an agent for one event.
type Execution struct {
	ID      id.Execution
	Org     id.Org
	Agent   id.Agent
	Version int         // of the definition that it runs
	Trigger event.Event // what woke the agent
	RetryOf id.Execution
	By      Starter // who asked for the retry; zero for a run that its event started

	Status    Status
	Reason    Reason
	Error     *Failure
	Credits   int64 // charged so far
	Warnings  int   // failed steps that were passed over, counted at the end
	Created   time.Time
	Started   time.Time
	Completed time.Time

	Lease         Lease
	WasParked     bool      // whether it ever was put to rest, or was found without progress
	Due           time.Time // when somebody should look; zero when nobody need
	Holds         map[id.Step]credit.Hold
	Last          *StepRecord // the step that ended with the run, kept in its record
	Done          int         // the steps that were at their end when the lease was taken
	StalledLeases int         // leases before this one since a step was last at its end
	Revision      int64       // counts the writes; 0 before the first
}

// A StarterType is a kind of starter.
type StarterType string

// The kinds of starters.
const (
	ByEvent StarterType = "event"
	ByUser  StarterType = "user"
	ByKey   StarterType = "key"
)

// A Starter is the event, the person or the integration key that started a run.
type Starter struct {
	Type StarterType
	ID   string
}

// StarterOf returns the caller as a starter.
func StarterOf(who caller.Caller) Starter {
	if who.Human() {
		return Starter{Type: ByUser, ID: string(who.User)}
	}
	return Starter{Type: ByKey, ID: string(who.Key)}
}

// StartedBy returns what started the run. It is zero for a retry that was
// recorded before retries said who asked for them.
func (x Execution) StartedBy() Starter {
	if x.RetryOf == "" {
		return Starter{Type: ByEvent, ID: string(x.Trigger.ID)}
	}
	return x.By
}

// Entry returns the activity entry of a run that an event started.
func (x Execution) Entry() activity.Entry {
	return activity.Entry{
		ID:  activity.StartID(x.Org, x.Agent, x.Trigger.ID, x.Trigger.Published),
		Org: x.Org, Agent: x.Agent, At: x.Created,
		Event: x.Trigger.ID, EventType: x.Trigger.Type, Product: x.Trigger.Product,
		Outcome: definition.Started, Execution: x.ID,
	}
}

// A Lease says who moves the run on. Attempt is a fencing token: it grows with
// every lease, and a write of an earlier one is refused.
type Lease struct {
	Owner   string
	Until   time.Time
	Attempt int64
}

// How long a lease lasts, when it is renewed while a step takes long, and how
// long after a time somebody looks whether what was due then has happened.
const (
	LeaseTime = 25 * time.Second
	RenewTime = 10 * time.Second
	Grace     = 25 * time.Second
)

// Young is for how long a run may be under way before it rests or ends, with
// room to spare: a machine has it for five minutes at most and then puts it to
// rest, and when the machine is gone the sweeper finds it within two.
const Young = 10 * time.Minute

// New returns a run of an agent that is about to start.
func New(x Execution, now time.Time) Execution {
	x.Status, x.Created, x.Due = Pending, now, now.Add(Grace)
	return x
}

// ID returns the name of the run that an event starts of an agent: always the
// same for the same event id, whatever else the event says, so that it is
// started once however often the bus delivers and products publish it. Its time
// is the one in the event's id, or none.
func ID(org id.Org, a id.Agent, e event.Event) id.Execution {
	made, _ := id.TimeOf(e.ID)
	return id.Execution("exec_" + id.Derive(made, string(org), string(a), string(e.ID)))
}

// RetryID returns the name of the n-th retry of the run, from 1: always the
// same, so that a retry that is asked for twice is begun once.
func (x Execution) RetryID(n int) id.Execution {
	return id.Execution("exec_" + id.Derive(x.Completed, string(x.Org), string(x.ID), "retry", strconv.Itoa(n)))
}

// MaxStalledLeases is how many leases in a row may end without a step at its end. A step
// that brings its worker down each time is given up then: about ten machines
// have tried it, for longer than a disturbance of the cloud usually lasts.
const MaxStalledLeases = 60

// Stuck reports whether the step at which the run stands is to be given up.
func (x Execution) Stuck() bool { return x.StalledLeases >= MaxStalledLeases }

// Leased returns the run with its lease taken by owner, and whether it could
// be; done is how many of its steps are at their end. An owner that calls again
// has lost its first call, so it may. A run that is at its end is nobody's.
func (x Execution) Leased(owner string, done int, now time.Time) (Execution, bool) {
	if x.Status.Ended() || x.Lease.Owner != "" && x.Lease.Owner != owner && now.Before(x.Lease.Until) {
		return x, false
	}
	x.Lease = Lease{Owner: owner, Until: now.Add(LeaseTime), Attempt: x.Lease.Attempt + 1}
	x.Status = Running
	if x.Lease.Attempt > 1 && x.Done == done {
		x.StalledLeases++
	} else {
		x.Done, x.StalledLeases = done, 0
	}
	if x.Started.IsZero() {
		x.Started = now
	}
	return x, true
}

// Recalled returns a run that is at its end with its lease taken by owner, to do
// what is still owed after it, and whether it could be taken: not from a worker
// that may be alive. Idle counts how often it was taken without progress.
func (x Execution) Recalled(owner string, done int, now time.Time) (Execution, bool) {
	if !x.Status.Ended() || x.Lease.Owner != owner && now.Before(x.Lease.Until) {
		return x, false
	}
	if x.Done == done {
		x.StalledLeases++
	} else {
		x.Done, x.StalledLeases = done, 0
	}
	x.Lease = Lease{Owner: owner, Attempt: x.Lease.Attempt + 1}
	return x.Renewed(now), true
}

// Concluded returns a run that is at its end, due no longer unless something is
// still owed: a price that is held, or an outcome of which people were not told.
func (x Execution) Concluded(done Steps) Execution {
	if x.Status.Ended() && len(x.Holds) == 0 && len(done.Owing(true)) == 0 {
		x.Due = time.Time{}
	}
	return x
}

// Renewed returns the run with its lease prolonged.
func (x Execution) Renewed(now time.Time) Execution {
	x.Lease.Until = now.Add(LeaseTime)
	x.Due = x.Lease.Until.Add(Grace)
	return x
}

// Parked returns the run put to rest until due, when somebody looks.
func (x Execution) Parked(due time.Time) Execution {
	x.Lease.Owner, x.Lease.Until = "", time.Time{}
	x.Due, x.WasParked = due.Add(Grace), true
	return x
}

// AwaitingApproval returns the run waiting for people until expires.
func (x Execution) AwaitingApproval(expires time.Time) Execution {
	x = x.Parked(expires)
	x.Status = Asking
	return x
}

// ended returns the run at its end. What is still held back keeps it due.
func (x Execution) ended(s Status, r Reason, now time.Time) Execution {
	x.Status, x.Reason, x.Completed = s, r, now
	if len(x.Holds) == 0 {
		x.Due = time.Time{}
	} else {
		x.Due = now.Add(LeaseTime + Grace)
	}
	return x
}

// owing returns a run at its end that is due: somebody looks whether the worker
// that may have it has told people of the outcome of its gates.
func (x Execution) owing() Execution {
	from := x.Completed
	if x.Lease.Until.After(from) {
		from = x.Lease.Until
	}
	if due := from.Add(Grace); due.After(x.Due) {
		x.Due = due
	}
	return x
}

// Complete returns the run after its last step.
func (x Execution) Complete(now time.Time) Execution { return x.ended(Completed, "", now) }

// Fail returns the run after a step failed.
func (x Execution) Fail(f Failure, now time.Time) Execution {
	x.Error = &f
	return x.ended(Failed, Reason(f.Code), now)
}

// Cancel returns the run cancelled, or ErrState when it is at its end.
func (x Execution) Cancel(r Reason, now time.Time) (Execution, error) {
	if x.Status.Ended() {
		return x, ErrState.Sayf("The execution is already %s.", x.Status)
	}
	return x.ended(Cancelled, r, now), nil
}

// Retry returns a new run of the same event, asked for by somebody, or ErrState.
// The definition is the agent's current one.
func (x Execution) Retry(as id.Execution, version int, by Starter, now time.Time) (Execution, error) {
	if x.Status != Failed && x.Status != Cancelled {
		return x, ErrState.Sayf("Only a failed or cancelled execution can be retried; this one is %s.", x.Status)
	}
	return New(Execution{
		ID: as, Org: x.Org, Agent: x.Agent, Version: version, Trigger: x.Trigger, RetryOf: x.ID, By: by,
	}, now), nil
}

// Changed returns about when the run was changed: when it ended, or when its
// lease was taken.
func (x Execution) Changed() time.Time {
	switch {
	case !x.Completed.IsZero():
		return x.Completed
	case !x.Lease.Until.IsZero():
		return x.Lease.Until.Add(-LeaseTime)
	}
	return x.Created
}

// ListedByStatus reports whether the run may stay as it is for long. Most runs begin
// and end within seconds: while they are under way they are found by their age,
// so that nobody pays for listing each under a status that it is about to leave.
func (x Execution) ListedByStatus() bool {
	return x.WasParked || x.Status == Asking || x.Status.Ended()
}

// Began returns when the first worker took the run; for one that none has taken,
// when it was recorded.
func (x Execution) Began() time.Time {
	if x.Started.IsZero() {
		return x.Created
	}
	return x.Started
}

// Duration returns how long the run took from its start to its end.
func (x Execution) Duration() time.Duration { return max(x.Completed.Sub(x.Began()), 0) }

// Offset returns how long after the start of its run a step began.
func (x Execution) Offset(s StepRecord) time.Duration { return max(s.Started.Sub(x.Began()), 0) }

// A StepStatus is where a step stands.
type StepStatus string

// The statuses of a step. The last three are final.
const (
	StepPending   StepStatus = "pending"
	StepRunning   StepStatus = "running"
	StepWaiting   StepStatus = "waiting"
	StepCompleted StepStatus = "completed"
	StepFailed    StepStatus = "failed"
	StepSkipped   StepStatus = "skipped"
)

// StepStatuses returns all statuses of a step.
func StepStatuses() []StepStatus {
	return []StepStatus{StepPending, StepRunning, StepWaiting, StepCompleted, StepFailed, StepSkipped}
}

// Ended reports whether the status is final.
func (s StepStatus) Ended() bool {
	return s == StepCompleted || s == StepFailed || s == StepSkipped
}

// A StepRecord is what happened at one step of a run. It is a document of ours: the
// stores keep its JSON.
type StepRecord struct {
	ID               id.Step           `json:"id"`
	Kind             definition.Kind   `json:"type"`
	Status           StepStatus        `json:"status"`
	Input            any               `json:"input,omitempty"`  // rendered, long values shortened
	Output           any               `json:"output,omitempty"` // what later steps see
	Error            *Failure          `json:"error,omitempty"`
	Tries            int               `json:"tries,omitempty"`
	Charge           *credit.Hold      `json:"charge,omitempty"` // what the answer costs
	Usage            *Usage            `json:"usage,omitempty"`
	Case             *int              `json:"case,omitempty"` // the case that a branch took; -1 for else
	Until            time.Time         `json:"until,omitzero"` // when a wait ends
	Asked            time.Time         `json:"asked,omitzero"` // when a gate first asked
	Escalated        bool              `json:"escalated,omitempty"`
	ShownToApprovers *ShownToApprovers `json:"bound,omitempty"` // what a gate has shown
	Started          time.Time         `json:"started,omitzero"`
	Ended            time.Time         `json:"ended,omitzero"`
	Attempt          int64             `json:"attempt"` // the lease under which it was written
}

// ShownToApprovers is what people saw at a gate, and what the run keeps to after it.
type ShownToApprovers struct {
	Client   jsonvalue.Values             `json:"client"`             // the client's profile
	Params   map[id.Step]jsonvalue.Values `json:"params"`             // of the actions that follow
	Messages map[id.Step]Written          `json:"messages,omitempty"` // of the notifications that follow
}

// Written is a message as people saw it at a gate, as far as it was known there.
type Written struct {
	Recipients []string `json:"recipients,omitempty"` // nil: they were not known
	Text       *Text    `json:"text,omitempty"`       // nil: it was not known, or too long to be kept
}

// A Text is what a message says.
type Text struct {
	Subject string `json:"subject,omitempty"`
	Body    string `json:"body"`
	Markup  string `json:"markup,omitempty"` // Body for a channel with a markup
}

// Usage is what a model says about its answer.
type Usage struct {
	Model        string `json:"model"`
	InputTokens  int64  `json:"input_tokens"`
	OutputTokens int64  `json:"output_tokens"`
}

// Credits returns what the step cost.
func (s StepRecord) Credits() int64 {
	if s.Charge == nil {
		return 0
	}
	return s.Charge.Amount
}

// Duration returns how long the step took, or has taken until now.
func (s StepRecord) Duration() time.Duration { return max(s.Ended.Sub(s.Started), 0) }
