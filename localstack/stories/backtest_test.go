package stories_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// A back-test of the live version over a journal of 200 events starts the runs that the
// system started, and one of a change says what would be different.
func TestABackTestOverTwoHundredEventsSaysWhatHappened(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	const events, each = 200, 4
	body := doc{"agent_id": "", "against": "live", "play": "simulated"}
	quiet := o.agentWith("psa", "ticket.escalated", doc{"trigger": doc{
		"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated",
		"filters": []any{doc{"field": "escalated_to", "operator": "eq", "value": "p1"}},
	}}, note("first", "Seen {{ event_payload.ticket_id }}"))
	body["agent_id"] = quiet
	o.mustRefuse(http.StatusConflict, "journal_off", o.post("/api/backtests", body))
	o.must(http.StatusOK, o.call(http.MethodPatch, "/api/settings", doc{"journal_days": 30}))
	begun := time.Now()
	o.within(5*time.Second, "the second of the setting has passed", func() bool { return time.Since(begun) > time.Second })
	for n := range events {
		to := "p2"
		if n%each == 0 {
			to = "p1"
		}
		o.publish("psa", "ticket.escalated", doc{"ticket_id": fmt.Sprintf("tkt_bt_%d", n), "escalated_to": to})
	}
	o.within(3*time.Minute, "50 runs have ended", func() bool {
		done := 0
		for _, x := range list(o.must(http.StatusOK, o.get("/api/executions?limit=200&agent_id="+quiet)), "executions") {
			if text(x, "status") == "completed" {
				done++
			}
		}
		return done == events/each
	})
	var r doc
	o.within(time.Minute, "the journal has all events", func() bool { // the queue delivers them in any order
		r = o.backtest(body)
		return number(r, "events", "of_type") == events
	})
	if number(r, "would_start") != events/each || number(r, "refused", "filtered") != events-events/each || number(r, "diff", "both") != events/each ||
		number(r, "diff", "only_live")+number(r, "diff", "only_candidate") != 0 {
		t.Errorf("of the live version: %v", r)
	}
	if text(r, "effects", 0, "what") != "psa.add_note" || number(r, "effects", 0, "times") != events/each || number(r, "near_misses", 0, "only_this_failed") != events-events/each {
		t.Errorf("effects %v, near misses %v", at(r, "effects"), at(r, "near_misses"))
	}

	body["definition"] = doc{"trigger": doc{"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated"}, "execution_limit": doc{"max_per_day": 60}}
	r = o.backtest(body)
	if number(r, "would_start") != 60 || number(r, "refused", "limit_reached") != events-60 || at(r, "version") != nil {
		t.Errorf("without the filter: %v", r)
	}
	if calls := o.calls("add_note"); len(calls) != events/each {
		t.Errorf("%d calls of the product, want those of the runs", len(calls))
	}

	viewer := o.as("user_viewer", "viewer")
	viewer.mustRefuse(http.StatusForbidden, "forbidden", viewer.post("/api/backtests", body))
	jobs := list(viewer.must(http.StatusOK, viewer.get("/api/jobs")), "jobs")
	if len(jobs) < 2 || text(jobs[0], "status") != "completed" || at(jobs[0], "result") != nil {
		t.Errorf("the jobs are %v", jobs)
	}
	o.mustRefuse(http.StatusConflict, "conflict", o.post("/api/jobs/"+text(jobs[0], "id")+"/cancel", nil))
	o.mustRefuse(http.StatusNotFound, "job_not_found", open(t).tenant(t).get("/api/jobs/"+text(jobs[0], "id")))
}

// backtest makes a back-test and returns its result.
func (o *org) backtest(body doc) doc {
	o.t.Helper()
	j := o.must(http.StatusAccepted, o.post("/api/backtests", body))
	o.within(2*time.Minute, "the back-test has ended", func() bool {
		j = o.must(http.StatusOK, o.get("/api/jobs/"+text(j, "id")))
		return text(j, "ended_at") != ""
	})
	if text(j, "status") != "completed" {
		o.t.Fatalf("the back-test is %v", j)
	}
	r, _ := at(j, "result").(map[string]any)
	return r
}
