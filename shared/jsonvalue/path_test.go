package jsonvalue_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/jsonvalue"
)

func TestAPathIsReadInEveryForm(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]jsonvalue.Path{
		"a":                    {"a"},
		"a.b.0.c":              {"a", "b", "0", "c"},
		"a[0].b":               {"a", "0", "b"},
		"a[-1]":                {"a", "-1"},
		"a.-1":                 {"a", "-1"},
		`a["b c"].d`:           {"a", "b c", "d"},
		`a['it is "x"']`:       {"a", `it is "x"`},
		`a["q\"\\"]`:           {"a", `q"\`},
		`["a.b"][""]`:          {"a.b", ""},
		"Größe.näm-e_1.@id.$r": {"Größe", "näm-e_1", "@id", "$r"},
		"e\u0301":              {"e\u0301"},
	} {
		got, err := jsonvalue.ParsePath(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParsePath(%q): %v\n%s", text, err, diff)
		}
	}
}

func TestParsePathRefusesATextOutsideTheGrammar(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"":                             "ends where a name is expected",
		"a.":                           "ends where a name is expected",
		" a":                           `" " is found where a name is expected`,
		"a b":                          `" " is not allowed in a path, at character 2`,
		"a ":                           "is not allowed in a path",
		".a":                           `"." is found where a name`,
		"a..b":                         `"." is found where a name`,
		"a[x]":                         "is not an index",
		"a[]":                          "is not an index",
		"a[1.5]":                       "is not an index",
		"a[+1]":                        "is not an index",
		"a[99999999999]":               "is not an index",
		"a[0":                          "is not an index",
		`a["b]`:                        "has no closing quote",
		`a["b"`:                        "has no closing bracket",
		"a.b]":                         `"]" is not allowed in a path`,
		"a|b":                          `"|" is not allowed in a path`,
		"a\u202e":                      "is not allowed in a path",
		"\xff":                         "is found where a name is expected",
		strings.Repeat("a.", 64) + "a": "more than 64 steps",
		strings.Repeat("a", 1001):      "1001 bytes; 1000 are allowed",
	} {
		got, err := jsonvalue.ParsePath(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePath(%q) = %v, %v; want an error that says %q", text, got, err, want)
		}
	}
}

func TestBeginsComparesWholeSteps(t *testing.T) {
	t.Parallel()

	path := jsonvalue.Path{"steps", "triage", "output"}
	for text, want := range map[string]bool{"steps": true, "steps.triage": true, "steps.triage.output": true, "steps.tri": false, "steps.triage.output.x": false, "x": false} {
		with, err := jsonvalue.ParsePath(text)
		if err != nil || path.Begins(with) != want {
			t.Errorf("%v begins with %s: %t", path, text, !want)
		}
	}
}

// FuzzPath checks that String returns an equal path, and that Lookup never returns a
// value that it reports as absent.
func FuzzPath(f *testing.F) {
	for _, text := range []string{"a", "a.b[0]", `a["x\"y"]`, "a.-1", "a..b", "a.01", "[0]", `[""]`, "a.size", "."} {
		f.Add([]byte(`{"a":[{"b":1}],"":{"":2}}`), text)
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		path, err := jsonvalue.ParsePath(text)
		if err == nil {
			again, err := jsonvalue.ParsePath(path.String())
			if diff := cmp.Diff(path, again); err != nil || diff != "" {
				t.Errorf("%q became %q: %v\n%s", text, path, err, diff)
			}
		}
		doc, err := jsonvalue.Decode(data)
		if err != nil {
			return
		}
		if v, there := jsonvalue.Lookup(doc, text); !there && v != nil {
			t.Errorf("Lookup(%s, %q) = %v and false", data, text, v)
		}
	})
}
