package simulation_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/span"
)

// traces collects the spans of the invocations that returned: a process that dies
// exports nothing.
type traces struct {
	mu    sync.Mutex
	n     int
	spans []span.Span
}

func (t *traces) record(ctx context.Context) (context.Context, func()) {
	if t == nil {
		return ctx, func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	r := span.NewRecorder(time.Now, 1, strconv.Itoa(t.n))
	return span.With(ctx, r), func() {
		spans, _ := r.Ended()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.spans = append(t.spans, spans...)
	}
}

// named returns the spans with a name, by id.
func (t *traces) named(name string) map[span.ID]span.Span {
	found := map[span.ID]span.Span{}
	for _, s := range t.spans {
		if s.Name == name {
			found[s.ID] = s
		}
	}
	return found
}

// attribute returns a text of a span.
func attribute(s span.Span, key string) string {
	for _, a := range s.Attributes {
		if text, ok := a.Value.(string); ok && a.Key == key {
			return text
		}
	}
	return ""
}

const passedOn = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// oneTrace checks that all spans are in the trace of the event, each below a span that
// arrived or, of a process that died, would have.
func (w *world) oneTrace(e event.Event, x id.Execution) {
	w.Helper()
	known := map[span.ID]string{{}: "", e.Trace().Span: "", e.Span().Span: "dispatch", e.SpanOf(x).Span: "run"}
	for _, s := range w.traces.spans {
		if before, ok := known[s.ID]; ok && before != s.Name {
			w.Errorf("the span %s is %s and %s", s.ID, before, s.Name)
		}
		known[s.ID] = s.Name
	}
	for _, s := range w.traces.spans {
		if _, ok := known[s.Parent]; s.Trace != e.Trace().Trace || !ok || s.End.Before(s.Start) {
			w.Errorf("%s is in trace %s, want %s, below %s (known: %v), from %v to %v", s.Name, s.Trace, e.Trace().Trace, s.Parent, ok, s.Start, s.End)
		}
	}
}

func TestARunIsOneTraceWhateverHappens(t *testing.T) {
	t.Parallel()
	steps := list(act("a"), ask("g", `"timeout_seconds": 432000`), think("judge", noise), pause("p", 60), act("b"))
	once := func(port string, n int, f fault) func(site) fault {
		return func(at site) fault {
			if at.port == port && at.n == n {
				return f
			}
			return fault{}
		}
	}
	for name, tc := range map[string]struct {
		faults func(site) fault
		cancel bool
		passed string // by the product
	}{
		"where nothing goes wrong":                  {},
		"of the product's span":                     {passed: passedOn},
		"after a dispatcher that died":              {faults: once("store.Create", 1, fault{kill: true, late: true})},
		"after a dispatcher that failed":            {faults: once("store.Create", 1, fault{before: errFault}), passed: passedOn},
		"after a runner that died":                  {faults: once("product.Act", 1, fault{kill: true, late: true})},
		"after a lost machine, by the sweeper":      {faults: once("machine.Start", 1, fault{before: errFault})},
		"after a reply that was lost":               {faults: once("store.Commit", 2, fault{after: errFault})},
		"after a person cancelled it":               {cancel: true},
		"after a worker that slept through a lease": {faults: once("store.SaveStep", 1, fault{pause: 40 * time.Second})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.traces = &traces{}
				w.faults.set(tc.faults)
				a, e := w.agent(steps), w.escalated()
				if tc.passed != "" {
					e.Metadata = &event.Metadata{Traceparent: tc.passed}
				}
				go w.publish(e, "", 0)
				x := execution.ID(w.org, a, e)
				w.pass(70 * time.Hour) // people take days
				want := map[string]string{"a": "completed", "g": "completed", "judge": "completed", "p": "completed", "b": "completed"}
				outcome := execution.Completed
				if tc.cancel {
					w.must(w.executions.Cancel(w.over, w.owner(), x))
					want, outcome = map[string]string{"a": "completed"}, execution.Cancelled
				} else {
					w.must(w.decide(w.owner(), x, true))
				}
				w.pass(time.Hour)

				w.oneTrace(e, x)
				runs := w.traces.named("run")
				if got := runs[e.SpanOf(x).Span]; len(runs) != 1 || attribute(got, span.Outcome) != string(outcome) || got.End.Sub(got.Start) < 69*time.Hour {
					t.Errorf("the run is %+v", runs)
				}
				got := map[string]string{}
				for _, s := range w.traces.named("step") {
					got[attribute(s, span.Step)] = attribute(s, span.Outcome)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("steps (-want +got)\n%s", diff)
				}
				if calls := w.traces.named("chat"); len(calls) == 0 && !tc.cancel {
					t.Error("the call of the model has no span")
				}
			})
		})
	}
}

func TestRunsThatARunCausedAreInItsTrace(t *testing.T) {
	t.Parallel()
	for name, traceparent := range map[string]string{"that the platform began": "", "of the product's span": passedOn} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.traces = &traces{}
				a, e := w.agent(list(act("a"))), w.escalated()
				e.Metadata = &event.Metadata{Traceparent: traceparent}
				go w.publish(e, "", 0)
				w.pass(time.Hour)
				echo := w.escalated() // whose product names the run alone
				echo.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: execution.ID(w.org, a, e), Depth: 1}}
				go w.publish(echo, "", 0)
				w.pass(time.Hour)
				if runs := w.traces.named("run"); len(runs) != 2 {
					t.Errorf("runs %v", runs)
				}
				traces := map[span.TraceID]bool{}
				for _, s := range w.traces.spans {
					traces[s.Trace] = true
				}
				if len(traces) != 1 || !traces[e.Trace().Trace] {
					t.Errorf("traces %v, want %s", slices.Collect(maps.Keys(traces)), e.Trace().Trace)
				}
			})
		})
	}
}

// A span names ids, kinds and codes; no text of an event, a parameter or an answer.
func TestNoTextOfAnEventIsInASpan(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		const secret = "swordfish"
		w.traces = &traces{}
		a, e := w.agent(list(act("a"), ask("g", `"timeout_seconds": 3600`), act("b"))), w.escalated()
		e.Payload["ticket_id"], e.Payload["escalated_to"] = "tkt_"+secret, secret
		go w.publish(e, "", 0)
		w.pass(time.Second)
		w.must(w.decide(w.owner(), execution.ID(w.org, a, e), true))
		w.pass(time.Hour)
		if len(w.traces.spans) < 8 {
			t.Errorf("%d spans", len(w.traces.spans))
		}
		for _, s := range w.traces.spans {
			for _, a := range s.Attributes {
				if text, _ := a.Value.(string); strings.Contains(text, secret) {
					t.Errorf("%s has %s = %q", s.Name, a.Key, text)
				}
			}
		}
	})
}
