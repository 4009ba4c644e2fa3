package product_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/callkey"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/product"
	"theoneagents.app/agents/shared/span"
	"theoneagents.app/agents/shared/step"
)

func command() step.Command {
	return step.Command{
		Org: "org_a", Execution: "exec_1", Step: "s", Depth: 3, Product: "psa", Action: "add_note", Key: "exec_1:s",
		Params: map[string]any{"body": "<b>&\r\n", "n": int64(12345678901234567), "none": nil},
	}
}

func client(t *testing.T, h http.HandlerFunc) product.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return product.Client{
		Base: s.URL, HTTP: &http.Client{Timeout: 5 * time.Second}, Now: func() time.Time { return noon },
		Key: keys().key, Issuer: "https://agents.example",
	}
}

// A pair is a key and the set that verifies its tokens.
type pair struct {
	key callkey.Key
	set jose.JSONWebKeySet
}

// keys makes the key of all clients.
var keys = sync.OnceValue(func() pair {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var p pair
	var err error
	p.key, err = callkey.Parse(strings.Repeat("a", 64))
	must(err)
	text, err := callkey.Set(p.key)
	must(err)
	must(json.Unmarshal(text, &p.set))
	return p
})

func TestACallIsSignedForItsBodyAlone(t *testing.T) {
	t.Parallel()
	for _, cmd := range []step.Command{command(), {Org: "org_b", Execution: "exec_2", Step: "t", Product: "defend", Action: "isolate_device", Key: "exec_2:t"}} {
		var header string
		var body []byte
		c := client(t, func(_ http.ResponseWriter, r *http.Request) {
			header, body = r.Header.Get("Authorization"), nil
			body, _ = io.ReadAll(r.Body)
		})
		if _, err := c.Act(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		text, ok := strings.CutPrefix(header, "Bearer ")
		token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil || !ok {
			t.Fatalf("%q: %v", header, err)
		}
		got := map[string]any{}
		if err := token.Claims(keys().set, &got); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		want := map[string]any{
			"iss": "https://agents.example", "aud": []any{cmd.Product}, "sub": string(cmd.Execution), "jti": cmd.Key,
			"org": string(cmd.Org), "step": string(cmd.Step), "action": cmd.Action, "body_sha256": hex.EncodeToString(sum[:]),
			"iat": float64(noon.Unix()), "exp": float64(noon.Unix() + 60),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claims (-want +got)\n%s", diff)
		}
	}
}

func TestACallWithoutAKeyIsNotSent(t *testing.T) {
	t.Parallel()
	c := client(t, func(http.ResponseWriter, *http.Request) { t.Error("the product was called") })
	c.Key = callkey.Key{}
	if _, err := c.Act(t.Context(), command()); err == nil || errors.Is(err, step.ErrAgain) {
		t.Errorf("err = %v, want one without a retry", err)
	}
}

// noon is the time of every call.
var noon = time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // the client complains.
	}
}

func TestACommandIsAPost(t *testing.T) {
	t.Parallel()
	var (
		got    *http.Request
		params any
	)
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if params, err = jsonvalue.Decode(data); err != nil {
			t.Error(err)
		}
		got = r
		io.WriteString(w, ` {"note_id": 12345678901234567} `) //nolint:errcheck // the client complains.
	})
	reply, err := c.Act(t.Context(), command())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"note_id": int64(12345678901234567)}, reply); diff != "" {
		t.Errorf("reply (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(any(command().Params), params); diff != "" {
		t.Errorf("params (-want +got)\n%s", diff)
	}
	if got.Method != http.MethodPost || got.URL.Path != "/products/psa/actions/add_note" {
		t.Errorf("%s %s", got.Method, got.URL.Path)
	}
	for name, want := range map[string]string{
		"Idempotency-Key": "exec_1:s", "X-Org-Id": "org_a", "X-One-Agents-Execution": "exec_1", "X-One-Agents-Depth": "3",
		"Content-Type": "application/json",
	} {
		if h := got.Header.Get(name); h != want {
			t.Errorf("%s = %q, want %q", name, h, want)
		}
	}
}

func TestAHostileValueAddsNothingToACommand(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{
		`","ticket_id":"other`, `"}, {"x": "`, `\`, `\u0022`, "\r\nX-Org-Id: org_b", "</script>\u2028\x00", "{{ event_payload.n }}", "../../delete",
	} {
		cmd := command()
		cmd.Params = map[string]any{"ticket_id": hostile, "list": []any{hostile, map[string]any{hostile: hostile}}}
		var got any
		c := client(t, func(_ http.ResponseWriter, r *http.Request) {
			data, err := io.ReadAll(r.Body)
			if err == nil {
				got, err = jsonvalue.Decode(data)
			}
			if err != nil || r.URL.Path != "/products/psa/actions/add_note" || r.Header.Get("X-Org-Id") != "org_a" {
				t.Errorf("%q: %s of %s, %v", hostile, r.URL, r.Header.Get("X-Org-Id"), err)
			}
		})
		if _, err := c.Act(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(cmd.Params), got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", hostile, diff)
		}
	}
}

func TestAnswersAreClassified(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("x", 70<<10)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		again   bool
		reason  string
	}{
		"busy":                        {handler: answers(429, `{"message": "Slow down."}`), again: true, reason: "the product answered 429 (Slow down)"},
		"slow":                        {handler: answers(408, ``), again: true, reason: "the product answered 408"},
		"early":                       {handler: answers(425, ``), again: true, reason: "the product answered 425"},
		"broken":                      {handler: answers(500, `{"message": "Oops"}`), again: true, reason: "the product answered 500 (Oops)"},
		"down":                        {handler: answers(503, `<html><h1>Down</h1>`), again: true, reason: "the product answered 503 (Down)"},
		"a refusal":                   {handler: answers(422, `{"message": "No such ticket"}`), reason: "the product answered 422 (No such ticket)"},
		"a refusal in an object":      {handler: answers(400, `{"error": {"code": 7, "message": "No such ticket"}}`), reason: "the product answered 400 (No such ticket)"},
		"a refusal without a word":    {handler: answers(404, ``), reason: "the product answered 404"},
		"a refusal of too many words": {handler: answers(400, `{"message": "`+long[:50_000]+`"}`), reason: "the product answered 400 (" + long[:200] + "… (49,800 more characters))"},
		"a refusal that is no text":   {handler: answers(400, `{"message": {"a": 1}}`), reason: `the product answered 400 ({"message": {"a": 1}})`},
		"not modified":                {handler: answers(304, ``), reason: "the product answered 304"},
		"hung up": {
			handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			again:   true, reason: "the product could not be reached or gave no answer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reply, err := client(t, tc.handler).Act(t.Context(), command())
			var s interface{ Reason() string }
			if !errors.As(err, &s) || s.Reason() != tc.reason {
				t.Errorf("got %v, %v; want %q", reply, err, tc.reason)
			}
			if errors.Is(err, step.ErrAgain) != tc.again {
				t.Errorf("tried again: %v, want %v", !tc.again, tc.again)
			}
		})
	}
}

func TestASuccessfulStatusCompletesTheStepWithAnyAnswer(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("ü", 35<<10)
	for name, tc := range map[string]struct {
		status int
		body   string
		want   map[string]any
	}{
		"an object is kept whole":            {200, ` {"id": 12345678901234567, "none": null, "list": [1, "a"]} `, map[string]any{"id": int64(12345678901234567), "none": nil, "list": []any{int64(1), "a"}}},
		"an object of almost 64 KiB":         {201, `{"d": "` + long[:65_000] + `"}`, map[string]any{"d": long[:65_000]}},
		"without a word":                     {204, ``, map[string]any{}},
		"created":                            {201, `{}`, map[string]any{}},
		"accepted":                           {202, ``, map[string]any{}},
		"a status that few know":             {299, `{"a": 1}`, map[string]any{"a": int64(1)}},
		"blank":                              {200, " \n", map[string]any{}},
		"null":                               {200, `null`, map[string]any{"value": nil}},
		"a list":                             {200, `[1]`, map[string]any{"value": []any{int64(1)}}},
		"a number":                           {200, `7`, map[string]any{"value": int64(7)}},
		"a string":                           {200, `"done"`, map[string]any{"value": "done"}},
		"a word":                             {200, `OK`, map[string]any{"text": "OK"}},
		"HTML":                               {200, `<p>Done &amp; dusted</p>`, map[string]any{"text": "<p>Done &amp; dusted</p>"}},
		"two objects":                        {200, `{}{}`, map[string]any{"text": "{}{}"}},
		"an object that is cut":              {200, `{"a": `, map[string]any{"text": `{"a":`}},
		"an object that is too deep":         {200, strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat(`}`, 70), map[string]any{"text": strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat(`}`, 70)}},
		"an object after a byte order mark":  {200, "\ufeff{\"a\": 1}", map[string]any{"a": int64(1)}},
		"text in another encoding":           {200, "erledigt f\xfcr Sie", map[string]any{"text": "erledigt f\ufffdr Sie"}},
		"text of more than 4 KiB":            {200, long[:5000], map[string]any{"text": long[:4096], "truncated": true}},
		"text that is cut in a character":    {200, "x" + long[:5000], map[string]any{"text": "x" + long[:4094], "truncated": true}},
		"an object that is larger than that": {201, `{"d": "` + long + `"}`, map[string]any{"text": `{"d": "` + long[:4088], "truncated": true}},
		"no text at all":                     {200, "\x89PNG\r\n\x1a\n\x00\x00", map[string]any{"unreadable": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, answers(tc.status, tc.body)).Act(t.Context(), command())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnIncompleteAnswerCompletesTheStep(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]map[string]any{
		`{"a": 1`: {"text": `{"a": 1`, "truncated": true}, `{"a": 1}`: {"text": `{"a": 1}`, "truncated": true}, ``: {"text": "", "truncated": true},
	} {
		c := client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, body) //nolint:errcheck // it is broken off anyway.
		})
		got, err := c.Act(t.Context(), command())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("output of %q (-want +got)\n%s", body, diff)
		}
	}
}

func TestTheRetryAfterOfABusyProductIsKept(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		header string
		want   time.Duration
		again  bool
	}{
		"in seconds":                  {429, "30", 30 * time.Second, true},
		"as a date":                   {503, noon.Add(45 * time.Second).Format(http.TimeFormat), 45 * time.Second, true},
		"a date that is over":         {503, noon.Add(-time.Hour).Format(http.TimeFormat), 0, true},
		"nothing":                     {429, "", 0, true},
		"unreadable":                  {429, "soon", 0, true},
		"less than no time":           {429, "-5", 0, true},
		"no number":                   {429, "NaN", 0, true},
		"a fraction":                  {429, "1.5", 1500 * time.Millisecond, true},
		"for ever":                    {429, "1e300", 365 * 24 * time.Hour, true},
		"a refusal is not asked anew": {422, "30", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				w.WriteHeader(tc.status)
			})
			_, err := c.Act(t.Context(), command())
			var wait interface{ After() time.Duration }
			if !errors.As(err, &wait) || wait.After() != tc.want || errors.Is(err, step.ErrAgain) != tc.again {
				t.Errorf("got %v, want to wait %v", err, tc.want)
			}
		})
	}
}

// Following a redirect would turn the POST into a GET, or send the command and
// its key to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()

	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			other := 0
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				other++
				io.WriteString(w, `{"ok": true}`) //nolint:errcheck // must not be read.
			}))
			defer elsewhere.Close()
			c := client(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
			reply, err := c.Act(t.Context(), command())
			if err == nil || errors.Is(err, step.ErrAgain) || other != 0 {
				t.Errorf("got %v, %v after %d calls of somebody else", reply, err, other)
			}
		})
	}
}

func TestACommandEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	c := client(t, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Act(ctx, command()); !errors.Is(err, step.ErrAgain) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}

func TestAnUnreachableProductIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	s.Close()
	c := client(t, nil)
	c.Base = s.URL
	_, err := c.Act(t.Context(), command())
	if !errors.Is(err, step.ErrAgain) {
		t.Errorf("err = %v", err)
	}
}

func TestACallHasItsPlaceInTheTrace(t *testing.T) {
	t.Parallel()
	const passedOn = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	var got string
	c := client(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Traceparent") })
	for _, want := range []string{"", passedOn} { // without a recorder the place of the event is passed on
		cmd := command()
		cmd.Traceparent = want
		if _, err := c.Act(t.Context(), cmd); err != nil || got != want {
			t.Errorf("traceparent %q, want %q: %v", got, want, err)
		}
	}
	recorder := span.NewRecorder(time.Now, 1, "")
	ctx, turn := span.Begin(span.With(t.Context(), recorder), "turn", span.Consumer)
	trace := span.TraceOf("evt_1")
	turn.In(span.Parent{Trace: trace, Sampled: true}, trace.Of("turn"))
	cmd := command()
	cmd.Traceparent = passedOn
	if _, err := c.Act(ctx, cmd); err != nil {
		t.Fatal(err)
	}
	spans, _ := recorder.Ended()
	if len(spans) != 1 || spans[0].Parent != trace.Of("turn") || got != (span.Parent{Trace: trace, Span: spans[0].ID, Sampled: true}).Traceparent() {
		t.Errorf("traceparent %q of %+v", got, spans)
	}
}
