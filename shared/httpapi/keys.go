package httpapi

import (
	"context"
	"net/http"
	"time"

	"theoneagents.app/agents/shared/caller"
	spec "theoneagents.app/agents/shared/httpapi/spec/keys"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/key"
)

// keys are the operations on integration keys and on the secret of webhooks.
type keys struct {
	Edge

	svc *key.Service
}

var _ spec.StrictServerInterface = keys{}

// Keys returns the handler of the endpoints of integration keys and of the
// secret of webhooks.
func Keys(svc *key.Service, edge Edge) http.Handler {
	return edge.mount(keys{edge, svc}.routes())
}

func readListKeys(*request) spec.ListKeysRequestObject { return spec.ListKeysRequestObject{} }

// ListKeys implements the contract.
func (g keys) ListKeys(ctx context.Context, _ spec.ListKeysRequestObject) (spec.ListKeysResponseObject, error) {
	all, err := g.svc.List(ctx, callerIn(ctx))
	if err != nil {
		return nil, err
	}
	return spec.ListKeys200JSONResponse{Keys: each(all, viewKey)}, nil
}

func readCreateKey(in *request) spec.CreateKeyRequestObject {
	o := in.object()
	return spec.CreateKeyRequestObject{Body: &spec.KeyInput{
		Name:   o.NeedText("name", key.MaxName),
		Access: input.NeedChoice(o, "access", spec.Read, spec.ReadWrite),

		ExpiresAt: futureTime(o, "expires_at"),
	}}
}

// futureTime reads an optional time of a body.
func futureTime(o input.Object, field string) *time.Time {
	v, ok := o.Get(field)
	if !ok {
		return nil
	}
	text, _ := v.(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		o.Fault(o.At(field), "must be a time like 2026-03-01T00:00:00Z")
		return nil
	}
	return &t
}

// CreateKey implements the contract.
func (g keys) CreateKey(ctx context.Context, q spec.CreateKeyRequestObject) (spec.CreateKeyResponseObject, error) {
	k, secret, err := g.svc.Create(ctx, callerIn(ctx), q.Body.Name, caller.Access(q.Body.Access), value(q.Body.ExpiresAt))
	if err != nil {
		return nil, err
	}
	v := viewKey(k)
	return spec.CreateKey201JSONResponse{
		ID: v.ID, Name: v.Name, Access: v.Access, Key: secret, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy,
		ExpiresAt: v.ExpiresAt,
	}, nil
}

func readDeleteKey(in *request) spec.DeleteKeyRequestObject {
	return spec.DeleteKeyRequestObject{ID: in.id("key_", key.ErrNotFound)}
}

// DeleteKey implements the contract.
func (g keys) DeleteKey(ctx context.Context, q spec.DeleteKeyRequestObject) (spec.DeleteKeyResponseObject, error) {
	if err := g.svc.Revoke(ctx, callerIn(ctx), id.Key(q.ID)); err != nil {
		return nil, named(err, key.ErrNotFound, "Key", q.ID, callerIn(ctx).Org)
	}
	return spec.DeleteKey204Response{}, nil
}

func readGetWebhookSecret(*request) spec.GetWebhookSecretRequestObject {
	return spec.GetWebhookSecretRequestObject{}
}

// GetWebhookSecret implements the contract.
func (g keys) GetWebhookSecret(ctx context.Context, _ spec.GetWebhookSecretRequestObject) (spec.GetWebhookSecretResponseObject, error) {
	secret, err := g.svc.WebhookSecret(ctx, callerIn(ctx))
	if err != nil {
		return nil, err
	}
	return spec.GetWebhookSecret200JSONResponse{Secret: secret}, nil
}

func readRotateWebhookSecret(*request) spec.RotateWebhookSecretRequestObject {
	return spec.RotateWebhookSecretRequestObject{}
}

// RotateWebhookSecret implements the contract.
func (g keys) RotateWebhookSecret(ctx context.Context, _ spec.RotateWebhookSecretRequestObject) (spec.RotateWebhookSecretResponseObject, error) {
	secret, until, err := g.svc.RotateWebhookSecret(ctx, callerIn(ctx))
	if err != nil {
		return nil, err
	}
	return spec.RotateWebhookSecret200JSONResponse{Secret: secret, PreviousValidUntil: whole(until)}, nil
}

func viewKey(k key.Key) spec.Key {
	v := spec.Key{
		ID: string(k.ID), Name: k.Name, Access: spec.KeyAccess(k.Access), CreatedAt: whole(k.Created), CreatedBy: text(k.By),
		ExpiresAt: when(k.Expires),
	}
	if !k.Used.IsZero() {
		v.LastUsedOn = text(k.Used.UTC().Format(time.DateOnly))
	}
	return v
}
