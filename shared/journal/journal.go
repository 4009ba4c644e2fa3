// Package journal keeps the events that an organization received, also those that
// started nothing, for as many days as its setting journal_days says.
//
// The dispatcher keeps an event before anything can refuse it: as its envelope was
// read, without the cause that the platform finds later. An event is in the journal
// once, however often it is delivered: its key is made of its type, its time and its
// id. What the dispatcher never reads with a known organization is not in it: an
// envelope that is malformed or dated ahead, and an event of an unknown or a deleted
// organization. Such an event becomes a dead letter, of which a note is kept for the
// organization that its envelope names; see Letter.
package journal

import (
	"context"
	"strings"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// MaxPayload is the size of a payload in bytes up to which it is kept; the trace of a
// run shows as much of what a step was given. A larger payload would cost as many
// write units as it has KB, and a list of such events megabytes.
const MaxPayload = 32 << 10

// An Entry is an event that the organization received.
type Entry struct {
	Event event.Event
	// Cut says that the payload was larger than MaxPayload; the event then has none.
	Cut bool
	// Expires is when the entry disappears.
	Expires time.Time
}

// Of returns the entry of an event that is kept for a number of days after its
// publication; ok is false when that time is over. It does not depend on the time of
// the delivery, so that a repeated delivery writes the same entry again.
func Of(e event.Event, days int, now time.Time) (entry Entry, ok bool) {
	entry = Entry{Event: e, Expires: e.Published.UTC().AddDate(0, 0, days).Truncate(time.Second)}
	if len(jsonvalue.Canonical(e.Payload)) > MaxPayload {
		entry.Event.Payload, entry.Cut = nil, true
	}
	return entry, now.Before(entry.Expires)
}

// A Place is the position of an entry in a list: the exact time of publication, then
// the id of the event. Later entries have greater places.
type Place string

// placeFormat has a fixed width, so that times sort as strings.
const placeFormat = "2006-01-02T15:04:05.000000000Z"

// Place returns the position of the entry.
func (e Entry) Place() Place { return PlaceAt(e.Event.Published) + Place("#"+e.Event.ID) }

// PlaceAt returns the position before all entries of a time.
func PlaceAt(t time.Time) Place { return Place(t.UTC().Format(placeFormat)) }

// Parts returns the time of the position and the event, if it names one; ok is false
// for an invalid position.
func (p Place) Parts() (at time.Time, e id.Event, ok bool) {
	text, name, _ := strings.Cut(string(p), "#")
	at, err := time.Parse(placeFormat, text)
	return at, id.Event(name), err == nil
}

// A Day is a day in UTC, such as 2026-03-09.
type Day string

// DayOf returns the day of a time.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// Begins returns when the day begins; zero for an invalid day.
func (d Day) Begins() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Before returns the day before.
func (d Day) Before() Day { return DayOf(d.Begins().AddDate(0, 0, -1)) }

// A Query selects the entries to list; empty fields select all.
type Query struct {
	Type   string // the qualified name of the event, such as psa:ticket.created
	Client id.Client
	Since  time.Time // published at this time or later; it must not be zero
	Until  time.Time // published before; zero for no bound
	Event  id.Event
	Now    time.Time // entries that have expired are not listed
	Limit  int
	After  Place // Next of the previous page
}

// Wants reports whether the query selects an entry, regardless of the page.
func (q Query) Wants(e Entry) bool {
	at := e.Event.Published
	return (q.Type == "" || q.Type == e.Event.Name()) &&
		(q.Client == "" || q.Client == e.Event.Client) &&
		(q.Event == "" || q.Event == e.Event.ID) &&
		!at.Before(q.Since) && (q.Until.IsZero() || at.Before(q.Until)) &&
		q.Now.Before(e.Expires) && (q.After == "" || e.Place() < q.After)
}

// A Page is a part of a list. It may be shorter than its limit before the end of the
// list.
type Page struct {
	Entries []Entry
	Next    Place // where the next page begins; empty at the end
}

// Store lists entries, the latest published first. What one call reads is bounded; a
// page that found nothing until then is empty and has a Next.
type Store interface {
	Received(ctx context.Context, org id.Org, q Query) (Page, error)
}
