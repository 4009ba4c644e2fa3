package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/fault"
	spec "theoneagents.app/agents/shared/httpapi/spec/jobs"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/jsonvalue"
)

// jobs are the operations on jobs and back-tests.
type jobs struct {
	Edge

	cursors   signer
	svc       *job.Service
	backtests *backtest.Service
	agents    agents // finds the candidates of back-tests
}

var _ spec.StrictServerInterface = jobs{}

// Jobs returns the handler of the endpoints of jobs and back-tests.
func Jobs(svc *job.Service, backtests *backtest.Service, all *agent.Service, edge Edge) http.Handler {
	return edge.mount(newJobs(svc, backtests, all, edge).routes())
}

func newJobs(svc *job.Service, backtests *backtest.Service, all *agent.Service, edge Edge) jobs {
	return jobs{edge, edge.signer(), svc, backtests, agents{Edge: edge, cursors: edge.signer(), svc: all}}
}

func (in *request) job() string { return in.id("job_", job.ErrNotFound) }

func (g jobs) named(ctx context.Context, err error, name string) error {
	return named(err, job.ErrNotFound, "Job", name, callerIn(ctx).Org)
}

func readListJobs(in *request) spec.ListJobsRequestObject {
	return spec.ListJobsRequestObject{Params: spec.ListJobsParams{Limit: in.limit(), Cursor: in.param("cursor")}}
}

// ListJobs implements the contract.
func (g jobs) ListJobs(ctx context.Context, q spec.ListJobsRequestObject) (spec.ListJobsResponseObject, error) {
	w := g.cursors.walk(ctx, "jobs")
	at, err := w.from(q.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := g.svc.List(ctx, callerIn(ctx), job.Query{Limit: *q.Params.Limit, After: id.Job(at.After)})
	if err != nil {
		return nil, err
	}
	return spec.ListJobs200JSONResponse{
		Jobs:       each(page.Jobs, func(j job.Job) spec.Job { return viewJob(j, "") }),
		NextCursor: w.to(position{After: string(page.Next)}),
	}, nil
}

func readGetJob(in *request) spec.GetJobRequestObject {
	return spec.GetJobRequestObject{ID: in.job()}
}

// GetJob implements the contract.
func (g jobs) GetJob(ctx context.Context, q spec.GetJobRequestObject) (spec.GetJobResponseObject, error) {
	j, result, err := g.svc.Get(ctx, callerIn(ctx), id.Job(q.ID))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	return spec.GetJob200JSONResponse(viewJob(j, result)), nil
}

func readCancelJob(in *request) spec.CancelJobRequestObject {
	return spec.CancelJobRequestObject{ID: in.job()}
}

// CancelJob implements the contract.
func (g jobs) CancelJob(ctx context.Context, q spec.CancelJobRequestObject) (spec.CancelJobResponseObject, error) {
	j, err := g.svc.Cancel(ctx, callerIn(ctx), id.Job(q.ID))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	return spec.CancelJob200JSONResponse(viewJob(j, "")), nil
}

// viewJob returns a job as the contract shows it. The result is a document, "" for none.
func viewJob(j job.Job, result string) spec.Job {
	v := spec.Job{
		ID: string(j.ID), Kind: spec.JobKind(j.Kind), Status: spec.JobStatus(j.Status), CreatedAt: whole(j.Created), CreatedBy: text(j.By),
		StartedAt: when(j.Started), EndedAt: when(j.Ended), Progress: spec.JobProgress{Done: j.Done},
	}
	if j.Of > 0 {
		v.Progress.Of = &j.Of
	}
	if j.Failure != nil {
		v.Error = &spec.JobFailure{Code: j.Failure.Code, Message: j.Failure.Message}
	}
	if result != "" {
		document := json.RawMessage(result)
		v.Result = &document
	}
	return v
}

func readCreateBacktest(in *request) spec.CreateBacktestRequestObject {
	return spec.CreateBacktestRequestObject{Body: in.document()}
}

// A candidate names the agent of a back-test.
type candidate struct {
	agent      id.Agent
	version    int            // 0 for the newest
	definition map[string]any // fields that are not saved; nil for none
}

// CreateBacktest implements the contract.
func (g jobs) CreateBacktest(ctx context.Context, q spec.CreateBacktestRequestObject) (spec.CreateBacktestResponseObject, error) {
	r := &input.Reader{}
	o := r.Object("", *q.Body)
	c, ask := readBacktest(o, g.Now())
	o.Done()
	if len(r.Faults) > 0 {
		return nil, ErrRequest.Naming(r.Faults)
	}
	now, err := g.agents.svc.Get(ctx, callerIn(ctx), c.agent)
	if err != nil {
		return nil, g.agents.named(ctx, err, string(c.agent))
	}
	if ask.Active = now.Status == agent.Active; ask.Compare && !ask.Active {
		return nil, ErrRequest.Naming([]fault.Detail{{Path: "against", Message: "must be null: the agent is " + string(now.Status) + ", so there is nothing to compare with"}})
	}
	if ask.Agent, err = g.candidate(ctx, now, c); err != nil {
		return nil, err
	}
	ask.Saved = c.definition == nil
	j, err := g.backtests.Start(ctx, callerIn(ctx), ask)
	if err != nil {
		return nil, err
	}
	return spec.CreateBacktest202JSONResponse(viewJob(j, "")), nil
}

// candidate returns the agent with the version or the fields that are played.
func (g jobs) candidate(ctx context.Context, now agent.Agent, c candidate) (agent.Agent, error) {
	who := callerIn(ctx)
	switch {
	case c.definition != nil:
		fields, err := g.agents.writable(ctx, c.agent, c.definition)
		if err != nil {
			return agent.Agent{}, within(err)
		}
		_, a, err := g.agents.svc.CheckUpdate(ctx, who, c.agent, agent.Patch{Fields: fields})
		return a, within(err)
	case c.version > 0:
		v, err := g.agents.svc.Version(ctx, who, c.agent, c.version)
		now.Version, now.Definition = v.Number, v.Definition
		return now, err
	}
	return now, nil
}

// live is the value of against that compares.
const live = "live"

// readBacktest reads the fields of a body.
func readBacktest(o input.Object, now time.Time) (candidate, backtest.Request) {
	c, ask := candidate{}, backtest.Request{}
	if name := o.NeedText("agent_id", 200); name != "" {
		if c.agent = id.Agent(name); !id.Valid("agent_", name) {
			o.Fault(o.At("agent_id"), "must be the id of an agent, like agent_01HXYZ")
		}
	}
	if _, given := o.Get("version"); given {
		c.version = int(o.Int("version", 1, 1_000_000))
	}
	if v, given := o.Get("definition"); given {
		fields, isObject := v.(map[string]any)
		switch {
		case !isObject:
			o.Fault(o.At("definition"), "must be an object, not %s", jsonvalue.Kind(v))
		case c.version > 0:
			o.Fault(o.At("version"), "cannot be given together with definition")
		}
		c.definition = fields
	}
	ask.From, ask.To = momentIn(o, "from"), momentIn(o, "to")
	to := ask.To
	if to.IsZero() || to.After(now) {
		to = now
	}
	switch {
	case ask.From.IsZero():
	case !ask.From.Before(to):
		o.Fault(o.At("from"), "must be before to, and before now")
	case to.Sub(ask.From) > backtest.MaxDays*24*time.Hour:
		o.Fault(o.At("from"), "must be at most %d days before to", backtest.MaxDays)
	}
	if v, given := o.OptionalAny("against"); given && v != nil {
		if ask.Compare = v == any(live); !ask.Compare {
			o.Fault(o.At("against"), "must be live or null")
		}
	}
	for i, name := range o.Texts("clients", o.List("clients", backtest.MaxClients), 128) {
		if name != "" && !id.ValidExternal(name) {
			o.Fault(input.Index(o.At("clients"), i), "must have 1 to 128 printable ASCII characters without spaces and #")
		}
		ask.Clients = append(ask.Clients, id.Client(name))
	}
	ask.Play = input.Choice(o, "play", backtest.None, backtest.Plays()...)
	return c, ask
}

// momentIn returns a time of a body; zero without it.
func momentIn(o input.Object, field string) time.Time {
	v, given := o.Get(field)
	if !given {
		return time.Time{}
	}
	text, _ := v.(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.UTC().Year() < 2000 || t.UTC().Year() > 2999 {
		o.Fault(o.At(field), "must be a time like 2026-03-09T14:00:00Z, from the year 2000 to 2999")
		return time.Time{}
	}
	return t.UTC()
}
