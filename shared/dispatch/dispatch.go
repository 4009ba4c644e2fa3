// Package dispatch turns one event into the runs that it starts, and says of
// every agent that listened why it did or did not.
//
// An event may be delivered many times. The id of a run is derived from its
// agent and its event, so a run is recorded once and started once. The window
// of the second kind of deduplication is claimed in the name of that id, so
// the event that claimed it passes again and its twins do not.
//
// Whether an event is a duplicate or the limit is reached is looked up before
// anything is written: a refusal costs the write of its reason and leaves no
// claim, so that no twin is called the duplicate of a run that never began.
// Claim and Admit then decide between those that looked at the same time.
//
// If the table is down nothing is decided and the queue brings the event again;
// if the machines are, the run is recorded, and the queue and then the sweeper
// start it. If the dispatcher dies in the middle, each agent is where it was or
// has its run.
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
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/tenant"
)

// ErrUnknownOrg refuses events of organizations that the Hub has not announced.
var ErrUnknownOrg = fault.New(fault.Invalid, "unknown_org", "The organization is not known.")

// Window is how long an agent ignores an event that says the same again.
const Window = 5 * time.Minute

// Agents finds who listens.
type Agents interface {
	// Listeners returns the active agents of the organization itself that
	// listen for an event, and which system agents it has paused.
	Listeners(ctx context.Context, org id.Org, event string) ([]agent.Listener, map[id.Agent]bool, error)
}

// Runs records runs and refusals.
type Runs interface {
	// Create stores a new run, or returns execution.ErrExists.
	Create(ctx context.Context, x execution.Execution) error

	// DedupHolder returns the run that has the content of x's event for its agent at
	// a time, as it was claimed; "" when none has.
	DedupHolder(ctx context.Context, x execution.Execution, at time.Time) (id.Execution, error)

	// ClaimDedup lets the run have its event's content for the agent from at until
	// then, and keeps the payload. It returns the run that has it, which is
	// another one when that claimed it first and its time is not over at at.
	ClaimDedup(ctx context.Context, x execution.Execution, at, until time.Time) (id.Execution, error)

	// ReleaseDedup lets others claim the content at once, if the run has it.
	ReleaseDedup(ctx context.Context, x execution.Execution) error

	// LimitStarts returns the runs that count against the agent's limit now.
	LimitStarts(ctx context.Context, org id.Org, a id.Agent) (LimitStarts, error)

	// AdmitWithinLimit counts the run against the agent's limit. It returns why not when
	// the limit is reached. A run that was counted is not counted again. What
	// the caller has seen saves a read while it is still so.
	AdmitWithinLimit(ctx context.Context, x execution.Execution, l definition.Limit, seen LimitStarts, now time.Time) (why string, err error)

	// Header returns a run as it is now, or execution.ErrNotFound.
	Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error)

	// Refuse records why an agent did not run, and when that was decided. An
	// entry that is recorded stays as it is: the first decision about an event
	// is the one that is listed.
	Refuse(ctx context.Context, e activity.Entry) error
}

// Deactivator takes out of service what cannot work.
type Deactivator interface {
	// Invalidate moves an active agent that needs what the catalogue no longer
	// has to the status error; it does nothing to any other.
	Invalidate(ctx context.Context, org id.Org, agent id.Agent) error
}

// Profiles finds what is known of a client; nil when there is nothing.
type Profiles interface {
	Profile(ctx context.Context, org id.Org, client id.Client) (map[string]any, error)
}

// Machine starts runs. Starting the same run twice is not an error.
type Machine interface {
	Start(ctx context.Context, c machine.Cursor) error
}

// Projector keeps our own records up to date with what products say.
type Projector interface {
	// Project records what e says. It may be called again with the same event, and
	// one that says nothing changes nothing.
	Project(ctx context.Context, e event.Event) error
}

// Owners are told of failures that no agent listens for.
type Owners interface {
	// Tell tells the owners of an organization of an event of the platform, at
	// once or with the next e-mail. It may be called again with the same event.
	Tell(ctx context.Context, t tenant.Tenant, e event.Event) error
}

// Service dispatches events.
type Service struct {
	Tenants     execution.Tenants
	Agents      Agents
	System      []agent.Agent // every organization has them
	Rules       definition.Rules
	Deactivator Deactivator
	Profiles    Profiles
	Runs        Runs
	Machine     Machine
	Orgs        Projector // is told before anybody asks whether the organization is known
	Clients     Projector // is told of the events of known ones, before they are judged
	Owners      Owners    // is told of the platform's own events without a listener
	Now         func() time.Time
}

// Dispatch starts a run of every agent that e wakes. It may be called again
// with the same event. It returns ErrUnknownOrg when nobody knows the
// organization; every other error means that it should be called again.
func (s *Service) Dispatch(ctx context.Context, e event.Event) error {
	if err := s.Orgs.Project(ctx, e); err != nil {
		return fmt.Errorf("keep %s: %w", e.Name(), err)
	}
	t, err := s.Tenants.Tenant(ctx, e.Org)
	switch {
	case errors.Is(err, tenant.ErrUnknown):
		return ErrUnknownOrg.Sayf("The organization %s is not known.", e.Org)
	case err != nil:
		return err
	}
	if err := s.Clients.Project(ctx, e); err != nil {
		return fmt.Errorf("keep %s: %w", e.Name(), err)
	}
	listeners, err := s.listeners(ctx, e)
	if err != nil {
		return fmt.Errorf("find agents for %s: %w", e.Name(), err)
	}
	facts, err := s.facts(ctx, e, listeners)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range s.verdicts(listeners, facts, t.Suspended) {
		if err := s.act(ctx, e, v); err != nil {
			errs = append(errs, fmt.Errorf("dispatch to %s: %w", v.listener.Agent, err))
		}
	}
	if e.Product == outbox.Product && !heard(e, listeners) {
		errs = append(errs, s.Owners.Tell(ctx, t, e))
	}
	return errors.Join(errs...)
}

// heard reports whether an agent other than the one that failed listens for an
// event of the platform.
func heard(e event.Event, listeners []agent.Listener) bool {
	return slices.ContainsFunc(listeners, func(l agent.Listener) bool { return l.Agent != outbox.Failed(e) })
}

// listeners returns all agents that listen for the event, system agents that
// are not paused included.
func (s *Service) listeners(ctx context.Context, e event.Event) ([]agent.Listener, error) {
	own, paused, err := s.Agents.Listeners(ctx, e.Org, e.Name())
	if err != nil {
		return nil, err
	}
	for _, a := range s.System {
		if a.Definition.Trigger.Event() == e.Name() && !paused[a.ID] {
			own = append(own, agent.Listener{Agent: a.ID, Version: a.Version, System: true, Definition: a.Definition})
		}
	}
	return own, nil
}

// facts gathers what conditions look at, the client's profile only if one does.
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

// A verdict says whether an agent runs.
type verdict struct {
	listener agent.Listener
	outcome  definition.Outcome
	why      string
}

// verdicts judges all listeners together, since one may override others.
func (s *Service) verdicts(listeners []agent.Listener, f condition.Facts, suspended bool) []verdict {
	var overrides id.Agent
	out := make([]verdict, 0, len(listeners))
	for _, l := range listeners {
		v := verdict{listener: l}
		v.outcome, v.why = s.judge(l, f)
		if v.outcome == definition.Started && suspended {
			v.outcome, v.why = definition.Suspended, "the organization is suspended"
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

// judge says whether the event wakes one agent. System agents come with the
// catalogue; the others may have outlived what they name in it.
func (s *Service) judge(l agent.Listener, f condition.Facts) (definition.Outcome, string) {
	if !l.System {
		if missing := s.Rules.Missing(l.Definition); len(missing) > 0 {
			return definition.Broken, fmt.Sprintf("the catalogue no longer has %s; change the agent", strings.Join(missing, ", "))
		}
	}
	outcome, why := l.Definition.Judge(f)
	if outcome == definition.Started && outbox.Failed(f.Event) == l.Agent {
		return definition.LoopGuard, "the event is about a failure of this agent, and an agent is never started by its own failure"
	}
	return outcome, why
}

// act starts the run, or records why not.
func (s *Service) act(ctx context.Context, e event.Event, v verdict) error {
	if v.outcome == definition.Started {
		outcome, why, err := s.start(ctx, e, v.listener)
		if err != nil || outcome == definition.Started {
			return err
		}
		v.outcome, v.why = outcome, why
	}
	err := s.Runs.Refuse(ctx, activity.Entry{
		ID: activity.ID(e.Org, v.listener.Agent, e.ID, e.Published), Org: e.Org, Agent: v.listener.Agent, At: s.Now(),
		Event: e.ID, EventType: e.Type, Product: e.Product, Outcome: v.outcome, Detail: v.why,
	})
	if err != nil || v.outcome != definition.Broken {
		return err
	}
	return s.Deactivator.Invalidate(ctx, e.Org, v.listener.Agent) // only now: it no longer listens afterwards
}

func (s *Service) start(ctx context.Context, e event.Event, l agent.Listener) (definition.Outcome, string, error) {
	now := s.Now()
	x := execution.New(execution.Execution{
		ID: execution.ID(e.Org, l.Agent, e), Org: e.Org, Agent: l.Agent, Version: l.Version, Trigger: e,
	}, now)
	no, err := s.admit(ctx, x, l.Definition.Limit, now)
	switch {
	case err != nil:
		return "", "", err
	case no.outcome != "":
		return s.refused(ctx, x, no)
	}
	if err := s.Runs.Create(ctx, x); err != nil && !errors.Is(err, execution.ErrExists) {
		return "", "", fmt.Errorf("record: %w", err)
	}
	return definition.Started, "", s.Machine.Start(ctx, machine.Cursor{Org: x.Org, Execution: x.ID})
}

// A refusal says why a run is not let in; the zero value lets it in.
type refusal struct {
	outcome definition.Outcome
	why     string
	holds   bool // whether the run has its event's content all the same
}

func duplicate(of id.Execution) refusal {
	return refusal{outcome: definition.Duplicate, why: fmt.Sprintf("an event with the same content started %s within %v", of, Window)}
}

// said returns when an event said what it says. The window of twins is one of
// the time at which they were published, not of the time at which they arrive:
// so a twin that was refused stays one when it is delivered again or replayed,
// however late. A clock that is ahead does not hold up those that are right.
func said(e event.Event, now time.Time) time.Time {
	if e.Published.After(now) {
		return now
	}
	return e.Published
}

// admit lets a run have its content and its place within the limit. It looks
// at both before it takes one.
func (s *Service) admit(ctx context.Context, x execution.Execution, l *definition.Limit, now time.Time) (refusal, error) {
	at := said(x.Trigger, now)
	holder, err := s.Runs.DedupHolder(ctx, x, at)
	switch {
	case err != nil:
		return refusal{}, fmt.Errorf("look who has the content: %w", err)
	case holder != "" && holder != x.ID:
		return duplicate(holder), nil
	}
	var seen LimitStarts
	if l != nil {
		if seen, err = s.Runs.LimitStarts(ctx, x.Org, x.Agent); err != nil {
			return refusal{}, fmt.Errorf("look at the limit: %w", err)
		}
		if _, why := seen.Starts.Admit(x.ID, *l, now); why != "" {
			return refusal{definition.LimitReached, why, holder == x.ID}, nil
		}
	}
	if holder == "" {
		if holder, err = s.Runs.ClaimDedup(ctx, x, at, at.Add(Window)); err != nil {
			return refusal{}, fmt.Errorf("claim: %w", err)
		}
		if holder != x.ID {
			return duplicate(holder), nil
		}
	}
	if l == nil {
		return refusal{}, nil
	}
	why, err := s.Runs.AdmitWithinLimit(ctx, x, *l, seen, now)
	switch {
	case err != nil:
		return refusal{}, fmt.Errorf("admit: %w", err)
	case why != "":
		return refusal{definition.LimitReached, why, true}, nil
	}
	return refusal{}, nil
}

// refused returns why the run is not let in, unless an earlier delivery of its
// event began it: then what has come since does not count. What the run has
// and does not need it gives back.
func (s *Service) refused(ctx context.Context, x execution.Execution, no refusal) (definition.Outcome, string, error) {
	_, err := s.Runs.Header(ctx, x.Org, x.ID)
	switch {
	case err == nil:
		return definition.Started, "", nil
	case !errors.Is(err, execution.ErrNotFound):
		return "", "", fmt.Errorf("look for an earlier delivery: %w", err)
	}
	if no.holds {
		if err := s.Runs.ReleaseDedup(ctx, x); err != nil {
			return "", "", fmt.Errorf("give the content back: %w", err)
		}
	}
	return no.outcome, no.why, nil
}
