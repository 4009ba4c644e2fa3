package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bus "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queue "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/shared/clock"
)

// A doc is a JSON object.
type doc = map[string]any

// The event for which the agents listen.
const (
	product   = "psa"
	eventType = "ticket.escalated"
)

// A system gives access to the deployed system through its public interfaces.
type system struct {
	world

	outputs cloud.Outputs
	key     *hub.Key
	bus     *cloud.Publisher
	queues  *sqs.Client
	nonce   string // part of all ids of this measurement
}

// open finds the system that the outputs describe.
func open(w world) (*system, error) {
	outputs, err := cloud.ReadOutputs(w.outputs)
	if err != nil {
		return nil, fmt.Errorf("%w: type make run first", err)
	}
	file, err := filepath.Abs(w.outputs)
	if err != nil {
		return nil, err
	}
	s := &system{world: w, outputs: outputs, nonce: strings.ToUpper(strconv.FormatInt(w.now().UnixMilli(), 36))}
	if s.key, err = hub.Open(filepath.Join(filepath.Dir(file), "hub.pem")); err != nil {
		return nil, err
	}
	cfg := cloud.Config(outputs.Endpoint)
	s.bus, s.queues = cloud.NewPublisher(cfg, "fair", outputs.Stack), sqs.NewFromConfig(cfg)
	return s, nil
}

// An org is an organization with one agent, whose run is one note.
type org struct {
	*system

	name  string
	token string
}

// introduce makes an organization with this plan and its agent.
func (s *system) introduce(ctx context.Context, name, plan string) (*org, error) {
	o := &org{system: s, name: "org_" + s.nonce + name}
	var err error
	if o.token, err = s.key.Mint(hub.Claims{
		Org: o.name, User: "user_ann", Roles: []string{"owner"}, ID: "jti_" + s.nonce + name, Issued: s.now(), TTL: time.Hour,
	}); err != nil {
		return nil, err
	}
	known, err := json.Marshal(doc{
		"id": "evt_" + s.nonce + name, "event_type": "org.created", "source_product": "hub", "org_id": o.name,
		"payload": doc{"plan": plan}, "published_at": s.now().UTC().Format(time.RFC3339),
	})
	if err != nil {
		return nil, err
	}
	if err := s.bus.Put(ctx, "hub", "org.created", string(known)); err != nil {
		return nil, fmt.Errorf("publish hub:org.created: %w", err)
	}
	const patience = 30 * time.Second
	for began := s.now(); o.call(ctx, http.MethodGet, "/api/agents", nil, nil) != nil; {
		if s.now().Sub(began) > patience {
			return nil, fmt.Errorf("the API does not know %s after %v", o.name, patience)
		}
		if err := clock.Sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := o.call(ctx, http.MethodPost, "/api/agents", doc{
		"name": "clerk", "description": "Notes an escalation.", "category": "service_desk",
		"trigger": doc{"type": "bus_event", "source_product": product, "event_type": eventType, "filters": []any{}},
		"steps": []any{doc{
			"id": "note", "type": "product_action", "product": product, "action": "add_note",
			"params": doc{"ticket_id": "{{ event_payload.ticket_id }}", "body": "Seen.", "visibility": "internal"},
		}},
	}, &made); err != nil {
		return nil, fmt.Errorf("make the agent: %w", err)
	}
	if err := o.call(ctx, http.MethodPut, "/api/agents/"+made.ID, doc{"status": "active"}, nil); err != nil {
		return nil, fmt.Errorf("activate the agent: %w", err)
	}
	return o, nil
}

// call calls the API as the organization's owner.
func (o *org) call(ctx context.Context, method, path string, body, into any) error {
	return o.request(ctx, method, o.outputs.API+path, o.token, body, into)
}

// request sends a request and reads the JSON of its answer.
func (s *system) request(ctx context.Context, method, address, token string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: status %d: %.500s", method, address, resp.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// ticket names the ticket of the n-th event of a phase.
func ticket(phase string, n int) string { return fmt.Sprintf("tkt_%s%06d", phase, n) }

// entry is the n-th event of a phase, for the bus.
func (o *org) entry(phase string, n int) (bus.PutEventsRequestEntry, error) {
	text, err := json.Marshal(doc{
		"id": "evt_" + o.name[len("org_"):] + ticket(phase, n), "event_type": eventType, "source_product": product, "org_id": o.name,
		"client_id": "cli_1", "payload": doc{"ticket_id": ticket(phase, n), "escalated_to": "p1"},
		"published_at": o.now().UTC().Format(time.RFC3339),
	})
	return bus.PutEventsRequestEntry{
		EventBusName: aws.String(o.bus.BusOf(product)), Source: aws.String(product),
		DetailType: aws.String(eventType), Detail: aws.String(string(text)),
	}, err
}

// put puts n events of a phase on the bus, from the first on; at most 10.
func (o *org) put(ctx context.Context, phase string, first, n int) error {
	api, err := o.bus.As(product)
	if err != nil {
		return err
	}
	in := &eventbridge.PutEventsInput{}
	for i := range n {
		e, err := o.entry(phase, first+i)
		if err != nil {
			return err
		}
		in.Entries = append(in.Entries, e)
	}
	out, err := api.PutEvents(ctx, in)
	if err != nil {
		return fmt.Errorf("publish %d events: %w", n, err)
	}
	if out.FailedEntryCount > 0 {
		return fmt.Errorf("the bus refused %d of %d events: %s", out.FailedEntryCount, n, aws.ToString(out.Entries[0].ErrorMessage))
	}
	return nil
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
	if err := o.request(ctx, http.MethodGet, o.outputs.Products+"/_calls?org_id="+o.name, "", nil, &page); err != nil {
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
		QueueUrl: &s.outputs.Events, AttributeNames: []queue.QueueAttributeName{name},
	})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out.Attributes[string(name)])
}
