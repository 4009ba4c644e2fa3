// Package erase deletes everything of an organization that the Hub has deleted.
//
// The event hub:org.deleted replaces the tenant by an erasure. From then on the
// organization is unknown to every function: its events are dropped, its sessions and
// keys refused, and nothing starts. The sweeper does the rest, a part at a time:
//
//	stopping ─▶ stripping ─▶ clearing ─▶ proving ─▶ erased
//
// It cancels the open runs, waits until every call from before has ended, and then
// walks through all partitions of the organization until a pass finds no item; a day
// later another pass must find none. tenant.Stage says why in this order. The erasure
// stays, with the number of deleted items, as the proof.
//
// A sweep may be lost, repeated or made twice at the same time: deleting is
// idempotent, and each part of a pass is saved on condition that no other was. A part
// that is repeated finds fewer items, which is why a pass that finds none is repeated
// in the next stage.
package erase

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// Store finds and deletes the items of organizations.
type Store interface {
	// Erasing returns the organizations with an erasure that is due, the longest due
	// first. Its index may lag behind.
	Erasing(ctx context.Context, now time.Time, limit int) ([]id.Org, error)

	// Erasure returns the erasure of an organization, or tenant.ErrUnknown.
	Erasure(ctx context.Context, org id.Org) (tenant.Erasure, error)

	// SaveErasure stores e if the stored revision is still e.Revision. Otherwise it
	// returns tenant.ErrStale.
	SaveErasure(ctx context.Context, e tenant.Erasure) error

	// Erase walks through the items of an organization from a position on, "" at first,
	// and deletes them. It ends after about limit items, and returns the position
	// there, "" at the end of the last. It leaves the erasure, and if told so the
	// records of runs; it then ends at an open run, with everything that may belong to
	// it.
	Erase(ctx context.Context, org id.Org, w Walk) (Walked, error)

	Executions(ctx context.Context, org id.Org, q execution.Query) (execution.Page, error)
}

// A Walk is a part of a pass.
type Walk struct {
	From     string
	KeepRuns bool
	Limit    int
	System   []id.Agent // the platform's own agents, which are in no list of the organization
}

// Walked is what a walk did.
type Walked struct {
	Found   int // deleted, and those of an open run that were left
	Deleted int
	Next    string
}

// Canceller ends runs.
type Canceller interface {
	// CancelDeleted ends a run, or returns execution.ErrNotFound or
	// execution.ErrState.
	CancelDeleted(ctx context.Context, org id.Org, exec id.Execution) error
}

// Service erases organizations.
type Service struct {
	Store  Store
	Runs   Canceller
	System []id.Agent // the platform's own agents
	Now    func() time.Time
}

const (
	// most limits the organizations of a sweep.
	most = 10
	// step limits the items of a walk, after which its position is saved.
	step = 1000
	// budget is the time of a sweep for erasures. The repairs of runs come before it.
	budget = 8 * time.Second
	// writers is the number of runs that are cancelled at the same time.
	writers = 16
)

// Sweep goes on with the erasures that are due, and returns the number of items that
// it deleted.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	orgs, err := s.Store.Erasing(ctx, s.Now(), most)
	if err != nil {
		return 0, fmt.Errorf("find deleted organizations: %w", err)
	}
	total, until := 0, s.Now().Add(budget)
	var errs []error
	for _, org := range orgs {
		n, err := s.sweep(ctx, org, until)
		total += n
		if err != nil {
			errs = append(errs, fmt.Errorf("erase %s: %w", org, err))
		}
	}
	return total, errors.Join(errs...)
}

// sweep goes on with an erasure, until it has to wait or the time is over.
func (s *Service) sweep(ctx context.Context, org id.Org, until time.Time) (int, error) {
	total := 0
	for {
		e, err := s.Store.Erasure(ctx, org)
		if err != nil {
			return total, err
		}
		if now := s.Now(); e.Next.IsZero() || now.Before(e.Next) {
			return total, nil // the index lagged behind
		}
		e, gone, rest, err := s.part(ctx, e, until)
		total += gone
		if err != nil {
			return total, err
		}
		switch err := s.Store.SaveErasure(ctx, e); {
		case errors.Is(err, tenant.ErrStale):
			return total, nil // another sweep goes on
		case err != nil:
			return total, err
		}
		if rest || !s.Now().Before(until) {
			return total, nil
		}
	}
}

// part does a part of the work. It returns the erasure after it, the number of
// deleted items, and whether the next part belongs to the next sweep.
func (s *Service) part(ctx context.Context, e tenant.Erasure, until time.Time) (after tenant.Erasure, gone int, rest bool, err error) {
	if e.KeepsRuns() && e.Position == "" {
		open, err := s.stop(ctx, e.Org, until)
		if err != nil && !e.Forced(s.Now()) {
			return e, 0, false, err
		}
		if e.Stage == tenant.Stopping || open > 0 && !e.Forced(s.Now()) {
			return e.Stopped(open, s.Now()), 0, true, nil
		}
	}
	w, err := s.Store.Erase(ctx, e.Org, Walk{From: e.Position, KeepRuns: e.KeepsRuns(), Limit: step, System: s.System})
	if err != nil {
		return e, w.Deleted, false, err
	}
	return e.Walked(w.Found, w.Deleted, w.Next, s.Now()), w.Deleted, false, nil
}

// stop cancels the open runs and returns their number, as far as the time suffices.
func (s *Service) stop(ctx context.Context, org id.Org, until time.Time) (found int, err error) {
	for _, st := range []execution.Status{execution.Pending, execution.Running, execution.WaitingApproval} {
		q := execution.Query{Status: st, Limit: 200, Now: s.Now()}
		for more := true; more; more = q.After != "" && s.Now().Before(until) {
			page, err := s.Store.Executions(ctx, org, q)
			if err != nil {
				return found, fmt.Errorf("list open runs: %w", err)
			}
			found += len(page.Executions)
			if err := s.cancel(ctx, page.Executions); err != nil {
				return found, err
			}
			q.After = page.Next
		}
	}
	return found, nil
}

// cancel ends runs, many at a time.
func (s *Service) cancel(ctx context.Context, runs []execution.Execution) error {
	var mu sync.Mutex
	var group sync.WaitGroup
	var errs []error
	next := make(chan execution.Execution)
	for range min(writers, len(runs)) {
		group.Go(func() {
			for x := range next {
				err := s.Runs.CancelDeleted(ctx, x.Org, x.ID)
				if err == nil || errors.Is(err, execution.ErrState) || errors.Is(err, execution.ErrNotFound) {
					continue // it has ended
				}
				mu.Lock()
				errs = append(errs, fmt.Errorf("cancel %s: %w", x.ID, err))
				mu.Unlock()
			}
		})
	}
	for _, x := range runs {
		next <- x
	}
	close(next)
	group.Wait()
	return errors.Join(errs...)
}
