package client

import (
	"fmt"
	"math"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A Kind is what a fact is about.
type Kind string

// The kinds.
const (
	Posture Kind = "posture"
	Device  Kind = "device"
	Ticket  Kind = "ticket"
)

// A Fact is what one event says about a client. Its kind and its name are its
// place: a client has one posture, and any number of devices and tickets.
type Fact struct {
	Kind  Kind
	Name  string    // of the device or the ticket
	At    time.Time // when the event was published
	Event id.Event  // of a posture
	Score any       // of a posture: a document's number
	Ended bool      // the device was removed, or the ticket resolved
}

// The events that say something about their client.
const (
	postureUpdated = "defend:posture.updated"
	deviceAdded    = "rmm:device.added"
	deviceRemoved  = "rmm:device.removed"
	ticketCreated  = "psa:ticket.created"
	ticketResolved = "psa:ticket.resolved"
)

// Keeps reports whether events of this name say something about their client.
func Keeps(name string) bool {
	switch name {
	case postureUpdated, deviceAdded, deviceRemoved, ticketCreated, ticketResolved:
		return true
	}
	return false
}

// FactOf returns what an event says about its client, and whether it says
// anything: an event without a client, or without the field that matters, does
// not.
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

// maxName is how long the name of a device or a ticket may be, in bytes.
const maxName = 256

func name(v any) (string, bool) {
	s, _ := v.(string)
	return s, s != "" && len(s) <= maxName
}

// Weight orders the facts of one place: the greater text outweighs the other.
// The newest posture does, of one moment that of the later event; so does what
// was last said of a device, of one moment its removal. Of a ticket it is the
// earliest opening; what was only seen resolved is taken to be opened then,
// until its opening is known.
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

// Expires returns the time after which the fact says nothing; never for zero.
func (f Fact) Expires() time.Time {
	if f.Kind != Ticket {
		return time.Time{}
	}
	return f.At.Add(Recent + 24*time.Hour)
}
