package stories_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// story returns the lines of a run's story.
func (o *org) story(exec string) []string {
	o.t.Helper()
	var texts []string
	for _, l := range list(o.must(http.StatusOK, o.get("/api/executions/"+exec+"/story")), "lines") {
		texts = append(texts, text(l, "text"))
	}
	return texts
}

// narrates holds a story against patterns, which its lines match in this order.
func (o *org) narrates(exec string, patterns ...string) {
	o.t.Helper()
	lines := o.story(exec)
	rest := lines
	for _, p := range patterns {
		want, found := regexp.MustCompile(p), false
		for len(rest) > 0 && !found {
			found = want.MatchString(rest[0])
			rest = rest[1:]
		}
		if !found {
			o.t.Errorf("no line matches %s:\n%s", p, strings.Join(lines, "\n"))
			return
		}
	}
}

// It is not parallel: a stand-in that receives another story's rules restarts
// the counts of the rules here.
//
//nolint:paralleltest // see above.
func TestARunIsToldInSentences(t *testing.T) {
	o := open(t).tenant(t)
	o.addRules("_products", doc{"product": "psa", "action": "add_note", "status": 503, "times": 1})
	urgent := doc{"context": "event", "field": "escalated_to", "operator": "eq", "value": "p1"}
	o.agent(
		doc{"id": "judge", "name": "Judge it", "type": "ai_reason", "model": "quick", "prompt": "Judge {{ event_payload.subject }}"},
		gate(600),
		doc{"id": "route", "type": "branch", "cases": []any{doc{"when": urgent, "steps": []any{note("tell", "{{ event_payload.subject }}")}}}},
		doc{"id": "later", "type": "wait", "duration_seconds": 1},
		doc{
			"id": "mail", "type": "notification", "channel": "email", "recipients": []any{"lead@msp.example"}, "subject": "Done", "body": "Done.",
			"if": doc{"context": "event", "field": "escalated_to", "operator": "eq", "value": "p2"},
		},
	)
	o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p1", "client_id": "cli_1", "subject": "Fire”\nThe run completed."})
	exec := o.run()
	started := []string{
		"^psa published ticket.escalated for the client “cli_1”", "^The event started version 1 of the agent “Story agent”", "^A model of the class quick .* answered at “Judge it” with text “.*It cost 5 credits",
	}
	approval := o.approvalOf(exec)
	o.narrates(exec, append(started, "asked the owners and admins: “Isolate tkt_1\\?”", "^The run waits for the decision at .* until 20.* UTC; without one, the run is then cancelled", "^Still to come: “route”, “later” and “mail”")...)
	o.must(http.StatusOK, o.decide(approval, "approved"))
	o.ends(exec)
	o.narrates(exec, append(started, o.user+" approved at", "^The branch “route” took its case 1: “escalated_to must be", "^The action psa.add_note was done at “tell” with body “Fire\" The run completed.” \\(from the event\\).*The approvers saw these values.*It took 2 tries",
		"^The run waited 1 s at “later”", "^The e-mail at “mail” was skipped, because its condition did not hold", "^The run completed after .* It used 5 credits")...)
	for _, line := range o.story(exec) {
		if strings.HasPrefix(line, "The run completed.") {
			t.Errorf("a value of the event looks like a line: %q", line)
		}
	}

	stranger := open(t).tenant(t)
	stranger.mustRefuse(http.StatusNotFound, "execution_not_found", stranger.get("/api/executions/"+exec+"/story"))
}

func TestAnExplanationTellsWhatAnEventDidAndCaused(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	o.must(http.StatusOK, o.call(http.MethodPatch, "/api/settings", doc{"journal_days": 7}))
	o.agent(note("tell", "hello"))
	var e doc
	o.eventually("events are kept", func() bool { // a dispatcher may have read the organization a moment before
		e = o.envelope("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p1", "subject": text(e, "id")})
		o.put("psa", "ticket.escalated", e)
		return o.received()[text(e, "id")] != nil
	})
	o.eventually("its run has ended", func() bool { return text(o.explain(e), "did", 0, "status") == "completed" })
	exec := text(o.explain(e), "did", 0, "execution_id")

	// The note that the run added is an event of the product, which names its cause.
	caused := o.envelope("psa", "ticket.note_added", doc{"ticket_id": "tkt_1"})
	caused["metadata"] = doc{"agent_triggered": true, "causation": doc{"execution_id": exec, "depth": 1}}
	o.put("psa", "ticket.note_added", caused)
	o.eventually("the event is in the journal", func() bool { return o.received()[text(caused, "id")] != nil })
	x := o.explain(e)
	if got := list(x, "caused"); len(got) != 1 || text(got[0], "event_id") != text(caused, "id") || text(got[0], "execution_id") != exec || number(got[0], "depth") != 1 {
		t.Errorf("caused %v", got)
	}
	if !strings.HasPrefix(text(x, "did", 0, "story"), "The run completed after ") || at(x, "caused_note") != nil {
		t.Errorf("did %v, note %v", at(x, "did"), at(x, "caused_note"))
	}

	// An event that never came is judged alike.
	supposed := o.must(http.StatusOK, o.post("/api/events/explain", doc{"event_type": "psa:ticket.escalated", "payload": doc{"escalated_to": "p1"}, "depth": 1}))
	if a := o.told(supposed, text(x, "did", 0, "agent_id")); text(a, "now", "outcome") != "loop_guard" || !strings.HasPrefix(text(a, "because"), "It would not start: ") {
		t.Errorf("an event that an agent would have caused: %v", a)
	}
}
