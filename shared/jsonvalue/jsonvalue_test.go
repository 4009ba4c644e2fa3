package jsonvalue_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/jsonvalue"
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
		"one larger than the largest":       {`9223372036854775808`, jsonvalue.Number("9223372036854775808")},
		"a fraction":                        {`0.970`, jsonvalue.Number("0.97")},
		"a fraction that is a whole number": {`5.0`, int64(5)},
		"a power":                           {`1e3`, int64(1000)},
		"a small number":                    {`-1.20e-3`, jsonvalue.Number("-0.0012")},
		"a large power":                     {`6.02e23`, jsonvalue.Number("602000000000000000000000")},
		"minus zero":                        {`-0.0e5`, int64(0)},
		"an identifier of 400 digits":       {strings.Repeat("9", 400), jsonvalue.Number(strings.Repeat("9", 400))},
		"half a surrogate pair":             {`"a\ud83d"`, "a\ufffd"},
		"a surrogate pair":                  {`"\ud83d\ude00"`, "\U0001F600"},
		"an empty array":                    {`[]`, []any{}},
		"an empty object":                   {`{}`, map[string]any{}},
		"numbers at depth":                  {`{"a":[{"b":12345678901234567}]}`, map[string]any{"a": []any{map[string]any{"b": int64(12345678901234567)}}}},
		"names in another case":             {`{"a":1,"A":2}`, map[string]any{"a": int64(1), "A": int64(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := jsonvalue.Decode([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Decode(%.80s) -want +got:\n%s", tc.in, diff)
			}
		})
	}
}

func TestADocumentOfTheMaximumDepthIsRead(t *testing.T) {
	t.Parallel()

	in := strings.Repeat("[", jsonvalue.MaxDepth) + "1" + strings.Repeat("]", jsonvalue.MaxDepth)
	if got := canonical(t, in); got != in {
		t.Errorf("%s became %s", in, got)
	}
}

func TestAnythingButOneJSONValueIsRefused(t *testing.T) {
	t.Parallel()

	deep := jsonvalue.MaxDepth + 1
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":                     {``, "it is empty"},
		"blanks":                      {"  \n", "it is empty"},
		"half an object":              {`{"a":`, "it ends too early"},
		"two values":                  {`{} {}`, "more than one value"},
		"a value and rubbish":         {`{} x`, "more than one value"},
		"a number too large":          {`1e999`, "too large"},
		"a number far too large":      {`[1e99999999999999999999]`, "too large"},
		"a number far too small":      {`1e-999`, "too small"},
		"one name twice":              {`{"a":1,"a":2}`, `it has the name "a" twice, at /a`},
		"one name twice, at depth":    {`{"x":[{"a":1,"\u0061":2}]}`, `it has the name "a" twice, at /x/0/a`},
		"bytes that are no text":      {"\"\xff\"", "it is not UTF-8"},
		"a byte order mark":           {"\ufeff{}", "it is not JSON"},
		"a trailing comma":            {`{"a":[1,]}`, "it is not JSON"},
		"a number with a zero before": {`[01]`, "it is not JSON"},
		"arrays too deep":             {strings.Repeat("[", deep) + "1" + strings.Repeat("]", deep), "nests deeper"},
		"objects too deep":            {strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep), "nests deeper"},
		"arrays deeper than JSON":     {strings.Repeat("[", 20_000), "nests deeper"},
		"a bare word":                 {`yes`, "it is not JSON from byte 1 on"},
		"not a number":                {`NaN`, "it is not JSON"},
		"a comment":                   {`{} // x`, "more than one value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := jsonvalue.Decode([]byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Decode(%.80s) = %v, %v; want an error that says %q", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestObjectRefusesOtherValues(t *testing.T) {
	t.Parallel()

	if m, err := jsonvalue.Object([]byte(`{"a":1}`)); err != nil || m["a"] != int64(1) {
		t.Errorf("Object = %v, %v", m, err)
	}
	for in, want := range map[string]string{
		`null`: "it is null, not an object", `[]`: "it is an array, not an object", `"x"`: "it is a string",
		`5`: "it is a number", `true`: "it is a boolean", `{`: "it ends too early",
	} {
		m, err := jsonvalue.Object([]byte(in))
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
		"a name":                      {"a.null", nil, true},
		"a name that is missing":      {"a.nope", nil, false},
		"an index":                    {"a.b.0", int64(1), true},
		"a name behind an index":      {"a.b.1.c", "x", true},
		"an index out of range":       {"a.b.2", nil, false},
		"a negative index":            {"a.b.-1", map[string]any{"c": "x"}, true},
		"an index in brackets":        {"a.b[1].c", "x", true},
		"a negative one in brackets":  {"a.b[-2]", int64(1), true},
		"a negative one out of range": {"a.b[-3]", nil, false},
		"a key in quotes":             {`["a.b"]`, "never found", true},
		"a key in other quotes":       {`['a.b']`, "never found", true},
		"a key behind a name":         {`a["b"][1]["c"]`, "x", true},
		"the size of a list":          {"a.b.size", int64(2), true},
		"the first of a list":         {"a.b.first", int64(1), true},
		"the last of a list":          {"a.b.last.c", "x", true},
		"the size of a text":          {"a.b[1].c.size", int64(1), true},
		"the size of an object":       {"a.size", nil, false},
		"the first of an object":      {"a.first", nil, false},
		"an index with a sign":        {"a.b.+1", nil, false},
		"an index of minus zero":      {"a.b.-0", int64(1), true},
		"an index that is a word":     {"a.b.one", nil, false},
		"an index beyond all range":   {"a.b.99999999999999999999", nil, false},
		"something behind a scalar":   {"a.b.0.x", nil, false},
		"something behind null":       {"a.null.x", nil, false},
		"the empty path":              {"", "nameless", true},
		"a path that ends in a dot":   {"a.", nil, false},
		"a name with a dot":           {"a.b.c", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, there := jsonvalue.Lookup(doc, tc.path)
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
		"a whole number and a fraction":           {int64(5), jsonvalue.Number("5.5"), false, -1, true},
		"neighbours of 21 digits":                 {jsonvalue.Number("123456789012345678901"), jsonvalue.Number("123456789012345678902"), false, -1, true},
		"a long number and a short one":           {jsonvalue.Number("123456789012345678901"), int64(5), false, 1, true},
		"a negative fraction and a positive one":  {jsonvalue.Number("-0.5"), jsonvalue.Number("0.5"), false, -1, true},
		"negative fractions":                      {jsonvalue.Number("-0.25"), jsonvalue.Number("-0.5"), false, 1, true},
		"a fraction and a longer one":             {jsonvalue.Number("0.12"), jsonvalue.Number("0.123"), false, -1, true},
		"neighbours beyond what a float can tell": {big, big - 1, false, 1, true},
		"fractions":                          {jsonvalue.Number("0.1"), jsonvalue.Number("0.2"), false, -1, true},
		"a number and its text":              {int64(5), "5", false, 0, false},
		"a number and a boolean":             {int64(1), true, false, 0, false},
		"equal strings":                      {"a", "a", true, 0, false},
		"strings in another case":            {"a", "A", false, 0, false},
		"equal booleans":                     {false, false, true, 0, false},
		"different booleans":                 {false, true, false, 0, false},
		"a boolean and its text":             {true, "true", false, 0, false},
		"null and null":                      {nil, nil, true, 0, false},
		"null and the empty string":          {nil, "", false, 0, false},
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

			if got := jsonvalue.Same(tc.a, tc.b); got != tc.same {
				t.Errorf("Same(%v, %v) = %t", tc.a, tc.b, got)
			}
			if got := jsonvalue.Same(tc.b, tc.a); got != tc.same {
				t.Errorf("Same(%v, %v) = %t", tc.b, tc.a, got)
			}
			order, ok := jsonvalue.Compare(tc.a, tc.b)
			if order != tc.order || ok != tc.compares {
				t.Errorf("Compare(%v, %v) = %d, %t; want %d, %t", tc.a, tc.b, order, ok, tc.order, tc.compares)
			}
			if back, _ := jsonvalue.Compare(tc.b, tc.a); back != -order {
				t.Errorf("Compare(%v, %v) = %d", tc.b, tc.a, back)
			}
		})
	}
}

func TestKindReturnsTheJSONTypeWithAnArticle(t *testing.T) {
	t.Parallel()

	for want, v := range map[string]any{
		"null": nil, "a boolean": true, "a string": "x", "an array": []any{}, "an object": map[string]any{}, "no JSON value": int32(1),
	} {
		if got := jsonvalue.Kind(v); got != want {
			t.Errorf("Kind(%#v) = %q, want %q", v, got, want)
		}
	}
	for _, v := range []any{int64(1), jsonvalue.Number("1.5")} {
		if got := jsonvalue.Kind(v); got != "a number" {
			t.Errorf("Kind(%#v) = %q", v, got)
		}
	}
}

func TestOnlyEqualDocumentsHaveTheSameCanonicalText(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ a, b string }{
		"names in another order": {`{"b":1,"a":{"d":2,"c":3}}`, `{"a":{"c":3,"d":2},"b":1}`},
		"other blanks":           {`{ "a" : [ 1 , 2 ] }`, `{"a":[1,2]}`},
		"another way to escape":  {`{"a":"\u0061"}`, `{"a":"a"}`},
		"a number as a power":    {`{"a":1e3}`, `{"a":1000}`},
		"a fraction with zeros":  {`[-1.50, 0.0, 25E-1]`, `[-1.5,0,2.5]`},
		"HTML characters":        {`"R\u0026D <b>\u2028"`, "\"R&D <b>\u2028\""},
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
		"null and an absent field":  {`{"a":null}`, `{}`},
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
	v, err := jsonvalue.Decode([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return jsonvalue.Canonical(v)
}

// values returns a generator of documents.
func values() *rapid.Generator[any] { return value(3) }

func value(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Int64().AsAny(),
		rapid.Map(rapid.StringMatching(`-?[1-9][0-9]{0,40}\.[0-9]{0,9}[1-9]`), func(s string) any { return jsonvalue.Number(s) }),
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
		got, err := jsonvalue.Decode(data)
		if err != nil {
			t.Fatalf("Decode(%s): %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Decode(%s) -want +got:\n%s", data, diff)
		}
		if a, b := jsonvalue.Canonical(want), jsonvalue.Canonical(got); a != b {
			t.Errorf("%s became %s", a, b)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`null`, `{"a":[1,2.5,"x"]}`, `1e999`, `{"a":1,"a":2}`, `[[[[]]]]`, `9223372036854775808`, `-0`, `"\ud800"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := jsonvalue.Decode(data)
		if err != nil {
			return
		}
		again, err := jsonvalue.Decode([]byte(jsonvalue.Canonical(v)))
		if err != nil {
			t.Fatalf("the canonical text of %q cannot be read: %v", data, err)
		}
		if a, b := jsonvalue.Canonical(v), jsonvalue.Canonical(again); a != b {
			t.Errorf("%q: %s became %s", data, a, b)
		}
	})
}
