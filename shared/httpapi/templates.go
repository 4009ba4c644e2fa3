package httpapi

import (
	"context"
	"errors"

	"theoneagents.app/agents/shared/definition"
	spec "theoneagents.app/agents/shared/httpapi/spec/agents"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/template"
)

func readListTemplates(in *request) spec.ListTemplatesRequestObject {
	return spec.ListTemplatesRequestObject{Params: spec.ListTemplatesParams{
		Category: oneOf[spec.TemplateCategory](in, "category", template.Categories()),
	}}
}

// ListTemplates implements the contract.
func (g agents) ListTemplates(_ context.Context, q spec.ListTemplatesRequestObject) (spec.ListTemplatesResponseObject, error) {
	all, err := g.templates.List(template.Category(value(q.Params.Category)))
	if err != nil {
		return nil, err
	}
	return spec.ListTemplates200JSONResponse{Templates: each(all, viewTemplate)}, nil
}

func readGetTemplate(in *request) spec.GetTemplateRequestObject {
	return spec.GetTemplateRequestObject{ID: in.id("tmpl_", template.ErrNotFound)}
}

// GetTemplate implements the contract.
func (g agents) GetTemplate(_ context.Context, q spec.GetTemplateRequestObject) (spec.GetTemplateResponseObject, error) {
	t, err := g.templates.Get(id.Template(q.ID))
	if err != nil {
		return nil, namedTemplate(err, q.ID)
	}
	v, d := viewTemplate(t), t.Definition
	return spec.GetTemplate200JSONResponse{
		ID: v.ID, Category: v.Category, Name: v.Name, Description: v.Description, Version: v.Version, Trigger: v.Trigger,
		Definition: spec.TemplateDefinition{
			Category: spec.Category(d.Category), Trigger: d.Trigger, Conditions: d.Conditions, Steps: d.Steps,
			ConflictBehavior: spec.ConflictBehavior(d.Conflict), ClientScope: d.Scope, ExecutionLimit: d.Limit,
		},
	}, nil
}

// namedTemplate adds the template's id to the error of a missing template.
func namedTemplate(err error, name string) error {
	if errors.Is(err, template.ErrNotFound) {
		return template.ErrNotFound.Sayf("Template %s not found", name)
	}
	return err
}

func readCloneTemplate(in *request) spec.CloneTemplateRequestObject {
	q := spec.CloneTemplateRequestObject{ID: in.id("tmpl_", template.ErrNotFound), Body: &spec.CloneInput{}}
	if len(in.body) > 0 {
		q.Body.Name = in.object().OptionalText("name", 1, definition.MaxName)
	}
	return q
}

// CloneTemplate implements the contract.
func (g agents) CloneTemplate(ctx context.Context, q spec.CloneTemplateRequestObject) (spec.CloneTemplateResponseObject, error) {
	a, err := g.templates.Clone(ctx, callerIn(ctx), id.Template(q.ID), value(q.Body.Name))
	if err != nil {
		return nil, namedTemplate(err, q.ID)
	}
	return spec.CloneTemplate201JSONResponse{Body: g.view(ctx, a), Headers: spec.CloneTemplate201ResponseHeaders{ETag: tag(a)}}, nil
}

func viewTemplate(t template.Template) spec.Template {
	d := t.Definition
	return spec.Template{
		ID: string(t.ID), Category: spec.TemplateCategory(t.Category), Name: d.Name, Description: d.Description, Version: t.Version,
		Trigger: spec.TemplateTrigger{
			Type: spec.TemplateTriggerType(d.Trigger.Type), EventType: d.Trigger.EventType, SourceProduct: d.Trigger.Product,
		},
	}
}
