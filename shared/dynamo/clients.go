package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A factItem is the fact that outweighs every other fact at its key.
type factItem struct {
	primary

	Name    string `dynamodbav:"name,omitempty"`
	Told    int64  `dynamodbav:"told"`
	Event   string `dynamodbav:"event,omitempty"`
	Score   string `dynamodbav:"score,omitempty"` // JSON
	Ended   bool   `dynamodbav:"ended,omitempty"`
	Weight  string `dynamodbav:"weight"`
	Expires int64  `dynamodbav:"expires,omitempty"`
}

// SaveFact implements client.Store. It is one conditional write, without a
// counter: a repeated or late fact loses against the stored one.
func (s *Store) SaveFact(ctx context.Context, o id.Org, c id.Client, f client.Fact) error {
	i := factItem{
		primary: factKey(o, c, f), Name: f.Name, Told: nanos(f.At), Event: string(f.Event), Ended: f.Ended, Weight: f.Weight(),
	}
	if t := f.Expires(); !t.IsZero() {
		i.Expires = t.Unix()
	}
	var bad error
	if f.Score != nil {
		i.Score, bad = toJSON(f.Score)
	}
	w := put(i, "attribute_not_exists(pk) OR weight < :weight", map[string]any{":weight": i.Weight})
	w.err = errors.Join(w.err, bad)
	key := notedClientKey(o, c)
	if err := s.note(ctx, key, put(notedItem{key}, "", nil)); err != nil {
		return err
	}
	if err := s.write(ctx, w); refused(err) == nil {
		return err
	}
	return nil
}

// A notedItem says that a client has facts, so that an erasure finds them.
type notedItem struct{ primary }

// Facts implements client.Store. The read is strong: the facts of an event are
// part of the profile against which that event is evaluated.
func (s *Store) Facts(ctx context.Context, o id.Org, c id.Client) ([]client.Fact, error) {
	pk, err := clientPartition(o, c)
	items, err := s.all(ctx, query{partition: pk, err: err, from: first, to: last, strong: true})
	if err != nil {
		return nil, err
	}
	facts := make([]client.Fact, 0, len(items))
	for _, i := range items {
		var row factItem
		if err := attributevalue.UnmarshalMap(i, &row); err != nil {
			return nil, err
		}
		f, err := row.fact()
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", row.SK, c, err)
		}
		facts = append(facts, f)
	}
	return facts, nil
}

func (i factItem) fact() (client.Fact, error) {
	f := client.Fact{Kind: kindOf(i.SK), Name: i.Name, At: timeOf(i.Told), Event: id.Event(i.Event), Ended: i.Ended}
	var err error
	if i.Score != "" {
		f.Score, err = jsonvalue.Decode([]byte(i.Score))
	}
	return f, err
}
