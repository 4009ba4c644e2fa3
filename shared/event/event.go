// Package event defines the events that products publish.
//
// Events come from outside, over the bus. Every event enters through Parse,
// which checks form and size and names the reason of a refusal.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/span"
)

// MaxSize is the largest JSON of an event, in bytes: the input limit of a state
// machine.
const MaxSize = 256 << 10

// MaxAhead is how far the clock of a publisher may be ahead of ours.
const MaxAhead = 5 * time.Minute

// The faults of an event; their codes are the reasons in the dead-letter queue.
var (
	ErrMalformed = fault.New(fault.Invalid, "malformed", "The event is malformed.")
	ErrTooLarge  = fault.New(fault.TooLarge, "too_large", "The event is larger than 256 KiB.")
	ErrMismatch  = fault.New(fault.Invalid, "envelope_mismatch", "The event's envelope does not agree with its source and detail-type.")
)

// An Event is a fact that a product published. Its JSON is the envelope on the
// bus.
type Event struct {
	ID        id.Event       `json:"id"`
	Type      string         `json:"event_type"`
	Product   string         `json:"source_product"`
	Org       id.Org         `json:"org_id"`
	Client    id.Client      `json:"client_id,omitempty"` // from the envelope, or else from the payload
	Payload   map[string]any `json:"payload"`
	Metadata  *Metadata      `json:"metadata,omitempty"`
	Published time.Time      `json:"published_at"`
}

// Metadata holds the cause of an event.
type Metadata struct {
	AgentTriggered bool       `json:"agent_triggered,omitempty"`
	Causation      *Causation `json:"causation,omitempty"`
	// Traceparent is the span of the product that published the event, as a header of
	// W3C Trace Context; "" without one, and for an invalid one.
	Traceparent string `json:"traceparent,omitempty"`
}

// A Causation is the run whose step made a product publish an event. Products
// pass on the first two fields. The dispatcher corrects them by the platform's own
// records and adds the root, which it takes from no product.
type Causation struct {
	Execution id.Execution `json:"execution_id,omitempty"`
	Depth     int          `json:"depth"`
	Root      id.Event     `json:"root_event_id,omitempty"` // the event without a cause from which the chain of runs began
}

// Name returns the qualified name, such as "psa:ticket.created".
func (e Event) Name() string { return e.Product + ":" + e.Type }

// Depth returns the number of runs between a product's own event and this one;
// 0 for an event that no agent caused.
func (e Event) Depth() int {
	if e.Metadata == nil {
		return 0
	}
	depth := 0
	if c := e.Metadata.Causation; c != nil {
		depth = max(c.Depth, 0)
	}
	if e.Metadata.AgentTriggered {
		depth = max(depth, 1)
	}
	return depth
}

// Root returns the event from which the chain of runs that caused this one began;
// the event itself if no run of the platform is known to have caused it.
func (e Event) Root() id.Event {
	if m := e.Metadata; m != nil && m.Causation != nil && m.Causation.Root != "" {
		return m.Causation.Root
	}
	return e.ID
}

// CausedBy returns the event as an effect of a run, or of an unknown one, below
// root. Its depth is at least this one: what a product says can only raise it.
func (e Event) CausedBy(x id.Execution, root id.Event, depth int) Event {
	e.Metadata = &Metadata{AgentTriggered: true, Traceparent: e.Traceparent(), Causation: &Causation{
		Execution: x, Depth: min(max(depth, e.Depth()), maxDepth), Root: root,
	}}
	return e
}

// Traceparent returns the span of the publisher, or "".
func (e Event) Traceparent() string {
	if e.Metadata == nil {
		return ""
	}
	return e.Metadata.Traceparent
}

// InTraceOf returns the event in the trace of the event that started the run that
// caused it, unless its publisher passed on a trace.
func (e Event) InTraceOf(cause Event) Event {
	if e.Metadata == nil || e.Traceparent() != "" || cause.Traceparent() == "" {
		return e
	}
	m := *e.Metadata
	m.Traceparent = cause.SpanOf(e.Cause()).Traceparent()
	e.Metadata = &m
	return e
}

// Trace returns the place of the event in its trace: below the span that its
// publisher passed on, or else in the trace of its root, below the run that caused
// it. Every function finds the same place, at every delivery.
func (e Event) Trace() span.Parent {
	if p, ok := span.ParseTraceparent(e.Traceparent()); ok {
		return p
	}
	p := span.Parent{Trace: span.TraceOf(string(e.Org), string(e.Root())), Sampled: true}
	if e.Root() != e.ID {
		p.Span = p.Trace.Of("run", string(e.Cause()))
	}
	return p
}

// Span returns the span in which the event is dispatched, as the parent of others.
func (e Event) Span() span.Parent {
	p := e.Trace()
	p.Span = p.Trace.Of("event", string(e.Org), string(e.ID))
	return p
}

// SpanOf returns the span of a run that the event starts, as the parent of others.
func (e Event) SpanOf(run id.Execution) span.Parent {
	p := e.Trace()
	p.Span = p.Trace.Of("run", string(run))
	return p
}

// Cause returns the run that the product names as the cause of the event, or "".
func (e Event) Cause() id.Execution {
	if e.Metadata == nil || e.Metadata.Causation == nil {
		return ""
	}
	return e.Metadata.Causation.Execution
}

// AgentTriggered reports whether an agent's action caused the event.
func (e Event) AgentTriggered() bool { return e.Depth() > 0 }

// Content returns a digest of the event without its id and time. Events with
// equal content within a short time are duplicates.
func (e Event) Content() string {
	return id.Digest(e.Name(), string(e.Client), jsonvalue.Canonical(e.Payload))
}

// Envelope returns the envelope for templates: like Document, but client_id is
// always present, null for an event without a client.
func (e Event) Envelope() map[string]any {
	d := e.Document()
	if e.Client == "" {
		d["client_id"] = nil
	}
	return d
}

// Document returns the envelope as an object, for filters and conditions.
func (e Event) Document() map[string]any {
	d := map[string]any{
		"id": string(e.ID), "event_type": e.Type, "source_product": e.Product,
		"org_id": string(e.Org), "payload": e.Payload,
		"published_at": e.Published.UTC().Format(time.RFC3339),
	}
	if e.Client != "" {
		d["client_id"] = string(e.Client)
	}
	if m := e.Metadata; m != nil {
		meta := map[string]any{"agent_triggered": m.AgentTriggered}
		if c := m.Causation; c != nil {
			meta["causation"] = map[string]any{"execution_id": string(c.Execution), "depth": int64(c.Depth)}
		}
		d["metadata"] = meta
	}
	return d
}

// types matches valid event types and products.
var types = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$`)

// ValidType reports whether s may be the type of an event.
func ValidType(s string) bool { return types.MatchString(s) && len(s) <= 100 }

// Parse returns the event in detail, received from source with this
// detail-type, or ErrTooLarge, ErrMalformed or ErrMismatch.
func Parse(source, detailType string, detail []byte) (Event, error) {
	if len(detail) > MaxSize {
		return Event{}, ErrTooLarge.Sayf("The event has %d bytes; %d are allowed.", len(detail), MaxSize)
	}
	e, err := decode(detail)
	if err != nil {
		return Event{}, ErrMalformed.Sayf("The event is malformed: %v.", err)
	}
	if faults := e.faults(); len(faults) > 0 {
		return Event{}, ErrMalformed.Sayf("The event is malformed: %v.", errors.Join(faults...))
	}
	if e.Product != source || e.Type != detailType {
		return Event{}, ErrMismatch.Sayf("The envelope says %s; the bus says %s:%s.", e.Name(), source, detailType)
	}
	if size := len(jsonvalue.Canonical(e.Payload)); size > MaxSize {
		return Event{}, ErrTooLarge.Sayf("The payload has %d bytes when its numbers are written out; %d are allowed.", size, MaxSize)
	}
	if e.Client == "" {
		e.Client = clientIn(e.Payload)
	}
	return e, nil
}

// AsReceived returns an event that no product published as Parse would read it from the
// bus: within the same bounds, and about the client that its payload names if its envelope
// names none. It returns ErrTooLarge or ErrMalformed.
func (e Event) AsReceived() (Event, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return Event{}, ErrMalformed.Sayf("The event cannot be written as JSON.").Because(err)
	}
	return Parse(e.Product, e.Type, text)
}

// Timely returns ErrMalformed when the event was published more than MaxAhead
// after now. Later true events could not overrule an event from far ahead.
func (e Event) Timely(now time.Time) error {
	if latest := now.Add(MaxAhead); e.Published.After(latest) {
		return ErrMalformed.Sayf("The event is malformed: published_at is %s; it must be at most %s ahead of the clock, which shows %s.",
			e.Published.UTC().Format(time.RFC3339), MaxAhead, now.UTC().Format(time.RFC3339))
	}
	return nil
}

// clientIn returns the client_id of a payload, which many products set instead
// of the envelope's; "" without one.
func clientIn(payload map[string]any) id.Client {
	var text string
	switch v := payload["client_id"].(type) {
	case string:
		text = v
	case int64:
		text, _ = jsonvalue.NumberText(v)
	}
	if !id.ValidExternal(text) {
		return ""
	}
	return id.Client(text)
}

// decode reads the envelope. Each field has an exact name and type; null counts
// as absent for an optional field. Unknown fields are ignored.
func decode(detail []byte) (Event, error) {
	doc, err := jsonvalue.Object(detail)
	if err != nil {
		return Event{}, err
	}
	r := reader{doc: doc}
	e := Event{
		ID: id.Event(r.text("id")), Type: r.text("event_type"), Product: r.text("source_product"), Org: id.Org(r.text("org_id")),
		Client: id.Client(r.text("client_id")), Payload: r.object("payload"), Published: r.time("published_at"),
	}
	if m := r.object("metadata"); m != nil {
		e.Metadata = r.metadata(m)
	}
	return e, errors.Join(r.faults...)
}

// A reader reads the fields of an envelope and collects their errors.
type reader struct {
	doc    map[string]any
	faults []error
}

func (r *reader) refuse(field, want string, got any) {
	r.faults = append(r.faults, fmt.Errorf("%s must be %s, not %s", field, want, jsonvalue.Kind(got)))
}

// text returns a string field; "" if absent.
func (r *reader) text(field string) string {
	s, ok := r.doc[field].(string)
	if v := r.doc[field]; !ok && v != nil {
		r.refuse(field, "a string", v)
	}
	return s
}

// object returns an object field; nil if absent.
func (r *reader) object(field string) map[string]any {
	m, ok := r.doc[field].(map[string]any)
	if v := r.doc[field]; !ok && v != nil {
		r.refuse(field, "an object", v)
	}
	return m
}

// time returns a time field; zero if absent or invalid.
func (r *reader) time(field string) time.Time {
	t, err := time.Parse(time.RFC3339, r.text(field))
	if err != nil {
		return time.Time{} // whose year validation refuses
	}
	return t
}

func (r *reader) metadata(doc map[string]any) *Metadata {
	m := &Metadata{}
	inner := reader{doc: doc}
	triggered, ok := doc["agent_triggered"].(bool)
	if v := doc["agent_triggered"]; !ok && v != nil {
		r.refuse("metadata.agent_triggered", "a boolean", v)
	}
	m.AgentTriggered = triggered
	// W3C Trace Context: a traceparent that cannot be read is ignored.
	if text, _ := doc["traceparent"].(string); text != "" {
		if _, ok := span.ParseTraceparent(text); ok {
			m.Traceparent = text
		}
	}
	if c := inner.object("causation"); c != nil {
		m.Causation = inner.causation(c)
	}
	for _, f := range inner.faults {
		r.faults = append(r.faults, fmt.Errorf("metadata.%w", f))
	}
	return m
}

func (r *reader) causation(doc map[string]any) *Causation {
	inner := reader{doc: doc}
	c := &Causation{Execution: id.Execution(inner.text("execution_id"))}
	depth, ok := doc["depth"].(int64)
	if v := doc["depth"]; !ok && v != nil {
		r.refuse("causation.depth", "a whole number", v)
	}
	c.Depth = int(max(min(depth, maxDepth), -maxDepth))
	for _, f := range inner.faults {
		r.faults = append(r.faults, fmt.Errorf("causation.%w", f))
	}
	return c
}

// maxDepth caps the causal depth, far beyond every depth that starts an agent.
const maxDepth = 1 << 20

// UnmarshalJSON reads an envelope without validating it.
func (e *Event) UnmarshalJSON(data []byte) error {
	got, err := decode(data)
	if err != nil {
		return err
	}
	*e = got
	return nil
}

// The range of years of an event: within it every clock and stored time is
// exact.
const (
	earliest = 1971
	latest   = 2200
)

// InRange reports whether a time has one of these years.
func InRange(t time.Time) bool { return t.Year() >= earliest && t.Year() <= latest }

func (e Event) faults() []error {
	var faults []error
	refuse := func(bad bool, why string) {
		if bad {
			faults = append(faults, errors.New(why))
		}
	}
	refuse(!id.Valid("evt_", string(e.ID)), "id must be evt_ and up to 64 letters, digits or underscores")
	refuse(!ValidType(e.Type), "event_type must be like ticket.created")
	refuse(!types.MatchString(e.Product) || len(e.Product) > 40, "source_product must be like psa")
	_, ok := id.ParseOrg(string(e.Org))
	refuse(!ok, "org_id must be org_ and up to 40 letters or digits")
	refuse(e.Client != "" && !id.ValidExternal(string(e.Client)), "client_id must be up to 128 printable characters without # or space")
	refuse(e.Payload == nil, "payload must be an object")
	refuse(!InRange(e.Published), "published_at must be a time like 2026-03-09T14:23:01Z")
	return faults
}
