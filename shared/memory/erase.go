package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// BeginErasure implements tenant.ErasureStore.
func (s *Store) BeginErasure(_ context.Context, e tenant.Erasure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(e.Org)
	if o.erasure.Revision > 0 {
		return nil
	}
	e.Revision = 1
	o.erasure, o.tenant = e, tenant.Tenant{}
	return nil
}

// EraseKeys implements tenant.ErasureStore.
func (s *Store) EraseKeys(_ context.Context, o id.Org) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.org(o).keys)
	return nil
}

// Erasure implements erase.Store.
func (s *Store) Erasure(_ context.Context, o id.Org) (tenant.Erasure, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.org(o).erasure; e.Revision > 0 {
		return e, nil
	}
	return tenant.Erasure{}, tenant.ErrUnknown
}

// SaveErasure implements erase.Store.
func (s *Store) SaveErasure(_ context.Context, e tenant.Erasure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(e.Org)
	if o.erasure.Revision != e.Revision || e.Revision == 0 {
		return tenant.ErrStale
	}
	e.Revision++
	o.erasure = e
	return nil
}

// Erasing implements erase.Store.
func (s *Store) Erasing(_ context.Context, now time.Time, limit int) ([]id.Org, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []id.Org
	for name, o := range s.orgs {
		if e := o.erasure; !e.Next.IsZero() && !e.Next.After(now) {
			due = append(due, name)
		}
	}
	slices.SortFunc(due, func(a, b id.Org) int {
		return cmp.Or(s.orgs[a].erasure.Next.Compare(s.orgs[b].erasure.Next), cmp.Compare(a, b))
	})
	return due[:min(len(due), limit)], nil
}

// Erase implements erase.Store. It makes a whole pass at once.
func (s *Store) Erase(_ context.Context, o id.Org, w erase.Walk) (erase.Walked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.org(o)
	left := emptyOrg()
	left.erasure = was.erasure
	var done erase.Walked
	if w.KeepRuns {
		for _, r := range was.runs {
			if !r.execution.Status.Ended() {
				return erase.Walked{Found: 1 + len(r.steps)}, nil
			}
		}
		for name, r := range was.runs {
			left.runs[name] = r
			done.Deleted += len(r.steps)
			clear(r.steps)
		}
		done.Deleted -= len(was.runs)
	}
	done.Deleted += was.items()
	done.Found += done.Deleted
	s.orgs[o] = left
	return done, nil
}

// items counts the items of an organization, without the steps of its runs.
func (o *org) items() int {
	n := len(o.months) + len(o.agents) + len(o.versions) + len(o.requests) + len(o.pauses) + len(o.stats) + len(o.runs) +
		len(o.claims) + len(o.starts) + len(o.refusals) + len(o.approvals) + len(o.keys) + len(o.facts) + len(o.begun) +
		len(o.makers) + len(o.permits) + len(o.revoked) + len(o.issuedBefore) + len(o.outbox) + len(o.messages) +
		len(o.trees) + len(o.audit) + len(o.received) + len(o.letters) + len(o.jobs) + len(o.jobArgs) + len(o.results) + len(o.openJobs)
	for _, sole := range []bool{o.alerts.Revision > 0, o.rotation.Generation > 0, len(o.tally.Minutes) > 0} {
		if sole {
			n++
		}
	}
	return n
}
