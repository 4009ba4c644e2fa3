// Package jsonvalue reads JSON from outside, which may have any shape: events,
// definitions, request bodies, and the answers of models and products.
//
// A document is nil, bool, string, int64, Number, []any or map[string]any. Numbers
// keep every digit, because other products often use large numbers as identifiers.
// Equal numbers and equal documents have the same canonical text.
package jsonvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the maximum nesting of a document: 64 levels for the payload of an
// event, and one for the envelope.
const MaxDepth = 65

// The errors of Decode. They may be shown to users.
var (
	errEmpty = errors.New("it is empty")
	errShort = errors.New("it ends too early")
	errUTF8  = errors.New("it is not UTF-8")
	errMore  = errors.New("it has more than one value")
	errDeep  = fmt.Errorf("it nests deeper than %d", MaxDepth)
)

// Decode returns the single JSON value in data. All JSON from outside passes
// through it. It is strict as RFC 7493 (I-JSON) requires: the text must be UTF-8,
// and no object may repeat a name, because two parsers could read it differently.
// There is one exception: half a surrogate pair becomes U+FFFD, because JavaScript
// programs produce it when they cut a text inside an emoji. The error is a sentence
// that may be shown to users.
func Decode(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errUTF8
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowInvalidUTF8(true))
	v, err := decode(d, 0)
	if err != nil {
		return nil, sentence(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errMore
	}
	return v, nil
}

func decode(d *jsontext.Decoder, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDeep
	}
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() { //nolint:exhaustive // the remaining kind begins an object.
	case 'n':
		return nil, nil //nolint:nilnil // null is a document.
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return NumberOf(token.String())
	case '[':
		return decodeArray(d, depth)
	}
	return decodeObject(d, depth)
}

func decodeArray(d *jsontext.Decoder, depth int) (any, error) {
	list := []any{}
	for d.PeekKind() != ']' {
		v, err := decode(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.ReadToken()
	return list, err
}

func decodeObject(d *jsontext.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String() // the token is valid only until the next one
		if object[key], err = decode(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return object, err
}

// sentence translates an error of the library into a sentence with the place.
func sentence(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errShort
	case errors.Is(err, io.EOF):
		return errEmpty
	case !errors.As(err, &syntax):
		return err
	}
	pointer := string(syntax.JSONPointer)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("it has the name %.80q twice, at %.200s", syntax.JSONPointer.LastToken(), pointer)
	}
	return fmt.Errorf("it is not JSON from byte %d on%s", syntax.ByteOffset+1, at(pointer))
}

func at(pointer string) string {
	if pointer == "" {
		return ""
	}
	return fmt.Sprintf(", at %.200s", pointer)
}

// Values is an object inside a Go struct that json.Unmarshal reads with Decode, so
// that its numbers stay exact.
type Values map[string]any

// UnmarshalJSON implements json.Unmarshaler.
func (v *Values) UnmarshalJSON(text []byte) error {
	got, err := Decode(text)
	*v, _ = got.(map[string]any)
	return err
}

// Object returns the single JSON object in data.
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

// Kind returns the JSON type of v, with an article.
func Kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case int64, Number:
		return "a number"
	case []any:
		return "an array"
	case map[string]any, Values:
		return "an object"
	}
	return "no JSON value"
}

// Canonical returns the JSON of a document with sorted keys, without blanks and
// without needless escapes. Equal documents have the same text, and people can read
// it. For any other value, such as a definition, it returns the canonical text of
// the value's JSON.
func Canonical(v any) string { return string(appendCanonical(nil, v)) }

func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendText(b, v)
	case int64, Number:
		text, _ := NumberText(v)
		return append(b, text...)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, e)
		}
		return append(b, ']')
	case map[string]any:
		return appendObject(b, v)
	case Values:
		return appendObject(b, v)
	case nil:
		return append(b, "null"...)
	}
	return appendOther(b, v)
}

// appendOther appends the JSON of a value that is not a document, or null if the
// value has no JSON.
func appendOther(b []byte, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	doc, err := Decode(data)
	if err != nil {
		return append(b, "null"...)
	}
	return appendCanonical(b, doc)
}

func appendObject(b []byte, object map[string]any) []byte {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(object)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		b = appendCanonical(b, object[name])
	}
	return append(b, '}')
}

// appendText appends a JSON string. Bytes that are not UTF-8 become U+FFFD; only
// texts of this program can have them, since Decode refuses them.
func appendText(b []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(b, s)
	if err != nil {
		quoted, _ = jsontext.AppendQuote(b, string([]rune(s)))
	}
	return quoted
}

// Same reports whether two scalars have the same type and value, without coercion.
// It is false for arrays and objects, even for identical ones.
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
