package stories_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// failing returns a step that fails, since the event lacks its field.
func failing() doc {
	return doc{"id": "judge", "type": "ai_reason", "model": "quick", "prompt": "Judge {{ event_payload.gone }}."}
}

// listener creates an agent that listens for platform events of a type.
func (o *org) listener(eventType string, steps ...any) string {
	o.t.Helper()
	return o.agentWith("agents", eventType, doc{"name": "Listener", "trigger": doc{"allow_agent_triggered": true}}, steps...)
}

// runsOf returns the executions of an agent.
func (o *org) runsOf(agent string) []any {
	o.t.Helper()
	return list(o.must(http.StatusOK, o.get("/api/executions?agent_id="+agent)), "executions")
}

// delivered returns the messages that were delivered over a channel.
func (o *org) delivered(kind string) []any {
	o.t.Helper()
	return slices.DeleteFunc(o.calls(""), func(c any) bool { return text(c, "kind") != kind })
}

func TestAFailedRunStartsTheAgentsThatListenForFailures(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.mustRefuse(http.StatusBadRequest, "invalid_agent_config", o.post("/api/agents", doc{
		"name": "Deaf", "category": "operations", "steps": []any{note("a", "b")},
		"trigger": doc{"type": "bus_event", "source_product": "agents", "event_type": "execution.failed", "filters": []any{}},
	}))
	alarm := o.must(http.StatusCreated, o.post("/api/templates/tmpl_failed_run_alert/clone", nil))
	tell, _ := at(alarm, "steps", 0).(doc)
	tell["recipients"] = []any{strings.NewReplacer("{org}", o.name, "{channel}", "slack").Replace(o.outputs.Hook)}
	o.must(http.StatusOK, o.call(http.MethodPut, "/api/agents/"+text(alarm, "id"), doc{"steps": []any{tell}, "status": "active"}))
	self := o.listener("execution.failed", failing()) // fails at each failure except its own
	failed := o.agent(failing())
	o.escalate()

	o.eventually("the channel received both failures", func() bool { return len(o.delivered("slack")) == 2 })
	var x doc
	for _, run := range o.runsOf(failed) {
		x = o.ends(text(run, "id"))
	}
	var texts []string
	for _, m := range o.delivered("slack") {
		texts = append(texts, text(m, "body", "text"))
	}
	said := strings.Join(texts, "\n")
	for _, want := range []string{text(x, "id"), "template_error", "Story agent", "Listener"} {
		if !strings.Contains(strings.ReplaceAll(said, "\\", ""), want) {
			t.Errorf("the message does not contain %s: %s", want, said)
		}
	}
	for _, run := range o.runsOf(text(alarm, "id")) {
		e := o.ends(text(run, "id"))
		if text(e, "trigger_event", "event_type") != "execution.failed" || text(e, "trigger_event", "payload", "code") != "template_error" {
			t.Errorf("started by %v", at(e, "trigger_event"))
		}
	}
	if n := len(o.runsOf(self)); n != 1 {
		t.Errorf("the listener that fails ran %d times, want once: for the failure of the other", n)
	}
	o.eventually("its activity has the refusal for its own failure", func() bool {
		for _, e := range list(o.must(http.StatusOK, o.get("/api/agents/"+self+"/activity")), "activity") {
			if text(e, "outcome") == "loop_guard" && strings.Contains(text(e, "detail"), "its own failure") {
				return true
			}
		}
		return false
	})
}

func TestEachThresholdOfLowCreditsIsReportedOnce(t *testing.T) {
	t.Parallel()

	o := open(t).unannounced(t)
	o.publish("hub", "org.created", doc{"plan": "starter"})
	o.eventually("the organization is announced", func() bool { return o.get("/api/agents").status == http.StatusOK })
	listener := o.listener("credits.low", doc{
		"id": "tell", "type": "notification", "channel": "slack",
		"recipients": []any{strings.NewReplacer("{org}", o.name, "{channel}", "slack").Replace(o.outputs.Hook)},
		"body":       "{{ event_payload.threshold_percent }} percent: {{ event_payload.message }}",
	})
	var steps []any
	for _, name := range "abcdefghijklmnopqrstu" { // 4,200 credits
		steps = append(steps, doc{"id": string(name), "type": "ai_reason", "model": "expert", "prompt": "Think of {{ event_payload.ticket_id }}."})
	}
	spender := o.agent(steps...)
	for range 4 { // 16,800 of 20,000, all at once
		o.escalate()
	}
	o.eventually("four runs are completed", func() bool {
		return len(list(o.must(http.StatusOK, o.get("/api/executions?status=completed&agent_id="+spender)), "executions")) == 4
	})
	o.eventually("the channel received a message", func() bool { return len(o.delivered("slack")) > 0 })
	o.escalate() // to 21,000: 95 percent, and the run fails for want of credits
	o.eventually("the channel received a message about the next threshold", func() bool { return len(o.delivered("slack")) >= 2 })
	o.eventually("the last run failed", func() bool {
		return len(list(o.must(http.StatusOK, o.get("/api/executions?status=failed&agent_id="+spender)), "executions")) == 1
	})
	told := map[float64]int{}
	o.eventually("every event started its listener", func() bool {
		told = map[float64]int{}
		for _, run := range o.runsOf(listener) {
			told[number(o.ends(text(run, "id")), "trigger_event", "payload", "threshold_percent")]++
		}
		return len(told) == 3
	})
	for percent, n := range told {
		if n != 1 {
			t.Errorf("%v percent was reported %d times", percent, n)
		}
	}
}

func TestOwnersGetOneEMailForThreeFailures(t *testing.T) {
	t.Parallel()

	o := open(t).unannounced(t)
	owner := "owner@" + strings.ToLower(o.name[4:]) + ".example"
	o.publish("hub", "org.created", doc{"plan": "growth", "owners": []any{doc{"user_id": "user_olivia", "email": owner}}})
	o.eventually("the organization is announced", func() bool { return o.get("/api/agents").status == http.StatusOK })
	agent := o.agent(failing())
	for range 3 {
		o.escalate()
	}
	o.eventually("three runs failed", func() bool {
		return len(list(o.must(http.StatusOK, o.get("/api/executions?status=failed&agent_id="+agent)), "executions")) == 3
	})
	o.eventually("the owner has an e-mail", func() bool { return len(o.delivered("email")) > 0 })
	mails := o.delivered("email")
	if len(mails) != 1 || text(mails[0], "body", "to", 0) != owner || !strings.Contains(text(mails[0], "body", "subject"), "1 failure in "+o.name) {
		t.Errorf("mails = %v, want one to the owner", mails)
	}
}
