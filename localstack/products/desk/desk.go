// Package desk stands in for the products and for the receivers of chat messages
// and webhooks. It carries out the actions: it keeps tickets, notes and devices for
// each org, and acts once per idempotency key. It refuses a call of an action that
// One Agents has not signed.
//
// Rules at /_products make it misbehave: PUT replaces all rules, POST adds some behind
// them, DELETE removes those of one org. The first rule that fits and has times left
// is used:
//
//	{"rules": [
//	  {"product": "psa", "action": "add_note", "status": 429, "retry_after": 5, "times": 1},
//	  {"product": "psa", "action": "create_ticket", "status": 201, "body": "OK"},
//	  {"product": "psa", "action": "update_ticket", "lost_reply": true, "times": 1},
//	  {"product": "hooks", "action": "teams", "body": "Webhook message delivery failed with error: …"},
//	  {"product": "hooks", "action": "slack", "status": 404, "body": "channel_is_archived"},
//	  {"org_id": "org_x", "status": 503, "delay_ms": 200, "chance": 0.2, "seed": 7}
//	]}
//
//	product      such as psa; hooks for chats and webhooks. Without it: all
//	action       such as add_note; of hooks slack, teams or webhook. Without it: all
//	org_id       the caller's org. Without it: all
//	status       from 400 on the call fails and no work is done; from 200 to 399
//	             the work is done and answered with it
//	retry_after  the header Retry-After of the answer, in seconds
//	body         the text of the answer, JSON or not; any value but a string is sent
//	             as JSON
//	delay_ms     how long to wait before the answer
//	lost_reply   do the work, then drop the connection
//	times        number of uses of the rule. Without it: unlimited
//	chance       probability of using the rule, from 0 to 1, drawn by seed
package desk

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"theoneagents.app/agents/localstack/products/callers"
	"theoneagents.app/agents/localstack/products/journal"
	"theoneagents.app/agents/localstack/products/reply"
	"theoneagents.app/agents/localstack/products/script"
)

// statusGone is recorded for a call whose client disconnected before the answer.
const statusGone = 499

// A Rule changes the answer of an action, or of a hook (product "hooks", action =
// channel). An empty product or action fits all.
type Rule struct {
	script.Cue

	Product   string `json:"product,omitempty"`
	Action    string `json:"action,omitempty"`
	LostReply bool   `json:"lost_reply,omitempty"` // do the work, then drop the connection

	// Body is the text of the answer: a string as it is, anything else as JSON.
	Body json.RawMessage `json:"body,omitempty"`
}

// says returns a with the rule's status, body and headers.
func (r Rule) says(a answer) answer {
	a.cue = r.Cue
	if r.Status != 0 {
		a.status = r.Status
	}
	if r.Body == nil || string(r.Body) == "null" {
		return a
	}
	var text string
	if json.Unmarshal(r.Body, &text) != nil {
		text = string(r.Body)
	}
	a.text, a.contentType = []byte(text), "text/plain; charset=utf-8"
	switch begins := strings.TrimSpace(text); {
	case json.Valid(a.text):
		a.contentType = "application/json"
	case strings.HasPrefix(begins, "<"):
		a.contentType = "text/html; charset=utf-8"
	}
	return a
}

// Desk answers for the products. It is safe for concurrent use.
type Desk struct {
	calls    *journal.Log[journal.Call]
	now      func() time.Time
	rules    *script.Rules[Rule]
	products *products
	replies  *once
	callers  Callers
}

// Callers checks that One Agents signed a call of an action: it returns
// callers.ErrRefused otherwise, and another error when it cannot tell.
type Callers interface {
	Check(ctx context.Context, c callers.Call) error
}

// New returns a desk that records its calls in calls and keeps at most limit
// things of each kind.
func New(calls *journal.Log[journal.Call], from Callers, now func() time.Time, limit int) *Desk {
	return &Desk{
		callers:  from,
		calls:    calls,
		now:      now,
		rules:    script.New(func(r Rule) script.Cue { return r.Cue }),
		products: newProducts(limit),
		replies:  newOnce(limit),
	}
}

// Mount adds the desk's routes to mux.
func (d *Desk) Mount(mux *http.ServeMux) {
	mux.HandleFunc("POST /products/{product}/actions/{action}", d.action)
	mux.HandleFunc("POST /hooks/{org}/{channel}", d.hook)
	mux.HandleFunc("GET /_products/state", d.state)
	d.rules.Mount(mux, "/_products")
}

// An answer is the answer to a call.
type answer struct {
	status      int
	contentType string
	text        []byte
	repeated    bool
	cue         script.Cue // for the headers
}

func said(status int, v any) answer {
	text, err := json.Marshal(v)
	if err != nil {
		return failed(http.StatusInternalServerError, "internal_error", err.Error())
	}
	return answer{status: status, contentType: "application/json", text: text}
}

func failed(status int, code, message string) answer {
	return said(status, reply.Problem{Error: code, Message: message})
}

func refused(status int, message string) answer {
	return failed(status, reply.Code(status), message)
}

// action answers POST /products/{product}/actions/{action}.
func (d *Desk) action(w http.ResponseWriter, r *http.Request) {
	call := journal.Call{
		At: d.now(), Kind: "action", Product: r.PathValue("product"), Action: r.PathValue("action"),
		IdempotencyKey: r.Header.Get("Idempotency-Key"), Headers: journal.Headers(r.Header), Org: r.Header.Get("X-Org-Id"),
	}
	t := task{org: call.Org, product: call.Product, action: call.Action, key: call.IdempotencyKey}
	body, err := reply.Body(w, r)
	if err == nil {
		t.params, call.Params, err = params(body)
	}
	switch {
	case err != nil:
		d.finish(w, call, refused(reply.UnreadableStatus(err), err.Error()), false)
	case call.Org == "":
		d.finish(w, call, refused(http.StatusBadRequest, "the header X-Org-Id is missing"), false)
	default:
		if denied, ok := d.authorize(r, call, body); !ok {
			d.finish(w, call, denied, false)
			return
		}
		rule := d.take(call)
		d.finish(w, call, d.execute(r.Context(), rule, t, string(call.Params)), rule.LostReply)
	}
}

// authorize returns whether One Agents signed the call, or else the answer.
func (d *Desk) authorize(r *http.Request, c journal.Call, body []byte) (denied answer, ok bool) {
	err := d.callers.Check(r.Context(), callers.Call{
		Authorization: r.Header.Get("Authorization"), Org: c.Org, Execution: r.Header.Get("X-One-Agents-Execution"), Key: c.IdempotencyKey,
		Product: c.Product, Action: c.Action, Body: body,
	})
	switch {
	case errors.Is(err, callers.ErrRefused):
		return refused(http.StatusUnauthorized, err.Error()), false
	case err != nil:
		return refused(http.StatusServiceUnavailable, err.Error()), false
	}
	return answer{}, true
}

// params reads the body of an action. It also returns it in canonical form, which
// is the same for equal params.
func params(body []byte) (thing, json.RawMessage, error) {
	p, err := reply.Decode[thing](body)
	if err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, nil, errors.New("the params are not a JSON object")
	}
	same, err := json.Marshal(p)
	return p, same, err
}

// execute returns the answer of t; params are its params in canonical form.
func (d *Desk) execute(ctx context.Context, rule Rule, t task, params string) answer {
	work := func() answer {
		// A product completes its work even when the client disconnects.
		_ = rule.Wait(ctx)
		return d.work(t)
	}
	switch {
	case rule.Fails():
		_ = rule.Wait(ctx)
		return rule.says(refused(rule.Status, "a rule makes this call fail"))
	case t.key == "":
		return rule.done(work())
	}
	sum := sha256.Sum256([]byte(params))
	a, err := d.replies.do(ctx, within(t.org, t.product, t.action, t.key), string(sum[:]), work)
	switch {
	case errors.Is(err, errKeyReused):
		return failed(http.StatusConflict, "idempotency_conflict", err.Error())
	case err != nil:
		return refused(statusGone, err.Error())
	}
	if a.repeated {
		_ = rule.Wait(ctx)
	}
	return rule.done(a)
}

// done returns a as the rule changes it, unless the work failed.
func (r Rule) done(a answer) answer {
	if a.status >= http.StatusBadRequest {
		return a
	}
	return r.says(a)
}

func (d *Desk) work(t task) answer {
	result, err := d.products.do(t)
	if err != nil {
		return failed(http.StatusBadRequest, "invalid_params", err.Error())
	}
	return said(http.StatusOK, result)
}

// hook answers a chat message or a webhook.
func (d *Desk) hook(w http.ResponseWriter, r *http.Request) {
	call := journal.Call{
		At: d.now(), Kind: r.PathValue("channel"), Product: "hooks", Action: r.PathValue("channel"),
		IdempotencyKey: r.Header.Get("Idempotency-Key"), Headers: journal.Headers(r.Header), Org: r.PathValue("org"),
	}
	if call.IdempotencyKey == "" {
		call.IdempotencyKey = r.Header.Get("Webhook-Id")
	}
	thanks, known := accepted(call.Kind)
	if !known {
		reply.Error(w, http.StatusNotFound, "no such channel: "+call.Kind)
		return
	}
	body, err := reply.Body(w, r)
	if err != nil {
		d.finish(w, call, refused(reply.UnreadableStatus(err), err.Error()), false)
		return
	}
	call.Body = document(body)
	rule := d.take(call)
	_ = rule.Wait(r.Context())
	if rule.Fails() {
		thanks = refused(rule.Status, "a rule makes this call fail")
	}
	d.finish(w, call, rule.says(thanks), rule.LostReply)
}

// accepted returns a channel's answer to an accepted message.
func accepted(channel string) (answer, bool) {
	switch channel {
	case "slack":
		return answer{status: http.StatusOK, contentType: "text/plain; charset=utf-8", text: []byte("ok")}, true
	case "teams", "webhook":
		return said(http.StatusOK, map[string]bool{"ok": true}), true
	}
	return answer{}, false
}

// document returns body if it is JSON, and otherwise as a JSON string.
func document(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	text, err := json.Marshal(string(body))
	if err != nil {
		return nil
	}
	return text
}

func (d *Desk) take(call journal.Call) Rule {
	return d.rules.Take(call.Org, func(r Rule) bool {
		return (r.Product == "" || r.Product == call.Product) && (r.Action == "" || r.Action == call.Action)
	})
}

// finish records the call and then answers it, or drops its connection. It records
// first, so that a client with the answer finds the call in the list.
func (d *Desk) finish(w http.ResponseWriter, call journal.Call, a answer, lost bool) {
	call.Status, call.Repeated, call.Lost = a.status, a.repeated, lost && a.status < http.StatusBadRequest
	d.calls.Add(call, len(call.Params)+len(call.Body)+overhead)
	if call.Lost {
		drop(w)
		return
	}
	if a.repeated {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	a.cue.Header(w.Header())
	reply.Raw(w, a.status, a.contentType, a.text)
}

// overhead is the approximate size of a recorded call without its body.
const overhead = 2 << 10

// drop closes the connection without an answer.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http then drops it
	}
	_ = conn.Close()
}

// state answers with the products' data of an org.
func (d *Desk) state(w http.ResponseWriter, r *http.Request) {
	org := r.URL.Query().Get("org_id")
	if org == "" {
		reply.Error(w, http.StatusBadRequest, "org_id is missing")
		return
	}
	reply.JSON(w, http.StatusOK, d.products.state(org))
}
