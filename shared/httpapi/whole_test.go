package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/gateway"
)

func TestRawGatewayEventsGetTheErrorBody(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	w.edge.RequestID = gateway.RequestID
	handle := gateway.Handle(w.edge.mount(w.routes))
	files, err := filepath.Glob("../gateway/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var in lambdaevents.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(data, &in); err != nil {
			t.Fatal(err)
		}
		out, err := handle(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var got problem
		if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
			t.Errorf("%s: %v: %s", file, err, out.Body)
		}
		if out.StatusCode < 400 || out.StatusCode > 499 || got.Status != out.StatusCode || got.RequestID != in.RequestContext.RequestID {
			t.Errorf("%s: %d %s", file, out.StatusCode, out.Body)
		}
		if in.Headers == nil {
			continue
		}
		in.Cookies = nil
		delete(in.Headers, "cookie")
		delete(in.Headers, "Cookie")
		in.Headers["authorization"] = "Bearer owner@org_a"
		if out, err := handle(t.Context(), in); err != nil || out.StatusCode == http.StatusUnauthorized || out.StatusCode > 499 {
			t.Errorf("%s as owner: %d %s %v", file, out.StatusCode, out.Body, err)
		}
	}
}

func TestResponsesOverHTTPMatchTheContract(t *testing.T) {
	t.Parallel()

	w := newFixture(t)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	made := w.send(t, server, "POST /api/agents", exampleAgent)
	if made.status != http.StatusCreated || made.field("status") != "draft" || made.field("steps[2].cases[0].steps[0].id") != "note" {
		t.Errorf("create: %d %s", made.status, made.text)
	}
	if run := w.send(t, server, "GET /api/executions/"+doneID, ""); run.status != http.StatusOK || run.field("credits_used") != float64(20) {
		t.Errorf("the run: %d %s", run.status, run.text)
	}
	if none := w.send(t, server, "GET /api/agents/agent_NONE", ""); none.status != http.StatusNotFound || none.field("error") != "agent_not_found" {
		t.Errorf("no such agent: %d %s", none.status, none.text)
	}
}

// send sends a request to a server as an owner and checks the response against
// the contract.
func (w *fixture) send(t *testing.T, server *httptest.Server, what, body string) reply {
	t.Helper()
	method, target, _ := strings.Cut(what, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer owner@org_a")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body is read to its end.
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	res := reply{status: resp.StatusCode, header: resp.Header, text: string(data)}
	if err := json.Unmarshal(data, &res.body); err != nil {
		t.Fatalf("%s: the body is not JSON: %v", what, err)
	}
	if err := w.matches(r, res); err != nil {
		t.Errorf("%s: %v\n%d %s", what, err, res.status, res.text)
	}
	return res
}
