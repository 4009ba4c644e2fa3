package httpapi

import (
	"context"
	"net/http"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/fault"
	spec "theoneagents.app/agents/shared/httpapi/spec/approvals"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/render"
)

// Names finds the names of agents, also of deleted ones, given a version of each. An
// agent without a name that is known is missing in the result. See agent.Names.
type Names interface {
	Of(ctx context.Context, org id.Org, versions map[id.Agent]int) (map[id.Agent]string, error)
}

// approvals are the operations on approvals.
type approvals struct {
	Edge

	cursors signer
	svc     *approval.Service
	names   Names
	catalog catalog.Catalog
}

var _ spec.StrictServerInterface = approvals{}

// Approvals returns the handler of the endpoints of approvals.
func Approvals(svc *approval.Service, names Names, c catalog.Catalog, edge Edge) http.Handler {
	return edge.mount(approvals{edge, edge.signer(), svc, names, c}.routes())
}

func (in *request) approval() string { return in.id("appr_", approval.ErrNotFound) }

func (g approvals) named(ctx context.Context, err error, name string) error {
	return named(err, approval.ErrNotFound, "Approval", name, callerIn(ctx).Org)
}

func readListApprovals(in *request) spec.ListApprovalsRequestObject {
	return spec.ListApprovalsRequestObject{Params: spec.ListApprovalsParams{
		Status: oneOf[spec.ApprovalStatus](in, "status", approval.Statuses()),
		Limit:  in.limit(),
		Cursor: in.param("cursor"),
	}}
}

// ListApprovals implements the contract.
func (g approvals) ListApprovals(
	ctx context.Context, q spec.ListApprovalsRequestObject,
) (spec.ListApprovalsResponseObject, error) {
	w := g.cursors.walk(ctx, "approvals", q.Params.Status)
	at, err := w.from(q.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := g.svc.List(ctx, callerIn(ctx), approval.Query{
		Status: approval.Status(value(q.Params.Status)), Limit: *q.Params.Limit, After: at.After,
	})
	if err != nil {
		return nil, err
	}
	shown, err := g.views(ctx, page.Approvals...)
	if err != nil {
		return nil, err
	}
	return spec.ListApprovals200JSONResponse{Approvals: shown, NextCursor: w.to(position{After: page.Next})}, nil
}

func readGetApproval(in *request) spec.GetApprovalRequestObject {
	return spec.GetApprovalRequestObject{ID: in.approval()}
}

// GetApproval implements the contract.
func (g approvals) GetApproval(
	ctx context.Context, q spec.GetApprovalRequestObject,
) (spec.GetApprovalResponseObject, error) {
	a, err := g.svc.Get(ctx, callerIn(ctx), id.Approval(q.ID))
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	shown, err := g.views(ctx, a)
	if err != nil {
		return nil, err
	}
	return spec.GetApproval200JSONResponse(shown[0]), nil
}

// maxNote is the maximum number of characters in a note.
const maxNote = 2000

func readDecideApproval(in *request) spec.DecideApprovalRequestObject {
	q := spec.DecideApprovalRequestObject{ID: in.approval(), Body: &spec.DecisionInput{}}
	o := in.object()
	q.Body.Decision = input.NeedChoice(o, "decision", spec.DecisionApproved, spec.DecisionDenied)
	if q.Body.Note = o.OptionalText("note", 0, maxNote); q.Body.Note != nil {
		*q.Body.Note = render.Clean(*q.Body.Note) // later voters read it
	}
	return q
}

// DecideApproval implements the contract.
func (g approvals) DecideApproval(
	ctx context.Context, q spec.DecideApprovalRequestObject,
) (spec.DecideApprovalResponseObject, error) {
	a, err := g.svc.Decide(ctx, callerIn(ctx), id.Approval(q.ID), approval.Verdict{
		Approve: q.Body.Decision == spec.DecisionApproved, Note: value(q.Body.Note),
	})
	if err != nil {
		return nil, g.named(ctx, err, q.ID)
	}
	shown, err := g.views(ctx, a)
	if err != nil {
		return nil, err
	}
	return spec.DecideApproval200JSONResponse(shown[0]), nil
}

// views returns approvals as the caller sees them.
func (g approvals) views(ctx context.Context, all ...approval.Approval) ([]spec.Approval, error) {
	who, versions := callerIn(ctx), map[id.Agent]int{}
	for _, a := range all {
		versions[a.Agent] = max(versions[a.Agent], a.Version)
	}
	rules, err := g.svc.RulesFor(ctx, who, all...)
	if err != nil {
		return nil, err
	}
	names, err := g.names.Of(ctx, who.Org, versions)
	if err != nil {
		return nil, err
	}
	return each(all, func(a approval.Approval) spec.Approval { return g.view(ctx, a, rules, names[a.Agent]) }), nil
}

func (g approvals) view(ctx context.Context, a approval.Approval, r approval.Rules, agentName string) spec.Approval {
	view := spec.Approval{
		ID: string(a.ID), ExecutionID: string(a.Execution), AgentID: string(a.Agent), StepID: string(a.Step),
		AgentName: text(agentName), StepName: text(a.StepName),
		Message: a.Message, Status: spec.ApprovalStatus(a.Status),
		ExpiresAt: whole(a.Expires), CreatedAt: whole(a.Created),
		DecidedBy: text(a.DecidedBy), DecidedAt: when(a.DecidedAt), Note: text(a.Note),
		Votes: each(a.Votes, viewVote), Shows: g.viewShows(a, g.hider(callerIn(ctx), a.Agent)),
		Approvers: spec.Deciders{
			Roles: each(a.Deciders(), func(r caller.Role) spec.DecidersRoles { return spec.DecidersRoles(r) }),
			Users: each(a.Approvers.Users, func(u id.User) string { return string(u) }),
		},
		MinApprovals: max(a.Min, 1), ApprovalsGiven: a.Given(),
		Escalated: a.Escalated, CanDecide: true,
	}
	if err := a.Refusal(callerIn(ctx), r, g.Now()); err != nil {
		view.CanDecide, view.CannotDecideReason = false, text(fault.From(err).Message)
	}
	if a.Version > 0 {
		view.AgentVersion = &a.Version
	}
	if a.Renews != nil {
		view.Renews = text(a.Renews.Approval)
	}
	if a.OnExpiry != "" {
		e := spec.OnExpiry(a.OnExpiry)
		view.OnExpiry = &e
	}
	return view
}

func viewVote(v approval.Vote) spec.Vote {
	view := spec.Vote{UserID: string(v.User), Decision: spec.DecisionDenied, Note: text(v.Note), At: whole(v.At)}
	if v.Approve {
		view.Decision = spec.DecisionApproved
	}
	return view
}
