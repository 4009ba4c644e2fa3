package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/retry"
)

// A Query selects jobs to list, newest first.
type Query struct {
	Limit int
	After id.Job // the last one of the previous page
	Now   time.Time
}

// A Page is a part of a list. It may be shorter than its limit before the end of the list.
type Page struct {
	Jobs []Job
	Next id.Job // where the next page begins; empty at the end
}

// Store keeps jobs.
type Store interface {
	// CreateJob stores a new job, its arguments and its acts in one transaction. It
	// returns ErrRunning, with the id of the open job as open, when the organization has
	// an open job of the kind.
	CreateJob(ctx context.Context, j Job, args string, acts ...audit.Entry) (open id.Job, err error)

	// Job returns a job of the organization, or ErrNotFound.
	Job(ctx context.Context, org id.Org, j id.Job) (Job, error)

	// Jobs lists the jobs of the organization.
	Jobs(ctx context.Context, org id.Org, q Query) (Page, error)

	// SaveJob writes an open job if its stored revision is still j.Revision, and otherwise
	// returns ErrStale.
	SaveJob(ctx context.Context, j Job) error

	// EndJob writes a job that has ended, its result and its acts in one transaction, if
	// the stored revision is still j.Revision, and otherwise returns ErrStale. Another job
	// of the kind may begin afterwards. The result is "" for none.
	EndJob(ctx context.Context, j Job, result string, acts ...audit.Entry) error

	// JobArgs returns the arguments of a job, or ErrNotFound.
	JobArgs(ctx context.Context, org id.Org, j id.Job) (string, error)

	// JobResult returns the result of a job, or ErrNotFound.
	JobResult(ctx context.Context, org id.Org, j id.Job) (string, error)

	// OverdueJobs returns up to limit jobs that were due before now, the longest overdue
	// first. Its index may lag behind.
	OverdueJobs(ctx context.Context, now time.Time, limit int) ([]Call, error)
}

// A Call is the message that starts a worker. Its JSON is a stored format.
type Call struct {
	Org id.Org `json:"org_id"`
	Job id.Job `json:"job_id"`
}

// Workers starts workers.
type Workers interface {
	// Begin starts a worker on a job and does not wait for its end. It may start two.
	Begin(ctx context.Context, c Call) error
}

// Service starts, shows and cancels the jobs of callers.
type Service struct {
	Store   Store
	Workers Workers
	Now     func() time.Time
	NewID   func() id.Job
	Report  func(ctx context.Context, err error) // of a failure that the sweeper repairs
}

// Start starts a job of a kind, or returns ErrRunning, which names the open one.
func (s *Service) Start(ctx context.Context, who caller.Caller, kind Kind, args string) (Job, error) {
	if len(args) > MaxArgs {
		return Job{}, fmt.Errorf("the arguments of a %s have %d bytes; %d are allowed", kind, len(args), MaxArgs)
	}
	now := s.Now()
	j := New(Job{ID: s.NewID(), Org: who.Org, Kind: kind, By: who.Actor()}, now)
	act := audit.Change{Kind: audit.JobStarted, Object: string(j.ID), To: string(kind)}
	open, err := s.Store.CreateJob(ctx, j, args, audit.Of(who, act, now))
	switch {
	case errors.Is(err, ErrRunning):
		return Job{}, ErrRunning.Sayf("The %s %s is open; an organization has one at a time.", kind, open)
	case err != nil:
		return Job{}, err
	}
	j.Revision = 1
	if err := s.Workers.Begin(ctx, Call{Org: j.Org, Job: j.ID}); err != nil {
		s.Report(ctx, fmt.Errorf("start a worker on %s: %w", j.ID, err))
	}
	return j, nil
}

// Get returns a job of the caller's organization, or ErrNotFound. The result is "" unless
// the job has completed.
func (s *Service) Get(ctx context.Context, who caller.Caller, name id.Job) (j Job, result string, err error) {
	if j, err = s.get(ctx, who.Org, name); err != nil || j.Status != Completed {
		return j, "", err
	}
	if result, err = s.Store.JobResult(ctx, who.Org, name); err != nil {
		return j, "", fmt.Errorf("the result of %s: %w", name, err)
	}
	return j, result, nil
}

func (s *Service) get(ctx context.Context, org id.Org, name id.Job) (Job, error) {
	j, err := s.Store.Job(ctx, org, name)
	if err == nil && j.Gone(s.Now()) {
		return Job{}, ErrNotFound
	}
	return j, err
}

// List returns a page of the jobs of the caller's organization.
func (s *Service) List(ctx context.Context, who caller.Caller, q Query) (Page, error) {
	q.Now = s.Now()
	return s.Store.Jobs(ctx, who.Org, q)
}

// Cancel ends a job. A worker stops at its next sign of life. It returns ErrNotFound or
// ErrEnded.
func (s *Service) Cancel(ctx context.Context, who caller.Caller, name id.Job) (Job, error) {
	var after Job
	err := retry.Races(ErrStale, func() error {
		j, err := s.get(ctx, who.Org, name)
		if err != nil {
			return err
		}
		now := s.Now()
		if after, err = j.Cancel(now); err != nil {
			return err
		}
		act := audit.Change{Kind: audit.JobCancelled, Object: string(name), From: string(j.Status), To: string(Cancelled)}
		return s.Store.EndJob(ctx, after, "", audit.Of(who, act, now))
	})
	if errors.Is(err, retry.ErrLost) {
		return Job{}, ErrStale.Because(fmt.Errorf("cancel %s: %w", name, err))
	}
	return after, err
}

// Sweeper starts workers on jobs that have none.
type Sweeper struct {
	Store   Store
	Workers Workers
	Now     func() time.Time
}

// most limits the jobs of a sweep.
const most = 100

// Sweep starts a worker on each overdue job and returns their number. It may run twice or
// beside everything else.
func (s *Sweeper) Sweep(ctx context.Context) (int, error) {
	due, err := s.Store.OverdueJobs(ctx, s.Now(), most)
	if err != nil {
		return 0, fmt.Errorf("find overdue jobs: %w", err)
	}
	n := 0
	var errs []error
	for _, c := range due {
		begun, err := s.begin(ctx, c)
		if begun {
			n++
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("start a worker on %s: %w", c.Job, err))
		}
	}
	return n, errors.Join(errs...)
}

// begin postpones a job and starts a worker on it, unless the index lagged behind or
// another writer moved the job on.
func (s *Sweeper) begin(ctx context.Context, c Call) (bool, error) {
	j, err := s.Store.Job(ctx, c.Org, c.Job)
	if errors.Is(err, ErrNotFound) {
		return false, nil // its organization was erased
	}
	now := s.Now()
	if err != nil || j.Due.IsZero() || now.Before(j.Due) {
		return false, err
	}
	switch err := s.Store.SaveJob(ctx, j.Postponed(now)); {
	case errors.Is(err, ErrStale):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, s.Workers.Begin(ctx, c)
}
