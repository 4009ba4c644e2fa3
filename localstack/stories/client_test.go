package stories_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"
)

// ago returns an event about a client that was published this long ago.
func (o *org) ago(age time.Duration, product, eventType string, payload doc) doc {
	payload["client_id"] = "cli_acme"
	e := o.envelope(product, eventType, payload)
	e["published_at"] = time.Now().Add(-age).UTC().Format(time.RFC3339Nano)
	return e
}

// profileLogger creates an agent that logs time on an escalated ticket of a
// client with this many devices. Its conditions, a text and a number use the
// client's profile.
func (o *org) profileLogger(devices int) {
	o.t.Helper()
	demand := func(field string, value any) doc {
		return doc{"context": "client_context", "field": field, "operator": "eq", "value": value}
	}
	a := text(o.must(http.StatusCreated, o.post("/api/agents", doc{
		"name": "Client agent", "category": "service_desk",
		"trigger": doc{"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated"},
		"conditions": []any{
			demand("security_posture_score", 72), demand("recent_incidents", 3), demand("device_inventory.count", devices),
		},
		"steps": []any{doc{
			"id": "log", "type": "product_action", "product": "psa", "action": "add_time_entry",
			"params": doc{
				"ticket_id": "{{ event_payload.ticket_id }}", "minutes": "{{ client_context.device_inventory.count }}",
				"technician": "tech_1",
				"summary": "score {{ client_context.security_posture_score }}, {{ client_context.recent_incidents }} tickets, " +
					"{{ client_context.device_inventory.devices | join: ' ' }}",
			},
		}},
	})), "id")
	o.must(http.StatusOK, o.call(http.MethodPut, "/api/agents/"+a, doc{"status": "active"}))
}

// waitForLog publishes events of the client, each of another ticket, until time
// was logged with these values.
func (o *org) waitForLog(minutes int, summary string) {
	o.t.Helper()
	o.eventually(summary, func() bool {
		o.publish("psa", "ticket.escalated", doc{"ticket_id": "tkt_" + rand.Text(), "escalated_to": "p1", "client_id": "cli_acme"})
		return slices.ContainsFunc(o.done("add_time_entry"), func(c any) bool {
			return at(c, "params", "minutes") == float64(minutes) && text(c, "params", "summary") == summary
		})
	})
}

func TestTheProfileOfAClientDoesNotDependOnTheOrderOfEvents(t *testing.T) {
	t.Parallel()

	o := open(t).tenant(t)
	const hour, day = time.Hour, 24 * time.Hour
	facts := []doc{
		o.ago(time.Minute, "defend", "posture.updated", doc{"security_posture_score": 72}),
		o.ago(hour, "defend", "posture.updated", doc{"security_posture_score": 40}),
		o.ago(2*hour, "rmm", "device.added", doc{"device_id": "dev_2"}),
		o.ago(3*hour, "rmm", "device.added", doc{"device_id": "dev_1"}),
		o.ago(hour, "rmm", "device.removed", doc{"device_id": "dev_gone"}),
		o.ago(2*hour, "rmm", "device.added", doc{"device_id": "dev_gone"}),
		o.ago(0, "psa", "ticket.resolved", doc{"ticket_id": "tkt_old"}),
		o.ago(31*day, "psa", "ticket.created", doc{"ticket_id": "tkt_old"}),
		o.ago(day, "psa", "ticket.created", doc{"ticket_id": "tkt_1"}),
		o.ago(0, "psa", "ticket.resolved", doc{"ticket_id": "tkt_1"}),
		o.ago(29*day, "psa", "ticket.created", doc{"ticket_id": "tkt_2"}),
		o.ago(hour, "psa", "ticket.resolved", doc{"ticket_id": "tkt_never_opened"}),
	}
	tell := func(all []doc) {
		for _, e := range all {
			body, _ := json.Marshal(e)
			o.put(text(e, "source_product"), text(e, "event_type"), string(body))
		}
	}
	o.profileLogger(2)
	o.profileLogger(3)
	tell(facts)
	o.waitForLog(2, "score 72, 3 tickets, dev_1 dev_2")

	slices.Reverse(facts)
	tell(facts) // a repetition
	tell([]doc{o.ago(0, "rmm", "device.added", doc{"device_id": "dev_3"})})
	o.waitForLog(3, "score 72, 3 tickets, dev_1 dev_2 dev_3")
}
