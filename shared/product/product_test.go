package product_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/document"
	"theoneagents.app/agents/shared/product"
	"theoneagents.app/agents/shared/step"
)

func command() step.Command {
	return step.Command{
		Org: "org_a", Execution: "exec_1", Depth: 3, Product: "psa", Action: "add_note", Key: "exec_1:s",
		Params: map[string]any{"body": "<b>&\r\n", "n": int64(12345678901234567), "none": nil},
	}
}

func client(t *testing.T, h http.HandlerFunc) product.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return product.Client{Base: s.URL, HTTP: &http.Client{Timeout: 5 * time.Second}}
}

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
		if params, err = document.Decode(data); err != nil {
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
				got, err = document.Decode(data)
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

func TestAnswersAreSorted(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("x", 70<<10)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		again   bool
		reason  string // "" for success
	}{
		"created":                       {handler: answers(201, `{}`)},
		"without a word":                {handler: answers(204, ``)},
		"blank":                         {handler: answers(200, " \n")},
		"busy":                          {handler: answers(429, `{"message": "Slow down."}`), again: true, reason: "the product answered 429 (Slow down)"},
		"slow":                          {handler: answers(408, ``), again: true, reason: "the product answered 408"},
		"broken":                        {handler: answers(500, `{"message": "Oops"}`), again: true, reason: "the product answered 500 (Oops)"},
		"down":                          {handler: answers(503, `<html>`), again: true, reason: "the product answered 503"},
		"a refusal":                     {handler: answers(422, `{"message": "No such ticket"}`), reason: "the product answered 422 (No such ticket)"},
		"a refusal without a word":      {handler: answers(404, ``), reason: "the product answered 404"},
		"a refusal of too many words":   {handler: answers(400, `{"message": "`+long+`"}`), reason: "the product answered 400"},
		"a refusal that is no text":     {handler: answers(400, `{"message": {"a": 1}}`), reason: "the product answered 400"},
		"an answer that is too large":   {handler: answers(200, `{"d": "`+long+`"}`), reason: "the product's answer is larger than 65536 bytes"},
		"an answer that is no JSON":     {handler: answers(200, `done`), reason: "the product's answer is no JSON object"},
		"an answer that is a list":      {handler: answers(200, `[]`), reason: "the product's answer is no JSON object"},
		"an answer that is two objects": {handler: answers(200, `{}{}`), reason: "the product's answer is no JSON object"},
		"not modified":                  {handler: answers(304, ``), reason: "the product answered 304"},
		"hung up": {
			handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			again:   true, reason: "the product could not be reached or gave no answer",
		},
		"broken off": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, `{"a":`) //nolint:errcheck // it is broken off anyway.
			},
			again: true, reason: "the product's answer broke off",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reply, err := client(t, tc.handler).Act(t.Context(), command())
			if tc.reason == "" {
				if err != nil || reply == nil {
					t.Errorf("got %v, %v", reply, err)
				}
				return
			}
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

// A redirect is no answer: following one would turn the command into a GET, or
// send it and its key to somebody else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()

	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			other := 0
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				other++
				io.WriteString(w, `{"ok": true}`) //nolint:errcheck // nobody should read it.
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

func TestACommandEndsWithItsTime(t *testing.T) {
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

func TestWhatCannotBeReachedMayBeReachedLater(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	s.Close()
	_, err := product.Client{Base: s.URL, HTTP: &http.Client{}}.Act(t.Context(), command())
	if !errors.Is(err, step.ErrAgain) {
		t.Errorf("err = %v", err)
	}
}
