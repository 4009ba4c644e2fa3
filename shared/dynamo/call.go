package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/meter"
)

// An item is one stored item with its attributes.
type item = map[string]types.AttributeValue

// get reads the item of a key into out with a strong read, and reports whether
// the item exists.
func (s *Store) get(ctx context.Context, p primary, out any) (bool, error) {
	i, err := s.getItem(ctx, p)
	if err != nil || len(i) == 0 {
		return false, err
	}
	return true, attributevalue.UnmarshalMap(i, out)
}

// getItem reads the item of a key with a strong read; an empty one if there is none.
func (s *Store) getItem(ctx context.Context, p primary) (item, error) {
	if p.err != nil {
		return nil, p.err
	}
	got, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: p.item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", p.PK, p.SK, err)
	}
	count(ctx, meter.Units{Read: units(sizeOf(got.Item), true)})
	return got.Item, nil
}

func (p primary) item() item {
	return item{schema.PartitionKey: text(p.PK), schema.SortKey: text(p.SK)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// textOf returns a text attribute of an item.
func textOf(i item, name string) string {
	if s, ok := i[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// maxBatch is the number of keys that one BatchGetItem accepts.
const maxBatch = 100

// keyText returns the whole key of an item or of an index's entry.
func keyText(i item) string { return textOf(i, schema.PartitionKey) + "\n" + textOf(i, schema.SortKey) }

// getAll reads the items of many keys, by keyText; a key without an item yields
// none. Each item costs a unit for each 4 KB, half when strong is false.
func (s *Store) getAll(ctx context.Context, keys []item, strong bool) (map[string]item, error) {
	found := map[string]item{}
	for chunk := range slices.Chunk(keys, maxBatch) {
		if err := s.getChunk(ctx, chunk, strong, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (s *Store) getChunk(ctx context.Context, keys []item, strong bool, found map[string]item) error {
	for try := range tries {
		got, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: keys, ConsistentRead: &strong}},
		})
		if err != nil {
			return fmt.Errorf("get %d items: %w", len(keys), err)
		}
		rest := got.UnprocessedKeys[s.table].Keys
		read := units(0, strong) * float64(len(keys)-len(rest)-len(got.Responses[s.table]))
		for _, i := range got.Responses[s.table] {
			read += units(sizeOf(i), strong)
			found[keyText(i)] = i
		}
		count(ctx, meter.Units{Read: read})
		if len(rest) == 0 {
			return nil
		}
		keys = rest
		if err := s.pause(ctx, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("get %d items: %w", len(keys), errBusy)
}

// errBusy says that every try found the table without capacity or in conflict.
var errBusy = errors.New("dynamo: the table is too busy")

// A query selects items of one partition by their sort key.
type query struct {
	index     *schema.Index // nil: the table itself
	partition string
	err       error  // why the partition key is invalid
	from, to  string // bounds of the sort key, both included
	backwards bool
	strong    bool
	limit     int // 0: all
	start     item
	keys      bool // only what an erasure needs
}

func (q query) input(table string) *dynamodb.QueryInput {
	pk, sk := schema.PartitionKey, schema.SortKey
	in := &dynamodb.QueryInput{
		TableName: &table, ConsistentRead: &q.strong, ScanIndexForward: aws.Bool(!q.backwards),
		ExclusiveStartKey: q.start,
	}
	if q.index != nil {
		pk, sk, in.IndexName = q.index.PartitionKey, q.index.SortKey, &q.index.Name
	}
	if q.limit > 0 {
		in.Limit = aws.Int32(int32(min(q.limit, 100_000)))
	}
	in.KeyConditionExpression = aws.String("#pk = :pk AND #sk BETWEEN :from AND :to")
	in.ExpressionAttributeNames = map[string]string{"#pk": pk, "#sk": sk}
	if q.keys {
		projected := []string{"#pk", "#sk"}
		for _, name := range []string{"st", "dg", "ag", "cl", "object", "hash"} {
			projected = append(projected, "#"+name)
			in.ExpressionAttributeNames["#"+name] = name
		}
		in.ProjectionExpression = aws.String(strings.Join(projected, ", "))
	}
	in.ExpressionAttributeValues = item{":pk": text(q.partition), ":from": text(q.from), ":to": text(q.to)}
	return in
}

// begins returns the bounds of all sort keys that begin with a prefix.
func begins(prefix string) (from, to string) { return prefix, prefix + "\U0010ffff" }

// page reads one page of a query, and the start of the next; nil at the end.
func (s *Store) page(ctx context.Context, q query) (items []item, next item, err error) {
	switch {
	case q.err != nil:
		return nil, nil, q.err
	case q.from > q.to:
		return nil, nil, nil
	}
	got, err := s.db.Query(ctx, q.input(s.table))
	if err != nil {
		return nil, nil, fmt.Errorf("query %s: %w", q.partition, err)
	}
	size := 0
	for _, i := range got.Items {
		size += sizeOf(i)
	}
	count(ctx, meter.Units{Read: units(size, q.strong)})
	return got.Items, got.LastEvaluatedKey, nil
}

// all reads every item of a query.
func (s *Store) all(ctx context.Context, q query) ([]item, error) {
	var items []item
	for {
		page, next, err := s.page(ctx, q)
		if err != nil {
			return nil, err
		}
		items = append(items, page...)
		if next == nil {
			return items, nil
		}
		q.start = next
	}
}

// size counts the items of a query on an index up to a limit, without reading
// them. Each costs the bytes of its keys.
func (s *Store) size(ctx context.Context, q query, limit int) (int, error) {
	if q.err != nil || q.from > q.to {
		return 0, q.err
	}
	total := 0
	for {
		q.limit = limit - total
		in := q.input(s.table)
		in.Select = types.SelectCount
		got, err := s.db.Query(ctx, in)
		if err != nil {
			return 0, fmt.Errorf("count %s: %w", q.partition, err)
		}
		count(ctx, meter.Units{Read: units(int(got.ScannedCount)*entrySize(q), q.strong)})
		total += int(got.Count)
		q.start = got.LastEvaluatedKey
		if q.start == nil || total >= limit {
			return total, nil
		}
	}
}

// entrySize estimates the size of a run's entry in an index: the names and
// values of its keys.
func entrySize(q query) int {
	const exec, when = 31, 21
	names := len("pk") + len("sk") + len(q.index.PartitionKey) + len(q.index.SortKey)
	org, _, _ := strings.Cut(strings.TrimPrefix(q.partition, "ORG#"), "#")
	return names + len(q.partition) + len("ORG#") + len(org) + len("#EXEC#META") + 2*exec + when
}
