package backtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/tenant"
)

// A Verdict is the decision of the dispatcher about an event at an agent.
type Verdict struct {
	Agent   id.Agent
	Version int
	Outcome definition.Outcome
	Why     string // empty for Started
	Run     id.Execution
}

// A listening is an agent of a universe.
type listening struct {
	agent   id.Agent
	version int
	system  bool
	definition.Definition
}

// A Universe is the dispatcher of an organization with some agents, in a time that the
// events make.
type Universe struct {
	org      id.Org
	store    *memory.Store
	service  *dispatch.Service
	clients  *client.Service
	causes   *causes
	now      time.Time
	event    event.Event // that is judged
	verdicts []Verdict
}

// newUniverse returns a universe with these agents.
func newUniverse(ctx context.Context, org id.Org, a Args, rules definition.Rules, c *causes, all []listening) (*Universe, error) {
	u := &Universe{org: org, store: memory.New(), causes: c, now: a.Since}
	u.clients = &client.Service{Store: u.store, Now: u.Now}
	t := tenant.Tenant{Org: org, Plan: a.Plan, Created: a.Since, Updated: a.Since, PlanAt: a.Since, StateAt: a.Since}
	if err := u.store.SaveTenant(ctx, t, credit.MonthOf(a.Since)); err != nil {
		return nil, err
	}
	t.Revision, t.Settings = 1, a.settings()
	if err := u.store.SaveSettings(ctx, t); err != nil {
		return nil, err
	}
	if err := u.store.AddUses(ctx, org, a.Uses); err != nil {
		return nil, err
	}
	var system []agent.Agent
	for _, l := range all {
		x := agent.Agent{Definition: l.Definition, Uses: rules.Uses(l.Definition), Head: agent.Head{
			ID: l.agent, Org: org, Name: l.Name, Type: agent.Custom, Status: agent.Active, Version: l.version, Created: a.Since, Updated: a.Since,
		}}
		if l.system {
			x.Type = agent.System
			system = append(system, x)
			continue
		}
		if err := u.store.SaveAgent(ctx, agent.Agent{}, x, agent.Cap{}); err != nil {
			return nil, fmt.Errorf("place %s: %w", l.agent, err)
		}
	}
	u.service = &dispatch.Service{
		Tenants: u.store, Agents: u.store, Cache: dispatch.NewListenerCache(), System: system, Rules: rules, Deactivator: absent{}, Profiles: u.clients,
		Runs: runs{u.store, u}, Quotas: absent{}, Machine: absent{}, Orgs: absent{}, Clients: u.clients, Owners: absent{}, Now: u.Now,
	}
	return u, nil
}

// Now is the time of the universe.
func (u *Universe) Now() time.Time { return u.now }

// Judge dispatches an event at the time of its publication. The verdicts are sorted by
// agent, and valid until the next call.
func (u *Universe) Judge(ctx context.Context, e event.Event) ([]Verdict, error) {
	u.now, u.event, u.verdicts = e.Published, e, u.verdicts[:0]
	u.causes.about(e.Cause())
	if err := u.service.Dispatch(ctx, e); err != nil {
		return nil, fmt.Errorf("judge %s: %w", e.ID, err)
	}
	slices.SortFunc(u.verdicts, func(a, b Verdict) int {
		switch {
		case a.Agent < b.Agent:
			return -1
		case a.Agent > b.Agent:
			return 1
		}
		return 0
	})
	return u.verdicts, nil
}

// learn keeps a fact about a client.
func (u *Universe) learn(ctx context.Context, c id.Client, f client.Fact) error {
	return u.store.SaveFact(ctx, u.org, c, f)
}

// profile returns the profile of a client; nil when it has none.
func (u *Universe) profile(ctx context.Context, c id.Client) (map[string]any, error) {
	if c == "" {
		return nil, nil
	}
	return u.clients.Profile(ctx, u.org, c)
}

// runs records verdicts, and no run or refusal beyond what the dispatcher reads again.
type runs struct {
	*memory.Store

	u *Universe
}

// Create records a start.
func (r runs) Create(ctx context.Context, x execution.Execution) error {
	v := Verdict{Agent: x.Agent, Version: x.Version, Outcome: definition.Started, Run: x.ID}
	x.Trigger.Payload = nil
	if err := r.Store.Create(ctx, x); err != nil {
		return err
	}
	r.u.verdicts = append(r.u.verdicts, v)
	return nil
}

// Refuse records a refusal.
func (r runs) Refuse(_ context.Context, e activity.Entry) error {
	r.u.verdicts = append(r.u.verdicts, Verdict{Agent: e.Agent, Outcome: e.Outcome, Why: e.Detail})
	return nil
}

// Maker returns the run that really made an object.
func (r runs) Maker(ctx context.Context, org id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error) {
	by, err := r.u.causes.maker(ctx, org, made, now)
	if by != "" {
		r.u.causes.about(by)
	}
	return by, err
}

// Header returns a run of the universe, or the real run that caused the event. Of other
// real runs the universe knows nothing: a run that the same event really started would be
// taken for one of an earlier delivery.
func (r runs) Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error) {
	x, err := r.Store.Header(ctx, org, exec)
	if !errors.Is(err, execution.ErrNotFound) || exec != r.u.causes.cause {
		return x, err
	}
	return r.u.causes.header(ctx, org, exec)
}

// Past finds the real causes of events in the organization's records.
type Past interface {
	// Maker returns the run whose action made an object, or "" when none is known at this
	// time.
	Maker(ctx context.Context, org id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error)

	// Header returns a run, or execution.ErrNotFound.
	Header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error)
}

// causes caches the makers and the runs that were read from Past: both universes look up
// the same ones.
type causes struct {
	past  Past
	cause id.Execution // that the judged event is said to have

	makers  map[catalog.ObjectID]id.Execution
	headers map[id.Execution]*execution.Execution // nil for an unknown run
}

func newCauses(p Past) *causes {
	return &causes{past: p, makers: map[catalog.ObjectID]id.Execution{}, headers: map[id.Execution]*execution.Execution{}}
}

func (c *causes) about(x id.Execution) { c.cause = x }

func (c *causes) maker(ctx context.Context, org id.Org, made catalog.ObjectID, at time.Time) (id.Execution, error) {
	if by, known := c.makers[made]; known {
		return by, nil
	}
	by, err := c.past.Maker(ctx, org, made, at)
	if err == nil {
		c.makers[made] = by
	}
	return by, err
}

func (c *causes) header(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, error) {
	x, known := c.headers[exec]
	if !known {
		got, err := c.past.Header(ctx, org, exec)
		switch {
		case err == nil:
			got.Trigger.Payload = nil
			x = &got
		case !errors.Is(err, execution.ErrNotFound):
			return execution.Execution{}, err
		}
		c.headers[exec] = x
	}
	if x == nil {
		return execution.Execution{}, execution.ErrNotFound
	}
	return *x, nil
}

// absent implements the parts of the platform that a universe does not have: machines,
// quotas, owners, and projections of the Hub's events.
type absent struct{}

func (absent) Invalidate(context.Context, id.Org, id.Agent) error                 { return nil }
func (absent) Start(context.Context, machine.Cursor) error                        { return nil }
func (absent) Project(context.Context, event.Event) error                         { return nil }
func (absent) Tell(context.Context, tenant.Tenant, event.Event) error             { return nil }
func (absent) WithdrawRun(context.Context, id.Org, id.Execution, time.Time) error { return nil }

// RunsPerRoot is without a bound.
func (absent) RunsPerRoot(credit.Plan) int { return 1 << 30 }

// AdmitRuns admits all runs.
func (absent) AdmitRuns(_ context.Context, _ id.Org, _ credit.Plan, all []id.Execution, _ time.Time) ([]id.Execution, *quota.Reached, error) {
	return all, nil, nil
}

// AdmitBelow admits all runs.
func (absent) AdmitBelow(_ context.Context, _ id.Org, _ credit.Plan, _ quota.Root, all []id.Execution, _ time.Time) ([]id.Execution, *quota.Reached, error) {
	return all, nil, nil
}

// Definitions finds the definitions of agents.
type Definitions interface {
	// Version returns a version of an agent, or agent.ErrNotFound.
	Version(ctx context.Context, org id.Org, a id.Agent, version int) (definition.Definition, error)
}

// placed returns the agents of the organization as they are, and with the candidate among
// them.
func (a Args) placed(ctx context.Context, org id.Org, from Definitions, system []agent.Agent) (as, with []listening, err error) {
	for _, p := range a.Present {
		d, err := from.Version(ctx, org, p.Agent, p.Version)
		if errors.Is(err, agent.ErrNotFound) {
			continue // its organization is being erased
		}
		if err != nil {
			return nil, nil, fmt.Errorf("version %d of %s: %w", p.Version, p.Agent, err)
		}
		as = append(as, listening{agent: p.Agent, version: p.Version, Definition: d})
	}
	for _, s := range system {
		if !slices.Contains(a.Paused, s.ID) {
			s = s.For(a.settings())
			as = append(as, listening{agent: s.ID, version: s.Version, system: true, Definition: s.Definition})
		}
	}
	with = slices.DeleteFunc(slices.Clone(as), func(l listening) bool { return l.agent == a.Agent })
	return as, append(with, listening{agent: a.Agent, version: a.Version, system: a.System, Definition: *a.Definition}), nil
}

// types returns the types of the events that are judged: those of the candidate and of
// the agent that it replaces.
func (a Args) types(as []listening) []string {
	all := map[string]bool{a.Definition.Trigger.Event(): true}
	for _, l := range as {
		if l.agent == a.Agent && a.Compare {
			all[l.Trigger.Event()] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// among returns the agents that listen for one of the types.
func among(all []listening, types []string) []listening {
	return slices.DeleteFunc(slices.Clone(all), func(l listening) bool { return !slices.Contains(types, l.Trigger.Event()) })
}
