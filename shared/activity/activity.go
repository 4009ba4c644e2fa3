// Package activity answers "why did it not fire?": what was decided about every
// event at every agent that listened for it.
//
// All entries have one clock, the dispatcher's: At is the time of the decision,
// for a run that was started the time of its record. An event has at most two
// entries at an agent: one refusal, the first, however often the event is
// delivered; and one start, since an event that was refused may be replayed and
// is then judged anew.
package activity

import (
	"context"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// Kept is how long entries are kept.
const Kept = 30 * 24 * time.Hour

// An Entry says what was decided about an event at an agent.
type Entry struct {
	ID        id.Activity
	Org       id.Org
	Agent     id.Agent
	At        time.Time // of the decision
	Event     id.Event
	EventType string
	Product   string
	Outcome   definition.Outcome
	Detail    string
	Execution id.Execution // when it was started
}

// ID returns the name of the refusal of an event at an agent: always the same,
// so that an event that is delivered twice has one. Its time is that of the
// event: the one in the event's id or, when the product's ids hold none, the
// time at which it was published.
func ID(org id.Org, a id.Agent, e id.Event, published time.Time) id.Activity {
	return id.Activity("act_" + id.Derive(made(e, published), string(org), string(a), string(e)))
}

// StartID returns the name of the start of an agent by an event.
func StartID(org id.Org, a id.Agent, e id.Event, published time.Time) id.Activity {
	return id.Activity("act_" + id.Derive(made(e, published), string(org), string(a), string(e), string(definition.Started)))
}

func made(e id.Event, published time.Time) time.Time {
	if t, ok := id.TimeOf(e); ok {
		return t
	}
	return published
}

// A Place is where an entry stands in the list: its time, exact, then its id.
// Later entries have greater places.
type Place string

// placeFormat has a fixed width, so that times sort as texts.
const placeFormat = "2006-01-02T15:04:05.000000000Z"

// Place returns where the entry stands.
func (e Entry) Place() Place { return PlaceAt(e.At) + Place("#"+e.ID) }

// PlaceAt returns the place before all entries of a time.
func PlaceAt(t time.Time) Place { return Place(t.UTC().Format(placeFormat)) }

// Time returns the time of the place; ok is false when the text is no place.
func (p Place) Time() (t time.Time, ok bool) {
	at, _, _ := strings.Cut(string(p), "#")
	t, err := time.Parse(time.RFC3339Nano, at)
	return t, err == nil
}

// A Query says which entries to list.
type Query struct {
	Since time.Time // older entries are not listed; see Kept
	Limit int
	After string // the Next of the page before
}

// A Page is a part of a list. It may be shorter than its limit.
type Page struct {
	Entries []Entry
	Next    string // where the next page begins; empty at the end
}

// Store lists entries, newest decision first, entries of the same nanosecond by
// id. The starts are the runs that events began; the refusals were recorded.
type Store interface {
	Activity(ctx context.Context, org id.Org, a id.Agent, q Query) (Page, error)
}
