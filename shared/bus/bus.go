// Package bus puts events on the EventBridge bus.
//
// PutEvents reports success even when EventBridge refused the entry, so the
// result of the entry decides. Put may be repeated: an event keeps its id.
package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"theoneagents.app/agents/shared/event"
)

// API is the used part of the EventBridge client.
type API interface {
	PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, opts ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// EventBridge is a bus by its name.
type EventBridge struct {
	API  API
	Name string
}

// Put implements outbox.Bus.
func (b EventBridge) Put(ctx context.Context, e event.Event) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write %s: %w", e.ID, err)
	}
	out, err := b.API.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &b.Name, Source: &e.Product, DetailType: &e.Type, Detail: aws.String(string(detail)), Time: &e.Published,
	}}})
	switch {
	case err != nil:
		return fmt.Errorf("put events: %w", err)
	case out.FailedEntryCount == 0:
		return nil
	}
	var code, message string
	if len(out.Entries) > 0 {
		code, message = aws.ToString(out.Entries[0].ErrorCode), aws.ToString(out.Entries[0].ErrorMessage)
	}
	return fmt.Errorf("put events: EventBridge refused %s: %s: %s", e.ID, code, message)
}
