package jsonvalue

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Path leads from a document to a value in it; each step is a name or an index.
// These two paths are the same:
//
//	alerts[0].labels["k8s.io/name"]      alerts.0.labels['k8s.io/name']
//
// All paths of filters, conditions and templates have this grammar: names separated
// by dots; an index in brackets or behind a dot, counted from the end if it is
// negative; any key in brackets and quotes, with \" and \\ for a quote and a
// backslash in the key.
//
// A list also has size, first and last, and a text has size. An object has only its
// own keys, so size of an object without such a key is absent.
type Path []string

// The bounds of a path.
const (
	maxPath  = 1000 // bytes
	maxSteps = 64
)

// ParsePath parses a path. Its error says where the text violates the grammar.
func ParsePath(text string) (Path, error) {
	if len(text) > maxPath {
		return nil, fmt.Errorf("the path has %d bytes; %d are allowed", len(text), maxPath)
	}
	path, rest, err := CutPath(text)
	switch {
	case err != nil:
		return nil, err
	case rest != "":
		return nil, fmt.Errorf("%q is not allowed in a path, at character %d: a path is like alerts[0].name; other keys are written [\"…\"]",
			firstOf(rest), utf8.RuneCountInString(text[:len(text)-len(rest)])+1)
	}
	return path, nil
}

// CutPath parses the path at the beginning of a text, and returns the rest of the
// text.
func CutPath(text string) (path Path, rest string, err error) {
	rest = text
	for {
		var part string
		switch {
		case strings.HasPrefix(rest, "["):
			part, rest, err = cutBracket(rest)
		case len(path) == 0:
			part, rest, err = cutName(rest)
		default:
			part, rest, err = cutName(strings.TrimPrefix(rest, "."))
		}
		if err != nil {
			return nil, text, err
		}
		if path = append(path, part); len(path) > maxSteps {
			return nil, text, fmt.Errorf("the path has more than %d steps", maxSteps)
		}
		if !strings.HasPrefix(rest, ".") && !strings.HasPrefix(rest, "[") {
			return path, rest, nil
		}
	}
}

func firstOf(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	return string(r)
}

// cutName cuts a name from the beginning of s.
func cutName(s string) (name, rest string, err error) {
	end := strings.IndexFunc(s, func(r rune) bool { return !inName(r) })
	if end < 0 {
		end = len(s)
	}
	switch {
	case s == "":
		return "", s, errors.New("the path ends where a name is expected")
	case end == 0:
		return "", s, fmt.Errorf("%q is found where a name is expected: a path is like alerts[0].name; other keys are written [\"…\"]", firstOf(s))
	}
	return s[:end], s[end:], nil
}

func inName(r rune) bool {
	return r == '_' || r == '-' || r == '$' || r == '@' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

// cutBracket cuts an index or a quoted key, with its brackets, from the beginning of
// s.
func cutBracket(s string) (part, rest string, err error) {
	inner := s[1:]
	if inner != "" && (inner[0] == '"' || inner[0] == '\'') {
		part, rest, err = cutQuoted(inner)
	} else {
		end := strings.IndexByte(inner, ']')
		if end < 0 || !isIndex(inner[:end]) {
			return "", s, fmt.Errorf("%.20q is not an index: brackets hold a whole number or a key in quotes, such as [0] or [\"key\"]", s)
		}
		part, rest = inner[:end], inner[end:]
	}
	if err == nil && !strings.HasPrefix(rest, "]") {
		err = fmt.Errorf("%.20q has no closing bracket", s)
	}
	if err != nil {
		return "", s, err
	}
	return part, rest[1:], nil
}

// cutQuoted cuts a text in quotes from the beginning of s. In it, a backslash
// escapes the quote and the backslash.
func cutQuoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), s[i+1:], nil
		case c == '\\' && i+1 < len(s) && (s[i+1] == s[0] || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", s, fmt.Errorf("%.20q has no closing quote", s)
}

func isIndex(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return isDigits(digits) && len(digits) <= 9
}

// String returns the path with names and indices behind dots, and other keys in
// brackets and quotes.
func (p Path) String() string {
	var b strings.Builder
	for i, part := range p {
		switch {
		case part == "" || strings.ContainsFunc(part, func(r rune) bool { return !inName(r) }):
			b.WriteString(`["` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(part) + `"]`)
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

// Begins reports whether the path begins with another one.
func (p Path) Begins(with Path) bool {
	return len(with) <= len(p) && slices.Equal(p[:len(with)], with)
}

// In returns the value at the path in a document, and whether it exists; a null
// exists.
func (p Path) In(doc any) (any, bool) {
	for _, part := range p {
		next, ok := child(doc, part)
		if !ok {
			return nil, false
		}
		doc = next
	}
	return doc, true
}

func child(doc any, part string) (any, bool) {
	switch v := doc.(type) {
	case map[string]any:
		next, ok := v[part]
		return next, ok
	case string:
		if part == "size" {
			return int64(utf8.RuneCountInString(v)), true
		}
	case []any:
		return item(v, part)
	}
	return nil, false
}

func item(list []any, part string) (any, bool) {
	i := 0
	switch part {
	case "size":
		return int64(len(list)), true
	case "first":
	case "last":
		i = -1
	default:
		if !isIndex(part) {
			return nil, false
		}
		i, _ = strconv.Atoi(part)
	}
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// Lookup returns the value at a path that is given as text, and whether it exists.
// It splits a text outside the grammar at its dots, so that definitions from before
// the grammar keep their meaning.
func Lookup(doc any, text string) (any, bool) {
	path, err := ParsePath(text)
	if err != nil {
		path = strings.Split(text, ".")
	}
	return path.In(doc)
}
