package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/tenant"
)

const (
	work        = "arn:aws:sqs:eu-central-1:123456789012:one-agents-events"
	undelivered = "arn:aws:sqs:eu-central-1:123456789012:one-agents-undelivered"
)

// A room is a handler between a dispatcher and a dead-letter queue that record
// their calls.
type room struct {
	mu         sync.Mutex
	dispatched []id.Event
	letters    []queue.Letter
	reports    []error
	refused    []error
	dropped    []id.Event
	fails      map[id.Event]error
	closed     error // of the dead-letter queue
	postponed  map[string]time.Duration
	store      *memory.Store
}

// now is when the tests take place: a second after the messages were sent.
func now() time.Time { return time.UnixMilli(1773066182000) }

func (r *room) Postpone(_ context.Context, m events.SQSMessage, delay time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.postponed == nil {
		r.postponed = map[string]time.Duration{}
	}
	r.postponed[m.MessageId] = delay
	return nil
}

func (r *room) Dispatch(_ context.Context, e event.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dispatched = append(r.dispatched, e.ID)
	return r.fails[e.ID]
}

func (r *room) Send(_ context.Context, l queue.Letter) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed != nil {
		return r.closed
	}
	r.letters = append(r.letters, l)
	return nil
}

// handle handles a batch and returns the messages to deliver again.
func (r *room) handle(t *testing.T, messages ...events.SQSMessage) []string {
	t.Helper()
	if r.store == nil {
		r.store = memory.New()
	}
	h := queue.Handler{
		Dispatcher: r, Letters: r, Deliveries: r.store, Postponer: r, Now: now,
		Report: func(_ context.Context, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reports = append(r.reports, err)
		},
		Refused: func(_ context.Context, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.refused = append(r.refused, err)
		},
		Drop: func(_ context.Context, e event.Event, _ error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.dropped = append(r.dropped, e.ID)
		},
	}
	out, err := h.Handle(t.Context(), events.SQSEvent{Records: messages})
	if err != nil {
		t.Fatal(err)
	}
	failed := []string{}
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	slices.Sort(failed)
	if len(r.reports) != len(failed) || len(r.postponed) != len(failed) {
		t.Errorf("%d reports and %d postponements of %d failures", len(r.reports), len(r.postponed), len(failed))
	}
	return failed
}

// envelope returns a detail with changed fields; a nil field is left out.
func envelope(name string, change map[string]any) map[string]any {
	product, kind, _ := strings.Cut(name, ":")
	d := map[string]any{
		"id": "evt_1", "event_type": kind, "source_product": product, "org_id": "org_acme", "client_id": "cli_1",
		"payload": map[string]any{"ticket_id": "tkt_1"}, "published_at": "2026-03-09T14:23:01Z",
	}
	for k, v := range change {
		if d[k] = v; v == nil {
			delete(d, k)
		}
	}
	return d
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// message returns a rule's message about an event.
func message(t *testing.T, name string, detail any) events.SQSMessage {
	t.Helper()
	source, kind, _ := strings.Cut(name, ":")
	body := text(t, map[string]any{
		"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "account": "123456789012",
		"time": "2026-03-09T14:23:01Z", "region": "eu-central-1", "resources": []string{},
		"source": source, "detail-type": kind, "detail": detail,
	})
	return events.SQSMessage{
		MessageId: "msg_1", Body: body, EventSourceARN: work,
		Attributes: map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": "1773066181000"},
	}
}

const created = "psa:ticket.created"

// fixture reads a batch as Lambda receives it.
func fixture(t *testing.T, name string) events.SQSEvent {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var batch events.SQSEvent
	if err := json.Unmarshal(data, &batch); err != nil {
		t.Fatal(err)
	}
	return batch
}

func TestARawBatchIsDispatched(t *testing.T) {
	t.Parallel()
	r := &room{}
	if failed := r.handle(t, fixture(t, "batch.json").Records...); len(failed) != 0 {
		t.Errorf("failed: %v", failed)
	}
	slices.Sort(r.dispatched)
	if diff := cmp.Diff([]id.Event{"evt_01KK9VH6M0AAAAAAAAAAAAAAAA", "evt_01KK9VH6M0BBBBBBBBBBBBBBBB"}, r.dispatched); diff != "" {
		t.Errorf("dispatched (-want +got)\n%s", diff)
	}
	if len(r.letters) != 0 {
		t.Errorf("letters: %+v", r.letters)
	}
}

func TestAnEventThatCannotBeHandledBecomesADeadLetter(t *testing.T) {
	t.Parallel()

	big := strings.Repeat("x", event.MaxSize)
	for name, tc := range map[string]struct {
		message events.SQSMessage
		fails   error
		reason  string
		says    string
	}{
		"no id":                     {message: message(t, created, envelope(created, map[string]any{"id": nil})), reason: "malformed", says: "id must"},
		"an id of a wrong kind":     {message: message(t, created, envelope(created, map[string]any{"id": 7})), reason: "malformed"},
		"no organization":           {message: message(t, created, envelope(created, map[string]any{"org_id": nil})), reason: "malformed", says: "org_id must"},
		"the system's organization": {message: message(t, created, envelope(created, map[string]any{"org_id": "system"})), reason: "malformed"},
		"an organization with a #":  {message: message(t, created, envelope(created, map[string]any{"org_id": "org_a#AGENT"})), reason: "malformed"},
		"no payload":                {message: message(t, created, envelope(created, map[string]any{"payload": nil})), reason: "malformed", says: "payload must"},
		"a payload that is a list":  {message: message(t, created, envelope(created, map[string]any{"payload": []any{}})), reason: "malformed"},
		"no time":                   {message: message(t, created, envelope(created, map[string]any{"published_at": nil})), reason: "malformed"},
		"an invalid time":           {message: message(t, created, envelope(created, map[string]any{"published_at": "soon"})), reason: "malformed"},
		"a detail that is a text":   {message: message(t, created, "hello"), reason: "malformed"},
		"no detail":                 {message: message(t, created, nil), reason: "malformed"},
		"a client of a wrong kind":  {message: message(t, created, envelope(created, map[string]any{"client_id": 7})), reason: "malformed"},
		"metadata of a wrong kind":  {message: message(t, created, envelope(created, map[string]any{"metadata": "none"})), reason: "malformed"},
		"several faults at once":    {message: message(t, created, envelope(created, map[string]any{"id": nil, "payload": nil})), reason: "malformed", says: "payload must"},
		"another source":            {message: message(t, "rmm:ticket.created", envelope(created, nil)), reason: "envelope_mismatch", says: "rmm"},
		"another detail-type":       {message: message(t, "psa:ticket.resolved", envelope(created, nil)), reason: "envelope_mismatch"},
		"too large":                 {message: message(t, created, envelope(created, map[string]any{"payload": map[string]any{"d": big}})), reason: "too_large", says: "262144"},
		"an unknown organization":   {message: message(t, created, envelope(created, nil)), fails: dispatch.ErrUnknownOrg, reason: "unknown_org"},
		"a payload without a required field": {
			message: message(t, created, envelope(created, nil)), fails: fmt.Errorf("keep: %w", event.ErrMalformed.Sayf("The plan is missing.")),
			reason: "malformed", says: "plan",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &room{fails: map[id.Event]error{"evt_1": tc.fails}}
			if failed := r.handle(t, tc.message); len(failed) != 0 {
				t.Errorf("it is delivered again: %v", failed)
			}
			if len(r.letters) != 1 {
				t.Fatalf("%d letters", len(r.letters))
			}
			l := r.letters[0]
			if l.Reason != tc.reason || l.Message == "" || !strings.Contains(l.Message, tc.says) {
				t.Errorf("the letter says %s: %s", l.Reason, l.Message)
			}
			var bus struct{ Detail json.RawMessage }
			if err := json.Unmarshal([]byte(tc.message.Body), &bus); err != nil {
				t.Fatal(err)
			}
			if tc.reason != "too_large" && string(l.Event) != string(bus.Detail) {
				t.Errorf("the letter is about %s, not %s", l.Event, bus.Detail)
			}
			if (len(r.dispatched) > 0) != (tc.fails != nil) {
				t.Errorf("dispatched %v", r.dispatched)
			}
		})
	}
}

// moved returns the message of a letter that was moved back into the queue.
func moved(t *testing.T, l queue.Letter) events.SQSMessage {
	t.Helper()
	m := message(t, created, nil)
	m.Body = text(t, l)
	return m
}

// A letter that an operator moves back is handled like the message that it was. It
// gives nobody another name: an event of another product than its envelope says is
// refused again.
// A note has the event and the organization that the envelope names.
func TestADeadLetterIsNotedForTheOrganizationOfItsEnvelope(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message events.SQSMessage
		want    journal.Letter // without reason and message; zero for none
	}{
		"a malformed event":      {message(t, created, envelope(created, map[string]any{"payload": "none"})), journal.Letter{Event: "evt_1", Name: created}},
		"an event that crashes":  {message(t, created, envelope(created, map[string]any{"id": "evt_crash"})), journal.Letter{Event: "evt_crash", Name: created}},
		"a type that is none":    {message(t, created, envelope(created, map[string]any{"event_type": "Ticket Created"})), journal.Letter{Event: "evt_1"}},
		"without an id":          {message(t, created, envelope(created, map[string]any{"id": nil})), journal.Letter{}},
		"an id that is no key":   {message(t, created, envelope(created, map[string]any{"id": "evt_1#2"})), journal.Letter{}},
		"without organization":   {message(t, created, envelope(created, map[string]any{"org_id": nil})), journal.Letter{}},
		"a strange organization": {message(t, created, envelope(created, map[string]any{"org_id": "org#1"})), journal.Letter{}},
		"no object":              {message(t, created, "no object"), journal.Letter{}},
	} {
		notes := &noted{}
		r := &room{fails: map[id.Event]error{"evt_crash": queue.ErrFailed}}
		h := queue.Handler{
			Dispatcher: r, Letters: r, Notes: notes, Deliveries: memory.New(), Postponer: r, Now: now,
			Report: func(_ context.Context, err error) { t.Errorf("%s: %v", name, err) }, Refused: func(context.Context, error) {},
		}
		if _, err := h.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{c.message}}); err != nil {
			t.Fatal(err)
		}
		if len(r.letters) != 1 {
			t.Errorf("%s: %d letters", name, len(r.letters))
		}
		got := notes.last
		if c.want.Event != "" && (notes.org != "org_acme" || got.Reason != r.letters[0].Reason || got.Message == "" || !got.At.Equal(now())) {
			t.Errorf("%s: noted for %q: %+v", name, notes.org, got)
		}
		if got.Event != c.want.Event || got.Name != c.want.Name {
			t.Errorf("%s: noted %+v, want %+v", name, got, c.want)
		}
	}
}

// The letter is sent already, and a second one would help no one.
func TestANoteThatCannotBeKeptLeavesNoMessageInTheQueue(t *testing.T) {
	t.Parallel()
	reports := 0
	r := &room{}
	h := queue.Handler{
		Dispatcher: r, Letters: r, Notes: &noted{broken: errors.New("the table is busy")}, Deliveries: memory.New(), Postponer: r, Now: now,
		Report: func(context.Context, error) { reports++ }, Refused: func(context.Context, error) {},
	}
	out, err := h.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{message(t, created, envelope(created, map[string]any{"payload": nil}))}})
	if err != nil || len(out.BatchItemFailures) != 0 || len(r.letters) != 1 || reports != 1 {
		t.Errorf("%v, %d messages come again, %d letters, %d reports", err, len(out.BatchItemFailures), len(r.letters), reports)
	}
}

// noted keeps the last note.
type noted struct {
	org    id.Org
	last   journal.Letter
	broken error
}

func (n *noted) Note(_ context.Context, org id.Org, l journal.Letter) error {
	n.org, n.last = org, l
	return n.broken
}

func TestALetterThatIsMovedBackIsHandledLikeItsEvent(t *testing.T) {
	t.Parallel()

	raw := message(t, created, nil)
	raw.Body = "hello"
	for name, tc := range map[string]struct {
		message events.SQSMessage
		fails   error
		old     bool // a release before 0.2 wrote the letter
		want    string
	}{
		"the organization is known now":         {message: message(t, created, envelope(created, nil)), fails: dispatch.ErrUnknownOrg, want: "dispatched"},
		"the same, of an earlier release":       {message: message(t, created, envelope(created, nil)), fails: dispatch.ErrUnknownOrg, old: true, want: "dispatched"},
		"a malformed event":                     {message: message(t, created, envelope(created, map[string]any{"payload": nil})), want: "malformed"},
		"the same, of an earlier release still": {message: message(t, created, envelope(created, map[string]any{"payload": nil})), old: true, want: "malformed"},
		"another source":                        {message: message(t, "rmm:ticket.created", envelope(created, nil)), want: "envelope_mismatch"},
		"another source, of an earlier release": {message: message(t, "rmm:ticket.created", envelope(created, nil)), old: true, want: "envelope_mismatch"},
		"a too large event":                     {message: message(t, created, envelope(created, map[string]any{"payload": map[string]any{"d": strings.Repeat("x", event.MaxSize)}})), want: "too_large"},
		"no event":                              {message: raw, want: "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := &room{fails: map[id.Event]error{"evt_1": tc.fails}}
			before.handle(t, tc.message)
			letter := before.letters[0]
			if tc.old {
				letter.Source, letter.DetailType = "", ""
			}
			after := &room{}
			if failed := after.handle(t, moved(t, letter)); len(failed) != 0 {
				t.Errorf("it is delivered again: %v", failed)
			}
			if tc.want == "dispatched" {
				if len(after.dispatched) != 1 || len(after.letters) != 0 {
					t.Errorf("dispatched %v, letters %+v", after.dispatched, after.letters)
				}
				return
			}
			if len(after.dispatched) != 0 || len(after.letters) != 1 || after.letters[0].Reason != tc.want {
				t.Fatalf("dispatched %v, letters %+v, want %s", after.dispatched, after.letters, tc.want)
			}
			if diff := cmp.Diff(text(t, letter), text(t, after.letters[0])); diff != "" {
				t.Errorf("the letter changed (-before +after)\n%s", diff)
			}
		})
	}
}

func TestAnEventOfADeletedOrganizationIsDroppedWithoutALetter(t *testing.T) {
	t.Parallel()

	r := &room{fails: map[id.Event]error{"evt_1": fmt.Errorf("dispatch: %w", tenant.ErrUnknown.Because(tenant.ErrDeleted))}}
	if failed := r.handle(t, message(t, created, envelope(created, nil))); len(failed)+len(r.letters)+len(r.reports) != 0 {
		t.Errorf("delivered again %v, letters %v, reports %v", failed, r.letters, r.reports)
	}
	if len(r.dropped) != 1 {
		t.Errorf("dropped %v", r.dropped)
	}
}

func TestALetterAboutALargeEventHasItsWholeEnvelope(t *testing.T) {
	t.Parallel()

	large := map[string]any{"d": strings.Repeat("x", event.MaxSize)}
	identity := map[string]any{
		"id": "evt_1", "event_type": "ticket.created", "source_product": "psa", "org_id": "org_acme", "published_at": "2026-03-09T14:23:01Z",
	}
	client, metadata := strings.Repeat("é", 5000), map[string]any{"causation": map[string]any{"execution_id": "exec_1", "depth": int64(2)}}
	for name, tc := range map[string]struct{ change, want map[string]any }{
		"the payload is cut out": {
			map[string]any{"payload": large, "client_id": client, "metadata": metadata, "schema": int64(3)},
			map[string]any{"client_id": client, "metadata": metadata, "schema": int64(3)},
		},
		"a too large envelope keeps its identity": {
			map[string]any{"payload": map[string]any{}, "client_id": strings.Repeat("é", event.MaxSize), "metadata": metadata},
			map[string]any{"client_id": strings.Repeat("é", 100)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := &room{}
			r.handle(t, message(t, created, envelope(created, tc.change)))
			got, err := jsonvalue.Object(r.letters[0].Event)
			if err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(identity)
			maps.Copy(want, tc.want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("event (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnEventOfExactlyTheLargestSizePasses(t *testing.T) {
	t.Parallel()

	for _, more := range []int{0, 1} {
		d := envelope(created, map[string]any{"payload": map[string]any{"d": ""}})
		d["payload"] = map[string]any{"d": strings.Repeat("x", event.MaxSize+more-len(text(t, d)))}
		r := &room{}
		r.handle(t, message(t, created, d))
		if len(r.dispatched) != 1-more || len(r.letters) != more {
			t.Errorf("%d bytes too many: %d dispatched and %d letters", more, len(r.dispatched), len(r.letters))
		}
	}
}

func TestAMessageThatIsNoEventBecomesADeadLetter(t *testing.T) {
	t.Parallel()

	for name, body := range map[string]string{
		"no JSON": "hello", "nothing": "", "an array": "[]", "broken off": `{"source": "psa", "detail": {`,
		"very long and no JSON": strings.Repeat("<", 900_000), "not UTF-8": "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(t, created, nil)
			m.Body = body
			r := &room{}
			if failed := r.handle(t, m); len(failed) != 0 || len(r.letters) != 1 || r.letters[0].Reason != "malformed" {
				t.Fatalf("failed %v, letters %+v", failed, r.letters)
			}
			if !json.Valid(r.letters[0].Event) || len(r.letters[0].Event) > event.MaxSize {
				t.Errorf("the letter's event is no JSON or too long: %.100s", r.letters[0].Event)
			}
		})
	}
}

func TestAFailingEventIsRedeliveredForThreeDays(t *testing.T) {
	t.Parallel()

	for _, receives := range []int{1, 2, 3, 5, 6, 100, 999} {
		for age, last := range map[time.Duration]bool{
			time.Second: false, 10 * time.Minute: false, queue.MaxAge - time.Second: false, queue.MaxAge: true, 13 * 24 * time.Hour: true,
		} {
			r := &room{fails: map[id.Event]error{"evt_1": errors.New("down")}}
			m := message(t, created, envelope(created, nil))
			m.Attributes["ApproximateReceiveCount"] = strconv.Itoa(receives)
			m.Attributes["SentTimestamp"] = strconv.FormatInt(now().Add(-age).UnixMilli(), 10)
			failed := r.handle(t, m)
			if last != (len(failed) == 0) || last != (len(r.letters) == 1) {
				t.Errorf("received %d times, %v old: failed %v, letters %+v", receives, age, failed, r.letters)
			}
			if last && (r.letters[0].Reason != "failed" || text(t, envelope(created, nil)) != string(r.letters[0].Event)) {
				t.Errorf("the letter is %s about %s", r.letters[0].Reason, r.letters[0].Event)
			}
		}
	}
}

func TestTheDelayOfAFailingEventGrows(t *testing.T) {
	t.Parallel()

	for receives, want := range map[string]time.Duration{
		"1": 2 * time.Second, "2": 4 * time.Second, "5": 32 * time.Second, "8": 256 * time.Second,
		"9": 5 * time.Minute, "1000": 5 * time.Minute, "": 2 * time.Second, "-7": 2 * time.Second, "99999999999999999999": 2 * time.Second,
	} {
		r := &room{fails: map[id.Event]error{"evt_1": errors.New("down")}}
		m := message(t, created, envelope(created, nil))
		m.Attributes["ApproximateReceiveCount"] = receives
		r.handle(t, m)
		if got := r.postponed["msg_1"]; got != want {
			t.Errorf("received %q times: delivered again after %v, want %v", receives, got, want)
		}
	}
}

// A crasher is a dispatcher whose worker dies at an event.
type crasher struct {
	*room

	at id.Event
}

func (c crasher) Dispatch(ctx context.Context, e event.Event) error {
	if e.ID == c.at {
		panic("out of memory")
	}
	return c.room.Dispatch(ctx, e)
}

func TestAnEventThatCrashesItsWorkersBecomesADeadLetterAndTheOthersDoNot(t *testing.T) {
	t.Parallel()

	r, store := &room{fails: map[id.Event]error{}}, memory.New()
	var waiting []events.SQSMessage
	for _, name := range []string{"evt_a", "evt_b", "evt_c"} {
		m := message(t, created, envelope(created, map[string]any{"id": name}))
		m.MessageId = name
		waiting = append(waiting, m)
	}
	h := queue.Handler{
		Dispatcher: crasher{r, "evt_b"}, Letters: r, Deliveries: store, Postponer: r, Now: now,
		Report: func(_ context.Context, err error) { t.Error(err) }, Refused: func(context.Context, error) {},
	}
	crashes := 0
	for receives := 3; len(r.letters) == 0 && receives < 20; receives++ {
		for i := range waiting {
			waiting[i].Attributes["ApproximateReceiveCount"] = strconv.Itoa(receives)
		}
		func() {
			defer func() {
				if recover() != nil {
					crashes++
				}
			}()
			_, err := h.Handle(t.Context(), events.SQSEvent{Records: waiting})
			if err != nil {
				t.Error(err)
			}
		}()
	}
	if crashes != queue.MaxCrashes || len(r.letters) != 1 || !strings.Contains(string(r.letters[0].Event), "evt_b") {
		t.Errorf("after %d crashes there are the letters %+v", crashes, r.letters)
	}
	for _, name := range []id.Event{"evt_a", "evt_c"} {
		if !slices.Contains(r.dispatched, name) {
			t.Errorf("%s was not dispatched", name)
		}
	}
}

// A broken table refuses every write.
type broken struct{}

func (broken) BeginDelivery(context.Context, id.Org, string, time.Time) (int, error) {
	return 0, errors.New("access denied")
}

func (broken) EndDelivery(context.Context, id.Org, string) error { return errors.New("access denied") }

func TestAnOutageOfTheTableMakesNoDeadLetter(t *testing.T) {
	t.Parallel()

	r := &room{fails: map[id.Event]error{"evt_1": errors.New("access denied")}}
	h := queue.Handler{
		Dispatcher: r, Letters: r, Deliveries: broken{}, Postponer: r, Now: now, Report: func(context.Context, error) {}, Refused: func(context.Context, error) {},
	}
	m := message(t, created, envelope(created, nil))
	for receives := range 50 {
		m.Attributes["ApproximateReceiveCount"] = strconv.Itoa(receives + 1)
		out, err := h.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{m}})
		if err != nil || len(out.BatchItemFailures) != 1 || len(r.letters) != 0 {
			t.Fatalf("delivery %d: %v, %v, letters %+v", receives+1, out, err, r.letters)
		}
	}
}

func TestHandlingEndsBeforeTheWorkerIsStopped(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, began := &room{}, time.Now()
		h := queue.Handler{
			Dispatcher: slow{}, Letters: r, Deliveries: memory.New(), Postponer: r, Now: now, Report: func(context.Context, error) {}, Refused: func(context.Context, error) {},
		}
		var batch []events.SQSMessage
		for range 10 {
			m := message(t, created, envelope(created, nil))
			m.Attributes["ApproximateReceiveCount"] = "7"
			batch = append(batch, m)
		}
		out, err := h.Handle(ctx, events.SQSEvent{Records: batch})
		if took := time.Since(began); err != nil || took >= 10*time.Second || len(out.BatchItemFailures) != 10 || len(r.letters) != 0 {
			t.Errorf("after %v: %v, %v, letters %+v", took, out, err, r.letters)
		}
	})
}

// A slow dispatcher waits for a table that does not answer.
type slow struct{}

func (slow) Dispatch(ctx context.Context, _ event.Event) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAMessageWithoutAReceiveCountIsRedelivered(t *testing.T) {
	t.Parallel()
	r := &room{fails: map[id.Event]error{"evt_1": errors.New("down")}}
	m := message(t, created, envelope(created, nil))
	m.Attributes = nil
	if failed := r.handle(t, m); !slices.Equal(failed, []string{"msg_1"}) || len(r.letters) != 0 {
		t.Errorf("failed %v, letters %+v", failed, r.letters)
	}
}

func TestAnUndeliveredMessageIsHandledLikeAnyOther(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		detail any
		reason string
	}{
		"a whole event": {envelope(created, nil), ""},
		"a broken one":  {envelope(created, map[string]any{"id": nil}), "malformed"},
		"a large one":   {envelope(created, map[string]any{"payload": map[string]any{"d": strings.Repeat("x", event.MaxSize)}}), "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &room{}
			m := message(t, created, tc.detail)
			m.EventSourceARN = undelivered
			failed := r.handle(t, m)
			if len(failed) != 0 || (len(r.dispatched) == 1) != (tc.reason == "") || (len(r.letters) == 0) != (tc.reason == "") {
				t.Fatalf("failed %v, dispatched %v, letters %+v", failed, r.dispatched, r.letters)
			}
			if tc.reason != "" && r.letters[0].Reason != tc.reason {
				t.Errorf("the letter is %s", r.letters[0].Reason)
			}
		})
	}
}

// A hider is an SQS client that records how long messages are hidden.
type hider struct {
	in []*sqs.ChangeMessageVisibilityInput
}

func (h *hider) ChangeMessageVisibility(
	_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options),
) (*sqs.ChangeMessageVisibilityOutput, error) {
	h.in = append(h.in, in)
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func TestAMessageIsHiddenInTheQueueThatItComesFrom(t *testing.T) {
	t.Parallel()

	h := &hider{}
	v := queue.Visibility{API: h, URLs: []string{"https://sqs/1/one-agents-events", "https://sqs/1/one-agents-undelivered"}}
	for i, arn := range []string{work, undelivered} {
		m := events.SQSMessage{EventSourceARN: arn, ReceiptHandle: "handle"}
		if err := v.Postpone(t.Context(), m, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		if in := h.in[i]; *in.QueueUrl != v.URLs[i] || *in.ReceiptHandle != "handle" || in.VisibilityTimeout != 300 {
			t.Errorf("%s: %+v", arn, in)
		}
	}
	if err := v.Postpone(t.Context(), events.SQSMessage{EventSourceARN: work + "-2"}, time.Second); err == nil || len(h.in) != 2 {
		t.Errorf("a message of another queue: %v, %d calls", err, len(h.in))
	}
}

func TestOnlyFailedMessagesAreRedelivered(t *testing.T) {
	t.Parallel()
	r := &room{fails: map[id.Event]error{"evt_2": errors.New("down"), "evt_5": errors.New("down")}}
	var batch []events.SQSMessage
	for i := range 10 {
		m := message(t, created, envelope(created, map[string]any{"id": fmt.Sprintf("evt_%d", i)}))
		m.MessageId = fmt.Sprintf("msg_%d", i)
		batch = append(batch, m)
	}
	batch[7].Body = "no JSON"
	if diff := cmp.Diff([]string{"msg_2", "msg_5"}, r.handle(t, batch...)); diff != "" {
		t.Errorf("failed (-want +got)\n%s", diff)
	}
	if len(r.dispatched) != 9 || len(r.letters) != 1 {
		t.Errorf("%d dispatched, letters %+v", len(r.dispatched), r.letters)
	}
}

func TestAMessageStaysWhenItsLetterCannotBeSent(t *testing.T) {
	t.Parallel()

	good := message(t, created, envelope(created, map[string]any{"id": "evt_good"}))
	good.MessageId = "msg_good"
	last := message(t, created, envelope(created, nil))
	last.MessageId, last.Attributes["ApproximateReceiveCount"] = "msg_last", "5"
	broken := message(t, created, "hello")
	broken.MessageId = "msg_broken"
	lost := message(t, created, envelope(created, nil))
	lost.MessageId, lost.EventSourceARN = "msg_lost", undelivered
	r := &room{closed: errors.New("down"), fails: map[id.Event]error{"evt_1": errors.New("down")}}
	if diff := cmp.Diff([]string{"msg_broken", "msg_last", "msg_lost"}, r.handle(t, good, last, broken, lost)); diff != "" {
		t.Errorf("failed (-want +got)\n%s", diff)
	}
}

func TestTheEventThatAnnouncesAnOrganizationIsDispatchedFirst(t *testing.T) {
	t.Parallel()

	at := func(m events.SQSMessage, sent string) events.SQSMessage {
		m.Attributes["SentTimestamp"] = sent
		return m
	}
	of := func(name, e string) events.SQSMessage {
		return message(t, name, envelope(name, map[string]any{"id": e}))
	}
	for range 20 {
		r := &room{}
		r.handle(t,
			at(of(created, "evt_ticket"), "1773066181001"),
			at(of("hub:subscription.changed", "evt_plan"), "1773066181003"),
			at(moved(t, queue.Letter{
				Reason: "failed", Message: "no", Source: "hub", DetailType: "org.created",
				Event: json.RawMessage(text(t, envelope("hub:org.created", map[string]any{"id": "evt_org"}))),
			}), "1773066181002"),
			at(of("hub:client.created", "evt_client"), "1773066181000"),
		)
		if diff := cmp.Diff([]id.Event{"evt_org", "evt_plan"}, r.dispatched[:2]); diff != "" {
			t.Fatalf("order (-want +got)\n%s", diff)
		}
	}
}

func TestAnEmptyBatchIsNoFailure(t *testing.T) {
	t.Parallel()
	if failed := (&room{}).handle(t); len(failed) != 0 {
		t.Errorf("failed: %v", failed)
	}
}

// A box is a dead-letter queue.
type box struct {
	in  []*sqs.SendMessageInput
	err error
}

func (b *box) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	b.in = append(b.in, in)
	return &sqs.SendMessageOutput{}, b.err
}

func TestALetterIsJSON(t *testing.T) {
	t.Parallel()
	b := &box{}
	d := queue.DeadLetters{API: b, URL: "https://sqs/dead"}
	if err := d.Send(t.Context(), queue.Letter{Reason: "malformed", Message: "no", Event: json.RawMessage(`{"a":"<&>"}`)}); err != nil {
		t.Fatal(err)
	}
	if *b.in[0].QueueUrl != "https://sqs/dead" {
		t.Errorf("sent to %s", *b.in[0].QueueUrl)
	}
	if got, want := *b.in[0].MessageBody, `{"reason":"malformed","message":"no","event":{"a":"<&>"}}`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	b.err = errors.New("down")
	if err := d.Send(t.Context(), queue.Letter{Reason: "failed"}); !errors.Is(err, b.err) {
		t.Errorf("err = %v", err)
	}
}

func TestAReplayedEventIsHandledLikeAnyOther(t *testing.T) {
	t.Parallel()

	m := message(t, created, envelope(created, nil))
	m.Body = strings.Replace(m.Body, `{"`, `{"replay-name":"replay-1","`, 1)
	r := &room{}
	if failed := r.handle(t, m); len(failed) != 0 || len(r.letters) != 0 {
		t.Fatalf("%v are redelivered, letters %v", failed, r.letters)
	}
	if diff := cmp.Diff([]id.Event{"evt_1"}, r.dispatched); diff != "" {
		t.Errorf("dispatched (-want +got)\n%s", diff)
	}
}
