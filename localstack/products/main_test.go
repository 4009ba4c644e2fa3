package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/products/callers"
	"theoneagents.app/agents/localstack/products/outbox"
)

// anyone accepts every call of an action.
type anyone struct{}

func (anyone) Check(context.Context, callers.Call) error { return nil }

// outside returns a server of all stand-ins, with an emulator that has sent one
// text message.
func outside(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_ministack/sns/sms-messages", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"sms_messages": {"+1": [{"MessageId": "m1", "Timestamp": 1, "MessageAttributes": {"org_id": {"StringValue": "org_a"}}}]}}`))
	})
	mux.HandleFunc("GET /_ministack/ses/messages", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) })
	emulator := httptest.NewServer(mux)
	t.Cleanup(emulator.Close)

	key, err := hub.Open(filepath.Join(t.TempDir(), "hub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHandler(key, outbox.New(emulator.URL, emulator.Client(), time.Now), anyone{}, time.Now, 100, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func call(t *testing.T, method, url, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
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

// kinds returns org and kind of each listed call.
func kinds(t *testing.T, url string) []string {
	t.Helper()
	_, text := call(t, "GET", url, "")
	var list struct {
		Calls []struct {
			Org  string `json:"org_id"`
			Kind string `json:"kind"`
		} `json:"calls"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, c := range list.Calls {
		got = append(got, c.Org+" "+c.Kind)
	}
	return got
}

func TestEveryCallIsListedInOrderUntilForgotten(t *testing.T) {
	t.Parallel()

	s := outside(t)
	call(t, "POST", s.URL+"/hooks/org_a/slack", `{}`)
	call(t, "POST", s.URL+"/hooks/org_b/webhook", `{}`)
	steps := []struct {
		name, forget, list string
		want               []string
	}{
		{"all", "", "/_calls", []string{"org_a sms", "org_a slack", "org_b webhook"}},
		{"those of an org", "", "/_calls?org_id=org_a", []string{"org_a sms", "org_a slack"}},
		{"those of another org are forgotten alone", "/_calls?org_id=org_b", "/_calls", []string{"org_a sms", "org_a slack"}},
		{"all are forgotten, text messages too", "/_calls", "/_calls", []string{}},
	}
	for _, step := range steps {
		if step.forget != "" {
			if status, text := call(t, "DELETE", s.URL+step.forget, ""); status != http.StatusNoContent {
				t.Errorf("%s: %d %s", step.name, status, text)
			}
		}
		if diff := cmp.Diff(step.want, kinds(t, s.URL+step.list)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestEveryStandInAnswersAtItsRoute(t *testing.T) {
	t.Parallel()

	s := outside(t)
	tests := []struct {
		name, method, path, want string
		status                   int
	}{
		{"health", "GET", "/_health", `{"status":"ok"}`, 200},
		{"the Hub's keys", "GET", "/hub/jwks.json", `"kty":"EC"`, 200},
		{"calls of the model", "GET", "/_model/calls", `{"calls":[]}`, 200},
		{"what the products keep", "GET", "/_products/state?org_id=org_a", `{"tickets":{},"notes":{},"devices":{}}`, 200},
		{"an unknown route", "GET", "/elsewhere", `{"error":"not_found","message":"no route for GET /elsewhere"}`, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			if status, text := call(t, tt.method, s.URL+tt.path, ""); status != tt.status || !strings.Contains(text, tt.want) {
				t.Errorf("%d %s, want %d %s", status, text, tt.status, tt.want)
			}
		})
	}
}

func TestTheProgramServesUntilItsContextEnds(t *testing.T) {
	t.Parallel()

	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		args := []string{"-listen", "127.0.0.1:0", "-key", filepath.Join(t.TempDir(), "hub.pem")}
		ended <- run(ctx, args, time.Now, slog.New(slog.NewJSONHandler(in, nil)))
	}()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var started struct {
		Listen string `json:"listen"`
	}
	if err := json.Unmarshal(line, &started); err != nil {
		t.Fatal(err)
	}
	if status, text := call(t, "GET", "http://"+started.Listen+"/_health", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestABadCommandLineIsRefused(t *testing.T) {
	t.Parallel()

	for _, args := range [][]string{{"-nonsense"}, {"extra"}, {"-calls-limit", "0"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
