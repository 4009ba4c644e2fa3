package simulation_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/queue"
)

// An sqs is the queue of the bus: it delivers at least once, in any order, in
// batches, and redelivers messages that were not deleted. The bus puts a message that
// it could not deliver in the queue of undelivered ones.
type sqs struct {
	world *world

	mu       sync.Mutex
	messages []*message
	letters  []queue.Letter
	bell     chan struct{}
}

type message struct {
	name        string
	body        string
	receives    int
	sent        time.Time
	visible     time.Time
	undelivered bool
}

const (
	visibility   = time.Minute // six times the dispatcher's timeout
	dispatchTime = 10 * time.Second
	batchSize    = 10
	undelivered  = "arn:undelivered"
	undelivers   = 20 // one message in so many cannot be delivered
)

func newQueue(w *world) *sqs {
	q := &sqs{world: w, bell: make(chan struct{}, 1)}
	go q.poll()
	return q
}

// publish puts an event on the bus, which delivers it later. The auditor checks
// its result.
func (w *world) publish(e event.Event, letter string, after time.Duration) {
	w.witness.mu.Lock()
	w.witness.events = append(w.witness.events, published{e, letter})
	w.witness.mu.Unlock()
	w.queue.put(e, letter, after)
}

func (q *sqs) put(e event.Event, letter string, after time.Duration) {
	doc := e.Document()
	if metadata, ok := doc["metadata"].(map[string]any); ok && e.Traceparent() != "" {
		metadata["traceparent"] = e.Traceparent() // conditions do not see it
	}
	if letter == "malformed" {
		doc["payload"] = "no object"
	}
	body, err := json.Marshal(map[string]any{"source": e.Product, "detail-type": e.Type, "detail": doc})
	q.world.must(err)
	q.mu.Lock()
	name := q.world.name("m")
	q.messages = append(q.messages, &message{
		name: name, body: string(body), visible: time.Now().Add(after), sent: time.Now(), undelivered: id.Digest(name)[0]%undelivers == 0,
	})
	q.mu.Unlock()
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

func (q *sqs) poll() {
	for q.world.over.Err() == nil {
		batch, wait := q.receive()
		switch {
		case len(batch) > 0:
			go q.handle(batch)
		case wait < 0: // empty
			select {
			case <-q.bell:
			case <-q.world.over.Done():
			}
		default:
			_ = sleep(q.world.over, wait+latency) // it ends with the world
		}
	}
}

// receive returns a batch, or the time until a message is visible; negative
// when the queue is empty.
func (q *sqs) receive() (batch []message, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	wait = -1
	for _, m := range q.messages {
		if in := m.visible.Sub(now); in > 0 {
			if wait < 0 || in < wait {
				wait = in
			}
			continue
		}
		if len(batch) == batchSize || len(batch) > 0 && batch[0].undelivered != m.undelivered {
			wait = 0
			continue
		}
		m.receives++
		m.visible = now.Add(visibility)
		batch = append(batch, *m)
	}
	return batch, wait
}

func (q *sqs) handle(batch []message) {
	w := q.world
	var in events.SQSEvent
	for _, m := range batch {
		arn := "arn:events"
		if m.undelivered {
			arn = undelivered
		}
		in.Records = append(in.Records, events.SQSMessage{
			MessageId: m.name, Body: m.body, EventSourceARN: arn,
			Attributes: map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(m.receives), "SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10),
			},
		})
	}
	h := queue.Handler{
		Dispatcher: w.on("batch", batch[0].name, batch[0].receives).dispatcher, Letters: q, Deliveries: w.store, Postponer: q,
		Now: time.Now, Report: w.report, Refused: w.report, Drop: func(context.Context, event.Event, error) {},
	}
	out, err := callMany(w, dispatchTime, func(ctx context.Context) (events.SQSEventResponse, error) {
		return through(ctx, w, "queue.Handle", id.Execution(""), func() (events.SQSEventResponse, error) { return h.Handle(ctx, in) })
	})
	if err != nil {
		w.note("a batch of %d failed: %v", len(batch), err)
		return // the whole batch is delivered again
	}
	failed := map[string]bool{}
	for _, f := range out.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	for _, m := range batch {
		if !failed[m.name] {
			q.remove(m.name)
		}
	}
}

// remove deletes a message, unless the deletion is lost.
func (q *sqs) remove(name string) {
	if at, x := q.world.faults.next("queue.Delete", ""); x.before != nil {
		q.world.faults.struck(at, fault{kind: "delivered again", before: x.before})
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, other := range q.messages {
		if other.name == name {
			q.messages = append(q.messages[:i], q.messages[i+1:]...)
			return
		}
	}
}

// Postpone implements queue.Postponer.
func (q *sqs) Postpone(ctx context.Context, m events.SQSMessage, delay time.Duration) error {
	return throughErr(ctx, q.world, "queue.Postpone", "", func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, own := range q.messages {
			if own.name == m.MessageId {
				own.visible = time.Now().Add(delay)
			}
		}
		return nil
	})
}

// Send implements queue.Letters.
func (q *sqs) Send(ctx context.Context, l queue.Letter) error {
	return throughErr(ctx, q.world, "letters.Send", "", func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.letters = append(q.letters, l)
		return nil
	})
}

// lettersOf returns the reasons of the dead letters of an event.
func (q *sqs) lettersOf(e id.Event) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var reasons []string
	for _, l := range q.letters {
		var about struct{ ID id.Event }
		if json.Unmarshal(l.Event, &about) == nil && about.ID == e {
			reasons = append(reasons, l.Reason)
		}
	}
	return reasons
}
