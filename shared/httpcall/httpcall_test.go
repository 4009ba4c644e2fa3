package httpcall_test

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/httpcall"
)

func TestTheBeginningOfAnAnswerIsOneReadableLine(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ body, want string }{
		"nothing":                     {"", ""},
		"blank":                       {" \r\n\t", ""},
		"a word":                      {"no_service", "no_service"},
		"lines":                       {"It failed.\r\n\r\n  Try later.", "It failed. Try later."},
		"control characters":          {"a\x00b\x1b[31mc\u202ed", "a b [31mcd"},
		"a page":                      {"<!DOCTYPE html><html><head><title>502</title><style>p{}</style></head><body><h1>502</h1><p>Bad\n gateway</p></body>", "502 Bad gateway"},
		"text with a comparison":      {"a < b > c", "a < b > c"},
		"what is no Unicode":          {"f\xfcr", "f\ufffdr"},
		"a long text":                 {strings.Repeat("ü", 250), strings.Repeat("ü", 200) + "… (50 more characters)"},
		"a very long text":            {strings.Repeat("x", 40_000), strings.Repeat("x", 200) + "… (39,800 more characters)"},
		"a message":                   {`{"message": "No such ticket."}`, "No such ticket."},
		"a detail":                    {`{"title": "Bad", "detail": "No such ticket"}`, "No such ticket"},
		"an error":                    {`{"error": "not_found"}`, "not_found"},
		"a message in an error":       {`{"error": {"code": "x", "message": "No such ticket"}}`, "No such ticket"},
		"an object without a message": {`{"code": 7}`, `{"code": 7}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := httpcall.Said([]byte(tc.body)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
