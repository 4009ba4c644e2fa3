// Package hold pauses an organization, and resumes it.
//
// A pause is one write of the tenant, which every dispatcher reads: from then on
// nothing starts. The open runs are marked one by one. The runner compares the
// revision of its run before each step, unless it read or wrote the run less than
// execution.LookTime ago. So a marked run loses there, and rests: a step under way ends
// and is recorded, and no other begins once the request is answered. A run that the pause
// does not concern costs nothing.
//
//	pause  ─▶ tenant ─▶ pass: mark each open run ─▶ again, for the late ones
//	resume ─▶ tenant ─▶ pass: release each held run and start its machine
//
// A pass lists the open runs and does to each what the tenant says at that moment,
// so it may happen twice, late and beside others. The request itself makes the
// first pass, a machine repeats it each second while a dispatcher that read the
// tenant before may still record a run, and the sweeper goes on until the search
// has ended, also when the request or the machine died.
package hold

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/tenant"
)

// ErrBusy says that the tenant was changed by others in every attempt.
var ErrBusy = fault.New(fault.Stale, "conflict", "The organization is being changed by others; try again.")

// Store keeps tenants and runs.
type Store interface {
	tenant.PauseStore
	execution.Tenants

	Executions(ctx context.Context, org id.Org, q execution.Query) (execution.Page, error)
	Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error)
	Commit(ctx context.Context, c execution.Change) error

	// Agents returns the heads of the organization's own agents.
	Agents(ctx context.Context, org id.Org) ([]agent.Head, error)

	// Missed counts the events that did not start the agent since then because the
	// organization was paused.
	Missed(ctx context.Context, org id.Org, a id.Agent, since time.Time) (int, error)
}

// Canceller ends runs.
type Canceller interface {
	// CancelPaused ends a run, and reports whether a worker may be executing it.
	CancelPaused(ctx context.Context, org id.Org, exec id.Execution, by id.Actor) (working bool, err error)
}

// Machine starts the runs that a resumption releases, and the repetition of passes.
type Machine interface {
	Start(ctx context.Context, c machine.Cursor) error
	Restart(ctx context.Context, c machine.Cursor, at time.Time) error
}

// Service pauses organizations.
type Service struct {
	Store   Store
	Runs    Canceller
	Machine Machine // nil for a function that only holds and cancels runs
	System  []agent.Agent
	Now     func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
	// Report logs a failure that a later pass repairs.
	Report func(ctx context.Context, err error)
}

// A State is the pause of an organization with its effects.
type State struct {
	tenant.Pause

	Held   int // open runs that do not go on; each status counts up to execution.MaxTotal
	Missed int // starts of agents that events would have caused
}

// Get returns the state of the caller's organization.
func (s *Service) Get(ctx context.Context, who caller.Caller) (State, error) {
	t, err := s.Store.Tenant(ctx, who.Org)
	if err != nil || !t.Pause.Active() {
		return State{}, err
	}
	return s.state(ctx, t)
}

func (s *Service) state(ctx context.Context, t tenant.Tenant) (State, error) {
	state := State{Pause: t.Pause}
	if t.Pause.OpenRuns == tenant.Hold {
		for _, st := range open() {
			p, err := s.Store.Executions(ctx, t.Org, execution.Query{Status: st, Limit: 1, Count: true, Now: s.Now()})
			if err != nil {
				return State{}, err
			}
			state.Held += p.Total
		}
	}
	heads, err := s.Store.Agents(ctx, t.Org)
	if err != nil {
		return State{}, err
	}
	for _, a := range s.System {
		heads = append(heads, a.Head)
	}
	for _, a := range heads {
		n, err := s.Store.Missed(ctx, t.Org, a.ID, t.Pause.At)
		if err != nil {
			return State{}, err
		}
		state.Missed += n
	}
	return state, nil
}

// open returns the statuses of open runs.
func open() []execution.Status {
	return []execution.Status{execution.Pending, execution.Running, execution.WaitingApproval}
}

// Pause pauses the caller's organization and holds or cancels its open runs. A
// pause of a paused organization is tenant.Tenant.Paused; one that changes nothing
// writes nothing.
func (s *Service) Pause(ctx context.Context, who caller.Caller, reason string, open tenant.OpenRuns) (State, error) {
	now := s.Now()
	t, err := s.change(ctx, who.Org, func(t tenant.Tenant) (tenant.Tenant, audit.Entry) {
		after := t.Paused(tenant.Pause{By: who.Actor(), At: now, Reason: reason, OpenRuns: open})
		act := audit.Change{Kind: audit.OrgPaused, Object: string(who.Org), From: word(t), To: word(after), Reason: reason}
		return after.Searched(now.Add(tenant.HoldWindow)), audit.Of(who, act, now)
	})
	if err != nil {
		return State{}, err
	}
	return s.state(ctx, t)
}

// Resume ends the pause of the caller's organization and lets its held runs go on.
func (s *Service) Resume(ctx context.Context, who caller.Caller) (State, error) {
	now := s.Now()
	_, err := s.change(ctx, who.Org, func(t tenant.Tenant) (tenant.Tenant, audit.Entry) {
		after := t.Resume(now)
		act := audit.Change{Kind: audit.OrgResumed, Object: string(who.Org), From: word(t), To: word(after)}
		return after.Searched(now.Add(tenant.ReleaseWindow)), audit.Of(who, act, now)
	})
	return State{}, err
}

// word returns the state of a tenant as the audit log shows it.
func word(t tenant.Tenant) string {
	if !t.Pause.Active() {
		return "active"
	}
	return "paused, open runs: " + string(t.Pause.OpenRuns)
}

// change writes a change of the pause with its act, and makes the first pass. It
// does not write a change without effect, but makes the pass: the caller that
// repeats a request may do so because runs went on.
func (s *Service) change(ctx context.Context, org id.Org, to func(tenant.Tenant) (tenant.Tenant, audit.Entry)) (tenant.Tenant, error) {
	var after tenant.Tenant
	err := retry.Races(tenant.ErrStale, func() error {
		before, err := s.Store.Tenant(ctx, org)
		if err != nil {
			return err
		}
		next, act := to(before)
		if after = before; next.Pause == before.Pause {
			return nil
		}
		after = next
		after.Revision++
		return s.Store.SaveOrgPause(ctx, next, act)
	})
	switch {
	case errors.Is(err, retry.ErrLost):
		return after, ErrBusy.Because(fmt.Errorf("change the pause of %s: %w", org, err))
	case err != nil:
		return after, err
	}
	if after.Pause.Active() {
		if err := s.Machine.Start(ctx, machine.PauseOf(org, after.Revision)); err != nil {
			s.Report(ctx, fmt.Errorf("repeat the pause of %s: %w", org, err)) // the sweeper repeats it too
		}
	}
	limited, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	did, err := s.pass(limited, org)
	if err != nil {
		s.Report(ctx, fmt.Errorf("hold or release the runs of %s: %w", org, err))
	}
	if did.stopped {
		err = s.Sleep(ctx, execution.SettleTime)
		return after, err
	}
	return after, nil
}

// The time of a request for its pass, and of any pass: it must be over before a
// contrary change of the pause has ended its search.
const (
	requestTime = 8 * time.Second
	passTime    = 25 * time.Second
)

// Between is the time between the passes of a repetition.
const Between = time.Second

// Repeat makes passes until the search after a pause ends, or the organization
// resumes.
func (s *Service) Repeat(ctx context.Context, org id.Org) error {
	for {
		t, err := s.Store.Tenant(ctx, org)
		if errors.Is(err, tenant.ErrDeleted) {
			return nil
		}
		if err != nil {
			return err
		}
		if !t.Pause.Active() || !s.Now().Before(t.SearchUntil) {
			return nil
		}
		if _, err := s.pass(ctx, org); err != nil {
			s.Report(ctx, fmt.Errorf("hold the runs of %s: %w", org, err)) // in a second again
		}
		if err := s.Sleep(ctx, Between); err != nil {
			return err
		}
	}
}

// most limits the organizations of a sweep.
const most = 100

// Sweep makes a pass in each organization that is searched, and ends the searches
// whose time is over.
func (s *Service) Sweep(ctx context.Context) error {
	orgs, err := s.Store.Searching(ctx, most)
	if err != nil {
		return fmt.Errorf("find paused and resumed organizations: %w", err)
	}
	var errs []error
	for _, org := range orgs {
		if err := s.sweep(ctx, org); err != nil {
			errs = append(errs, fmt.Errorf("hold or release the runs of %s: %w", org, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) sweep(ctx context.Context, org id.Org) error {
	t, err := s.Store.Tenant(ctx, org)
	if errors.Is(err, tenant.ErrDeleted) {
		return nil
	}
	if err != nil || t.SearchUntil.IsZero() {
		return err // without a search, the index lagged behind
	}
	did, err := s.pass(ctx, org)
	if err != nil || did.changed > 0 || s.Now().Before(t.SearchUntil) {
		return err
	}
	if err := s.Store.SaveOrgPause(ctx, t.Searched(time.Time{})); !errors.Is(err, tenant.ErrStale) {
		return err
	}
	return nil // the pause has just changed
}

// writers is the number of runs that a pass changes at the same time.
const writers = 25

// An effect is what a pass did to one run or more.
type effect struct {
	changed int
	stopped bool // whether a worker may be executing a run that the pass held or cancelled
}

func (e effect) plus(o effect) effect {
	return effect{e.changed + o.changed, e.stopped || o.stopped}
}

// pass does to each open run what the tenant says.
func (s *Service) pass(ctx context.Context, org id.Org) (did effect, err error) {
	ctx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	t, err := s.Store.Tenant(ctx, org)
	if err != nil {
		return effect{}, err
	}
	var errs []error
	for _, st := range open() {
		more, err := s.each(ctx, org, st, s.doTo(t))
		did = did.plus(more)
		errs = append(errs, err)
	}
	return did, errors.Join(errs...)
}

// doTo returns what a pass does to an open run.
func (s *Service) doTo(t tenant.Tenant) func(context.Context, execution.Execution) (effect, error) {
	if t.Pause.Active() {
		switch t.Pause.OpenRuns {
		case tenant.Hold:
			return s.hold
		case tenant.Cancel:
			return func(ctx context.Context, x execution.Execution) (effect, error) { return s.cancel(ctx, x, t.Pause.By) }
		case tenant.Finish:
		}
	}
	return s.release
}

// cancel ends a run, unless it has ended meanwhile.
func (s *Service) cancel(ctx context.Context, x execution.Execution, by id.Actor) (effect, error) {
	working, err := s.Runs.CancelPaused(ctx, x.Org, x.ID, by)
	switch {
	case errors.Is(err, execution.ErrState):
		return effect{}, nil
	case err != nil:
		return effect{}, err
	}
	return effect{1, working}, nil
}

// each calls do for the open runs with a status, many at a time.
func (s *Service) each(
	ctx context.Context, org id.Org, st execution.Status, do func(context.Context, execution.Execution) (effect, error),
) (did effect, err error) {
	q := execution.Query{Status: st, Limit: 200, Now: s.Now()}
	for {
		page, err := s.Store.Executions(ctx, org, q)
		if err != nil {
			return did, err
		}
		more, err := together(ctx, page.Executions, do)
		did = did.plus(more)
		if err != nil || page.Next == "" {
			return did, err
		}
		q.After = page.Next
	}
}

func together(
	ctx context.Context, runs []execution.Execution, do func(context.Context, execution.Execution) (effect, error),
) (did effect, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	queue := make(chan execution.Execution, len(runs))
	for _, x := range runs {
		queue <- x
	}
	close(queue)
	var errs []error
	for range min(writers, len(runs)) {
		wg.Go(func() {
			for x := range queue {
				one, failed := do(ctx, x)
				mu.Lock()
				did = did.plus(one)
				errs = append(errs, failed)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return did, errors.Join(errs...)
}

// hold marks a run, as a list has shown it.
func (s *Service) hold(ctx context.Context, x execution.Execution) (effect, error) {
	x, changed, err := s.mark(ctx, x, execution.Execution.Hold)
	if !changed {
		return effect{}, err
	}
	return effect{1, x.UnderLease(s.Now())}, err
}

// platform is the author of cancellations that no person asked for.
const platform id.Actor = "platform"

// release lets a held run go on. A run whose worker is still at its step needs no
// machine. One that was held so long that its steps expire ends instead.
func (s *Service) release(ctx context.Context, x execution.Execution) (effect, error) {
	now := s.Now()
	if x.Outlived(now) {
		return s.cancel(ctx, x, platform)
	}
	x, changed, err := s.mark(ctx, x, func(x execution.Execution) (execution.Execution, bool) { return x.Release(now) })
	if !changed {
		return effect{}, err
	}
	if s.Machine == nil || now.Before(x.Lease.Until) {
		return effect{changed: 1}, nil
	}
	if err := s.Machine.Restart(ctx, machine.Cursor{Org: x.Org, Execution: x.ID}, now); err != nil {
		s.Report(ctx, fmt.Errorf("start %s: %w", x.ID, err)) // it is due, so the sweeper starts it
	}
	return effect{changed: 1}, nil
}

// mark changes a run by a rule, and reads it again when it changed meanwhile.
func (s *Service) mark(
	ctx context.Context, x execution.Execution, rule func(execution.Execution) (execution.Execution, bool),
) (after execution.Execution, changed bool, err error) {
	err = retry.Races(execution.ErrStale, func() (err error) {
		if after, changed = rule(x); !changed {
			return nil
		}
		err = s.Store.Commit(ctx, execution.Change{Execution: after})
		if errors.Is(err, execution.ErrStale) {
			var failed error
			if x, failed = s.Store.Header(ctx, x.Org, x.ID); failed != nil {
				return failed
			}
		}
		return err
	})
	return after, changed && err == nil, err
}
