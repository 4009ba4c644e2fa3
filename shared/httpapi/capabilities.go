package httpapi

import (
	"context"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
	spec "theoneagents.app/agents/shared/httpapi/spec/agents"
	"theoneagents.app/agents/shared/id"
)

func readGetCapabilities(in *request) spec.GetCapabilitiesRequestObject {
	return spec.GetCapabilitiesRequestObject{ID: in.agent(), Params: spec.GetCapabilitiesParams{
		Version: in.versionOf("version"), Against: in.versionOf("against"),
	}}
}

// GetCapabilities implements the contract.
func (g agents) GetCapabilities(ctx context.Context, q spec.GetCapabilitiesRequestObject) (spec.GetCapabilitiesResponseObject, error) {
	who, name := callerIn(ctx), id.Agent(q.ID)
	d, number, err := g.defined(ctx, name, q.Params.Version)
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	hide := g.hider(who, name)
	out := spec.GetCapabilities200JSONResponse{AgentID: q.ID, Version: number, Capabilities: g.capable(d, hide)}
	if q.Params.Against != nil {
		earlier, _, err := g.defined(ctx, name, q.Params.Against)
		if err != nil {
			return nil, g.named(ctx, err, q.ID)
		}
		change := out.Capabilities.After(g.capable(earlier, hide))
		out.Change = &change
	}
	woken, err := g.svc.Wakes(ctx, who.Org, out.Capabilities.CanCause)
	if err != nil {
		return nil, err
	}
	out.MayWake = each(woken, func(h agent.Head) spec.WokenAgent { return spec.WokenAgent{AgentID: string(h.ID), Name: h.Name} })
	return out, nil
}

// defined returns the definition of a version, or the one with which runs start now.
func (g agents) defined(ctx context.Context, name id.Agent, version *int) (definition.Definition, int, error) {
	if version == nil {
		a, err := g.svc.Get(ctx, callerIn(ctx), name)
		return a.Definition, a.Version, err
	}
	v, err := g.svc.Version(ctx, callerIn(ctx), name, *version)
	return v.Definition, v.Number, err
}

// capable returns the capabilities of a definition, with the recipients that the caller
// may see.
func (g agents) capable(d definition.Definition, hide hider) definition.Capabilities {
	d.Steps = hide.steps(d.Steps)
	return g.svc.Rules.Capabilities(d)
}
