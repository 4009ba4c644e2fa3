package span_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/span"
)

// ticking returns a clock that is a second later at each look.
func ticking() func() time.Time {
	at := time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC)
	return func() time.Time { at = at.Add(time.Second); return at }
}

// recording returns a context that records all traces.
func recording(t *testing.T) (context.Context, *span.Recorder) {
	t.Helper()
	r := span.NewRecorder(ticking(), 1, "request-1")
	return span.With(t.Context(), r), r
}

// ended returns the spans that have ended.
func ended(r *span.Recorder) []span.Span {
	spans, _ := r.Ended()
	return spans
}

var (
	trace = span.TraceOf("org_a", "evt_1")
	root  = span.Parent{Trace: trace, Sampled: true}
)

func TestIdsAreTheSameForTheSameNamesOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringN(0, 8, -1), 1, 4)
		one, two := names.Draw(t, "one"), names.Draw(t, "two")
		same := cmp.Equal(one, two)
		if (span.TraceOf(one...) == span.TraceOf(two...)) != same || (trace.Of(one...) == trace.Of(two...)) != same {
			t.Errorf("%q and %q", one, two)
		}
	})
}

func TestATraceparentIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		trace := span.TraceOf(rapid.String().Draw(t, "trace"))
		p := span.Parent{Trace: trace, Span: trace.Of("span"), Sampled: rapid.Bool().Draw(t, "sampled")}
		if got, ok := span.ParseTraceparent(p.Traceparent()); !ok || got != p {
			t.Errorf("%s is %v, %v", p.Traceparent(), got, ok)
		}
	})
}

func TestAnInvalidTraceparentIsNone(t *testing.T) {
	t.Parallel()
	const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if p, ok := span.ParseTraceparent(valid); !ok || p.Trace.String() != "4bf92f3577b34da6a3ce929d0e0e4736" || p.Span.String() != "00f067aa0ba902b7" || !p.Sampled {
		t.Errorf("%v, %v", p, ok)
	}
	for name, text := range map[string]string{
		"empty":                "",
		"another version":      "01" + valid[2:],
		"capital letters":      strings.ToUpper(valid),
		"no hexadecimal digit": strings.Replace(valid, "4b", "zz", 1),
		"a trace of zeros":     "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"a span of zeros":      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"more after it":        valid + "-00",
		"other lengths":        "00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7ab-01",
		"a line break":         valid[:54] + "\n",
	} {
		if p, ok := span.ParseTraceparent(text); ok {
			t.Errorf("%s: %v", name, p)
		}
	}
}

func TestWithoutARecorderNothingIsAllocated(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of all goroutines.
	ctx, text := t.Context(), strings.Repeat("x", 3)
	if n := testing.AllocsPerRun(100, func() {
		ctx, outer := span.Begin(ctx, "dispatch", span.Consumer)
		outer.Try(2)
		outer.In(root, span.ID{})
		_, inner := span.Start(ctx, text, span.Client)
		inner.Text("k", text)
		inner.Number("n", 1<<40)
		inner.Fail(text)
		inner.End()
		outer.Add(span.Span{})
		outer.End()
		if inner.Traceparent() != "" || outer.Invocation() != "" || span.Current(ctx) != nil {
			panic("a span without a recorder")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAChildIsInTheTraceOfItsParent(t *testing.T) {
	t.Parallel()
	ctx, r := recording(t)
	ctx, outer := span.Begin(ctx, "turn", span.Consumer)
	inner, step := span.Start(ctx, "step", span.Internal)
	_, call := span.Start(inner, "call", span.Client)
	outer.In(root, trace.Of("turn")) // known only now
	step.Named(trace.Of("step"))
	call.Text("product", "psa")
	call.Text("empty", "")
	call.Number("status", 503)
	call.Fail("product_error")
	sent := call.Traceparent()
	for _, a := range []*span.Active{call, step, outer, outer} {
		a.End()
	}
	at := func(second int) time.Time { return time.Date(2026, 3, 9, 14, 0, second, 0, time.UTC) }
	callID := trace.Of("child", trace.Of("step").String(), "call", "1")
	want := []span.Span{
		{
			Trace: trace, ID: callID, Parent: trace.Of("step"), Name: "call", Kind: span.Client, Start: at(3), End: at(4), Failed: true,
			Attributes: []span.Attribute{{"product", "psa"}, {"status", int64(503)}, {"error.type", "product_error"}},
		},
		{Trace: trace, ID: trace.Of("step"), Parent: trace.Of("turn"), Name: "step", Kind: span.Internal, Start: at(2), End: at(5)},
		{Trace: trace, ID: trace.Of("turn"), Name: "turn", Kind: span.Consumer, Start: at(1), End: at(6)},
	}
	if diff := cmp.Diff(want, ended(r)); diff != "" {
		t.Errorf("spans (-want +got)\n%s", diff)
	}
	if want := (span.Parent{Trace: trace, Span: callID, Sampled: true}).Traceparent(); sent != want {
		t.Errorf("traceparent %s, want %s", sent, want)
	}
}

func TestTheSameWorkInTheSameOrderHasTheSameIds(t *testing.T) {
	t.Parallel()
	work := func() []span.Span {
		ctx, r := recording(t)
		ctx, a := span.Begin(ctx, "turn", span.Consumer)
		a.In(root, trace.Of("turn"))
		for range 3 {
			_, call := span.Start(ctx, "call", span.Client)
			call.End()
		}
		a.End()
		return ended(r)
	}
	one, two := work(), work()
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("twice (-one +two)\n%s", diff)
	}
	seen := map[span.ID]bool{}
	for _, s := range one {
		seen[s.ID] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d ids of 4 spans", len(seen))
	}
}

func TestALaterTryIsBelowTheFirst(t *testing.T) {
	t.Parallel()
	ctx, r := recording(t)
	for try := 1; try <= 3; try++ {
		_, a := span.Begin(ctx, "dispatch", span.Consumer)
		a.Try(try)
		a.In(root, trace.Of("event"))
		a.End()
	}
	got := ended(r)
	if got[0].ID != trace.Of("event") || got[0].Parent != (span.ID{}) {
		t.Errorf("the first is %+v", got[0])
	}
	if got[1].Parent != got[0].ID || got[2].Parent != got[0].ID || got[1].ID == got[2].ID || got[1].ID == got[0].ID {
		t.Errorf("the others are %+v", got[1:])
	}
}

func TestASpanWithoutAPlaceIsDiscarded(t *testing.T) {
	t.Parallel()
	ctx, r := recording(t)
	ctx, a := span.Begin(ctx, "turn", span.Consumer)
	_, child := span.Start(ctx, "call", span.Client)
	if got := child.Traceparent(); got != "" {
		t.Errorf("traceparent %s", got)
	}
	child.End()
	a.End()
	if _, alone := span.Start(t.Context(), "call", span.Client); alone != nil {
		t.Error("a child without a parent")
	}
	if got := ended(r); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAPartOfTheTracesIsRecordedByEveryFunctionAlike(t *testing.T) {
	t.Parallel()
	const all = 4000
	kept := map[float64]map[string]bool{}
	for _, ratio := range []float64{0, 0.1, 0.5, 1} {
		kept[ratio] = map[string]bool{}
		for n := range all {
			trace := span.TraceOf("org_a", strings.Repeat("x", n%64), string(rune(n)))
			r := span.NewRecorder(ticking(), ratio, "")
			ctx, a := span.Begin(span.With(t.Context(), r), "turn", span.Consumer)
			a.In(span.Parent{Trace: trace, Sampled: true}, trace.Of("turn"))
			_, child := span.Start(ctx, "call", span.Client)
			child.End()
			a.Add(span.Span{})
			a.End()
			if got := len(ended(r)); got == 3 {
				kept[ratio][trace.String()] = true
			} else if got != 0 {
				t.Fatalf("%d spans of 3", got)
			}
		}
	}
	for ratio, got := range map[float64]int{0: len(kept[0]), 0.1: len(kept[0.1]), 0.5: len(kept[0.5]), 1: len(kept[1])} {
		if want := ratio * all; float64(got) < want*0.85 || float64(got) > want*1.15 {
			t.Errorf("%v of the traces: %d of %d", ratio, got, all)
		}
	}
	for trace := range kept[0.1] {
		if !kept[0.5][trace] {
			t.Errorf("%s is among a tenth and not among a half", trace)
		}
	}
}

func TestATraceThatThePublisherDoesNotRecordIsNotRecorded(t *testing.T) {
	t.Parallel()
	ctx, r := recording(t)
	_, a := span.Begin(ctx, "dispatch", span.Consumer)
	a.In(span.Parent{Trace: trace, Span: trace.Of("product")}, trace.Of("event"))
	if got := a.Traceparent(); !strings.HasSuffix(got, "-00") {
		t.Errorf("traceparent %s", got)
	}
	if a.End(); len(ended(r)) != 0 {
		t.Errorf("%+v", ended(r))
	}
}

func TestARecorderKeepsABoundedNumberOfSpansOfManyGoroutines(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := span.NewRecorder(func() time.Time { return now }, 1, "")
	ctx, a := span.Begin(span.With(t.Context(), r), "turn", span.Consumer)
	a.In(root, trace.Of("turn"))
	var wave sync.WaitGroup
	for range 10 {
		wave.Go(func() {
			for range 60 {
				_, child := span.Start(ctx, "call", span.Client)
				child.Number("n", 1)
				child.End()
			}
		})
	}
	wave.Wait()
	if spans, dropped := r.Ended(); len(spans) != span.MaxSpans || dropped != 600-span.MaxSpans {
		t.Errorf("%d spans, %d dropped", len(spans), dropped)
	}
}
