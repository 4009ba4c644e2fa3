package stories_test

import (
	"net/http"
	"testing"
	"time"
)

// In a deployed system whose runs are busy with slow calls, no call begins two
// seconds after the pause, and every run completes after the resumption.
func TestAPauseStopsAllRunsAndAResumptionCompletesThem(t *testing.T) {
	t.Parallel()

	const runs = 200
	o := open(t).tenant(t)
	o.addRules("_products", doc{"product": "psa", "action": "add_note", "delay_ms": 3000})
	a := o.agent(note("a", "first"), note("b", "second"), note("c", "third"))
	for range runs {
		o.escalate()
	}
	o.eventually("some runs are at work", func() bool { return len(o.calls("add_note")) > 0 })

	member := o.as("user_member", "member")
	paused := member.must(http.StatusOK, member.post("/api/pause", doc{"reason": "A story."}))
	answered := time.Now()
	if at(paused, "paused") != true || text(paused, "by") != "user_member" || text(paused, "reason") != "A story." || text(paused, "open_runs") != "hold" {
		t.Errorf("the pause is %v", paused)
	}
	o.mustRefuse(http.StatusForbidden, "forbidden", member.call(http.MethodDelete, "/api/pause", doc{"confirm": true}))
	time.Sleep(8 * time.Second)
	begun := len(o.calls("add_note"))
	for _, c := range o.calls("add_note") {
		if began, err := time.Parse(time.RFC3339Nano, text(c, "at")); err != nil || began.After(answered.Add(2*time.Second)) {
			t.Errorf("a call began %s after the pause (%v)", began.Sub(answered), err)
		}
	}
	if got := text(o.explained(a), "outcome"); got != "org_paused" {
		t.Errorf("the outcome of an event in the pause is %s", got)
	}
	state := o.must(http.StatusOK, o.get("/api/pause"))
	open := o.runs()
	t.Logf("%d calls had begun; held %v, missed %v of %d events; %d runs listed", begun, at(state, "held"), at(state, "missed"), runs+1, len(open))
	for _, listed := range open {
		x := o.must(http.StatusOK, o.get("/api/executions/"+text(listed, "id")))
		if text(x, "completed_at") == "" && text(x, "status_reason") != "org_paused" {
			t.Errorf("%s is %s, %q", text(x, "id"), text(x, "status"), text(x, "status_reason"))
		}
	}
	if now := len(o.calls("add_note")); now != begun {
		t.Errorf("%d calls began during the pause", now-begun)
	}
	o.eventually("each event started a run or was missed", func() bool {
		return int(number(o.get("/api/pause").body, "missed"))+total(o) == runs+1
	})

	resumed := o.must(http.StatusOK, o.call(http.MethodDelete, "/api/pause", doc{"confirm": true}))
	if at(resumed, "paused") != false {
		t.Errorf("after the resumption: %v", resumed)
	}
	started := total(o)
	o.eventually("all held runs complete", func() bool {
		return int(number(o.get("/api/executions?status=completed&limit=1").body, "total")) == started
	})
	if n := len(o.done("add_note")); n != 3*started {
		t.Errorf("%d notes for %d runs of three steps", n, started)
	}
	for n, kind := range []string{"org.resumed", "org.paused"} {
		acts := o.must(http.StatusOK, o.get("/api/audit?object="+o.name))
		if text(acts, "entries", n, "kind") != kind {
			t.Errorf("act %d: %v, want %s", n, acts, kind)
		}
	}
}

// total returns the number of runs of the organization.
func total(o *org) int { return int(number(o.get("/api/executions?limit=1").body, "total")) }
