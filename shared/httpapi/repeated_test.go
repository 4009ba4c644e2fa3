package httpapi

import "testing"

func TestARepeatedNameIsFoundAtAnyDepth(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		`{"a":1,"a":2}`:                         "a",
		`{"a":1,"\u0061":2}`:                    "a",
		`{"a":{"b":1,"c":[],"b":{}}}`:           "b",
		`{"a":[{"b":1},{"b":1,"c":{},"b":2}]}`:  "b",
		`{"a":{"a":1},"b":["a","a",{"a":"a"}]}`: "",
		`{"a":"b","b":"a"}`:                     "",
		`{"a":1,"A":2}`:                         "",
		`{"a":[1],"b":{"a":null},"c":{}}`:       "",
		`["a","a"]`:                             "",
		`"a"`:                                   "",
		`{"a":1,`:                               "",
		``:                                      "",
	} {
		got, found := repeated([]byte(text))
		if got != want || found != (want != "") {
			t.Errorf("%s: %q, %t; want %q", text, got, found, want)
		}
	}
}
