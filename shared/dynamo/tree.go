package dynamo

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/quota"
)

// A treeItem has the marks of the runs below a root event.
type treeItem struct {
	primary
	part

	Marks   []byte `dynamodbav:"marks"`
	Expires int64  `dynamodbav:"expires"`
}

// Tree implements quota.TreeStore.
func (s *Store) Tree(ctx context.Context, o id.Org, root id.Event) (quota.Tree, error) {
	var i treeItem
	_, err := s.get(ctx, treeKey(o, root), &i)
	return quota.Tree{Marks: string(i.Marks)}, err
}

// SaveTree implements quota.TreeStore.
func (s *Store) SaveTree(ctx context.Context, o id.Org, root id.Event, before, after quota.Tree, now time.Time) error {
	cond, args := "attribute_not_exists(pk)", map[string]any(nil)
	if before.Len() > 0 {
		cond, args = "marks = :before", map[string]any{":before": []byte(before.Marks)}
	}
	err := s.write(ctx, put(treeItem{
		primary: treeKey(o, root), part: partOf(o, treeKey(o, root)), Marks: []byte(after.Marks), Expires: now.Add(quota.TreeKept).Unix(),
	}, cond, args))
	if refused(err) != nil {
		return quota.ErrStale
	}
	return err
}
