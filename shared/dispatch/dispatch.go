// Package dispatch starts the runs for an event and records, for every agent
// that listens, why it did or did not start.
//
// An event may be delivered many times. The id of a run is derived from its
// agent and its event, so the run is recorded and started once. The
// deduplication window for equal content is claimed in the name of that run id:
// the event that holds the claim passes again, and other events with the same
// content are refused.
//
// An event that starts nothing costs one read: the record of its organization, which
// says whether the listeners in memory are still right; see ListenerCache.
//
// A refusal leaves no claim, so that no event is called a duplicate of a run that never
// started. Limits, and duplicates where they are likely or their claim is expensive, are
// checked by reads before the first write: their refusal costs only the write of its
// reason. Elsewhere the claim itself says that an event is a duplicate, which saves the
// read for all others; see RecentClaims. Between dispatchers that check at the same
// time, ClaimDedup and AdmitWithinLimit decide.
//
// The runs of an event are counted against the quotas of the organization together,
// by one write before all others. A run that a claim or a limit then refuses after all
// is taken out of the count.
//
// An organization that keeps a journal has each event in it before the dispatch
// succeeds: the write goes on beside the reads, and its failure is one of the dispatch.
//
// If the table is down, nothing is decided and the queue delivers the event
// again. If the machines are down, the run is recorded, and the queue or the
// sweeper starts it. If the dispatcher crashes, each agent either has its run
// or is handled by the next delivery.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/span"
	"theoneagents.app/agents/shared/tenant"
)

// ErrUnknownOrg refuses events of organizations that the Hub has not announced.
var ErrUnknownOrg = fault.New(fault.Invalid, "unknown_org", "The organization is not known.")

// Window is the time during which an agent ignores events with the same
// content.
const Window = 5 * time.Minute

// Agents finds the listeners of an event.
type Agents interface {
	// Listeners returns the active agents of the organization that listen for
	// an event, and the system agents that the organization has paused.
	Listeners(ctx context.Context, org id.Org, event string) ([]agent.Listener, map[id.Agent]bool, error)
}

// Runs records runs and refusals.
type Runs interface {
	// Create stores a new run, or returns execution.ErrExists.
	Create(ctx context.Context, x execution.Execution) error

	// DedupHolder returns the run that holds the claim on the content of x's
	// event for its agent at the given time; "" when no run does.
	DedupHolder(ctx context.Context, x execution.Execution, at time.Time) (id.Execution, error)

	// ClaimDedup claims the event's content for the run from at until then and
	// stores the payload. It returns the holder: another run if that claimed
	// the content first and its claim has not ended at at.
	ClaimDedup(ctx context.Context, x execution.Execution, at, until time.Time) (id.Execution, error)

	// ReleaseDedup ends the claim if the run holds it.
	ReleaseDedup(ctx context.Context, x execution.Execution) error

	// LimitStarts returns the runs that currently count against the agent's
	// limit.
	LimitStarts(ctx context.Context, org id.Org, a id.Agent) (LimitStarts, error)

	// AdmitWithinLimit counts the run against the agent's limit, or returns why
	// the limit refuses it. A counted run is not counted again. If seen is
	// still current, it saves a read.
	AdmitWithinLimit(ctx context.Context, x execution.Execution, l definition.Limit, seen LimitStarts, now time.Time) (why string, err error)

	// Header returns a run as it is now, or execution.ErrNotFound.
	Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error)

	// Maker returns the run whose action made an object, or "" when none is known
	// at this time.
	Maker(ctx context.Context, org id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error)

	// AddUses adds uses to those of the organization, which is known.
	AddUses(ctx context.Context, org id.Org, uses []tenant.Use) error

	// Refuse records why and when an agent did not run. An existing entry is
	// kept: activity lists the first decision about an event.
	Refuse(ctx context.Context, e activity.Entry) error

	// Refusal returns the outcome of the entry of e's id, or "" without one.
	Refusal(ctx context.Context, e activity.Entry) (definition.Outcome, error)
}

// Deactivator takes broken agents out of service.
type Deactivator interface {
	// Invalidate sets an active agent to the status error if the catalogue no
	// longer has something that it needs. It leaves every other agent
	// unchanged.
	Invalidate(ctx context.Context, org id.Org, agent id.Agent) error
}

// Profiles finds the profile of a client; nil when it has none.
type Profiles interface {
	Profile(ctx context.Context, org id.Org, client id.Client) (map[string]any, error)
}

// Machine starts runs. Starting the same run twice is not an error. A start with the
// first lease of a run is tried once: after an error, it may have happened.
type Machine interface {
	Start(ctx context.Context, c machine.Cursor) error
}

// Projector projects events into records.
type Projector interface {
	// Project records the content of e. It may be repeated with the same event;
	// an event without relevant content changes nothing.
	Project(ctx context.Context, e event.Event) error
}

// Journal keeps the events that an organization receives.
type Journal interface {
	// KeepEvent keeps an event until it expires. It may be repeated with the same event.
	KeepEvent(ctx context.Context, org id.Org, e journal.Entry) error
}

// Quotas counts runs against the quotas of an organization.
type Quotas interface {
	// AdmitRuns counts runs that start at a time. It returns those that the quotas
	// admit, and the quota that refuses the others. It may be repeated: a run is
	// counted once in a minute.
	AdmitRuns(ctx context.Context, org id.Org, plan credit.Plan, runs []id.Execution, at time.Time) ([]id.Execution, *quota.Reached, error)

	// RunsPerRoot returns how many runs one root event may start.
	RunsPerRoot(plan credit.Plan) int

	// AdmitBelow counts runs below a root event that the event did not start itself,
	// as AdmitRuns does. A run is counted once.
	AdmitBelow(ctx context.Context, org id.Org, plan credit.Plan, root quota.Root, runs []id.Execution, at time.Time) ([]id.Execution, *quota.Reached, error)

	// WithdrawRun takes an admitted run out of the count. It may be repeated.
	WithdrawRun(ctx context.Context, org id.Org, run id.Execution, at time.Time) error
}

// Owners notifies owners of failures that no agent listens for.
type Owners interface {
	// Tell notifies the owners of an organization of a platform event, at once
	// or with the next e-mail. It may be repeated with the same event.
	Tell(ctx context.Context, t tenant.Tenant, e event.Event) error
}

// Service dispatches events.
type Service struct {
	Tenants     execution.Tenants
	Agents      Agents
	Cache       *ListenerCache // nil keeps no listeners
	Recent      *RecentClaims  // nil reads the holder of every claim first
	System      []agent.Agent  // agents of every organization
	Rules       definition.Rules
	Deactivator Deactivator
	Profiles    Profiles
	Runs        Runs
	Journal     Journal // nil keeps no events
	Quotas      Quotas
	Machine     Machine
	Orgs        Projector     // runs before the organization is looked up
	Clients     Projector     // runs for known organizations, before conditions are evaluated
	Owners      Owners        // notified of platform events without a listener
	NewOwner    func() string // a name that no worker has, for the lease of a new run; nil: without one
	Now         func() time.Time
	Retention   time.Duration // of runs, where the organization chose none; zero for execution.DefaultRetention
}

// Dispatch starts a run of every agent whose conditions e meets. It may be
// repeated with the same event. It returns ErrUnknownOrg for an unknown
// organization, tenant.ErrDeleted for a deleted one and event.ErrMalformed for an event from the future; after any
// other error it should be called again.
func (s *Service) Dispatch(ctx context.Context, e event.Event) error {
	if err := e.Timely(s.Now()); err != nil {
		return err
	}
	if err := s.Orgs.Project(ctx, e); err != nil {
		return fmt.Errorf("project %s: %w", e.Name(), err)
	}
	t, err := s.tenant(ctx, e)
	switch {
	case tenant.Deletes(e.Name()):
		return nil
	case errors.Is(err, tenant.ErrDeleted):
		return fmt.Errorf("%s of %s: %w", e.Name(), e.Org, tenant.ErrDeleted)
	case errors.Is(err, tenant.ErrUnknown):
		return ErrUnknownOrg.Sayf("The organization %s is not known.", e.Org)
	case err != nil:
		return err
	}
	kept := s.keep(ctx, e, t)
	return errors.Join(s.decide(ctx, e, t), kept())
}

// keep writes the event into the journal of an organization that has one, while the
// dispatcher reads and decides. The returned function waits for the write.
func (s *Service) keep(ctx context.Context, e event.Event, t tenant.Tenant) func() error {
	if s.Journal == nil || t.Settings.JournalDays == 0 {
		return func() error { return nil }
	}
	entry, ok := journal.Of(e, t.Settings.JournalDays, s.Now())
	if !ok {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- s.Journal.KeepEvent(ctx, e.Org, entry) }()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("keep %s in the journal: %w", e.ID, err)
		}
		return nil
	}
}

// decide starts a run of every agent whose conditions the event meets.
func (s *Service) decide(ctx context.Context, e event.Event, t tenant.Tenant) error {
	if err := s.Clients.Project(ctx, e); err != nil {
		return fmt.Errorf("project %s: %w", e.Name(), err)
	}
	listeners, err := s.listeners(ctx, e, t)
	if err != nil {
		return fmt.Errorf("find agents for %s: %w", e.Name(), err)
	}
	facts, err := s.facts(ctx, e, listeners)
	if err != nil {
		return err
	}
	e, rootRuns, verdicts, err := s.judgeAll(ctx, listeners, facts, t)
	if err != nil {
		return err
	}
	place(ctx, e)
	var errs []error
	for _, v := range s.admitted(ctx, e, rootRuns, verdicts, t) {
		if err := s.apply(ctx, e, v, t); err != nil {
			errs = append(errs, fmt.Errorf("dispatch to %s: %w", v.listener.Agent, err))
		}
	}
	if e.Product == outbox.Product && !hasListener(e, listeners) {
		errs = append(errs, s.Owners.Tell(ctx, t, e))
	}
	return errors.Join(errs...)
}

// hasListener reports whether an agent listens for an event of the platform,
// other than the agent whose failure it reports.
func hasListener(e event.Event, listeners []agent.Listener) bool {
	return slices.ContainsFunc(listeners, func(l agent.Listener) bool { return l.Agent != outbox.Failed(e) })
}

// facts collects the data for conditions; the client's profile only if needed.
func (s *Service) facts(ctx context.Context, e event.Event, listeners []agent.Listener) (condition.Facts, error) {
	f := condition.Facts{Event: e}
	for _, l := range listeners {
		if e.Client == "" || !l.Definition.UsesClient() {
			continue
		}
		p, err := s.Profiles.Profile(ctx, e.Org, e.Client)
		if err != nil {
			return f, fmt.Errorf("profile of %s: %w", e.Client, err)
		}
		f.Client = p
		break
	}
	return f, nil
}

// A verdict says whether and why an agent runs.
type verdict struct {
	listener agent.Listener
	outcome  definition.Outcome
	why      string
	fault    *condition.Fault // the comparison that refused the event, if one did
	related  id.Execution     // the run because of which the agent does not run
	traced   bool             // whether the cause of the event, which the platform found, refuses a start

	decided bool    // an earlier delivery of the event decided for good
	start   attempt // at starting the run, of an agent that runs
	err     error   // why there is no verdict yet
}

// eventWork is the work on filters and conditions for one event, in bytes that they
// read: less than a second. Each agent has an equal share of what earlier agents
// left.
const eventWork = 256 << 20

// verdicts judges all listeners together, because one may override others.
func (s *Service) verdicts(listeners []agent.Listener, f condition.Facts, t tenant.Tenant) []verdict {
	var overrides id.Agent
	out := make([]verdict, 0, len(listeners))
	budget, facts := render.NewBudget(eventWork), f
	for i, l := range listeners {
		v := verdict{listener: l}
		facts.Budget = nil // the platform's own agents need little
		if !l.System {
			facts.Budget = budget.Part(budget.Left() / (len(listeners) - i))
		}
		v.outcome, v.why = Verdict(s.Rules, l, facts, t)
		switch v.outcome { //nolint:exhaustive // the other outcomes have neither.
		case definition.Filtered, definition.ConditionNotMet:
			v.fault = l.Definition.Fault(facts)
		case definition.LoopGuard:
			v.related = f.Event.Cause()
		}
		if v.outcome == definition.Started && !l.System && l.Definition.Conflict == definition.Override {
			overrides = l.Agent
		}
		out = append(out, v)
	}
	for i, v := range out {
		if overrides != "" && v.listener.System && v.outcome == definition.Started {
			out[i].outcome, out[i].why = definition.Overridden, fmt.Sprintf("%s matches and overrides system agents", overrides)
		}
	}
	return out
}

// standing returns why no agent of the organization starts, or Started.
func standing(t tenant.Tenant) (definition.Outcome, string) {
	switch {
	case t.Suspended:
		return definition.Suspended, "the organization is suspended"
	case t.Pause.Active():
		return definition.OrgPaused, fmt.Sprintf("%s paused the organization at %s", t.Pause.By, t.Pause.At.UTC().Format(time.RFC3339))
	}
	return definition.Started, ""
}

// Verdict decides whether the event starts one agent, as far as the agent, its
// definition and its organization say: without other agents, duplicates, limits and
// quotas. System agents always fit the catalogue; other agents may refer to entries that
// were removed.
func Verdict(r definition.Rules, l agent.Listener, f condition.Facts, t tenant.Tenant) (definition.Outcome, string) {
	if !l.System {
		if missing := r.Missing(l.Definition); len(missing) > 0 {
			return definition.Broken, fmt.Sprintf("the catalogue no longer has %s; change the agent", strings.Join(missing, ", "))
		}
	}
	outcome, why := l.Definition.Judge(f)
	switch {
	case outcome != definition.Started:
		return outcome, why
	case outbox.Failed(f.Event) == l.Agent:
		return definition.LoopGuard, "the event is about a failure of this agent, and an agent is never started by its own failure"
	}
	return standing(t)
}

// admitted looks for reasons against each run, and counts the runs without one
// against the quotas. An event without a cause starts at most as many runs as one
// root event may; these are counted by no write.
func (s *Service) admitted(ctx context.Context, e event.Event, rootRuns int, verdicts []verdict, t tenant.Tenant) []verdict {
	now, most, direct := s.Now(), s.Quotas.RunsPerRoot(t.Plan), 0
	var runs []id.Execution
	for i := range verdicts {
		v := &verdicts[i]
		v.decided, v.err = s.decidedAmidPauses(ctx, e, *v, t)
		if v.traced { // an earlier delivery may have come before the record of the cause
			v.start = attempt{run: s.run(e, v.listener, t, now), no: refusal{outcome: v.outcome, why: v.why}}
		}
		if v.err != nil || v.decided || !v.starts() {
			continue
		}
		if direct++; direct > most && !e.AgentTriggered() {
			v.start = attempt{run: s.run(e, v.listener, t, now), no: refusal{outcome: definition.QuotaReached, why: quota.RootFull(most, most).Sentence()}}
			continue
		}
		if v.start, v.err = s.prepare(ctx, e, v.listener, t, now); v.err == nil && v.start.uncounted() {
			runs = append(runs, v.start.run.ID)
		}
		v.start.run.RootRuns = rootRuns
	}
	if len(runs) == 0 {
		return verdicts
	}
	may, full, err := s.Quotas.AdmitRuns(ctx, e.Org, t.Plan, runs, now)
	for i := range verdicts {
		v := &verdicts[i]
		switch {
		case v.err != nil || !v.start.uncounted():
		case err != nil:
			v.err = fmt.Errorf("count against the quotas: %w", err)
		case slices.Contains(may, v.start.run.ID):
			v.start.counted = true
		default:
			v.start.no = refusal{outcome: definition.QuotaReached, why: full.Sentence(), holds: v.start.holds}
		}
	}
	if e.AgentTriggered() {
		s.countBelow(ctx, e.Org, verdicts, t, now)
	}
	return verdicts
}

// apply starts the run or records the refusal.
func (s *Service) apply(ctx context.Context, e event.Event, v verdict, t tenant.Tenant) error {
	if v.err != nil || v.decided {
		return v.err
	}
	if v.start.counted {
		if err := s.declare(ctx, v.listener.Definition, t); err != nil {
			return err
		}
	}
	if v.starts() || v.traced {
		no, err := s.start(ctx, v.start, v.listener.Definition.Limit)
		if err != nil || no.outcome == definition.Started {
			return err
		}
		v.outcome, v.why = no.outcome, no.why
		if no.related != "" {
			v.related = no.related
		}
	}
	err := s.Runs.Refuse(ctx, s.entry(e, v))
	if err != nil || v.outcome != definition.Broken {
		return err
	}
	return s.Deactivator.Invalidate(ctx, e.Org, v.listener.Agent) // after Refuse, because a deactivated agent no longer listens
}

// entry returns the activity entry of a refusal.
func (s *Service) entry(e event.Event, v verdict) activity.Entry {
	return activity.Entry{
		ID: activity.ID(e.Org, v.listener.Agent, e.ID, e.Published), Org: e.Org, Agent: v.listener.Agent, At: s.Now(),
		Event: e.ID, EventType: e.Type, Product: e.Product, Outcome: v.outcome, Detail: render.Cut(v.why, activity.MaxDetail-len("…")),
		Client: e.Client, Related: v.related, Fault: v.fault,
	}
}

// decidedAmidPauses reports whether an earlier delivery of the event decided about
// it for good: it started its run before the pause, or the pause refused it, so that
// a delivery after the resumption starts nothing. Only paused organizations, and for
// as long as activity is kept those that were, pay the read.
func (s *Service) decidedAmidPauses(ctx context.Context, e event.Event, v verdict, t tenant.Tenant) (bool, error) {
	switch {
	case v.outcome == definition.OrgPaused:
		_, err := s.Runs.Header(ctx, e.Org, execution.ID(e.Org, v.listener.Agent, e))
		if err != nil && !errors.Is(err, execution.ErrNotFound) {
			return false, fmt.Errorf("find an earlier delivery: %w", err)
		}
		return err == nil, nil
	case v.outcome == definition.Started && !t.Resumed.IsZero() && s.Now().Before(t.Resumed.Add(activity.Kept)):
		first, err := s.Runs.Refusal(ctx, s.entry(e, v))
		if err != nil {
			return false, fmt.Errorf("find an earlier refusal: %w", err)
		}
		return first == definition.OrgPaused, nil
	}
	return false, nil
}

// An attempt is what the reads before the first write have shown about a run.
type attempt struct {
	run      execution.Execution
	seen     LimitStarts
	holds    bool    // the run holds the claim on its event's content
	unread   bool    // whether it does is not known: nothing was read, and nothing claimed
	recorded bool    // an earlier delivery of the event recorded the run
	counted  bool    // the quotas admit the run
	no       refusal // the reason against it
}

// uncounted reports whether the quotas must still decide about the run.
func (a attempt) uncounted() bool {
	return a.run.ID != "" && !a.recorded && !a.counted && a.no.outcome == ""
}

// prepare reads what speaks against a run, and writes nothing.
func (s *Service) prepare(
	ctx context.Context, e event.Event, l agent.Listener, t tenant.Tenant, now time.Time,
) (attempt, error) {
	a := attempt{run: s.run(e, l, t, now)}
	if !s.readsHolder(ctx, a.run, l.Definition.Limit) {
		a.unread = true
		return a, nil
	}
	holder, err := s.holder(ctx, a.run)
	switch a.holds = holder == a.run.ID; {
	case err != nil:
		return a, err
	case a.holds:
		if a.recorded, err = s.isRecorded(ctx, a.run); err != nil || a.recorded {
			return a, err
		}
	case holder != "":
		a.no = duplicate(holder)
		return a, nil
	}
	limit := l.Definition.Limit
	if limit == nil {
		return a, nil
	}
	if a.seen, err = s.Runs.LimitStarts(ctx, e.Org, l.Agent); err != nil {
		return a, fmt.Errorf("read the starts of the limit: %w", err)
	}
	if _, why := a.seen.Starts.Admit(a.run.ID, *limit, now); why != "" {
		a.no = refusal{outcome: definition.LimitReached, why: why, holds: a.holds}
	}
	return a, nil
}

// holder returns the run that holds the claim on the content of x's event, or "".
func (s *Service) holder(ctx context.Context, x execution.Execution) (id.Execution, error) {
	holder, err := s.Runs.DedupHolder(ctx, x, windowStart(x.Trigger, x.Created))
	switch {
	case err != nil:
		return "", fmt.Errorf("find the deduplication holder: %w", err)
	case holder != "":
		s.Recent.note(x, x.Created)
	}
	return holder, nil
}

// isRecorded reports whether an earlier delivery of the event recorded the run.
func (s *Service) isRecorded(ctx context.Context, x execution.Execution) (bool, error) {
	_, err := s.Runs.Header(ctx, x.Org, x.ID)
	if err != nil && !errors.Is(err, execution.ErrNotFound) {
		return false, fmt.Errorf("find an earlier delivery: %w", err)
	}
	return err == nil, nil
}

// start starts the run, with the outcome Started, or returns why it does not.
func (s *Service) start(ctx context.Context, a attempt, l *definition.Limit) (end refusal, err error) {
	x := a.run
	ctx, starting := span.Start(ctx, "start", span.Internal)
	defer func() {
		starting.Text(span.Agent, string(x.Agent))
		starting.Text(span.Execution, string(x.ID))
		starting.Text(span.Outcome, string(end.outcome))
		if err != nil {
			starting.Fail(fault.From(err).Code)
		}
		starting.End()
	}()
	if !a.recorded {
		no := a.no
		if no.outcome == "" {
			var err error
			if no, err = s.admit(ctx, a, l); err != nil {
				return refusal{}, err
			}
			a.unread = false
		}
		if no.outcome != "" {
			return s.refused(ctx, a, no)
		}
		return refusal{outcome: definition.Started}, s.begin(ctx, x)
	}
	return refusal{outcome: definition.Started}, s.Machine.Start(ctx, x.Cursor())
}

// begin records a run with the lease of its first worker, and starts the machine of
// that worker. When the run exists, an earlier delivery of the event may have started
// that machine: this one starts without the lease, and waits for its end.
func (s *Service) begin(ctx context.Context, x execution.Execution) error {
	first := ""
	if s.NewOwner != nil {
		first = s.NewOwner()
		x = x.FirstLeased(first, s.Now())
	}
	c := x.Cursor()
	switch err := s.Runs.Create(ctx, x); {
	case err == nil:
		c.First = first
	case !errors.Is(err, execution.ErrExists):
		return fmt.Errorf("record: %w", err)
	}
	return s.Machine.Start(ctx, c)
}

// place moves the span of the dispatch to the trace of the event, whose cause is
// known now.
func place(ctx context.Context, e event.Event) {
	correlation.Set(ctx, func(f *correlation.Fields) { f.Trace = e.Trace().Trace.String() })
	if dispatching := span.Current(ctx); dispatching != nil {
		dispatching.In(e.Trace(), e.Span().Span)
	}
}

// run returns the run that the event starts of an agent.
func (s *Service) run(e event.Event, l agent.Listener, t tenant.Tenant, now time.Time) execution.Execution {
	return execution.New(execution.Execution{
		ID: execution.ID(e.Org, l.Agent, e), Org: e.Org, Agent: l.Agent, Version: l.Version, Trigger: e,
		Untracked: s.untracked(l.Definition, t),
	}, now).Kept(l.Definition.Patience(), t.Settings.Retention(s.Retention))
}

// A refusal is the reason why a run is not admitted; the zero value admits it.
type refusal struct {
	outcome definition.Outcome
	why     string
	holds   bool         // whether the run holds the claim on its event's content
	related id.Execution // the run because of which it is not admitted; empty for none
}

func duplicate(of id.Execution) refusal {
	return refusal{outcome: definition.Duplicate, why: fmt.Sprintf("an event with the same content started %s within %v", of, Window), related: of}
}

// windowStart returns the time at which the deduplication window of an event
// begins: when it was published, not when it arrived. A duplicate that was
// refused therefore stays one when it is delivered again or replayed later. A
// publication time in the future counts as now, so that a fast clock does not
// block correct ones.
func windowStart(e event.Event, now time.Time) time.Time {
	if e.Published.After(now) {
		return now
	}
	return e.Published
}

// admit claims the content and counts the run against the agent's limit.
func (s *Service) admit(ctx context.Context, a attempt, l *definition.Limit) (refusal, error) {
	x, now := a.run, a.run.Created
	if !a.holds {
		at := windowStart(x.Trigger, now)
		holder, err := s.Runs.ClaimDedup(ctx, x, at, at.Add(Window))
		if err != nil {
			return refusal{}, fmt.Errorf("claim the deduplication window: %w", err)
		}
		s.Recent.note(x, now)
		if holder != x.ID {
			return duplicate(holder), nil
		}
	}
	if l == nil {
		return refusal{}, nil
	}
	why, err := s.Runs.AdmitWithinLimit(ctx, x, *l, a.seen, now)
	switch {
	case err != nil:
		return refusal{}, fmt.Errorf("count against the limit: %w", err)
	case why != "":
		return refusal{outcome: definition.LimitReached, why: why, holds: true}, nil
	}
	return refusal{}, nil
}

// refused returns the refusal, unless an earlier delivery of the event has
// started the run: then Started. It releases a claim that the refused run
// holds, and takes a counted run out of the quotas.
func (s *Service) refused(ctx context.Context, a attempt, no refusal) (refusal, error) {
	x := a.run
	started, err := s.isRecorded(ctx, x)
	switch {
	case err != nil:
		return refusal{}, err
	case started:
		return refusal{outcome: definition.Started}, nil
	}
	if a.unread { // an earlier delivery may have claimed the content
		holder, err := s.holder(ctx, x)
		if err != nil {
			return refusal{}, err
		}
		no.holds = holder == x.ID
	}
	if no.holds {
		if err := s.Runs.ReleaseDedup(ctx, x); err != nil {
			return refusal{}, fmt.Errorf("release the deduplication claim: %w", err)
		}
	}
	if a.counted {
		if err := s.Quotas.WithdrawRun(ctx, x.Org, x.ID, x.Created); err != nil {
			return refusal{}, err
		}
	}
	return no, nil
}
