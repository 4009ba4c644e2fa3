// Package outbox gets the platform's own events onto the bus: a run failed, an
// agent was deactivated, credits run low.
//
// An event of ours is stored in the same transaction as the change that it
// tells of, under an id that is derived from that change. After the commit the
// writer publishes it and marks it as published; the sweeper repeats both for
// what is still in the outbox. An event may therefore reach the bus more than
// once, but always under the same id, and an agent starts at most once for an
// event id. If the bus is down, the events wait in the outbox.
//
// Their texts are ours: a sentence for each code, ids, and the name that the
// tenant gave to the agent. They hold no text of events, products or models.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
)

// Product is the source product of the platform's own events.
const Product = "agents"

// The types of the platform's own events.
const (
	ExecutionFailed = "execution.failed"
	AgentError      = "agent.error"
	CreditsLow      = "credits.low"
)

// Grace is how long the writer of an event has to publish it before the sweeper
// does. The sweeper comes every 30 seconds.
const Grace = 25 * time.Second

// A Notice is what an event of ours says. Fields that do not apply are empty
// and become null in the payload, so that templates may name every field.
type Notice struct {
	Type      string
	Org       id.Org
	Client    id.Client
	Agent     id.Agent
	AgentName string
	Execution id.Execution
	Step      id.Step
	Event     id.Event // the event that started the run
	Code      string
	Message   string // our sentence for the code
	More      map[string]any

	At    time.Time    // when it happened
	Since time.Time    // the time in the event's id; zero: At
	Key   string       // tells the notice from others of its type and time in the organization
	Cause id.Execution // the run that caused it, if any
	Depth int          // how many runs stand behind it; at least 1
}

// EventOf returns the event that tells of n: the same for the same time, type,
// organization and key.
func EventOf(n Notice) event.Event {
	at := n.At.UTC().Truncate(time.Second)
	since := n.Since
	if since.IsZero() {
		since = n.At
	}
	payload := map[string]any{
		"agent_id": orNull(n.Agent), "agent_name": orNull(n.AgentName), "execution_id": orNull(n.Execution),
		"step_id": orNull(n.Step), "code": n.Code, "message": n.Message,
		"client_id": orNull(n.Client), "event_id": orNull(n.Event),
	}
	maps.Copy(payload, n.More)
	return event.Event{
		ID:   id.Event("evt_" + id.Derive(since, string(n.Org), Product, n.Type, n.Key)),
		Type: n.Type, Product: Product, Org: n.Org, Client: n.Client, Payload: payload, Published: at,
		Metadata: &event.Metadata{
			AgentTriggered: true,
			Causation:      &event.Causation{Execution: n.Cause, Depth: max(n.Depth, 1)},
		},
	}
}

func orNull[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}

// Failed returns the agent that an event of ours is about, or "" for any other
// event. That agent is not started by it.
func Failed(e event.Event) id.Agent {
	if e.Product != Product {
		return ""
	}
	a, _ := e.Payload["agent_id"].(string)
	return id.Agent(a)
}

// Store keeps the events that are not published yet. Other stores put them in,
// with the changes that they tell of; they are due Grace after they happened.
type Store interface {
	// Unpublished returns up to limit events that were due before now, the
	// longest overdue first. It may be a moment behind.
	Unpublished(ctx context.Context, now time.Time, limit int) ([]event.Event, error)

	// Published takes an event out of the outbox. Doing it again changes nothing.
	Published(ctx context.Context, org id.Org, e id.Event) error
}

// Bus takes events. The same event may be put twice. An error means that the
// event may not be on the bus.
type Bus interface {
	Put(ctx context.Context, e event.Event) error
}

// Service publishes what is in the outbox.
type Service struct {
	Store Store
	Bus   Bus
	Now   func() time.Time
	// Report is told of an event that is left to the sweeper.
	Report func(ctx context.Context, err error)
}

// Publish publishes events that were just stored. The sweeper repeats it for
// those that fail.
func (s *Service) Publish(ctx context.Context, stored []event.Event) {
	for _, e := range stored {
		if err := s.publish(ctx, e); err != nil {
			s.Report(ctx, err)
		}
	}
}

// most is how many events one sweep publishes.
const most = 500

// Sweep publishes the events whose writers did not, and returns how many. One
// that fails does not keep the others.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	left, err := s.Store.Unpublished(ctx, s.Now(), most)
	if err != nil {
		return 0, fmt.Errorf("read the outbox: %w", err)
	}
	n := 0
	var errs []error
	for _, e := range left {
		if err := s.publish(ctx, e); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}

func (s *Service) publish(ctx context.Context, e event.Event) error {
	if err := s.Bus.Put(ctx, e); err != nil {
		return fmt.Errorf("publish %s %s: %w", e.Name(), e.ID, err)
	}
	if err := s.Store.Published(ctx, e.Org, e.ID); err != nil {
		return fmt.Errorf("mark %s %s as published: %w", e.Name(), e.ID, err)
	}
	return nil
}
