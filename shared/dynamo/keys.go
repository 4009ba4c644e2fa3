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
}

func (i keyItem) key() key.Key {
	return key.Key{
		ID: id.Key(i.ID), Org: id.Org(i.Org), Name: i.Name, Access: caller.Access(i.Access),
		Hash: key.Hash(i.Hash), Created: timeOf(i.Created), By: id.Actor(i.By),
	}
}

// CreateKey implements key.Store.
func (s *Store) CreateKey(ctx context.Context, k key.Key, acts ...audit.Entry) error {
	i := keyItem{
		ID: string(k.ID), Org: string(k.Org), Name: k.Name, Access: string(k.Access),
		Hash: string(k.Hash), Created: nanos(k.Created), By: string(k.By),
	}
	byOrg, byHash := i, i
	byOrg.primary, byHash.primary = keyKey(k.Org, k.ID), hashKey(k.Hash)
	return s.write(ctx, append(auditWrites(acts),
		put(byOrg, "attribute_not_exists(pk)", nil), put(byHash, "attribute_not_exists(pk)", nil))...)
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
	slices.SortFunc(keys, func(a, b key.Key) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return keys, nil
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
		write{op: opDelete, key: hashKey(key.Hash(i.Hash))})...)
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
