package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"theoneagents.app/agents/localstack/products/reply"
)

// A chatRequest has the fields that are used of a request for a chat completion.
type chatRequest struct {
	Model    string        `json:"model"`
	Messages []chatMessage `json:"messages"`
	Format   struct {
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Metadata map[string]string `json:"metadata"`
}

type chatMessage struct {
	Role    string      `json:"role"`
	Content chatContent `json:"content"`
}

// A chatContent is a text, which a request may send in parts.
type chatContent string

// UnmarshalJSON reads a text, or a list of parts, or null.
func (c *chatContent) UnmarshalJSON(text []byte) error {
	var whole string
	if json.Unmarshal(text, &whole) == nil {
		*c = chatContent(whole)
		return nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		*c += chatContent(p.Text)
	}
	return nil
}

// complete answers POST /openai/v1/chat/completions.
func (m *Model) complete(w http.ResponseWriter, r *http.Request) {
	body, err := reply.Body(w, r)
	if err != nil {
		openAIError(w, reply.UnreadableStatus(err), err.Error())
		return
	}
	q, err := readChat(body)
	if err != nil {
		openAIError(w, http.StatusBadRequest, err.Error())
		return
	}
	q.org = cmp.Or(r.Header.Get("X-Org-Id"), q.org)
	q.execution = cmp.Or(r.Header.Get("X-One-Agents-Execution"), q.execution)
	q.step = cmp.Or(r.Header.Get("X-One-Agents-Step"), q.step)
	at := m.now()
	t := m.ask(r, q)
	if t.status != http.StatusOK {
		t.cue.Header(w.Header())
		openAIError(w, t.status, t.text)
		return
	}
	reply.JSON(w, http.StatusOK, chatReply(q, t, at.Unix()))
}

func readChat(body []byte) (question, error) {
	var in chatRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return question{}, err
	}
	if len(in.Messages) == 0 {
		return question{}, errors.New("there are no messages")
	}
	var system, prompt []string
	for _, msg := range in.Messages {
		if msg.Role == "system" || msg.Role == "developer" {
			system = append(system, string(msg.Content))
		} else {
			prompt = append(prompt, string(msg.Content))
		}
	}
	return question{
		dialect: openAI, model: in.Model,
		system: strings.Join(system, "\n\n"), prompt: strings.Join(prompt, "\n\n"), schema: in.Format.JSONSchema.Schema,
		org: in.Metadata["org_id"], execution: in.Metadata["execution_id"], step: in.Metadata["step_id"],
	}, nil
}

func chatReply(q question, t completion, created int64) map[string]any {
	in, out := tokens(q.system, q.prompt, string(q.schema)), tokens(t.words())
	return map[string]any{
		"id": "chatcmpl-local", "object": "chat.completion", "created": created, "model": q.model,
		"choices": []any{map[string]any{
			"index": 0, "finish_reason": "stop", "logprobs": nil,
			"message": map[string]any{"role": "assistant", "content": t.words(), "refusal": nil},
		}},
		"usage": map[string]int{"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out},
	}
}

// openAIError answers in OpenAI's form.
func openAIError(w http.ResponseWriter, status int, message string) {
	kind := "invalid_request_error"
	switch {
	case status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case status >= http.StatusInternalServerError:
		kind = "server_error"
	}
	reply.JSON(w, status, map[string]any{"error": map[string]any{
		"message": message, "type": kind, "param": nil, "code": reply.Code(status),
	}})
}
