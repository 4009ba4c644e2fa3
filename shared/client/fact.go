package client

import (
	"fmt"
	"math"
	"slices"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A Kind is the kind of thing that a fact describes.
type Kind string

// The kinds.
const (
	Posture Kind = "posture"
	Device  Kind = "device"
	Ticket  Kind = "ticket"
)

// A Fact is the statement of one event about a client. Its kind and its name
// are its key: a client has one posture, and any number of devices and tickets.
type Fact struct {
	Kind  Kind
	Name  string    // of the device or the ticket
	At    time.Time // when the event was published
	Event id.Event  // of a posture
	Score any       // of a posture: a number of package jsonvalue
	Ended bool      // the device was removed, or the ticket resolved
}

// The events with facts about their client.
const (
	postureUpdated = "defend:posture.updated"
	deviceAdded    = "rmm:device.added"
	deviceRemoved  = "rmm:device.removed"
	ticketCreated  = "psa:ticket.created"
	ticketResolved = "psa:ticket.resolved"
)

// Projected returns the names of the events with facts about their client.
func Projected() []string {
	return []string{postureUpdated, deviceAdded, deviceRemoved, ticketCreated, ticketResolved}
}

// Projects reports whether events of this name have a fact about their client.
func Projects(name string) bool { return slices.Contains(Projected(), name) }

// FactOf returns the fact in an event, and whether it has one: an event without
// a client, or without the required field, has none.
func FactOf(e event.Event) (Fact, bool) {
	if e.Client == "" {
		return Fact{}, false
	}
	f := Fact{At: e.Published}
	ok := false
	switch e.Name() {
	case postureUpdated:
		f.Kind, f.Event = Posture, e.ID
		f.Score, ok = number(e.Payload["security_posture_score"])
	case deviceAdded, deviceRemoved:
		f.Kind, f.Ended = Device, e.Name() == deviceRemoved
		f.Name, ok = name(e.Payload["device_id"])
	case ticketCreated, ticketResolved:
		f.Kind, f.Ended = Ticket, e.Name() == ticketResolved
		f.Name, ok = name(e.Payload["ticket_id"])
	}
	if !ok {
		return Fact{}, false
	}
	return f, true
}

func number(v any) (any, bool) {
	_, ok := jsonvalue.NumberText(v)
	if !ok {
		return nil, false
	}
	return v, true
}

// maxName is the maximum length, in bytes, of the name of a device or a ticket.
const maxName = 256

func name(v any) (string, bool) {
	s, _ := v.(string)
	return s, s != "" && len(s) <= maxName
}

// Weight orders the facts at one key: the greater text outweighs the smaller.
// The newest posture outweighs the others; at the same moment the greater event
// id does. The newest fact about a device outweighs the others; at the same
// moment its removal does. The earliest opening of a ticket outweighs the
// others. A ticket whose opening is unknown counts as opened at its resolution.
func (f Fact) Weight() string {
	at := f.At.UnixNano()
	switch f.Kind {
	case Posture:
		return fmt.Sprintf("%019d#%s", at, f.Event)
	case Device:
		return fmt.Sprintf("%019d#%t", at, f.Ended) // "false" < "true"
	case Ticket:
		return fmt.Sprintf("%t#%019d", !f.Ended, math.MaxInt64-at)
	}
	return ""
}

// Expires returns the time after which the fact no longer counts; never for
// zero.
func (f Fact) Expires() time.Time {
	if f.Kind != Ticket {
		return time.Time{}
	}
	return f.At.Add(Recent + 24*time.Hour)
}
