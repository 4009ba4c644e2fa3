// Package queue hands the events of the queue to dispatch, and sends events
// that cannot be handled to the dead-letter queue, with a reason.
//
// No message is dropped but those of an organization that the Hub has deleted, of
// which no letter may keep data: any other leaves the queue only after it was
// dispatched or a dead letter about it was sent. A dead letter is about a fault of the event: it
// cannot be read, belongs to no organization, or crashed MaxCrashes workers. A fault
// of the platform (no table, no permission, a bad release) keeps the message in the
// queue, with a growing delay, for MaxAge. A message that a rule could not deliver,
// or that no worker could be started for, arrives through the queue of undelivered
// messages and is handled in the same way.
package queue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/span"
	"theoneagents.app/agents/shared/tenant"
)

// ErrFailed is the reason of a dead letter about an event that failed at every
// try.
var ErrFailed = fault.New(fault.Internal, "failed", "The event could not be handled.")

const (
	// MaxAge is the age at which a message that still fails becomes a dead letter, so
	// that an operator sees it days before SQS deletes it.
	MaxAge = 3 * 24 * time.Hour
	// MaxCrashes is the number of workers that may crash while they handle a message.
	MaxCrashes = 5
	// suspicious is the number of the delivery from which on the crashes of a message's
	// workers are counted: a message that still fails then may be the cause.
	suspicious = 3
	// maxDelay limits the time until a failed message is delivered again.
	maxDelay = 5 * time.Minute
	// margin is left of the time limit when handling ends, so that a slow table is an
	// error and no crash.
	margin = time.Second
)

// A Letter is an entry of the dead-letter queue.
type Letter struct {
	Reason  string          `json:"reason"` // code of a fault
	Message string          `json:"message"`
	Event   json.RawMessage `json:"event"` // the envelope; cut when it was too large

	// Source and DetailType are what the bus said about the event. A message that is no
	// event of a bus has none.
	Source     string `json:"source,omitempty"`
	DetailType string `json:"detail_type,omitempty"`
}

// Letters accepts dead letters.
type Letters interface {
	Send(ctx context.Context, l Letter) error
}

// Notes tells an organization that an event of its own became a dead letter. A note that
// fails is missing: the letter has been sent.
type Notes interface {
	Note(ctx context.Context, org id.Org, l journal.Letter) error
}

// Dispatcher starts the runs of an event. Dispatching an event again is safe.
type Dispatcher interface {
	Dispatch(ctx context.Context, e event.Event) error
}

// Deliveries counts the deliveries of a message whose worker did not return.
type Deliveries interface {
	// BeginDelivery counts a delivery and returns the number of those before it that
	// did not end. The count may be forgotten at until.
	BeginDelivery(ctx context.Context, org id.Org, message string, until time.Time) (crashes int, err error)
	// EndDelivery forgets the deliveries of a message: its worker has returned.
	EndDelivery(ctx context.Context, org id.Org, message string) error
}

// Postponer decides when a failed message is delivered again. When a call fails, the
// queue delivers the message after its visibility timeout.
type Postponer interface {
	Postpone(ctx context.Context, m events.SQSMessage, delay time.Duration) error
}

// Handler handles batches of messages.
type Handler struct {
	Dispatcher Dispatcher
	Letters    Letters
	Notes      Notes // nil for none
	Deliveries Deliveries
	Postponer  Postponer
	Now        func() time.Time
	Report     func(ctx context.Context, err error)                // logs a failure that is retried
	Refused    func(ctx context.Context, err error)                // logs why an event became a dead letter
	Drop       func(ctx context.Context, e event.Event, why error) // logs why an event is dropped
}

// A message is a rule's message in the queue.
type message struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
}

// open reads a message: an event of a bus, or a dead letter that an operator moved
// back into the queue. Of a letter it returns the event, and the letter itself.
func open(body string) (message, *Letter, error) {
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return message{}, nil, err
	}
	var l Letter
	letter := m.Detail == nil && json.Unmarshal([]byte(body), &l) == nil && l.Reason != "" && l.Message != ""
	if letter {
		return l.message(), &l, nil
	}
	return m, nil, nil
}

// message returns the event of a letter as the bus delivered it. A letter of a
// release before 0.2 does not say what the bus said; its event says the same, unless
// that was its fault.
func (l Letter) message() message {
	m := message{Source: l.Source, DetailType: l.DetailType, Detail: l.Event}
	if m.Source != "" || l.Reason == event.ErrMalformed.Code || l.Reason == event.ErrMismatch.Code {
		return m
	}
	var said struct {
		Product string `json:"source_product"`
		Type    string `json:"event_type"`
	}
	if json.Unmarshal(l.Event, &said) == nil {
		m.Source, m.DetailType = said.Product, said.Type
	}
	return m
}

// Handle handles a batch and names the messages to redeliver.
func (h Handler) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	var (
		mu   sync.Mutex
		wave sync.WaitGroup
	)
	limited, cancel := early(ctx)
	defer cancel()
	// An empty list, not null: not every reader accepts null for an empty list.
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	handle := func(within context.Context, r events.SQSMessage) {
		own := correlation.With(within)
		if err := h.one(own, r); err != nil {
			if later := h.Postponer.Postpone(ctx, r, delay(r)); later != nil {
				err = fmt.Errorf("%w; postpone: %w", err, later)
			}
			h.Report(own, fmt.Errorf("message %s: %w", r.MessageId, err))
			mu.Lock()
			defer mu.Unlock()
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
	}
	first, rest, suspects := split(batch.Records)
	for _, r := range first {
		handle(limited, r)
	}
	together := dispatch.Together(limited)
	for _, r := range rest {
		wave.Go(func() { handle(together, r) })
	}
	wave.Wait()
	for _, r := range suspects {
		handle(limited, r)
	}
	return out, nil
}

// early returns a context that ends a margin before ctx does.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-margin))
}

// split divides a batch. Events that announce an organization go first: the
// organization's first event may be in the same batch. Suspects go last and one
// after another: when one crashes the worker, no other had begun.
func split(records []events.SQSMessage) (first, rest, suspects []events.SQSMessage) {
	for _, r := range records {
		m, _, err := open(r.Body)
		switch {
		case suspect(r):
			suspects = append(suspects, r)
		case err == nil && tenant.Projects(m.Source+":"+m.DetailType):
			first = append(first, r)
		default:
			rest = append(rest, r)
		}
	}
	slices.SortStableFunc(first, func(a, b events.SQSMessage) int {
		return cmp.Compare(a.Attributes["SentTimestamp"], b.Attributes["SentTimestamp"])
	})
	return first, rest, suspects
}

// one dispatches a message, or sends a dead letter about it. After an error the
// queue redelivers the message.
func (h Handler) one(ctx context.Context, r events.SQSMessage) error {
	m, l, err := open(r.Body)
	switch {
	case err != nil:
		quoted, unquoted := json.Marshal(r.Body)
		refusal := event.ErrMalformed.Sayf("The message is not an EventBridge event.").Because(err)
		return errors.Join(unquoted, h.refuse(ctx, r, refusal, message{Detail: quoted}))
	case l != nil && (l.Reason == event.ErrTooLarge.Code || m.Source == ""):
		// The letter has only the envelope, or does not say where the event came from.
		return h.send(ctx, *l)
	}
	e, err := event.Parse(m.Source, m.DetailType, m.Detail)
	if err == nil {
		err = h.traced(ctx, r, e)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tenant.ErrDeleted):
		h.Drop(ctx, e, err)
		return nil
	case hopeless(err):
		return h.refuse(ctx, r, fault.From(err), m)
	case h.Now().Sub(sent(r)) >= MaxAge:
		return h.refuse(ctx, r, ErrFailed.Sayf("The event failed for %v, at last: %v.", MaxAge, err), m)
	}
	return err
}

// traced dispatches an event in a span: in that of the event for its first delivery,
// and in one below it for each later one.
func (h Handler) traced(ctx context.Context, r events.SQSMessage, e event.Event) error {
	correlation.Set(ctx, func(f *correlation.Fields) { f.Org, f.Event, f.Trace = e.Org, e.ID, e.Trace().Trace.String() })
	ctx, dispatching := span.Begin(ctx, "dispatch", span.Consumer)
	defer dispatching.End()
	dispatching.Try(receives(r))
	dispatching.In(e.Trace(), e.Span().Span)
	dispatching.Text(span.Org, string(e.Org))
	dispatching.Text(span.Event, string(e.ID))
	dispatching.Text(span.EventType, e.Name())
	dispatching.Number(span.Tries, int64(receives(r)))
	err := h.deliver(ctx, r, e)
	if err != nil {
		dispatching.Fail(fault.From(err).Code)
	}
	return err
}

// deliver dispatches an event. Of a suspect it counts the deliveries that do not
// return: a worker that the platform could not start counts nothing.
func (h Handler) deliver(ctx context.Context, r events.SQSMessage, e event.Event) error {
	if receives(r) > 1 {
		ctx = dispatch.Again(ctx)
	}
	if !suspect(r) {
		return h.Dispatcher.Dispatch(ctx, e)
	}
	crashes, err := h.Deliveries.BeginDelivery(ctx, e.Org, r.MessageId, sent(r).Add(MaxAge))
	switch {
	case err != nil:
		return fmt.Errorf("begin the delivery: %w", err)
	case crashes >= MaxCrashes:
		return ErrFailed.Sayf("The event crashed %d workers.", MaxCrashes)
	}
	err = h.Dispatcher.Dispatch(ctx, e)
	if ended := h.Deliveries.EndDelivery(context.WithoutCancel(ctx), e.Org, r.MessageId); ended != nil {
		h.Report(ctx, fmt.Errorf("end the delivery of message %s: %w", r.MessageId, ended))
	}
	return err
}

// hopeless reports whether a retry cannot help.
func hopeless(err error) bool {
	return slices.ContainsFunc([]*fault.Error{
		event.ErrMalformed, event.ErrTooLarge, event.ErrMismatch, dispatch.ErrUnknownOrg, ErrFailed,
	}, func(f *fault.Error) bool { return errors.Is(err, f) })
}

func receives(r events.SQSMessage) int {
	n, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return n
}

func suspect(r events.SQSMessage) bool { return receives(r) >= suspicious }

// delay returns the time until a failed message should be delivered again: two
// seconds, and twice as long after each further failure.
func delay(r events.SQSMessage) time.Duration {
	n := max(receives(r), 1)
	if n > 8 { // 256 s
		return maxDelay
	}
	return time.Second << n
}

// sent returns when the queue took the message; a time far ahead if it does not say.
func sent(r events.SQSMessage) time.Time {
	ms, err := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return time.Unix(math.MaxInt32, 0)
	}
	return time.UnixMilli(ms)
}

// refuse sends a dead letter about a message, and logs its cause.
func (h Handler) refuse(ctx context.Context, r events.SQSMessage, f *fault.Error, m message) error {
	l := Letter{Reason: f.Code, Message: f.Message, Event: m.Detail, Source: m.Source, DetailType: m.DetailType}
	if len(m.Detail) > event.MaxSize {
		l.Event = envelope(m.Detail)
	}
	if err := h.send(ctx, l); err != nil {
		return err
	}
	h.Refused(ctx, fmt.Errorf("message %s: %w", r.MessageId, f))
	if err := h.note(ctx, l); err != nil {
		h.Report(ctx, fmt.Errorf("note the dead letter of message %s: %w", r.MessageId, err))
	}
	return nil
}

// note tells the organization that the envelope of a letter names, if it names one and an
// event.
func (h Handler) note(ctx context.Context, l Letter) error {
	whole, err := jsonvalue.Object(l.Event)
	if h.Notes == nil || err != nil {
		return nil //nolint:nilerr // an envelope that is no object names no organization.
	}
	of := func(field string) string {
		text, _ := whole[field].(string)
		return text
	}
	name := of("source_product") + ":" + of("event_type")
	if !event.ValidType(of("source_product")) || !event.ValidType(of("event_type")) {
		name = ""
	}
	if !id.ValidExternal(of("org_id")) || !id.Valid("evt_", of("id")) {
		return nil
	}
	return h.Notes.Note(ctx, id.Org(of("org_id")), journal.LetterOf(id.Event(of("id")), name, l.Reason, l.Message, h.Now()))
}

func (h Handler) send(ctx context.Context, l Letter) error {
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

// Hider is the used part of the SQS client.
type Hider interface {
	ChangeMessageVisibility(
		ctx context.Context, in *sqs.ChangeMessageVisibilityInput, opts ...func(*sqs.Options),
	) (*sqs.ChangeMessageVisibilityOutput, error)
}

// Visibility hides failed messages in the queues that they come from.
type Visibility struct {
	API  Hider
	URLs []string // of the queues
}

// Postpone implements Postponer.
func (v Visibility) Postpone(ctx context.Context, m events.SQSMessage, delay time.Duration) error {
	i := slices.IndexFunc(v.URLs, func(url string) bool { return strings.HasSuffix(m.EventSourceARN, ":"+path.Base(url)) })
	if i < 0 {
		return fmt.Errorf("no queue is known for %s", m.EventSourceARN)
	}
	seconds := int32(min(delay, maxDelay) / time.Second) //nolint:gosec // at most 300.
	_, err := v.API.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &v.URLs[i], ReceiptHandle: &m.ReceiptHandle, VisibilityTimeout: seconds,
	})
	return err
}
