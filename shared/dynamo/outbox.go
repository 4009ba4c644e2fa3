package dynamo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/outbox"
)

// An outboxItem is a platform event. It is in the index open until it is
// published.
type outboxItem struct {
	primary
	part

	Doc     string `dynamodbav:"doc"` // JSON
	Shard   string `dynamodbav:"open_shard,omitempty"`
	Due     string `dynamodbav:"due,omitempty"`
	Expires int64  `dynamodbav:"expires"`
}

// keptEvents is how long a published event is kept for inspection: as long as
// the archive of the bus.
const keptEvents = 30 * 24 * time.Hour

// outboxWrites returns the writes that put events into the outbox. The ids of
// the events are derived from the change that is written in the same
// transaction, which happens once.
func outboxWrites(events []event.Event) []write {
	ws := make([]write, 0, len(events))
	for _, e := range events {
		doc, err := toJSON(e)
		w := put(outboxItem{
			primary: outboxKey(e.Org, e.ID), part: partOf(e.Org, outboxKey(e.Org, e.ID)), Doc: doc,
			Shard: outboxShardOf(e.ID), Due: e.Published.Add(outbox.Grace).UTC().Format(dueFormat),
			Expires: e.Published.Add(keptEvents).Unix(),
		}, "", nil)
		w.err = errors.Join(w.err, err)
		ws = append(ws, w)
	}
	return ws
}

// Unpublished implements outbox.Store.
func (s *Store) Unpublished(ctx context.Context, now time.Time, limit int) ([]event.Event, error) {
	index := schema.Open()
	var due []item
	for n := range shards {
		items, _, err := s.page(ctx, query{
			index: &index, partition: outboxShard(n), from: first, limit: limit,
			to: now.UTC().Add(-time.Nanosecond).Format(dueFormat),
		})
		if err != nil {
			return nil, err
		}
		due = append(due, items...)
	}
	slices.SortFunc(due, func(a, b item) int { return cmp.Compare(textOf(a, "due"), textOf(b, "due")) })
	due = due[:min(len(due), limit)]
	found, err := s.getAll(ctx, keysOf(due), true)
	if err != nil {
		return nil, err
	}
	var left []event.Event
	for _, d := range due {
		var i outboxItem
		if err := attributevalue.UnmarshalMap(found[keyText(d)], &i); err != nil {
			return nil, fmt.Errorf("read an event of the outbox: %w", err)
		}
		if i.Due == "" {
			continue // already published; the index was a moment behind
		}
		var e event.Event
		if err := json.Unmarshal([]byte(i.Doc), &e); err != nil {
			return nil, fmt.Errorf("read an event of the outbox: %w", err)
		}
		left = append(left, e)
	}
	return left, nil
}

// Published implements outbox.Store.
func (s *Store) Published(ctx context.Context, o id.Org, e id.Event) error {
	err := s.write(ctx, write{
		op: opUpdate, key: outboxKey(o, e), remove: []string{schema.Open().PartitionKey, schema.Open().SortKey},
		cond: "attribute_exists(pk)",
	})
	if refused(err) != nil {
		return nil //nolint:nilerr // it was published and has expired.
	}
	return err
}
