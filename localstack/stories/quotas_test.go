package stories_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// quota returns a quota of the organization's plan.
func (o *org) quota(name string) doc {
	o.t.Helper()
	for _, q := range list(o.must(http.StatusOK, o.get("/api/quotas")), "quotas") {
		if text(q, "name") == name {
			d, _ := q.(map[string]any)
			return d
		}
	}
	o.t.Fatalf("there is no quota %s", name)
	return nil
}

// The plan starter has 50 text messages a day. Events that ask for 80 at the same time
// send exactly 50, each run says which message was refused, and GET /api/quotas shows it.
func TestADaySendsNoMoreTextMessagesThanThePlanAllows(t *testing.T) {
	t.Parallel()

	const runs, each, most = 4, 20, 50
	o := open(t).tenant(t)
	o.plan("starter", 20_000)
	o.agent(tell("sms", "{{ event_payload.numbers }}"))
	for i := range runs {
		var numbers []any
		for n := range each {
			numbers = append(numbers, fmt.Sprintf("+1555123%02d%02d", i, n))
		}
		o.publish("psa", "ticket.escalated", doc{"ticket_id": fmt.Sprint("tkt_", i), "escalated_to": "p1", "numbers": numbers})
	}
	o.eventually("all executions ended", func() bool {
		ended := 0
		for _, x := range o.runs() {
			if s := text(x, "status"); s == "completed" || s == "failed" {
				ended++
			}
		}
		return ended == runs
	})
	sent, refused := 0, 0
	for _, x := range o.runs() {
		for _, line := range recipients(o.must(http.StatusOK, o.get("/api/executions/"+text(x, "id"))), 0) {
			switch {
			case strings.HasPrefix(line, "sent "):
				sent++
			case strings.HasPrefix(line, "failed ") && strings.Contains(line, "sms_per_day is 50 and 50 messages are counted; the next may be sent at "):
				refused++
			default:
				t.Errorf("a recipient: %s", line)
			}
		}
	}
	q := o.quota("sms_per_day")
	if sent != most || refused != runs*each-most || number(q, "limit") != most || number(q, "used") != most || text(q, "resets_at") == "" {
		t.Errorf("%d were sent and %d refused; the quota is %v", sent, refused, q)
	}
	told := 0
	for _, c := range o.calls("") {
		if text(c, "kind") == "sms" {
			told++
		}
	}
	if told != most {
		t.Errorf("%d text messages left, want %d", told, most)
	}
	if q := o.quota("open_runs"); number(q, "used") != 0 || number(q, "limit") != 1000 {
		t.Errorf("the quota of open runs is %v", q)
	}
}
