package document_test

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/document"
)

func TestOneValueIsDecodedExactly(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		in   string
		want any
	}{
		"null":                              {`null`, nil},
		"a boolean":                         {` true `, true},
		"a string":                          {`"a\u0000b"`, "a\x00b"},
		"a whole number":                    {`12345678901234567`, int64(12345678901234567)},
		"the largest whole number":          {`9223372036854775807`, int64(math.MaxInt64)},
		"the smallest whole number":         {`-9223372036854775808`, int64(math.MinInt64)},
		"one larger than the largest":       {`9223372036854775808`, float64(1 << 63)},
		"a fraction":                        {`0.97`, 0.97},
		"a fraction that is a whole number": {`5.0`, 5.0},
		"a power":                           {`1e3`, 1000.0},
		"a number too small to keep":        {`1e-999`, 0.0},
		"an empty array":                    {`[]`, []any{}},
		"an empty object":                   {`{}`, map[string]any{}},
		"numbers at depth":                  {`{"a":[{"b":12345678901234567}]}`, map[string]any{"a": []any{map[string]any{"b": int64(12345678901234567)}}}},
		"the last of one name twice":        {`{"a":1,"a":2}`, map[string]any{"a": int64(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := document.Decode([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Decode(%.80s) -want +got:\n%s", tc.in, diff)
			}
		})
	}
}

func TestADocumentMayNestAsDeepAsAllowed(t *testing.T) {
	t.Parallel()

	in := strings.Repeat("[", document.MaxDepth) + "1" + strings.Repeat("]", document.MaxDepth)
	if got := canonical(t, in); got != in {
		t.Errorf("%s became %s", in, got)
	}
}

func TestWhatIsNotOneValueIsRefused(t *testing.T) {
	t.Parallel()

	deep := document.MaxDepth + 1
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":                 {``, "EOF"},
		"blanks":                  {"  \n", "EOF"},
		"half an object":          {`{"a":`, "unexpected EOF"},
		"two values":              {`{} {}`, "more than one value"},
		"a value and rubbish":     {`{} x`, "more than one value"},
		"a number too large":      {`1e999`, "too large"},
		"a number far too large":  {`[` + strings.Repeat("9", 400) + `]`, "too large"},
		"arrays too deep":         {strings.Repeat("[", deep) + "1" + strings.Repeat("]", deep), "nests deeper"},
		"objects too deep":        {strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep), "nests deeper"},
		"arrays deeper than JSON": {strings.Repeat("[", 20_000), "depth"},
		"a bare word":             {`yes`, "invalid character"},
		"not a number":            {`NaN`, "invalid character"},
		"a comment":               {`{} // x`, "more than one value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := document.Decode([]byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Decode(%.80s) = %v, %v; want an error that says %q", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestOnlyAnObjectIsAnObject(t *testing.T) {
	t.Parallel()

	if m, err := document.Object([]byte(`{"a":1}`)); err != nil || m["a"] != int64(1) {
		t.Errorf("Object = %v, %v", m, err)
	}
	for in, want := range map[string]string{
		`null`: "it is null, not an object", `[]`: "it is an array, not an object", `"x"`: "it is a string",
		`5`: "it is a number", `true`: "it is a boolean", `{`: "unexpected EOF",
	} {
		m, err := document.Object([]byte(in))
		if m != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Object(%s) = %v, %v; want an error that says %q", in, m, err, want)
		}
	}
}

func TestAPathFindsAValue(t *testing.T) {
	t.Parallel()

	doc := map[string]any{
		"a": map[string]any{"b": []any{int64(1), map[string]any{"c": "x"}}, "null": nil},
		"":  "nameless", "a.b": "never found",
	}
	for name, tc := range map[string]struct {
		path  string
		want  any
		there bool
	}{
		"a name":                    {"a.null", nil, true},
		"a name that is missing":    {"a.nope", nil, false},
		"an index":                  {"a.b.0", int64(1), true},
		"a name behind an index":    {"a.b.1.c", "x", true},
		"an index out of range":     {"a.b.2", nil, false},
		"a negative index":          {"a.b.-1", nil, false},
		"an index with a sign":      {"a.b.+1", nil, false},
		"an index of minus nothing": {"a.b.-0", nil, false},
		"an index that is a word":   {"a.b.first", nil, false},
		"an index beyond all range": {"a.b.99999999999999999999", nil, false},
		"something behind a scalar": {"a.b.0.x", nil, false},
		"something behind null":     {"a.null.x", nil, false},
		"the empty path":            {"", "nameless", true},
		"a path that ends in a dot": {"a.", nil, false},
		"a name with a dot":         {"a.b.c", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, there := document.Lookup(doc, tc.path)
			if diff := cmp.Diff(tc.want, got); diff != "" || there != tc.there {
				t.Errorf("Lookup(%q) = %v, %t; want %v, %t", tc.path, got, there, tc.want, tc.there)
			}
		})
	}
}

func TestComparingCoercesNothing(t *testing.T) {
	t.Parallel()

	const big = int64(1)<<53 + 1
	for name, tc := range map[string]struct {
		a, b     any
		same     bool
		order    int
		compares bool
	}{
		"equal whole numbers":                     {int64(5), int64(5), true, 0, true},
		"a whole number and a fraction":           {int64(5), 5.5, false, -1, true},
		"a whole number and the same as fraction": {int64(5), 5.0, true, 0, true},
		"neighbours beyond what a float can tell": {big, big - 1, false, 1, true},
		"fractions":                          {0.1, 0.2, false, -1, true},
		"a number and its text":              {int64(5), "5", false, 0, false},
		"a number and a boolean":             {int64(1), true, false, 0, false},
		"equal strings":                      {"a", "a", true, 0, false},
		"strings in another case":            {"a", "A", false, 0, false},
		"equal booleans":                     {false, false, true, 0, false},
		"different booleans":                 {false, true, false, 0, false},
		"a boolean and its text":             {true, "true", false, 0, false},
		"null and null":                      {nil, nil, true, 0, false},
		"null and nothing":                   {nil, "", false, 0, false},
		"null and zero":                      {nil, int64(0), false, 0, false},
		"null and false":                     {nil, false, false, 0, false},
		"an array and itself":                {[]any{int64(1)}, []any{int64(1)}, false, 0, false},
		"an object and itself":               {map[string]any{}, map[string]any{}, false, 0, false},
		"an array and a scalar":              {[]any{int64(1)}, int64(1), false, 0, false},
		"composed and decomposed umlauts":    {"\u00e4", "a\u0308", false, 0, false},
		"a number of a type that is no JSON": {int64(1), int32(1), false, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := document.Same(tc.a, tc.b); got != tc.same {
				t.Errorf("Same(%v, %v) = %t", tc.a, tc.b, got)
			}
			if got := document.Same(tc.b, tc.a); got != tc.same {
				t.Errorf("Same(%v, %v) = %t", tc.b, tc.a, got)
			}
			order, ok := document.Compare(tc.a, tc.b)
			if order != tc.order || ok != tc.compares {
				t.Errorf("Compare(%v, %v) = %d, %t; want %d, %t", tc.a, tc.b, order, ok, tc.order, tc.compares)
			}
			if back, _ := document.Compare(tc.b, tc.a); back != -order {
				t.Errorf("Compare(%v, %v) = %d", tc.b, tc.a, back)
			}
		})
	}
}

func TestAKindIsNamedInTheWordsOfJSON(t *testing.T) {
	t.Parallel()

	for want, v := range map[string]any{
		"null": nil, "a boolean": true, "a string": "x", "an array": []any{}, "an object": map[string]any{}, "a int32": int32(1),
	} {
		if got := document.Kind(v); got != want {
			t.Errorf("Kind(%#v) = %q, want %q", v, got, want)
		}
	}
	for _, v := range []any{int64(1), 1.5, 1} {
		if got := document.Kind(v); got != "a number" {
			t.Errorf("Kind(%#v) = %q", v, got)
		}
	}
}

func TestCanonicalIsOneTextForOneDocument(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ a, b string }{
		"names in another order": {`{"b":1,"a":{"d":2,"c":3}}`, `{"a":{"c":3,"d":2},"b":1}`},
		"other blanks":           {`{ "a" : [ 1 , 2 ] }`, `{"a":[1,2]}`},
		"another way to escape":  {`{"a":"\u0061"}`, `{"a":"a"}`},
		"a number as a power":    {`{"a":1e3}`, `{"a":1000}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if a, b := canonical(t, tc.a), canonical(t, tc.b); a != b {
				t.Errorf("%s and %s", a, b)
			}
		})
	}
	for name, tc := range map[string]struct{ a, b string }{
		"an array in another order": {`[1,2]`, `[2,1]`},
		"a number and its text":     {`{"a":1}`, `{"a":"1"}`},
		"null and nothing":          {`{"a":null}`, `{}`},
		"large neighbours":          {`9007199254740993`, `9007199254740992`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if a, b := canonical(t, tc.a), canonical(t, tc.b); a == b {
				t.Errorf("both are %s", a)
			}
		})
	}
}

func canonical(t *testing.T, in string) string {
	t.Helper()
	v, err := document.Decode([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return document.Canonical(v)
}

// values returns a generator of documents.
func values() *rapid.Generator[any] { return value(3) }

func value(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Int64().AsAny(),
		rapid.Float64Range(-1e9, 1e9).Filter(func(f float64) bool { return f != math.Trunc(f) }).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	sub := rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) })
	return rapid.OneOf(append(scalars, rapid.SliceOfN(sub, 0, 4).AsAny(), rapid.MapOfN(rapid.String(), sub, 0, 4).AsAny())...)
}

func TestADocumentSurvivesItsJSON(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		want := values().Draw(t, "document")
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := document.Decode(data)
		if err != nil {
			t.Fatalf("Decode(%s): %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Decode(%s) -want +got:\n%s", data, diff)
		}
		if a, b := document.Canonical(want), document.Canonical(got); a != b {
			t.Errorf("%s became %s", a, b)
		}
	})
}

// walk is Lookup as a person would do it by hand.
func walk(doc any, parts []string) (any, bool) {
	if len(parts) == 0 {
		return doc, true
	}
	switch v := doc.(type) {
	case map[string]any:
		if next, ok := v[parts[0]]; ok {
			return walk(next, parts[1:])
		}
	case []any:
		for i := range v {
			if selects(parts[0], i) {
				return walk(v[i], parts[1:])
			}
		}
	}
	return nil, false
}

// selects reports whether part is the number i, written with any zeros before.
func selects(part string, i int) bool {
	digits := strings.TrimLeft(part, "0")
	return part != "" && (digits == strconv.Itoa(i) || i == 0 && digits == "")
}

func FuzzLookup(f *testing.F) {
	for _, path := range []string{"", "a", "a.b", "a.0", "a.0.b", "a.-1", "a..b", "a.01", "a.+0", "."} {
		f.Add([]byte(`{"a":[{"b":1}],"":{"":2}}`), path)
	}
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		doc, err := document.Decode(data)
		if err != nil {
			return
		}
		got, ok := document.Lookup(doc, path)
		want, wantOK := walk(doc, strings.Split(path, "."))
		if ok != wantOK || document.Canonical(got) != document.Canonical(want) {
			t.Errorf("Lookup(%s, %q) = %v, %t; want %v, %t", data, path, got, ok, want, wantOK)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`null`, `{"a":[1,2.5,"x"]}`, `1e999`, `{"a":1,"a":2}`, `[[[[]]]]`, `9223372036854775808`, `-0`, `"\ud800"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := document.Decode(data)
		if err != nil {
			return
		}
		again, err := document.Decode([]byte(document.Canonical(v)))
		if err != nil {
			t.Fatalf("the canonical text of %q cannot be read: %v", data, err)
		}
		if a, b := document.Canonical(v), document.Canonical(again); a != b && !strings.Contains(a, "-0") {
			t.Errorf("%q: %s became %s", data, a, b)
		}
	})
}
