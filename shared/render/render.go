// Package render fills the placeholders of a definition with the values of a
// run.
//
// A placeholder shows a value, possibly through filters:
//
//	{{ event_payload.subject | default: "none" | truncate: 100 }}
//	{{ value | filter: argument, argument, name: argument | filter }}
//
// A value or an argument is a path as package jsonvalue reads it, a text in
// single or double quotes, a number, true, false or null (nil). A quoted text
// ends at the next quote of its kind and has no escapes: a text that contains
// one kind of quotes is written in the other. Filters lists all filters. Each
// works as documented for Shopify's Liquid, with these rules for all:
//
//   - A missing value or argument is an error unless a default follows. A default
//     that is not needed is not looked up.
//   - Null passes through every filter except default and json unchanged. In a
//     text it is empty.
//   - Numbers are exact decimals; only a non-terminating division is rounded. A
//     text that denotes a number counts as one; any other text is an error.
//   - Where a filter expects a list, any other value counts as a list of one.
//   - Every filter accepts a value of any size that an event may have. The last
//     result and the work of all filters are limited.
//
// Tags ({% … %}) are not supported: a template selects values and has no
// control flow. Values are never expanded again. Paths refuses errors that need
// no values, such as an unknown filter or an invalid literal argument, when a
// definition is saved.
//
// Where a text has a markup or syntax of its own, Encoded turns values into
// plain text in it: an event's content adds no link, mention or path.
package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/jsonvalue"
)

// ErrTemplate is the fault of a template that cannot be filled.
var ErrTemplate = fault.New(fault.Invalid, "template_error", "A template could not be filled.")

// Limits of a template.
const (
	MaxOutput  = 64 << 10  // bytes of one filled text
	maxValue   = 256 << 10 // bytes of all values in one call of Value; an event is no larger
	maxFilters = 10        // in one placeholder
	maxSource  = 2000      // bytes of one placeholder
)

// A Scope holds the values that templates may refer to.
type Scope map[string]any

// Paths returns the paths in the placeholders of text, in order, or ErrTemplate
// when no values could fill it.
func Paths(text string) ([]jsonvalue.Path, error) {
	parts, err := parse(text)
	if err != nil {
		return nil, err
	}
	var paths []jsonvalue.Path
	for _, p := range parts {
		if p.hole == nil {
			continue
		}
		before := len(paths)
		if paths = p.hole.paths(paths); len(paths) > before {
			continue
		}
		if _, err := p.hole.fill(&work{timeless: true}); err != nil {
			return nil, err // would fail in every run
		}
	}
	return paths, nil
}

// paths appends the paths of the placeholder.
func (h *placeholder) paths(to []jsonvalue.Path) []jsonvalue.Path {
	if h.value.path != nil {
		to = append(to, h.value.path)
	}
	for _, c := range h.calls {
		for _, a := range c.args {
			if a != nil && a.path != nil {
				to = append(to, a.path)
			}
		}
	}
	return to
}

// Named returns the paths in the placeholders of every text in v, at any depth,
// or ErrTemplate when no values could fill one.
func Named(v any) (paths []jsonvalue.Path, err error) {
	switch v := v.(type) {
	case string:
		return Paths(v)
	case []any:
		for _, e := range v {
			more, err := Named(e)
			if err != nil {
				return nil, err
			}
			paths = append(paths, more...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			more, err := Named(v[k])
			if err != nil {
				return nil, err
			}
			paths = append(paths, more...)
		}
	}
	return paths, nil
}

// Text returns text with its placeholders filled without escaping, for plain
// text, or ErrTemplate.
func Text(text string, s Scope) (string, error) {
	return Encoded(text, s, func(value string) string { return value })
}

// Value returns v with every text in it filled, at any depth, or ErrTemplate. A
// text that is exactly one placeholder becomes the value itself, of its own
// type. The limit applies to all texts together, since many may show the same
// value.
func Value(v any, s Scope) (any, error) {
	f := filling{work: begin(s), left: maxValue}
	return f.value(v)
}

// A filling fills all texts of a value.
type filling struct {
	*work
	left int // remaining bytes for their values
}

func (f *filling) value(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return f.one(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			e, err := f.value(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = e
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			e, err := f.value(v[k])
			if err != nil {
				return nil, err
			}
			out[k] = e
		}
		return out, nil
	}
	return v, nil
}

func (f *filling) one(text string) (any, error) {
	parts, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(parts) != 1 || parts[0].hole == nil {
		filled, err := encoded(parts, f.work, func(value string) string { return value })
		if err == nil {
			err = f.take(len(filled))
		}
		return filled, err
	}
	hole := parts[0].hole
	v, err := hole.fill(f.work)
	if err != nil {
		return nil, err
	}
	size := len(String(v))
	if size > maxValue {
		return nil, hole.tooLong(size, maxValue)
	}
	return v, f.take(size)
}

func (f *filling) take(size int) error {
	if f.left -= size; f.left < 0 {
		return ErrTemplate.Sayf("The filled texts have more than %d bytes together.", maxValue)
	}
	return nil
}

// String returns v as shown in a text: empty for null, JSON for a list or an
// object.
func String(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case jsonvalue.Number:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case number:
		return String(v.plain())
	}
	return jsonvalue.Canonical(v)
}

// clockKey is the scope's key for the value of now. No path leads to it.
const clockKey = "\x00now"

// At returns the scope with now as the time of "now" in the filter date.
// Without it, a template that uses "now" fails.
func (s Scope) At(now time.Time) Scope {
	out := maps.Clone(s)
	if out == nil {
		out = Scope{}
	}
	out[clockKey] = now.UTC().Format(time.RFC3339Nano)
	return out
}

// budgetKey is the scope's key for the budget of its texts. No path leads to it.
const budgetKey = "\x00budget"

// Within returns the scope with a budget that all texts share. Without it, each
// text has a budget of its own.
func (s Scope) Within(b *Budget) Scope {
	out := maps.Clone(s)
	if out == nil {
		out = Scope{}
	}
	out[budgetKey] = b
	return out
}

// Budget returns the budget of the scope, or nil.
func (s Scope) Budget() *Budget {
	b, _ := s[budgetKey].(*Budget)
	return b
}

// fill returns the value of the placeholder, or ErrTemplate.
func (h *placeholder) fill(w *work) (v any, err error) {
	defer func() {
		// No template of a tenant may crash the process.
		if p := recover(); p != nil {
			v, err = nil, ErrTemplate.Sayf("%s cannot be filled.", braced(h.source))
		}
	}()
	v, err = h.run(w)
	absent, isAbsent := errors.AsType[missing](err)
	switch {
	case isAbsent && len(h.calls) == 0:
		return nil, ErrTemplate.Sayf("There is no value at %s.", absent)
	case isAbsent:
		return nil, ErrTemplate.Sayf("There is no value at %s, which %s needs.", absent, braced(h.source))
	case err != nil:
		return nil, ErrTemplate.Sayf("%s: %s.", braced(h.source), err)
	}
	return v, nil
}

// missing is the fault of paths without a value.
type missing []string

func (m missing) Error() string { return strings.Join(m, " or ") }

// run evaluates the placeholder. A missing value passes through the filters as
// such, like null, until a default replaces it.
func (h *placeholder) run(w *work) (any, error) {
	v, ok := h.value.in(w)
	var absent []string
	if !ok {
		absent = append(absent, h.value.path.String())
	}
	if len(h.calls) == 0 && ok {
		return plain(v), nil
	}
	for i := range h.calls {
		c := &h.calls[i]
		if c.filter.apply == nil {
			var err error
			if v, absent, err = c.applyDefault(w, v, absent); err != nil {
				return nil, err
			}
			continue
		}
		if len(absent) > 0 || v == nil && c.filter.Name != "json" {
			continue
		}
		args, lacks, err := c.arguments(w)
		if err != nil {
			return nil, err
		}
		if lacks != "" {
			absent = append(absent, lacks)
			continue
		}
		if v, err = c.apply(w, v, args); err != nil {
			return nil, err
		}
	}
	if len(absent) > 0 {
		return nil, missing(absent)
	}
	v = plain(v)
	if text, ok := v.(string); ok && len(text) > MaxOutput {
		return nil, tooLong(len(text), MaxOutput)
	}
	return v, nil
}

// tooLong is the fault of a value that is too long.
func tooLong(size, most int) error {
	return fmt.Errorf("its value has %d bytes; %d are allowed; the filter truncate shortens a text", size, most)
}

func (h *placeholder) tooLong(size, most int) error {
	return ErrTemplate.Sayf("%s: %s.", braced(h.source), tooLong(size, most))
}

// in returns the value of an expression, and whether it exists.
func (e *expression) in(w *work) (any, bool) {
	if e.path == nil {
		return e.literal, true
	}
	v, ok := e.path.In(map[string]any(w.scope))
	return v, ok
}

// applyDefault returns the value of a default where one is needed, and the paths
// without a value.
func (c *call) applyDefault(w *work, v any, absent []string) (any, []string, error) {
	if len(absent) == 0 {
		if !blank(v) {
			return v, nil, nil
		}
		if allow := c.args[1]; v == false && allow != nil {
			given, ok := allow.in(w)
			if !ok {
				return nil, []string{allow.path.String()}, nil
			}
			if shows, err := c.filter.accept(1, given); err != nil || shows == true {
				return v, nil, err
			}
		}
	}
	other, ok := c.args[0].in(w)
	if !ok {
		return nil, append(absent, c.args[0].path.String()), nil
	}
	return other, nil, nil
}

// blank reports whether a default replaces a value.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// arguments returns the converted arguments, or the first path without a value.
func (c *call) arguments(w *work) (args []any, lacks string, err error) {
	args = make([]any, len(c.args))
	for i, e := range c.args {
		if e == nil {
			continue
		}
		v, ok := e.in(w)
		if !ok {
			return nil, e.path.String(), nil
		}
		if args[i], err = c.filter.accept(i, known(v)); err != nil {
			return nil, "", err
		}
	}
	return args, "", nil
}

func (c *call) apply(w *work, v any, args []any) (any, error) {
	v = known(v)
	if !c.filter.acceptsNumber {
		v = plain(v)
	}
	if err := w.spend(cost(v)); err != nil {
		return nil, err
	}
	v, err := c.filter.apply(w, v, args)
	if err != nil {
		return nil, err
	}
	return v, w.spend(cost(v))
}

// plain returns a value as a JSON value.
func plain(v any) any {
	if n, ok := v.(number); ok {
		return n.plain()
	}
	return v
}

// known returns a value in a type that filters accept: JSON values and numbers
// of calculations.
func known(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int64, jsonvalue.Number, []any, map[string]any, number:
		return v
	case time.Time:
		return String(v)
	}
	doc, err := jsonvalue.Decode([]byte(jsonvalue.Canonical(v)))
	if err != nil {
		return nil
	}
	return doc
}

func jsonText(v any) string { return jsonvalue.Canonical(v) }

// shown adds the size of a placeholder's value to that of a text, or returns
// the error that it is too long.
func (h *placeholder) shown(value string, size *int) error {
	if len(value) > MaxOutput {
		return h.tooLong(len(value), MaxOutput)
	}
	return grow(size, len(value))
}

func grow(size *int, by int) error {
	if *size += by; *size > MaxOutput {
		return ErrTemplate.Sayf("The filled text has more than %d bytes.", MaxOutput)
	}
	return nil
}

// Marked returns text with every placeholder replaced by a name in double
// brackets, and the values by these names. It separates data from instructions
// in a model's prompt.
func Marked(text string, s Scope) (string, map[string]any, error) {
	parts, err := parse(text)
	if err != nil {
		return "", nil, err
	}
	w := begin(s)
	var b strings.Builder
	data := map[string]any{}
	size := 0
	for _, p := range parts {
		if p.hole == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.hole.fill(w)
		if err != nil {
			return "", nil, err
		}
		name := p.hole.name()
		if other, taken := data[name]; taken && jsonvalue.Canonical(other) != jsonvalue.Canonical(v) {
			name = p.hole.written() // the same value through other filters
		}
		data[name] = v
		b.WriteString("[[" + name + "]]")
		if err := p.hole.shown(String(v), &size); err != nil {
			return "", nil, err
		}
	}
	return b.String(), data, nil
}

// name returns the path of the placeholder's value when the placeholder shows
// that value or its beginning, otherwise its source.
func (h *placeholder) name() string {
	changes := slices.ContainsFunc(h.calls, func(c call) bool {
		return !slices.Contains([]string{"default", "truncate", "truncatewords"}, c.filter.Name)
	})
	if h.value.path != nil && !changes {
		return h.value.path.String()
	}
	return h.written()
}

// written returns the source of the placeholder with its path in canonical
// form.
func (h *placeholder) written() string {
	sources := []string{h.value.source}
	if h.value.path != nil {
		sources[0] = h.value.path.String()
	}
	for _, c := range h.calls {
		sources = append(sources, c.source)
	}
	return strings.Join(sources, " | ")
}
