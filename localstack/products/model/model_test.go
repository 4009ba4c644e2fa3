package model_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"theoneagents.app/agents/localstack/products/journal"
	"theoneagents.app/agents/localstack/products/model"
)

const modelID = "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-v1:0"

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	model.New(journal.New[model.Call](100, 1<<20), time.Now).Mount(mux)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// call sends a request and returns status and body of the answer.
func call(t *testing.T, s *httptest.Server, method, path, body string, header ...string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n+1 < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func rules(t *testing.T, s *httptest.Server, text string) {
	t.Helper()
	if status, body := call(t, s, "PUT", "/_model", `{"rules": `+text+`}`); status != http.StatusOK {
		t.Fatalf("rules: %d %s", status, body)
	}
}

func sdk(s *httptest.Server) *bedrockruntime.Client {
	return bedrockruntime.New(bedrockruntime.Options{
		BaseEndpoint: aws.String(s.URL + "/bedrock"), Region: "us-east-1", HTTPClient: s.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// ask returns a question of org_a; if forced, the answer must use the tool.
func ask(prompt string, forced bool) *bedrockruntime.ConverseInput {
	in := &bedrockruntime.ConverseInput{
		ModelId:         aws.String(modelID),
		System:          []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "You sort tickets."}},
		Messages:        []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: prompt}}}},
		RequestMetadata: map[string]string{"org_id": "org_a", "execution_id": "exec_1", "step_id": "triage"},
	}
	if !forced {
		return in
	}
	in.ToolConfig = &types.ToolConfiguration{
		Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
			Name: aws.String("answer"),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
				"type": "object", "required": []string{"category"},
				"properties": map[string]any{"category": map[string]any{"enum": []string{"network", "general"}}},
			})},
		}}},
		ToolChoice: &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String("answer")}},
	}
	return in
}

// said returns the only text in out, or the input of its only tool use.
func said(t *testing.T, out *bedrockruntime.ConverseOutput) (text string, input map[string]any) {
	t.Helper()
	msg, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok || len(msg.Value.Content) != 1 {
		t.Fatalf("output %#v", out.Output)
	}
	switch b := msg.Value.Content[0].(type) {
	case *types.ContentBlockMemberText:
		return b.Value, nil
	case *types.ContentBlockMemberToolUse:
		if aws.ToString(b.Value.Name) != "answer" || aws.ToString(b.Value.ToolUseId) == "" {
			t.Errorf("tool use %v %v", b.Value.Name, b.Value.ToolUseId)
		}
		if err := b.Value.Input.UnmarshalSmithyDocument(&input); err != nil {
			t.Fatal(err)
		}
	}
	return "", input
}

func TestTheSDKGetsTheInputOfTheForcedTool(t *testing.T) {
	t.Parallel()

	s := serve(t)
	out, err := sdk(s).Converse(t.Context(), ask("The VPN is slow.", true))
	if err != nil {
		t.Fatal(err)
	}
	if _, input := said(t, out); !cmp.Equal(input, map[string]any{"category": "network"}) {
		t.Errorf("input %v", input)
	}
	if out.StopReason != types.StopReasonToolUse || aws.ToInt32(out.Usage.TotalTokens) == 0 || aws.ToInt64(out.Metrics.LatencyMs) == 0 {
		t.Errorf("stop %v, usage %+v, metrics %+v", out.StopReason, out.Usage, out.Metrics)
	}

	_, text := call(t, s, "GET", "/_model/calls?org_id=org_a", "")
	var list struct {
		Calls []model.Call `json:"calls"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	want := []model.Call{{
		Dialect: "bedrock", Model: modelID, Org: "org_a", Execution: "exec_1", Step: "triage", System: "You sort tickets.", Prompt: "The VPN is slow.",
		Schema: json.RawMessage(`{"properties":{"category":{"enum":["network","general"]}},"required":["category"],"type":"object"}`),
		Status: 200, Response: map[string]any{"category": "network"},
	}}
	if diff := cmp.Diff(want, list.Calls, cmpopts.IgnoreFields(model.Call{}, "At")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestTheSDKGetsATextWithoutATool(t *testing.T) {
	t.Parallel()

	out, err := sdk(serve(t)).Converse(t.Context(), ask("The VPN is slow.", false))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := said(t, out)
	if !strings.Contains(text, "network") || out.StopReason != types.StopReasonEndTurn {
		t.Errorf("text %q, stop %v", text, out.StopReason)
	}
}

func TestTheSDKGetsATextOfTheSchemaItAsksFor(t *testing.T) {
	t.Parallel()

	in := ask("The VPN is slow.", false)
	in.OutputConfig = &types.OutputConfig{TextFormat: &types.OutputFormat{
		Type: types.OutputFormatTypeJsonSchema,
		Structure: &types.OutputFormatStructureMemberJsonSchema{Value: types.JsonSchemaDefinition{
			Schema: aws.String(`{"type": "object", "properties": {"n": {"const": 7}}}`),
		}},
	}}
	out, err := sdk(serve(t)).Converse(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := said(t, out); text != `{"n":7}` {
		t.Errorf("text %q", text)
	}
}

func TestTheSDKSeesTypedErrors(t *testing.T) {
	t.Parallel()

	tests := []struct {
		status string
		is     func(error) bool
	}{
		{"400", as[*types.ValidationException]},
		{"403", as[*types.AccessDeniedException]},
		{"404", as[*types.ResourceNotFoundException]},
		{"408", as[*types.ModelTimeoutException]},
		{"424", as[*types.ModelErrorException]},
		{"429", as[*types.ThrottlingException]},
		{"500", as[*types.InternalServerException]},
		{"503", as[*types.ServiceUnavailableException]},
	}
	for _, tt := range tests {
		t.Run(tt.status, func(t *testing.T) {
			t.Parallel()

			s := serve(t)
			rules(t, s, `[{"contains": "VPN", "status": `+tt.status+`, "times": 1}]`)
			_, err := sdk(s).Converse(t.Context(), ask("The VPN is slow.", true))
			if !tt.is(err) {
				t.Errorf("err = %v", err)
			}
			if _, err := sdk(s).Converse(t.Context(), ask("The VPN is slow.", true)); err != nil {
				t.Errorf("then err = %v", err)
			}
			if _, text := call(t, s, "GET", "/_model/calls", ""); !strings.Contains(text, `"status":`+tt.status) {
				t.Errorf("calls %s", text)
			}
		})
	}
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestRulesSetTheAnswers(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, rules, text string
		input             map[string]any
	}{
		{"an object is the tool's input", `[{"contains": "VPN", "respond": {"x": "1"}}]`, "", map[string]any{"x": "1"}},
		{"a text that holds an object is, too", `[{"respond": "{\"x\": \"2\"}"}]`, "", map[string]any{"x": "2"}},
		{"any other text is nonsense", `[{"respond": "[1] hello"}]`, "[1] hello", nil},
		{"what a rule looks for is sought in the system prompt too", `[{"contains": "sort tickets", "respond": "found"}]`, "found", nil},
		{"the first rule that fits wins", `[{"contains": "printer", "respond": "no"}, {"respond": "first"}, {"respond": "second"}]`, "first", nil},
		{"a rule of another org is not ours", `[{"org_id": "org_b", "respond": "b"}, {"org_id": "org_a", "respond": "a"}]`, "a", nil},
		{"a rule that only delays leaves the answer to the model", `[{"delay_ms": 1}]`, "", map[string]any{"category": "network"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			s := serve(t)
			rules(t, s, tt.rules)
			out, err := sdk(s).Converse(t.Context(), ask("The VPN is slow.", true))
			if err != nil {
				t.Fatal(err)
			}
			text, input := said(t, out)
			if diff := cmp.Diff([]any{tt.text, tt.input}, []any{text, input}, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("text, input (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClientThatLeavesEndsTheDelay(t *testing.T) {
	t.Parallel()

	s := serve(t)
	rules(t, s, `[{"delay_ms": 3600000}]`)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, "POST", "/openai/v1/chat/completions", strings.NewReader(chat+"}"))
	s.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
	if _, text := call(t, s, "GET", "/_model/calls", ""); !strings.Contains(text, `"status":499`) {
		t.Errorf("calls %s", text)
	}
}

const chat = `{"model": "small", "messages": [
	{"role": "system", "content": "You sort tickets."},
	{"role": "user", "content": [{"type": "text", "text": "The VPN"}, {"type": "text", "text": " is slow."}]}],
	"metadata": {"org_id": "org_m", "execution_id": "exec_1", "step_id": "triage"}`

const chatFormat = `, "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema":
	{"type": "object", "required": ["category"], "properties": {"category": {"enum": ["general", "network"]}}}}}`

func TestTheOpenAIDialectGivesTheSameAnswers(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, rules, body, org, content string
	}{
		{"data of the schema as text", `[]`, chat + chatFormat + "}", "", `{"category":"network"}`},
		{"an object of a rule as text", `[{"respond": {"x":1}}]`, chat + "}", "", `{"x":1}`},
		{"a text of a rule as it is", `[{"respond": "hello"}]`, chat + chatFormat + "}", "", `hello`},
		{"the org by metadata", `[{"org_id": "org_m", "respond": "m"}]`, chat + "}", "", `m`},
		{"the org by header before that", `[{"org_id": "org_m", "respond": "m"}, {"org_id": "org_h", "respond": "h"}]`, chat + "}", "org_h", `h`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			s := serve(t)
			rules(t, s, tt.rules)
			status, text := call(t, s, "POST", "/openai/v1/chat/completions", tt.body, "X-Org-Id", tt.org)
			var got struct {
				Object  string `json:"object"`
				Model   string `json:"model"`
				Choices []struct {
					Message struct {
						Role    string `json:"role"`
						Content string `json:"content"`
					} `json:"message"`
					Finish string `json:"finish_reason"`
				} `json:"choices"`
				Usage struct {
					Total int `json:"total_tokens"`
				} `json:"usage"`
			}
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if status != http.StatusOK || got.Object != "chat.completion" || got.Model != "small" || got.Usage.Total == 0 || len(got.Choices) != 1 {
				t.Fatalf("%d %s", status, text)
			}
			if c := got.Choices[0]; c.Message.Content != tt.content || c.Message.Role != "assistant" || c.Finish != "stop" {
				t.Errorf("choice %+v, want %q", c, tt.content)
			}
		})
	}
}

func TestTheOpenAIDialectHasItsOwnErrors(t *testing.T) {
	t.Parallel()

	s := serve(t)
	rules(t, s, `[{"status": 429}]`)
	status, got := call(t, s, "POST", "/openai/v1/chat/completions", chat+"}")
	want := `{"error":{"code":"too_many_requests","message":"a rule makes this call fail","param":null,"type":"rate_limit_error"}}`
	if status != http.StatusTooManyRequests || got != want {
		t.Errorf("%d %s, want %s", status, got, want)
	}
}

func TestAnInvalidRequestIsRefused(t *testing.T) {
	t.Parallel()

	s := serve(t)
	tests := []struct {
		name, method, path, body string
		want                     int
	}{
		{"no JSON to Bedrock", "POST", "/bedrock/model/m/converse", `{`, 400},
		{"no messages to Bedrock", "POST", "/bedrock/model/m/converse", `{}`, 400},
		{"an unknown tool", "POST", "/bedrock/model/m/converse", `{"messages": [{}], "toolConfig": {"tools": [], "toolChoice": {"tool": {"name": "x"}}}}`, 400},
		{"no messages to OpenAI", "POST", "/openai/v1/chat/completions", `{}`, 400},
		{"a misspelt rule", "PUT", "/_model", `{"rules": [{"content": "x"}]}`, 400},
		{"a rule with an odd status", "PUT", "/_model", `{"rules": [{"status": 42}]}`, 400},
		{"too long a body", "PUT", "/_model", `{"rules": [{"contains": "` + strings.Repeat("x", 1<<20) + `"}]}`, 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			status, text := call(t, s, tt.method, tt.path, tt.body)
			if status != tt.want || !json.Valid([]byte(text)) {
				t.Errorf("%d %s, want %d", status, text, tt.want)
			}
		})
	}
}

func TestForgettingTheCallsOfAnOrgKeepsOtherOrgs(t *testing.T) {
	t.Parallel()

	s := serve(t)
	for _, org := range []string{"org_a", "org_b"} {
		call(t, s, "POST", "/openai/v1/chat/completions", chat+"}", "X-Org-Id", org)
	}
	if status, _ := call(t, s, "DELETE", "/_model/calls?org_id=org_a", ""); status != http.StatusNoContent {
		t.Errorf("status %d", status)
	}
	_, text := call(t, s, "GET", "/_model/calls", "")
	if strings.Contains(text, "org_a") || !strings.Contains(text, "org_b") {
		t.Errorf("calls %s", text)
	}
}
