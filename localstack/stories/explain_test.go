package stories_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// explain returns what became of an event of the organization.
func (o *org) explain(e doc) doc {
	o.t.Helper()
	q := url.Values{"event_type": {text(e, "source_product") + ":" + text(e, "event_type")}, "at": {text(e, "published_at")}}
	return o.must(http.StatusOK, o.get("/api/events/"+text(e, "id")+"/explain?"+q.Encode()))
}

// told returns what an explanation says of an agent.
func (o *org) told(x doc, agent string) any {
	o.t.Helper()
	for _, a := range list(x, "agents") {
		if text(a, "agent_id") == agent {
			return a
		}
	}
	o.t.Fatalf("nothing is said of %s: %v", agent, x)
	return nil
}

// received returns the ids of the events in the journal.
func (o *org) received() map[string]any {
	o.t.Helper()
	found := map[string]any{}
	for path := "/api/events/received?limit=2"; ; {
		page := o.must(http.StatusOK, o.get(path))
		for _, e := range list(page, "events") {
			if found[text(e, "event_id")] != nil {
				o.t.Errorf("%s is in the journal twice", text(e, "event_id"))
			}
			found[text(e, "event_id")] = e
		}
		next := text(page, "next_cursor")
		if next == "" {
			return found
		}
		path = "/api/events/received?limit=2&cursor=" + next
	}
}

func TestAnEventIsExplainedAtEveryAgent(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	p1 := doc{"trigger": doc{"filters": []any{doc{"field": "escalated_to", "operator": "eq", "value": "p1"}}}}
	fires := o.agent(note("tell", "hello"))
	filtered := o.agentWith("psa", "ticket.escalated", p1, note("tell", "hello"))
	paused := o.agent(note("tell", "hello"))
	o.must(http.StatusOK, o.change(paused, doc{"status": "paused"}))
	other := o.agentOn("psa", "ticket.resolved", note("tell", "hello"))
	draft := o.draft(note("tell", "hello"))
	escalated := func() doc {
		e := o.envelope("psa", "ticket.escalated", doc{"ticket_id": "tkt_1", "escalated_to": "p2"})
		o.put("psa", "ticket.escalated", e)
		return e
	}

	// Without a journal, what is recorded of the event explains it.
	e := escalated()
	o.entryOf(filtered, text(e, "id"))
	o.ends(o.run())
	x := o.explain(e)
	if at(x, "event", "payload") != nil || at(x, "event", "kept") != false || text(o.told(x, fires), "then", "outcome") != "started" || at(o.told(x, fires), "now") != nil {
		t.Errorf("without a journal: %v", x)
	}
	if n := len(o.received()); n != 0 {
		t.Errorf("without a journal %d events are kept", n)
	}

	o.must(http.StatusOK, o.call(http.MethodPatch, "/api/settings", doc{"journal_days": 7}))
	var kept doc
	o.eventually("events are kept", func() bool { // a dispatcher may have read the organization a moment before
		kept = escalated()
		o.entryOf(filtered, text(kept, "id"))
		return o.received()[text(kept, "id")] != nil
	})
	x = o.explain(kept)
	if text(x, "event", "payload", "escalated_to") != "p2" {
		t.Errorf("the event: %v", at(x, "event"))
	}
	a := o.told(x, filtered)
	if text(a, "then", "outcome") != "filtered" || text(a, "now", "outcome") != "filtered" || !strings.Contains(text(a, "because"), `escalated_to must be "p1"; it is "p2"`) ||
		text(a, "now", "checks", 1, "comparisons", 0, "found") != "p2" {
		t.Errorf("a filter that refuses: %v", a)
	}
	a = o.told(x, paused)
	if at(a, "then") != nil || text(a, "now", "outcome") != "started" || !strings.HasPrefix(text(a, "because"), "It was paused from ") || !strings.Contains(text(a, "because"), o.user) {
		t.Errorf("a paused agent: %v", a)
	}
	if a = o.told(x, draft); text(a, "because") != "It was a draft, and still is." || text(a, "now", "outcome") != "started" {
		t.Errorf("a draft: %v", a)
	}
	if a = o.told(x, other); text(a, "because") != "It listens for psa:ticket.resolved." || text(a, "now", "outcome") != "not_listening" {
		t.Errorf("an agent that listens for another event: %v", a)
	}

	// The journal has an event without a listener.
	unheard := o.envelope("psa", "ticket.sla_warning", doc{"ticket_id": "tkt_2"})
	o.put("psa", "ticket.sla_warning", unheard)
	o.eventually("it is in the journal", func() bool { return o.received()[text(unheard, "id")] != nil })
	if x := o.explain(unheard); text(o.told(x, fires), "now", "outcome") != "not_listening" {
		t.Errorf("an event without a listener: %v", x)
	}

	// The bus passes on no event of a type that the catalogue does not have.
	unknown := o.envelope("psa", "ticket.invented", doc{"ticket_id": "tkt_3"})
	o.put("psa", "ticket.invented", unknown)
	o.mustRefuse(http.StatusNotFound, "event_not_kept", o.get("/api/events/"+text(unknown, "id")+"/explain?at="+url.QueryEscape(text(unknown, "published_at"))))

	// The type that an explanation asks for is not in the catalogue.
	q := url.Values{"at": {text(unknown, "published_at")}, "event_type": {"psa:ticket.invented"}}
	if r := o.get("/api/events/" + text(unknown, "id") + "/explain?" + q.Encode()); !strings.Contains(text(r.body, "message"), "the catalogue has no event type psa:ticket.invented") {
		t.Errorf("an event of an unknown type: %v", r.body)
	}

	// An event that is dated ahead becomes a dead letter.
	ahead := o.envelope("psa", "ticket.escalated", doc{"ticket_id": "tkt_4", "escalated_to": "p1"})
	ahead["published_at"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	o.put("psa", "ticket.escalated", ahead)
	path := "/api/events/" + text(ahead, "id") + "/explain"
	o.eventually("the dead letter is noted", func() bool { return text(o.get(path).body, "event", "dead_letter", "reason") == "malformed" })
	x = o.must(http.StatusOK, o.get(path))
	if a := o.told(x, fires); !strings.HasPrefix(text(a, "because"), "It listened, but the event became a dead letter at ") || !strings.Contains(text(x, "event", "dead_letter", "message"), "ahead of the clock") {
		t.Errorf("a dead letter: %v", x)
	}

	// Another organization knows nothing of it.
	stranger := open(t).tenant(t)
	stranger.mustRefuse(http.StatusNotFound, "event_not_kept", stranger.get("/api/events/"+text(kept, "id")+"/explain?at="+url.QueryEscape(text(kept, "published_at"))))
}

// The write units of an event that starts nothing: none without a journal, and one with.
func TestAnEventThatIsKeptCostsOneWriteUnit(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	silent := func() doc {
		e := o.envelope("psa", "ticket.sla_warning", doc{"ticket_id": "tkt_1"})
		o.put("psa", "ticket.sla_warning", e)
		return e
	}
	o.must(http.StatusOK, o.call(http.MethodPatch, "/api/settings", doc{"journal_days": 7}))
	o.eventually("events are kept", func() bool { // one of those that were published so far
		silent()
		return len(o.received()) > 0
	})
	m := o.count()
	e := silent()
	o.eventually("it is in the journal", func() bool { return o.received()[text(e, "id")] != nil })
	written := 0
	for _, c := range m.written() {
		if sk := attribute(c.Keys, "sk"); strings.HasSuffix(sk, "#"+text(e, "id")) {
			written++
			if n := sizeOf(c.NewImage); n > 1024 {
				t.Errorf("a kept event has %d bytes", n)
			}
		}
	}
	if written != 1 {
		t.Errorf("%d items of the event were written, want 1", written)
	}
}
