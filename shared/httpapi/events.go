package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/explain"
	"theoneagents.app/agents/shared/fault"
	spec "theoneagents.app/agents/shared/httpapi/spec/events"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
)

// events are the operations on the catalogue and on received events.
type events struct {
	Edge

	catalog catalog.Catalog
	cursors signer
	svc     *explain.Service
}

var _ spec.StrictServerInterface = events{}

// Events returns the handler of the endpoints of the catalogue and of received events.
func Events(c catalog.Catalog, svc *explain.Service, edge Edge) http.Handler {
	return edge.mount(events{edge, c, edge.signer(), svc}.routes())
}

// readListEvents accepts the products of the catalogue's event types.
func (g events) readListEvents(in *request) spec.ListEventsRequestObject {
	return spec.ListEventsRequestObject{Params: spec.ListEventsParams{
		SourceProduct: oneOf[spec.Product](in, "source_product", g.products()),
		Category:      oneOf[spec.Category](in, "category", catalog.Categories()),
	}}
}

// readListActions accepts the products of the catalogue's event types.
func (g events) readListActions(in *request) spec.ListActionsRequestObject {
	return spec.ListActionsRequestObject{Params: spec.ListActionsParams{
		Product: oneOf[spec.Product](in, "product", g.catalog.EventProducts()), Destructive: in.boolean("destructive"),
	}}
}

// ListActions implements the contract.
func (g events) ListActions(_ context.Context, q spec.ListActionsRequestObject) (spec.ListActionsResponseObject, error) {
	product, destructive := value(q.Params.Product), q.Params.Destructive
	actions := slices.DeleteFunc(g.catalog.Actions(), func(a catalog.Action) bool {
		return product != "" && a.Product != string(product) || destructive != nil && a.Destructive != *destructive
	})
	return spec.ListActions200JSONResponse{Actions: each(actions, viewAction)}, nil
}

func viewAction(a catalog.Action) spec.CatalogAction {
	view := spec.CatalogAction{
		ID: a.Name(), Product: a.Product, Action: a.Action, DisplayName: a.DisplayName, Description: a.Description,
		Destructive: a.Destructive, Risk: spec.ActionRisk(a.Risk.Highest()),
		Params: each(a.Params, func(p catalog.Param) spec.ActionParam { return p }),
		Emits:  append([]string{}, a.Emits...), Undo: a.Undo, SampleParams: a.Sample, SampleReply: a.Reply,
	}
	if a.Risk.Param != "" {
		view.RiskBy = &a.Risk
	}
	return view
}

func (g events) products() []string {
	all := each(g.catalog.Events(), func(t catalog.EventType) string { return t.Product })
	return slices.Compact(all) // the catalogue is sorted by product
}

// ListEvents implements the contract.
func (g events) ListEvents(_ context.Context, q spec.ListEventsRequestObject) (spec.ListEventsResponseObject, error) {
	product, category := value(q.Params.SourceProduct), value(q.Params.Category)
	types := slices.DeleteFunc(g.catalog.Events(), func(t catalog.EventType) bool {
		return product != "" && t.Product != string(product) || category != "" && t.Category != string(category)
	})
	return spec.ListEvents200JSONResponse{Events: each(types, viewType)}, nil
}

func viewType(t catalog.EventType) spec.EventType {
	return spec.EventType{
		ID: t.Name(), SourceProduct: t.Product, EventType: t.Type, Category: spec.Category(t.Category),
		DisplayName: t.DisplayName, Description: t.Description,
		FilterableFields: each(t.Filterable, func(f catalog.Field) spec.FilterableField { return f }),
		SamplePayload:    t.Sample,
	}
}

// eventName returns a query parameter that must be the qualified name of an event type,
// or nil. The type need not be in the catalogue.
func (in *request) eventName(name string) *string {
	s := in.param(name)
	if s == nil {
		return nil
	}
	if len(*s) > maxEventName || !eventNames.MatchString(*s) {
		in.Fault(name, "must be a type with its product like psa:ticket.created")
		return nil
	}
	return s
}

// maxEventName is the length of the longest product, a colon, and the longest type. Each
// part may take the room of the other: such a name finds nothing.
const maxEventName = 141

// eventNames matches the names of types of events with their product, as the document of
// the API says.
var eventNames = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*:[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$`)

func readListReceivedEvents(in *request) spec.ListReceivedEventsRequestObject {
	q := spec.ListReceivedEventsParams{
		EventType: in.eventName("event_type"), ClientID: in.param("client_id"), Limit: in.limit(), Cursor: in.param("cursor"),
	}
	if c := q.ClientID; c != nil && !id.ValidExternal(*c) {
		in.Fault("client_id", "must be the id of a client: 1 to 128 printable characters without spaces and #")
	}
	return spec.ListReceivedEventsRequestObject{Params: q}
}

// ListReceivedEvents implements the contract.
func (g events) ListReceivedEvents(ctx context.Context, q spec.ListReceivedEventsRequestObject) (spec.ListReceivedEventsResponseObject, error) {
	p := q.Params
	w := g.cursors.walk(ctx, "received", p.EventType, p.ClientID)
	at, err := w.from(p.Cursor)
	if err != nil {
		return nil, err
	}
	list, err := g.svc.List(ctx, callerIn(ctx), journal.Query{
		Type: value(p.EventType), Client: id.Client(value(p.ClientID)), Limit: *p.Limit, After: journal.Place(at.After),
	})
	if err != nil {
		return nil, err
	}
	return spec.ListReceivedEvents200JSONResponse{
		Events: each(list.Events, viewReceived), KeptSince: when(list.Since), NextCursor: w.to(position{After: string(list.Next)}),
	}, nil
}

func viewReceived(r explain.Received) spec.ReceivedEvent {
	v := spec.ReceivedEvent{
		EventID: string(r.Event.ID), EventType: r.Event.Type, SourceProduct: r.Event.Product, ClientID: text(r.Event.Client),
		PublishedAt: whole(r.Event.Published), PayloadCut: r.Cut,
	}
	if !r.Unread {
		started := each(r.Started, func(x id.Execution) string { return string(x) })
		v.Started = &started
	}
	return v
}

func readExplainEvent(in *request) spec.ExplainEventRequestObject {
	return spec.ExplainEventRequestObject{ID: in.id("evt_", explain.ErrNotKept), Params: spec.ExplainEventParams{
		EventType: in.eventName("event_type"), At: in.time("at"), AgentID: in.ref("agent_id", "agent_"),
	}}
}

// ExplainEvent implements the contract.
func (g events) ExplainEvent(ctx context.Context, q spec.ExplainEventRequestObject) (spec.ExplainEventResponseObject, error) {
	p := q.Params
	x, err := g.svc.Explain(ctx, callerIn(ctx), explain.Question{
		Event: id.Event(q.ID), Type: value(p.EventType), At: value(p.At), Agent: id.Agent(value(p.AgentID)),
	})
	if err != nil {
		return nil, err
	}
	e := x.Event
	v := spec.ExplainEvent200JSONResponse{
		Event: spec.ExplainedEvent{
			EventID: string(e.ID), EventType: e.Type, SourceProduct: e.Product, ClientID: text(e.Client),
			PublishedAt: whole(e.Published), Kept: x.Kept, PayloadCut: x.Cut,
		},
		Agents: each(x.Agents, viewExplained), MoreAgents: x.More,
		Did: each(x.Did, viewDeed), Caused: each(x.Caused, viewCaused), CausedNote: text(x.Note),
	}
	if l := x.Letter; l != nil {
		v.Event.DeadLetter = &spec.DeadLetter{Reason: l.Reason, Message: l.Message, At: whole(l.At)}
	}
	if e.Payload != nil {
		payload := spec.KeptPayload(e.Payload)
		v.Event.Payload = &payload
	}
	return v, nil
}

// maxSupposedDepth is the greatest depth that a caller may suppose. Every agent refuses
// much smaller ones.
const maxSupposedDepth = 100

func readSupposeEvent(in *request) spec.SupposeEventRequestObject {
	o := in.object()
	depth := int(o.Int("depth", 0, maxSupposedDepth))
	b := &spec.EventSuppositionInput{EventType: o.NeedText("event_type", maxEventName), Depth: &depth}
	if b.EventType != "" && !eventNames.MatchString(b.EventType) {
		in.Fault("event_type", "must be a type with its product like psa:ticket.created")
	}
	if v, ok := o.Need("payload"); ok {
		payload, isObject := v.(map[string]any)
		if !isObject {
			in.Fault("payload", "must be an object, not %s", jsonvalue.Kind(v))
		}
		b.Payload = payload
	}
	if b.ClientID = o.OptionalText("client_id", 1, 128); value(b.ClientID) != "" && !id.ValidExternal(*b.ClientID) {
		in.Fault("client_id", "must be the id of a client: 1 to 128 printable characters without spaces and #")
	}
	if b.AgentID = o.OptionalText("agent_id", 1, 128); value(b.AgentID) != "" && !id.Valid("agent_", *b.AgentID) {
		in.Fault("agent_id", "must be an identifier that begins with agent_")
	}
	return spec.SupposeEventRequestObject{Body: b}
}

// SupposeEvent implements the contract.
func (g events) SupposeEvent(ctx context.Context, q spec.SupposeEventRequestObject) (spec.SupposeEventResponseObject, error) {
	e, err := g.supposed(callerIn(ctx).Org, *q.Body)
	if err != nil {
		return nil, err
	}
	x, err := g.svc.Suppose(ctx, callerIn(ctx), e, id.Agent(value(q.Body.AgentID)))
	if err != nil {
		return nil, err
	}
	_, known := g.catalog.Event(e.Name())
	near := ""
	if !known {
		near = fault.Nearest(e.Name(), g.catalog.EventNames())
	}
	return spec.SupposeEvent200JSONResponse{
		Event: spec.SupposedEvent{
			EventType: e.Type, SourceProduct: e.Product, ClientID: text(e.Client), Depth: e.Depth(), InCatalog: known,
			SimilarType: text(near), Payload: e.Payload,
		},
		Agents: each(x.Agents, viewExplained), MoreAgents: x.More,
	}, nil
}

// supposed returns the event of a body as the bus would deliver it now.
func (g events) supposed(org id.Org, b spec.EventSuppositionInput) (event.Event, error) {
	e := event.Event{Org: org, Client: id.Client(value(b.ClientID)), Payload: b.Payload, Published: g.Now().UTC()}
	e.Product, e.Type, _ = strings.Cut(b.EventType, ":")
	e.ID = id.Event("evt_" + id.Derive(e.Published, "supposed", b.EventType, string(e.Client), jsonvalue.Canonical(b.Payload)))
	if depth := value(b.Depth); depth > 0 {
		e.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Depth: depth}}
	}
	e, err := e.AsReceived()
	if err != nil {
		return e, ErrRequest.Naming([]fault.Detail{{Path: "payload", Message: fault.From(err).Message}})
	}
	return e, nil
}

// deletedAgent is the status of a deleted agent in an explanation.
const deletedAgent = "deleted"

func viewExplained(a explain.Agent) spec.AgentExplanation {
	v := spec.AgentExplanation{
		AgentID: string(a.ID), Name: text(a.Name), Status: deletedAgent, Because: a.Because,
		Then: viewRecord(a.Then),
	}
	if a.Status != "" {
		v.Status, v.Version = spec.AgentExplanationStatus(a.Status), &a.Version
	}
	if n := a.Now; n != nil {
		v.Now = &spec.EventVerdict{Outcome: spec.VerdictOutcome(n.Outcome), Detail: n.Why, Checks: each(n.Checks, viewCheck)}
	}
	return v
}

func viewDeed(d explain.Deed) spec.EventDeed {
	return spec.EventDeed{
		ExecutionID: string(d.Run), AgentID: string(d.Agent), AgentName: text(d.Name), Status: spec.ExecutionStatus(d.Status), Story: d.Story,
	}
}

func viewCaused(e explain.Effect) spec.CausedEvent {
	return spec.CausedEvent{
		EventID: string(e.Event), EventType: e.Type, SourceProduct: e.Product, PublishedAt: whole(e.Published), ExecutionID: string(e.By), Depth: e.Depth,
	}
}

// viewRecord shows a start rather than the refusal before it.
func viewRecord(r explain.Record) *spec.EventRecord {
	switch {
	case r.Run != nil:
		status, name := spec.ExecutionStatus(r.Run.Status), string(r.Run.ID)
		return &spec.EventRecord{
			Outcome: spec.Outcome(definition.Started), At: whole(r.Run.Created), ExecutionID: &name, ExecutionStatus: &status, AgentVersion: &r.Run.Version,
		}
	case r.Refusal != nil:
		return &spec.EventRecord{
			Outcome: spec.Outcome(r.Refusal.Outcome), Detail: r.Refusal.Detail, At: whole(r.Refusal.At), RelatedExecutionID: text(r.Refusal.Related),
		}
	}
	return nil
}

func viewCheck(c definition.Check) spec.EventCheck {
	return spec.EventCheck{
		Part: spec.EventCheckPart(c.Part), Path: c.Path, Holds: c.Holds(), Detail: c.Why,
		Comparisons: each(c.Comparisons, func(one condition.Comparison) spec.EventComparison {
			return spec.EventComparison{
				Path: c.Path + one.Path, Context: spec.EventComparisonContext(cmp.Or(one.Condition.Context, condition.InEvent)), Field: one.Condition.Field,
				Operator: spec.Operator(one.Condition.Operator), Wanted: one.Wanted, Found: one.Found, Missing: one.Missing, Holds: one.Holds,
			}
		}),
	}
}
