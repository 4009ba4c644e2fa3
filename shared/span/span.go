// Package span records what the platform did for an event as the spans of a trace,
// in the terms of OpenTelemetry.
//
// A trace belongs to a root event: to the event without a cause, the runs that it
// started, their steps and calls, and the runs below them. Its id is the one of the
// product that published the event with a traceparent, or else derived from
// organization and event. Each function derives it anew from the event that the run's
// record has, so that a repeated, late or restarted part of a run is in the same
// trace, and no id has to be stored or passed through a state machine.
//
// Spans have ids, kinds, codes and durations; no text of an event, a parameter or an
// answer.
//
// A context without a [Recorder] records nothing: every function here then returns at
// once, without an allocation.
package span

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/shared/id"
)

// A TraceID identifies a trace. The zero value identifies none.
type TraceID [16]byte

// String returns the id in hexadecimal.
func (t TraceID) String() string { return hex.EncodeToString(t[:]) }

// An ID identifies a span of a trace. The zero value identifies none.
type ID [8]byte

// String returns the id in hexadecimal.
func (s ID) String() string { return hex.EncodeToString(s[:]) }

// TraceOf returns the trace of what the names identify: the same for the same names.
func TraceOf(names ...string) TraceID {
	sum := id.Hash(names...)
	return TraceID(sum[:16])
}

// Of returns the id of the span that the names identify in the trace.
func (t TraceID) Of(names ...string) ID {
	sum := id.Hash(append([]string{t.String()}, names...)...)
	return ID(sum[:8])
}

// A Parent is the place in a trace to which a span belongs.
type Parent struct {
	Trace   TraceID
	Span    ID   // zero for a span without a parent
	Sampled bool // whether the trace is recorded, as far as the parent decides
}

// Lengths of the parts of a traceparent, in characters.
const (
	traceparentLength = 55
	versionLength     = 2
)

// ParseTraceparent returns the place that a traceparent names; see W3C Trace Context.
// It reports false for any text that is not valid in version 00. The text comes from
// outside.
func ParseTraceparent(text string) (Parent, bool) {
	parts := strings.Split(text, "-")
	if len(text) != traceparentLength || len(parts) != 4 || len(parts[0]) != versionLength || parts[0] != "00" {
		return Parent{}, false
	}
	var p Parent
	var flags [1]byte
	for part, to := range map[string][]byte{parts[1]: p.Trace[:], parts[2]: p.Span[:], parts[3]: flags[:]} {
		if !lowHex(part) || len(part) != hex.EncodedLen(len(to)) {
			return Parent{}, false
		}
		if _, err := hex.Decode(to, []byte(part)); err != nil {
			return Parent{}, false
		}
	}
	p.Sampled = flags[0]&1 == 1
	return p, p.Trace != TraceID{} && p.Span != ID{}
}

func lowHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// Traceparent returns the place as a header of W3C Trace Context.
func (p Parent) Traceparent() string {
	flags := "00"
	if p.Sampled {
		flags = "01"
	}
	return "00-" + p.Trace.String() + "-" + p.Span.String() + "-" + flags
}

// A Kind says how a span relates to others; its numbers are those of OTLP.
type Kind int

// The kinds.
const (
	Internal Kind = 1
	Client   Kind = 3
	Consumer Kind = 5
)

// The keys of attributes: those of the platform, and those for which OpenTelemetry's
// semantic conventions have names.
const (
	Org         = "agents.org_id"
	Event       = "agents.event_id"
	EventType   = "agents.event"
	Agent       = "agents.agent_id"
	Execution   = "agents.execution_id"
	Step        = "agents.step_id"
	StepKind    = "agents.step_kind"
	Product     = "agents.product"
	Action      = "agents.action"
	Channel     = "agents.channel"
	Outcome     = "agents.outcome"
	Tries       = "agents.tries"
	StatusCode  = "http.response.status_code"
	Model       = "gen_ai.request.model"
	InputUnits  = "gen_ai.usage.input_tokens"
	OutputUnits = "gen_ai.usage.output_tokens"
	ErrorType   = "error.type"
)

// An Attribute is a property of a span. Its value is a string, an int64 or a bool.
type Attribute struct {
	Key   string
	Value any
}

// A Span is one piece of work.
type Span struct {
	Trace      TraceID
	ID         ID
	Parent     ID
	Name       string
	Kind       Kind
	Start, End time.Time
	Attributes []Attribute
	Failed     bool
}

// MaxSpans limits the spans that one recorder keeps; later ones are counted only.
const MaxSpans = 512

// A Recorder collects the spans of one invocation. It is safe for concurrent use.
type Recorder struct {
	now        func() time.Time
	ratio      float64
	invocation string

	mu      sync.Mutex
	spans   []Span
	dropped int
}

// NewRecorder returns a recorder of the given part of all traces, from 0 to 1. The
// choice depends on the id of a trace alone, so that all functions record the same
// ones. Invocation identifies the invocation.
func NewRecorder(now func() time.Time, ratio float64, invocation string) *Recorder {
	return &Recorder{now: now, ratio: ratio, invocation: invocation}
}

// Ended returns the spans that have ended, and the number of those beyond MaxSpans.
func (r *Recorder) Ended() (spans []Span, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans), r.dropped
}

// sampled reports whether the recorder records the trace: by the last 63 bits of the
// id, as OpenTelemetry's TraceIdRatioBased does in most of its languages.
func (r *Recorder) sampled(t TraceID) bool {
	return r.ratio >= 1 || float64(binary.BigEndian.Uint64(t[8:])>>1) < r.ratio*(1<<63)
}

// add keeps a span. The caller holds the lock.
func (r *Recorder) add(s Span) {
	if len(r.spans) >= MaxSpans {
		r.dropped++
		return
	}
	r.spans = append(r.spans, s)
}

type (
	recorderKey struct{}
	activeKey   struct{}
)

// With returns a context whose spans r records.
func With(ctx context.Context, r *Recorder) context.Context {
	return context.WithValue(ctx, recorderKey{}, r)
}

// An Active is a span that has not ended. A nil Active, of a context without a
// recorder, ignores all calls.
type Active struct {
	r       *Recorder
	parent  *Active // set for a child
	span    Span
	sampled bool
	named   ID             // of a child whose id is given
	try     int            // of the work, or of a child among those of its name
	count   map[string]int // of the children by name
	over    bool
}

// Begin begins a span outside of the current one. It has no place until In, and is
// discarded if it ends without one.
func Begin(ctx context.Context, name string, kind Kind) (context.Context, *Active) {
	r, ok := ctx.Value(recorderKey{}).(*Recorder)
	if !ok {
		return ctx, nil
	}
	a := &Active{r: r, span: Span{Name: name, Kind: kind, Start: r.now()}}
	return context.WithValue(ctx, activeKey{}, a), a
}

// Start begins a child of the current span of ctx, if there is one. The id derives
// from the parent's, the name, and the number of earlier children with this name.
func Start(ctx context.Context, name string, kind Kind) (context.Context, *Active) {
	parent := Current(ctx)
	if parent == nil {
		return ctx, nil
	}
	r := parent.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if parent.count == nil {
		parent.count = map[string]int{}
	}
	parent.count[name]++
	a := &Active{r: r, parent: parent, span: Span{Name: name, Kind: kind, Start: r.now()}, try: parent.count[name]}
	a.settle()
	return context.WithValue(ctx, activeKey{}, a), a
}

// settle takes the place of a child from its parent, which may have moved. The caller
// holds the lock.
func (a *Active) settle() {
	if a.parent == nil {
		return
	}
	a.parent.settle()
	p := a.parent
	a.span.Trace, a.span.Parent, a.sampled = p.span.Trace, p.span.ID, p.sampled
	switch {
	case a.named != ID{}:
		a.span.ID = a.named
	case a.span.Trace != TraceID{}:
		a.span.ID = a.span.Trace.Of("child", p.span.ID.String(), a.span.Name, strconv.Itoa(a.try))
	}
}

// Current returns the current span of ctx, or nil.
func Current(ctx context.Context) *Active {
	a, _ := ctx.Value(activeKey{}).(*Active)
	return a
}

// ID returns the id of the span, for others below it.
func (a *Active) ID() ID {
	if a == nil {
		return ID{}
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.settle()
	return a.span.ID
}

// Invocation returns the identifier of the invocation; "" without a recorder.
func (a *Active) Invocation() string {
	if a == nil {
		return ""
	}
	return a.r.invocation
}

// Try says that the span is the n-th try of its work, from 1 on. A later try has an
// id of its own, below the first.
func (a *Active) Try(n int) {
	if a == nil {
		return
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.try = n
}

// In gives the span of Begin its place, or moves it: the id, below parent.
func (a *Active) In(parent Parent, id ID) {
	if a == nil {
		return
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.span.Trace, a.span.ID, a.span.Parent = parent.Trace, id, parent.Span
	if a.try > 1 {
		a.span.ID, a.span.Parent = parent.Trace.Of("try", id.String(), strconv.Itoa(a.try)), id
	}
	a.sampled = parent.Sampled && a.r.sampled(parent.Trace)
}

// Named gives a child an id that does not depend on its place among its siblings.
func (a *Active) Named(id ID) {
	if a == nil {
		return
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.named = id
	a.settle()
}

// Text adds an attribute, unless the value is empty.
func (a *Active) Text(key, value string) {
	if a == nil || value == "" {
		return
	}
	a.set(key, value)
}

// Number adds an attribute.
func (a *Active) Number(key string, value int64) {
	if a == nil {
		return
	}
	a.set(key, value)
}

func (a *Active) set(key string, value any) {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.span.Attributes = append(a.span.Attributes, Attribute{key, value})
}

// Fail marks the span as failed with a code, such as that of a fault: it is no text of
// an error.
func (a *Active) Fail(code string) {
	if a == nil {
		return
	}
	a.set(ErrorType, code)
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.span.Failed = true
}

// End ends the span. A second End has no effect.
func (a *Active) End() {
	if a == nil {
		return
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.settle()
	if a.over || !a.sampled {
		return
	}
	a.over, a.span.End = true, a.r.now()
	a.r.add(a.span)
}

// Add records a span that has ended, in the trace of this one.
func (a *Active) Add(s Span) {
	if a == nil {
		return
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.settle()
	if s.Trace = a.span.Trace; a.sampled {
		a.r.add(s)
	}
}

// Traceparent returns the place of the span, for a call: its children are the spans
// of the called side. It is "" for a nil span or one without a place.
func (a *Active) Traceparent() string {
	if a == nil {
		return ""
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.settle()
	if a.span.Trace == (TraceID{}) {
		return ""
	}
	return Parent{Trace: a.span.Trace, Span: a.span.ID, Sampled: a.sampled}.Traceparent()
}
