package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"theoneagents.app/agents/shared/execution"
)

func TestContentTypesOfJSON(t *testing.T) {
	t.Parallel()

	for header, want := range map[string]bool{
		"application/json":                   true,
		"Application/JSON; charset=UTF-8":    true,
		"application/json;charset=\"utf-8\"": true,
		"application/json; charset=latin1":   false,
		"application/problem+json":           false,
		"text/json":                          false,
		"application/json, text/plain":       false,
		"":                                   false,
	} {
		if got := isJSON([]string{header}); got != want {
			t.Errorf("%q: %t, want %t", header, got, want)
		}
	}
	if isJSON(nil) || isJSON([]string{"application/json", "application/json"}) {
		t.Error("no content type, or two, are accepted as JSON")
	}
}

func FuzzBody(f *testing.F) {
	f.Add(`{"decision": "approved", "note": "ok"}`)
	f.Add(`{"decision": "denied"} {}`)
	f.Add(`[1e999]`)
	f.Add(strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70))
	f.Add("{\"decision\": \"\xff\"}")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.SetPathValue("id", "appr_1")
		in, err := newRequest(r)
		if err != nil {
			return
		}
		q := readDecideApproval(in)
		if in.done() != nil {
			return
		}
		note := value(q.Body.Note)
		if !q.Body.Decision.Valid() || utf8.RuneCountInString(note) > maxNote || !utf8.ValidString(note) {
			t.Errorf("%q was accepted: %v", body, q.Body)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("limit=50&status=failed")
	f.Add("status=failed,cancelled")
	f.Add("limit=1&limit=2")
	f.Add("from=2026-03-01T00:00:00Z&to=x")
	f.Add("a=%zz;b")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		in, err := newRequest(r)
		if err != nil {
			return
		}
		q := readListExecutions(in)
		if err := in.done(); err != nil {
			return
		}
		if n := *q.Params.Limit; n < 1 || n > maxLimit {
			t.Errorf("%q: the limit is %d", query, n)
		}
		if statuses := q.Params.Status; statuses != nil {
			if n := len(*statuses); n < 1 || n > len(execution.Statuses()) {
				t.Errorf("%q: there are %d statuses", query, n)
			}
			for _, s := range *statuses {
				if !s.Valid() {
					t.Errorf("%q: a status is %s", query, s)
				}
			}
		}
	})
}
