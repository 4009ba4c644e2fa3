// Package render fills the placeholders of a definition with the values of a
// run.
//
// A placeholder is a Liquid output, {{ path | filter: argument }}
// (github.com/osteele/liquid supplies the expressions and the filters). Tags do
// not exist here: a template chooses what to show, never what to do. What a
// value contains is never expanded again, a variable that is missing is an
// error unless it has a default, and the output is bounded after every filter,
// so that no template can be made to grow without end.
//
// Where a text has a markup or a syntax of its own, Encoded makes the values
// plain text in it: what an event says adds no link, mention or path.
package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/filters"

	"theoneagents.app/agents/shared/document"
	"theoneagents.app/agents/shared/fault"
)

// ErrTemplate is a template that cannot be filled.
var ErrTemplate = fault.New(fault.Invalid, "template_error", "A template could not be filled.")

// The bounds of a template.
const (
	MaxOutput  = 64 << 10  // bytes of one rendered text
	maxValue   = 256 << 10 // bytes of all that Value fills together; an event is no larger
	maxFilters = 10        // in one placeholder
	maxSource  = 2000      // bytes of one placeholder
)

// A Scope holds what templates may name.
type Scope map[string]any

// A placeholder is one output of a template.
type placeholder struct {
	path    string   // what it shows, or "" for a literal
	value   string   // source of what it shows
	filters []string // sources, in order
	paths   []string // what the filters' arguments name
}

// A part of a template is a text or a placeholder.
type part struct {
	text string
	hole *placeholder
}

// Paths returns what the placeholders of text name, or why text is no template.
func Paths(text string) ([]string, error) {
	parts, err := parse(text)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, p := range parts {
		if p.hole != nil {
			paths = append(paths, p.hole.named()...)
		}
	}
	return paths, nil
}

// Named returns what the placeholders of every text in v name, at any depth, or
// why one is no template.
func Named(v any) (paths []string, err error) {
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
		for _, e := range v {
			more, err := Named(e)
			if err != nil {
				return nil, err
			}
			paths = append(paths, more...)
		}
	}
	return paths, nil
}

func (h placeholder) named() []string {
	if h.path == "" {
		return h.paths
	}
	return append([]string{h.path}, h.paths...)
}

// Text returns text with its placeholders filled as the values are, for a place
// where they are plain text, or ErrTemplate.
func Text(text string, s Scope) (string, error) {
	return Encoded(text, s, func(value string) string { return value })
}

// Value returns v with every text in it filled, at any depth, or ErrTemplate. A
// text that is one placeholder and nothing else becomes the value itself, of its
// own kind. All texts together are bounded: many of them may name the same value.
func Value(v any, s Scope) (any, error) {
	left := maxValue
	return value(v, s, &left)
}

func value(v any, s Scope, left *int) (any, error) {
	switch v := v.(type) {
	case string:
		filled, err := one(v, s)
		if err != nil {
			return nil, err
		}
		if *left -= len(String(filled)); *left < 0 {
			return nil, tooLong(maxValue)
		}
		return filled, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			e, err := value(v[i], s, left)
			if err != nil {
				return nil, err
			}
			out[i] = e
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			e, err := value(v[k], s, left)
			if err != nil {
				return nil, err
			}
			out[k] = e
		}
		return out, nil
	}
	return v, nil
}

func one(text string, s Scope) (any, error) {
	parts, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 && parts[0].hole != nil {
		return parts[0].hole.fill(s)
	}
	return Text(text, s)
}

// String returns v as it stands in a text: nothing for null, JSON for what has
// parts.
func String(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any, map[string]any:
		return document.Canonical(v)
	case float64:
		return document.Canonical(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

func parse(text string) ([]part, error) {
	if strings.Contains(text, "{%") {
		return nil, ErrTemplate.Sayf("Tags ({%% … %%}) are not allowed; only outputs ({{ … }}) are.")
	}
	var parts []part
	for text != "" {
		before, rest, found := strings.Cut(text, "{{")
		if before != "" {
			parts = append(parts, part{text: before})
		}
		if !found {
			break
		}
		end := indexOutside(rest, "}}")
		if end < 0 {
			return nil, ErrTemplate.Sayf("A placeholder is not closed: {{%.40s", rest)
		}
		hole, err := parseHole(rest[:end])
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{hole: &hole})
		text = rest[end+len("}}"):]
	}
	return parts, nil
}

// indexOutside returns where sep first stands outside quotes, or -1.
func indexOutside(s, sep string) int {
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.HasPrefix(s[i:], sep):
			return i
		}
	}
	return -1
}

func splitOutside(s, sep string) []string {
	var out []string
	for {
		i := indexOutside(s, sep)
		if i < 0 {
			return append(out, s)
		}
		out, s = append(out, s[:i]), s[i+len(sep):]
	}
}

var (
	wholePath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+|\[[0-9]+\])*$`)
	literal   = regexp.MustCompile(`^("[^"]*"|'[^']*'|-?[0-9]+(\.[0-9]+)?|true|false|nil)$`)
	filter    = regexp.MustCompile(`^[a-z_]+$`)
)

func parseHole(source string) (placeholder, error) {
	source = strings.TrimSpace(source)
	segments := splitOutside(source, "|")
	value := strings.TrimSpace(segments[0])
	h := placeholder{value: value}
	switch {
	case len(source) > maxSource || len(segments)-1 > maxFilters:
		return h, ErrTemplate.Sayf("A placeholder may have %d bytes and %d filters: {{ %.40s …", maxSource, maxFilters, source)
	case wholePath.MatchString(value):
		h.path = dotted(value)
	case !literal.MatchString(value):
		return h, ErrTemplate.Sayf("A placeholder must begin with a path such as event_payload.subject: {{ %.60s }}", source)
	}
	for _, s := range segments[1:] {
		paths, err := parseFilter(strings.TrimSpace(s))
		if err != nil {
			return h, err
		}
		h.filters, h.paths = append(h.filters, strings.TrimSpace(s)), append(h.paths, paths...)
	}
	return h, nil
}

func parseFilter(source string) (paths []string, err error) {
	name, args, has := strings.Cut(source, ":")
	name = strings.TrimSpace(name)
	if !filter.MatchString(name) || !slices.Contains(known(), name) {
		return nil, ErrTemplate.Sayf("There is no filter %.40q.", name)
	}
	if !has {
		return nil, nil
	}
	for _, arg := range splitOutside(args, ",") {
		switch arg = strings.TrimSpace(arg); {
		case literal.MatchString(arg):
		case wholePath.MatchString(arg):
			paths = append(paths, dotted(arg))
		default:
			return nil, ErrTemplate.Sayf("The filter %s takes literals and paths, not %.40q.", name, arg)
		}
	}
	return paths, nil
}

// dotted turns a[0].b into a.0.b.
func dotted(path string) string {
	return strings.NewReplacer("[", ".", "]", "").Replace(path)
}

// fill evaluates the placeholder one filter at a time, so that a result that is
// too large is seen before the next filter makes it larger.
func (h placeholder) fill(s Scope) (any, error) {
	if h.path != "" && !exists(s, h.path) && !h.defaults() {
		return nil, ErrTemplate.Sayf("There is no value at %s.", h.path)
	}
	for _, p := range h.paths {
		if !exists(s, p) {
			return nil, ErrTemplate.Sayf("There is no value at %s.", p)
		}
	}
	if len(h.filters) == 0 && h.path != "" {
		if v, ok := document.Lookup(map[string]any(s), h.path); ok {
			return v, nil
		}
	}
	v, err := evaluate(h.value, s)
	for _, f := range h.filters {
		if err != nil {
			break
		}
		v, err = evaluate(piped+" | "+f, bind(s, v))
	}
	if err != nil {
		return nil, ErrTemplate.Sayf("{{ %.60s }}: %v.", h.value, err)
	}
	return v, nil
}

func (h placeholder) defaults() bool {
	return slices.ContainsFunc(h.filters, func(f string) bool { return strings.HasPrefix(f, "default") })
}

// exists reports whether a path names something; a collection also has a size,
// a first and a last.
func exists(s Scope, path string) bool {
	if _, ok := document.Lookup(map[string]any(s), path); ok {
		return true
	}
	head, last, ok := cutLast(path)
	if !ok || !slices.Contains([]string{"size", "first", "last"}, last) {
		return false
	}
	v, ok := document.Lookup(map[string]any(s), head)
	switch v.(type) {
	case []any, string, map[string]any:
		return ok
	}
	return false
}

func cutLast(path string) (head, last string, ok bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// piped names the value that a filter works on.
const piped = "piped__"

func bind(s Scope, v any) Scope {
	out := make(Scope, len(s)+1)
	for k := range s {
		out[k] = s[k]
	}
	out[piped] = v
	return out
}

func evaluate(source string, s Scope) (v any, err error) {
	defer func() {
		// The library panics on some arguments; a template of a tenant must
		// never end the process.
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("it cannot be evaluated: %v", p)
		}
	}()
	x, err := expressions.Parse(source)
	if err != nil {
		return nil, err
	}
	v, err = x.Evaluate(expressions.NewContext(s, config()))
	if err != nil {
		return nil, err
	}
	if len(String(v)) > MaxOutput {
		return nil, tooLong(MaxOutput)
	}
	return plain(v), nil
}

// plain turns the library's numbers into a document's.
func plain(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case float32:
		return float64(v)
	}
	return v
}

func config() expressions.Config {
	c := expressions.NewConfig()
	filters.AddStandardFilters(&c)
	// These two multiply sizes: look before the memory is taken.
	c.AddFilter("replace", func(s, from, to string) (string, error) {
		if n := strings.Count(s, from); n*len(to)+len(s) > MaxOutput {
			return "", tooLong(MaxOutput)
		}
		return strings.ReplaceAll(s, from, to), nil
	})
	c.AddFilter("join", func(list []any, sep func(string) string) (string, error) {
		by := sep(" ")
		texts := make([]string, len(list))
		size := len(by) * len(list)
		for i := range list {
			texts[i] = String(list[i])
			size += len(texts[i])
		}
		if size > MaxOutput {
			return "", tooLong(MaxOutput)
		}
		return strings.Join(texts, by), nil
	})
	return c
}

// known returns the filters that templates may use: those of the library that
// neither evaluate nor format without bound.
func known() []string {
	return []string{
		"abs", "append", "at_least", "at_most", "capitalize", "ceil", "compact", "concat", "date", "default",
		"divided_by", "downcase", "escape", "escape_once", "first", "floor", "join", "json", "last", "lstrip",
		"map", "minus", "modulo", "newline_to_br", "plus", "prepend", "remove", "remove_first", "remove_last",
		"replace", "replace_first", "replace_last", "reverse", "round", "rstrip", "size", "slice", "sort",
		"sort_natural", "split", "strip", "strip_html", "strip_newlines", "sum", "times", "truncate",
		"truncatewords", "uniq", "upcase", "url_decode", "url_encode", "where",
	}
}

func tooLong(most int) error {
	return ErrTemplate.Sayf("The output is longer than %d bytes.", most)
}

// Marked returns text with every placeholder replaced by a name in double
// brackets, and the values under these names: for a model, to which values are
// data and must never stand among the instructions.
func Marked(text string, s Scope) (string, map[string]any, error) {
	parts, err := parse(text)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	data := map[string]any{}
	size := 0
	for _, p := range parts {
		if p.hole == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.hole.fill(s)
		if err != nil {
			return "", nil, err
		}
		name := p.hole.name()
		data[name] = v
		b.WriteString("[[" + name + "]]")
		if size += len(String(v)); size > MaxOutput {
			return "", nil, tooLong(MaxOutput)
		}
	}
	return b.String(), data, nil
}

// name returns what the placeholder shows: its path, and the filters that make
// it another value.
func (h placeholder) name() string {
	if len(h.filters) == 1 && h.defaults() && h.path != "" {
		return h.path
	}
	return strings.Join(append([]string{h.value}, h.filters...), " | ")
}
