package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/meter"
)

// An op is the operation of a write.
type op int

const (
	opPut op = iota
	opUpdate
	opDelete
	opCheck
)

// A write is one change of one item, alone or as a part of a transaction.
type write struct {
	op     op
	key    primary
	item   item           // of a put
	set    map[string]any // of an update
	add    map[string]int64
	union  map[string][]string // members to add to sets of an update
	remove []string
	cond   string         // "" for none; it names no reserved attributes
	args   map[string]any // the values in cond
	shared bool           // the update leaves the item's nonce to other writes
	err    error
}

// nonceAttribute holds the nonce of the last write. When a reply is lost, the
// SDK repeats a call that was applied. A write whose condition fails and that
// finds its own nonce in the item knows that it was applied.
const nonceAttribute = "w"

// A keyed is an item with a key, which may be invalid.
type keyed interface{ errOf() error }

// put returns a write of a whole item.
func put(i keyed, cond string, args map[string]any) write {
	m, err := attributevalue.MarshalMap(i)
	return write{op: opPut, item: m, cond: cond, args: args, err: errors.Join(i.errOf(), err)}
}

// revised returns the condition that an item has this revision, or for revision
// 0 that it does not exist.
func revised(rev int64) (cond string, args map[string]any) {
	if rev == 0 {
		return "attribute_not_exists(pk)", nil
	}
	return "rev = :rev", map[string]any{":rev": rev}
}

// A refusal names the conditions of a write that did not hold.
type refusal struct {
	parts map[int]item // the items that failed their condition; nil for a missing item
}

func (r *refusal) Error() string { return "dynamo: a condition does not hold" }

// refused returns the refusal in err, or nil.
func refused(err error) *refusal {
	r, _ := errors.AsType[*refusal](err)
	return r
}

// at reports whether a part's condition failed, and returns the item at its
// key.
func (r *refusal) at(part int) (item, bool) {
	i, ok := r.parts[part]
	return i, ok
}

// write applies all writes or none. It returns a refusal when a condition does
// not hold, and retries conflicts with other writes.
func (s *Store) write(ctx context.Context, ws ...write) error {
	nonce := s.nonce()
	for _, w := range ws {
		if err := errors.Join(w.err, w.key.err); err != nil {
			return err
		}
	}
	for try := range tries {
		err := s.once(ctx, ws, nonce)
		if !busy(err) {
			return ownWrite(err, nonce)
		}
		if err := s.pause(ctx, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("write %d items: %w", len(ws), errBusy)
}

// ownWrite returns nil when an earlier try of the same write caused the
// refusal.
func ownWrite(err error, nonce string) error {
	if r := refused(err); r != nil {
		for _, i := range r.parts {
			if textOf(i, nonceAttribute) == nonce {
				return nil
			}
		}
	}
	return err
}

func (s *Store) once(ctx context.Context, ws []write, nonce string) error {
	// A deleted item cannot keep the nonce for a repeat; the SDK may repeat a
	// transaction safely.
	if len(ws) > 1 || ws[0].op == opDelete {
		return s.transact(ctx, ws, nonce)
	}
	var consumed *types.ConsumedCapacity
	var err error
	switch x, bad := ws[0].expressed(nonce); {
	case bad != nil:
		return bad
	case ws[0].op == opPut:
		consumed, err = s.putItem(ctx, ws[0], x)
	case ws[0].op == opUpdate:
		consumed, err = s.updateItem(ctx, ws[0], x)
	default:
		return fmt.Errorf("dynamo: operation %d is only for transactions", ws[0].op)
	}
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		count(ctx, meter.Units{Write: writeUnits(sizeOf(failed.Item))})
		return &refusal{parts: map[int]item{0: failed.Item}}
	}
	if err == nil && consumed != nil {
		count(ctx, meter.Units{Write: charged(*consumed)})
	}
	return err
}

func (s *Store) putItem(ctx context.Context, w write, x expressions) (*types.ConsumedCapacity, error) {
	out, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: x.item, ConditionExpression: x.cond,
		ExpressionAttributeValues: x.values, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		ReturnValuesOnConditionCheckFailure: allOld,
	})
	if err != nil {
		return nil, fmt.Errorf("put %s: %w", textOf(w.item, "pk"), err)
	}
	return out.ConsumedCapacity, nil
}

func (s *Store) updateItem(ctx context.Context, w write, x expressions) (*types.ConsumedCapacity, error) {
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: w.key.item(), UpdateExpression: x.update, ConditionExpression: x.cond,
		ExpressionAttributeNames: x.names, ExpressionAttributeValues: x.values,
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal, ReturnValuesOnConditionCheckFailure: allOld,
	})
	if err != nil {
		return nil, fmt.Errorf("update %s: %w", w.key.PK, err)
	}
	return out.ConsumedCapacity, nil
}

const allOld = types.ReturnValuesOnConditionCheckFailureAllOld

func (s *Store) transact(ctx context.Context, ws []write, nonce string) error {
	parts := make([]types.TransactWriteItem, 0, len(ws))
	for _, w := range ws {
		x, err := w.expressed(nonce)
		if err != nil {
			return err
		}
		parts = append(parts, w.part(s.table, x))
	}
	// The SDK gives all its repeats of a request one idempotency token, so that
	// a repeat of an applied transaction gets the answer of the first.
	out, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
		TransactItems: parts, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	if err == nil {
		count(ctx, meter.Units{Write: charged(out.ConsumedCapacity...)})
		return nil
	}
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return fmt.Errorf("write %d items together: %w", len(ws), err)
	}
	r := refusal{parts: map[int]item{}}
	used := meter.Units{}
	for i, reason := range cancelled.CancellationReasons {
		used.Write += 2 * writeUnits(sizeOf(reason.Item))
		if aws.ToString(reason.Code) == "ConditionalCheckFailed" {
			r.parts[i] = reason.Item
		}
	}
	count(ctx, used)
	if len(r.parts) > 0 {
		return &r
	}
	return fmt.Errorf("write %d items together: %w", len(ws), err)
}

// part returns the write as a part of a transaction.
func (w write) part(table string, x expressions) types.TransactWriteItem {
	switch w.op {
	case opPut:
		return types.TransactWriteItem{Put: &types.Put{
			TableName: &table, Item: x.item, ConditionExpression: x.cond,
			ExpressionAttributeValues: x.values, ReturnValuesOnConditionCheckFailure: allOld,
		}}
	case opUpdate:
		return types.TransactWriteItem{Update: &types.Update{
			TableName: &table, Key: w.key.item(), UpdateExpression: x.update, ConditionExpression: x.cond,
			ExpressionAttributeNames: x.names, ExpressionAttributeValues: x.values,
			ReturnValuesOnConditionCheckFailure: allOld,
		}}
	case opDelete:
		return types.TransactWriteItem{Delete: &types.Delete{
			TableName: &table, Key: w.key.item(), ConditionExpression: x.cond,
			ExpressionAttributeValues: x.values, ReturnValuesOnConditionCheckFailure: allOld,
		}}
	case opCheck:
		return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &table, Key: w.key.item(), ConditionExpression: x.cond,
			ExpressionAttributeValues: x.values, ReturnValuesOnConditionCheckFailure: allOld,
		}}
	}
	return types.TransactWriteItem{}
}

// expressions are a write in DynamoDB's expression language.
type expressions struct {
	item   item
	update *string
	cond   *string
	names  map[string]string
	values item
}

func (w write) expressed(nonce string) (expressions, error) {
	x := expressions{values: item{}}
	if w.cond != "" {
		x.cond = &w.cond
	}
	for name, v := range w.args {
		if err := x.value(name, v); err != nil {
			return x, err
		}
	}
	switch w.op {
	case opPut:
		x.item = maps.Clone(w.item)
		x.item[nonceAttribute] = text(nonce)
	case opUpdate:
		if err := x.change(w, nonce); err != nil {
			return x, err
		}
	case opDelete, opCheck:
	}
	if len(x.values) == 0 {
		x.values = nil
	}
	return x, nil
}

func (x *expressions) value(name string, v any) error {
	if av, ok := v.(types.AttributeValue); ok {
		x.values[name] = av
		return nil
	}
	av, err := attributevalue.Marshal(v)
	x.values[name] = av
	return err
}

// change fills in an update expression. Every name has a placeholder, because
// it may be a reserved word.
func (x *expressions) change(w write, nonce string) error {
	set := maps.Clone(w.set)
	if !w.shared {
		if set == nil {
			set = map[string]any{}
		}
		set[nonceAttribute] = nonce
	}
	x.names = map[string]string{}
	var sets, adds, removes []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		n, v, err := x.placeholders(name, set[name])
		if err != nil {
			return err
		}
		sets = append(sets, n+" = "+v)
	}
	for _, name := range slices.Sorted(maps.Keys(w.add)) {
		n, v, err := x.placeholders(name, w.add[name])
		if err != nil {
			return err
		}
		adds = append(adds, n+" "+v)
	}
	for _, name := range slices.Sorted(maps.Keys(w.union)) {
		n, v, err := x.placeholders(name, &types.AttributeValueMemberSS{Value: w.union[name]})
		if err != nil {
			return err
		}
		adds = append(adds, n+" "+v)
	}
	for _, name := range w.remove {
		x.names["#"+name] = name
		removes = append(removes, "#"+name)
	}
	x.update = aws.String(clause("SET ", sets) + clause(" ADD ", adds) + clause(" REMOVE ", removes))
	return nil
}

// placeholders returns placeholders for a name and its new value.
func (x *expressions) placeholders(name string, v any) (n, value string, err error) {
	n, value = "#"+name, ":_"+name
	x.names[n] = name
	return n, value, x.value(value, v)
}

func clause(word string, parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return word + strings.Join(parts, ", ")
}

// busy reports whether a write met a conflict or a table without capacity, so
// that it was not applied and may be retried.
func busy(err error) bool {
	if _, ok := errors.AsType[*types.TransactionConflictException](err); ok {
		return true
	}
	if _, ok := errors.AsType[*types.TransactionInProgressException](err); ok {
		return true
	}
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	return ok && slices.ContainsFunc(cancelled.CancellationReasons, func(r types.CancellationReason) bool {
		switch aws.ToString(r.Code) {
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			return true
		}
		return false
	})
}
