// Package job runs tasks for an organization that take longer than a request, such as a
// back-test.
//
// A caller starts a job, a worker does its work, and the caller reads the result for 30
// days. An organization has one open job of a kind at a time.
//
// A worker holds a lease and renews it while it works. Every write of a job is
// conditional on the revision that it was computed from: a worker that lost its lease, or
// whose job was cancelled, loses its next write and stops. Every open job has a due time.
// When it passes, the worker was never started or has died, and the sweeper starts
// another one. The work goes on from the last stored cursor, or begins anew; so work must
// come to the same result either way.
//
//	pending ─▶ running ─▶ completed | failed
//	   └──────────┴─────▶ cancelled
package job

import (
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "job_not_found", "No such job.")
	ErrRunning  = fault.New(fault.Conflict, "job_running", "A job of this kind is open; an organization has one at a time.")
	ErrEnded    = fault.New(fault.Conflict, "conflict", "The job has ended.")
	ErrStale    = fault.New(fault.Stale, "conflict", "The job has changed; try again.")

	errGaveUp   = fault.New(fault.Internal, "job_failed", "The job was begun several times and never came to an end.")
	errTooLarge = fault.New(fault.Internal, "job_failed", "The result is too large to be kept.")
)

// A Kind is a kind of job.
type Kind string

// The kinds.
const (
	// Backtest judges the events of the journal as a definition would have judged them.
	Backtest Kind = "backtest"
	// LiveTest plays an agent on an event with live models.
	LiveTest Kind = "live_test"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Backtest, LiveTest} }

// A Status is the state of a job.
type Status string

// The statuses.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Completed Status = "completed"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Statuses returns all statuses.
func Statuses() []Status { return []Status{Pending, Running, Completed, Failed, Cancelled} }

// Ended reports whether nothing more happens to a job.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// Times and bounds of jobs.
const (
	LeaseTime = 60 * time.Second // of a worker without a sign of life
	Grace     = 20 * time.Second // between the end of a lease and the next worker
	Kept      = 30 * 24 * time.Hour

	// MaxBegins is the number of leases without progress after which a job fails.
	MaxBegins = 5

	// MaxArgs and MaxResult are the sizes of the arguments and the result, in bytes. An
	// item of the table has 400 KB.
	MaxArgs   = 300 << 10
	MaxResult = 300 << 10
)

// A Progress is how far the work is.
type Progress struct {
	Cursor string // where the work goes on after an interruption; "" for the beginning
	Done   int    // parts of Of
	Of     int    // 0 while unknown
}

// A Lease names the worker of a job.
type Lease struct {
	Owner string
	Until time.Time
}

// A Failure says why a job failed.
type Failure struct {
	Code    string
	Message string
}

// A Job is one job.
type Job struct {
	Progress

	ID      id.Job
	Org     id.Org
	Kind    Kind
	By      id.Actor
	Status  Status
	Created time.Time
	Started time.Time // when the first worker began; zero before
	Ended   time.Time
	Failure *Failure

	Lease    Lease
	Begins   int       // leases since the last progress
	Due      time.Time // when the sweeper starts a worker; zero for an ended job
	Expires  time.Time // when the job may be forgotten; zero for an open one
	Revision int64     // counts the writes; 0 before the first
}

// New returns a job that a caller starts.
func New(j Job, now time.Time) Job {
	j.Status, j.Created, j.Due = Pending, now, now.Add(Grace)
	return j
}

// Leased returns the job leased to a worker, and whether it may begin: the job is open
// and no other lease is valid.
func (j Job) Leased(owner string, now time.Time) (Job, bool) {
	if j.Status.Ended() || j.Lease.Owner != owner && now.Before(j.Lease.Until) {
		return j, false
	}
	if j.Status = Running; j.Started.IsZero() {
		j.Started = now
	}
	j.Lease.Owner = owner
	j.Begins++
	return j.renewed(now), true
}

// renewed returns the job with a lease that begins now.
func (j Job) renewed(now time.Time) Job {
	j.Lease.Until = now.Add(LeaseTime)
	j.Due = j.Lease.Until.Add(Grace)
	return j
}

// Progressed returns the job with its progress. The lease is renewed when half of it has
// passed: a renewal costs three times as much as a write without one.
func (j Job) Progressed(p Progress, now time.Time) Job {
	if p.Cursor != j.Cursor {
		j.Begins = 1
	}
	j.Progress = p
	if j.Lease.Until.Sub(now) < LeaseTime/2 {
		j = j.renewed(now)
	}
	return j
}

// Released returns the job without a worker, due at once: there is more to do than the
// time of this worker allows.
func (j Job) Released(p Progress, now time.Time) Job {
	j = j.Progressed(p, now)
	j.Lease, j.Due = Lease{}, now
	return j
}

// Postponed returns the job as the sweeper leaves it when it starts another worker.
func (j Job) Postponed(now time.Time) Job {
	j.Due = now.Add(Grace)
	return j
}

// Completed returns the job with its work done.
func (j Job) Completed(now time.Time) Job {
	if j.Of > 0 {
		j.Done = j.Of
	}
	return j.end(Completed, now)
}

// Failed returns the job with the reason why its work cannot be done.
func (j Job) Failed(why *fault.Error, now time.Time) Job {
	j.Failure = &Failure{Code: why.Code, Message: why.Message}
	return j.end(Failed, now)
}

// Cancel returns the job as its caller ended it, or ErrEnded.
func (j Job) Cancel(now time.Time) (Job, error) {
	if j.Status.Ended() {
		return j, ErrEnded.Sayf("The job is %s and cannot be cancelled.", j.Status)
	}
	return j.end(Cancelled, now), nil
}

func (j Job) end(st Status, now time.Time) Job {
	j.Status, j.Ended, j.Lease, j.Due = st, now, Lease{}, time.Time{}
	j.Expires = now.Add(Kept).Truncate(time.Second)
	return j
}

// Gone reports whether the time for which the job is kept is over.
func (j Job) Gone(now time.Time) bool { return !j.Expires.IsZero() && !now.Before(j.Expires) }
