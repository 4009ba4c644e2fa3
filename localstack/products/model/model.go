// Package model stands in for the AI models. It speaks two dialects, Bedrock
// Converse and OpenAI's chat completions, with one brain behind both: rules say
// what it answers, and without a rule it thinks of something that fits.
//
// PUT /_model says how it is to behave. A PUT replaces all rules, and the first
// rule that fits and has times left is used:
//
//	{"rules": [
//	  {"contains": "VPN", "respond": {"priority": "p1", "category": "network"}},
//	  {"contains": "Summarize", "respond": "It is noise.", "times": 1},
//	  {"status": 429, "retry_after": 5, "times": 2},
//	  {"org_id": "org_x", "status": 503, "delay_ms": 200, "chance": 0.2, "seed": 7}
//	]}
//
//	contains     a text in the prompt or the system prompt. Without it: all
//	respond      the answer: an object as data, a text as it is
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
)

// statusGone is listed for a call whose client left before it was answered.
const statusGone = 499

// The dialects.
const (
	bedrock = "bedrock"
	openAI  = "openai"
)

// A Rule says how the model is to behave when a text is found in what it is
// asked; an empty text is found everywhere.
type Rule struct {
	script.Cue

	Contains string `json:"contains,omitempty"`

	// Respond is the answer: an object as structured data, a text as it is.
	Respond json.RawMessage `json:"respond,omitempty"`
}

// A Script is what PUT /_model takes.
type Script struct {
	Rules []Rule `json:"rules"`
}

// A Call is one question and what was answered.
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

// Model answers for the models. It may be used by many at once.
type Model struct {
	calls *journal.Log[Call]
	rules *script.Rules[Rule]
	now   func() time.Time
}

// New returns a model that remembers the newest calls.
func New(calls *journal.Log[Call], now func() time.Time) *Model {
	return &Model{calls: calls, now: now, rules: script.New(func(r Rule) script.Cue { return r.Cue })}
}

// Mount adds the model's routes to mux.
func (m *Model) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /bedrock/model/{model}/converse", m.converse)
	mux.HandleFunc("POST /openai/v1/chat/completions", m.complete)
	mux.HandleFunc("PUT /_model", m.rule)
	mux.HandleFunc("GET /_model", m.inForce)
	mux.HandleFunc("GET /_model/calls", m.list)
	mux.HandleFunc("DELETE /_model/calls", m.forget)
}

// A question is what the model is asked, in whatever dialect.
type question struct {
	dialect, model, org, execution, step string

	system, prompt string
	schema         json.RawMessage // nil: a text is wanted
}

// A thought is what the model answers.
type thought struct {
	status int             // 200, or why there is no answer
	data   json.RawMessage // nil: text is the answer
	text   string
	cue    script.Cue // what the header of the answer says
}

// words returns the answer as text.
func (t thought) words() string {
	if t.data != nil {
		return string(t.data)
	}
	return t.text
}

// ask lets the model think about q, and lists the call.
func (m *Model) ask(r *http.Request, q question) thought {
	at := m.now()
	t := m.think(r, q)
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

// overhead is about what a listed call takes beside its texts.
const overhead = 1 << 10

func (m *Model) think(r *http.Request, q question) thought {
	rule := m.rules.Take(q.org, func(r Rule) bool {
		return strings.Contains(q.prompt, r.Contains) || strings.Contains(q.system, r.Contains)
	})
	if err := rule.Wait(r.Context()); err != nil {
		return thought{status: statusGone, text: err.Error()}
	}
	switch {
	case rule.Fails():
		return thought{status: rule.Status, text: "a rule says so", cue: rule.Cue}
	case rule.Respond != nil && string(rule.Respond) != "null":
		return recite(rule.Respond, q.schema != nil)
	case q.schema != nil:
		return thought{status: http.StatusOK, data: generate(q.schema, classify(q.prompt))}
	}
	return thought{status: http.StatusOK, text: remark(q.prompt)}
}

// recite answers what a rule says. A text that holds an object is data where
// data is wanted; any other text is given as it is, nonsense or not.
func recite(respond json.RawMessage, structured bool) thought {
	var text string
	if err := json.Unmarshal(respond, &text); err != nil {
		return thought{status: http.StatusOK, data: respond}
	}
	var object map[string]json.RawMessage
	if structured && json.Unmarshal([]byte(text), &object) == nil && object != nil {
		return thought{status: http.StatusOK, data: json.RawMessage(text)}
	}
	return thought{status: http.StatusOK, text: text}
}

// tokens returns about how many tokens the texts have.
func tokens(texts ...string) int {
	n := 0
	for _, t := range texts {
		n += (len(t) + 3) / 4
	}
	return n
}

// rule replaces the rules.
func (m *Model) rule(w http.ResponseWriter, r *http.Request) {
	body, err := reply.Body(w, r)
	if err != nil {
		reply.Unreadable(w, err)
		return
	}
	rules, err := script.Read[Rule](body)
	if err == nil {
		err = m.rules.Set(rules)
	}
	if err != nil {
		reply.Unreadable(w, err)
		return
	}
	reply.JSON(w, http.StatusOK, Script{Rules: rules})
}

// of returns a test whether a call is one of the org that r asks for, which is
// every org when it names none.
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
