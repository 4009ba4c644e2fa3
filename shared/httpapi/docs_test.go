package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	styleName  = "docs-AbCdEf123456.css"
	scriptName = "docs-AbCdEf123457.js"
)

// builtPages is a small documentation.
func builtPages() fstest.MapFS {
	files := fstest.MapFS{"geist-AbCdEf123458.woff2": {Data: []byte{0, 0xff, 0xfe}}, "secret.txt": {Data: []byte("secret")}}
	for name, text := range map[string]string{
		"index.html": "<!doctype html><title>first</title>", "operators.html": "<!doctype html><title>operators</title>",
		styleName: "body {}", scriptName: "'use strict';", "docs-short.js": "secret",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// askDocs sends a request to the documentation.
func askDocs(t *testing.T, method, target string, header map[string]string) *http.Response {
	t.Helper()
	w := newFixture(t)
	r := httptest.NewRequestWithContext(t.Context(), method, "https://api.example/", nil)
	r.URL.Path = target // as API Gateway gives it, without cleaning
	for name, value := range header {
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	Documents(w.edge, builtPages()).ServeHTTP(rec, r)
	return rec.Result()
}

func textOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close() //nolint:errcheck // a recorded body.
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAPageIsAFileWithAStrictPolicy(t *testing.T) {
	t.Parallel()

	for target, title := range map[string]string{"/docs": "first", "/docs/operators": "operators"} {
		resp := askDocs(t, http.MethodGet, target, nil)
		if text := textOf(t, resp); resp.StatusCode != http.StatusOK || !strings.Contains(text, "<title>"+title+"</title>") {
			t.Errorf("%s: %d %s", target, resp.StatusCode, text)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "require-trusted-types-for 'script'", "trusted-types 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy lacks %s: %s", target, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy is not strict: %s", target, policy)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}

func TestAPageThatHasNotChangedIsNotSentAgain(t *testing.T) {
	t.Parallel()

	tag := func(target string) string {
		resp := askDocs(t, http.MethodGet, target, nil)
		_ = textOf(t, resp)
		return resp.Header.Get("ETag")
	}
	first, other := tag("/docs"), tag("/docs/operators")
	if first == "" || first == other {
		t.Fatalf("the tags of two pages are %q and %q", first, other)
	}
	for sent, want := range map[string]int{first: http.StatusNotModified, strings.TrimPrefix(first, "W/"): http.StatusNotModified, `"x", ` + first: http.StatusNotModified, other: http.StatusOK} {
		resp := askDocs(t, http.MethodGet, "/docs", map[string]string{"If-None-Match": sent})
		if text := textOf(t, resp); resp.StatusCode != want || (want == http.StatusNotModified) != (text == "") {
			t.Errorf("If-None-Match %s: %d with %d bytes, want %d", sent, resp.StatusCode, len(text), want)
		}
	}
}

func TestAnAssetIsKeptForeverAndHasItsType(t *testing.T) {
	t.Parallel()

	for name, kind := range map[string]string{
		styleName: "text/css; charset=utf-8", scriptName: "text/javascript; charset=utf-8", "geist-AbCdEf123458.woff2": "font/woff2",
	} {
		resp := askDocs(t, http.MethodGet, "/docs/"+name, nil)
		if text := textOf(t, resp); text == "" || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != kind || resp.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d %s %s", name, resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Cache-Control"))
		}
	}
}

// Every other path is an error of the API, in JSON: the function answers all paths that
// no other function has.
func TestNoOtherFileIsServed(t *testing.T) {
	t.Parallel()

	for _, target := range []string{
		"/docs/", "/docs/index", "/docs/index.html", "/docs/operators.html", "/docs/operators/", "/docs/nothing", "/docs/secret.txt",
		"/docs/docs-short.js", "/docs/../secret.txt", "/docs/..%2fsecret.txt", "/docs/..", "/docs/./operators",
		"/docs//operators", "/docs/OPERATORS", "/docs/docs-AbCdEf000000.css", "/docs/operators\x00", "/docs/..\\secret.txt", "/operators", "/" + styleName, "/elsewhere",
	} {
		resp := askDocs(t, http.MethodGet, target, nil)
		if text := textOf(t, resp); resp.StatusCode != http.StatusNotFound || !strings.Contains(text, `"error":"not_found"`) ||
			resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %d %s", target, resp.StatusCode, text)
		}
	}
	resp := askDocs(t, http.MethodPost, "/docs/operators", nil)
	if text := textOf(t, resp); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %s", resp.StatusCode, text)
	}
	if head := askDocs(t, http.MethodHead, "/docs/operators", nil); head.StatusCode != http.StatusOK || textOf(t, head) != "" {
		t.Errorf("HEAD: %d", head.StatusCode)
	}
}
