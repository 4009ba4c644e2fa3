// Package queue hands the events of the queue to dispatch, and sends events
// that cannot be handled to the dead-letter queue, with a reason.
//
// No message is dropped: it leaves the queue only after it was dispatched or a
// dead letter about it was sent. The queue redelivers a failed message; the
// last failure becomes a dead letter. A message whose worker crashed at every
// delivery, or that a rule could not deliver, arrives through the queue of
// undelivered messages and becomes a dead letter too.
package queue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/tenant"
)

// ErrFailed is the reason of a dead letter about an event that failed at every
// try.
var ErrFailed = fault.New(fault.Internal, "failed", "The event could not be handled.")

// MaxReceives is the number of deliveries after which a failing event becomes a
// dead letter.
const MaxReceives = 5

// A Letter is an entry of the dead-letter queue.
type Letter struct {
	Reason  string          `json:"reason"` // code of a fault
	Message string          `json:"message"`
	Event   json.RawMessage `json:"event"` // the envelope; cut when it was too large
}

// Letters accepts dead letters.
type Letters interface {
	Send(ctx context.Context, l Letter) error
}

// Dispatcher starts the runs of an event. Dispatching an event again is safe.
type Dispatcher interface {
	Dispatch(ctx context.Context, e event.Event) error
}

// Handler handles batches of messages.
type Handler struct {
	Dispatcher  Dispatcher
	Letters     Letters
	Undelivered string // ARN of the queue whose messages become dead letters at once
	Report      func(ctx context.Context, err error)
}

// A message is a rule's message in the queue.
type message struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
}

// Handle handles a batch and names the messages to redeliver.
func (h Handler) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	var (
		mu   sync.Mutex
		wave sync.WaitGroup
	)
	// An empty list, not null: not every reader accepts null for an empty list.
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	handle := func(r events.SQSMessage) {
		if err := h.one(ctx, r); err != nil {
			h.Report(ctx, fmt.Errorf("message %s: %w", r.MessageId, err))
			mu.Lock()
			defer mu.Unlock()
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
	}
	// Events that announce an organization go first: the organization's first
	// event may be in the same batch.
	first, rest := split(batch.Records)
	for _, r := range first {
		handle(r)
	}
	for _, r := range rest {
		wave.Go(func() { handle(r) })
	}
	wave.Wait()
	return out, nil
}

func split(records []events.SQSMessage) (first, rest []events.SQSMessage) {
	for _, r := range records {
		var m message
		if json.Unmarshal([]byte(r.Body), &m) == nil && tenant.Projects(m.Source+":"+m.DetailType) {
			first = append(first, r)
		} else {
			rest = append(rest, r)
		}
	}
	slices.SortStableFunc(first, func(a, b events.SQSMessage) int {
		return cmp.Compare(a.Attributes["SentTimestamp"], b.Attributes["SentTimestamp"])
	})
	return first, rest
}

// one dispatches a message, or sends a dead letter about it. After an error the
// queue redelivers the message.
func (h Handler) one(ctx context.Context, r events.SQSMessage) error {
	var m message
	if err := json.Unmarshal([]byte(r.Body), &m); err != nil {
		quoted, _ := json.Marshal(r.Body) // a string always has JSON
		return h.refuse(ctx, event.ErrMalformed.Sayf("The message is not an EventBridge event."), quoted)
	}
	if r.EventSourceARN == h.Undelivered {
		return h.refuse(ctx, ErrFailed.Sayf("The event could not be delivered, or its worker crashed every time."), m.Detail)
	}
	e, err := event.Parse(m.Source, m.DetailType, m.Detail)
	if err == nil {
		err = h.Dispatcher.Dispatch(ctx, e)
	}
	switch {
	case err == nil:
		return nil
	case hopeless(err):
		return h.refuse(ctx, fault.From(err), m.Detail)
	case receives(r) >= MaxReceives:
		return h.refuse(ctx, ErrFailed.Sayf("The event failed %d times, at last: %v.", MaxReceives, err), m.Detail)
	}
	return err
}

// hopeless reports whether a retry cannot help.
func hopeless(err error) bool {
	return slices.ContainsFunc([]*fault.Error{
		event.ErrMalformed, event.ErrTooLarge, event.ErrMismatch, dispatch.ErrUnknownOrg,
	}, func(f *fault.Error) bool { return errors.Is(err, f) })
}

func receives(r events.SQSMessage) int {
	n, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return n
}

func (h Handler) refuse(ctx context.Context, f *fault.Error, detail json.RawMessage) error {
	l := Letter{Reason: f.Code, Message: f.Message, Event: detail}
	if len(detail) > event.MaxSize {
		l.Event = envelope(detail)
	}
	if err := h.Letters.Send(ctx, l); err != nil {
		return fmt.Errorf("send a letter (%s): %w", l.Reason, err)
	}
	return nil
}

// maxEnvelope is the largest size, in bytes, of an event in a dead letter after
// its payload is cut out.
const maxEnvelope = 64 << 10

// envelope returns an event without its payload. The other fields stay whole,
// unless they are too large: then only those that identify the event stay, each
// cut.
func envelope(detail json.RawMessage) json.RawMessage {
	whole, err := jsonvalue.Object(detail)
	if err != nil {
		const most = 200
		whole = map[string]any{"unreadable": strings.ToValidUTF8(string(detail[:most]), "")}
	}
	delete(whole, "payload")
	out := jsonvalue.Canonical(whole)
	if len(out) > maxEnvelope {
		out = jsonvalue.Canonical(identity(whole))
	}
	return json.RawMessage(out)
}

// identity returns the fields of an envelope that identify the event and its
// organization, each cut.
func identity(whole map[string]any) map[string]any {
	const most = 200
	cut := map[string]any{}
	for _, field := range []string{"id", "event_type", "source_product", "org_id", "client_id", "published_at"} {
		if s, ok := whole[field].(string); ok {
			cut[field] = strings.ToValidUTF8(s[:min(len(s), most)], "")
		}
	}
	return cut
}

// Sender is the used part of the SQS client.
type Sender interface {
	SendMessage(ctx context.Context, in *sqs.SendMessageInput, opts ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// DeadLetters is the dead-letter queue.
type DeadLetters struct {
	API Sender
	URL string
}

// Send implements Letters. It does not escape for HTML: an event full of tags
// would grow beyond the size limit of the queue.
func (d DeadLetters) Send(ctx context.Context, l Letter) error {
	var body bytes.Buffer
	out := json.NewEncoder(&body)
	out.SetEscapeHTML(false)
	if err := out.Encode(l); err != nil {
		return fmt.Errorf("letter: %w", err)
	}
	text := strings.TrimSpace(body.String())
	_, err := d.API.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &d.URL, MessageBody: &text})
	return err
}
