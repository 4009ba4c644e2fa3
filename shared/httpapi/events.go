package httpapi

import (
	"context"
	"net/http"
	"slices"

	"theoneagents.app/agents/shared/catalog"
	spec "theoneagents.app/agents/shared/httpapi/spec/events"
)

// events are the operations on the catalogue.
type events struct {
	Edge

	catalog catalog.Catalog
}

var _ spec.StrictServerInterface = events{}

// Events returns the handler of the endpoints of the catalogue.
func Events(c catalog.Catalog, edge Edge) http.Handler {
	return edge.mount(events{edge, c}.routes())
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
