package timeline_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/local/timeline"
)

func TestARunReadsAsATimeline(t *testing.T) {
	t.Parallel()

	tests := map[string]struct{ run, want string }{
		"a completed run": {
			`{"id": "exec_1", "agent_id": "agent_system_dispatch", "status": "completed", "credits_used": 20,
			  "trigger_event": {"id": "evt_1", "event_type": "ticket.created", "source_product": "psa"},
			  "steps": [
			    {"step_id": "classify_ticket", "step_type": "ai_reason", "status": "completed",
			     "output": {"priority": "p1"}, "credits_used": 20, "duration_ms": 843},
			    {"step_id": "note", "step_type": "product_action", "status": "completed",
			     "output": {"ok": true}, "credits_used": 0, "duration_ms": 8}]}`,
			`psa:ticket.created  evt_1
└ agent_system_dispatch  exec_1
  ✓ classify_ticket  ai_reason       completed    843 ms   20 credits
      {"priority":"p1"}
  ✓ note             product_action  completed      8 ms    0 credits
      {"ok":true}
✓ completed, 20 credits
`,
		},
		"a failed run says why": {
			`{"id": "exec_1", "agent_id": "agent_1", "status": "failed", "credits_used": 1,
			  "error": {"code": "product_error", "message": "the desk is closed", "step_id": "note"},
			  "trigger_event": {"id": "evt_1", "event_type": "ticket.created", "source_product": "psa"},
			  "steps": [
			    {"step_id": "note", "step_type": "product_action", "status": "failed", "output": null,
			     "error": {"code": "product_error", "message": "the desk is closed"}, "credits_used": 0, "duration_ms": 12000},
			    {"step_id": "tell", "step_type": "notification", "status": "skipped", "credits_used": 0, "duration_ms": null}]}`,
			`psa:ticket.created  evt_1
└ agent_1  exec_1
  ✗ note  product_action  failed       12.0 s    0 credits
      product_error: the desk is closed
  – tell  notification    skipped                0 credits
✗ failed, 1 credit: product_error: the desk is closed
`,
		},
		"a run that waits": {
			`{"id": "exec_1", "agent_id": "agent_1", "status": "waiting_approval",
			  "trigger_event": {"id": "evt_1", "event_type": "alert.fired", "source_product": "defend"},
			  "steps": [{"step_id": "confirm", "step_type": "approval_gate", "status": "waiting"}]}`,
			`defend:alert.fired  evt_1
└ agent_1  exec_1
  … confirm  approval_gate  waiting                0 credits
… waiting_approval, 0 credits
`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var run timeline.Run
			if err := json.Unmarshal([]byte(test.run), &run); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := run.Print(&out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALongOutputIsShortened(t *testing.T) {
	t.Parallel()

	long, err := json.Marshal(strings.Repeat("ä\n", 500))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := (timeline.Run{Steps: []timeline.Step{{Output: long}}}).Print(&out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(line)); n > 110 {
			t.Errorf("a line of %d characters", n)
		}
	}
}

func TestOnlyFinalStatusesAreOver(t *testing.T) {
	t.Parallel()

	want := map[string]bool{
		"": false, "pending": false, "running": false, "waiting_approval": false,
		"completed": true, "failed": true, "cancelled": true,
	}
	for status, over := range want {
		if got := (timeline.Run{Status: status}).Over(); got != over {
			t.Errorf("%q: over %t, want %t", status, got, over)
		}
	}
}
