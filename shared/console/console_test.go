package console

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// built is a small build of the pages.
func built() fstest.MapFS {
	return fstest.MapFS{
		"index.html":           {Data: []byte(`<!doctype html><meta name="hub" content="{{hub}}"><script src="/assets/main-A1.js" type="module"></script>`)},
		"assets/main-A1.js":    {Data: []byte("plain")},
		"assets/main-A1.js.br": {Data: []byte("brotli")},
		"assets/main-A1.js.gz": {Data: []byte("gzip")},
		"assets/geist.woff2":   {Data: []byte("font")},
		"assets/notes.txt":     {Data: []byte("not to be served")},
		"secret.js":            {Data: []byte("not to be served")},
	}
}

func ask(t *testing.T, files fstest.MapFS, method, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://console.example/", nil)
	r.URL.Path = target // as API Gateway gives it, without cleaning
	r.Header = header
	w := httptest.NewRecorder()
	Handler(files, Settings{
		Hub: `https://hub.example/"><script>`, Log: slog.New(slog.DiscardHandler),
		RequestID: func(*http.Request) string { return "req-1" },
	}).ServeHTTP(w, r)
	return w
}

func TestEveryPageIsTheIndexUnderTheStrictPolicy(t *testing.T) {
	t.Parallel()

	for _, path := range []string{"/", "/approvals", "/approvals/", "/approvals/appr_1", "/runs/exec_1", "/agents/new", "/agents/agent_1/definition", "/events", "/credits", "/settings/keys"} {
		w := ask(t, built(), http.MethodGet, path, nil)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "main-A1.js") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		csp := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy %q has no %q", path, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: the policy is weak: %q", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex",
			"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestTheAddressOfTheHubIsTextInThePage(t *testing.T) {
	t.Parallel()

	got := ask(t, built(), http.MethodGet, "/", nil).Body.String()
	if !strings.Contains(got, `content="https://hub.example/&#34;&gt;&lt;script&gt;"`) {
		t.Error(got)
	}
}

func TestAPageThatTheBrowserHasIsNotSentAgain(t *testing.T) {
	t.Parallel()

	first := ask(t, built(), http.MethodGet, "/runs", nil)
	tag := first.Header().Get("ETag")
	for given, want := range map[string]int{tag: 304, "W/" + tag: 304, `"old", ` + tag: 304, "*": 304, `"old"`: 200, "": 200} {
		if w := ask(t, built(), http.MethodGet, "/runs", http.Header{"If-None-Match": {given}}); w.Code != want {
			t.Errorf("If-None-Match %s: %d, want %d", given, w.Code, want)
		}
	}
	changed := built()
	changed["index.html"] = &fstest.MapFile{Data: []byte("another build")}
	if w := ask(t, changed, http.MethodGet, "/runs", http.Header{"If-None-Match": {tag}}); w.Code != http.StatusOK {
		t.Errorf("after another build: %d", w.Code)
	}
}

func TestAnAssetIsSentInTheSmallestFormThatTheBrowserReads(t *testing.T) {
	t.Parallel()

	for accepted, want := range map[string]string{
		"gzip, deflate, br, zstd": "brotli", "gzip": "gzip", "BR;q=0.5, gzip": "brotli", "br;q=0, gzip;q=1": "gzip",
		"br; q=0": "plain", "gzip;q=0.000": "plain", "gzip;q=x": "plain", "": "plain", "brotli": "plain", "identity": "plain",
	} {
		w := ask(t, built(), http.MethodGet, "/assets/main-A1.js", http.Header{"Accept-Encoding": {accepted}})
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%q: %d %s, want %s", accepted, w.Code, w.Body, want)
		}
		if !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Vary") != "Accept-Encoding" ||
			w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%q: %v", accepted, w.Header())
		}
	}
	if w := ask(t, built(), http.MethodGet, "/assets/geist.woff2", http.Header{"Accept-Encoding": {"br"}}); w.Body.String() != "font" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("a file without compressed forms: %s %v", w.Body, w.Header())
	}
}

func TestEveryOtherPathIsNotFoundAsJSON(t *testing.T) {
	t.Parallel()

	for _, path := range []string{
		"/elsewhere", "/api/agents", "/approvalsx", "//approvals", "/approvals//x", "/approvals/../secret.js", "/approvals/.", "",
		"/assets/", "/assets/missing.js", "/assets/main-A1.js.br", "/assets/main-A1.js.gz", "/assets/notes.txt", "/assets/../secret.js",
		"/assets/./main-A1.js", "/assets/..%2fsecret.js", "/assets//main-A1.js", "/assets/\\..\\secret.js", "/assets/main-A1.js\x00", "/index.html", "/secret.js", "/assets",
	} {
		w := ask(t, built(), http.MethodGet, path, nil)
		var body struct {
			Error     string `json:"error"`
			Status    int    `json:"status"`
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 404 || body.Error != "not_found" || body.Status != 404 || body.RequestID != "req-1" {
			t.Errorf("%q: %d %s %v", path, w.Code, w.Body, err)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%q: Cache-Control %q", path, got)
		}
	}
}

func TestAPageIsOnlyRead(t *testing.T) {
	t.Parallel()

	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace} {
		w := ask(t, built(), method, "/approvals/appr_1", nil)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" || !strings.Contains(w.Body.String(), "method_not_allowed") {
			t.Errorf("%s: %d %v %s", method, w.Code, w.Header(), w.Body)
		}
	}
	for _, path := range []string{"/approvals", "/assets/main-A1.js", "/elsewhere"} {
		get, head := ask(t, built(), http.MethodGet, path, nil), ask(t, built(), http.MethodHead, path, nil)
		if head.Code != get.Code || head.Body.Len() != 0 || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
			t.Errorf("HEAD %s: %d, %d bytes, %v", path, head.Code, head.Body.Len(), head.Header())
		}
	}
}

func TestABuildWithoutAnIndexIsOurFault(t *testing.T) {
	t.Parallel()

	var log bytes.Buffer
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/runs", nil)
	w := httptest.NewRecorder()
	Handler(fstest.MapFS{}, Settings{Log: slog.New(slog.NewTextHandler(&log, nil)), RequestID: func(*http.Request) string { return "" }}).ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "index.html") || !strings.Contains(log.String(), "index.html") {
		t.Errorf("%d %s, log %s", w.Code, w.Body, &log)
	}
}
