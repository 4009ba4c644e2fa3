package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/explain"
	"theoneagents.app/agents/shared/id"
)

// Recorded implements explain.Records. It reads two keys for each agent, in batches. A
// refusal is found by the time of its event, where the first decision is also when its
// copy is listed at another time.
func (s *Store) Recorded(ctx context.Context, o id.Org, e event.Event, agents []id.Agent) (map[id.Agent]explain.Record, error) {
	keys := make([]item, 0, 2*len(agents))
	runs, refusals := make([]item, len(agents)), make([]item, len(agents))
	for i, a := range agents {
		refusal := activity.ID(o, a, e.ID, e.Published)
		made, _ := id.TimeOf(refusal)
		run, entry := metaKey(o, execution.ID(o, a, e)), refusalKey(o, a, refusal, made)
		if err := errors.Join(run.err, entry.err); err != nil {
			return nil, err
		}
		runs[i], refusals[i] = run.item(), entry.item()
		keys = append(keys, runs[i], refusals[i])
	}
	stored, err := s.getAll(ctx, keys, false)
	if err != nil {
		return nil, err
	}
	found := map[id.Agent]explain.Record{}
	for i, a := range agents {
		var r explain.Record
		if meta, ok := stored[keyText(runs[i])]; ok {
			x, err := runIn(o, meta)
			if err != nil {
				return nil, err
			}
			r.Run = &x
		}
		if row, ok := stored[keyText(refusals[i])]; ok {
			var refusal refusalItem
			if err := attributevalue.UnmarshalMap(row, &refusal); err != nil {
				return nil, fmt.Errorf("read the refusal of %s at %s: %w", e.ID, a, err)
			}
			entry, err := refusal.entry(o, a)
			if err != nil {
				return nil, err
			}
			r.Refusal = &entry
		}
		if r != (explain.Record{}) {
			found[a] = r
		}
	}
	return found, nil
}

// Exist implements explain.Records.
func (s *Store) Exist(ctx context.Context, o id.Org, runs []id.Execution) (map[id.Execution]bool, error) {
	keys := make([]item, len(runs))
	for i, x := range runs {
		key := metaKey(o, x)
		if key.err != nil {
			return nil, key.err
		}
		keys[i] = key.item()
	}
	stored, err := s.getAll(ctx, keys, false)
	if err != nil {
		return nil, err
	}
	there := map[id.Execution]bool{}
	for i, x := range runs {
		if _, ok := stored[keyText(keys[i])]; ok {
			there[x] = true
		}
	}
	return there, nil
}
