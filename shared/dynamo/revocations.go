package dynamo

import (
	"context"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

type revokedItem struct {
	primary

	Expires int64 `dynamodbav:"expires"`
}

// Revoke implements tenant.Store.
func (s *Store) Revoke(ctx context.Context, r tenant.Revocation) error {
	return s.write(ctx, put(revokedItem{
		primary: revokedKey(r.Org, r.JTI), Expires: r.Expires.Add(retention).Unix(),
	}, "", nil))
}

// Revoked implements tenant.Store.
func (s *Store) Revoked(ctx context.Context, o id.Org, jti string) (bool, error) {
	var i revokedItem
	return s.get(ctx, revokedKey(o, jti), &i)
}
