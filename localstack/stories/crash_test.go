package stories_test

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"theoneagents.app/agents/localstack/local/proc"
)

// processes returns the ids of the processes that run a function of this
// system, and no process of another system on this machine.
func (s *stage) processes(t *testing.T, function string) []int {
	t.Helper()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("this machine does not list its processes")
	}
	return proc.With("bootstrap", "AWS_LAMBDA_FUNCTION_NAME="+function, "AWS_ENDPOINT_URL="+s.outputs.Endpoint)
}

// It is not parallel: other stories would lose their functions too. They would
// survive, as this story shows, but take longer.
//
//nolint:paralleltest // see above.
func TestARunSurvivesACrashOfItsFunction(t *testing.T) {
	o := open(t).tenant(t)
	// The second of three steps is slow enough to be killed in.
	o.addRules("_products", doc{"product": "psa", "action": "update_ticket", "delay_ms": 3000, "times": 1})
	o.agent(note("before", "before"), doc{
		"id": "slow", "type": "product_action", "product": "psa", "action": "update_ticket",
		"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "status": "open"},
	}, note("after", "after"))
	o.escalate()
	exec := o.run()
	o.eventually("the first step is done", func() bool {
		return strings.HasPrefix(statuses(o.get("/api/executions/"+exec).body), "before:completed")
	})
	killed := 0
	for _, pid := range o.processes(t, o.outputs.Stack["RunnerFunctionName"]) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatal("no process of the runner was found")
	}
	x := o.ends(exec)
	if got, want := statuses(x), "before:completed slow:completed after:completed"; got != want || text(x, "status") != "completed" {
		t.Errorf("%s with %q, want completed with %q: %v", text(x, "status"), got, want, at(x, "error"))
	}
	if n := len(o.done("add_note")); n != 2 {
		t.Errorf("%d notes, want 2", n)
	}
	keys := map[string]bool{}
	for _, c := range o.calls("update_ticket") {
		keys[text(c, "idempotency_key")] = true
	}
	if len(keys) != 1 || len(o.done("update_ticket")) != 1 {
		t.Errorf("%d updates were done under %d keys, want one of each", len(o.done("update_ticket")), len(keys))
	}
	o.must(http.StatusOK, o.get("/api/executions/"+exec))
}
