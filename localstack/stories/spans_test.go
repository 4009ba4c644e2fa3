package stories_test

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"testing"
)

// spans returns the spans of the trace of a run, as the stand-in collector has them.
func (o *org) spans(exec string) []any {
	o.t.Helper()
	return list(o.must(http.StatusOK, o.send(http.MethodGet, o.outputs.Products+"/_traces?run="+exec, nil, nil)), "spans")
}

// spansNamed returns those of the spans that have a name.
func spansNamed(all []any, name string) (named []any) {
	for _, s := range all {
		if text(s, "name") == name {
			named = append(named, s)
		}
	}
	return named
}

// One trace leads from the span of the product that published the event, over the bus,
// the queue, both machines and the gate, to the call that the product receives.
func TestOneTraceLeadsFromTheEventToTheCallOfTheProduct(t *testing.T) {
	t.Parallel()

	const publisher = "00f067aa0ba902b7"
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	trace := hex.EncodeToString(random[:])
	o := open(t).tenant(t)
	o.agent(note("before", "hello"), gate(600), isolate())
	e := o.envelope("psa", "ticket.escalated", doc{"ticket_id": "tkt_" + rand.Text()[:10], "escalated_to": "p1"})
	e["metadata"] = doc{"traceparent": "00-" + trace + "-" + publisher + "-01"}
	o.put("psa", "ticket.escalated", e)
	exec := o.run()
	o.must(http.StatusOK, o.decide(o.approvalOf(exec), "approved"))
	if x := o.ends(exec); text(x, "status") != "completed" {
		t.Fatalf("the run is %v", x)
	}

	var all []any
	o.eventually("the span of the run has arrived", func() bool {
		all = o.spans(exec)
		return len(spansNamed(all, "run")) > 0
	})
	parents := map[string]string{}
	for _, s := range all {
		if text(s, "trace_id") == trace {
			parents[text(s, "span_id")] = text(s, "parent_span_id")
		}
	}
	calls := o.done("isolate_device")
	if len(calls) != 1 {
		t.Fatalf("calls %v", calls)
	}
	sent := text(calls[0], "headers", "Traceparent")
	if len(sent) != 55 || sent[:36] != "00-"+trace+"-" || sent[52:] != "-01" {
		t.Fatalf("the product received the traceparent %q of another trace", sent)
	}
	way := []string{}
	for at := sent[36:52]; at != publisher; at = parents[at] {
		name := ""
		for _, s := range all {
			if text(s, "span_id") == at {
				name = text(s, "name")
			}
		}
		if way = append(way, name); name == "" || len(way) > 10 {
			break
		}
	}
	want := []string{"action", "step", "turn", "run", "dispatch"}
	if len(way) != len(want) {
		t.Errorf("the way from the call to the publisher is %v, want %v; spans %v", way, want, all)
	}
	for i := range min(len(way), len(want)) {
		if way[i] != want[i] {
			t.Errorf("the way from the call to the publisher is %v, want %v", way, want)
			break
		}
	}
	if steps, turns := spansNamed(all, "step"), spansNamed(all, "turn"); len(steps) != 3 || len(turns) < 3 {
		t.Errorf("%d steps and %d turns, want 3 and at least one for the start, the question and the decision: %v", len(steps), len(turns), all)
	}
}
