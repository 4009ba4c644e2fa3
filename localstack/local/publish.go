package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/localstack/local/cloud"
)

// An envelope is how products publish an event.
type envelope struct {
	ID        string          `json:"id"`
	Type      string          `json:"event_type"`
	Product   string          `json:"source_product"`
	Org       string          `json:"org_id"`
	Client    string          `json:"client_id,omitempty"`
	Payload   json.RawMessage `json:"payload"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Published time.Time       `json:"published_at"`
}

// publish puts an event on the bus and prints its id.
func publish(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "publish")
	file := f.String("file", "", "an envelope, an event type of the catalogue (its sample is published), or a payload")
	name := f.String("event", "", "name of a payload's event, like psa:ticket.created")
	org := f.String("org", "", "organization; by default that of the envelope, or "+demoOrg)
	if err := f.Parse(args); err != nil {
		return err
	}
	if *file == "" {
		return errors.New("say what to publish, for example make publish FILE=events/psa/ticket.created.json")
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	if *name == "" {
		*name = nameOf(*file)
	}
	e, err := readEvent(text, *name, *org, w.now())
	if err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	o, err := home(*state).readOutputs()
	if err != nil {
		return err
	}
	if err := put(ctx, o, e); err != nil {
		return err
	}
	w.say("%s", e.ID)
	return nil
}

// readEvent makes an event of a file: of an envelope itself, where what is
// missing is filled in; of an entry of the catalogue its sample; of any other
// object an event with that payload.
func readEvent(text []byte, name, org string, now time.Time) (envelope, error) {
	var file struct {
		envelope

		Sample json.RawMessage `json:"sample_payload"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return envelope{}, err
	}
	e := file.envelope
	switch {
	case file.Sample != nil:
		e.Payload, e.Client = file.Sample, clientOf(file.Sample)
	case e.Payload == nil || e.Type == "":
		e = envelope{Payload: text}
	}
	if e.Product == "" && e.Type == "" {
		e.Product, e.Type, _ = strings.Cut(name, ":")
	}
	if e.Product == "" || e.Type == "" {
		return e, errors.New("this is a payload alone: say which event it is of, like EVENT=psa:ticket.created")
	}
	fresh := newEvent(e.Product, e.Type, cmp.Or(org, e.Org, demoOrg), e.Payload, now)
	if e.ID != "" && file.Sample == nil { // the id of an entry of the catalogue is none of an event
		fresh.ID = e.ID
	}
	if !e.Published.IsZero() {
		fresh.Published = e.Published
	}
	fresh.Client, fresh.Metadata = e.Client, e.Metadata
	return fresh, nil
}

// clientOf returns the client that a payload is about: products say it in the
// envelope too.
func clientOf(payload json.RawMessage) string {
	var about struct {
		Client string `json:"client_id"`
	}
	if err := json.Unmarshal(payload, &about); err != nil {
		return ""
	}
	return about.Client
}

// nameOf returns the name of the event that a file of the catalogue describes,
// events/<product>/<type>.json.
func nameOf(file string) string {
	folder, base := filepath.Split(file)
	product, kind := filepath.Base(folder), strings.TrimSuffix(base, ".json")
	if filepath.Base(filepath.Dir(filepath.Clean(folder))) != "events" {
		return ""
	}
	return product + ":" + kind
}

func newEvent(product, name, org string, payload json.RawMessage, now time.Time) envelope {
	return envelope{
		ID: "evt_" + ulid.Make().String(), Type: name, Product: product, Org: org,
		Payload: payload, Published: now.UTC().Truncate(time.Second),
	}
}

// put puts an event on the bus.
func put(ctx context.Context, o cloud.Outputs, e envelope) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return err
	}
	bus := eventbridge.NewFromConfig(cloud.Config(o.Endpoint))
	out, err := bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: aws.String(o.Bus),
		Source:       aws.String(e.Product),
		DetailType:   aws.String(e.Type),
		Detail:       aws.String(string(detail)),
	}}})
	if err != nil {
		return fmt.Errorf("put the event on the bus (is it running? make run starts it): %w", err)
	}
	if out.FailedEntryCount > 0 { // which comes with a 200
		return fmt.Errorf("the bus refused the event: %s: %s", aws.ToString(out.Entries[0].ErrorCode), aws.ToString(out.Entries[0].ErrorMessage))
	}
	return nil
}
