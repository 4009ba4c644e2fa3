package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"theoneagents.app/agents/localstack/products/reply"
)

// A converseRequest has the fields that are used of a request of Bedrock's
// Converse API.
type converseRequest struct {
	Messages   []message `json:"messages"`
	System     []block   `json:"system"`
	ToolConfig struct {
		Tools []struct {
			ToolSpec toolSpec `json:"toolSpec"`
		} `json:"tools"`
		ToolChoice struct {
			Tool *struct {
				Name string `json:"name"`
			} `json:"tool"`
			Any *struct{} `json:"any"`
		} `json:"toolChoice"`
	} `json:"toolConfig"`
	OutputConfig struct {
		TextFormat struct {
			Structure struct {
				JSONSchema struct {
					Schema string `json:"schema"`
				} `json:"jsonSchema"`
			} `json:"structure"`
		} `json:"textFormat"`
	} `json:"outputConfig"`
	RequestMetadata map[string]string `json:"requestMetadata"`
}

type message struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// A block is a part of a message: a text, a tool use or a tool result.
type block struct {
	Text    string `json:"text,omitempty"`
	ToolUse *struct {
		Input json.RawMessage `json:"input"`
	} `json:"toolUse,omitempty"`
	ToolResult *struct {
		Content []struct {
			Text string          `json:"text"`
			JSON json.RawMessage `json:"json"`
		} `json:"content"`
	} `json:"toolResult,omitempty"`
}

type toolSpec struct {
	Name        string `json:"name"`
	InputSchema struct {
		JSON json.RawMessage `json:"json"`
	} `json:"inputSchema"`
}

// errConverse is the error of an invalid request of the Converse API.
var errConverse = errors.New("the request is not valid")

// converse answers POST /bedrock/model/{model}/converse.
func (m *Model) converse(w http.ResponseWriter, r *http.Request) {
	body, err := reply.Body(w, r)
	if err != nil {
		bedrockError(w, http.StatusBadRequest, err.Error())
		return
	}
	q, tool, err := readConverse(body)
	if err != nil {
		bedrockError(w, http.StatusBadRequest, err.Error())
		return
	}
	q.model = r.PathValue("model")
	if q.org == "" {
		q.org = r.Header.Get("X-Org-Id")
	}
	t := m.ask(r, q)
	if t.status != http.StatusOK {
		t.cue.Header(w.Header())
		bedrockError(w, t.status, t.text)
		return
	}
	reply.JSON(w, http.StatusOK, converseReply(q, tool, t))
}

// readConverse returns the question in body, and the tool that the answer must
// use, if any.
func readConverse(body []byte) (question, string, error) {
	var in converseRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return question{}, "", fmt.Errorf("%w: %w", errConverse, err)
	}
	if len(in.Messages) == 0 {
		return question{}, "", fmt.Errorf("%w: there are no messages", errConverse)
	}
	schema, tool, err := in.wants()
	if err != nil {
		return question{}, "", err
	}
	var said []string
	for _, msg := range in.Messages {
		said = append(said, texts(msg.Content)...)
	}
	return question{
		dialect: bedrock, system: strings.Join(texts(in.System), "\n\n"), prompt: strings.Join(said, "\n\n"), schema: schema,
		org: in.RequestMetadata["org_id"], execution: in.RequestMetadata["execution_id"], step: in.RequestMetadata["step_id"],
	}, tool, nil
}

// wants returns the schema that the answer must satisfy and the tool that it must
// use; both are empty when the answer is a text.
func (in converseRequest) wants() (schema json.RawMessage, tool string, err error) {
	choice := in.ToolConfig.ToolChoice
	for _, t := range in.ToolConfig.Tools {
		if choice.Any != nil || (choice.Tool != nil && choice.Tool.Name == t.ToolSpec.Name) {
			return t.ToolSpec.InputSchema.JSON, t.ToolSpec.Name, nil
		}
	}
	if choice.Tool != nil {
		return nil, "", fmt.Errorf("%w: there is no tool %q", errConverse, choice.Tool.Name)
	}
	text := in.OutputConfig.TextFormat.Structure.JSONSchema.Schema
	if text == "" {
		return nil, "", nil
	}
	if !json.Valid([]byte(text)) {
		return nil, "", fmt.Errorf("%w: the schema is not JSON", errConverse)
	}
	return json.RawMessage(text), "", nil
}

// texts returns all texts in blocks.
func texts(blocks []block) []string {
	var all []string
	for _, b := range blocks {
		if b.Text != "" {
			all = append(all, b.Text)
		}
		if b.ToolUse != nil {
			all = append(all, string(b.ToolUse.Input))
		}
		if b.ToolResult == nil {
			continue
		}
		for _, c := range b.ToolResult.Content {
			all = append(all, c.Text+string(c.JSON))
		}
	}
	return all
}

func converseReply(q question, tool string, t completion) map[string]any {
	content, reason := map[string]any{"text": t.words()}, "end_turn"
	if tool != "" && t.data != nil {
		sum := sha256.Sum256([]byte(q.execution + "\x00" + q.step + "\x00" + q.prompt))
		content, reason = map[string]any{"toolUse": map[string]any{
			"toolUseId": "tooluse_" + hex.EncodeToString(sum[:10]), "name": tool, "input": t.data,
		}}, "tool_use"
	}
	in, out := tokens(q.system, q.prompt, string(q.schema)), tokens(t.words())
	return map[string]any{
		"output":     map[string]any{"message": map[string]any{"role": "assistant", "content": []any{content}}},
		"stopReason": reason,
		"usage":      map[string]int{"inputTokens": in, "outputTokens": out, "totalTokens": in + out},
		"metrics":    map[string]int{"latencyMs": 1},
	}
}

// bedrockError answers in Bedrock's form, which its SDK turns into a typed error.
func bedrockError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("X-Amzn-Errortype", exception(status))
	reply.JSON(w, status, map[string]string{"message": message})
}

// exception returns the name of Bedrock's error for a status.
func exception(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "ValidationException"
	case http.StatusForbidden:
		return "AccessDeniedException"
	case http.StatusNotFound:
		return "ResourceNotFoundException"
	case http.StatusRequestTimeout:
		return "ModelTimeoutException"
	case http.StatusFailedDependency:
		return "ModelErrorException"
	case http.StatusTooManyRequests:
		return "ThrottlingException"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailableException"
	}
	return "InternalServerException"
}
