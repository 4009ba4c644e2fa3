package meter_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/meter"
)

// lines returns the metrics of results as JSON.
func lines(t *testing.T, results ...meter.Result) []map[string]any {
	t.Helper()
	ctx, m := meter.With(t.Context())
	for _, r := range results {
		meter.Observe(ctx, r)
	}
	var got []map[string]any
	for _, attrs := range m.Lines("OneAgents/dev", time.UnixMilli(1234)) {
		var text strings.Builder
		slog.New(slog.NewJSONHandler(&text, nil)).LogAttrs(ctx, slog.LevelInfo, "results", attrs...)
		var line map[string]any
		if err := json.Unmarshal([]byte(text.String()), &line); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"time", "level", "msg"} {
			delete(line, key)
		}
		got = append(got, line)
	}
	return got
}

// directive is one of the embedded metric format.
func directive(dimensions []any, unit string, names ...string) map[string]any {
	var metrics []any
	for _, n := range names {
		metrics = append(metrics, map[string]any{"Name": n, "Unit": unit})
	}
	return map[string]any{"Namespace": "OneAgents/dev", "Dimensions": []any{dimensions}, "Metrics": metrics}
}

func TestStepsOfOneKindAndTheirRunAreOneLine(t *testing.T) {
	t.Parallel()
	want := []map[string]any{{
		"kind": "product_action", "outcome": "completed", "steps": 2.0, "StepDuration": []any{12.0, 15.0}, "run_outcome": "completed", "RunDuration": []any{90.0},
		"_aws": map[string]any{"Timestamp": 1234.0, "CloudWatchMetrics": []any{
			directive([]any{"kind", "outcome"}, "Milliseconds", "StepDuration"), directive([]any{"run_outcome"}, "Milliseconds", "RunDuration"),
		}},
	}}
	got := lines(t,
		meter.Result{Kind: "product_action", Outcome: "completed", Took: 12 * time.Millisecond},
		meter.Result{Kind: "product_action", Outcome: "completed", Took: 15 * time.Millisecond},
		meter.Result{Outcome: "completed", Took: 90 * time.Millisecond})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got)\n%s", diff)
	}
}

func TestAnAnswerIsCountedForItsModel(t *testing.T) {
	t.Parallel()
	want := []map[string]any{{
		"kind": "ai", "outcome": "completed", "model": "m", "steps": 1.0, "credits": 20.0, "StepDuration": []any{1000.0}, "InputTokens": []any{7.0}, "OutputTokens": []any{3.0}, "CreditsCharged": []any{20.0},
		"_aws": map[string]any{"Timestamp": 1234.0, "CloudWatchMetrics": []any{
			directive([]any{"kind", "outcome"}, "Milliseconds", "StepDuration"), directive([]any{"model"}, "Count", "InputTokens", "OutputTokens", "CreditsCharged"),
		}},
	}}
	got := lines(t, meter.Result{Kind: "ai", Outcome: "completed", Model: "m", Took: time.Second, InputTokens: 7, OutputTokens: 3, Credits: 20})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got)\n%s", diff)
	}
}

func TestALineHasOneValueOfEachDimensionAndAtMostAHundredOfAMetric(t *testing.T) {
	t.Parallel()
	var results []meter.Result
	for range 120 {
		results = append(results, meter.Result{Kind: "gate", Outcome: "failed"}, meter.Result{Kind: "wait", Outcome: "completed"})
	}
	total := map[any]int{}
	for _, line := range lines(t, results...) {
		values, _ := line["StepDuration"].([]any)
		if len(values) > 100 {
			t.Errorf("%d values", len(values))
		}
		total[line["kind"]] += len(values)
	}
	if diff := cmp.Diff(map[any]int{"gate": 120, "wait": 120}, total); diff != "" {
		t.Errorf("values (-want +got)\n%s", diff)
	}
	if got := lines(t); len(got) != 0 {
		t.Errorf("without results: %v", got)
	}
	meter.Observe(t.Context(), meter.Result{Kind: "gate"}) // a context without a meter
}

func TestTheNumberOfModelsIsBounded(t *testing.T) {
	t.Parallel()
	known := []string{"gpt-5", "claude"}
	for model, want := range map[string]string{"": "", "claude": "claude", "gpt-5-2026-03-09": "gpt-5", "llama": "other"} {
		if got := meter.Bounded(model, known); got != want {
			t.Errorf("%q is %q, want %q", model, got, want)
		}
	}
}
