package event_test

import (
	"testing"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/span"
)

const passedOn = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestAnEventIsInTheTraceThatItsProductPassedOnOrInThatOfItsRoot(t *testing.T) {
	t.Parallel()
	product, _ := span.ParseTraceparent(passedOn)
	root := span.TraceOf("org_a", "evt_0")
	e := event.Event{ID: "evt_0", Org: "org_a"}
	for name, tc := range map[string]struct {
		event event.Event
		want  span.Parent
	}{
		"alone":                   {e, span.Parent{Trace: root, Sampled: true}},
		"with a trace":            {event.Event{ID: "evt_0", Org: "org_a", Metadata: &event.Metadata{Traceparent: passedOn}}, product},
		"caused by a run":         {event.Event{ID: "evt_1", Org: "org_a"}.CausedBy("exec_1", "evt_0", 1), e.SpanOf("exec_1")},
		"of an unknown run":       {e.CausedBy("exec_1", "evt_0", 1), span.Parent{Trace: root, Sampled: true}},
		"of a run with a trace":   {event.Event{ID: "evt_1", Org: "org_a"}.CausedBy("exec_1", "evt_0", 1).InTraceOf(event.Event{ID: "evt_0", Metadata: &event.Metadata{Traceparent: passedOn}}), span.Parent{Trace: product.Trace, Span: product.Trace.Of("run", "exec_1"), Sampled: true}},
		"with a trace of its own": {event.Event{ID: "evt_1", Org: "org_a", Metadata: &event.Metadata{Traceparent: passedOn}}.CausedBy("exec_1", "evt_0", 1).InTraceOf(e), product},
	} {
		if got := tc.event.Trace(); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	if e.Trace() == (event.Event{ID: "evt_0", Org: "org_b"}).Trace() {
		t.Error("two organizations share a trace")
	}
}

func TestATraceparentIsReadAndAnInvalidOneIgnored(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"traceparent": "` + passedOn + `"}`: passedOn,
		`{"traceparent": "00-x-y-01"}`:        "",
		`{"traceparent": 1}`:                  "",
		`{"traceparent": null}`:               "",
		`{}`:                                  "",
	} {
		e, err := event.Parse("psa", "ticket.created", with(t, "metadata", text))
		if err != nil || e.Traceparent() != want {
			t.Errorf("%s: %q, %v", text, e.Traceparent(), err)
		}
	}
}
