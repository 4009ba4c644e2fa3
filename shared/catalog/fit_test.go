package catalog_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/jsonvalue"
)

func TestAValueThatDoesNotFitIsExplained(t *testing.T) {
	t.Parallel()

	priority := catalog.Param{Type: catalog.Enum, EnumValues: []string{"p1", "p2", "1"}}
	for name, tc := range map[string]struct {
		param catalog.Param
		value string // JSON
		want  string // JSON
		why   string
	}{
		"text is text":                            {param: catalog.Param{Type: catalog.String}, value: `"a <b>"`, want: `"a <b>"`},
		"empty text is text":                      {param: catalog.Param{Type: catalog.String, Required: true}, value: `""`, want: `""`},
		"a whole number becomes text":             {param: catalog.Param{Type: catalog.String}, value: `12345678901234567`, want: `"12345678901234567"`},
		"a negative number becomes text":          {param: catalog.Param{Type: catalog.String}, value: `-7`, want: `"-7"`},
		"a fraction becomes text":                 {param: catalog.Param{Type: catalog.String}, value: `0.5`, want: `"0.5"`},
		"a boolean is no text":                    {param: catalog.Param{Type: catalog.String}, value: `true`, why: `must be a string, not a boolean: true`},
		"a list is no text":                       {param: catalog.Param{Type: catalog.String}, value: `["a"]`, why: `must be a string, not an array: ["a"]`},
		"an object is no text":                    {param: catalog.Param{Type: catalog.String}, value: `{"a": 1}`, why: `must be a string, not an object: {"a":1}`},
		"text is as long as it may be":            {param: catalog.Param{Type: catalog.String, MaxLength: 3}, value: `"äöü"`, want: `"äöü"`},
		"text is longer than it may be":           {param: catalog.Param{Type: catalog.String, MaxLength: 3}, value: `"äöüß"`, why: `must have at most 3 characters; it has 4 and begins with "äöüß"`},
		"a number is longer than a text may be":   {param: catalog.Param{Type: catalog.String, MaxLength: 3}, value: `1234`, why: `must have at most 3 characters; it has 4 and begins with "1234"`},
		"a number is a number":                    {param: catalog.Param{Type: catalog.Number}, value: `12345678901234567`, want: `12345678901234567`},
		"text with a number is no number":         {param: catalog.Param{Type: catalog.Number}, value: `"5"`, why: `must be a number, not a string: "5" (the filter plus: 0 converts it to a number)`},
		"other text is no number":                 {param: catalog.Param{Type: catalog.Number}, value: `"five"`, why: `must be a number, not a string: "five"`},
		"a boolean is a boolean":                  {param: catalog.Param{Type: catalog.Boolean}, value: `false`, want: `false`},
		"text is no boolean":                      {param: catalog.Param{Type: catalog.Boolean}, value: `"true"`, why: `must be true or false, not a string: "true"`},
		"a number is no boolean":                  {param: catalog.Param{Type: catalog.Boolean}, value: `1`, why: `must be true or false, not a number: 1`},
		"one of the values":                       {param: priority, value: `"p2"`, want: `"p2"`},
		"a number that is one of the values":      {param: priority, value: `1`, want: `"1"`},
		"none of the values":                      {param: priority, value: `"urgent"`, why: `must be one of p1, p2, 1; it is "urgent"`},
		"one of the values in capitals":           {param: priority, value: `"P1"`, why: `must be one of p1, p2, 1; it is "P1"`},
		"an empty text among values":              {param: priority, value: `""`, why: `must be one of p1, p2, 1; it is ""`},
		"a list among values":                     {param: priority, value: `["p1"]`, why: `must be one of p1, p2, 1, not an array: ["p1"]`},
		"an object is an object":                  {param: catalog.Param{Type: catalog.Object}, value: `{"a": [1]}`, want: `{"a": [1]}`},
		"a list is no object":                     {param: catalog.Param{Type: catalog.Object}, value: `[]`, why: `must be an object, not an array: []`},
		"a list is a list":                        {param: catalog.Param{Type: catalog.Array}, value: `[1, null]`, want: `[1, null]`},
		"text is no list":                         {param: catalog.Param{Type: catalog.Array}, value: `"a, b"`, why: `must be an array, not a string: "a, b"`},
		"null is no value of an optional one":     {param: catalog.Param{Type: catalog.Array}, value: `null`, want: `null`},
		"null is no value for one of several":     {param: catalog.Param{Type: catalog.Enum, EnumValues: []string{"a"}}, value: `null`, want: `null`},
		"null is wrong where a value is required": {param: catalog.Param{Type: catalog.Number, Required: true}, value: `null`, why: `must be a number, not null; the parameter is required`},
		"a long value is cut in the reason":       {param: catalog.Param{Type: catalog.Number}, value: `"` + strings.Repeat("ü", 70) + `"`, why: `must be a number, not a string: "` + strings.Repeat("ü", 60) + `…"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value := decoded(t, tc.value)
			got, why := tc.param.Fit(value)
			if why != tc.why {
				t.Fatalf("it says %q, want %q", why, tc.why)
			}
			if why != "" {
				return
			}
			if diff := cmp.Diff(decoded(t, tc.want), got); diff != "" {
				t.Errorf("value (-want +got)\n%s", diff)
			}
		})
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	v, err := jsonvalue.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheReasonNamesTheParameterThatDoesNotFit(t *testing.T) {
	t.Parallel()

	action := catalog.Action{Product: "psa", Action: "add_note", Params: []catalog.Param{
		{Name: "ticket_id", Type: catalog.String, Required: true}, {Name: "minutes", Type: catalog.Number},
	}}
	for name, tc := range map[string]struct{ given, want, why string }{
		"all fit":                   {given: `{"ticket_id": 7, "minutes": 5}`, want: `{"ticket_id": "7", "minutes": 5}`},
		"an optional one is null":   {given: `{"ticket_id": "t", "minutes": null}`, want: `{"ticket_id": "t"}`},
		"a required one is null":    {given: `{"ticket_id": null}`, why: "ticket_id must be a string, not null; the parameter is required"},
		"a required one is missing": {given: `{"minutes": 5}`, why: "ticket_id is missing; psa:add_note requires it"},
		"one does not fit":          {given: `{"ticket_id": "t", "minutes": "soon"}`, why: `minutes must be a number, not a string: "soon"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given, _ := decoded(t, tc.given).(map[string]any)
			got, why := action.Fit(given)
			if why != tc.why {
				t.Fatalf("it says %q, want %q", why, tc.why)
			}
			if why == "" {
				if diff := cmp.Diff(decoded(t, tc.want), any(got)); diff != "" {
					t.Errorf("parameters (-want +got)\n%s", diff)
				}
			}
		})
	}
}
