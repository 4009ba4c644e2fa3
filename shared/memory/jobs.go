package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
)

// CreateJob implements job.Store.
func (s *Store) CreateJob(_ context.Context, j job.Job, args string, acts ...audit.Entry) (id.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(j.Org)
	if open := o.openJobs[j.Kind]; open != "" {
		return open, job.ErrRunning
	}
	j.Revision = 1
	o.jobs[j.ID], o.jobArgs[j.ID], o.openJobs[j.Kind] = clone(j), args, j.ID
	o.record(acts)
	return "", nil
}

// Job implements job.Store.
func (s *Store) Job(_ context.Context, o id.Org, name id.Job) (job.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.org(o).jobs[name]
	if !ok {
		return job.Job{}, job.ErrNotFound
	}
	return clone(j), nil
}

// Jobs implements job.Store.
func (s *Store) Jobs(_ context.Context, o id.Org, q job.Query) (job.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p job.Page
	for _, j := range s.org(o).jobs {
		if (q.After == "" || j.ID < q.After) && !j.Gone(q.Now) {
			p.Jobs = append(p.Jobs, clone(j))
		}
	}
	slices.SortFunc(p.Jobs, func(a, b job.Job) int { return strings.Compare(string(b.ID), string(a.ID)) })
	if limit := max(q.Limit, 1); len(p.Jobs) > limit {
		p.Jobs = p.Jobs[:limit]
		p.Next = p.Jobs[limit-1].ID
	}
	return p, nil
}

// SaveJob implements job.Store.
func (s *Store) SaveJob(_ context.Context, j job.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(j.Org).saveJob(j)
}

func (o *org) saveJob(j job.Job) error {
	if stored, ok := o.jobs[j.ID]; !ok || stored.Revision != j.Revision {
		return job.ErrStale
	}
	j.Revision++
	o.jobs[j.ID] = clone(j)
	return nil
}

// EndJob implements job.Store.
func (s *Store) EndJob(_ context.Context, j job.Job, result string, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(j.Org)
	if err := o.saveJob(j); err != nil {
		return err
	}
	if result != "" {
		o.results[j.ID] = result
	}
	delete(o.openJobs, j.Kind)
	o.record(acts)
	return nil
}

// JobArgs implements job.Store.
func (s *Store) JobArgs(_ context.Context, o id.Org, name id.Job) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	args, ok := s.org(o).jobArgs[name]
	if !ok {
		return "", job.ErrNotFound
	}
	return args, nil
}

// JobResult implements job.Store.
func (s *Store) JobResult(_ context.Context, o id.Org, name id.Job) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result, ok := s.org(o).results[name]
	if !ok {
		return "", job.ErrNotFound
	}
	return result, nil
}

// OverdueJobs implements job.Store.
func (s *Store) OverdueJobs(_ context.Context, now time.Time, limit int) ([]job.Call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []job.Job
	for _, o := range s.orgs {
		for _, j := range o.jobs {
			if !j.Due.IsZero() && j.Due.Before(now) {
				due = append(due, j)
			}
		}
	}
	slices.SortFunc(due, func(a, b job.Job) int {
		return cmp.Or(a.Due.Compare(b.Due), strings.Compare(string(a.ID), string(b.ID)))
	})
	var calls []job.Call
	for _, j := range due[:min(len(due), limit)] {
		calls = append(calls, job.Call{Org: j.Org, Job: j.ID})
	}
	return calls, nil
}
