package otlp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/otlp"
	"theoneagents.app/agents/shared/span"
)

// a collector records the requests, and answers all of them alike.
type collector struct {
	status int
	answer string
	hangs  chan struct{} // closed, or never, when it answers at all

	bodies  []string
	headers []http.Header
}

func (c *collector) start(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		c.bodies, c.headers = append(c.bodies, r.Method+" "+r.URL.Path+" "+string(body)), append(c.headers, r.Header)
		if c.hangs != nil {
			<-c.hangs
		}
		w.WriteHeader(c.status)
		io.WriteString(w, c.answer) //nolint:errcheck // the exporter reports it.
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// spans are a span with and one without each optional field.
func spans() []span.Span {
	trace, _ := span.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	at := time.Unix(1773066181, 5).UTC()
	return []span.Span{
		{
			Trace: trace.Trace, ID: trace.Span, Parent: span.ID{1}, Name: "call psa", Kind: span.Client, Start: at, End: at.Add(time.Second), Failed: true,
			Attributes: []span.Attribute{{Key: "product", Value: "psa"}, {Key: "status", Value: int64(503)}, {Key: "sent", Value: true}},
		},
		{Trace: trace.Trace, ID: trace.Span, Name: "turn", Kind: span.Consumer, Start: at, End: at},
	}
}

func exporter(url string, now func() time.Time) *otlp.Exporter {
	return &otlp.Exporter{
		Endpoint: url, Headers: map[string]string{"Api-Key": "swordfish"}, HTTP: &http.Client{}, Now: now,
		Resource: []span.Attribute{{Key: "service.name", Value: "one-agents-runner"}},
	}
}

func TestSpansAreSentAsOTLPSpecifies(t *testing.T) {
	t.Parallel()
	c := &collector{status: http.StatusOK, answer: `{"partialSuccess":{}}`}
	if err := exporter(c.start(t), time.Now).Export(t.Context(), spans(), 0); err != nil {
		t.Fatal(err)
	}
	// This text was read by the OpenTelemetry Collector's own reader, package ptrace of
	// pdata v1.41.0, which found all fields in it.
	const want = `POST /v1/traces {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"one-agents-runner"}}]},` +
		`"scopeSpans":[{"scope":{"name":"theoneagents.app/agents"},"spans":[` +
		`{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":"0100000000000000","name":"call psa","kind":3,` +
		`"startTimeUnixNano":"1773066181000000005","endTimeUnixNano":"1773066182000000005","attributes":[{"key":"product","value":{"stringValue":"psa"}},` +
		`{"key":"status","value":{"intValue":"503"}},{"key":"sent","value":{"boolValue":true}}],"status":{"code":2}},` +
		`{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"turn","kind":5,` +
		`"startTimeUnixNano":"1773066181000000005","endTimeUnixNano":"1773066181000000005"}]}]}]}`
	if diff := cmp.Diff([]string{want}, c.bodies); diff != "" {
		t.Errorf("requests (-want +got)\n%s", diff)
	}
	if h := c.headers[0]; h.Get("Content-Type") != "application/json" || h.Get("Api-Key") != "swordfish" {
		t.Errorf("headers %v", h)
	}
	var again otlp.Traces
	if err := json.Unmarshal([]byte(strings.TrimPrefix(c.bodies[0], "POST /v1/traces ")), &again); err != nil || len(again.ResourceSpans[0].ScopeSpans[0].Spans) != 2 {
		t.Errorf("%v, %+v", err, again)
	}
}

func TestWithoutSpansNothingIsSent(t *testing.T) {
	t.Parallel()
	c := &collector{status: http.StatusOK}
	if err := exporter(c.start(t), time.Now).Export(t.Context(), nil, 0); err != nil || len(c.bodies) != 0 {
		t.Errorf("%v after %v", err, c.bodies)
	}
}

func TestALostSpanIsAnErrorThatSaysWhyAndHoldsNoKey(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		collector collector
		dropped   int
		want      string
	}{
		"a refusal":         {collector{status: http.StatusServiceUnavailable, answer: `{"message": "full"}`}, 0, "2 spans are lost: the collector answered 503 (full)"},
		"rejected spans":    {collector{status: http.StatusOK, answer: `{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}`}, 0, "1 spans are lost: the collector rejected them: too old"},
		"too many spans":    {collector{status: http.StatusOK}, 3, "3 spans are lost: an invocation keeps at most 512 spans"},
		"no answer in time": {collector{hangs: make(chan struct{})}, 0, "2 spans are lost: the collector cannot be reached: it did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := exporter(tc.collector.start(t), time.Now)
			began := time.Now()
			err := e.Export(t.Context(), spans(), tc.dropped)
			if tc.collector.hangs != nil {
				close(tc.collector.hangs)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "swordfish") {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
			if took := time.Since(began); took > 10*otlp.Timeout {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAfterAFailureNothingIsSentForAMinute(t *testing.T) {
	t.Parallel()
	c := &collector{status: http.StatusServiceUnavailable}
	now := time.Unix(1773066181, 0)
	e := exporter(c.start(t), func() time.Time { return now })
	for n, tc := range []struct {
		after time.Duration
		calls int
		fails string
	}{{0, 1, " 2 spans"}, {time.Second, 1, ""}, {otlp.Rest - 2*time.Second, 1, ""}, {time.Second, 2, " 6 spans"}, {time.Second, 2, ""}} {
		now = now.Add(tc.after)
		err := e.Export(t.Context(), spans(), 0)
		if (err != nil) != (tc.fails != "") || err != nil && !strings.Contains(err.Error(), tc.fails) || len(c.bodies) != tc.calls {
			t.Errorf("export %d: %v after %d calls", n, err, len(c.bodies))
		}
	}
}

func TestHeadersAreReadOrRefusedWithoutQuotingThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		"":                            {},
		"api-key=abc=":                {"api-key": "abc="},
		" api-key=a b , x-team=msp, ": {"api-key": "a b", "x-team": "msp"},
		"swordfish":                   nil, "=swordfish": nil, "a b=swordfish": nil, "a=sword\nfish": nil, "a:=swordfish": nil,
	} {
		got, err := otlp.ParseHeaders(text)
		if diff := cmp.Diff(want, got); diff != "" || (err != nil) != (want == nil) || err != nil && strings.Contains(err.Error(), "fish") {
			t.Errorf("%q: %v (-want +got)\n%s", text, err, diff)
		}
	}
}
