package main

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/queue"
)

// A letter is a dead letter with its message's id and time.
type letter struct {
	queue.Letter

	ID   string    `json:"message_id"`
	Sent time.Time `json:"sent_at"`

	about   about
	receipt string
}

// about holds the readable fields of an event's envelope.
type about struct {
	ID      string         `json:"id"`
	Type    string         `json:"event_type"`
	Product string         `json:"source_product"`
	Org     string         `json:"org_id"`
	Payload map[string]any `json:"payload"`
}

const (
	// unreadable is the reason of a message in the queue that is not a dead letter.
	unreadable = "unreadable"
	// undelivered is the reason of an event that the queue of undelivered events gave
	// up: no worker could be started for it, a thousand times.
	undelivered = "undelivered"
)

// read turns any message body into a letter.
func read(body string) letter {
	var l letter
	var raw struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	err := json.Unmarshal([]byte(body), &l.Letter)
	switch {
	case err == nil && l.Reason != "":
	case json.Unmarshal([]byte(body), &raw) == nil && raw.Source != "" && raw.Detail != nil:
		l.Letter = queue.Letter{
			Reason: undelivered, Message: "No worker could be started for the event.",
			Event: raw.Detail, Source: raw.Source, DetailType: raw.DetailType,
		}
	default:
		text, _ := json.Marshal(body) // a string never fails
		l.Letter = queue.Letter{Reason: unreadable, Message: "The message is not a dead letter of this system.", Event: text}
	}
	l.about = readAbout(l.Event)
	return l
}

// readAbout reads each field by itself, so that a field of the wrong type does
// not hide the other fields.
func readAbout(text json.RawMessage) about {
	var fields map[string]json.RawMessage
	var a about
	if json.Unmarshal(text, &fields) != nil {
		return a
	}
	for name, to := range map[string]any{
		"id": &a.ID, "event_type": &a.Type, "source_product": &a.Product, "org_id": &a.Org, "payload": &a.Payload,
	} {
		_ = json.Unmarshal(fields[name], to) // a field of another type stays empty
	}
	return a
}

// name returns the qualified name of an event.
func (a about) name() string {
	if a.Product == "" && a.Type == "" {
		return ""
	}
	return a.Product + ":" + a.Type
}

// A choice selects letters; an empty field selects all.
type choice struct{ reason, org, event string }

func (c choice) has(l letter) bool {
	return (c.reason == "" || c.reason == l.Reason) && (c.org == "" || c.org == l.about.Org) &&
		(c.event == "" || c.event == l.about.ID)
}

// hopeless explains why the event of a letter with this reason would fail again;
// empty when it may succeed.
func hopeless(reason string) string {
	switch reason {
	case event.ErrMalformed.Code:
		return "a malformed event stays malformed; its product has to publish it again, corrected"
	case event.ErrMismatch.Code:
		return "the envelope names another product or type than the bus did"
	case event.ErrTooLarge.Code:
		return "the event is larger than the limit, and its letter has only the envelope"
	}
	return ""
}

// stays explains why the letter's event is not put back on the bus; empty when it
// is. Force also puts back an event that is likely to fail again.
func (l letter) stays(force bool) string {
	why := hopeless(l.Reason)
	switch {
	case l.Reason == unreadable:
		return "the message is not a dead letter, so it has no event"
	case why != "" && !force:
		return why
	case l.about.Payload == nil:
		return "the letter has no payload: the event had none or was too large to keep; the archive has the original event"
	case l.about.Product == "" || l.about.Type == "":
		return "the event has no source_product or no event_type, which the bus needs"
	case l.about.Product == outbox.Product:
		return "only the platform's functions may put its own events on the bus; operate replay -type " + l.about.name() + " -org " + l.about.Org + " delivers it from the archive"
	}
	return ""
}

// plain makes text from outside safe to print: on one line, without control
// characters that a terminal would obey.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) {
			return '·'
		}
		return r
	}, s)
}

// short cuts s to n characters.
func short(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
