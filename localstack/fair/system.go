package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queue "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"theoneagents.app/agents/localstack/harness"
)

// The event for which the agents listen.
const (
	product   = "psa"
	eventType = "ticket.escalated"
)

// A system gives access to the deployed system through its public interfaces.
type system struct {
	world
	*harness.System

	queues *sqs.Client
}

// open finds the system that the outputs describe.
func open(w world) (*system, error) {
	s, err := harness.Open(harness.World{File: w.outputs, Now: w.now, HTTP: w.http}, "fair")
	if err != nil {
		return nil, err
	}
	return &system{world: w, System: s, queues: sqs.NewFromConfig(s.Config)}, nil
}

// An org is an organization with one agent, whose run is one note.
type org struct {
	*system
	*harness.Org
}

// introduce makes an organization with this plan and its agent.
func (s *system) introduce(ctx context.Context, name, plan string) (*org, error) {
	o, err := s.Introduce(ctx, name, plan)
	if err != nil {
		return nil, err
	}
	return &org{system: s, Org: o}, o.Hire(ctx, product, eventType, harness.Note("note", "Seen."))
}

// ticket names the ticket of the n-th event of a phase.
func ticket(phase string, n int) string { return fmt.Sprintf("tkt_%s%06d", phase, n) }

// put puts n events of a phase on the bus, from the first on; at most
// harness.MostEvents.
func (o *org) put(ctx context.Context, phase string, first, n int) error {
	var events []harness.Event
	for i := range n {
		t := ticket(phase, first+i)
		events = append(events, harness.Event{
			Product: product, Type: eventType, Ticket: t, Payload: harness.Doc{"ticket_id": t, "escalated_to": "p1"},
		})
	}
	return o.Put(ctx, events...)
}

// seen returns when the stand-ins received the first note about each ticket.
func (o *org) seen(ctx context.Context) (map[string]time.Time, error) {
	var page struct {
		Calls []struct {
			At     time.Time `json:"at"`
			Params struct {
				Ticket string `json:"ticket_id"`
			} `json:"params"`
		} `json:"calls"`
	}
	products := o.system.Outputs.Products
	if err := o.system.Request(ctx, http.MethodGet, products+"/_calls?org_id="+o.Name, "", nil, &page); err != nil {
		return nil, err
	}
	seen := map[string]time.Time{}
	for _, c := range page.Calls {
		if at, ok := seen[c.Params.Ticket]; !ok || c.At.Before(at) {
			seen[c.Params.Ticket] = c.At
		}
	}
	return seen, nil
}

// waiting returns the number of messages in the queue of events.
func (s *system) waiting(ctx context.Context) (int, error) {
	const name = queue.QueueAttributeNameApproximateNumberOfMessages
	out, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(s.Outputs.Events), AttributeNames: []queue.QueueAttributeName{name},
	})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out.Attributes[string(name)])
}
