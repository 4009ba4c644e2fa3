package render_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
)

func scope() render.Scope {
	return render.Scope{
		"event_payload": map[string]any{
			"subject": "VPN is {{ agent.id }} down", "priority": "p1", "count": int64(12345678901234567),
			"tags": []any{"a", "b"}, "none": nil, "id": jsonvalue.Number("123456789012345678901234567890"), "open": true, "big": strings.Repeat("x", 60_000),
		},
		"steps": map[string]any{"triage": map[string]any{"output": map[string]any{"noise": false}}},
	}
}

func TestAPlaceholderShowsAValue(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		in   any
		want any
	}{
		"text stays":                          {"hello", "hello"},
		"a path is filled":                    {"P: {{ event_payload.priority }}!", "P: p1!"},
		"blanks do not matter":                {"{{event_payload.priority}}", "p1"},
		"a value is not expanded again":       {"{{ event_payload.subject }}", "VPN is {{ agent.id }} down"},
		"a lone placeholder keeps a number":   {"{{ event_payload.count }}", int64(12345678901234567)},
		"a lone placeholder keeps a boolean":  {"{{ steps.triage.output.noise }}", false},
		"a lone placeholder keeps an array":   {"{{ event_payload.tags }}", []any{"a", "b"}},
		"a lone placeholder keeps null":       {"{{ event_payload.none }}", nil},
		"null in a text is empty":             {"<{{ event_payload.none }}>", "<>"},
		"an array in a text is JSON":          {"<{{ event_payload.tags }}>", `<["a","b"]>`},
		"a large number in a text is exact":   {"#{{ event_payload.count }}", "#12345678901234567"},
		"filters work from left to right":     {`{{ event_payload.priority | upcase | append: "|x" }}`, "P1|x"},
		"a default stands in for the missing": {`{{ event_payload.nope | default: "none" }}`, "none"},
		"an index selects":                    {"{{ event_payload.tags[1] }}", "b"},
		"a size is known":                     {"{{ event_payload.tags.size }}", int64(2)},
		"a filter may take a path":            {"{{ event_payload.priority | append: event_payload.open }}", "p1true"},
		"objects are filled at depth":         {map[string]any{"a": []any{"{{ event_payload.priority }}"}}, map[string]any{"a": []any{"p1"}}},
		"numbers are left alone":              {int64(5), int64(5)},
		"quotes may hold braces":              {`{{ "a}}b" }}`, "a}}b"},
		"join joins":                          {`{{ event_payload.tags | join: ", " }}`, "a, b"},
		"the last item of a list is known":    {"{{ event_payload.tags.last }}{{ event_payload.tags.first }}", "ba"},
		"a key may stand in quotes":           {`{{ event_payload["priority"] | append: event_payload['tags'][0] }}`, "p1a"},
		"quotes may stand in other quotes":    {`{{ 'say "hi"' | append: "it's" }}`, `say "hi"it's`},
		"a literal is a value":                {[]any{"{{ 7.50 }}", "{{ -1 }}", "{{ true }}", "{{ nil }}", "{{ null }}", "{{ 2.0 }}"}, []any{jsonvalue.Number("7.5"), int64(-1), true, nil, nil, int64(2)}},
		"line breaks are blanks":              {"{{\n event_payload.priority\n|\tappend :\n'x'\n}}", "p1x"},
		"a long number in a text is exact":    {`{{ event_payload.id }}/{{ event_payload.id | plus: 1 }}`, "123456789012345678901234567890/123456789012345678901234567891"},
		"a lone number of any length is one":  {`{{ event_payload.id }}`, jsonvalue.Number("123456789012345678901234567890")},
		"a single brace is text":              {`{ "a": {{ event_payload.open }} }`, `{ "a": true }`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := render.Value(tc.in, scope())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Value(%q) -want +got:\n%s", tc.in, diff)
			}
		})
	}
}

func TestABadTemplateIsAnError(t *testing.T) {
	t.Parallel()

	for name, in := range map[string]string{
		"a missing variable":            "{{ event_payload.nope }}",
		"a missing argument":            "{{ event_payload.priority | append: nope.x }}",
		"a tag":                         "{% if true %}x{% endif %}",
		"an open placeholder":           "{{ event_payload.priority",
		"an unknown filter":             "{{ event_payload.priority | shell }}",
		"an empty placeholder":          "{{ }}",
		"an operator":                   "{{ 1 + 1 }}",
		"output without end by replace": `{{ event_payload.big | replace: "x", event_payload.big }}`,
		"output without end by append":  `{{ event_payload.big | append: event_payload.big }}`,
		"too much of many":              "{{ event_payload.big }}{{ event_payload.big }}",
		"a division by zero":            "{{ event_payload.count | divided_by: 0 }}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := render.Text(in, scope())
			if !errors.Is(err, render.ErrTemplate) {
				t.Errorf("Text(%q) = %.80q, %v; want ErrTemplate", in, got, err)
			}
		})
	}
}

func TestTheValuesOfAnObjectAreBoundedTogether(t *testing.T) {
	t.Parallel()

	of := func(n int, text string) map[string]any {
		list := make([]any, n)
		for i := range list {
			list[i] = text
		}
		return map[string]any{"list": list}
	}
	for name, tc := range map[string]struct {
		in   any
		fits bool
	}{
		"a value that is all of an event": {of(1, "{{ event_payload }}"), true},
		"a few texts":                     {of(4, "{{ event_payload.big }}"), true},
		"many texts":                      {of(1000, "a {{ event_payload.big }}"), false},
		"many values":                     {of(1000, "{{ event_payload }}"), false},
		"many texts, one in another":      {map[string]any{"a": of(3, "{{ event_payload.big }}"), "b": []any{of(3, "{{ event_payload.big }}")}}, false},
		"many texts without the value":    {of(1000, "{{ event_payload.none }}"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := render.Value(tc.in, scope())
			if tc.fits != (err == nil) || !tc.fits && !errors.Is(err, render.ErrTemplate) {
				t.Errorf("%d bytes, %v", len(render.String(got)), err)
			}
		})
	}
}

func TestPathsReturnsThePathsOfATemplate(t *testing.T) {
	t.Parallel()

	got, err := render.Paths(`{{ a.b }} {{ "x" | append: c[0].d }} {{ e | default: "" }}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []jsonvalue.Path{{"a", "b"}, {"c", "0", "d"}, {"e"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzText(f *testing.F) {
	f.Add(`{{ event_payload.subject | upcase | default: "none" }}`)
	f.Add(`{{ "a" | replace: "", "b" }}{{`)
	f.Add(`{{ event_payload.tags | slice: -1, 5 | date: "%Y" }}`)
	f.Fuzz(func(t *testing.T, in string) {
		out, err := render.Text(in, scope())
		if err == nil && len(out) > render.MaxOutput {
			t.Errorf("%d bytes", len(out))
		}
		if _, perr := render.Paths(in); perr != nil && err == nil {
			t.Errorf("Paths refuses %q and Text does not: %v", in, perr)
		}
	})
}

func TestAModelFindsValuesUnderTheirPaths(t *testing.T) {
	t.Parallel()

	s := render.Scope{"event_payload": map[string]any{"subject": "VPN is down", "priority": "p1"}}
	for name, tc := range map[string]struct {
		in, prompt string
		data       map[string]any
	}{
		"a path":                {"{{ event_payload.subject }}", "[[event_payload.subject]]", map[string]any{"event_payload.subject": "VPN is down"}},
		"a default":             {`{{ event_payload.nope | default: "none" }}`, "[[event_payload.nope]]", map[string]any{"event_payload.nope": "none"}},
		"a cut":                 {`{{ event_payload.subject | default: "none" | truncate: 100 }}`, "[[event_payload.subject]]", map[string]any{"event_payload.subject": "VPN is down"}},
		"another value":         {"{{ event_payload.priority | upcase }}", "[[event_payload.priority | upcase]]", map[string]any{"event_payload.priority | upcase": "P1"}},
		"the same value twice":  {"{{ event_payload.priority }} {{ event_payload['priority'] }}", "[[event_payload.priority]] [[event_payload.priority]]", map[string]any{"event_payload.priority": "p1"}},
		"two cuts of one value": {"{{ event_payload.subject }} {{ event_payload.subject | truncate: 6 }}", "[[event_payload.subject]] [[event_payload.subject | truncate: 6]]", map[string]any{"event_payload.subject": "VPN is down", "event_payload.subject | truncate: 6": "VPN..."}},
		"two defaults": {
			`{{ event_payload.nope | default: "a" }} {{ event_payload.nope | default: "b" }}`, `[[event_payload.nope]] [[event_payload.nope | default: "b"]]`,
			map[string]any{"event_payload.nope": "a", `event_payload.nope | default: "b"`: "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			prompt, data, err := render.Marked(tc.in, s)
			if err != nil || prompt != tc.prompt {
				t.Errorf("Marked(%q) = %q, %v", tc.in, prompt, err)
			}
			if diff := cmp.Diff(tc.data, data); diff != "" {
				t.Error(diff)
			}
		})
	}
}
