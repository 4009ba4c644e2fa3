// Package outbox publishes the platform's own events on the bus: a run failed,
// an agent was deactivated, credits run low.
//
// A platform event is stored in the same transaction as the change that it
// reports, under an id derived from that change. After the commit the writer
// publishes it and marks it as published; the sweeper does both for events left
// in the outbox. An event may therefore reach the bus more than once, but
// always under the same id, and an agent starts at most once for an event id.
// If the bus is down, the events wait in the outbox.
//
// The payload consists of fixed sentences for codes, ids, and the name that the
// tenant gave to the agent. It contains no text of events, products or models.
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

// Grace is the time that the writer of an event has to publish it before the
// sweeper does. The sweeper runs every 30 seconds.
const Grace = 25 * time.Second

// A Notice is the content of a platform event. Fields that do not apply are
// empty and become null in the payload, so that templates may name every field.
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
	Message   string // the fixed sentence for the code
	More      map[string]any

	At    time.Time    // when it happened
	Since time.Time    // the time in the event's id; zero: At
	Key   string       // distinguishes notices of the same type and time in the organization
	Cause id.Execution // the run that caused it, if any
	Depth int          // causal depth: runs behind it, at least 1
}

// EventOf returns the event for n. Its id depends on the time, type,
// organization and key alone.
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

// Failed returns the agent whose failure a platform event reports, or "". That
// agent is not started by the event.
func Failed(e event.Event) id.Agent {
	if e.Product != Product {
		return ""
	}
	a, _ := e.Payload["agent_id"].(string)
	return id.Agent(a)
}

// Store keeps the events that are not published yet. Other stores write them
// together with the changes that they report. They are due Grace after they
// happened.
type Store interface {
	// Unpublished returns up to limit events that were due before now, the
	// longest overdue first. Its index may lag behind.
	Unpublished(ctx context.Context, now time.Time, limit int) ([]event.Event, error)

	// Published removes an event from the outbox. It may be repeated.
	Published(ctx context.Context, org id.Org, e id.Event) error
}

// Bus publishes events. The same event may be put twice. After an error the
// event may be missing on the bus.
type Bus interface {
	Put(ctx context.Context, e event.Event) error
}

// Service publishes the events of the outbox.
type Service struct {
	Store Store
	Bus   Bus
	Now   func() time.Time
	// Report logs an event that is left to the sweeper.
	Report func(ctx context.Context, err error)
}

// Publish publishes events that were just stored. The sweeper retries those
// that fail.
func (s *Service) Publish(ctx context.Context, stored []event.Event) {
	for _, e := range stored {
		if err := s.publish(ctx, e); err != nil {
			s.Report(ctx, err)
		}
	}
}

// most limits the events that one sweep publishes.
const most = 500

// Sweep publishes the events that their writers left, and returns their number.
// A failure does not stop the others.
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
