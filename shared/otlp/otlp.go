// Package otlp sends spans to a collector in OTLP over HTTP with JSON
// (opentelemetry.io/docs/specs/otlp).
//
// OpenTelemetry's own SDK and exporter would make each function 7.6 MB larger and its
// start 1.5 ms longer, through protobuf and gRPC, which nothing else here uses; the
// JSON form needs neither. Whoever sets no endpoint pays nothing at all.
//
// A trace is never worth a run: an export has a time limit, and after a failed one
// there is none for a minute. Spans that are not sent are counted in the error, which
// the function logs.
package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"theoneagents.app/agents/shared/httpcall"
	"theoneagents.app/agents/shared/span"
)

const (
	// Timeout limits one export. The answer of the invocation waits for it.
	Timeout = 500 * time.Millisecond
	// Rest is the time without an export after a failed one.
	Rest = time.Minute
	// Path is that of traces below the endpoint.
	Path = "/v1/traces"
	// maxReply limits the answer that is read, in bytes.
	maxReply = 4 << 10
)

// An Exporter sends spans. It is safe for concurrent use.
type Exporter struct {
	Endpoint string            // without Path and without a slash at its end
	Headers  map[string]string // such as the key of a collector; never logged
	HTTP     *http.Client
	Now      func() time.Time
	// Resource are the attributes of the function, such as service.name.
	Resource []span.Attribute

	mu   sync.Mutex
	rest time.Time // until which nothing is sent
	lost int       // spans, since the last report
}

// Export sends the spans, of which dropped more were not kept. It returns an error
// when spans are lost for the first time in a minute, with the number of those lost
// since the error before.
func (e *Exporter) Export(ctx context.Context, spans []span.Span, dropped int) error {
	if len(spans) == 0 && dropped == 0 {
		return nil
	}
	e.mu.Lock()
	e.lost += dropped
	resting := e.Now().Before(e.rest)
	if resting {
		e.lost += len(spans)
	}
	e.mu.Unlock()
	if resting {
		return nil
	}
	rejected, err := e.send(ctx, spans)

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lost += rejected; e.lost == 0 {
		return err
	}
	if err == nil {
		err = fmt.Errorf("an invocation keeps at most %d spans", span.MaxSpans)
	}
	if len(spans) > 0 && rejected == len(spans) {
		e.rest = e.Now().Add(Rest)
	}
	err = fmt.Errorf("export traces: %d spans are lost: %w", e.lost, err)
	e.lost = 0
	return err
}

// send returns the number of spans that the collector did not take, with the reason.
func (e *Exporter) send(ctx context.Context, spans []span.Span) (int, error) {
	if len(spans) == 0 {
		return 0, nil
	}
	body, err := json.Marshal(Request(e.Resource, spans))
	if err != nil {
		return len(spans), err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Endpoint+Path, bytes.NewReader(body))
	if err != nil {
		return len(spans), errors.New("the endpoint is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range e.Headers {
		req.Header.Set(name, value)
	}
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return len(spans), errors.New("the collector cannot be reached: " + httpcall.Unanswered(err))
	}
	defer resp.Body.Close() //nolint:errcheck // a failed close has no effect.
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if !httpcall.Done(resp.StatusCode) {
		return len(spans), errors.New("the collector " + httpcall.Answered(resp.StatusCode, reply))
	}
	if err != nil {
		return 0, nil // the status says that it has the spans
	}
	return partial(reply)
}

// partial returns the number of spans that an answer rejects, with the reason. The
// number is a string in OTLP's JSON.
func partial(reply []byte) (int, error) {
	var answer struct {
		Partial struct {
			Rejected json.RawMessage `json:"rejectedSpans"`
			Why      string          `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	err := json.Unmarshal(reply, &answer)
	n, none := strconv.Atoi(strings.Trim(string(answer.Partial.Rejected), `"`))
	if err != nil || none != nil || n <= 0 {
		return 0, nil //nolint:nilerr // an answer in another form, or none, rejects nothing.
	}
	return n, errors.New("the collector rejected them: " + httpcall.Excerpt(answer.Partial.Why))
}

// The messages of OTLP, as far as they are used. An id is hexadecimal, and a 64-bit
// number is a string.
type (
	// Traces is an ExportTraceServiceRequest.
	Traces struct {
		ResourceSpans []ResourceSpans `json:"resourceSpans"`
	}
	// ResourceSpans are the spans of one function.
	ResourceSpans struct {
		Resource   Resource     `json:"resource"`
		ScopeSpans []ScopeSpans `json:"scopeSpans"`
	}
	// Resource describes the function.
	Resource struct {
		Attributes []KeyValue `json:"attributes"`
	}
	// ScopeSpans are the spans of one library.
	ScopeSpans struct {
		Scope Scope  `json:"scope"`
		Spans []Span `json:"spans"`
	}
	// Scope is the library.
	Scope struct {
		Name string `json:"name"`
	}
	// Span is a span.
	Span struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		Parent     string     `json:"parentSpanId,omitempty"`
		Name       string     `json:"name"`
		Kind       int        `json:"kind"`
		Start      string     `json:"startTimeUnixNano"`
		End        string     `json:"endTimeUnixNano"`
		Attributes []KeyValue `json:"attributes,omitempty"`
		Status     *Status    `json:"status,omitempty"`
	}
	// KeyValue is an attribute.
	KeyValue struct {
		Key   string `json:"key"`
		Value Value  `json:"value"`
	}
	// Value has one of its fields.
	Value struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
		Bool   *bool   `json:"boolValue,omitempty"`
	}
	// Status is that of a span that failed.
	Status struct {
		Code int `json:"code"`
	}
)

// StatusFailed is the code of a failed span.
const StatusFailed = 2

const scope = "theoneagents.app/agents"

// Request returns the message for the spans of a function.
func Request(resource []span.Attribute, spans []span.Span) Traces {
	out := make([]Span, 0, len(spans))
	for _, s := range spans {
		m := Span{
			TraceID: s.Trace.String(), SpanID: s.ID.String(), Name: s.Name, Kind: int(s.Kind),
			Start: strconv.FormatInt(s.Start.UnixNano(), 10), End: strconv.FormatInt(s.End.UnixNano(), 10), Attributes: keyValues(s.Attributes),
		}
		if s.Parent != (span.ID{}) {
			m.Parent = s.Parent.String()
		}
		if s.Failed {
			m.Status = &Status{Code: StatusFailed}
		}
		out = append(out, m)
	}
	return Traces{ResourceSpans: []ResourceSpans{{
		Resource: Resource{Attributes: keyValues(resource)}, ScopeSpans: []ScopeSpans{{Scope: Scope{Name: scope}, Spans: out}},
	}}}
}

func keyValues(list []span.Attribute) []KeyValue {
	out := make([]KeyValue, 0, len(list))
	for _, a := range list {
		v := Value{}
		switch x := a.Value.(type) {
		case string:
			v.String = &x
		case int64:
			text := strconv.FormatInt(x, 10)
			v.Int = &text
		case bool:
			v.Bool = &x
		}
		out = append(out, KeyValue{a.Key, v})
	}
	return out
}

// ParseHeaders reads the headers of an exporter as OTEL_EXPORTER_OTLP_HEADERS has
// them, such as "api-key=abc,x-team=msp". Its error does not quote the text, which is
// a secret.
func ParseHeaders(text string) (map[string]string, error) {
	headers := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || strings.ContainsAny(name, " :\r\n") || strings.ContainsAny(value, "\r\n") {
			return nil, errors.New("want headers like api-key=abc,x-team=msp")
		}
		headers[name] = value
	}
	return headers, nil
}
