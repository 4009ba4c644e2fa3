// Package execution models a run of an agent: its state, its recorded steps,
// and the changes between states.
//
//	pending ──▶ running ◀──▶ waiting_approval
//	   │           ├──▶ completed │
//	   │           ├──▶ failed    │
//	   └───────────┴──▶ cancelled ◀┘
//
// The record is the truth. The worker that executes a run holds its lease, and
// every write is conditional on the revision that was read: of two writers with
// the same state, one succeeds and the other reads again. Each completed step
// has a row of its own. The position of the run is derived from these rows and
// never stored, so the two cannot disagree.
//
// If the table is down, nothing moves and nothing is lost: the bus, the queue
// and the machines retry. If a function crashes, its machine calls it again; if
// the machine is gone too, the sweeper finds the record by its due time and
// starts another; the watchdog sees to it that a run which does not end soon can be
// found. A step that crashes every worker is given up after MaxStalledLeases, so that
// no step is retried for ever.
package execution

import (
	"context"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/quota"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "execution_not_found", "No such execution.")
	ErrState    = fault.New(fault.Conflict, "invalid_execution_state", "The execution is not in a status that allows this.")
	ErrRetries  = fault.New(fault.Conflict, "limit_reached", "The execution was retried too often in the last hour.")
	ErrExists   = fault.New(fault.Stale, "execution_exists", "The execution exists already.")
	ErrStale    = fault.New(fault.Stale, "conflict", "The execution has changed; try again.")
)

// A Status is the state of a run.
type Status string

// The statuses. The last three are final.
const (
	Pending         Status = "pending"
	Running         Status = "running"
	WaitingApproval Status = "waiting_approval"
	Completed       Status = "completed"
	Failed          Status = "failed"
	Cancelled       Status = "cancelled"
)

// Statuses returns all statuses.
func Statuses() []Status {
	return []Status{Pending, Running, WaitingApproval, Completed, Failed, Cancelled}
}

// Ended reports whether the status is final.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// A Reason says why a run was cancelled or failed.
type Reason string

// The reasons of a cancellation. A failed run has the code of its error.
const (
	ApprovalDenied  Reason = "approval_denied"
	ApprovalExpired Reason = "approval_expired"
	CancelledByUser Reason = "cancelled_by_user"
	AgentDeleted    Reason = "agent_deleted"
	OrgPaused       Reason = "org_paused"
	OrgDeleted      Reason = "org_deleted" // only until the run is deleted too
)

// Reasons returns all reasons of a cancellation.
func Reasons() []Reason {
	return []Reason{ApprovalDenied, ApprovalExpired, CancelledByUser, AgentDeleted, OrgPaused, OrgDeleted}
}

// A Failure is the error that ended a run or a step.
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
	Trigger event.Event // the event that started the run
	RetryOf id.Execution
	By      Starter // the caller that requested the retry; zero for a run started by its event
	// Denials are the approvals that people denied in the runs of which this one
	// is a retry, or a retry of a retry; see Service.Retry.
	Denials []id.Approval
	// Untracked says that no agent of the organization listened for events about the
	// objects that the run makes, when it was recorded: their maker needs no record.
	Untracked bool
	// RootRuns is the number of runs that the event at the root of the run started
	// itself, or 0 where that is 1 and the event is the run's own.
	RootRuns int

	Status      Status
	Reason      Reason
	CancelledBy id.Actor // the author of the cancellation; empty in records from before it was kept
	Error       *Failure
	Credits     int64 // charged so far
	Warnings    int   // failed steps after which the run continued, counted at the end
	Created     time.Time
	Started     time.Time
	Completed   time.Time
	KeptUntil   time.Time // when its items expire; zero for an open run from before runs expired

	Lease         Lease
	WasParked     bool      // whether the run was ever parked or found without progress
	FoundOpen     bool      // whether the watchdog found the run open; see Swept
	Held          bool      // whether the pause of the organization stops the run before its next step
	Due           time.Time // when the sweeper should check the run; zero for never
	Holds         map[id.Step]credit.Hold
	Last          *StepRecord // the step that ended the run, if stored in its record
	Done          int         // number of ended steps when the lease was taken
	StalledLeases int         // earlier leases since a step last ended
	Begun         Begun       // the step that a worker last began, as far as a write says so
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

// A Starter is the event, the user or the integration key that started a run.
type Starter struct {
	Type     StarterType
	ID       string
	KeyMaker id.Actor // the person who made the key
}

// Actors returns the person or the key as records name them, and for a key also
// the person who made it; none for an event.
func (s Starter) Actors() []id.Actor {
	switch s.Type {
	case ByUser:
		return caller.Caller{User: id.User(s.ID)}.Actors()
	case ByKey:
		return caller.Caller{Key: id.Key(s.ID), KeyMaker: s.KeyMaker}.Actors()
	case ByEvent:
	}
	return nil
}

// StarterOf returns the caller as a starter.
func StarterOf(who caller.Caller) Starter {
	if who.Human() {
		return Starter{Type: ByUser, ID: string(who.User)}
	}
	return Starter{Type: ByKey, ID: string(who.Key), KeyMaker: who.KeyMaker}
}

// StartedBy returns the starter of the run. It is zero for a retry recorded
// before retries stored their starter.
func (x Execution) StartedBy() Starter {
	if x.RetryOf == "" {
		return Starter{Type: ByEvent, ID: string(x.Trigger.ID)}
	}
	return x.By
}

// Root returns the root of the tree of runs to which the run belongs.
func (x Execution) Root() quota.Root {
	r := quota.Root{Event: x.Trigger.Root(), Runs: x.RootRuns}
	if !x.Trigger.AgentTriggered() {
		r.Runs = max(r.Runs, 1)
	}
	return r
}

// Correlate sets the fields of the log lines of ctx to those of the run.
func (x Execution) Correlate(ctx context.Context) {
	correlation.Set(ctx, func(f *correlation.Fields) {
		f.Org, f.Event, f.Agent, f.Execution, f.Trace = x.Org, x.Trigger.ID, x.Agent, x.ID, x.Trigger.Trace().Trace.String()
	})
}

// Entry returns the activity entry of a run that an event started.
func (x Execution) Entry() activity.Entry {
	return activity.Entry{
		ID:  activity.StartID(x.Org, x.Agent, x.Trigger.ID, x.Trigger.Published),
		Org: x.Org, Agent: x.Agent, At: x.Created,
		Event: x.Trigger.ID, EventType: x.Trigger.Type, Product: x.Trigger.Product,
		Outcome: definition.Started, Execution: x.ID, Client: x.Trigger.Client,
	}
}

// A Lease names the worker that executes the run. Attempt is a fencing token:
// it grows with every lease, and a write under an earlier lease is refused.
type Lease struct {
	Owner   string
	Until   time.Time
	Attempt int64
}

// The duration of a lease, the interval at which it is renewed during a long
// step, and the delay after a due time before the sweeper checks the run.
const (
	LeaseTime = 25 * time.Second
	RenewTime = 10 * time.Second
	Grace     = 25 * time.Second
)

// FirstLeaseTime is the duration of the lease with which a run is recorded: longer than
// a machine needs to start under load, and shorter than Grace. When its machine never
// comes, the run is due no later than without a lease.
const FirstLeaseTime = 10 * time.Second

// A worker begins no step longer than LookTime after it last knew that no other writer had
// changed the run, by a read or a write of the record: it looks again. A request that ends
// or holds a run under way answers SettleTime after its write, and a worker that takes over
// a lease which has not expired waits as long. No step begins then that does not know of it.
const (
	LookTime   = 250 * time.Millisecond
	SettleTime = 300 * time.Millisecond
)

// MakerKept is how long the maker of an object is known: until then, an event about
// the object counts as caused by an agent.
const MakerKept = 30 * 24 * time.Hour

// Young is an upper bound for the time that a run executes before it is parked
// or ends: a machine parks it after five minutes at the latest, and when the
// machine is gone the sweeper finds the run within two.
const Young = 10 * time.Minute

// New returns a run of an agent that is about to start.
func New(x Execution, now time.Time) Execution {
	x.Status, x.Created, x.Due = Pending, now, now.Add(Grace)
	return x
}

// ID returns the id of the run that an event starts of an agent. It depends on
// the event id alone, not on the event's content, so a repeated delivery or
// publication finds the same run. Its time is the time in the event's id, or
// none.
func ID(org id.Org, a id.Agent, e event.Event) id.Execution {
	made, _ := id.TimeOf(e.ID)
	return id.Execution("exec_" + id.Derive(made, string(org), string(a), string(e.ID)))
}

// Digest returns the digest of the run's agent and of the content of its event, with
// the payload. Runs with the same digest share the payload that is stored.
func (x Execution) Digest() string { return id.Digest(string(x.Agent), x.Trigger.Content()) }

// Cursor returns the cursor with which the machine of the run, which was just
// recorded, starts.
func (x Execution) Cursor() machine.Cursor {
	return machine.Cursor{Org: x.Org, Execution: x.ID, Digest: x.Digest()}
}

// RetryID returns the id of the n-th retry of the run, from 1. It is
// deterministic, so a repeated request starts the retry once.
func (x Execution) RetryID(n int) id.Execution {
	return id.Execution("exec_" + id.Derive(x.Completed, string(x.Org), string(x.ID), "retry", strconv.Itoa(n)))
}

// MaxStalledLeases limits the leases in a row under which no step ends, also when
// the workers die before they begin one. About ten machines have tried it then, for
// longer than an outage of the cloud usually lasts.
const MaxStalledLeases = 60

// Stuck reports whether the current step is to be given up.
func (x Execution) Stuck() bool { return x.StalledLeases >= MaxStalledLeases }

// MaxAttempts limits the attempts at a step that leave no result: a step that
// crashes its worker each time is given up then. It costs a model's answer each
// time, and memory or time that other runs need.
const MaxAttempts = 3

// Begun counts the attempts at a step. A worker counts its attempt in the write
// that takes the lease or reserves the credits, before the step has any effect.
type Begun struct {
	Step     id.Step `json:"step"`
	Attempts int     `json:"attempts"`
}

// GivenUp reports whether the attempts at a step are used up.
func (x Execution) GivenUp(step id.Step) bool {
	return x.Begun.Step == step && x.Begun.Attempts >= MaxAttempts
}

// Beginning returns the run, which a worker has just leased, with its attempt at a
// step counted; before is the run as it was before the lease and done the number of
// its ended steps. A worker that died after it had ended other steps under its
// lease was at the next step and had no write to count its attempt in. So was one that
// tried the first step under the lease with which the run was recorded.
func (x Execution) Beginning(step id.Step, before Execution, done int, tried bool) Execution {
	if x.Begun.Step != step {
		x.Begun = Begun{Step: step}
		if before.Lease.Owner != "" && (done > before.Done || tried) {
			x.Begun.Attempts++
		}
	}
	x.Begun.Attempts++
	return x
}

// Leased returns the run leased to owner, and whether that was possible; done
// is the number of its ended steps. An owner may take its own lease again: it
// calls again only after its first call was lost. An ended run cannot be
// leased.
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

// FirstLeased returns a new run with a lease of owner, a name that no other worker has:
// it goes to the machine that is started together with the run, and to no other.
func (x Execution) FirstLeased(owner string, now time.Time) Execution {
	x.Lease = Lease{Owner: owner, Until: now.Add(FirstLeaseTime), Attempt: 1}
	return x
}

// BegunAt returns the run as its first worker begins it under the lease of owner with
// which it was recorded, and whether it may: the lease must have room left, and no
// writer may have changed the run. The worker need not write the lease again. The cloud
// may start a machine twice, so another worker may begin the run under the same lease.
// Of two, one records the first step, or makes the first change of the run; the
// other finds that and takes a lease of its own.
func (x Execution) BegunAt(owner string, now time.Time, room time.Duration) (Execution, bool) {
	if owner == "" || x.Lease.Owner != owner || !x.Unbegun() || !now.Add(room).Before(x.Lease.Until) {
		return x, false
	}
	x.Status, x.Started = Running, now
	return x, true
}

// UnderWay returns a run as running once it has a step: under the lease with which it
// was recorded, a worker records steps before it changes the run.
func (x Execution) UnderWay(done Steps) Execution {
	if x.Status != Pending || len(done) == 0 {
		return x
	}
	x.Status = Running
	for _, s := range done {
		if x.Started.IsZero() || s.Started.Before(x.Started) {
			x.Started = s.Started
		}
	}
	return x
}

// UnderLease reports whether a worker may be executing the run.
func (x Execution) UnderLease(now time.Time) bool {
	return x.Lease.Owner != "" && now.Before(x.Lease.Until)
}

// Unbegun reports whether no write says that a worker has begun the run, which was
// recorded with a lease. The machine that the lease was given to may never have started.
func (x Execution) Unbegun() bool {
	return x.Status == Pending && x.Revision == 1 && x.Lease.Owner != ""
}

// Lengthened returns the run, whose lease is the one with which it was recorded, with
// that of other leases. It is due when it was.
func (x Execution) Lengthened(now time.Time) Execution {
	x.Lease.Until = now.Add(LeaseTime)
	return x
}

// Recalled returns an ended run leased to owner, to do the work that remains
// after the end, and whether that was possible: a lease that has not expired
// belongs to a worker that may be alive. StalledLeases counts the leases
// without progress.
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

// Concluded clears the due time of an ended run, unless credits are still held
// or the outcome of a gate must still be sent.
func (x Execution) Concluded(done Steps) Execution {
	if x.Status.Ended() && len(x.Holds) == 0 && len(done.Owing(true)) == 0 {
		x.Due = time.Time{}
	}
	return x
}

// Renewed returns the run with its lease extended.
func (x Execution) Renewed(now time.Time) Execution {
	x.Lease.Until = now.Add(LeaseTime)
	return x.due(x.Lease.Until)
}

// due returns the run due for the sweeper after Grace. A held run is never due.
func (x Execution) due(at time.Time) Execution {
	x.Due = at.Add(Grace)
	if x.Held {
		x.Due = time.Time{}
	}
	return x
}

// Swept reports whether the sweeper finds the run by its due time. A new run is not found:
// most end within seconds, and finding each would cost a write to the index when it is
// recorded and another when it ends. The watchdog looks at each new run soon after, and
// marks the run if it is still open.
func (x Execution) Swept() bool {
	return !x.Due.IsZero() && (x.FoundOpen || x.WasParked || x.Status.Ended())
}

// FindOpen returns the run marked for the sweeper, and whether the mark changes it. The
// sweeper finds a run that rested, or an ended run that is due, without the mark.
func (x Execution) FindOpen() (found Execution, ok bool) {
	if x.Status.Ended() || x.FoundOpen || x.WasParked {
		return x, false
	}
	x.FoundOpen = true
	return x, true
}

// Hold returns the run held by the pause of its organization, and whether that
// changes it. A worker that finds its run held finishes and records the step under
// way, and begins no other.
func (x Execution) Hold() (held Execution, ok bool) {
	if x.Status.Ended() || x.Held {
		return x, false
	}
	x.Held, x.WasParked, x.Due = true, true, time.Time{}
	return x, true
}

// Release returns the run after its organization resumed, and whether that changes
// it. It is due at once, or when the lease of its worker has expired.
func (x Execution) Release(now time.Time) (released Execution, ok bool) {
	if x.Status.Ended() || !x.Held {
		return x, false
	}
	x.Held = false
	if now.Before(x.Lease.Until) {
		now = x.Lease.Until
	}
	return x.due(now), true
}

// StatusReason returns why the run has its status: the reason of its end, or that
// its organization is paused.
func (x Execution) StatusReason() Reason {
	if x.Held {
		return OrgPaused
	}
	return x.Reason
}

// Parked returns the run without a lease, due for the sweeper at due plus
// Grace.
func (x Execution) Parked(due time.Time) Execution {
	x.Lease.Owner, x.Lease.Until = "", time.Time{}
	x.WasParked = true
	return x.due(due)
}

// AwaitingApproval returns the run parked for an approval until expires.
func (x Execution) AwaitingApproval(expires time.Time) Execution {
	x = x.Parked(expires)
	x.Status = WaitingApproval
	return x
}

// ended returns the run at its end. Credits still held keep it due.
func (x Execution) ended(s Status, r Reason, now time.Time) Execution {
	x.Status, x.Reason, x.Completed, x.Held = s, r, now, false
	x = x.keptOn(now)
	if len(x.Holds) == 0 {
		x.Due = time.Time{}
	} else {
		x.Due = now.Add(LeaseTime + Grace)
	}
	return x
}

// owing returns an ended run that is due: the sweeper checks whether the worker
// that held its lease has sent the outcomes of its gates.
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

// unleased returns an ended run that is no longer due without what its workers kept in
// it, so that its last step has more room in the record.
func (x Execution) unleased() Execution {
	if x.Due.IsZero() {
		x.Lease.Owner, x.Lease.Until = "", time.Time{}
		x.Begun, x.Done, x.StalledLeases = Begun{}, 0, 0
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

// Cancel returns the run cancelled, or ErrState when it has ended.
func (x Execution) Cancel(r Reason, by id.Actor, now time.Time) (Execution, error) {
	if x.Status.Ended() {
		return x, ErrState.Sayf("The execution is already %s.", x.Status)
	}
	x.CancelledBy = by
	return x.ended(Cancelled, r, now), nil
}

// Retry returns a new run of the same event with the agent's current version,
// or ErrState. It carries the denials of x on.
func (x Execution) Retry(as id.Execution, version int, by Starter, denials []id.Approval, now time.Time) (Execution, error) {
	if x.Status != Failed && x.Status != Cancelled {
		return x, ErrState.Sayf("Only a failed or cancelled execution can be retried; this one is %s.", x.Status)
	}
	return New(Execution{
		ID: as, Org: x.Org, Agent: x.Agent, Version: version, Trigger: x.Trigger, RetryOf: x.ID, By: by,
		Denials: denials, RootRuns: x.RootRuns,
	}, now), nil
}

// Changed returns approximately when the run last changed: its end, or the time
// at which its lease was taken.
func (x Execution) Changed() time.Time {
	switch {
	case !x.Completed.IsZero():
		return x.Completed
	case x.Lease.Until.Add(-LeaseTime).After(x.Created):
		return x.Lease.Until.Add(-LeaseTime)
	}
	return x.Created
}

// ListedByStatus reports whether the run is listed under its status. Most runs
// end within seconds: until then lists find them by their age, which saves a
// write to the index for a status that they are about to leave.
func (x Execution) ListedByStatus() bool {
	return x.WasParked || x.Status == WaitingApproval || x.Status.Ended()
}

// Began returns when the first worker took the run, or when it was recorded if
// none has.
func (x Execution) Began() time.Time {
	if x.Started.IsZero() {
		return x.Created
	}
	return x.Started
}

// Duration returns the time from start to end.
func (x Execution) Duration() time.Duration { return max(x.Completed.Sub(x.Began()), 0) }

// Offset returns the time from the start of the run to the start of a step.
func (x Execution) Offset(s StepRecord) time.Duration { return max(s.Started.Sub(x.Began()), 0) }

// A StepStatus is the state of a step.
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

// A StepRecord is the result of a step of a run. Its JSON is a stored format.
type StepRecord struct {
	ID               id.Step           `json:"id"`
	Kind             definition.Kind   `json:"type"`
	Status           StepStatus        `json:"status"`
	Input            any               `json:"input,omitempty"`  // rendered, long values shortened
	Output           any               `json:"output,omitempty"` // visible to later steps
	Error            *Failure          `json:"error,omitempty"`
	Tries            int               `json:"tries,omitempty"`
	Charge           *credit.Hold      `json:"charge,omitempty"`  // credits for the model's answer
	Refused          bool              `json:"refused,omitempty"` // a model was called, and the tenant's schema or timeout left no answer
	Usage            *Usage            `json:"usage,omitempty"`
	QuestionDigest   string            `json:"pd,omitempty"`   // of the question that a model answered; empty in records from before it was kept
	Case             *int              `json:"case,omitempty"` // the case that a branch took; -1 for else
	Until            time.Time         `json:"until,omitzero"` // when a wait ends
	Asked            time.Time         `json:"asked,omitzero"` // when the approval was first requested
	Escalated        bool              `json:"escalated,omitempty"`
	Decided          time.Time         `json:"decided,omitzero"` // when people approved; set for gates
	Round            int               `json:"round,omitempty"`  // how often a gate has asked before; see Again
	ShownToApprovers *ShownToApprovers `json:"bound,omitempty"`  // set for gates
	Started          time.Time         `json:"started,omitzero"`
	Ended            time.Time         `json:"ended,omitzero"`
	Attempt          int64             `json:"attempt,omitempty"` // fencing token of the lease under which it was written
}

// ShownToApprovers holds the values that a gate showed and that the run must
// use after it.
type ShownToApprovers struct {
	Client   jsonvalue.Values             `json:"client"`             // the client's profile
	Params   map[id.Step]jsonvalue.Values `json:"params"`             // of the actions that follow
	Messages map[id.Step]Written          `json:"messages,omitempty"` // of the notifications that follow
}

// Written is a message as a gate showed it, as far as it was known then.
type Written struct {
	Recipients []string `json:"recipients,omitempty"` // nil if unknown
	Text       *Text    `json:"text,omitempty"`       // nil if unknown or too long
}

// A Text is the content of a message.
type Text struct {
	Subject string `json:"subject,omitempty"`
	Body    string `json:"body"`
	Markup  string `json:"markup,omitempty"` // Body in the channel's markup
}

// Usage is the token usage that the model reported.
type Usage struct {
	Model        string `json:"model"`
	InputTokens  int64  `json:"input_tokens"`
	OutputTokens int64  `json:"output_tokens"`
}

// Credits returns the cost of the step.
func (s StepRecord) Credits() int64 {
	if s.Charge == nil {
		return 0
	}
	return s.Charge.Amount
}

// Duration returns the time that the step took.
func (s StepRecord) Duration() time.Duration { return max(s.Ended.Sub(s.Started), 0) }
