package stories_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"theoneagents.app/agents/shared/canary"
)

// tick calls the canary for a minute.
func (o *org) tick(minute time.Time) canary.Report {
	o.t.Helper()
	address := o.outputs.Endpoint + "/2015-03-31/functions/" + o.outputs.Stack["CanaryFunctionName"] + "/invocations"
	r := o.send(http.MethodPost, address, doc{"minute": minute}, nil)
	raw, err := json.Marshal(o.must(http.StatusOK, r))
	if err != nil {
		o.t.Fatal(err)
	}
	var report canary.Report
	if err := json.Unmarshal(raw, &report); err != nil || !report.Published {
		o.t.Fatalf("the canary answers %s, %v", raw, err)
	}
	return report
}

// Three ticks show a run from its event to its end, in the roles that the functions have
// on AWS.
func TestTheRunOfTheCanaryGoesFromItsEventOverItsVerdictToItsEnd(t *testing.T) {
	t.Parallel()

	o := open(t).unannounced(t)
	o.name = "org_canary"
	minute := time.Now().Add(-time.Minute).Truncate(time.Minute)
	o.tick(minute)
	exec := ""
	o.eventually("the canary has a run", func() bool {
		r := o.get("/api/executions?limit=1")
		exec = text(r.body, "executions", 0, "id")
		return r.status == http.StatusOK && exec != ""
	})
	o.reaches(exec, "waiting_approval")
	o.tick(minute.Add(canary.Every))
	if x := o.ends(exec); text(x, "status") != "completed" || number(x, "credits_used") != 0 {
		t.Errorf("the run of the canary is %v", x)
	}
	if r := o.tick(minute.Add(canary.Settled)); !r.Ended || r.Failed || r.Took <= 0 || r.Late > canary.Every {
		t.Errorf("report %+v, want a completed run and none late", r)
	}
}
