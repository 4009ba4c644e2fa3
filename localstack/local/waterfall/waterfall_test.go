package waterfall_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/local/waterfall"
	"theoneagents.app/agents/localstack/products/collector"
	"theoneagents.app/agents/shared/span"
)

func of(id, parent, name string, from, to int, attributes map[string]any) collector.Span {
	at := time.Date(2026, 3, 9, 14, 0, 0, 0, time.Local)
	return collector.Span{
		Trace: "t1", ID: id, Parent: parent, Name: name, Service: "runner", Attributes: attributes,
		Start: at.Add(time.Duration(from) * time.Millisecond), End: at.Add(time.Duration(to) * time.Millisecond),
	}
}

func TestATraceIsATreeInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	failed := of("4", "3", "action", 40, 80, map[string]any{span.Product: "psa", span.Action: "add_note", span.StatusCode: 503.0, span.ErrorType: "product_error"})
	failed.Failed = true
	step := of("3", "2", "step", 30, 90, map[string]any{span.Step: "note", span.StepKind: "action", span.Outcome: "completed"})
	var out strings.Builder
	if err := waterfall.Print(&out, []collector.Span{
		failed, step, step,
		of("2", "1", "run", 10, 100, map[string]any{span.Execution: "exec_1", span.Outcome: "completed"}),
		of("1", "elsewhere", "dispatch", 0, 20, map[string]any{span.EventType: "psa:ticket.created"}),
		of("5", "1", "start", 5, 10, map[string]any{span.Execution: "exec_01KK9VH6M0AAAAAAAAAAAAAAAA01KK9VH6M0"}),
	}); err != nil {
		t.Fatal(err)
	}
	const want = `trace t1  2026-03-09 14:00:00.000  100ms
  dispatch psa:ticket.created                  │━━━━━━                        │      20ms  (runner)
    start exec_01KK9VH6M0AAAAAAAAAAAAAAAA01KK… │ ━                            │       5ms  (runner)
    run exec_1                                 │  ━━━━━━━━━━━━━━━━━━━━━━━━━━━ │      90ms  completed (runner)
      step note                                │        ━━━━━━━━━━━━━━━━━━    │      60ms  action completed (runner)
        action psa.add_note                    │           ━━━━━━━━━━━━       │      40ms  503 product_error FAILED (runner)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestALongTraceIsCutAndALoopEnds(t *testing.T) {
	t.Parallel()
	spans := []collector.Span{of("a", "b", "loop", 0, 1, nil), of("b", "a", "loop", 0, 1, nil)}
	for n := range 1000 {
		spans = append(spans, of(strconv.Itoa(n), "", "step", n, n+1, nil))
	}
	var out strings.Builder
	if err := waterfall.Print(&out, spans); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 401 || lines[400] != "… 601 more lines" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}
