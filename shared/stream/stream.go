// Package stream hands the changes of the table, which its stream delivers, to the
// services that follow them.
//
// The stream delivers every change of an item in the order of its writes, and the
// changes of an item at least once. Lambda reads each shard on its own, and repeats a
// batch until it succeeds or its records are a day old. A batch may be cut in two on the
// way. So each service accepts a change any number of times.
package stream

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/dynamo"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
)

// Tally adds contributions of runs to statistics, each once. It returns the numbers of
// those that failed.
type Tally interface {
	Add(ctx context.Context, all []execution.Contribution) (failed []int, err error)
}

// Contributions handles the batches of records with a contribution.
type Contributions struct {
	Tally  Tally
	Report func(ctx context.Context, err error) // logs a failure that is retried
}

// Handle adds the contributions of a batch. It answers with the first record that
// failed: Lambda delivers it and all after it again. The others are added before, so
// that a record which cannot be read delays no other of its batch.
func (h Contributions) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	var all []execution.Contribution
	var numbers []int // of the records
	failed := len(batch.Records)
	for n, r := range batch.Records {
		c, ok, err := dynamo.Contribution(itemOf(r.Change.OldImage), itemOf(r.Change.NewImage))
		if err != nil {
			h.Report(ctx, fmt.Errorf("record %s: %w", r.Change.SequenceNumber, err))
			failed = min(failed, n)
		}
		if !ok {
			continue
		}
		c.At = r.Change.ApproximateCreationDateTime.UTC()
		all, numbers = append(all, c), append(numbers, n)
	}
	left, err := h.Tally.Add(ctx, all)
	if err != nil {
		h.Report(ctx, err)
	}
	if len(left) > 0 {
		failed = min(failed, numbers[left[0]])
	}
	return failedFrom(batch, failed), nil
}

// Watchdog marks runs that are still open. It returns the numbers of those that failed.
type Watchdog interface {
	Look(ctx context.Context, runs []machine.Cursor) (failed []int, err error)
}

// NewRuns handles the batches of records of runs that were recorded or have ended.
type NewRuns struct {
	Watchdog Watchdog
	Report   func(ctx context.Context, err error) // logs a failure that is retried
}

// Handle looks at the new runs of a batch whose end is not in it, and answers as
// Contributions does.
func (h NewRuns) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	first := map[machine.Cursor]int{} // the numbers of the records of open runs
	for n, r := range batch.Records {
		c, open, ok := dynamo.Recorded(itemOf(r.Change.NewImage))
		switch _, known := first[c]; {
		case !ok:
		case !open:
			delete(first, c)
		case !known && r.EventName == string(events.DynamoDBOperationTypeInsert):
			first[c] = n
		}
	}
	runs := slices.SortedFunc(maps.Keys(first), func(a, b machine.Cursor) int { return cmp.Compare(first[a], first[b]) })
	left, err := h.Watchdog.Look(ctx, runs)
	if err != nil {
		h.Report(ctx, err)
	}
	failed := len(batch.Records)
	if len(left) > 0 {
		failed = first[runs[left[0]]]
	}
	return failedFrom(batch, failed), nil
}

// failedFrom answers that the records from one on are to be delivered again.
func failedFrom(batch events.DynamoDBEvent, n int) events.DynamoDBEventResponse {
	answer := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	if n < len(batch.Records) {
		answer.BatchItemFailures = append(answer.BatchItemFailures, events.DynamoDBBatchItemFailure{
			ItemIdentifier: batch.Records[n].Change.SequenceNumber,
		})
	}
	return answer
}

// itemOf returns an image with the types of attributes that records of runs have.
func itemOf(image map[string]events.DynamoDBAttributeValue) map[string]types.AttributeValue {
	item := make(map[string]types.AttributeValue, len(image))
	for name, v := range image {
		switch v.DataType() { //nolint:exhaustive // records of runs have no others.
		case events.DataTypeString:
			item[name] = &types.AttributeValueMemberS{Value: v.String()}
		case events.DataTypeNumber:
			item[name] = &types.AttributeValueMemberN{Value: v.Number()}
		case events.DataTypeBoolean:
			item[name] = &types.AttributeValueMemberBOOL{Value: v.Boolean()}
		case events.DataTypeList:
			item[name] = listOf(v.List())
		default:
		}
	}
	return item
}

func listOf(values []events.DynamoDBAttributeValue) types.AttributeValue {
	list := &types.AttributeValueMemberL{}
	for _, v := range values {
		if v.DataType() == events.DataTypeString {
			list.Value = append(list.Value, &types.AttributeValueMemberS{Value: v.String()})
		}
	}
	return list
}
