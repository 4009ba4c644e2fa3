package httpapi

import (
	"context"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/fault"
	spec "theoneagents.app/agents/shared/httpapi/spec/agents"
	"theoneagents.app/agents/shared/id"
)

func readValidateAgent(in *request) spec.ValidateAgentRequestObject {
	q := spec.ValidateAgentRequestObject{Body: in.document()}
	given, present := (*q.Body)["id"]
	switch name, isText := given.(string); {
	case present && !isText:
		in.fail(ErrRequest.Sayf("The id of the agent in the body is no text; it must be one like agent_01HXYZ."))
	case isText && !id.Valid("agent_", name):
		in.fail(agent.ErrNotFound)
	}
	return q
}

// ValidateAgent implements the contract.
func (g agents) ValidateAgent(ctx context.Context, q spec.ValidateAgentRequestObject) (spec.ValidateAgentResponseObject, error) {
	before, after, err := g.checked(ctx, *q.Body)
	switch {
	case agent.Faulty(err):
		return spec.ValidateAgent200JSONResponse{Details: each(fault.From(err).Details, viewFault), Warnings: []spec.Warning{}}, nil
	case err != nil:
		return nil, err
	}
	out := spec.ValidateAgent200JSONResponse{Valid: true, Details: []spec.Fault{}, Warnings: each(g.svc.Warnings(ctx, after), viewWarning)}
	hide := g.hider(callerIn(ctx), after.ID)
	now := g.capable(after.Definition, hide)
	out.Capabilities = &now
	if before.ID != "" {
		change := now.After(g.capable(before.Definition, hide))
		out.Change = &change
	}
	return out, nil
}

// checked checks a new definition, or the change of the agent that the body names.
// before has no id for a new one.
func (g agents) checked(ctx context.Context, body map[string]any) (before, after agent.Agent, err error) {
	name, ok := body["id"].(string)
	if !ok {
		after, err = g.svc.Check(ctx, callerIn(ctx), body)
		return agent.Agent{}, after, err
	}
	fields, err := g.writable(ctx, id.Agent(name), body)
	if err != nil {
		return agent.Agent{}, agent.Agent{}, g.named(ctx, err, name)
	}
	delete(fields, "id") // of a system agent, which is not read for its read-only fields
	before, after, err = g.svc.CheckUpdate(ctx, callerIn(ctx), id.Agent(name), agent.Patch{Fields: fields})
	return before, after, g.named(ctx, err, name)
}

func viewFault(d fault.Detail) spec.Fault { return spec.Fault{Path: d.Path, Message: d.Message} }

func viewWarning(w fault.Detail) spec.Warning { return spec.Warning{Path: w.Path, Message: w.Message} }
