package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/localstack/local/cloud"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/outbox"
)

// An envelope is an event as products publish it.
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

// publish puts an event on the bus and prints its id. It refuses an event that
// could have no effect.
func publish(ctx context.Context, w world, args []string) error {
	f, state := flags(w, "publish")
	file := f.String("file", "", "file with an envelope, a payload, or an event type of the catalogue (its sample is published)")
	name := f.String("event", "", "event type of the payload, like psa:ticket.created; without -file its sample is published")
	org := f.String("org", "", "organization; default: the envelope's, or "+demoOrg)
	anyway := f.Bool("anyway", false, "publish an unknown type, or to an unknown organization, too")
	if err := parse(f, args); err != nil {
		return err
	}
	if err := checkOrg(*org); *org != "" && err != nil {
		return err
	}
	known, err := catalog.Load(events.Files)
	if err != nil {
		return fmt.Errorf("catalogue: %w", err)
	}
	text, err := source(*file, *name, known)
	if err != nil {
		return err
	}
	if *name == "" {
		*name = nameOf(*file)
	}
	e, err := readEvent(text, *name, *org, w.now())
	if err != nil {
		return misusef("%s: %v", cmp.Or(*file, *name), err)
	}
	if !*anyway {
		if err := checkType(e.name(), known); err != nil {
			return err
		}
	}
	h := home(*state)
	o, err := h.readOutputs(ctx, w)
	if err != nil {
		return err
	}
	if err := checkPublisher(o, e.Product); err != nil {
		return err
	}
	if !*anyway {
		if err := w.checkKnown(ctx, h, o, e); err != nil {
			return err
		}
	}
	if err := put(ctx, o, e); err != nil {
		return err
	}
	w.say("%s", e.ID)
	return nil
}

// source returns the text of a file, or the catalogue's entry of an event when no
// file is given.
func source(file, name string, known catalog.Catalog) ([]byte, error) {
	if file == "" && name == "" {
		return nil, misusef("the event is missing: make publish EVENT=psa:ticket.created publishes the catalogue's sample, make publish FILE=… a file")
	}
	if file == "" {
		if err := checkType(name, known); err != nil {
			return nil, err
		}
		product, kind, _ := strings.Cut(name, ":")
		return events.Files.ReadFile(product + "/" + kind + ".json")
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator's path.
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, fs.ErrNotExist) && nameOf(file) != "":
		return nil, misusef("there is no file %s%s", file, fault.DidYouMean(file, filesOf(namesOf(known))))
	case errors.Is(err, fs.ErrNotExist):
		return nil, misusef("there is no file %s", file)
	case errors.Is(err, fs.ErrPermission):
		return nil, misusef("this user may not read %s", file)
	}
	return nil, misusef("%s cannot be read: %v", file, errors.Unwrap(err))
}

// checkType returns a misuse unless the catalogue has an event of this name.
func checkType(name string, known catalog.Catalog) error {
	if _, ok := known.Event(name); ok {
		return nil
	}
	return misusef("no product publishes %q; %s (ANYWAY=1 publishes it all the same, and it matches no rule)",
		name, fault.Suggest(name, namesOf(known)))
}

// checkPublisher returns a misuse for a product that no role may publish for.
func checkPublisher(o cloud.Outputs, product string) error {
	products := slices.Sorted(maps.Keys(o.Publishers))
	switch {
	case slices.Contains(products, product):
		return nil
	case product == outbox.Product:
		return misusef("events of %s are the platform's own: a run that fails makes %s:%s, and no role may publish one", product, product, outbox.ExecutionFailed)
	}
	return misusef("no role may publish events of %q: a product has one when it has an event type in events/; %s", product, fault.Suggest(product, products))
}

func namesOf(known catalog.Catalog) []string {
	var names []string
	for _, e := range known.Events() {
		names = append(names, e.Name())
	}
	return names
}

func filesOf(names []string) []string {
	var files []string
	for _, n := range names {
		files = append(files, "events/"+strings.Replace(n, ":", "/", 1)+".json")
	}
	return files
}

// orgCreated is the event that makes an organization known.
const orgCreated = "hub:org.created"

// checkKnown returns a misuse when the organization of an event is unknown and
// the event does not make it known.
func (w world) checkKnown(ctx context.Context, h home, o cloud.Outputs, e envelope) error {
	if e.name() == orgCreated {
		return nil
	}
	owner, err := w.as(h, o, e.Org)
	if err != nil {
		return err
	}
	err = owner.known(ctx)
	if r, ok := errors.AsType[*refusal](err); ok && r.Status == http.StatusForbidden {
		return misusef("the organization %s is unknown%s: make org ORG=%s makes it known, and ANYWAY=1 publishes the event all the same", e.Org, w.orgsLike(ctx, o, e.Org), e.Org)
	}
	return err
}

// readEvent turns a file into an event. It fills in the missing fields of an
// envelope, takes the sample of an entry of the catalogue, and takes any other
// object as the payload.
func readEvent(text []byte, name, org string, now time.Time) (envelope, error) {
	doc, err := jsonvalue.Object(text)
	if err != nil {
		return envelope{}, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return envelope{}, err
	}
	product, kind, _ := strings.Cut(name, ":")
	switch {
	case doc["sample_payload"] != nil:
		fields = map[string]json.RawMessage{
			"source_product": fields["source_product"], "event_type": fields["event_type"], "payload": fields["sample_payload"],
		}
		if client := clientOf(fields["payload"]); client != "" {
			fields["client_id"] = quoted(client)
		}
	case isEnvelope(doc):
	case product == "" || kind == "":
		return envelope{}, errors.New("the file is a payload without an event type: give one, like EVENT=psa:ticket.created")
	default:
		fields = map[string]json.RawMessage{"payload": text}
	}
	fill(fields, "source_product", product)
	fill(fields, "event_type", kind)
	if org != "" {
		fields["org_id"] = quoted(org)
	}
	fill(fields, "org_id", demoOrg)
	fill(fields, "id", "evt_"+ulid.Make().String())
	fill(fields, "published_at", now.UTC().Truncate(time.Second).Format(time.RFC3339))
	return judged(fields)
}

// isEnvelope reports whether a document is meant as an envelope: it has a
// payload and another field of an envelope.
func isEnvelope(doc map[string]any) bool {
	_, payload := doc["payload"]
	return payload && slices.ContainsFunc([]string{"event_type", "source_product", "org_id", "published_at"}, func(field string) bool {
		_, has := doc[field]
		return has
	})
}

// fill sets a missing field, unless the value is empty.
func fill(fields map[string]json.RawMessage, name, value string) {
	if fields[name] == nil && value != "" {
		fields[name] = quoted(value)
	}
}

func quoted(s string) json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return text
}

// judged returns the envelope with these fields, checked by the rules of the
// dispatcher.
func judged(fields map[string]json.RawMessage) (envelope, error) {
	for name, value := range fields {
		if value == nil {
			delete(fields, name)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return envelope{}, err
	}
	var read event.Event
	_ = json.Unmarshal(text, &read) // Parse gives the better error
	if _, err := event.Parse(read.Product, read.Type, text); err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return envelope{}, errors.New(f.Message)
		}
		return envelope{}, err
	}
	var e envelope
	return e, json.Unmarshal(text, &e)
}

// clientOf returns the client_id of a payload, which products repeat in the
// envelope.
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

// name returns the qualified name of an event.
func (e envelope) name() string { return e.Product + ":" + e.Type }

// put puts an event on the bus of its product.
func put(ctx context.Context, o cloud.Outputs, e envelope) error {
	detail, err := json.Marshal(e)
	if err != nil {
		return err
	}
	err = cloud.NewPublisher(cloud.Config(o.Endpoint), "make-publish", o.Stack).Put(ctx, e.Product, e.Type, string(detail))
	if refused, ok := errors.AsType[*cloud.Refusal](err); ok {
		return fmt.Errorf("the bus refused the event: %w", refused)
	}
	if err != nil {
		return fmt.Errorf("put the event on the bus (is it running? make run starts it): %w", err)
	}
	return nil
}
