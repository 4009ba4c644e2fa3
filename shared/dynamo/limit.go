package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/limit"
	"theoneagents.app/agents/shared/meter"
)

// taken is the attribute that counts the leased permits of a minute. A block
// may reach beyond the limit; only the permits below the limit were granted.
const taken = "taken"

// retention is how long an item is kept after its last use.
const retention = time.Hour

// Lease implements limit.Store. A repeat of an applied call finds its nonce,
// unless another worker leased meanwhile. Then the first block is lost, which
// makes the limit of this minute smaller but never larger.
func (s *Store) Lease(ctx context.Context, p limit.Pot, minute time.Time, block int) (granted, used int, err error) {
	nonce := s.nonce()
	item, won, err := s.countBy(ctx, lease(p, minute, block, nonce), nonce, types.ReturnValueUpdatedNew)
	if err != nil {
		return 0, 0, fmt.Errorf("lease of %s: %w", p.Org, err)
	}
	after, err := numberOf(item, taken)
	if err != nil {
		return 0, 0, fmt.Errorf("lease of %s: %w", p.Org, err)
	}
	if won {
		granted = limit.Grant(after-block, block, p.Limit)
	}
	return granted, min(after, p.Limit), nil
}

// lease returns the update that counts a block. It names only
// schema.RateAttributes: functions that only read may write nothing else.
func lease(p limit.Pot, minute time.Time, block int, nonce string) write {
	return write{
		op: opUpdate, key: rateKey(p, minute), add: map[string]int64{taken: int64(block)},
		set:  map[string]any{"expires": minute.Add(retention).Unix()},
		cond: "attribute_not_exists(pk) OR (taken < :most AND w <> :nonce)",
		args: map[string]any{":most": p.Limit, ":nonce": nonce},
	}
}

// countBy applies an update that counts, and returns what back says of the item
// afterwards. When the condition refuses the update, it returns the whole item, and
// whether an earlier try of this call, with the same nonce, was applied.
func (s *Store) countBy(ctx context.Context, w write, nonce string, back types.ReturnValue) (after item, ok bool, err error) {
	x, err := w.expressed(nonce)
	if err := errors.Join(w.key.err, err); err != nil {
		return nil, false, err
	}
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: w.key.item(), UpdateExpression: x.update, ConditionExpression: x.cond,
		ExpressionAttributeNames: x.names, ExpressionAttributeValues: x.values, ReturnValues: back,
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal, ReturnValuesOnConditionCheckFailure: allOld,
	})
	if failed, refused := errors.AsType[*types.ConditionalCheckFailedException](err); refused {
		count(ctx, meter.Units{Write: writeUnits(sizeOf(failed.Item))})
		return failed.Item, textOf(failed.Item, nonceAttribute) == nonce, nil
	}
	if err != nil {
		return nil, false, err
	}
	if out.ConsumedCapacity != nil {
		count(ctx, meter.Units{Write: charged(*out.ConsumedCapacity)})
	}
	return out.Attributes, true, nil
}

// numberOf returns a number attribute of an item.
func numberOf(i item, name string) (int, error) {
	n, ok := i[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("dynamo: %s is not a number", name)
	}
	return strconv.Atoi(n.Value)
}
