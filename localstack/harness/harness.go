// Package harness lets a program work on the deployed system through its public
// interfaces: as organizations of its own, which call the API and publish events.
package harness

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

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/shared/clock"
)

// A Doc is a JSON object.
type Doc = map[string]any

// A World is a program's access to files, clock and network.
type World struct {
	File string // file with the addresses of the system
	Now  func() time.Time
	HTTP *http.Client
}

// A System is the deployed system.
type System struct {
	World

	Outputs cloud.Outputs
	State   string // folder of its state
	Config  aws.Config
	Nonce   string // part of all ids of this program

	key *hub.Key
	bus *cloud.Publisher
}

// Open finds the system that the outputs describe. The program names its sessions.
func Open(w World, program string) (*System, error) {
	outputs, err := cloud.ReadOutputs(w.File)
	if err != nil {
		return nil, fmt.Errorf("%w: type make run first", err)
	}
	file, err := filepath.Abs(w.File)
	if err != nil {
		return nil, err
	}
	s := &System{World: w, Outputs: outputs, State: filepath.Dir(file), Nonce: strings.ToUpper(strconv.FormatInt(w.Now().UnixMilli(), 36))}
	if s.key, err = hub.Open(filepath.Join(s.State, "hub.pem")); err != nil {
		return nil, err
	}
	s.Config = cloud.Config(outputs.Endpoint)
	s.bus = cloud.NewPublisher(s.Config, program, outputs.Stack)
	return s, nil
}

// An Org is an organization, seen by its owner.
type Org struct {
	*System

	Name  string
	token string
}

// introduce is how long Introduce waits.
const introduce = 30 * time.Second

// Introduce makes an organization with this plan, and returns when the API knows it.
func (s *System) Introduce(ctx context.Context, name, plan string) (*Org, error) {
	o := &Org{System: s, Name: "org_" + s.Nonce + name}
	var err error
	if o.token, err = s.key.Mint(hub.Claims{
		Org: o.Name, User: "user_ann", Roles: []string{"owner"}, ID: "jti_" + s.Nonce + name, Issued: s.Now(), TTL: time.Hour,
	}); err != nil {
		return nil, err
	}
	known, err := json.Marshal(Doc{
		"id": "evt_" + s.Nonce + name, "event_type": "org.created", "source_product": "hub", "org_id": o.Name,
		"payload": Doc{"plan": plan}, "published_at": s.Now().UTC().Format(time.RFC3339),
	})
	if err != nil {
		return nil, err
	}
	if err := s.bus.Put(ctx, "hub", "org.created", string(known)); err != nil {
		return nil, fmt.Errorf("publish hub:org.created: %w", err)
	}
	for began := s.Now(); o.Call(ctx, http.MethodGet, "/api/agents", nil, nil) != nil; {
		if s.Now().Sub(began) > introduce {
			return nil, fmt.Errorf("the API does not know %s after %v", o.Name, introduce)
		}
		if err := clock.Sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Hire makes an active agent that does these steps on each event of a product.
func (o *Org) Hire(ctx context.Context, product, eventType string, steps ...any) error {
	var made struct {
		ID string `json:"id"`
	}
	if err := o.Call(ctx, http.MethodPost, "/api/agents", Doc{
		"name": "clerk of " + eventType, "description": "Acts on an event.", "category": "service_desk",
		"trigger": Doc{"type": "bus_event", "source_product": product, "event_type": eventType, "filters": []any{}},
		"steps":   steps,
	}, &made); err != nil {
		return fmt.Errorf("make the agent: %w", err)
	}
	if err := o.Call(ctx, http.MethodPut, "/api/agents/"+made.ID, Doc{"status": "active"}, nil); err != nil {
		return fmt.Errorf("activate the agent: %w", err)
	}
	return nil
}

// Note returns a step that notes a text on the ticket of the event.
func Note(step, text string) Doc {
	return Doc{
		"id": step, "type": "product_action", "product": "psa", "action": "add_note",
		"params": Doc{"ticket_id": "{{ event_payload.ticket_id }}", "body": text, "visibility": "internal"},
	}
}

// Call calls the API as the organization's owner.
func (o *Org) Call(ctx context.Context, method, path string, body, into any) error {
	return o.Request(ctx, method, o.Outputs.API+path, o.token, body, into)
}

// Request sends a request and reads the JSON of its answer, unless into is nil.
func (s *System) Request(ctx context.Context, method, address, token string, body, into any) error {
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
	resp, err := s.HTTP.Do(req)
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

// An Event is an event about a ticket.
type Event struct {
	Product, Type string
	Ticket        string         // also part of the event's id
	Payload       map[string]any // with the ticket
	Trace         string         // that it continues; empty for none
}

// MostEvents is the number of events that a request may have.
const MostEvents = 10

// Put puts events of one product on the bus, at most MostEvents.
func (o *Org) Put(ctx context.Context, events ...Event) error {
	in := &eventbridge.PutEventsInput{}
	for _, e := range events {
		detail := Doc{
			"id": "evt_" + o.Name[len("org_"):] + e.Ticket, "event_type": e.Type, "source_product": e.Product, "org_id": o.Name,
			"client_id": "cli_1", "payload": e.Payload, "published_at": o.Now().UTC().Format(time.RFC3339),
		}
		if e.Trace != "" {
			detail["metadata"] = Doc{"traceparent": "00-" + e.Trace + "-" + e.Trace[:16] + "-01"}
		}
		text, err := json.Marshal(detail)
		if err != nil {
			return err
		}
		in.Entries = append(in.Entries, bus.PutEventsRequestEntry{
			EventBusName: aws.String(o.bus.BusOf(e.Product)), Source: &e.Product, DetailType: &e.Type, Detail: aws.String(string(text)),
		})
	}
	api, err := o.bus.As(events[0].Product)
	if err != nil {
		return err
	}
	out, err := api.PutEvents(ctx, in)
	if err != nil {
		return fmt.Errorf("publish %d events: %w", len(events), err)
	}
	if out.FailedEntryCount > 0 {
		return fmt.Errorf("the bus refused %d of %d events: %s", out.FailedEntryCount, len(events), aws.ToString(out.Entries[0].ErrorMessage))
	}
	return nil
}
