package httpapi

import (
	"context"
	"net/http"

	"theoneagents.app/agents/shared/hold"
	spec "theoneagents.app/agents/shared/httpapi/spec/pause"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/tenant"
)

// pause are the operations on the pause of an organization.
type pause struct {
	Edge

	svc *hold.Service
}

var _ spec.StrictServerInterface = pause{}

// Pause returns the handler of the endpoints of pauses.
func Pause(svc *hold.Service, edge Edge) http.Handler {
	return edge.mount(pause{edge, svc}.routes())
}

func readGetPause(*request) spec.GetPauseRequestObject { return spec.GetPauseRequestObject{} }

// GetPause implements the contract.
func (g pause) GetPause(ctx context.Context, _ spec.GetPauseRequestObject) (spec.GetPauseResponseObject, error) {
	s, err := g.svc.Get(ctx, callerIn(ctx))
	if err != nil {
		return nil, err
	}
	return spec.GetPause200JSONResponse(viewPause(s)), nil
}

// readPauseOrg takes an empty body too: an emergency stop needs no reason.
func readPauseOrg(in *request) spec.PauseOrgRequestObject {
	open := spec.OpenRuns(tenant.Hold)
	q := spec.PauseOrgRequestObject{Body: &spec.PauseInput{OpenRuns: &open}}
	if len(in.body) > 0 {
		o := in.object()
		q.Body.Reason = o.OptionalText("reason", 0, tenant.MaxPauseReason)
		open = spec.OpenRuns(input.Choice(o, "open_runs", tenant.Hold, tenant.OpenRunsChoices()...))
	}
	return q
}

// PauseOrg implements the contract.
func (g pause) PauseOrg(ctx context.Context, q spec.PauseOrgRequestObject) (spec.PauseOrgResponseObject, error) {
	s, err := g.svc.Pause(ctx, callerIn(ctx), value(q.Body.Reason), tenant.OpenRuns(*q.Body.OpenRuns))
	if err != nil {
		return nil, err
	}
	return spec.PauseOrg200JSONResponse(viewPause(s)), nil
}

func readResumeOrg(in *request) spec.ResumeOrgRequestObject {
	o := in.object()
	if v, ok := o.Need("confirm"); ok && v != true {
		in.Fault("confirm", "must be true")
	}
	return spec.ResumeOrgRequestObject{Body: &spec.ResumeInput{Confirm: true}}
}

// ResumeOrg implements the contract.
func (g pause) ResumeOrg(ctx context.Context, _ spec.ResumeOrgRequestObject) (spec.ResumeOrgResponseObject, error) {
	s, err := g.svc.Resume(ctx, callerIn(ctx))
	if err != nil {
		return nil, err
	}
	return spec.ResumeOrg200JSONResponse(viewPause(s)), nil
}

func viewPause(s hold.State) spec.Pause {
	v := spec.Pause{
		Paused: s.Active(), By: text(s.By), At: when(s.At), Reason: text(s.Reason), Held: s.Held, Missed: s.Missed,
	}
	if s.Active() {
		open := spec.OpenRuns(s.OpenRuns)
		v.OpenRuns = &open
	}
	return v
}
