// Package activity answers "why did it not fire?": what became of every event
// at every agent that listened for it.
package activity

import (
	"context"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/id"
)

// Kept is how long entries are kept.
const Kept = 7 * 24 * time.Hour

// An Entry says what became of an event at an agent.
type Entry struct {
	ID        id.Activity
	Org       id.Org
	Agent     id.Agent
	At        time.Time
	Event     id.Event
	EventType string
	Product   string
	Outcome   agent.Outcome
	Detail    string
	Execution id.Execution // when it was started
}

// ID returns the name of what became of an event at an agent: always the same,
// so that an event that is delivered twice is one entry.
func ID(org id.Org, a id.Agent, e id.Event, at time.Time) id.Activity {
	return id.Activity("act_" + id.Derive(at, string(org), string(a), string(e)))
}

// A Query says which entries to list.
type Query struct {
	Since time.Time // what is older is not listed; see Kept
	Limit int
	After string // the Next of the page before
}

// A Page is a part of a list.
type Page struct {
	Entries []Entry
	Next    string // where the next page begins; empty at the end
}

// Store lists entries, newest first. The started ones are the runs that events
// began, at the time of their record; the others were recorded, at the time of
// their event, which their ids hold: so an entry keeps its place however often
// its event is delivered.
type Store interface {
	Activity(ctx context.Context, org id.Org, a id.Agent, q Query) (Page, error)
}
