package definition

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// A reader turns documents into definitions and collects every fault that it
// meets, so that a person can mend them all at once.
type reader struct {
	faults   []fault.Detail
	warnings []fault.Detail // what is allowed and probably wrong
}

func (r *reader) fault(path, format string, args ...any) {
	r.faults = append(r.faults, fault.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) warn(path, format string, args ...any) {
	r.warnings = append(r.warnings, fault.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

// An object is a JSON object that is being read. Each field that is asked for
// is known; done reports the others.
type object struct {
	*reader

	path   string
	fields map[string]any
	known  map[string]bool
}

// object reads v as an object; one that is none has no fields.
func (r *reader) object(path string, v any) object {
	m, ok := v.(map[string]any)
	switch {
	case !ok:
		r.fault(path, "must be an object, not %s", jsonvalue.Kind(v))
	case m == nil:
		m = map[string]any{} // no fields are not no object
	}
	return object{reader: r, path: path, fields: m, known: map[string]bool{}}
}

// at returns the path of a field.
func (o object) at(field string) string {
	if o.path == "" {
		return field
	}
	return o.path + "." + field
}

// get returns a field and whether it is there. A field that is null is absent.
func (o object) get(field string) (any, bool) {
	o.known[field] = true
	v := o.fields[field]
	return v, v != nil
}

// need reports a field that is not there; a field that is null is not.
func (o object) need(field string) (any, bool) {
	v, ok := o.get(field)
	if !ok && o.fields != nil {
		o.fault(o.at(field), "is required")
	}
	return v, ok
}

// needAny returns a required field whose value may be null.
func (o object) needAny(field string) (any, bool) {
	o.known[field] = true
	v, ok := o.fields[field]
	if !ok && o.fields != nil {
		o.fault(o.at(field), "is required")
	}
	return v, ok
}

// absent accepts fields of the object's other forms that are null: programs
// write null for what a form does not have.
func (o object) absent(fields ...string) {
	for _, field := range fields {
		if v, ok := o.fields[field]; ok && v == nil {
			o.known[field] = true
		}
	}
}

// done reports the fields that are not known, with the known ones.
func (o object) done() {
	for _, field := range slices.Sorted(maps.Keys(o.fields)) {
		if !o.known[field] {
			o.fault(o.at(field), "is not a known field; %s", fault.Suggest(field, slices.Sorted(maps.Keys(o.known))))
		}
	}
}

// text reads an optional text of at most limit characters.
func (o object) text(field string, limit int) string {
	v, ok := o.get(field)
	if !ok {
		return ""
	}
	return o.asText(o.at(field), v, 0, limit)
}

// needText reads a required text that is not empty.
func (o object) needText(field string, limit int) string {
	v, ok := o.need(field)
	if !ok {
		return ""
	}
	return o.asText(o.at(field), v, 1, limit)
}

func (r *reader) asText(path string, v any, low, high int) string {
	s, ok := v.(string)
	n := utf8.RuneCountInString(s)
	switch {
	case !ok:
		r.fault(path, "must be a string, not %s", jsonvalue.Kind(v))
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		r.fault(path, "must be text without NUL")
	case n < low:
		r.fault(path, "must not be empty")
	case n > high:
		r.fault(path, "has %d characters; %d are allowed", n, high)
	}
	return s
}

// choice reads an optional text that is one of the options; def stands for none.
func choice[T ~string](o object, field string, def T, options ...T) T {
	v, ok := o.get(field)
	if !ok {
		return def
	}
	return asChoice(o.reader, o.at(field), v, options...)
}

// needChoice reads a required text that is one of the options.
func needChoice[T ~string](o object, field string, options ...T) T {
	v, ok := o.need(field)
	if !ok {
		return ""
	}
	return asChoice(o.reader, o.at(field), v, options...)
}

func asChoice[T ~string](r *reader, path string, v any, options ...T) T {
	s, ok := v.(string)
	if !ok || !slices.Contains(options, T(s)) {
		r.fault(path, "must be one of %s", fault.Offer(s, texts(options)))
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

// integer reads an optional whole number; 0 stands for none.
func (o object) integer(field string, low, high int64) int64 {
	v, ok := o.get(field)
	if !ok {
		return 0
	}
	n, ok := v.(int64)
	if !ok || n < low || n > high {
		o.fault(o.at(field), "must be a whole number from %d to %d", low, high)
		return 0
	}
	return n
}

func (o object) boolean(field string) bool {
	v, ok := o.get(field)
	if !ok {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		o.fault(o.at(field), "must be true or false, not %s", jsonvalue.Kind(v))
	}
	return b
}

// list reads an optional array of at most limit values; nil stands for none.
func (o object) list(field string, limit int) []any {
	v, ok := o.get(field)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		o.fault(o.at(field), "must be an array, not %s", jsonvalue.Kind(v))
	case len(list) > limit:
		o.fault(o.at(field), "has %d entries; %d are allowed", len(list), limit)
		list = list[:limit]
	}
	return list
}

// needList reads a required array that is not empty.
func (o object) needList(field string, limit int) []any {
	if _, ok := o.need(field); !ok {
		return nil
	}
	list := o.list(field, limit)
	if list != nil && len(list) == 0 {
		o.fault(o.at(field), "must not be empty")
	}
	return list
}

// texts reads the texts of an array.
func (o object) texts(field string, list []any, limit int) []string {
	out := make([]string, 0, len(list))
	for i, v := range list {
		out = append(out, o.asText(fmt.Sprintf("%s[%d]", o.at(field), i), v, 1, limit))
	}
	return out
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
