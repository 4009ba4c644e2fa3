// Package activity answers "why did it not fire?": it records the decision
// about every event for every agent that listened.
//
// All entries use the dispatcher's clock: At is the time of the decision; for a
// started run, the time of its record. An event has at most two entries at an
// agent: the first refusal, however often the event is delivered, and one
// start, because a refused event may be replayed and is then judged again.
package activity

import (
	"context"
	"strings"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// Kept is the retention time of entries.
const Kept = 30 * 24 * time.Hour

// MaxDetail is the maximum size of the reason in an entry, in bytes.
const MaxDetail = 1 << 10

// An Entry is the decision about an event at an agent.
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
	Execution id.Execution // set if a run was started
	Client    id.Client    // of the event; empty for none, and in old entries

	// Related is the run that prevented the start: an earlier run for the same content,
	// or the run that caused the event. It is empty when no run did, and in old entries.
	Related id.Execution
	Fault   *condition.Fault // the comparison that refused the event; nil for none, and in old entries
}

// ID returns the id of the refusal of an event at an agent. It is
// deterministic, so an event that is delivered twice has one entry. Its time is
// the time in the event's id or, when the product's ids contain none, the time
// of publication.
func ID(org id.Org, a id.Agent, e id.Event, published time.Time) id.Activity {
	return id.Activity("act_" + id.Derive(made(e, published), string(org), string(a), string(e)))
}

// StartID returns the id of the start of an agent by an event.
func StartID(org id.Org, a id.Agent, e id.Event, published time.Time) id.Activity {
	return id.Activity("act_" + id.Derive(made(e, published), string(org), string(a), string(e), string(definition.Started)))
}

func made(e id.Event, published time.Time) time.Time {
	if t, ok := id.TimeOf(e); ok {
		return t
	}
	return published
}

// A Place is the sort key of an entry in the list: its exact time, then its id.
// Later entries have greater places.
type Place string

// placeFormat has a fixed width, so that times sort as strings.
const placeFormat = "2006-01-02T15:04:05.000000000Z"

// Place returns the sort key of the entry.
func (e Entry) Place() Place { return PlaceAt(e.At) + Place("#"+e.ID) }

// PlaceAt returns the sort key before all entries of a time.
func PlaceAt(t time.Time) Place { return Place(t.UTC().Format(placeFormat)) }

// Time returns the time of the place; ok is false for an invalid place.
func (p Place) Time() (t time.Time, ok bool) {
	at, _, _ := strings.Cut(string(p), "#")
	t, err := time.Parse(time.RFC3339Nano, at)
	return t, err == nil
}

// A Query selects the entries to list.
type Query struct {
	Since time.Time // older entries are not listed; see Kept
	Limit int
	After string // Next of the previous page
}

// A Page is a part of a list. It may be shorter than its limit.
type Page struct {
	Entries []Entry
	Next    string // where the next page begins; empty at the end
}

// Store lists entries, newest decision first, entries of the same nanosecond by
// id. It lists starts from the runs and refusals from their records.
type Store interface {
	Activity(ctx context.Context, org id.Org, a id.Agent, q Query) (Page, error)
}
