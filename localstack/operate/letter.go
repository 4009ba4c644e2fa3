package main

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/queue"
)

// A letter is a dead letter as it lies in its queue.
type letter struct {
	queue.Letter

	ID   string    `json:"message_id"`
	Sent time.Time `json:"sent_at"`

	about   about
	receipt string
}

// about is what an event says of itself, as far as it can be read.
type about struct {
	ID      string         `json:"id"`
	Type    string         `json:"event_type"`
	Product string         `json:"source_product"`
	Org     string         `json:"org_id"`
	Payload map[string]any `json:"payload"`
}

// unreadable is the reason of what lies in the queue and is no letter.
const unreadable = "unreadable"

// read makes a letter of the body of a message; of any body.
func read(body string) letter {
	var l letter
	if err := json.Unmarshal([]byte(body), &l.Letter); err != nil || l.Reason == "" {
		text, _ := json.Marshal(body) // a string always has JSON
		l.Letter = queue.Letter{Reason: unreadable, Message: "This is no letter.", Event: text}
	}
	l.about = readAbout(l.Event)
	return l
}

// readAbout reads each field by itself: one of the wrong type hides no other.
func readAbout(text json.RawMessage) about {
	var fields map[string]json.RawMessage
	var a about
	if json.Unmarshal(text, &fields) != nil {
		return a
	}
	for name, to := range map[string]any{
		"id": &a.ID, "event_type": &a.Type, "source_product": &a.Product, "org_id": &a.Org, "payload": &a.Payload,
	} {
		_ = json.Unmarshal(fields[name], to) // what is something else stays empty
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

// A choice says which letters are meant; what is empty means all.
type choice struct{ reason, org, event string }

func (c choice) has(l letter) bool {
	return (c.reason == "" || c.reason == l.Reason) && (c.org == "" || c.org == l.about.Org) &&
		(c.event == "" || c.event == l.about.ID)
}

// hopeless says of some reasons why their events cannot succeed as they are.
func hopeless(reason string) string {
	switch reason {
	case event.ErrMalformed.Code:
		return "a malformed event stays malformed: its product has to publish it anew"
	case event.ErrMismatch.Code:
		return "the envelope and the bus disagreed about what the event is, and put back it would count as what the envelope says"
	case event.ErrTooLarge.Code:
		return "the event is larger than what is taken, and its letter has the envelope alone"
	}
	return ""
}

// stays says why the letter's event is not put back on the bus; empty when it
// is. Force overrules what is only likely to fail.
func (l letter) stays(force bool) string {
	why := hopeless(l.Reason)
	switch {
	case l.Reason == unreadable:
		return "it is no letter, so it has no event"
	case why != "" && !force:
		return why
	case l.about.Payload == nil:
		return "the letter has no whole event: none was there, or it was cut to its envelope; the archive has it as it came"
	case l.about.Product == "" || l.about.Type == "":
		return "the event does not say what it is, so the bus cannot be told"
	}
	return ""
}

// plain returns what came from outside as it may be shown: on one line, without
// what a terminal would obey.
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

// short returns what fits into n characters.
func short(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
