package httpapi

import (
	"context"

	"theoneagents.app/agents/shared/caller"
	spec "theoneagents.app/agents/shared/httpapi/spec/credits"
)

func readGetMe(*request) spec.GetMeRequestObject { return spec.GetMeRequestObject{} }

// GetMe implements the contract.
func (g credits) GetMe(ctx context.Context, _ spec.GetMeRequestObject) (spec.GetMeResponseObject, error) {
	who := callerIn(ctx)
	t, err := g.tenants.Tenant(ctx, who.Org)
	if err != nil {
		return nil, err
	}
	view := spec.GetMe200JSONResponse{
		OrgID: string(who.Org), OrgName: text(t.Name), KeyID: text(who.Key), Roles: []spec.Role{},
		Rights: each(who.Acts(), func(a caller.Act) spec.Right { return spec.Right(a) }),
		Plan:   spec.Plan(t.Plan), Allocation: t.Plan.Allocation(), Suspended: t.Suspended, Paused: t.Pause.Active(),
	}
	if most, limited := t.Plan.ActiveAgents(); limited {
		view.AgentLimit = &most
	}
	if who.Human() {
		view.UserID = text(who.User)
		view.Roles = each(who.Roles, func(r caller.Role) spec.Role { return spec.Role(r) })
	} else {
		access := spec.KeyAccess(who.Access)
		view.Access = &access
	}
	return view, nil
}
