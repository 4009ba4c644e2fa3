package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// The events that the agents listen for.
const (
	ticketCreated   = "psa:ticket.created"
	ticketEscalated = "psa:ticket.escalated"
	slaWarning      = "psa:ticket.sla_warning"
	slaBreached     = "psa:ticket.sla_breached"
	alertFired      = "defend:alert.fired"
	deviceAlert     = "rmm:alert.triggered"
)

// The length of a wait step and the timeout of a gate.
const (
	pause = 2  // seconds
	gate  = 12 // seconds
)

// A doc is a JSON object.
type doc = map[string]any

// note returns a step that adds a note. The note's body names run and step, so
// that the audit recognizes a call under a wrong key.
func note(id string) doc {
	return doc{
		"id": id, "type": "product_action", "product": "psa", "action": "add_note",
		"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "body": try(id), "visibility": "internal"},
	}
}

func try(id string) string { return "try of {{ execution.id }}:" + id }

func think(id, model string) doc {
	return doc{
		"id": id, "type": "ai_reason", "model": model, "prompt": "What is it about? {{ event_payload.text }}",
		"output_schema": doc{
			"type": "object", "additionalProperties": false, "required": []string{"summary"},
			"properties": doc{"summary": doc{"type": "string"}},
		},
	}
}

func (o *org) tell(id string) doc {
	return doc{
		"id": id, "type": "notification", "channel": "webhook", "body": try(id),
		"recipients": []string{o.outputs.Products + "/hooks/" + o.name + "/webhook"},
	}
}

func ask(id, onExpiry string) doc {
	return doc{
		"id": id, "type": "approval_gate", "message": "May I? {{ event_payload.text }}",
		"timeout_seconds": gate, "on_expiry": onExpiry,
	}
}

func isolate(id string) doc {
	return doc{
		"id": id, "type": "product_action", "product": "defend", "action": "isolate_device",
		"params": doc{"device_id": "{{ event_payload.device_id }}", "reason": try(id)},
	}
}

// agents returns the agents of the organization.
func (o *org) agents() []doc {
	thoughts := []any{think("think", "quick"), note("then")}
	if o.poor {
		thoughts = []any{think("think", "expert"), think("rethink", "expert"), think("overthink", "expert"), think("dream", "expert"), note("then")}
	}
	agents := []doc{
		agent("clerk", ticketEscalated, note("first"), doc{
			"id": "which", "type": "branch",
			"cases": []any{doc{
				"when":  doc{"context": "event", "field": "escalated_to", "operator": "in", "value": []string{"p1", "p2"}},
				"steps": []any{note("urgent"), o.tell("tell")},
			}},
			"else": []any{note("calm")},
		}),
		agent("sleeper", ticketEscalated, note("before"), doc{"id": "rest", "type": "wait", "duration_seconds": pause}, note("after")),
		agent("thinker", slaWarning, thoughts...),
		agent("asker", alertFired, note("look"), ask("confirm", "deny"), isolate("isolate"), o.tell("report")),
		agent("patient asker", alertFired, ask("silence", "approve"), note("noted")),
		agent("limited", slaBreached, note("rare")),
		urgent("stand-in", note("instead")),
		urgent("picky", note("picked")),
	}
	agents[5]["execution_limit"] = doc{"max_per_hour": 3}
	agents[6]["conflict_behavior"] = "override"
	return agents
}

// agent returns an agent that listens for an event.
func agent(name, event string, steps ...any) doc {
	product, kind := split(event)
	return doc{
		"name": name, "description": "Made to be interrupted.", "category": "service_desk", "steps": steps,
		"trigger": doc{"type": "bus_event", "source_product": product, "event_type": kind, "filters": []any{}},
	}
}

// urgent returns an agent that listens for new tickets of the highest priority.
func urgent(name string, steps ...any) doc {
	a := agent(name, ticketCreated, steps...)
	product, kind := split(ticketCreated)
	a["trigger"] = doc{
		"type": "bus_event", "source_product": product, "event_type": kind,
		"filters": []any{doc{"field": "priority", "operator": "eq", "value": "p1"}},
	}
	return a
}

// introduce creates the organization, and creates and activates its agents.
func (o *org) introduce(ctx context.Context) error {
	plan := "growth"
	if o.poor {
		plan = "starter"
	}
	if err := o.put(ctx, "hub:org.created", doc{
		"id": "evt_" + o.nonce + o.name[4:], "event_type": "org.created", "source_product": "hub", "org_id": o.name,
		"payload": doc{"plan": plan}, "published_at": o.now().UTC().Format(time.RFC3339),
	}); err != nil {
		return err
	}
	if err := until(ctx, 30*time.Second, func() bool { return o.once(ctx, http.MethodGet, "/api/agents", nil).code == http.StatusOK }); err != nil {
		return fmt.Errorf("the API does not know %s after 30 s: %w", o.name, err)
	}
	agents := o.agents()
	if o.poor { // its plan allows five agents
		agents = agents[:5]
	}
	for _, a := range agents {
		made := o.once(ctx, http.MethodPost, "/api/agents", a)
		if made.code != http.StatusCreated {
			return fmt.Errorf("make the agent %v: %s", a["name"], made)
		}
		if r := o.once(ctx, http.MethodPut, "/api/agents/"+made.text("id"), doc{"status": "active"}); r.code != http.StatusOK {
			return fmt.Errorf("activate the agent %v: %s", a["name"], r)
		}
	}
	return nil
}

// detail returns an event's qualified name and its envelope for the bus.
func (o *org) detail(h plannedEvent) (name string, detail any) {
	product, kind := split(h.name)
	payload := doc{
		"ticket_id": fmt.Sprintf("tkt_%d", h.twin), "device_id": fmt.Sprintf("dev_%d", h.twin), "escalated_to": h.level, "priority": h.level,
		"severity": "low", "subject": "VPN down", "text": fmt.Sprintf("%s is down, says %d.", o.word, h.twin),
	}
	e := doc{
		"id": o.event(h), "event_type": kind, "source_product": product, "org_id": o.name, "client_id": "cli_1",
		"payload": payload, "published_at": o.now().UTC().Format(time.RFC3339),
	}
	name = h.name
	switch h.flaw {
	case "malformed":
		e["payload"] = "no object"
	case "unknown_org":
		e["org_id"] = "org_nobody" + o.nonce
	case "envelope_mismatch":
		e["event_type"] = "ticket.resolved"
	case "too_large":
		payload["text"] = fmt.Sprintf("%0*d", 300<<10, 0)
	}
	return name, e
}

// event returns the id of an event. Ids have equal length, so none is a prefix of
// another.
func (o *org) event(h plannedEvent) string { return fmt.Sprintf("evt_%sx%06d", o.nonce, h.number) }
