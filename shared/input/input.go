// Package input reads the fields of a JSON object from outside, such as a request
// body or a definition, and collects every fault with its path.
package input

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A Reader collects the faults of one document, so that a person can correct all
// of them at once. The zero value is ready to use.
type Reader struct {
	Faults   []fault.Detail
	Warnings []fault.Detail // about values that are allowed but probably wrong
}

// Fault adds a fault of the value at path.
func (r *Reader) Fault(path, format string, args ...any) {
	r.Faults = append(r.Faults, detail(path, format, args...))
}

// Warn adds a warning about the value at path.
func (r *Reader) Warn(path, format string, args ...any) {
	r.Warnings = append(r.Warnings, detail(path, format, args...))
}

// detail returns a fault whose path and message are cut: they may repeat names and
// values of the input.
func detail(path, format string, args ...any) fault.Detail {
	return fault.Detail{Path: fault.Sentencef("%s", path), Message: fault.Sentencef(format, args...)}
}

// An Object is a JSON object that is being read. Reading a field makes it known;
// Done reports the unknown fields. A field that is null counts as absent.
type Object struct {
	*Reader

	Path   string
	fields map[string]any
	known  map[string]bool
}

// Object reads v as an object. For any other value it adds a fault and returns an
// object without fields, which reports no missing fields.
func (r *Reader) Object(path string, v any) Object {
	m, ok := v.(map[string]any)
	switch {
	case !ok:
		r.Fault(path, "must be an object, not %s", jsonvalue.Kind(v))
	case m == nil:
		m = map[string]any{} // a nil map is an empty object
	}
	return Object{Reader: r, Path: path, fields: m, known: map[string]bool{}}
}

// At returns the path of a field.
func (o Object) At(field string) string {
	if o.Path == "" {
		return field
	}
	return o.Path + "." + field
}

// Get returns a field and whether it is present.
func (o Object) Get(field string) (any, bool) {
	o.known[field] = true
	v := o.fields[field]
	return v, v != nil
}

// Need returns a required field and whether it is present.
func (o Object) Need(field string) (any, bool) {
	v, ok := o.Get(field)
	if !ok && o.fields != nil {
		o.Fault(o.At(field), "is required")
	}
	return v, ok
}

// NeedAny returns a required field whose value may be null.
func (o Object) NeedAny(field string) (any, bool) {
	o.known[field] = true
	v, ok := o.fields[field]
	if !ok && o.fields != nil {
		o.Fault(o.At(field), "is required")
	}
	return v, ok
}

// OptionalAny returns an optional field whose value may be null, and whether it is
// present.
func (o Object) OptionalAny(field string) (any, bool) {
	o.known[field] = true
	v, ok := o.fields[field]
	return v, ok
}

// Empty reports whether v was an object and has no field other than null.
func (o Object) Empty() bool {
	return o.fields != nil && !slices.ContainsFunc(slices.Collect(maps.Values(o.fields)), func(v any) bool { return v != nil })
}

// AllowNull makes fields known if they are null. Generated clients write null into
// the fields of the other members of a union.
func (o Object) AllowNull(fields ...string) {
	for _, field := range fields {
		if v, ok := o.fields[field]; ok && v == nil {
			o.known[field] = true
		}
	}
}

// maxUnknown limits the unknown fields of an object that are named.
const maxUnknown = 50

// Done reports each unknown field, and suggests the known field with the nearest
// name.
func (o Object) Done() {
	count := 0
	defer func() {
		if count > maxUnknown {
			o.Fault(o.Path, "has %d more unknown fields", count-maxUnknown)
		}
	}()
	for _, field := range slices.Sorted(maps.Keys(o.fields)) {
		if o.known[field] {
			continue
		}
		if count++; count <= maxUnknown {
			o.Fault(o.At(field), "%s", unknown(field, slices.Sorted(maps.Keys(o.known))))
		}
	}
}

func unknown(field string, known []string) string {
	if len(known) == 0 {
		return "is not a known field"
	}
	return "is not a known field; " + fault.Suggest(field, known)
}

// Text reads an optional text of at most limit characters; "" if it is absent.
func (o Object) Text(field string, limit int) string {
	v, ok := o.Get(field)
	if !ok {
		return ""
	}
	return o.CheckText(o.At(field), v, 0, limit)
}

// OptionalText reads an optional text of low to high characters; nil if it is
// absent.
func (o Object) OptionalText(field string, low, high int) *string {
	v, ok := o.Get(field)
	if !ok {
		return nil
	}
	s := o.CheckText(o.At(field), v, low, high)
	return &s
}

// NeedText reads a required text of 1 to limit characters.
func (o Object) NeedText(field string, limit int) string {
	v, ok := o.Need(field)
	if !ok {
		return ""
	}
	return o.CheckText(o.At(field), v, 1, limit)
}

// CheckText returns v as a text of low to high characters, without NUL.
func (r *Reader) CheckText(path string, v any, low, high int) string {
	s, ok := v.(string)
	n := utf8.RuneCountInString(s)
	switch {
	case !ok:
		r.Fault(path, "must be a string, not %s", jsonvalue.Kind(v))
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		r.Fault(path, "must be text without NUL")
	case n < low:
		r.Fault(path, "must not be empty")
	case n > high:
		r.Fault(path, "has %d characters; %d are allowed", n, high)
	}
	return s
}

// Choice reads an optional text that is one of the options; def if it is absent.
func Choice[T ~string](o Object, field string, def T, options ...T) T {
	v, ok := o.Get(field)
	if !ok {
		return def
	}
	return asChoice(o.Reader, o.At(field), v, options...)
}

// NeedChoice reads a required text that is one of the options.
func NeedChoice[T ~string](o Object, field string, options ...T) T {
	v, ok := o.Need(field)
	if !ok {
		return ""
	}
	return asChoice(o.Reader, o.At(field), v, options...)
}

func asChoice[T ~string](r *Reader, path string, v any, options ...T) T {
	s, ok := v.(string)
	if !ok || !slices.Contains(options, T(s)) {
		r.Fault(path, "must be one of %s", fault.Offer(s, texts(options)))
		return ""
	}
	return T(s)
}

func texts[T ~string](options []T) []string {
	out := make([]string, len(options))
	for i, o := range options {
		out[i] = string(o)
	}
	return out
}

// Int reads an optional whole number from low to high; 0 if it is absent.
func (o Object) Int(field string, low, high int64) int64 {
	v, ok := o.Get(field)
	if !ok {
		return 0
	}
	n, ok := v.(int64)
	if !ok || n < low || n > high {
		o.Fault(o.At(field), "must be a whole number from %d to %d", low, high)
		return 0
	}
	return n
}

// Bool reads an optional boolean; false if it is absent.
func (o Object) Bool(field string) bool {
	v, ok := o.Get(field)
	if !ok {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		o.Fault(o.At(field), "must be true or false, not %s", jsonvalue.Kind(v))
	}
	return b
}

// List reads an optional array of at most limit values; nil if it is absent.
func (o Object) List(field string, limit int) []any {
	v, ok := o.Get(field)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		o.Fault(o.At(field), "must be an array, not %s", jsonvalue.Kind(v))
	case len(list) > limit:
		o.Fault(o.At(field), "has %d entries; %d are allowed", len(list), limit)
		list = list[:limit]
	}
	return list
}

// NeedList reads a required array that is not empty.
func (o Object) NeedList(field string, limit int) []any {
	if _, ok := o.Need(field); !ok {
		return nil
	}
	list := o.List(field, limit)
	if list != nil && len(list) == 0 {
		o.Fault(o.At(field), "must not be empty")
	}
	return list
}

// Texts reads the entries of an array as texts of 1 to limit characters.
func (o Object) Texts(field string, list []any, limit int) []string {
	out := make([]string, 0, len(list))
	for i, v := range list {
		out = append(out, o.CheckText(Index(o.At(field), i), v, 1, limit))
	}
	return out
}

// Index returns the path of an entry of the array at path.
func Index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
