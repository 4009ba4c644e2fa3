package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	spec "theoneagents.app/agents/shared/httpapi/spec/agents"
	jobspec "theoneagents.app/agents/shared/httpapi/spec/jobs"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/template"
	"theoneagents.app/agents/shared/tenant"
)

// A Stage plays test runs, on what the organization has now.
type Stage struct {
	Rehearsal *rehearsal.Service
	Tenants   interface {
		Tenant(ctx context.Context, org id.Org) (tenant.Tenant, error)
	}
	Runs     rehearsal.Runs
	Live     *rehearsal.Starter
	Profiles interface {
		// Profile returns the profile of a client; nil when it has none.
		Profile(ctx context.Context, org id.Org, client id.Client) (map[string]any, error)
	}
}

func (in *request) optionalDocument() *map[string]any {
	if len(in.body) == 0 {
		return &map[string]any{}
	}
	return in.document()
}

func readTestAgent(in *request) spec.TestAgentRequestObject {
	return spec.TestAgentRequestObject{ID: in.agent(), Body: in.optionalDocument()}
}

// TestAgent implements the contract.
func (g agents) TestAgent(ctx context.Context, q spec.TestAgentRequestObject) (spec.TestAgentResponseObject, error) {
	t, err := g.staged(ctx, *q.Body, func(body rehearsal.Request) (agent.Agent, error) {
		a, err := g.tested(ctx, id.Agent(q.ID), body)
		return a, g.named(ctx, err, q.ID)
	})
	if err != nil {
		return nil, err
	}
	if t.live {
		j, err := g.stage.Live.Start(ctx, callerIn(ctx), t.play, t.warnings)
		return startedTest(viewJob(j, "")), err
	}
	r, err := g.played(ctx, t)
	return spec.TestAgent200JSONResponse(r), err
}

// A startedTest is the answer that a test run has become a job.
type startedTest jobspec.Job

// VisitTestAgentResponse implements spec.TestAgentResponseObject.
func (j startedTest) VisitTestAgentResponse(w http.ResponseWriter) error {
	return jobspec.CreateBacktest202JSONResponse(j).VisitCreateBacktestResponse(w)
}

func readTestTemplate(in *request) spec.TestTemplateRequestObject {
	return spec.TestTemplateRequestObject{ID: in.id("tmpl_", template.ErrNotFound), Body: in.optionalDocument()}
}

// TestTemplate implements the contract.
func (g agents) TestTemplate(ctx context.Context, q spec.TestTemplateRequestObject) (spec.TestTemplateResponseObject, error) {
	var faults []fault.Detail
	for _, field := range []string{"version", "definition"} {
		if _, given := (*q.Body)[field]; given {
			faults = append(faults, fault.Detail{Path: field, Message: "is not a known field: a template has one version"})
		}
	}
	if len(faults) > 0 {
		return nil, ErrRequest.Naming(faults)
	}
	t, err := g.staged(ctx, *q.Body, func(body rehearsal.Request) (agent.Agent, error) {
		t, err := g.templates.Get(id.Template(q.ID))
		if err == nil && body.Live {
			return agent.Agent{}, ErrRequest.Naming([]fault.Detail{{Path: "model", Message: "must not be live: the credits are charged under an agent, and a template is none; clone it and test the clone"}})
		}
		// The status is that of a clone after its activation.
		return agent.Agent{Head: agent.Head{ID: id.Agent("agent_" + q.ID), Version: 1, Status: agent.Active}, Definition: t.Definition}, namedTemplate(err, q.ID)
	})
	if err != nil {
		return nil, err
	}
	r, err := g.played(ctx, t)
	return spec.TestTemplate200JSONResponse(r), err
}

// tested returns the agent as a test run plays it: as it is, in an earlier version, or
// with changes that are not saved.
func (g agents) tested(ctx context.Context, name id.Agent, q rehearsal.Request) (agent.Agent, error) {
	who := callerIn(ctx)
	switch {
	case q.Definition != nil:
		fields, err := g.writable(ctx, name, q.Definition)
		if err != nil {
			return agent.Agent{}, within(err)
		}
		_, a, err := g.svc.CheckUpdate(ctx, who, name, agent.Patch{Fields: fields})
		return a, within(err)
	case q.Version > 0:
		a, err := g.svc.Get(ctx, who, name)
		if err != nil {
			return a, err
		}
		v, err := g.svc.Version(ctx, who, name, q.Version)
		a.Version, a.Definition = v.Number, v.Definition
		return a, err
	}
	return g.svc.Get(ctx, who, name)
}

// within returns a fault whose details are those of the field definition of the body.
func within(err error) error {
	const field = "definition"
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || len(f.Details) == 0 {
		return err
	}
	return f.Naming(each(f.Details, func(d fault.Detail) fault.Detail {
		if d.Path == "" {
			return fault.Detail{Path: field, Message: d.Message}
		}
		return fault.Detail{Path: field + "." + d.Path, Message: d.Message}
	}))
}

// A trial is a test run that is ready to be played.
type trial struct {
	play     rehearsal.Play
	warnings []fault.Detail // why no event would start the agent at present
	live     bool           // with live models
}

// staged reads a body and prepares the test run of the agent that find returns for it.
func (g agents) staged(ctx context.Context, body map[string]any, find func(rehearsal.Request) (agent.Agent, error)) (trial, error) {
	r := &input.Reader{}
	o := r.Object("", body)
	q := rehearsal.Read(o)
	o.Done()
	if len(r.Faults) > 0 {
		return trial{}, ErrRequest.Naming(r.Faults)
	}
	a, err := find(q)
	if err != nil {
		return trial{}, err
	}
	who := callerIn(ctx)
	t, err := g.stage.Tenants.Tenant(ctx, who.Org)
	if err != nil {
		return trial{}, fmt.Errorf("the organization of a test run: %w", err)
	}
	if q.Live && t.Suspended {
		return trial{}, tenant.ErrSuspended
	}
	at := q.At
	if at.IsZero() {
		at = whole(g.Now())
	}
	answers, faults := q.Check(a.Definition)
	e, source, more, err := g.eventOf(ctx, a.Definition, q, at)
	if err != nil {
		return trial{}, err
	}
	if faults = append(faults, more...); len(faults) > 0 {
		return trial{}, ErrRequest.Naming(faults)
	}
	profile := q.Profile
	if profile == nil && !q.NoProfile && e.Client != "" {
		if profile, err = g.stage.Profiles.Profile(ctx, who.Org, e.Client); err != nil {
			return trial{}, fmt.Errorf("the profile of a test run: %w", err)
		}
	}
	p := rehearsal.Play{
		Org: who.Org, Plan: t.Plan, Settings: t.Settings, Agent: a.ID, Version: a.Version, System: a.Type == agent.System,
		Definition: a.Definition, Event: e, Source: source, Client: profile, At: at, Answers: answers,
	}
	if q.Recorded {
		p.Recording = rehearsal.NewRecording(g.stage.Runs, who.Org, a.ID, q.Execution, g.Now())
	}
	return trial{p, obstacles(a, t), q.Live}, nil
}

// played returns the result of a test run as the caller sees it.
func (g agents) played(ctx context.Context, t trial) (rehearsal.Result, error) {
	result, err := g.stage.Rehearsal.Run(ctx, t.play)
	if err != nil {
		return rehearsal.Result{}, err
	}
	result.Warnings = append(t.warnings, result.Warnings...)
	if hide := g.hider(callerIn(ctx), t.play.Agent); !hide.clear {
		result = result.Hidden(hide.hidden)
	}
	return result, nil
}

// eventOf returns the event of a test run, and the faults of the request's event.
func (g agents) eventOf(
	ctx context.Context, d definition.Definition, q rehearsal.Request, at time.Time,
) (event.Event, rehearsal.EventSource, []fault.Detail, error) {
	org := callerIn(ctx).Org
	if q.Execution == "" {
		e, source, faults := q.EventFor(g.stage.Rehearsal.Rules.Catalog, d, org, at)
		return e, source, faults, nil
	}
	x, _, err := g.stage.Runs.Execution(ctx, org, q.Execution)
	switch {
	case errors.Is(err, execution.ErrNotFound) || err == nil && x.Gone(g.Now()):
		return event.Event{}, "", nil, named(execution.ErrNotFound, execution.ErrNotFound, "Execution", string(q.Execution), org)
	case err != nil:
		return event.Event{}, "", nil, fmt.Errorf("the execution of a test run: %w", err)
	}
	e := x.Trigger
	const path = "event.execution_id"
	if e.Payload == nil {
		return e, "", []fault.Detail{{Path: path, Message: "its event is no longer kept"}}, nil
	}
	if e.Name() != d.Trigger.Event() {
		return e, "", []fault.Detail{{Path: path, Message: fmt.Sprintf("%s started it; the trigger is %s", e.Name(), d.Trigger.Event())}}, nil
	}
	if e.Timely(at) != nil {
		published := e.Published.UTC().Format(time.RFC3339)
		early := fault.Detail{Path: "at", Message: "must not be before the event of the execution, which was published at " + published}
		return e, "", []fault.Detail{early}, nil //nolint:nilerr // The detail says it.
	}
	return e, rehearsal.FromExecution, nil, nil
}

// obstacles returns why no event would start the agent at present.
func obstacles(a agent.Agent, t tenant.Tenant) []fault.Detail {
	all := []fault.Detail{}
	if a.Status != agent.Active {
		all = append(all, fault.Detail{Path: "status", Message: fmt.Sprintf("The agent is %s, so no event starts it now.", a.Status)})
	}
	if t.Suspended {
		all = append(all, fault.Detail{Path: "", Message: "The organization is suspended, so no event starts an agent now."})
	}
	if t.Pause.Active() {
		all = append(all, fault.Detail{Path: "", Message: "The organization is paused, so no event starts an agent now."})
	}
	return all
}
