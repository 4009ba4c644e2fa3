// Package outbox reads the text messages and e-mails that the platform sent through
// the AWS emulator's SNS and SES, by MiniStack's own endpoints.
//
// The sender marks a message with its org and idempotency key: by the SNS message
// attributes org_id and idempotency_key, or by the SES headers X-Org-Id and
// Idempotency-Key or the e-mail tags org_id and idempotency_key.
package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/localstack/products/journal"
)

// ErrUnreachable says that the emulator did not return the sent messages.
var ErrUnreachable = errors.New("the emulator does not return the sent messages")

// Outbox lists sent messages. It is safe for concurrent use.
type Outbox struct {
	endpoint string
	client   *http.Client
	now      func() time.Time

	mu   sync.Mutex
	seen map[string]sighting // by message id, of messages that the emulator still has
}

// A sighting is the state of a message that the emulator does not store.
type sighting struct {
	first  time.Time
	hidden bool
}

// New returns the outbox of the emulator at endpoint. With an empty endpoint the
// outbox is always empty.
func New(endpoint string, client *http.Client, now func() time.Time) *Outbox {
	return &Outbox{endpoint: strings.TrimRight(endpoint, "/"), client: client, now: now, seen: map[string]sighting{}}
}

// A message is a call with its id in the emulator.
type message struct {
	id   string
	call journal.Call
}

// List returns the sent messages that were not forgotten.
func (o *Outbox) List(ctx context.Context) ([]journal.Call, error) {
	messages, err := o.fetch(ctx)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()

	o.meet(messages)
	calls := []journal.Call{}
	for _, m := range messages {
		s := o.seen[m.id]
		if s.hidden {
			continue
		}
		if m.call.At.IsZero() {
			m.call.At = s.first
		}
		calls = append(calls, m.call)
	}
	return calls, nil
}

// Forget hides the messages sent so far for which drop is true.
func (o *Outbox) Forget(ctx context.Context, drop func(journal.Call) bool) error {
	messages, err := o.fetch(ctx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()

	o.meet(messages)
	for _, m := range messages {
		if drop(m.call) {
			s := o.seen[m.id]
			s.hidden = true
			o.seen[m.id] = s
		}
	}
	return nil
}

// meet records new messages. It drops the messages that the emulator no longer has
// only when there are many, since a concurrent List may still use them.
func (o *Outbox) meet(messages []message) {
	if len(o.seen) > 2*len(messages)+1000 {
		kept := make(map[string]sighting, len(messages))
		for _, m := range messages {
			if s, known := o.seen[m.id]; known {
				kept[m.id] = s
			}
		}
		o.seen = kept
	}
	for _, m := range messages {
		if _, known := o.seen[m.id]; !known {
			o.seen[m.id] = sighting{first: o.now()}
		}
	}
}

func (o *Outbox) fetch(ctx context.Context) ([]message, error) {
	if o.endpoint == "" {
		return nil, nil
	}
	var texts struct {
		ByNumber map[string][]sms `json:"sms_messages"`
	}
	if err := o.get(ctx, "/_ministack/sns/sms-messages", &texts); err != nil {
		return nil, err
	}
	var mails struct {
		ByAccount map[string][]email `json:"messages"`
	}
	if err := o.get(ctx, "/_ministack/ses/messages", &mails); err != nil {
		return nil, err
	}
	var all []message
	for _, list := range texts.ByNumber {
		for _, s := range list {
			all = append(all, s.message())
		}
	}
	for _, list := range mails.ByAccount {
		for _, e := range list {
			all = append(all, e.message())
		}
	}
	return all, nil
}

// maxAnswer limits the size of the emulator's answer.
const maxAnswer = 64 << 20

func (o *Outbox) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.endpoint+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	answer, err := o.client.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: GET %s: status %d", ErrUnreachable, path, answer.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("%w: GET %s: %w", ErrUnreachable, path, err)
	}
	return nil
}

// An sms is a text message as MiniStack keeps it. Only the launcher's patch sets
// Timestamp.
type sms struct {
	PhoneNumber       string
	MessageID         string `json:"MessageId"`
	Message           string
	Timestamp         float64
	MessageAttributes map[string]struct{ StringValue string }
}

func (s sms) message() message {
	headers := make(map[string]string, len(s.MessageAttributes))
	for name, a := range s.MessageAttributes {
		headers[name] = a.StringValue
	}
	return message{s.MessageID, journal.Call{
		At: moment(s.Timestamp), Kind: "sms", Status: http.StatusOK, Headers: headers,
		Org: headers["org_id"], IdempotencyKey: headers["idempotency_key"],
		Body: body(map[string]any{"message_id": s.MessageID, "to": s.PhoneNumber, "message": s.Message}),
	}}
}

// An email is an e-mail as MiniStack keeps it. Only the launcher's patch sets
// Headers and EmailTags.
type email struct {
	MessageID string `json:"MessageId"`
	Source    string
	To        []string
	CC        []string
	BCC       []string
	Subject   string
	BodyText  string
	BodyHTML  string `json:"BodyHtml"`
	Timestamp float64
	Headers   []struct{ Name, Value string }
	EmailTags []struct{ Name, Value string }
}

func (e email) message() message {
	headers := map[string]string{}
	for _, t := range e.EmailTags {
		headers[t.Name] = t.Value
	}
	for _, h := range e.Headers {
		headers[http.CanonicalHeaderKey(h.Name)] = h.Value
	}
	return message{e.MessageID, journal.Call{
		At: moment(e.Timestamp), Kind: "email", Status: http.StatusOK, Headers: headers,
		Org:            cmp.Or(headers["X-Org-Id"], headers["org_id"]),
		IdempotencyKey: cmp.Or(headers["Idempotency-Key"], headers["idempotency_key"]),
		Body: body(map[string]any{
			"message_id": e.MessageID, "from": e.Source, "to": e.To, "cc": e.CC, "bcc": e.BCC,
			"subject": e.Subject, "text": e.BodyText, "html": e.BodyHTML,
		}),
	}}
}

func body(v map[string]any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}

// moment returns the time of a Unix time in seconds, or the zero time for 0.
func moment(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6)).UTC()
}
