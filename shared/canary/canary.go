// Package canary follows runs of its own from their event to their end, and says how
// long the platform took.
//
//	tick ──event──▶ bus ──▶ queue ──▶ dispatcher ──▶ run ──▶ gate
//	next tick ──verdict──▶ run ──▶ end ◀──looked at── by the ticks after it
//
// Every minute has one event in an organization of the canary's own. Its id is derived
// from the minute, and that of the run from the event: a tick finds the runs of earlier
// ticks without a record of what it has published, and may be repeated. A verdict comes
// a minute after the question, so its delay says nothing about the platform and is
// taken out.
//
// The canary takes the way of a product and of a person: it puts its event on the bus in
// the role of a publisher, and decides with the service that the API uses. A run calls no
// model and no product, and its gate tells nobody. When the canary dies, the gates expire
// and the runs end.
package canary

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

const (
	// Every is the time between two events.
	Every = time.Minute
	// Settled is the age of an event at which its run should have ended: one Every until
	// the verdict, and another until the end, which leaves time for a repair.
	Settled = 3 * Every
	// Window is the age of the oldest event whose run is looked at.
	Window = 10 * Every
)

// Agent is the agent of the canary.
const Agent id.Agent = "agent_canary"

// Gate is its only step.
const Gate id.Step = "ask"

// Product is the source of its events.
const Product = "canary"

const probe = "probe.sent"

// person is the user of the canary.
const person id.User = "user_canary"

//go:embed agent.json
var definition []byte

// Tenants records the organization.
type Tenants interface {
	// Project records the content of e. It may be repeated with the same event.
	Project(ctx context.Context, e event.Event) error
}

// Agents makes and changes the agent, whose id is always Agent.
type Agents interface {
	Create(ctx context.Context, who caller.Caller, doc map[string]any) (agent.Agent, error)

	// Update returns agent.ErrNotFound without an agent. It writes nothing when the
	// patch changes nothing.
	Update(ctx context.Context, who caller.Caller, a id.Agent, p agent.Patch) (agent.Agent, error)
}

// Runs finds a run and its steps, or returns execution.ErrNotFound.
type Runs interface {
	Execution(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, execution.Steps, error)
}

// Approvals finds and decides approvals.
type Approvals interface {
	Get(ctx context.Context, who caller.Caller, appr id.Approval) (approval.Approval, error)

	// Decide records a verdict and wakes the run, again when the verdict is repeated.
	Decide(ctx context.Context, who caller.Caller, appr id.Approval, v approval.Verdict) (approval.Approval, error)
}

// Bus publishes events. The same event may be put twice.
type Bus interface {
	Put(ctx context.Context, e event.Event) error
}

// Service is the canary of an organization of its own.
type Service struct {
	Org       id.Org
	Tenants   Tenants
	Agents    Agents
	Runs      Runs
	Approvals Approvals
	Bus       Bus
	Now       func() time.Time

	ready atomic.Bool // whether the organization and the agent were seen to exist
}

// A Report is what a tick has seen.
type Report struct {
	Published bool `json:"published"` // whether the bus accepted the event of this minute
	Ended     bool `json:"ended"`     // whether the run of the minute that is Settled ago is completed
	Failed    bool `json:"failed"`    // whether that run has ended otherwise
	// Took is the time that the platform took for that run, without the time that its
	// verdict took.
	Took time.Duration `json:"took_nanoseconds"`
	// Late is the longest such time of the runs within Window, including those that have
	// not ended. The event of an earlier minute that has no run yet counts, unless no
	// minute before has one: then the canary was off.
	Late time.Duration `json:"late_nanoseconds"`
}

// Tick publishes the event of a minute, decides about the runs that ask, and looks at
// those of the last minutes. It may be repeated. With an error, the report holds what it
// has seen all the same.
func (s *Service) Tick(ctx context.Context, minute time.Time) (Report, error) {
	minute = minute.UTC().Truncate(Every)
	if err := s.prepare(ctx); err != nil {
		return Report{}, err
	}
	failed := s.Bus.Put(ctx, s.event(minute, s.Now()))
	r, err := s.follow(ctx, minute)
	r.Published = failed == nil
	return r, errors.Join(failed, err)
}

// who returns the canary as a caller.
func (s *Service) who() caller.Caller {
	return caller.Caller{Org: s.Org, User: person, Roles: []caller.Role{caller.Owner}}
}

// prepare makes the organization and its agent, or brings the agent to the definition of
// this release. A process does so once.
func (s *Service) prepare(ctx context.Context) error {
	if s.ready.Load() {
		return nil
	}
	if err := s.Tenants.Project(ctx, s.created()); err != nil {
		return fmt.Errorf("make %s: %w", s.Org, err)
	}
	doc, err := jsonvalue.Object(definition)
	if err != nil {
		return fmt.Errorf("definition of the canary: %w", err)
	}
	fields := maps.Clone(doc)
	fields["status"] = string(agent.Active)
	_, err = s.Agents.Update(ctx, s.who(), Agent, agent.Patch{Fields: fields})
	if errors.Is(err, agent.ErrNotFound) {
		if _, err = s.Agents.Create(ctx, s.who(), doc); err == nil {
			_, err = s.Agents.Update(ctx, s.who(), Agent, agent.Patch{Fields: fields})
		}
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", Agent, err)
	}
	s.ready.Store(true)
	return nil
}

// created returns the event of the Hub that makes an organization known. It has always
// the same time, so that a repetition changes nothing.
func (s *Service) created() event.Event {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return event.Event{
		ID: id.Event("evt_" + id.Derive(at, string(s.Org), "created")), Product: "hub", Type: "org.created", Org: s.Org,
		Payload: map[string]any{"plan": string(credit.Starter), "name": "Canary"}, Published: at,
	}
}

// event returns the event of a minute, published now.
func (s *Service) event(minute, now time.Time) event.Event {
	return event.Event{
		ID: id.Event("evt_" + id.Derive(minute, string(s.Org), probe)), Product: Product, Type: probe, Org: s.Org,
		Payload: map[string]any{"minute": minute.Format(time.RFC3339)}, Published: now.UTC().Truncate(time.Millisecond),
	}
}

// follow looks at the runs of the minutes before, the oldest first.
func (s *Service) follow(ctx context.Context, minute time.Time) (Report, error) {
	var r Report
	var errs []error
	known := false
	for at := minute.Add(-Window); at.Before(minute); at = at.Add(Every) {
		l, err := s.look(ctx, at)
		if err != nil {
			errs = append(errs, fmt.Errorf("run of %s: %w", at.Format(time.RFC3339), err))
			continue
		}
		if known = known || l.recorded; known {
			r.Late = max(r.Late, l.took)
		}
		if at.Equal(minute.Add(-Settled)) && l.status.Ended() {
			r.Ended = l.status == execution.Completed
			r.Failed, r.Took = !r.Ended, l.took
		}
	}
	return r, errors.Join(errs...)
}

// A look is the state of the run of a minute.
type look struct {
	recorded bool
	status   execution.Status
	took     time.Duration // by the platform until now, or until the end
}

// look looks at the run of a minute, and decides if it asks.
func (s *Service) look(ctx context.Context, minute time.Time) (look, error) {
	now := s.Now()
	x, done, err := s.Runs.Execution(ctx, s.Org, execution.ID(s.Org, Agent, s.event(minute, minute)))
	if errors.Is(err, execution.ErrNotFound) {
		return look{took: now.Sub(minute)}, nil
	}
	if err != nil {
		return look{}, err
	}
	l, end := look{recorded: true, status: x.Status}, now
	if x.Status.Ended() {
		end = x.Completed
	}
	gate := done[Gate]
	if gate.Asked.IsZero() {
		l.took = end.Sub(x.Trigger.Published)
		return l, nil
	}
	l.took = gate.Asked.Sub(x.Trigger.Published)
	decided := gate.Decided
	if decided.IsZero() && !x.Status.Ended() {
		if decided, err = s.decide(ctx, approval.ID(gate.Asked, x.ID, Gate)); err != nil {
			return look{}, err
		}
	}
	if !decided.IsZero() {
		l.took += max(0, end.Sub(decided))
	}
	return l, nil
}

// decide approves what is open, and returns when it was decided by an earlier tick; zero
// otherwise. It does not repeat a verdict: that would ring the doorbell again, and hide
// that it did not wake the run the first time.
func (s *Service) decide(ctx context.Context, appr id.Approval) (time.Time, error) {
	a, err := s.Approvals.Get(ctx, s.who(), appr)
	if err != nil || a.Status != approval.Pending {
		return a.DecidedAt, err
	}
	_, err = s.Approvals.Decide(ctx, s.who(), appr, approval.Verdict{Approve: true})
	if errors.Is(err, approval.ErrStale) {
		return time.Time{}, nil // the run is about to wait; the next tick decides
	}
	return time.Time{}, err
}
