package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/queue"
	"theoneagents.app/agents/shared/span"
)

// A logLine is a report with the fields of its context.
type logLine struct {
	Fields correlation.Fields
	Cause  string
}

func TestALineAboutAMessageSaysWhichEventFailedAndWhy(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	lines := map[string]map[id.Event]logLine{"report": {}, "refused": {}}
	log := func(kind string) func(context.Context, error) {
		return func(ctx context.Context, err error) {
			mu.Lock()
			defer mu.Unlock()
			f := correlation.Of(ctx)
			lines[kind][f.Event] = logLine{f, err.Error()}
		}
	}
	r := &room{fails: map[id.Event]error{"evt_busy": errors.New("the table is busy"), "evt_lost": dispatch.ErrUnknownOrg}}
	h := queue.Handler{
		Dispatcher: r, Letters: r, Deliveries: memory.New(), Postponer: r, Now: now, Report: log("report"), Refused: log("refused"),
	}
	ctx := correlation.With(t.Context())
	correlation.Set(ctx, func(f *correlation.Fields) { f.Request = "req_1" })
	var batch []events.SQSMessage
	for _, name := range []string{"evt_busy", "evt_lost", "evt_fine"} {
		batch = append(batch, message(t, created, envelope(created, map[string]any{"id": name})))
	}
	batch = append(batch, events.SQSMessage{MessageId: "msg_2", Body: "nonsense"})
	if _, err := h.Handle(ctx, events.SQSEvent{Records: batch}); err != nil {
		t.Fatal(err)
	}
	of := func(name id.Event) correlation.Fields {
		return correlation.Fields{Request: "req_1", Org: "org_acme", Event: name, Trace: span.TraceOf("org_acme", string(name)).String()}
	}
	want := map[string]map[id.Event]logLine{
		"report": {"evt_busy": {of("evt_busy"), "message msg_1: the table is busy"}},
		"refused": {
			"evt_lost": {of("evt_lost"), "message msg_1: unknown_org: The organization is not known."},
			"":         {correlation.Fields{Request: "req_1"}, "message msg_2: malformed: The message is not an EventBridge event.: invalid character 'o' in literal null (expecting 'u')"},
		},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines (-want +got)\n%s", diff)
	}
}

func TestEachDeliveryOfAnEventHasASpanInItsTrace(t *testing.T) {
	t.Parallel()
	r := &room{fails: map[id.Event]error{"evt_1": errors.New("the table is busy")}}
	h := queue.Handler{
		Dispatcher: r, Letters: r, Deliveries: memory.New(), Postponer: r, Now: now, Report: func(context.Context, error) {}, Refused: func(context.Context, error) {},
	}
	e := event.Event{ID: "evt_1", Org: "org_acme"}
	var ids []span.ID
	for _, receives := range []string{"1", "2"} {
		m := message(t, created, envelope(created, nil))
		m.Attributes["ApproximateReceiveCount"] = receives
		recorder := span.NewRecorder(time.Now, 1, "req_"+receives)
		if _, err := h.Handle(span.With(t.Context(), recorder), events.SQSEvent{Records: []events.SQSMessage{m}}); err != nil {
			t.Fatal(err)
		}
		spans, _ := recorder.Ended()
		if len(spans) != 1 || spans[0].Trace != e.Trace().Trace || !spans[0].Failed || spans[0].Kind != span.Consumer {
			t.Fatalf("delivery %s: %+v", receives, spans)
		}
		for _, a := range spans[0].Attributes {
			if text, ok := a.Value.(string); ok && strings.Contains(text, "busy") {
				t.Errorf("%s has the text of an error: %s", a.Key, text)
			}
		}
		ids = append(ids, spans[0].ID, spans[0].Parent)
	}
	if diff := cmp.Diff([]span.ID{e.Span().Span, {}, e.Trace().Trace.Of("try", e.Span().Span.String(), "2"), e.Span().Span}, ids); diff != "" {
		t.Errorf("ids and parents (-want +got)\n%s", diff)
	}
}
