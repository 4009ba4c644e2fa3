// Package model stands in for the AI models. It has two APIs, Bedrock Converse and
// OpenAI's chat completions, with the same answers. Rules set the answers; without
// a rule it generates an answer that fits the schema.
//
// PUT /_model replaces all rules, POST adds some behind them, DELETE removes those of
// one org. The first rule that fits and has times left is used:
//
//	{"rules": [
//	  {"contains": "VPN", "respond": {"priority": "p1", "category": "network"}},
//	  {"contains": "Summarize", "respond": "It is noise.", "times": 1},
//	  {"status": 429, "retry_after": 5, "times": 2},
//	  {"org_id": "org_x", "status": 503, "delay_ms": 200, "chance": 0.2, "seed": 7}
//	]}
//
//	contains     a text in the prompt or the system prompt. Without it: all
//	respond      the answer: an object as data, a text unchanged
//	status       from 400 on the call fails with it
//
// and org_id, retry_after, delay_ms, times and chance as in package desk.
package model

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/products/journal"
	"theoneagents.app/agents/localstack/products/reply"
	"theoneagents.app/agents/localstack/products/script"
	"theoneagents.app/agents/shared/rehearsal/simulate"
)

// statusGone is recorded for a call whose client disconnected before the answer.
const statusGone = 499

// The dialects.
const (
	bedrock = "bedrock"
	openAI  = "openai"
)

// A Rule sets the answer to prompts that contain a text; an empty text matches
// every prompt.
type Rule struct {
	script.Cue

	Contains string `json:"contains,omitempty"`

	// Respond is the answer: an object as structured data, a text unchanged.
	Respond json.RawMessage `json:"respond,omitempty"`
}

// A Call is a recorded question with its answer.
type Call struct {
	At        time.Time       `json:"at"`
	Dialect   string          `json:"dialect"`
	Model     string          `json:"model"`
	Org       string          `json:"org_id"`
	Execution string          `json:"execution_id"`
	Step      string          `json:"step_id"`
	System    string          `json:"system"`
	Prompt    string          `json:"prompt"`
	Schema    json.RawMessage `json:"schema,omitempty"`
	Status    int             `json:"status"`
	Response  any             `json:"response,omitempty"` // data, or a text
}

// Model answers for the models. It is safe for concurrent use.
type Model struct {
	calls *journal.Log[Call]
	rules *script.Rules[Rule]
	now   func() time.Time
}

// New returns a model that records its calls in calls.
func New(calls *journal.Log[Call], now func() time.Time) *Model {
	return &Model{calls: calls, now: now, rules: script.New(func(r Rule) script.Cue { return r.Cue })}
}

// Mount adds the model's routes to mux.
func (m *Model) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /bedrock/model/{model}/converse", m.converse)
	mux.HandleFunc("POST /openai/v1/chat/completions", m.complete)
	m.rules.Mount(mux, "/_model")
	mux.HandleFunc("GET /_model/calls", m.list)
	mux.HandleFunc("DELETE /_model/calls", m.forget)
}

// A question is a request in either dialect.
type question struct {
	dialect, model, org, execution, step string

	system, prompt string
	schema         json.RawMessage // nil: the answer is a text
}

// A completion is the model's answer.
type completion struct {
	status int             // 200, or the status of the failure
	data   json.RawMessage // nil: text is the answer
	text   string
	cue    script.Cue // for the headers of the answer
}

// words returns the answer as text.
func (t completion) words() string {
	if t.data != nil {
		return string(t.data)
	}
	return t.text
}

// ask returns the answer to q and records the call.
func (m *Model) ask(r *http.Request, q question) completion {
	at := m.now()
	t := m.completionOf(r, q)
	call := Call{
		At: at, Dialect: q.dialect, Model: q.model, Org: q.org, Execution: q.execution, Step: q.step,
		System: q.system, Prompt: q.prompt, Schema: q.schema, Status: t.status, Response: t.text,
	}
	if t.data != nil {
		call.Response = t.data
	}
	m.calls.Add(call, len(q.system)+len(q.prompt)+len(q.schema)+len(t.words())+overhead)
	return t
}

// overhead is the approximate size of a recorded call without its texts.
const overhead = 1 << 10

func (m *Model) completionOf(r *http.Request, q question) completion {
	rule := m.rules.Take(q.org, func(r Rule) bool {
		return strings.Contains(q.prompt, r.Contains) || strings.Contains(q.system, r.Contains)
	})
	if err := rule.Wait(r.Context()); err != nil {
		return completion{status: statusGone, text: err.Error()}
	}
	switch {
	case rule.Fails():
		return completion{status: rule.Status, text: "a rule makes this call fail", cue: rule.Cue}
	case rule.Respond != nil && string(rule.Respond) != "null":
		return scripted(rule.Respond, q.schema != nil)
	case q.schema != nil:
		return completion{status: http.StatusOK, data: simulate.Answer(q.schema, classify(q.prompt))}
	}
	return completion{status: http.StatusOK, text: inWords(q.prompt)}
}

// scripted returns the answer of a rule. A text that contains a JSON object is
// data when the question has a schema; any other text is returned unchanged, even
// when it does not fit.
func scripted(respond json.RawMessage, structured bool) completion {
	var text string
	if err := json.Unmarshal(respond, &text); err != nil {
		return completion{status: http.StatusOK, data: respond}
	}
	var object map[string]json.RawMessage
	if structured && json.Unmarshal([]byte(text), &object) == nil && object != nil {
		return completion{status: http.StatusOK, data: json.RawMessage(text)}
	}
	return completion{status: http.StatusOK, text: text}
}

// tokens returns the approximate number of tokens in the texts.
func tokens(texts ...string) int {
	n := 0
	for _, t := range texts {
		n += (len(t) + 3) / 4
	}
	return n
}

// of returns the filter for r's parameter org_id; without it, all calls pass.
func of(r *http.Request) func(Call) bool {
	org := r.URL.Query().Get("org_id")
	return func(c Call) bool { return org == "" || c.Org == org }
}

func (m *Model) list(w http.ResponseWriter, r *http.Request) {
	reply.JSON(w, http.StatusOK, map[string][]Call{"calls": m.calls.List(of(r))})
}

func (m *Model) forget(w http.ResponseWriter, r *http.Request) {
	m.calls.Forget(of(r))
	w.WriteHeader(http.StatusNoContent)
}
