package input_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/input"
	"theoneagents.app/agents/shared/jsonvalue"
)

type colour string

// read reads one field of each kind.
func read(o input.Object) {
	o.NeedText("name", 5)
	o.OptionalText("note", 1, 5)
	input.NeedChoice[colour](o, "colour", "red", "green")
	input.Choice[colour](o, "second", "red", "red", "green")
	o.Int("count", 1, 9)
	o.Bool("on")
	o.Texts("tags", o.NeedList("tags", 2), 5)
	o.NeedAny("value")
	o.AllowNull("other")
	o.Done()
}

func TestEveryFaultOfAnObjectIsNamedWithItsPath(t *testing.T) {
	t.Parallel()

	const valid = `"name": "a", "colour": "red", "tags": ["a"], "value": null`
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"valid":             {`{` + valid + `}`, nil},
		"null is absent":    {`{` + valid + `, "note": null, "second": null, "count": null, "on": null, "other": null}`, nil},
		"at the bounds":     {`{"name": "ééééé", "note": "12345", "colour": "green", "count": 9, "on": true, "tags": ["a", "12345"], "value": []}`, nil},
		"empty":             {`{}`, []string{"b.name: is required", "b.colour: is required", "b.tags: is required", "b.value: is required"}},
		"not an object":     {`[1]`, []string{"b: must be an object, not an array"}},
		"null":              {`null`, []string{"b: must be an object, not null"}},
		"required and null": {`{"name": null, "colour": null, "tags": null, "value": 1}`, []string{"b.name: is required", "b.colour: is required", "b.tags: is required"}},
		"other types": {
			`{"name": 1, "note": [], "colour": 2, "second": {}, "count": "3", "on": "true", "tags": "a", "value": 1}`,
			[]string{
				"b.name: must be a string, not a number", "b.note: must be a string, not an array", "b.colour: must be one of red, green",
				"b.second: must be one of red, green", "b.count: must be a whole number from 1 to 9",
				"b.on: must be true or false, not a string", "b.tags: must be an array, not a string",
			},
		},
		"beyond the bounds": {
			`{"name": "123456", "note": "", "colour": "rot", "count": 10, "tags": ["", "123456", "c"], "value": 1}`,
			[]string{
				"b.name: has 6 characters; 5 are allowed", "b.note: must not be empty", "b.colour: must be one of red, green",
				"b.count: must be a whole number from 1 to 9", "b.tags: has 3 entries; 2 are allowed",
				"b.tags[0]: must not be empty", "b.tags[1]: has 6 characters; 5 are allowed",
			},
		},
		"an empty list":   {`{"name": "a", "colour": "red", "tags": [], "value": 1}`, []string{"b.tags: must not be empty"}},
		"NUL":             {`{"name": "a\u0000", "colour": "red", "tags": ["a"], "value": 1}`, []string{"b.name: must be text without NUL"}},
		"unknown":         {`{` + valid + `, "nam": 1}`, []string{"b.nam: is not a known field; did you mean name?"}},
		"unknown, unlike": {`{` + valid + `, "x": 1}`, []string{"b.x: is not a known field; there are colour, count, name, note, on, second, tags, value"}},
		"a form's field":  {`{` + valid + `, "other": 1}`, []string{"b.other: is not a known field; there are colour, count, name, note, on, second, tags, value"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			v, err := jsonvalue.Decode([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			r := &input.Reader{}
			read(r.Object("b", v))
			if diff := cmp.Diff(tc.want, said(r.Faults)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAnObjectWithOnlyNullFieldsIsEmpty(t *testing.T) {
	t.Parallel()

	r := &input.Reader{}
	for text, want := range map[string]bool{`{}`: true, `{"a": null}`: true, `{"a": false}`: false, `[]`: false} {
		v, err := jsonvalue.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Object("", v).Empty(); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
}

func said(faults []fault.Detail) []string {
	var out []string
	for _, f := range faults {
		out = append(out, strings.Join([]string{f.Path, f.Message}, ": "))
	}
	return out
}

// A response and a record have a limited size.
func TestTheFaultsOfAnObjectAreShort(t *testing.T) {
	t.Parallel()

	fields := map[string]any{strings.Repeat("ä", 100_000): 1}
	for i := range 20_000 {
		fields["field_"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i%1000)] = 1
	}
	r := &input.Reader{}
	r.Object("", fields).Done()
	size := 0
	for _, f := range r.Faults {
		if len(f.Path) > fault.MaxMessage || len(f.Message) > fault.MaxMessage {
			t.Errorf("a fault has %d and %d bytes", len(f.Path), len(f.Message))
		}
		size += len(f.Path) + len(f.Message)
	}
	if len(r.Faults) != 51 || size > 100_000 {
		t.Errorf("%d faults with %d bytes", len(r.Faults), size)
	}
	if last := r.Faults[len(r.Faults)-1]; !strings.HasSuffix(last.Message, "more unknown fields") {
		t.Errorf("the last fault is %+v", last)
	}
}
