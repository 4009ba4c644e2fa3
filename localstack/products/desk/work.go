package desk

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
)

// A thing is an object of a product: a ticket, a note, a device.
type thing map[string]any

// errParams is the error of params that do not fit the action.
var errParams = errors.New("the params do not fit the action")

// A task is one action for an org.
type task struct {
	org, product, action, key string
	params                    thing
}

// A State has the products' things of one org by id.
type State struct {
	Tickets map[string]thing `json:"tickets"`
	Notes   map[string]thing `json:"notes"`
	Devices map[string]thing `json:"devices"`
}

// products keeps the things of every org.
type products struct {
	mu      sync.Mutex
	tickets *boundedMap[thing]
	notes   *boundedMap[thing]
	devices *boundedMap[thing]
	done    int
}

func newProducts(limit int) *products {
	return &products{tickets: newBoundedMap[thing](limit), notes: newBoundedMap[thing](limit), devices: newBoundedMap[thing](limit)}
}

// do carries out a task and returns the product's answer.
func (p *products) do(t task) (thing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.done++
	switch t.action {
	case "create_ticket":
		return p.createTicket(t), nil
	case "update_ticket":
		return p.updateTicket(t)
	case "add_note":
		return p.addNote(t)
	case "isolate_device":
		return p.isolate(t, true)
	case "unisolate_device":
		return p.isolate(t, false)
	}
	return thing{"ok": true, "id": p.newID(t, t.action)}, nil
}

func (p *products) createTicket(t task) thing {
	id := p.newID(t, "ticket")
	ticket := thing{"status": "open"}
	maps.Copy(ticket, t.params)
	ticket["id"] = id
	p.tickets.put(within(t.org, id), ticket)
	return thing{"ok": true, "id": id, "ticket_id": id, "ticket": maps.Clone(ticket)}
}

func (p *products) updateTicket(t task) (thing, error) {
	id, err := t.word("ticket_id")
	if err != nil {
		return nil, err
	}
	ticket := p.ticket(t.org, id)
	maps.Copy(ticket, t.params)
	delete(ticket, "ticket_id")
	p.tickets.put(within(t.org, id), ticket)
	return thing{"ok": true, "id": id, "ticket_id": id, "ticket": maps.Clone(ticket)}, nil
}

func (p *products) addNote(t task) (thing, error) {
	ticket, err := t.word("ticket_id")
	if err != nil {
		return nil, err
	}
	id := p.newID(t, "note")
	note := maps.Clone(t.params)
	note["id"] = id
	p.tickets.put(within(t.org, ticket), p.ticket(t.org, ticket))
	p.notes.put(within(t.org, id), note)
	return thing{"ok": true, "id": id, "note_id": id, "ticket_id": ticket}, nil
}

func (p *products) isolate(t task, isolated bool) (thing, error) {
	id, err := t.word("device_id")
	if err != nil {
		return nil, err
	}
	device := maps.Clone(t.params)
	delete(device, "device_id")
	device["id"], device["isolated"] = id, isolated
	p.devices.put(within(t.org, id), device)
	return thing{"ok": true, "id": id, "device_id": id, "isolated": isolated}, nil
}

// ticket returns a copy of the ticket. An unknown id gives a new open ticket, so
// that events may name any ticket.
func (p *products) ticket(org, id string) thing {
	if ticket, known := p.tickets.get(within(org, id)); known {
		return maps.Clone(ticket)
	}
	return thing{"id": id, "status": "open"}
}

// state returns the things of org.
func (p *products) state(org string) State {
	p.mu.Lock()
	defer p.mu.Unlock()

	return State{Tickets: of(org, p.tickets), Notes: of(org, p.notes), Devices: of(org, p.devices)}
}

func of(org string, s *boundedMap[thing]) map[string]thing {
	mine := map[string]thing{}
	for key, v := range s.values {
		if id, ok := strings.CutPrefix(key, within(org, "")); ok {
			mine[id] = maps.Clone(v)
		}
	}
	return mine
}

// newID derives an id: always the same from an idempotency key, and a new one for
// each task without a key.
func (p *products) newID(t task, kind string) string {
	which := "key " + t.key
	if t.key == "" {
		which = "work " + strconv.Itoa(p.done)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{t.org, t.product, t.action, which}, "\x00")))
	return kind + "_" + hex.EncodeToString(sum[:10])
}

// word returns a param that must be a non-empty string.
func (t task) word(name string) (string, error) {
	v, ok := t.params[name].(string)
	if !ok || v == "" {
		return "", fmt.Errorf("%w: %s.%s needs %s, a non-empty string", errParams, t.product, t.action, name)
	}
	return v, nil
}

// within returns the key of a thing of an org.
func within(org string, parts ...string) string {
	return org + "\x00" + strings.Join(parts, "\x00")
}
