package definition_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestAWaitThatOutlivesTheApprovalIsAWarning(t *testing.T) {
	t.Parallel()

	const (
		gate    = `{"id": %q, "type": "approval_gate", "message": "May I?"}`
		isolate = `{"id": "isolate", "type": "product_action", "product": "defend", "action": "isolate_device", "params": {"device_id": "dev_1"}}`
		perhaps = `{"id": %q, "type": "wait", "duration_seconds": %d, "if": {"field": "priority", "operator": "eq", "value": "p1"}}`
		branch  = `{"id": "way", "type": "branch", "cases": [{"when": {"field": "priority", "operator": "eq", "value": "p1"}, "steps": [%s]}], "else": [%s]}`
	)
	asks := func(name string) string { return fmt.Sprintf(gate, name) }
	wait := func(name string, seconds int) string {
		return fmt.Sprintf(`{"id": %q, "type": "wait", "duration_seconds": %d}`, name, seconds)
	}
	note := `{"id": "note", "type": "product_action", "product": "psa", "action": "add_note", "params": {"ticket_id": "t", "body": "b", "visibility": "internal"}}`
	for name, tc := range map[string]struct {
		steps []string
		warns bool
	}{
		"no wait":                          {[]string{asks("g"), isolate}, false},
		"a wait of less than a day":        {[]string{asks("g"), wait("w", 86_399), isolate}, false},
		"a wait of a day":                  {[]string{asks("g"), wait("w", 86_400), isolate}, true},
		"two waits of more than a day":     {[]string{asks("g"), wait("w", 50_000), note, wait("v", 50_000), isolate}, true},
		"a gate behind the wait":           {[]string{asks("g"), wait("w", 90_000), asks("h"), isolate}, false},
		"a wait before the gate":           {[]string{wait("w", 90_000), asks("g"), isolate}, false},
		"a wait that may be skipped":       {[]string{asks("g"), fmt.Sprintf(perhaps, "w", 90_000), isolate}, false},
		"a wait on one way":                {[]string{asks("g"), fmt.Sprintf(branch, wait("w", 90_000), note), isolate}, false},
		"a wait on both ways":              {[]string{asks("g"), fmt.Sprintf(branch, wait("w", 90_000), wait("v", 100_000)), isolate}, true},
		"a wait before a mild action":      {[]string{asks("g"), wait("w", 90_000), note}, false},
		"a wait before and within the way": {[]string{asks("g"), wait("w", 50_000), fmt.Sprintf(branch, wait("v", 50_000)+","+isolate, note)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := clocked(t)
			d, err := r.Parse(object(t, `{"name": "n", "category": "security",
				"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"}, "steps": [`+strings.Join(tc.steps, ",")+`]}`))
			if err != nil {
				t.Fatalf("%v:\n%s", err, strings.Join(faults(err), "\n"))
			}
			warns := false
			for _, w := range r.Warnings(d) {
				warns = warns || strings.Contains(w.Message, "the gate will ask again")
			}
			if warns != tc.warns {
				t.Errorf("warned: %t, want %t: %v", warns, tc.warns, r.Warnings(d))
			}
		})
	}
}
