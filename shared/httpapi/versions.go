package httpapi

import (
	"context"
	"regexp"
	"strconv"

	"theoneagents.app/agents/shared/agent"
	spec "theoneagents.app/agents/shared/httpapi/spec/agents"
	"theoneagents.app/agents/shared/id"
)

// versions matches the allowed version numbers.
var versions = regexp.MustCompile(`^[1-9][0-9]{0,5}$`)

// version returns the number in the path. An invalid number is a missing version.
func (in *request) version() int {
	text := in.r.PathValue("version")
	n, err := strconv.Atoi(text)
	if err != nil || !versions.MatchString(text) {
		in.fail(agent.ErrVersion)
	}
	return n
}

// versionOf returns a query parameter that must be the number of a version, or nil.
func (in *request) versionOf(name string) *int {
	s := in.param(name)
	if s == nil {
		return nil
	}
	n, err := strconv.Atoi(*s)
	if err != nil || !versions.MatchString(*s) {
		in.Fault(name, "must be the number of a version, a whole number from 1")
		return nil
	}
	return &n
}

func readListAgentVersions(in *request) spec.ListAgentVersionsRequestObject {
	return spec.ListAgentVersionsRequestObject{ID: in.agent(), Params: spec.ListAgentVersionsParams{
		Limit: in.limit(), Cursor: in.param("cursor"),
	}}
}

// ListAgentVersions implements the contract.
func (g agents) ListAgentVersions(ctx context.Context, q spec.ListAgentVersionsRequestObject) (spec.ListAgentVersionsResponseObject, error) {
	w := g.cursors.walk(ctx, "versions", q.ID)
	at, err := w.from(q.Params.Cursor)
	if err != nil {
		return nil, err
	}
	vq := agent.VersionQuery{Limit: *q.Params.Limit}
	if at.After != "" {
		if vq.Before, err = strconv.Atoi(at.After); err != nil {
			return nil, err // impossible: this API signed the cursor
		}
	}
	page, err := g.svc.Versions(ctx, callerIn(ctx), id.Agent(q.ID), vq)
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	hide := g.hider(callerIn(ctx), id.Agent(q.ID))
	var next position
	if page.Next > 0 {
		next.After = strconv.Itoa(page.Next)
	}
	return spec.ListAgentVersions200JSONResponse{Versions: each(page.Versions, func(v agent.Version) spec.AgentVersion { return viewVersion(v, hide) }), NextCursor: w.to(next)}, nil
}

func readGetAgentVersion(in *request) spec.GetAgentVersionRequestObject {
	return spec.GetAgentVersionRequestObject{ID: in.agent(), Version: in.version()}
}

// GetAgentVersion implements the contract.
func (g agents) GetAgentVersion(ctx context.Context, q spec.GetAgentVersionRequestObject) (spec.GetAgentVersionResponseObject, error) {
	v, err := g.svc.Version(ctx, callerIn(ctx), id.Agent(q.ID), q.Version)
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	return spec.GetAgentVersion200JSONResponse(viewVersion(v, g.hider(callerIn(ctx), id.Agent(q.ID)))), nil
}

func viewVersion(v agent.Version, hide hider) spec.AgentVersion {
	d := v.Definition
	return spec.AgentVersion{
		Version: v.Number, CreatedAt: whole(v.Created), CreatedBy: text(v.CreatedBy), Name: d.Name, Description: d.Description,
		Category: spec.Category(d.Category), Trigger: d.Trigger, Conditions: d.Conditions, Steps: hide.steps(d.Steps),
		ConflictBehavior: spec.ConflictBehavior(d.Conflict), ClientScope: d.Scope, ExecutionLimit: d.Limit,
	}
}
