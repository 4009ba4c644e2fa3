package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/queue"
)

// A verdict is a dispatcher with one outcome for every event.
type verdict struct{ err error }

func (v verdict) Dispatch(context.Context, event.Event) error { return v.err }

// FuzzMessage checks that a message is dispatched, or becomes one dead letter
// that is JSON, or is delivered again a bounded number of times.
func FuzzMessage(f *testing.F) {
	const detail = `{"id":"evt_1","event_type":"ticket.created","source_product":"psa","org_id":"org_acme","client_id":"cli_1",` +
		`"payload":{"a":"<&>"},"published_at":"2026-03-09T14:23:01Z"}`
	body := `{"source":"psa","detail-type":"ticket.created","detail":` + detail + `}`
	f.Add(body, "1", false, false, uint8(0))
	f.Add(body, "5", false, true, uint8(1))
	f.Add(body, "1", true, false, uint8(1))
	f.Add(body, "", false, false, uint8(2))
	f.Add(`{"source":"psa","detail-type":"ticket.created","detail":"`+strings.Repeat("<", 257<<10)+`"}`, "1", false, false, uint8(0))
	for _, odd := range []string{"", "null", "[]", `{"detail":null}`, "\xff", `{"source":1}`, `{"reason":"failed","message":"no","event":` + detail + `}`, `{"reason":"too_large","event":7}`, `{"reason":1}`, `{"source":"hub","detail-type":"org.created","detail":{}}`} {
		f.Add(odd, "-1", false, false, uint8(0))
	}
	outcomes := []error{nil, errors.New("busy"), dispatch.ErrUnknownOrg}
	f.Fuzz(func(t *testing.T, body, receives string, undeliverable, old bool, outcome uint8) {
		dead := &box{}
		err := outcomes[int(outcome)%len(outcomes)]
		reports := 0
		h := queue.Handler{
			Dispatcher: verdict{err}, Letters: queue.DeadLetters{API: dead}, Deliveries: memory.New(), Postponer: &room{}, Now: now,
			Report: func(context.Context, error) { reports++ }, Refused: func(context.Context, error) {},
		}
		m := events.SQSMessage{
			MessageId: "msg_1", Body: body, EventSourceARN: work,
			Attributes: map[string]string{"ApproximateReceiveCount": receives, "SentTimestamp": "1773066181000"},
		}
		if old {
			m.Attributes["SentTimestamp"] = "1772806981000" // three days earlier
		}
		if undeliverable {
			m.EventSourceARN = undelivered
		}
		out, failed := h.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{m}})
		again := len(out.BatchItemFailures)
		switch {
		case failed != nil || again != reports || again+len(dead.in) > 1:
			t.Errorf("%q: %v, %d come again, %d reports, %d letters", body, failed, again, reports, len(dead.in))
		case again+len(dead.in) == 0 && err != nil:
			t.Errorf("%q is dropped", body)
		case again > 0 && (old || !errors.Is(err, outcomes[1])):
			t.Errorf("%q comes again after %q tries: %v", body, receives, err)
		}
		for _, in := range dead.in {
			var l queue.Letter
			if err := json.Unmarshal([]byte(*in.MessageBody), &l); err != nil || l.Reason == "" || l.Message == "" {
				t.Errorf("%q became %s, %v", body, *in.MessageBody, err)
			}
		}
	})
}
