// Package document reads JSON whose shape is not ours: events, definitions,
// what a model or a product answered.
//
// A document is nil, bool, string, int64, float64, []any or map[string]any. A
// number that is a whole number in 64 bits stays exact, since identifiers of
// other products are often large numbers.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// MaxDepth is how deep a document may nest.
const MaxDepth = 64

// The faults of a text that is no document.
var (
	errMore = errors.New("there is more than one value")
	errDeep = fmt.Errorf("it nests deeper than %d", MaxDepth)
)

// Decode returns the one JSON value that data holds.
func Decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errMore
	}
	return exact(v, 0)
}

// Values are a part of a larger document that is read as Decode reads: its
// numbers stay exact.
type Values map[string]any

// UnmarshalJSON implements json.Unmarshaler.
func (v *Values) UnmarshalJSON(text []byte) error {
	got, err := Decode(text)
	*v, _ = got.(map[string]any)
	return err
}

// Object returns the one JSON object that data holds.
func Object(data []byte) (map[string]any, error) {
	v, err := Decode(data)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it is %s, not an object", Kind(v))
	}
	return m, nil
}

func exact(v any, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDeep
	}
	var err error
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i := range v {
			if v[i], err = exact(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = exact(v[k], depth+1); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func number(s string) (any, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the number %.40s is too large", s)
	}
	return f, nil
}

// Lookup returns what stands at a dotted path ("a.b.0.c") and whether anything
// does; null does. A number selects from an array.
func Lookup(doc any, path string) (any, bool) {
	for part := range strings.SplitSeq(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			next, ok := v[part]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			n, err := strconv.ParseUint(part, 10, 31) // takes no sign
			if err != nil || int(n) >= len(v) {
				return nil, false
			}
			doc = v[n]
		default:
			return nil, false
		}
	}
	return doc, true
}

// Kind returns what v is, in the words of JSON and with an article.
func Kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case int64, float64, int:
		return "a number"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("a %T", v)
}

// Canonical returns the JSON of v with sorted keys: the same text for the same
// document.
func Canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // a document always has JSON
	}
	return string(b)
}

// Compare returns -1, 0 or 1 as number a is less than, equal to or greater than
// number b, and whether both are numbers. Whole numbers are compared exactly.
func Compare(a, b any) (int, bool) {
	x, xInt := a.(int64)
	y, yInt := b.(int64)
	if xInt && yInt {
		return order(x, y), true
	}
	f, fOK := float(a)
	g, gOK := float(b)
	if !fOK || !gOK {
		return 0, false
	}
	return order(f, g), true
}

func order[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Same reports whether two scalars are equal: same kind, same value, nothing
// coerced. Arrays and objects are never the same as anything.
func Same(a, b any) bool {
	if n, ok := Compare(a, b); ok {
		return n == 0
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		v, ok := b.(bool)
		return ok && a == v
	case string:
		v, ok := b.(string)
		return ok && a == v
	}
	return false
}
