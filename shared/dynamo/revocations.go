package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/tenant"
)

type revokedItem struct {
	primary
	part

	Before  int64 `dynamodbav:"issued_before,omitempty"` // of a revocation by user, in nanoseconds
	Expires int64 `dynamodbav:"expires"`
}

// Revoke implements tenant.Store.
func (s *Store) Revoke(ctx context.Context, r tenant.Revocation) error {
	expires := r.Expires.Add(retention).Unix()
	if r.JTI != "" {
		return s.write(ctx, put(revokedItem{primary: revokedKey(r.Org, r.JTI), Expires: expires}, "", nil))
	}
	key := revokedUserKey(r.Org, r.User)
	i := revokedItem{primary: key, part: partOf(r.Org, key), Before: nanos(r.Before), Expires: expires}
	err := s.write(ctx, put(i, "attribute_not_exists(pk) OR issued_before < :before", map[string]any{":before": i.Before}))
	if refused(err) == nil {
		return err
	}
	return nil // a later revocation of the user is there
}

// Revoked implements tenant.Store.
func (s *Store) Revoked(ctx context.Context, session tenant.Session) (bool, error) {
	keys := revocationKeys(session)
	found, err := s.getKeys(ctx, keys)
	if err != nil {
		return false, err
	}
	return revokes(session, keys, found)
}

// Standing implements httpapi.Orgs.
func (s *Store) Standing(ctx context.Context, session tenant.Session) (t tenant.Tenant, revoked bool, err error) {
	own, keys := tenantKey(session.Org), revocationKeys(session)
	found, err := s.getKeys(ctx, append(keys, own))
	if err != nil {
		return tenant.Tenant{}, false, err
	}
	if revoked, err = revokes(session, keys, found); err != nil {
		return tenant.Tenant{}, false, err
	}
	t, err = tenantIn(session.Org, found[keyText(own.item())])
	return t, revoked, err
}

// getKeys reads the items of some keys in one call, by keyText.
func (s *Store) getKeys(ctx context.Context, keys []primary) (map[string]item, error) {
	items := make([]item, 0, len(keys))
	for _, key := range keys {
		if key.err != nil {
			return nil, key.err
		}
		items = append(items, key.item())
	}
	return s.getAll(ctx, items, true)
}

// revokes reports whether one of the items of these keys revokes a session.
func revokes(session tenant.Session, keys []primary, found map[string]item) (bool, error) {
	for _, key := range keys {
		raw, ok := found[keyText(key.item())]
		if !ok {
			continue
		}
		var i revokedItem
		if err := attributevalue.UnmarshalMap(raw, &i); err != nil {
			return false, err
		}
		if i.Before == 0 || session.Issued.Before(timeOf(i.Before)) {
			return true, nil
		}
	}
	return false, nil
}

// revocationKeys returns the keys of the revocations that may match a session.
// Their partitions differ.
func revocationKeys(session tenant.Session) []primary {
	keys := []primary{revokedUserKey(session.Org, session.User)}
	if session.JTI != "" {
		keys = append(keys, revokedKey(session.Org, session.JTI))
	}
	return keys
}
