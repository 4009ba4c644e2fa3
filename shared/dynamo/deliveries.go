package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"theoneagents.app/agents/shared/id"
)

// BeginDelivery implements queue.Deliveries.
func (s *Store) BeginDelivery(ctx context.Context, o id.Org, message string, until time.Time) (crashes int, err error) {
	nonce := s.nonce()
	w := write{
		op: opUpdate, key: deliveryKey(o, message), add: map[string]int64{taken: 1},
		set:  map[string]any{"expires": until.Unix()},
		cond: "attribute_not_exists(pk) OR w <> :nonce", args: map[string]any{":nonce": nonce},
	}
	after, _, err := s.countBy(ctx, w, nonce, types.ReturnValueUpdatedNew)
	if err != nil {
		return 0, fmt.Errorf("delivery of %s: %w", message, err)
	}
	begun, err := numberOf(after, taken)
	return begun - 1, err
}

// EndDelivery implements queue.Deliveries.
func (s *Store) EndDelivery(ctx context.Context, o id.Org, message string) error {
	return s.write(ctx, write{op: opDelete, key: deliveryKey(o, message)})
}
