package execution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/retry"
	"theoneagents.app/agents/shared/tenant"
)

// Store keeps runs.
type Store interface {
	// Execution returns a run of the organization and its recorded steps as
	// they are now, or ErrNotFound.
	Execution(ctx context.Context, org id.Org, exec id.Execution) (Execution, Steps, error)

	// Executions lists the runs of the organization, newest first. With a
	// status, it omits the runs older than Young that are not ListedByStatus, and may
	// omit the completed ones of a deleted agent or one of the platform until its
	// statistics have one of them.
	Executions(ctx context.Context, org id.Org, q Query) (Page, error)

	// Create stores a new run, or returns ErrExists.
	Create(ctx context.Context, x Execution) error

	// CreateRetry is Create for a retry: it stores the acts in the same
	// transaction.
	CreateRetry(ctx context.Context, x Execution, acts ...audit.Entry) error

	// Commit applies c if the stored revision of the run, and of the gate, are
	// still those of c. Otherwise it returns ErrStale, or
	// credit.ErrInsufficient when the balance is too small.
	Commit(ctx context.Context, c Change) error
}

// A Query selects the runs to list.
type Query struct {
	Agent  id.Agent // empty: all
	Status Status   // empty: all
	Among  []Status // several statuses, in place of Status; empty: as Status says
	From   time.Time
	To     time.Time // exclusive; zero: no end
	Limit  int
	After  string    // Next of the previous page
	Count  bool      // whether to count all matching runs; a search counts none
	Now    time.Time // decides which runs are young; zero: all

	// Payload selects the runs of the page that carry the payload of their event; nil
	// selects none. A payload that has expired is missing.
	Payload func(id.Execution) bool

	// The runs of one client, of one type of event, or of one version of their agent.
	// No index knows these, so a store searches for them: it reads a bounded number of
	// runs in a call, and a page may have fewer runs than Limit, even none, and still a
	// Next. It counts no such runs.
	Client    id.Client // empty: all
	EventType string    // empty: all
	Version   int       // 0: all
}

// Searches reports whether no index knows the runs of the query.
func (q Query) Searches() bool { return q.Client != "" || q.EventType != "" || q.Version != 0 }

// Found reports whether a search wants a run of this client, event type and version.
func (q Query) Found(client id.Client, eventType string, version int) bool {
	return (q.Client == "" || q.Client == client) && (q.EventType == "" || q.EventType == eventType) && (q.Version == 0 || q.Version == version)
}

// Statuses returns the statuses of the query, each once; none for all.
func (q Query) Statuses() []Status {
	if len(q.Among) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(q.Among)))
	}
	if q.Status != "" {
		return []Status{q.Status}
	}
	return nil
}

// With returns the query for one of its statuses.
func (q Query) With(st Status) Query {
	q.Status, q.Among = st, nil
	return q
}

// Youngest returns the creation time from which runs count as young. A run that
// executes and is not ListedByStatus was created later.
func (q Query) Youngest() time.Time {
	if q.Now.IsZero() {
		return time.Time{}
	}
	return q.Now.Add(-Young).Truncate(time.Second)
}

// MaxTotal limits the count of a list.
const MaxTotal = 10_000

// A Page is a part of a list.
type Page struct {
	Executions []Execution
	Next       string // where the next page begins; empty at the end
	Total      int    // all matching runs, at most MaxTotal; set if Query.Count
	More       bool   // whether more than Total runs match
}

// Definitions finds the definition of a run.
type Definitions interface {
	// Version returns a version of an agent, even of a deleted agent, or
	// agent.ErrNotFound.
	Version(ctx context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error)

	// Current returns the definition and version of a new run, or
	// agent.ErrNotFound.
	Current(ctx context.Context, org id.Org, settings tenant.Settings, a id.Agent) (definition.Definition, int, error)
}

// Tenants finds the organization, which may be suspended.
type Tenants interface {
	Tenant(ctx context.Context, org id.Org) (tenant.Tenant, error)
}

// Balances finds the remaining credits.
type Balances interface {
	Balance(ctx context.Context, org id.Org, m credit.Month) (credit.Balance, error)
}

// Quotas counts runs against the quotas of an organization.
type Quotas interface {
	// AdmitRuns counts runs that start at a time. It returns those that the quotas
	// admit, and the quota that refuses the others. It may be repeated: a run is
	// counted once in a minute.
	AdmitRuns(ctx context.Context, org id.Org, plan credit.Plan, runs []id.Execution, at time.Time) ([]id.Execution, *quota.Reached, error)

	// AdmitBelow counts runs below a root event that the event did not start itself,
	// as AdmitRuns does. A run is counted once.
	AdmitBelow(ctx context.Context, org id.Org, plan credit.Plan, root quota.Root, runs []id.Execution, at time.Time) ([]id.Execution, *quota.Reached, error)
}

// Gates finds the approval for which a run waits.
type Gates interface {
	Approval(ctx context.Context, org id.Org, appr id.Approval) (approval.Approval, error)
}

// Machine starts runs. Starting the same run twice is not an error.
type Machine interface {
	Start(ctx context.Context, c machine.Cursor) error

	// Restart starts the machine of a run whose own machine has ended.
	Restart(ctx context.Context, c machine.Cursor, at time.Time) error
}

// Service reads, cancels and retries runs for callers.
type Service struct {
	Store       Store
	Definitions Definitions
	Tenants     Tenants
	Balances    Balances
	Gates       Gates
	Quotas      Quotas  // nil for a function that retries no runs
	Machine     Machine // nil for a function that may start none: the sweeper starts them
	Doorbell    approval.Doorbell
	Now         func() time.Time
	// Sleep waits, or returns early with the context's error.
	Sleep     func(ctx context.Context, d time.Duration) error
	Retention time.Duration // of retries, where the organization chose none; zero for DefaultRetention
	// Report logs a failure that does not affect the caller, because the
	// sweeper recovers from it.
	Report func(ctx context.Context, err error)
}

// List returns a page of the caller's runs, without those that have expired.
func (s *Service) List(ctx context.Context, who caller.Caller, q Query) (Page, error) {
	q.Now = s.Now()
	p, err := s.Store.Executions(ctx, who.Org, q)
	p.Executions = slices.DeleteFunc(p.Executions, func(x Execution) bool { return x.Gone(q.Now) })
	return p, err
}

// Get returns a run of the caller's organization with its trace, or ErrNotFound.
func (s *Service) Get(ctx context.Context, who caller.Caller, exec id.Execution) (Execution, Trace, error) {
	x, done, err := s.Store.Execution(ctx, who.Org, exec)
	if err != nil {
		return Execution{}, nil, err
	}
	x.Correlate(ctx)
	if x.Gone(s.Now()) {
		return Execution{}, nil, ErrNotFound
	}
	d, err := s.Definitions.Version(ctx, who.Org, x.Agent, x.Version)
	if err != nil {
		return Execution{}, nil, fmt.Errorf("definition of %s: %w", exec, internal(err))
	}
	x = x.UnderWay(done)
	x.Credits = max(x.Credits, done.Charged())
	x.Warnings = max(x.Warnings, done.PassedOver(x.Error)) // the record of an open run, or of an old one, has no count
	return x, TraceOf(d, done, x.Status.Ended()).Delivered(done), nil
}

// RetriedAs returns the newest retry of a run, or "" without one.
func (s *Service) RetriedAs(ctx context.Context, x Execution) (id.Execution, error) {
	if x.Status != Failed && x.Status != Cancelled {
		return "", nil
	}
	first, err := s.firstOf(ctx, x)
	if err != nil {
		return "", err
	}
	var newest id.Execution
	for n := 1; n <= maxRetries; n++ {
		again, _, err := s.Store.Execution(ctx, x.Org, first.RetryID(n))
		switch {
		case errors.Is(err, ErrNotFound):
			return newest, nil
		case err != nil:
			return "", fmt.Errorf("retries of %s: %w", x.ID, internal(err))
		case again.RetryOf == x.ID:
			newest = again.ID
		}
	}
	return newest, nil
}

// internal hides a fault that the caller did not cause.
func internal(err error) error { return errors.New(err.Error()) }

// tries limits how often CancelAll searches for open runs of a deleted agent.
const tries = 30

// Cancel ends a run for a caller and denies its open gate in the same write. No step
// begins after it returns. It returns ErrNotFound or ErrState.
func (s *Service) Cancel(ctx context.Context, who caller.Caller, exec id.Execution) error {
	working, err := s.cancel(ctx, who.Org, exec, cancellation{reason: CancelledByUser, by: who.Actor(), who: &who})
	if err != nil || !working {
		return err
	}
	return s.Sleep(ctx, SettleTime)
}

// CancelPaused ends a run because by paused its organization. It reports whether a worker
// may be executing the run: its next step may begin within SettleTime. It returns
// ErrNotFound or ErrState.
func (s *Service) CancelPaused(ctx context.Context, org id.Org, exec id.Execution, by id.Actor) (working bool, err error) {
	return s.cancel(ctx, org, exec, cancellation{reason: OrgPaused, by: by})
}

// CancelDeleted ends a run because the Hub deleted its organization. The people who
// were asked at its gate get no message. It returns ErrNotFound or ErrState.
func (s *Service) CancelDeleted(ctx context.Context, org id.Org, exec id.Execution) error {
	_, err := s.cancel(ctx, org, exec, cancellation{reason: OrgDeleted, by: hub})
	return err
}

// hub is the author of cancellations on behalf of the Hub.
const hub id.Actor = "hub"

// CancelAll ends every open run of an agent that by deletes. It repeats until no list
// contains an open run: a run whose status changes meanwhile may be missing in
// both lists for a moment. No step of these runs begins after it returns.
func (s *Service) CancelAll(ctx context.Context, org id.Org, a id.Agent, by id.Actor) error {
	var all cancelled
	for range tries { // or the agent starts runs faster than they can be ended
		before := all.runs
		for _, st := range []Status{Pending, Running, WaitingApproval} {
			if err := s.cancelEach(ctx, org, by, Query{Agent: a, Status: st, Limit: 200, Now: s.Now()}, &all); err != nil {
				return err
			}
		}
		if all.runs == before {
			break
		}
	}
	if !all.working {
		return nil
	}
	return s.Sleep(ctx, SettleTime)
}

// cancelled counts the runs that were open.
type cancelled struct {
	runs    int
	working bool // whether a worker may be executing one of them
}

// cancelEach ends the listed runs.
func (s *Service) cancelEach(ctx context.Context, org id.Org, by id.Actor, q Query, all *cancelled) error {
	for {
		page, err := s.Store.Executions(ctx, org, q)
		if err != nil {
			return err
		}
		for _, x := range page.Executions {
			switch working, err := s.cancel(ctx, org, x.ID, cancellation{reason: AgentDeleted, by: by}); {
			case err == nil:
				all.runs++
				all.working = all.working || working
			case !errors.Is(err, ErrState):
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.After = page.Next
	}
}

// A cancellation is a request to end a run.
type cancellation struct {
	reason Reason
	by     id.Actor
	who    *caller.Caller // the caller that asked for this run; nil for a part of another act
}

// acts returns the act of the cancellation, if it is one of its own.
func (c cancellation) acts(x Execution, now time.Time) []audit.Entry {
	if c.who == nil {
		return nil
	}
	return []audit.Entry{audit.Of(*c.who, audit.Change{
		Kind: audit.ExecutionCancelled, Object: string(x.ID), From: string(x.Status), To: string(Cancelled),
	}, now)}
}

// cancel ends a run, and reports whether a worker may have been executing it.
func (s *Service) cancel(ctx context.Context, org id.Org, exec id.Execution, by cancellation) (working bool, err error) {
	err = retry.Races(ErrStale, func() error {
		working, err = s.tryCancel(ctx, org, exec, by)
		return err
	})
	if errors.Is(err, retry.ErrLost) {
		return false, ErrStale.Because(fmt.Errorf("cancel %s: %w", exec, err))
	}
	return working, err
}

func (s *Service) tryCancel(ctx context.Context, org id.Org, exec id.Execution, by cancellation) (working bool, err error) {
	x, done, err := s.Store.Execution(ctx, org, exec)
	if err != nil {
		return false, err
	}
	now := s.Now()
	if _, err := x.Cancel(by.reason, by.by, now); err != nil {
		return false, err
	}
	gate, err := s.asked(ctx, x, done)
	if err != nil {
		return false, err
	}
	acts := by.acts(x, now)
	if gate.Status == approval.Denied { // before the run has seen it: the denial stands
		by.reason, by.by = ApprovalDenied, gate.Decider()
	}
	c := x.End(func(x Execution) Execution {
		x, _ = x.Cancel(by.reason, by.by, now) // checked above
		return x
	}, done, now.Before(x.Lease.Until))
	c.Acts = acts
	if by.reason == OrgDeleted && len(c.Execution.Holds) == 0 {
		c.Execution.Due = time.Time{} // nobody of the organization is told any more
	}
	if gate.Status == approval.Pending && x.Status == WaitingApproval {
		gate = gate.Close(now)
		c.Gate = &gate
	}
	if err := s.Store.Commit(ctx, c); err != nil {
		return false, err
	}
	if c.Gate != nil {
		if err := s.Doorbell.Ring(ctx, c.Gate.Token); err != nil {
			s.Report(ctx, fmt.Errorf("wake %s: %w", exec, err)) // the machine wakes at the gate's expiry
		}
	}
	if x.Held && !now.Before(x.Lease.Until) && !c.Execution.Due.IsZero() {
		s.restart(ctx, x)
	}
	return x.UnderLease(now), nil
}

// restart starts the machine of a cancelled run that was held and owes outcomes. Its
// own may have ended: a machine that wakes for a decision, a reminder or an expiry
// finds the run held.
func (s *Service) restart(ctx context.Context, x Execution) {
	if s.Machine == nil {
		return
	}
	if err := s.Machine.Restart(ctx, machine.Cursor{Org: x.Org, Execution: x.ID}, s.Now()); err != nil {
		s.Report(ctx, fmt.Errorf("start %s: %w", x.ID, err)) // it is due, so the sweeper starts it
	}
}

// asked returns the approval at which a run waits; a zero one if it does not.
func (s *Service) asked(ctx context.Context, x Execution, done Steps) (approval.Approval, error) {
	asked, ok := done.Asking()
	if !ok {
		return approval.Approval{}, nil
	}
	return s.Gates.Approval(ctx, x.Org, approval.ID(asked.Asked, x.ID, asked.ID))
}

// Asking returns the step that waits for approval, and whether there is one.
func (s Steps) Asking() (StepRecord, bool) {
	for _, step := range s {
		if step.Kind == definition.Gate && step.Status == StepWaiting {
			return step, true
		}
	}
	return StepRecord{}, false
}

// Retry starts a new run for the event of a failed or cancelled run, with the
// current definition of its agent. While that retry is open, a repeated request
// returns it. Where a person denied the run, or one that it repeats, only people
// who could have decided so may retry it. Retry returns ErrNotFound, ErrState,
// ErrDenied, ErrRetries, agent.ErrNotFound, tenant.ErrSuspended, tenant.ErrPaused,
// credit.ErrInsufficient or quota.ErrReached.
func (s *Service) Retry(ctx context.Context, who caller.Caller, exec id.Execution) (Execution, Trace, error) {
	x, done, err := s.Store.Execution(ctx, who.Org, exec)
	if err != nil {
		return Execution{}, nil, err
	}
	x.Correlate(ctx)
	if x.Gone(s.Now()) {
		return Execution{}, nil, ErrNotFound
	}
	if x.Status != Failed && x.Status != Cancelled {
		_, err := x.Retry("", 0, StarterOf(who), nil, s.Now())
		return Execution{}, nil, err
	}
	t, err := s.Tenants.Tenant(ctx, who.Org)
	if err != nil {
		return Execution{}, nil, err
	}
	d, version, err := s.Definitions.Current(ctx, who.Org, t.Settings, x.Agent)
	if err != nil {
		return Execution{}, nil, err
	}
	if err := s.mayStart(ctx, t); err != nil {
		return Execution{}, nil, err
	}
	denials := x.denials(done)
	if err := s.mayOverrule(ctx, who, denials, approval.RulesOf(t)); err != nil {
		return Execution{}, nil, err
	}
	again, open, err := s.retryOf(ctx, who, t.Plan, x, retrial{version, d.Patience(), t.Settings.Retention(s.Retention), denials})
	if err != nil {
		return Execution{}, nil, fmt.Errorf("record the retry of %s: %w", exec, err)
	}
	if open {
		return s.Get(ctx, who, again.ID)
	}
	if err := s.Machine.Start(ctx, again.Cursor()); err != nil {
		s.Report(ctx, fmt.Errorf("start %s: %w", again.ID, err)) // the run is recorded, so the sweeper starts it
	}
	return again, TraceOf(d, nil, false), nil
}

// maxRetries limits the retries of a run, those of its retries included.
const maxRetries = 1000

// A retrial is what a retry takes from the present and from earlier runs.
type retrial struct {
	version   int
	patience  time.Duration // of that version
	retention time.Duration
	denials   []id.Approval
}

// retryOf records the next retry of a run, or returns the open one. Retries count
// against the quotas, and not against the limit of the agent. The retries of a run and
// of its retries are numbered together: the number makes the id, so of two requests
// with the same number one records its retry, and the other counts it.
func (s *Service) retryOf(
	ctx context.Context, who caller.Caller, plan credit.Plan, x Execution, r retrial,
) (again Execution, open bool, err error) {
	first, err := s.firstOf(ctx, x)
	if err != nil {
		return Execution{}, false, err
	}
	var started []time.Time
	for n := 1; n <= maxRetries; n++ {
		earlier, _, err := s.Store.Execution(ctx, x.Org, first.RetryID(n))
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return Execution{}, false, err
		case earlier.RetryOf == x.ID && !earlier.Status.Ended():
			return earlier, true, nil
		default:
			started = append(started, earlier.Created)
			continue
		}
		again, err = x.Retry(first.RetryID(n), r.version, StarterOf(who), r.denials, s.Now())
		again = again.Kept(r.patience, r.retention)
		if err == nil {
			err = retriesLeft(first.ID, started, again.Created)
		}
		if err != nil {
			return Execution{}, false, err
		}
		if err := s.admitRetry(ctx, plan, again); err != nil {
			return Execution{}, false, err
		}
		if err := s.Store.CreateRetry(ctx, again, retried(who, x, again)); !errors.Is(err, ErrExists) {
			return again, false, err
		}
		n-- // another request was faster: look at its retry
	}
	return Execution{}, false, ErrState.Sayf("The execution was retried %d times, the most that it may be.", maxRetries)
}

// admitRetry counts a retry against the quotas. Below its root event it is counted
// once, however often it is requested.
func (s *Service) admitRetry(ctx context.Context, plan credit.Plan, again Execution) error {
	runs := []id.Execution{again.ID}
	_, full, err := s.Quotas.AdmitBelow(ctx, again.Org, plan, again.Root(), runs, again.Created)
	if err == nil && full == nil {
		_, full, err = s.Quotas.AdmitRuns(ctx, again.Org, plan, runs, again.Created)
	}
	if err == nil && full != nil {
		return full
	}
	return err
}

// firstOf returns the run with which a chain of retries began.
func (s *Service) firstOf(ctx context.Context, x Execution) (Execution, error) {
	for range maxRetries {
		if x.RetryOf == "" {
			return x, nil
		}
		before, _, err := s.Store.Execution(ctx, x.Org, x.RetryOf)
		if errors.Is(err, ErrNotFound) {
			return x, nil // the earlier ones have expired
		}
		if err != nil {
			return Execution{}, fmt.Errorf("find the run that %s retries: %w", x.ID, internal(err))
		}
		x = before
	}
	return x, nil
}

// MaxRetriesPerHour limits the retries of a run and of its retries in an hour.
const MaxRetriesPerHour = 5

// retriesLeft returns ErrRetries when another retry would be one too many in an hour.
// The times are those of the earlier retries, in their order.
func retriesLeft(first id.Execution, started []time.Time, now time.Time) error {
	recent := slices.DeleteFunc(slices.Clone(started), func(at time.Time) bool { return !at.After(now.Add(-time.Hour)) })
	if len(recent) < MaxRetriesPerHour {
		return nil
	}
	next := recent[len(recent)-MaxRetriesPerHour].Add(time.Hour)
	return ErrRetries.Sayf("%s and its retries were retried %d times in the last hour, and %d is the most; the next retry may start at %s.",
		first, len(recent), MaxRetriesPerHour, next.UTC().Format(time.RFC3339))
}

// retried returns the act that records a retry of x.
func retried(who caller.Caller, x, again Execution) audit.Entry {
	return audit.Of(who, audit.Change{
		Kind: audit.ExecutionRetried, Object: string(x.ID), From: string(x.Status), To: string(again.ID),
	}, again.Created)
}

// mayStart returns an error if the organization may not start runs.
func (s *Service) mayStart(ctx context.Context, t tenant.Tenant) error {
	if t.Suspended {
		return tenant.ErrSuspended
	}
	if t.Pause.Active() {
		return tenant.ErrPaused
	}
	b, err := s.Balances.Balance(ctx, t.Org, credit.MonthOf(s.Now()))
	if err != nil {
		return err
	}
	if b.Remaining <= 0 {
		return credit.ErrInsufficient
	}
	return nil
}
