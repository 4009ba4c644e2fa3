package httpapi

import (
	"context"
	"maps"
	"net/http"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	spec "theoneagents.app/agents/shared/httpapi/spec/executions"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/story"
)

// executions are the operations on runs.
type executions struct {
	Edge

	cursors  signer
	svc      *execution.Service
	names    Names
	catalog  catalog.Catalog
	subjects *subjects
}

var _ spec.StrictServerInterface = executions{}

// Executions returns the handler of the endpoints of executions.
func Executions(svc *execution.Service, names Names, c catalog.Catalog, edge Edge) http.Handler {
	return edge.mount(executions{edge, edge.signer(), svc, names, c, &subjects{}}.routes())
}

func (in *request) execution() string { return in.id("exec_", execution.ErrNotFound) }

func (g executions) named(ctx context.Context, err error, name string) error {
	return named(err, execution.ErrNotFound, "Execution", name, callerIn(ctx).Org)
}

func readListExecutions(in *request) spec.ListExecutionsRequestObject {
	p := spec.ListExecutionsParams{
		AgentID:   in.ref("agent_id", "agent_"),
		Version:   in.versionOf("version"),
		ClientID:  in.param("client_id"),
		EventType: in.param("event_type"),
		Status:    someOf[spec.ExecutionStatus](in, "status", execution.Statuses()),
		From:      in.time("from"),
		To:        in.time("to"),
		Limit:     in.limit(),
		Cursor:    in.param("cursor"),
	}
	if p.ClientID != nil && !id.ValidExternal(*p.ClientID) {
		in.Fault("client_id", "must be the id of a client: 1 to 128 printable characters without spaces and #")
	}
	if p.EventType != nil && !event.ValidType(*p.EventType) {
		in.Fault("event_type", "must be a type like ticket.created, without the product")
	}
	if p.Version != nil && p.AgentID == nil {
		in.Fault("version", "needs agent_id: each agent has its own versions")
	}
	return spec.ListExecutionsRequestObject{Params: p}
}

// filtersOf returns the filters that cursors are signed with. Those of earlier releases
// knew no search.
func filtersOf(p spec.ListExecutionsParams, q execution.Query) []any {
	filters := []any{p.AgentID, statusFilter(p.Status), p.From, p.To}
	if q.Searches() {
		filters = append(filters, p.Version, p.ClientID, p.EventType)
	}
	return filters
}

// statusFilter returns the filter by status as the cursors of earlier releases have it,
// which knew one status.
func statusFilter(statuses *[]spec.ExecutionStatus) any {
	if statuses != nil && len(*statuses) == 1 {
		return (*statuses)[0]
	}
	return statuses
}

// ListExecutions implements the contract.
func (g executions) ListExecutions(
	ctx context.Context, q spec.ListExecutionsRequestObject,
) (spec.ListExecutionsResponseObject, error) {
	p := q.Params
	who, subjects := callerIn(ctx), map[id.Execution]string{}
	query := execution.Query{
		Agent: id.Agent(value(p.AgentID)), Among: each(value(p.Status), func(s spec.ExecutionStatus) execution.Status { return execution.Status(s) }),
		Version: value(p.Version), Client: id.Client(value(p.ClientID)), EventType: value(p.EventType),
		From: value(p.From), To: value(p.To), Limit: *p.Limit, Count: p.Cursor == nil,
		Payload: func(exec id.Execution) bool {
			text, kept := g.subjects.get(who.Org, exec)
			subjects[exec] = text
			return !kept
		},
	}
	w := g.cursors.walk(ctx, "executions", filtersOf(p, query)...)
	at, err := w.from(p.Cursor)
	if err != nil {
		return nil, err
	}
	query.After = at.After
	page, err := g.svc.List(ctx, who, query)
	if err != nil {
		return nil, err
	}
	names, err := g.namesOf(ctx, page.Executions...)
	if err != nil {
		return nil, err
	}
	switch {
	case query.Searches():
		at.Total, at.More = at.Total+len(page.Executions), page.Next != ""
	case p.Cursor == nil:
		at.Total, at.More = page.Total, page.More
	}
	at.After = page.Next
	list := spec.ListExecutions200JSONResponse{
		Executions: each(page.Executions, func(x execution.Execution) spec.Execution {
			return g.row(ctx, x, names[x.Agent], subjects[x.ID])
		}),
		Total: at.Total, TotalRelation: spec.Eq, NextCursor: w.to(at),
	}
	if at.More {
		list.TotalRelation = spec.Gte
	}
	return list, nil
}

func readGetExecution(in *request) spec.GetExecutionRequestObject {
	return spec.GetExecutionRequestObject{ID: in.execution(), Params: spec.GetExecutionParams{
		Include: oneOf[spec.GetExecutionParamsInclude](in, "include", []spec.GetExecutionParamsInclude{spec.Story}),
	}}
}

// GetExecution implements the contract.
func (g executions) GetExecution(
	ctx context.Context, q spec.GetExecutionRequestObject,
) (spec.GetExecutionResponseObject, error) {
	x, t, err := g.svc.Get(ctx, callerIn(ctx), id.Execution(q.ID))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	view, err := g.view(ctx, x, t)
	if err != nil {
		return nil, err
	}
	again, err := g.svc.RetriedAs(ctx, x)
	if err != nil {
		return nil, err
	}
	view.RetriedAs = text(again)
	if q.Params.Include != nil {
		told := g.story(x, t, value(view.AgentName))
		view.Story = &told
	}
	return spec.GetExecution200JSONResponse(view), nil
}

func readGetExecutionStory(in *request) spec.GetExecutionStoryRequestObject {
	return spec.GetExecutionStoryRequestObject{ID: in.execution()}
}

// GetExecutionStory implements the contract.
func (g executions) GetExecutionStory(
	ctx context.Context, q spec.GetExecutionStoryRequestObject,
) (spec.GetExecutionStoryResponseObject, error) {
	x, t, err := g.svc.Get(ctx, callerIn(ctx), id.Execution(q.ID))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	names, err := g.namesOf(ctx, x)
	if err != nil {
		return nil, err
	}
	return spec.GetExecutionStory200JSONResponse{Lines: g.story(x, t, names[x.Agent])}, nil
}

func (g executions) story(x execution.Execution, t execution.Trace, agentName string) []spec.StoryLine {
	r := story.Run{Execution: x, Trace: t, Agent: agentName, Subject: g.subject(x)}
	return each(r.Lines(), func(l story.Line) spec.StoryLine {
		return spec.StoryLine{At: whole(l.At), Text: l.Text, StepID: text(l.Step)}
	})
}

func readCancelExecution(in *request) spec.CancelExecutionRequestObject {
	return spec.CancelExecutionRequestObject{ID: in.execution()}
}

// CancelExecution implements the contract.
func (g executions) CancelExecution(
	ctx context.Context, q spec.CancelExecutionRequestObject,
) (spec.CancelExecutionResponseObject, error) {
	if err := g.svc.Cancel(ctx, callerIn(ctx), id.Execution(q.ID)); err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	x, t, err := g.svc.Get(ctx, callerIn(ctx), id.Execution(q.ID))
	if err != nil {
		return nil, err
	}
	view, err := g.view(ctx, x, t)
	return spec.CancelExecution200JSONResponse(view), err
}

func readRetryExecution(in *request) spec.RetryExecutionRequestObject {
	return spec.RetryExecutionRequestObject{ID: in.execution()}
}

// RetryExecution implements the contract.
func (g executions) RetryExecution(
	ctx context.Context, q spec.RetryExecutionRequestObject,
) (spec.RetryExecutionResponseObject, error) {
	x, t, err := g.svc.Retry(ctx, callerIn(ctx), id.Execution(q.ID))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	view, err := g.view(ctx, x, t)
	return spec.RetryExecution201JSONResponse(view), err
}

// namesOf returns the names of the agents of runs.
func (g executions) namesOf(ctx context.Context, runs ...execution.Execution) (map[id.Agent]string, error) {
	versions := map[id.Agent]int{}
	for _, x := range runs {
		versions[x.Agent] = max(versions[x.Agent], x.Version)
	}
	return g.names.Of(ctx, callerIn(ctx).Org, versions)
}

// subject returns the subject of a run whose payload was read, and keeps it.
func (g executions) subject(x execution.Execution) string {
	e, _ := g.catalog.Event(x.Trigger.Name())
	text := e.Subject(x.Trigger.Payload)
	g.subjects.keep(x.Org, x.ID, text)
	return text
}

// row returns a run as lists show it. kept is its subject if its payload was not
// read.
func (g executions) row(ctx context.Context, x execution.Execution, agentName, kept string) spec.Execution {
	if x.Trigger.Payload != nil {
		kept = g.subject(x)
	}
	view := spec.Execution{
		AgentName: text(agentName), Subject: text(kept), StatusReason: text(x.StatusReason()),
		ID: string(x.ID), AgentID: string(x.Agent), Status: spec.ExecutionStatus(x.Status),
		CreditsUsed: x.Credits, CreatedAt: whole(x.Created), CompletedAt: when(x.Completed),
		AgentVersion: x.Version, SourceProduct: x.Trigger.Product, EventType: x.Trigger.Type, ClientID: text(x.Trigger.Client),
		StartedBy: viewStarter(x.StartedBy()), CancelledBy: text(x.CancelledBy), DurationMs: duration(x), Warnings: x.Warnings,
	}
	if f := g.hider(callerIn(ctx), x.Agent).failure(x.Error); f != nil {
		view.ErrorCode, view.ErrorMessage, view.AtStep = text(f.Code), text(f.Message), text(f.Step)
	}
	return view
}

func (g executions) view(ctx context.Context, x execution.Execution, t execution.Trace) (spec.ExecutionDetail, error) {
	e, hide := x.Trigger, g.hider(callerIn(ctx), x.Agent)
	names, err := g.namesOf(ctx, x)
	if err != nil {
		return spec.ExecutionDetail{}, err
	}
	return spec.ExecutionDetail{
		AgentName: text(names[x.Agent]), Subject: text(g.subject(x)),
		ID: string(x.ID), AgentID: string(x.Agent),
		TriggerEvent: spec.TriggerEvent{
			ID: string(e.ID), EventType: e.Type, SourceProduct: e.Product, Payload: e.Payload, Causation: viewCause(e),
			ClientID: text(e.Client), PublishedAt: whole(e.Published),
		},
		Status:      spec.ExecutionStatus(x.Status),
		Steps:       each(t, func(s execution.TraceEntry) spec.StepTrace { return viewStep(x, s, hide) }),
		CreditsUsed: x.Credits, CreatedAt: whole(x.Created), CompletedAt: when(x.Completed),
		StatusReason: text(x.StatusReason()), Error: viewFailure(hide.failure(x.Error)), RetryOf: text(x.RetryOf),
		AgentVersion: x.Version, SourceProduct: e.Product, EventType: e.Type, ClientID: text(e.Client),
		StartedBy: viewStarter(x.StartedBy()), CancelledBy: text(x.CancelledBy), DurationMs: duration(x), Warnings: x.Warnings,
	}, nil
}

// viewCause returns the cause of an event, or null for an event without one.
func viewCause(e event.Event) *spec.Causation {
	if !e.AgentTriggered() {
		return nil
	}
	return &spec.Causation{RootEventID: string(e.Root()), ExecutionID: text(e.Cause()), Depth: e.Depth()}
}

// duration returns the duration of a run in milliseconds, or null before its end.
func duration(x execution.Execution) *int64 {
	if !x.Status.Ended() {
		return nil
	}
	return milliseconds(x.Duration())
}

// viewStarter returns the starter of a run, or null when the run does not record
// it.
func viewStarter(s execution.Starter) *spec.StartedBy {
	if s.Type == "" {
		return nil
	}
	return &spec.StartedBy{Type: spec.StartedByType(s.Type), ID: s.ID}
}

func viewFailure(f *execution.Failure) *spec.Failure {
	if f == nil {
		return nil
	}
	return &spec.Failure{Code: f.Code, Message: f.Message, StepID: text(f.Step)}
}

func viewStep(x execution.Execution, s execution.TraceEntry, hide hider) spec.StepTrace {
	v := spec.StepTrace{
		StepID: string(s.ID), StepType: spec.StepType(s.Kind), Status: spec.StepStatus(s.Status), Name: text(s.Definition.Name),
		Input: hide.record(s.Kind, viewInput(s)), Output: hide.record(s.Kind, s.Output), Error: viewFailure(hide.failure(s.Error)), Attempts: s.Tries,
		CreditsUsed: s.Credits(), StartedAt: when(s.Started), CompletedAt: when(s.Ended),
	}
	if !s.Started.IsZero() {
		v.StartedOffsetMs = milliseconds(x.Offset(s.StepRecord))
	}
	if !s.Ended.IsZero() && !s.Started.IsZero() {
		v.DurationMs = milliseconds(s.Duration())
	}
	if u := s.Usage; u != nil {
		v.Model, v.Tokens = text(u.Model), &spec.Tokens{Input: u.InputTokens, Output: u.OutputTokens}
	}
	return v
}

// maxPrompt is the number of characters of a prompt that a trace shows.
const maxPrompt = 500

// viewInput returns the input of a step. For an AI step it adds the prompt of the
// run's definition, beside the values that fill it.
func viewInput(s execution.TraceEntry) any {
	input, ok := s.Input.(map[string]any)
	if s.Definition.AIStep == nil || !ok {
		return s.Input
	}
	input = maps.Clone(input)
	input["prompt"] = render.Beginning(s.Definition.Prompt, maxPrompt)
	return input
}
