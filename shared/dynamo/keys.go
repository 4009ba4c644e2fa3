package dynamo

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/key"
)

// A keyItem is an integration key; it is stored twice, to be found by its hash
// and by its organization.
type keyItem struct {
	primary

	ID      string `dynamodbav:"id"`
	Org     string `dynamodbav:"org"`
	Name    string `dynamodbav:"name"`
	Access  string `dynamodbav:"access"`
	Hash    string `dynamodbav:"hash"`
	Created int64  `dynamodbav:"created"`
	By      string `dynamodbav:"by,omitempty"`
	Expires int64  `dynamodbav:"expires_at,omitempty"` // not the attribute expires: an expired key is listed

	// Used is kept in the item by the hash alone, which every use reads.
	Used int64 `dynamodbav:"last_used,omitempty"`
}

func (i keyItem) key() key.Key {
	return key.Key{
		ID: id.Key(i.ID), Org: id.Org(i.Org), Name: i.Name, Access: caller.Access(i.Access),
		Hash: key.Hash(i.Hash), Created: timeOf(i.Created), By: id.Actor(i.By),
		Expires: timeOf(i.Expires), Used: timeOf(i.Used),
	}
}

// CreateKey implements key.Store.
func (s *Store) CreateKey(ctx context.Context, k key.Key, acts ...audit.Entry) error {
	i := keyItem{
		ID: string(k.ID), Org: string(k.Org), Name: k.Name, Access: string(k.Access),
		Hash: string(k.Hash), Created: nanos(k.Created), By: string(k.By),
		Expires: nanos(k.Expires),
	}
	byOrg, byHash := i, i
	byOrg.primary, byHash.primary = keyKey(k.Org, k.ID), hashKey(k.Hash)
	count := write{op: opUpdate, key: countKey(k.Org), add: map[string]int64{"api_keys": 1}}
	count = count.below("api_keys", key.MaxKeys)
	err := s.write(ctx, append([]write{
		count,
		put(byOrg, "attribute_not_exists(pk)", nil), put(byHash, "attribute_not_exists(pk)", nil),
	}, auditWrites(acts)...)...)
	if r := refused(err); r != nil && len(r.parts) == 1 {
		if _, full := r.at(0); full {
			return key.ErrLimit
		}
	}
	return err
}

// Keys implements key.Store.
func (s *Store) Keys(ctx context.Context, o id.Org) ([]key.Key, error) {
	items, err := s.inOrg(ctx, o, "KEY#")
	if err != nil {
		return nil, err
	}
	keys := make([]key.Key, 0, len(items))
	for _, i := range items {
		var k keyItem
		if err := attributevalue.UnmarshalMap(i, &k); err != nil {
			return nil, err
		}
		keys = append(keys, k.key())
	}
	if err := s.addUses(ctx, keys); err != nil {
		return nil, err
	}
	slices.SortFunc(keys, func(a, b key.Key) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return keys, nil
}

// addUses reads the days of the last uses of keys.
func (s *Store) addUses(ctx context.Context, keys []key.Key) error {
	places := make([]item, len(keys))
	for n, k := range keys {
		places[n] = hashKey(k.Hash).item()
	}
	found, err := s.getAll(ctx, places, false)
	if err != nil {
		return err
	}
	for n := range keys {
		var i keyItem
		if err := attributevalue.UnmarshalMap(found[keyText(places[n])], &i); err != nil {
			return err
		}
		keys[n].Used = timeOf(i.Used)
	}
	return nil
}

// MarkUsed implements key.Store.
func (s *Store) MarkUsed(ctx context.Context, k key.Key) error {
	err := s.write(ctx, use(k))
	if refused(err) != nil {
		return nil //nolint:nilerr // a later use is stored, or the key is revoked.
	}
	return err
}

// use returns the update that stores the day of a key's last use. It names only
// schema.KeyUseAttributes: functions that only read may write nothing else.
func use(k key.Key) write {
	return write{
		op: opUpdate, key: hashKey(k.Hash), set: map[string]any{"last_used": nanos(k.Used)},
		cond: "attribute_exists(pk) AND (attribute_not_exists(last_used) OR last_used < :used)",
		args: map[string]any{":used": nanos(k.Used)},
	}
}

// RevokeKey implements key.Store.
func (s *Store) RevokeKey(ctx context.Context, o id.Org, k id.Key, acts ...audit.Entry) error {
	var i keyItem
	switch found, err := s.get(ctx, keyKey(o, k), &i); {
	case err != nil:
		return err
	case !found:
		return key.ErrNotFound
	}
	err := s.write(ctx, append(auditWrites(acts),
		write{op: opDelete, key: keyKey(o, k), cond: "attribute_exists(pk)"},
		write{op: opDelete, key: hashKey(key.Hash(i.Hash))},
		write{op: opUpdate, key: countKey(o), add: map[string]int64{"api_keys": -1}})...)
	if refused(err) != nil {
		return key.ErrNotFound
	}
	return err
}

// KeyByHash implements key.Store.
func (s *Store) KeyByHash(ctx context.Context, h key.Hash) (key.Key, error) {
	var i keyItem
	switch found, err := s.get(ctx, hashKey(h), &i); {
	case err != nil:
		return key.Key{}, err
	case !found:
		return key.Key{}, key.ErrNotFound
	}
	return i.key(), nil
}

// A rotationItem is the rotation of an organization's webhook secret. It holds no
// secret.
type rotationItem struct {
	primary

	Generation int          `dynamodbav:"generation"`
	Former     []formerItem `dynamodbav:"former,omitempty"`
}

type formerItem struct {
	Generation int   `dynamodbav:"generation"`
	Until      int64 `dynamodbav:"until"`
}

// Rotation implements key.Store.
func (s *Store) Rotation(ctx context.Context, o id.Org) (key.Rotation, error) {
	var i rotationItem
	if _, err := s.get(ctx, rotationKey(o), &i); err != nil {
		return key.Rotation{}, err
	}
	r := key.Rotation{Generation: i.Generation}
	for _, f := range i.Former {
		r.Former = append(r.Former, key.Former{Generation: f.Generation, Until: timeOf(f.Until)})
	}
	return r, nil
}

// SaveRotation implements key.Store.
func (s *Store) SaveRotation(ctx context.Context, o id.Org, before, after key.Rotation, acts ...audit.Entry) error {
	i := rotationItem{primary: rotationKey(o), Generation: after.Generation}
	for _, f := range after.Former {
		i.Former = append(i.Former, formerItem{f.Generation, nanos(f.Until)})
	}
	cond, args := "attribute_not_exists(pk)", map[string]any(nil)
	if before.Generation > 0 {
		cond, args = "generation = :before", map[string]any{":before": before.Generation}
	}
	err := s.write(ctx, append(auditWrites(acts), put(i, cond, args))...)
	if refused(err) != nil {
		return key.ErrRotated
	}
	return err
}
