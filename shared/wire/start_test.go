package wire

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/correlation"
	"theoneagents.app/agents/shared/meter"
	"theoneagents.app/agents/shared/otlp"
	"theoneagents.app/agents/shared/span"
)

// A work is an invocation whose handler does a step and may fail.
func work(failure error) Handler[string, string] {
	return func(ctx context.Context, in string) (string, error) {
		correlation.Set(ctx, func(f *correlation.Fields) { f.Org = "org_a" })
		meter.Observe(ctx, meter.Result{Kind: "gate", Outcome: "completed"})
		meter.Observe(ctx, meter.Result{Kind: "wait", Outcome: "completed"})
		_, turn := span.Begin(ctx, "turn", span.Consumer)
		trace := span.TraceOf("evt_1")
		turn.In(span.Parent{Trace: trace, Sampled: true}, trace.Of("turn", turn.Invocation()))
		turn.End()
		return in, failure
	}
}

// invoke invokes work in a function with these logs and returns the lines.
func invoke(t *testing.T, level slog.Level, collector string, failure error) (lines []map[string]any) {
	t.Helper()
	var out strings.Builder
	w := &Wire{
		Log: boot.NewLogger(&out, "f", level), metrics: boot.NewLogger(&out, "f", slog.LevelInfo), Now: time.Now, ratio: 1,
		env: boot.NewEnv(func(string) string { return "OneAgents" }),
	}
	if collector != "" {
		w.traces = &otlp.Exporter{Endpoint: collector, HTTP: &http.Client{}, Now: time.Now}
	}
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "req_1"})
	got, err := counted(w, func(in string) slog.Attr { return slog.String("about", in) }, work(failure))(ctx, "x")
	if got != "x" || !errors.Is(err, failure) {
		t.Errorf("%q, %v", got, err)
	}
	for text := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line["request_id"] != "req_1" || line["org_id"] != "org_a" {
			t.Errorf("the line %s says not what it is about", text)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestNoLevelHidesAMetricAndEachFailureHasItsCause(t *testing.T) {
	t.Parallel()
	lines := invoke(t, slog.LevelError, "", errors.New("no table"))
	if len(lines) != 3 || lines[0]["msg"] != "invocation failed" || lines[0]["err"] != "no table" {
		t.Fatalf("lines %v", lines)
	}
	kinds := map[any]bool{}
	for _, line := range lines[1:] {
		if line["_aws"] == nil || line["level"] != "INFO" {
			t.Errorf("%v has no metrics", line)
		}
		kinds[line["kind"]] = true
	}
	if !kinds["gate"] || !kinds["wait"] {
		t.Errorf("kinds %v", kinds)
	}
}

func TestSpansAreExportedBeforeTheAnswerAndNeverFailIt(t *testing.T) {
	t.Parallel()
	var bodies []otlp.Traces
	status := http.StatusOK
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body otlp.Traces
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		bodies = append(bodies, body)
		w.WriteHeader(status)
	}))
	defer collector.Close()

	if lines := invoke(t, slog.LevelInfo, collector.URL, nil); len(lines) != 2 || len(bodies) != 1 {
		t.Fatalf("%d exports, lines %v", len(bodies), lines)
	}
	trace := span.TraceOf("evt_1")
	if got := bodies[0].ResourceSpans[0].ScopeSpans[0].Spans; len(got) != 1 || got[0].SpanID != trace.Of("turn", "req_1").String() {
		t.Errorf("spans %+v", got)
	}
	status = http.StatusForbidden
	lines := invoke(t, slog.LevelInfo, collector.URL, nil)
	if last := lines[len(lines)-1]; len(lines) != 3 || last["msg"] != "traces are lost" || !strings.Contains(last["err"].(string), "403") { //nolint:errcheck,forcetypeassert // a test.
		t.Errorf("lines %v", lines)
	}
}

func TestWithoutACollectorNothingIsRecorded(t *testing.T) {
	t.Parallel()
	w, err := New(t.Context(), "test", func(string) string { return "" })
	if err != nil || w.traces != nil || w.Err() != nil {
		t.Fatalf("%v, %v, %v", w.traces, err, w.Err())
	}
	ctx, export := w.traced(t.Context(), "req_1")
	if export(); ctx != t.Context() {
		t.Error("the context changed")
	}
}
