package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/meter"
)

// taken is the attribute with the permits of a minute that were asked for: a
// block may reach beyond the limit, and only what is below it was granted.
const taken = "taken"

// forgotten is how long something is kept after it is of no use to anybody.
const forgotten = time.Hour

// Lease implements limit.Store. A repeat of what was applied finds its nonce,
// unless somebody else leased meanwhile; then its first block is lost, which
// makes the minute shorter but never longer.
func (s *Store) Lease(ctx context.Context, o id.Org, minute time.Time, block, most int) (granted, used int, err error) {
	nonce := s.nonce()
	w := write{
		op: opUpdate, key: rateKey(o, minute), add: map[string]int64{taken: int64(block)},
		set:  map[string]any{"expires": minute.Add(forgotten).Unix()},
		cond: "attribute_not_exists(pk) OR (taken < :most AND w <> :nonce)",
		args: map[string]any{":most": most, ":nonce": nonce},
	}
	x, err := w.expressed(nonce)
	if err := errors.Join(w.key.err, err); err != nil {
		return 0, 0, err
	}
	after, won, err := s.addTo(ctx, w, x, nonce)
	if err != nil {
		return 0, 0, fmt.Errorf("lease of %s: %w", o, err)
	}
	if won {
		granted = limit.Grant(after-block, block, most)
	}
	return granted, min(after, most), nil
}

// addTo applies the update of a count, and returns what it is afterwards and
// whether it was added to.
func (s *Store) addTo(ctx context.Context, w write, x expressions, nonce string) (after int, won bool, err error) {
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: w.key.item(), UpdateExpression: x.update, ConditionExpression: x.cond,
		ExpressionAttributeNames: x.names, ExpressionAttributeValues: x.values, ReturnValues: types.ReturnValueUpdatedNew,
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal, ReturnValuesOnConditionCheckFailure: allOld,
	})
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		count(ctx, meter.Units{Write: writeUnits(sizeOf(failed.Item))})
		after, err = numberOf(failed.Item, taken)
		return after, textOf(failed.Item, nonceAttribute) == nonce, err
	}
	if err != nil {
		return 0, false, err
	}
	if out.ConsumedCapacity != nil {
		count(ctx, meter.Units{Write: charged(*out.ConsumedCapacity)})
	}
	after, err = numberOf(out.Attributes, taken)
	return after, true, err
}

// numberOf returns a number of an item.
func numberOf(i item, name string) (int, error) {
	n, ok := i[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("dynamo: %s is not a number", name)
	}
	return strconv.Atoi(n.Value)
}
