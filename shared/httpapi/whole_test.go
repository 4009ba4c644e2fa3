package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"theoneagents.app/agents/shared/gateway"
	"theoneagents.app/agents/shared/httpapi/client"
)

func TestWholeHandlersAnswerRawEventsInOurShape(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
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

func TestTheClientReadsWhatTheServerWrites(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	as := func(who string) *client.ClientWithResponses {
		c, err := client.NewClientWithResponses(server.URL, client.WithHTTPClient(asking{who}))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := as("owner@org_a")
	made, err := c.CreateAgentWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(definition))
	if err != nil || made.JSON201 == nil || made.JSON201.Status != client.AgentStatusDraft {
		t.Fatalf("create: %v, %s", err, made.Body)
	}
	step, err := made.JSON201.Steps[2].AsBranchStep()
	if err != nil || len(step.Cases) != 1 {
		t.Errorf("the branch: %v, %v", step, err)
	}
	run, err := c.GetExecutionWithResponse(t.Context(), doneID)
	if err != nil || run.JSON200 == nil || run.JSON200.CreditsUsed != 20 {
		t.Errorf("the run: %v, %s", err, run.Body)
	}
	none, err := c.GetAgentWithResponse(t.Context(), "agent_NONE")
	if err != nil || none.JSON404 == nil || none.JSON404.Error != "agent_not_found" {
		t.Errorf("nothing: %v, %s", err, none.Body)
	}
}

// asking sends requests as somebody.
type asking struct{ who string }

func (a asking) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+a.who)
	return http.DefaultTransport.RoundTrip(r)
}
