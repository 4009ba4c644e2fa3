package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/step"
)

// maxReply bounds the bytes of a reply that are read. The longest answer has a
// hundredth of them.
const maxReply = 4 << 20

// OpenAI calls an endpoint with OpenAI's chat completions API
// (platform.openai.com/docs/api-reference/chat). It needs one request of that API.
// OpenAI's own client of all of them takes a quarter of the time in which everything
// else is compiled.
type OpenAI struct {
	client *http.Client
	url    string
	key    string
	names  Names
}

// NewOpenAI returns a client of the endpoint at base, such as
// https://api.openai.com/v1/. It does not repeat a call, since each is billed, and
// follows no redirect.
func NewOpenAI(base, key string, client *http.Client, names Names) OpenAI {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return OpenAI{client: &own, url: strings.TrimSuffix(base, "/") + "/chat/completions", key: key, names: names}
}

// The body of a request.
type (
	chat struct {
		Model     string        `json:"model"`
		Messages  []chatMessage `json:"messages"`
		MaxTokens int           `json:"max_completion_tokens"`
		Format    *chatFormat   `json:"response_format,omitempty"`
	}
	chatMessage struct {
		Role    string `json:"role"`
		Content any    `json:"content"` // a text, or a list of parts
	}
	chatText struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	chatFormat struct {
		Type   string     `json:"type"`
		Schema chatSchema `json:"json_schema"`
	}
	chatSchema struct {
		Name   string         `json:"name"`
		Schema map[string]any `json:"schema"`
	}
)

// Ask implements step.Model.
func (o OpenAI) Ask(ctx context.Context, q step.Question) (step.Answer, error) {
	body, err := o.body(q)
	if err != nil {
		return step.Answer{}, permanent("the question could not be encoded", err)
	}
	asked := step.Answer{Usage: execution.Usage{Model: o.names.of(q)}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return asked, permanent("the model could not be reached", err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + o.key, "Content-Type": "application/json", "Accept": "application/json",
		"X-Org-Id": string(q.Org), "X-One-Agents-Execution": string(q.Execution), "X-One-Agents-Step": string(q.Step),
	} {
		request.Header.Set(name, value)
	}
	reply, err := o.client.Do(request)
	if err != nil {
		return asked, unreachable(err)
	}
	defer reply.Body.Close() //nolint:errcheck // what is needed has been read.
	text, err := io.ReadAll(io.LimitReader(reply.Body, maxReply))
	switch {
	case reply.StatusCode >= http.StatusMultipleChoices:
		return asked, refusal(reply)
	case err != nil:
		return asked, unreachable(err)
	}
	doc, err := jsonvalue.Object(text)
	if err != nil {
		return asked, unreachable(err)
	}
	return completed(doc)
}

func (o OpenAI) body(q step.Question) ([]byte, error) {
	parts, err := prompt(q)
	if err != nil {
		return nil, err
	}
	content := make([]chatText, 0, len(parts))
	for _, p := range parts {
		content = append(content, chatText{Type: "text", Text: p})
	}
	c := chat{
		Model:     o.names.of(q),
		Messages:  []chatMessage{{Role: "system", Content: system(q)}, {Role: "user", Content: content}},
		MaxTokens: q.Tier.MaxTokens(),
	}
	if q.Schema != nil {
		c.Format = &chatFormat{Type: "json_schema", Schema: chatSchema{Name: toolName, Schema: q.Schema}}
	}
	return json.Marshal(c)
}

// completed reads an answer. A part that is missing or has another type is empty.
func completed(doc map[string]any) (step.Answer, error) {
	a := step.Answer{Usage: execution.Usage{
		Model: textAt(doc, "model"), InputTokens: countAt(doc, "usage.prompt_tokens"), OutputTokens: countAt(doc, "usage.completion_tokens"),
	}}
	if _, is := jsonvalue.Lookup(doc, "choices.0"); !is {
		return a, permanent("the model's answer is empty", errNothing)
	}
	content, finish := textAt(doc, "choices.0.message.content"), textAt(doc, "choices.0.finish_reason")
	switch {
	case finish == "length":
		a.Text = content
		return a, cut()
	case finish == "content_filter", textAt(doc, "choices.0.message.refusal") != "":
		return a, permanent("the model refused", errRefused)
	}
	a.Text = content
	return a, nil
}

func textAt(doc map[string]any, path string) string {
	v, _ := jsonvalue.Lookup(doc, path)
	text, _ := v.(string)
	return text
}

func countAt(doc map[string]any, path string) int64 {
	v, _ := jsonvalue.Lookup(doc, path)
	n, _ := v.(int64)
	return max(n, 0)
}

// unreachable classifies a call without an answer that can be read; see
// step.ErrElsewhere.
func unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return permanent("no answer in time", err)
	}
	return tryFallback("the model could not be reached", err)
}

// refusal classifies an answer that refuses by its status. The text may repeat the
// key, and is not read.
func refusal(reply *http.Response) error {
	err := fmt.Errorf("status %d", reply.StatusCode)
	switch {
	case reply.StatusCode == http.StatusTooManyRequests:
		return busy(err, retryAfter(reply.Header))
	case reply.StatusCode == http.StatusRequestTimeout:
		return tryFallback("the model took too long", err)
	case reply.StatusCode >= http.StatusInternalServerError:
		return tryFallback("the model is down", err)
	}
	return permanent("the model refused the question", err)
}
