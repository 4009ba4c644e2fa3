package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/localstack/hub"
	"theoneagents.app/agents/localstack/products/outbox"
)

// kept returns a server of all stand-ins that saves its data in folder until it
// is closed.
func kept(t *testing.T, folder string) (server *httptest.Server, end func()) {
	t.Helper()
	key, err := hub.Open(filepath.Join(folder, "hub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(outbox.New("", http.DefaultClient, time.Now), anyone{}, time.Now, 100, slog.New(slog.DiscardHandler))
	k, err := w.keep(folder)
	if err != nil {
		t.Fatal(err)
	}
	h, err := w.handler(key)
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewServer(k.watch(h))
	return server, func() {
		t.Helper()
		server.Close()
		if err := k.close(); err != nil {
			t.Error(err)
		}
	}
}

// act calls an action of a product for org_a with an idempotency key.
func act(t *testing.T, url, key, params string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(params))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Org-Id", "org_a")
	r.Header.Set("Idempotency-Key", key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var said struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return said.ID
}

func TestARestartContinuesWithTheSavedData(t *testing.T) {
	t.Parallel()

	folder := t.TempDir()
	first, end := kept(t, folder)
	const create = "/products/psa/actions/create_ticket"
	ticket := act(t, first.URL+create, "key1", `{"subject": "a", "number": 12345678901234567890}`)
	call(t, http.MethodPost, first.URL+"/hooks/org_a/slack", `{"text": "hi"}`)
	call(t, http.MethodPost, first.URL+"/openai/v1/chat/completions", `{"model": "m", "messages": [{"role": "user", "content": "hello"}]}`)
	look := []string{"/_calls?org_id=org_a", "/_calls", "/_model/calls", "/_products/state?org_id=org_a"}
	var before []string
	for _, path := range look {
		_, text := call(t, http.MethodGet, first.URL+path, "")
		before = append(before, text)
	}
	end()

	second, end := kept(t, folder)
	defer end()
	for i, path := range look {
		if _, text := call(t, http.MethodGet, second.URL+path, ""); text != before[i] {
			t.Errorf("%s: %s, before it was %s", path, text, before[i])
		}
	}
	if again := act(t, second.URL+create, "key1", `{"subject": "a", "number": 12345678901234567890}`); again != ticket {
		t.Errorf("the same key made %s, then %s", ticket, again)
	}
	if _, text := call(t, http.MethodGet, second.URL+"/_calls", ""); !strings.Contains(text, `"repeated":true`) {
		t.Errorf("it was done twice: %s", text)
	}
}

func TestRulesEndWithTheProgram(t *testing.T) {
	t.Parallel()

	folder := t.TempDir()
	first, end := kept(t, folder)
	for _, path := range []string{"/_products", "/_model"} {
		call(t, http.MethodPut, first.URL+path, `{"rules": [{"status": 503}]}`)
		if _, text := call(t, http.MethodGet, first.URL+path, ""); !strings.Contains(text, "503") {
			t.Errorf("%s: %s", path, text)
		}
	}
	end()
	second, end := kept(t, folder)
	defer end()
	for _, path := range []string{"/_products", "/_model"} {
		if _, text := call(t, http.MethodGet, second.URL+path, ""); text != `{"rules":[]}` {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestAChangeIsSavedSoon(t *testing.T) {
	t.Parallel()

	w := newWorld(outbox.New("", http.DefaultClient, time.Now), anyone{}, time.Now, 100, slog.New(slog.DiscardHandler))
	k, err := w.keep(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go k.run(ctx, time.Now)
	k.changed.Store(true)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if _, err := os.Stat(k.file()); err == nil {
			return
		}
	}
	t.Error("nothing was written")
}

func TestOneProgramAtATimeKeepsAFolder(t *testing.T) {
	t.Parallel()

	folder := t.TempDir()
	_, end := kept(t, folder)
	defer end()
	w := newWorld(outbox.New("", http.DefaultClient, time.Now), anyone{}, time.Now, 100, slog.New(slog.DiscardHandler))
	if _, err := w.keep(folder); err == nil || !strings.Contains(err.Error(), "end them first") {
		t.Errorf("err = %v", err)
	}
}

func TestUnreadableDataIsRefusedWithASentence(t *testing.T) {
	t.Parallel()

	for _, text := range []string{``, `{`, `{"calls": 1}`, `{"desk": {"tickets": 1}}`} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "kept.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w := newWorld(outbox.New("", http.DefaultClient, time.Now), anyone{}, time.Now, 100, slog.New(slog.DiscardHandler))
		if _, err := w.keep(folder); err == nil || !strings.Contains(err.Error(), "make reset") {
			t.Errorf("%q: err = %v", text, err)
		}
	}
}
