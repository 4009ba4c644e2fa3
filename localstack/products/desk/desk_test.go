package desk_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"theoneagents.app/agents/localstack/products/callers"
	"theoneagents.app/agents/localstack/products/desk"
	"theoneagents.app/agents/localstack/products/journal"
)

// A stand is a desk with a server.
type stand struct {
	*httptest.Server

	calls *journal.Log[journal.Call]
}

func open(t *testing.T) stand {
	t.Helper()
	calls, mux := handler(callersFunc(func(callers.Call) error { return nil }))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return stand{s, calls}
}

// callersFunc checks the callers of a desk.
type callersFunc func(callers.Call) error

func (f callersFunc) Check(_ context.Context, c callers.Call) error { return f(c) }

func TestACallThatWasNotSignedHasNoEffect(t *testing.T) {
	t.Parallel()

	var asked []callers.Call
	var verdict error
	calls, mux := handler(callersFunc(func(c callers.Call) error { asked = append(asked, c); return verdict }))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s := stand{server, calls}
	s.must(t, "PUT", "/_products", "", `{"rules": [{"status": 429, "times": 1}]}`)
	for _, tc := range []struct {
		err    error
		status int
	}{
		{callers.ErrRefused, http.StatusUnauthorized},
		{errors.New("the keys are away"), http.StatusServiceUnavailable},
		{nil, http.StatusTooManyRequests},
		{nil, http.StatusOK},
	} {
		verdict = tc.err
		status, text, err := s.call(t, "POST", "/products/psa/actions/create_ticket", "key_1", `{ "subject": "VPN" }`)
		if err != nil || status != tc.status {
			t.Errorf("%v: %d %s, %v; want %d", tc.err, status, text, err, tc.status)
		}
	}
	if n := len(s.state(t, "org_a").Tickets); n != 1 {
		t.Errorf("%d tickets, want 1", n)
	}
	want := callers.Call{Org: "org_a", Key: "key_1", Product: "psa", Action: "create_ticket", Body: []byte(`{ "subject": "VPN" }`)}
	if diff := cmp.Diff(want, asked[0]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func handler(from desk.Callers) (*journal.Log[journal.Call], *http.ServeMux) {
	calls := journal.New[journal.Call](1000, 1<<24)
	mux := http.NewServeMux()
	desk.New(calls, from, time.Now, 1000).Mount(mux)
	return calls, mux
}

func (s stand) listed() []journal.Call { return s.calls.List(func(journal.Call) bool { return true }) }

// call sends a request of org_a, with an idempotency key unless it is empty.
func (s stand) call(t *testing.T, method, path, key, body string) (status int, text string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Org-Id", "org_a")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	r.Close = true // otherwise net/http itself would retry after a lost reply
	answer, err := s.Client().Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

func (s stand) must(t *testing.T, method, path, key, body string) map[string]any {
	t.Helper()
	status, text, err := s.call(t, method, path, key, body)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s, err %v", path, status, text, err)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (s stand) state(t *testing.T, org string) desk.State {
	t.Helper()
	text, err := json.Marshal(s.must(t, "GET", "/_products/state?org_id="+org, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	var v desk.State
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	createTicket = "/products/psa/actions/create_ticket"
	updateTicket = "/products/psa/actions/update_ticket"
	addNote      = "/products/psa/actions/add_note"
)

func TestActionsChangeTheProductsData(t *testing.T) {
	t.Parallel()

	s := open(t)
	made, _ := s.must(t, "POST", createTicket, "k1", `{"subject": "VPN", "priority": "p2"}`)["ticket_id"].(string)
	s.must(t, "POST", updateTicket, "k2", `{"ticket_id": "`+made+`", "priority": "p1", "ai_classified": true}`)
	s.must(t, "POST", updateTicket, "k3", `{"ticket_id": "tick_old", "status": "closed"}`)
	note, _ := s.must(t, "POST", addNote, "k4", `{"ticket_id": "tick_other", "body": "Hello", "visibility": "public"}`)["note_id"].(string)
	s.must(t, "POST", "/products/defend/actions/isolate_device", "k5", `{"device_id": "dev_1", "reason": "malware"}`)
	s.must(t, "POST", "/products/defend/actions/isolate_device", "k6", `{"device_id": "dev_2"}`)
	s.must(t, "POST", "/products/defend/actions/unisolate_device", "k7", `{"device_id": "dev_2"}`)
	if id, _ := s.must(t, "POST", "/products/books/actions/draft_invoice", "k8", `{}`)["id"].(string); !strings.HasPrefix(id, "draft_invoice_") {
		t.Errorf("id %q", id)
	}

	got := s.state(t, "org_a")
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"tickets":{` +
		`"tick_old":{"id":"tick_old","status":"closed"},"tick_other":{"id":"tick_other","status":"open"},` +
		`"` + made + `":{"ai_classified":true,"id":"` + made + `","priority":"p1","status":"open","subject":"VPN"}},` +
		`"notes":{"` + note + `":{"body":"Hello","id":"` + note + `","ticket_id":"tick_other","visibility":"public"}},` +
		`"devices":{"dev_1":{"id":"dev_1","isolated":true,"reason":"malware"},"dev_2":{"id":"dev_2","isolated":false}}}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if other := s.state(t, "org_b"); len(other.Tickets)+len(other.Notes)+len(other.Devices) > 0 {
		t.Errorf("org_b has %+v", other)
	}
}

func TestWorkIsDoneOnceForEachKey(t *testing.T) {
	t.Parallel()

	s := open(t)
	first := s.must(t, "POST", createTicket, "k1", `{"subject": "VPN", "priority": "p2"}`)
	again := s.must(t, "POST", createTicket, "k1", `{"priority": "p2",  "subject": "VPN"}`)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("replies (-first +again):\n%s", diff)
	}
	s.must(t, "POST", createTicket, "k2", `{"subject": "VPN", "priority": "p2"}`)
	s.must(t, "POST", createTicket, "", `{"subject": "VPN", "priority": "p2"}`)
	s.must(t, "POST", createTicket, "", `{"subject": "VPN", "priority": "p2"}`)
	if got := len(s.state(t, "org_a").Tickets); got != 4 {
		t.Errorf("%d tickets, want 4", got)
	}
	status, text, err := s.call(t, "POST", createTicket, "k1", `{"subject": "Printer"}`)
	if err != nil || status != http.StatusConflict || !strings.Contains(text, `"error":"idempotency_conflict"`) {
		t.Errorf("%d %s, err %v", status, text, err)
	}
}

func TestConcurrentDuplicatesAreDoneOnce(t *testing.T) {
	t.Parallel()

	s := open(t)
	s.must(t, "PUT", "/_products", "", `{"rules": [{"delay_ms": 20, "times": 1}]}`)
	replies := make([]string, 20)
	var wg sync.WaitGroup
	for n := range replies {
		wg.Go(func() {
			status, text, err := s.call(t, "POST", addNote, "exec_1:note", `{"ticket_id": "t", "body": "Hello"}`)
			if err != nil || status != http.StatusOK {
				t.Errorf("%d %s, err %v", status, text, err)
			}
			replies[n] = text
		})
	}
	wg.Wait()
	for _, r := range replies {
		if r != replies[0] {
			t.Errorf("replies %q and %q", r, replies[0])
		}
	}
	if got := len(s.state(t, "org_a").Notes); got != 1 {
		t.Errorf("%d notes, want 1", got)
	}
	first := 0
	for _, c := range s.listed() {
		if !c.Repeated {
			first++
		}
	}
	if got := len(s.listed()); first != 1 || got != 20 {
		t.Errorf("%d of %d calls did the work, want 1 of 20", first, got)
	}
}

func TestADuplicateWaitsForTheFirst(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		_, mux := handler(callersFunc(func(callers.Call) error { return nil }))
		post := func(method, path, body string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
			r.Header.Set("X-Org-Id", "org_a")
			r.Header.Set("Idempotency-Key", "k1")
			mux.ServeHTTP(w, r)
			return w
		}
		post("PUT", "/_products", `{"rules": [{"delay_ms": 60000, "times": 1}]}`)
		go post("POST", addNote, `{"ticket_id": "t"}`)
		synctest.Wait()
		start := time.Now()
		w := post("POST", addNote, `{"ticket_id": "t"}`)
		if waited := time.Since(start); waited != time.Minute || w.Header().Get("Idempotent-Replayed") != "true" {
			t.Errorf("waited %v, headers %v", waited, w.Header())
		}
	})
}

func TestACallWithALostReplyTakesEffect(t *testing.T) {
	t.Parallel()

	s := open(t)
	s.must(t, "PUT", "/_products", "", `{"rules": [{"product": "psa", "action": "add_note", "lost_reply": true, "times": 1}]}`)
	if status, text, err := s.call(t, "POST", addNote, "k1", `{"ticket_id": "t"}`); err == nil {
		t.Fatalf("answered %d %s", status, text)
	}
	if got := len(s.state(t, "org_a").Notes); got != 1 {
		t.Errorf("%d notes, want 1", got)
	}
	s.must(t, "POST", addNote, "k1", `{"ticket_id": "t"}`)
	if got := len(s.state(t, "org_a").Notes); got != 1 {
		t.Errorf("then %d notes, want 1", got)
	}
	want := []journal.Call{{Status: 200, Lost: true}, {Status: 200, Repeated: true}}
	opt := cmp.FilterPath(func(p cmp.Path) bool {
		f := p.Last().String()
		return len(p) > 2 && f != ".Status" && f != ".Lost" && f != ".Repeated"
	}, cmp.Ignore())
	if diff := cmp.Diff(want, s.listed(), opt); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestARuleFailsACallWithoutDoingTheWork(t *testing.T) {
	t.Parallel()

	s := open(t)
	s.must(t, "PUT", "/_products", "", `{"rules": [{"org_id": "org_b", "status": 500}, {"action": "create_ticket", "status": 503, "delay_ms": 1, "times": 2}]}`)
	for n, want := range []int{503, 503, 200} {
		if got, text, err := s.call(t, "POST", createTicket, "k1", `{}`); err != nil || got != want {
			t.Errorf("call %d: %d %s, err %v, want %d", n, got, text, err, want)
		}
	}
	if got := len(s.state(t, "org_a").Tickets); got != 1 || len(s.listed()) != 3 {
		t.Errorf("%d tickets, %d calls; want 1, 3", got, len(s.listed()))
	}
}

func TestTheRulesOfOneOrgAreAddedAndRemoved(t *testing.T) {
	t.Parallel()

	s := open(t)
	s.must(t, "PUT", "/_products", "", `{"rules": [{"org_id": "org_a", "status": 503, "times": 1}]}`)
	answers := func(key string, want int) {
		t.Helper()
		if got, text, err := s.call(t, "POST", createTicket, key, `{}`); err != nil || got != want {
			t.Errorf("call %s: %d %s, err %v, want %d", key, got, text, err, want)
		}
	}
	answers("k1", 503)
	s.must(t, "POST", "/_products", "", `{"rules": [{"org_id": "org_b", "status": 500}]}`)
	answers("k1", 200)
	s.must(t, "POST", "/_products", "", `{"rules": [{"org_id": "org_a", "status": 429}]}`)
	answers("k2", 429)
	s.must(t, "DELETE", "/_products?org_id=org_a", "", "")
	answers("k2", 200)
	if got, text, err := s.call(t, "DELETE", "/_products", "", ""); err != nil || got != http.StatusBadRequest || !strings.Contains(text, "org_id") {
		t.Errorf("DELETE without an org: %d %s, err %v", got, text, err)
	}
}

func TestAClientThatLeavesDoesNotStopTheWork(t *testing.T) {
	t.Parallel()

	s := open(t)
	s.must(t, "PUT", "/_products", "", `{"rules": [{"delay_ms": 3600000}]}`)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, "POST", createTicket, strings.NewReader(`{}`))
	r.Header.Set("X-Org-Id", "org_a")
	s.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
	if got := len(s.state(t, "org_a").Tickets); got != 1 {
		t.Errorf("%d tickets, want 1", got)
	}
}

func TestAnInvalidCallIsRefusedAndRecorded(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, path, org, body, want string
		status                      int
	}{
		{"an action without an org", createTicket, "", `{}`, `{"error":"bad_request","message":"the header X-Org-Id is missing"}`, 400},
		{"params that are no object", createTicket, "org_a", `[]`, `bad_request`, 400},
		{"params that are null", createTicket, "org_a", `null`, `bad_request`, 400},
		{"no params", createTicket, "org_a", ``, `bad_request`, 400},
		{"a note without a ticket", addNote, "org_a", `{"ticket_id": 7}`, `"error":"invalid_params"`, 400},
		{"too large params", createTicket, "org_a", `{"subject": "` + strings.Repeat("x", 1<<20) + `"}`, `request_entity_too_large`, 413},
		{"too large a message", "/hooks/org_a/teams", "", strings.Repeat("x", 1<<20+1), `request_entity_too_large`, 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			calls, mux := handler(callersFunc(func(callers.Call) error { return nil }))
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), "POST", tt.path, strings.NewReader(tt.body))
			r.Header.Set("X-Org-Id", tt.org)
			mux.ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tt.status, tt.want)
			}
			listed := calls.List(func(journal.Call) bool { return true })
			if len(listed) != 1 || listed[0].Status != tt.status {
				t.Errorf("calls %+v", listed)
			}
		})
	}
}

func TestHooksAnswerLikeTheRealServices(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, path, body, rules string
		status                  int
		text                    string
		want                    []journal.Call
	}{
		{
			"Slack says ok", "/hooks/org_a/slack", `{"text": "Hi"}`, `[]`, 200, "ok",
			[]journal.Call{{Kind: "slack", Product: "hooks", Action: "slack", Org: "org_a", Status: 200, IdempotencyKey: "msg_1", Body: []byte(`{"text": "Hi"}`)}},
		},
		{
			"Teams says it in JSON", "/hooks/org_a/teams", `Hi`, `[]`, 200, `{"ok":true}`,
			[]journal.Call{{Kind: "teams", Product: "hooks", Action: "teams", Org: "org_a", Status: 200, IdempotencyKey: "msg_1", Body: []byte(`"Hi"`)}},
		},
		{
			"a rule makes a webhook fail", "/hooks/org_a/webhook", `{}`, `[{"product": "hooks", "action": "webhook", "status": 502}]`,
			502, `{"error":"bad_gateway","message":"a rule makes this call fail"}`,
			[]journal.Call{{Kind: "webhook", Product: "hooks", Action: "webhook", Org: "org_a", Status: 502, IdempotencyKey: "msg_1", Body: []byte(`{}`)}},
		},
		{
			"there is no other channel", "/hooks/org_a/pager", `{}`, `[]`, 404,
			`{"error":"not_found","message":"no such channel: pager"}`,
			[]journal.Call{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			calls, mux := handler(callersFunc(func(callers.Call) error { return nil }))
			send := func(method, path, body string) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
				r.Header.Set("Webhook-Id", "msg_1")
				mux.ServeHTTP(w, r)
				return w
			}
			send("PUT", "/_products", `{"rules": `+tt.rules+`}`)
			w := send("POST", tt.path, tt.body)
			if w.Code != tt.status || w.Body.String() != tt.text {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tt.status, tt.text)
			}
			got := calls.List(func(journal.Call) bool { return true })
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(journal.Call{}, "At", "Headers")); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARuleChangesAnAnswer(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		path, rule        string
		status            int
		text, kind, after string
		done              bool
	}{
		"busy for a while":           {addNote, `{"status": 429, "retry_after": 30}`, 429, `{"error":"too_many_requests","message":"a rule makes this call fail"}`, "application/json", "30", false},
		"a refusal in words":         {addNote, `{"status": 422, "body": "No such ticket"}`, 422, "No such ticket", "text/plain; charset=utf-8", "", false},
		"done with a word":           {addNote, `{"body": "OK"}`, 200, "OK", "text/plain; charset=utf-8", "", true},
		"created with a list":        {addNote, `{"status": 201, "body": "[1]"}`, 201, "[1]", "application/json", "", true},
		"done with an object":        {addNote, `{"body": {"id": 12345678901234567890}}`, 200, `{"id": 12345678901234567890}`, "application/json", "", true},
		"done without a word":        {addNote, `{"status": 204, "body": ""}`, 204, "", "text/plain; charset=utf-8", "", true},
		"done with a page":           {addNote, `{"body": "<p>Done</p>"}`, 200, "<p>Done</p>", "text/html; charset=utf-8", "", true},
		"Teams that says what fails": {"/hooks/org_a/teams", `{"action": "teams", "body": "delivery failed"}`, 200, "delivery failed", "text/plain; charset=utf-8", "", true},
		"Slack that is busy":         {"/hooks/org_a/slack", `{"product": "hooks", "status": 429, "retry_after": 2, "body": "rate_limited"}`, 429, "rate_limited", "text/plain; charset=utf-8", "2", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, mux := handler(callersFunc(func(callers.Call) error { return nil }))
			send := func(method, path, body string) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
				r.Header.Set("X-Org-Id", "org_a")
				r.Header.Set("Idempotency-Key", "k1")
				mux.ServeHTTP(w, r)
				return w
			}
			send("PUT", "/_products", `{"rules": [`+tc.rule+`]}`)
			for range 2 {
				w := send("POST", tc.path, `{"ticket_id": "t"}`)
				if w.Code != tc.status || w.Body.String() != tc.text || w.Header().Get("Content-Type") != tc.kind || w.Header().Get("Retry-After") != tc.after {
					t.Errorf("%d %s, headers %v", w.Code, w.Body, w.Header())
				}
			}
			done := strings.Contains(send("GET", "/_products/state?org_id=org_a", "").Body.String(), "note_")
			if tc.path == addNote && done != tc.done {
				t.Errorf("the work is done: %v", done)
			}
		})
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()

	s := open(t)
	const params = `{"fields":{"amount":0.10,"id":12345678901234567890},"subject":"VPN"}`
	status, text, err := s.call(t, "POST", createTicket, "k1", params)
	if err != nil || status != http.StatusOK || !strings.Contains(text, `{"amount":0.10,"id":12345678901234567890}`) {
		t.Errorf("%d %s, err %v", status, text, err)
	}
	if got := string(s.listed()[0].Params); got != params {
		t.Errorf("listed are %s", got)
	}
	if _, state, err := s.call(t, "GET", "/_products/state?org_id=org_a", "", ""); err != nil || !strings.Contains(state, "12345678901234567890") {
		t.Errorf("kept is %s, err %v", state, err)
	}
}

func TestInvalidRulesAreRefused(t *testing.T) {
	t.Parallel()

	s := open(t)
	for rules, want := range map[string]string{
		`{"rules": [{}, {"actoin": "x"}]}`:  `rule 1 has the unknown field \"actoin\"; a rule has action, body, chance, delay_ms, lost_reply, org_id, product, retry_after, seed, status, times`,
		`{"rules": [{"Status": 500}]}`:      `rule 0 has the unknown field \"Status\"`,
		`{"rules": [{"status": 1}]}`:        `status 1`,
		`{"rules": [{"status": "500"}]}`:    `rule 0 has a string as status, which must be a whole number`,
		`{"rules": [{"retry_after": 1.5}]}`: `rule 0 has a number 1.5 as retry_after, which must be a whole number`,
		`{"rules": [{"retry_after": -1}]}`:  `a negative delay_ms, times or retry_after`,
		`{"rules": [7]}`:                    `rule 0 is not a JSON object`,
		`{"rules": {}}`:                     `the body must be {\"rules\": [{…}, …]}`,
		`{}`:                                `the body must be {\"rules\": [{…}, …]}`,
		`{"rules": [], "rule": []}`:         `the body has no field \"rule\"`,
		`[]`:                                `the body is not a JSON object`,
		`x`:                                 `the body is not JSON`,
	} {
		status, text, err := s.call(t, "PUT", "/_products", "", rules)
		if err != nil || status != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, err %v; want %s", rules, status, text, err, want)
		}
	}
}
