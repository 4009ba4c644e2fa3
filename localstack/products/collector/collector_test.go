package collector_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/products/collector"
	"theoneagents.app/agents/shared/otlp"
	"theoneagents.app/agents/shared/span"
)

const most = 4 << 10

// serve returns a server of a collector, and its file.
func serve(t *testing.T) (server *httptest.Server, file string) {
	t.Helper()
	mux, file := http.NewServeMux(), filepath.Join(t.TempDir(), "traces.jsonl")
	collector.New(file, most).Mount(mux)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s, file
}

// export sends a span of a run by the exporter of the functions.
func export(t *testing.T, s *httptest.Server, event, run string) {
	t.Helper()
	trace := span.TraceOf(event)
	at := time.Date(2026, 3, 9, 14, 23, 1, 5, time.UTC)
	e := otlp.Exporter{Endpoint: s.URL, HTTP: s.Client(), Now: time.Now, Resource: []span.Attribute{{Key: "service.name", Value: "one-agents-runner"}}}
	if err := e.Export(t.Context(), []span.Span{
		{
			Trace: trace, ID: trace.Of("step", run), Parent: trace.Of("run", run), Name: "step", Kind: span.Internal, Start: at, End: at.Add(time.Second), Failed: true,
			Attributes: []span.Attribute{{Key: span.Execution, Value: run}, {Key: span.Tries, Value: int64(3)}},
		},
		{Trace: trace, ID: trace.Of("event"), Name: "dispatch", Kind: span.Consumer, Start: at, End: at},
	}, 0); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, url string) (status int, spans []collector.Span) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct{ Spans []collector.Span }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out.Spans
}

func TestARunHasTheSpansOfItsWholeTrace(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	export(t, s, "evt_1", "exec_1")
	export(t, s, "evt_2", "exec_2")
	at := time.Date(2026, 3, 9, 14, 23, 1, 5, time.UTC)
	trace := span.TraceOf("evt_1")
	want := []collector.Span{
		{
			Trace: trace.String(), ID: trace.Of("step", "exec_1").String(), Parent: trace.Of("run", "exec_1").String(), Service: "one-agents-runner", Name: "step",
			Start: at, End: at.Add(time.Second), Failed: true, Attributes: map[string]any{span.Execution: "exec_1", span.Tries: 3.0},
		},
		{Trace: trace.String(), ID: trace.Of("event").String(), Service: "one-agents-runner", Name: "dispatch", Start: at, End: at},
	}
	if _, got := get(t, s.URL+"/_traces?run=exec_1"); !cmp.Equal(want, got) {
		t.Errorf("spans (-want +got)\n%s", cmp.Diff(want, got))
	}
	if status, got := get(t, s.URL+"/_traces?run=exec_3"); status != http.StatusOK || len(got) != 0 {
		t.Errorf("of an unknown run: %d, %v", status, got)
	}
	if status, _ := get(t, s.URL+"/_traces"); status != http.StatusBadRequest {
		t.Errorf("without a run: %d", status)
	}
}

func TestTheFilesAreBoundedAndKeepTheLatestSpans(t *testing.T) {
	t.Parallel()
	s, file := serve(t)
	for n := range 60 {
		export(t, s, fmt.Sprintf("evt_%d", n), fmt.Sprintf("exec_%d", n))
	}
	var size int64
	for _, name := range []string{file, file + ".old"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 2*most {
		t.Errorf("%d bytes, want at most %d", size, 2*most)
	}
	if _, got := get(t, s.URL+"/_traces?run=exec_59"); len(got) != 2 {
		t.Errorf("the latest run has %v", got)
	}
}

func TestWhatIsNoExportIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	for _, body := range []string{"", "nonsense", "[]", `{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+otlp.Path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", body, resp.StatusCode)
		}
	}
}
