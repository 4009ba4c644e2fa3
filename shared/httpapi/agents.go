package httpapi

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	spec "theoneagents.app/agents/shared/httpapi/spec/agents"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/template"
)

// agents are the operations on agents and their templates.
type agents struct {
	Edge

	cursors   signer
	svc       *agent.Service
	templates *template.Service
	activity  activity.Store
	stage     Stage
}

var _ spec.StrictServerInterface = agents{}

// Agents returns the handler of the endpoints of agents and templates.
func Agents(svc *agent.Service, templates *template.Service, act activity.Store, stage Stage, edge Edge) http.Handler {
	return edge.mount(agents{edge, edge.signer(), svc, templates, act, stage}.routes())
}

func (in *request) agent() string { return in.id("agent_", agent.ErrNotFound) }

func (g agents) named(ctx context.Context, err error, name string) error {
	return named(err, agent.ErrNotFound, "Agent", name, callerIn(ctx).Org)
}

func readListAgents(in *request) spec.ListAgentsRequestObject {
	return spec.ListAgentsRequestObject{Params: spec.ListAgentsParams{
		Status:   oneOf[spec.AgentStatus](in, "status", agent.Statuses()),
		Type:     oneOf[spec.AgentType](in, "type", agent.Types()),
		Category: oneOf[spec.Category](in, "category", catalog.Categories()),
	}}
}

// ListAgents implements the contract.
func (g agents) ListAgents(ctx context.Context, q spec.ListAgentsRequestObject) (spec.ListAgentsResponseObject, error) {
	heads, err := g.svc.List(ctx, callerIn(ctx), agent.Query{
		Status:   agent.Status(value(q.Params.Status)),
		Type:     agent.Type(value(q.Params.Type)),
		Category: string(value(q.Params.Category)),
	})
	if err != nil {
		return nil, err
	}
	return spec.ListAgents200JSONResponse{Agents: each(heads, g.summary), Total: len(heads)}, nil
}

func readCreateAgent(in *request) spec.CreateAgentRequestObject {
	q := spec.CreateAgentRequestObject{Body: in.document()}
	q.Params.IdempotencyKey = in.idempotencyKey()
	return q
}

// CreateAgent implements the contract.
func (g agents) CreateAgent(ctx context.Context, q spec.CreateAgentRequestObject) (spec.CreateAgentResponseObject, error) {
	var a agent.Agent
	var err error
	if key := value(q.Params.IdempotencyKey); key != "" {
		a, err = g.svc.CreateOnce(ctx, callerIn(ctx), key, *q.Body)
	} else {
		a, err = g.svc.Create(ctx, callerIn(ctx), *q.Body)
	}
	if err != nil {
		return nil, err
	}
	return spec.CreateAgent201JSONResponse{Body: g.view(ctx, a), Headers: spec.CreateAgent201ResponseHeaders{ETag: tag(a)}}, nil
}

// idempotencyKeys matches the allowed idempotency keys.
var idempotencyKeys = regexp.MustCompile(`^[\x20-\x7e]{1,255}$`)

// idempotencyKey returns the header Idempotency-Key, or nil.
func (in *request) idempotencyKey() *string {
	keys, ok := in.r.Header["Idempotency-Key"]
	if !ok {
		return nil
	}
	if len(keys) != 1 || !idempotencyKeys.MatchString(keys[0]) {
		in.Fault("Idempotency-Key", "must be given once, as 1 to 255 printable ASCII characters")
		return nil
	}
	return &keys[0]
}

func readGetAgent(in *request) spec.GetAgentRequestObject {
	return spec.GetAgentRequestObject{ID: in.agent()}
}

// GetAgent implements the contract.
func (g agents) GetAgent(ctx context.Context, q spec.GetAgentRequestObject) (spec.GetAgentResponseObject, error) {
	a, err := g.svc.Get(ctx, callerIn(ctx), id.Agent(q.ID))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	return spec.GetAgent200JSONResponse{Body: g.view(ctx, a), Headers: spec.GetAgent200ResponseHeaders{ETag: tag(a)}}, nil
}

func readUpdateAgent(in *request) spec.UpdateAgentRequestObject {
	q := spec.UpdateAgentRequestObject{ID: in.agent(), Body: in.document()}
	q.Params.IfMatch = in.ifMatch()
	return q
}

// UpdateAgent implements the contract.
func (g agents) UpdateAgent(ctx context.Context, q spec.UpdateAgentRequestObject) (spec.UpdateAgentResponseObject, error) {
	match, err := g.match(ctx, id.Agent(q.ID), q.Params.IfMatch)
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	fields, err := g.writable(ctx, id.Agent(q.ID), *q.Body)
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	a, err := g.svc.Update(ctx, callerIn(ctx), id.Agent(q.ID), agent.Patch{Fields: fields, Match: match})
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	return spec.UpdateAgent200JSONResponse{Body: g.view(ctx, a), Headers: spec.UpdateAgent200ResponseHeaders{ETag: tag(a)}}, nil
}

func readDeleteAgent(in *request) spec.DeleteAgentRequestObject {
	q := spec.DeleteAgentRequestObject{ID: in.agent()}
	q.Params.IfMatch = in.ifMatch()
	return q
}

// DeleteAgent implements the contract.
func (g agents) DeleteAgent(ctx context.Context, q spec.DeleteAgentRequestObject) (spec.DeleteAgentResponseObject, error) {
	match, err := g.match(ctx, id.Agent(q.ID), q.Params.IfMatch)
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	if err := g.svc.Delete(ctx, callerIn(ctx), id.Agent(q.ID), match); err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	return spec.DeleteAgent204Response{}, nil
}

func readCloneAgent(in *request) spec.CloneAgentRequestObject {
	q := spec.CloneAgentRequestObject{ID: in.agent(), Body: &spec.CloneInput{}}
	if len(in.body) > 0 {
		q.Body.Name = in.object().OptionalText("name", 1, definition.MaxName)
	}
	return q
}

// CloneAgent implements the contract.
func (g agents) CloneAgent(ctx context.Context, q spec.CloneAgentRequestObject) (spec.CloneAgentResponseObject, error) {
	a, err := g.svc.Clone(ctx, callerIn(ctx), id.Agent(q.ID), value(q.Body.Name))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	return spec.CloneAgent201JSONResponse{Body: g.view(ctx, a), Headers: spec.CloneAgent201ResponseHeaders{ETag: tag(a)}}, nil
}

func readListActivity(in *request) spec.ListActivityRequestObject {
	return spec.ListActivityRequestObject{ID: in.agent(), Params: spec.ListActivityParams{
		Limit: in.limit(), Cursor: in.param("cursor"),
	}}
}

// ListActivity implements the contract.
func (g agents) ListActivity(ctx context.Context, q spec.ListActivityRequestObject) (spec.ListActivityResponseObject, error) {
	who := callerIn(ctx)
	w := g.cursors.walk(ctx, "activity", q.ID)
	at, err := w.from(q.Params.Cursor)
	if err != nil {
		return nil, err
	}
	if _, err := g.svc.Get(ctx, who, id.Agent(q.ID)); err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	page, err := g.activity.Activity(ctx, who.Org, id.Agent(q.ID), activity.Query{
		Since: g.Now().Add(-activity.Kept), Limit: *q.Params.Limit, After: at.After,
	})
	if err != nil {
		return nil, err
	}
	return spec.ListActivity200JSONResponse{
		Activity: each(page.Entries, viewEntry), NextCursor: w.to(position{After: page.Next}),
	}, nil
}

// tag returns the ETag of an agent.
func tag(a agent.Agent) string { return `"` + strconv.FormatInt(a.Revision, 10) + `"` }

// ifMatch returns the tags of all If-Match headers, or nil without one.
func (in *request) ifMatch() *string {
	tags, ok := in.r.Header["If-Match"]
	if !ok {
		return nil
	}
	list := strings.Join(tags, ",")
	return &list
}

// never is a revision that no resource has.
const never = -1

// match returns the revision of an agent that an If-Match header asks for.
func (g agents) match(ctx context.Context, agent id.Agent, header *string) (int64, error) {
	return matched(header, func() (int64, error) {
		a, err := g.svc.Get(ctx, callerIn(ctx), agent)
		return a.Revision, err
	})
}

// matched returns the revision that an If-Match header asks for: 0 for any, never
// for an impossible tag. Of several tags it returns the current revision, or
// never when that is not among them.
func matched(header *string, current func() (int64, error)) (int64, error) {
	tags := strings.Split(value(header), ",")
	switch {
	case header == nil || strings.TrimSpace(*header) == "*":
		return 0, nil
	case len(tags) == 1:
		return revision(tags[0]), nil
	}
	now, err := current()
	if err != nil {
		return 0, err
	}
	for _, t := range tags {
		if revision(t) == now {
			return now, nil
		}
	}
	return never, nil
}

// revision returns the revision in an ETag, or never.
func revision(tag string) int64 {
	text, ok := strings.CutPrefix(strings.TrimSpace(tag), `"`)
	text, closed := strings.CutSuffix(text, `"`)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || !closed || err != nil || n < 1 || strconv.FormatInt(n, 10) != text {
		return never
	}
	return n
}

func (g agents) summary(h agent.Head) spec.AgentSummary {
	return spec.AgentSummary{
		ID: string(h.ID), OrgID: string(h.Org), Name: h.Name, Type: spec.AgentType(h.Type),
		Status: spec.AgentStatus(h.Status), Category: spec.Category(h.Category), Stats: g.stats(h.Stats),
		Description: h.Description, Trigger: viewTrigger(h.Event()), Version: h.Version, UpdatedAt: whole(h.Updated),
	}
}

// viewTrigger returns the trigger of an agent that listens for an event, or null when
// the event is not known.
func viewTrigger(event string) *spec.TemplateTrigger {
	product, name, ok := strings.Cut(event, ":")
	if !ok {
		return nil
	}
	return &spec.TemplateTrigger{Type: spec.BusEvent, EventType: name, SourceProduct: product}
}

func (g agents) view(ctx context.Context, a agent.Agent) spec.Agent {
	d := a.Definition
	hide := g.hider(callerIn(ctx), a.ID)
	return spec.Agent{
		ID: string(a.ID), OrgID: string(a.Org), Name: a.Name, Description: d.Description,
		Type: spec.AgentType(a.Type), Status: spec.AgentStatus(a.Status), Category: spec.Category(a.Category),
		Trigger: d.Trigger, Conditions: d.Conditions, Steps: hide.steps(d.Steps),
		ConflictBehavior: spec.ConflictBehavior(d.Conflict), ClientScope: d.Scope, ExecutionLimit: d.Limit,
		Stats: g.stats(a.Stats), Version: a.Version, PinnedVersion: pinned(a), CreatedAt: whole(a.Created), UpdatedAt: whole(a.Updated),
		CreatedBy: text(a.CreatedBy), UpdatedBy: text(a.UpdatedBy),
		Warnings: each(g.svc.Warnings(ctx, a), viewWarning),
	}
}

// pinned returns the version to which an agent is pinned, or null.
func pinned(a agent.Agent) *int {
	if !a.Pinned {
		return nil
	}
	return &a.Version
}

func (g agents) stats(s agent.Stats) spec.AgentStats {
	v := spec.AgentStats{
		TotalRuns: s.Runs, LastRunAt: when(s.LastRun),
		CreditsUsedThisMonth: s.Used(credit.MonthOf(g.Now())),
	}
	if rate, ok := s.SuccessRate(); ok {
		v.SuccessRate = &rate
	}
	if d, ok := s.AvgDuration(); ok {
		v.AvgDurationMs = milliseconds(d)
	}
	return v
}

func milliseconds(d time.Duration) *int64 {
	ms := d.Milliseconds()
	return &ms
}

func viewEntry(e activity.Entry) spec.Activity {
	view := spec.Activity{
		ClientID: text(e.Client), RelatedExecutionID: text(e.Related),
		ID: string(e.ID), At: whole(e.At), EventID: string(e.Event), EventType: e.EventType,
		SourceProduct: e.Product, Outcome: spec.Outcome(e.Outcome), Detail: e.Detail, ExecutionID: text(e.Execution),
	}
	if f := e.Fault; f != nil {
		view.Fault = &spec.ActivityFault{Path: f.Path, Operator: spec.Operator(f.Operator), Wanted: f.Wanted, Found: f.Found, Missing: f.Missing}
	}
	return view
}
