package catalog_test

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/catalog"
)

func TestTheSubjectOfAnEventIsOneLineOfItsHeadline(t *testing.T) {
	t.Parallel()

	e := catalog.EventType{Headline: "device.name"}
	in := func(v any) map[string]any { return map[string]any{"device": map[string]any{"name": v}} }
	long := strings.Repeat("ä", catalog.MaxSubject)
	for name, tc := range map[string]struct {
		payload map[string]any
		want    string
	}{
		"a text":                   {in("SRV-1 is down"), "SRV-1 is down"},
		"a number":                 {in(int64(17)), "17"},
		"lines and invisible ones": {in(" a\r\n\tb\u202e\x00c  "), "a bc"},
		"a text that fits":         {in(long[2:]), long[2:]},
		"a longer one":             {in(long), long[2:] + "…"},
		"a very long one":          {in(strings.Repeat("x", 1<<20)), strings.Repeat("x", catalog.MaxSubject-1) + "…"},
		"markup is text":           {in("<b>{{ x }}</b>"), "<b>{{ x }}</b>"},
		"missing":                  {map[string]any{}, ""},
		"null":                     {in(nil), ""},
		"a list":                   {in([]any{"a"}), ""},
	} {
		if got := e.Subject(tc.payload); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if got := (catalog.EventType{}).Subject(map[string]any{"": "x"}); got != "" {
		t.Errorf("an event type without a headline has the subject %q", got)
	}
}
