package httpapi

import (
	"context"
	"net/http"
	"strings"

	"theoneagents.app/agents/shared/audit"
	spec "theoneagents.app/agents/shared/httpapi/spec/audit"
	"theoneagents.app/agents/shared/id"
)

// auditLog are the operations on the audit log.
type auditLog struct {
	Edge

	cursors signer
	svc     *audit.Service
}

var _ spec.StrictServerInterface = auditLog{}

// Audit returns the handler of the endpoints of the audit log.
func Audit(svc *audit.Service, edge Edge) http.Handler {
	return edge.mount(auditLog{edge, edge.signer(), svc}.routes())
}

func readListAudit(in *request) spec.ListAuditRequestObject {
	return spec.ListAuditRequestObject{Params: spec.ListAuditParams{
		From:   in.time("from"),
		To:     in.time("to"),
		Actor:  in.actor("actor"),
		Kind:   oneOf[spec.AuditKind](in, "kind", audit.Kinds()),
		Object: in.oneRef("object", "agent_", "exec_", "appr_", "key_", "job_", "org_"),
		Limit:  in.limit(),
		Cursor: in.param("cursor"),
	}}
}

// actor returns a query parameter that must name a person or a key, or nil.
func (in *request) actor(name string) *string {
	s := in.param(name)
	if s == nil {
		return nil
	}
	user, person := strings.CutPrefix(*s, "user_")
	if program := id.Valid("key_", *s); !program && (!person || !id.ValidExternal(user)) {
		in.Fault(name, "must be the id of a person or a key, which begins with user_ or key_")
		return nil
	}
	return s
}

// oneRef returns a query parameter that must be an id with one of the
// prefixes, or nil.
func (in *request) oneRef(name string, prefixes ...string) *string {
	s := in.param(name)
	if s == nil {
		return nil
	}
	for _, prefix := range prefixes {
		if id.Valid(prefix, *s) {
			return s
		}
	}
	in.Fault(name, "must be an identifier that begins with one of %s", strings.Join(prefixes, ", "))
	return nil
}

// ListAudit implements the contract.
func (g auditLog) ListAudit(ctx context.Context, q spec.ListAuditRequestObject) (spec.ListAuditResponseObject, error) {
	p := q.Params
	w := g.cursors.walk(ctx, "audit", p.From, p.To, p.Actor, p.Kind, p.Object)
	at, err := w.from(p.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := g.svc.List(ctx, callerIn(ctx), audit.Query{
		From: value(p.From), To: value(p.To), Actor: id.Actor(value(p.Actor)), Kind: audit.Kind(value(p.Kind)),
		Object: value(p.Object), Limit: *p.Limit, After: at.After,
	})
	if err != nil {
		return nil, err
	}
	return spec.ListAudit200JSONResponse{
		Entries: each(page.Entries, viewAct), NextCursor: w.to(position{After: page.Next}),
	}, nil
}

func viewAct(e audit.Entry) spec.AuditEntry {
	return spec.AuditEntry{
		ID: string(e.ID), At: whole(e.At), Actor: string(e.Actor),
		Credential: spec.AuditCredential{Type: spec.AuditCredentialType(e.Credential.Kind), ID: text(e.Credential.ID)},
		Address:    text(e.Address), Kind: spec.AuditKind(e.Kind), Object: e.Object,
		From: text(e.From), To: text(e.To), Reason: text(e.Reason),
	}
}
