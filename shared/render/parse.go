package render

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"theoneagents.app/agents/shared/jsonvalue"
)

// A part of a template is a text or a placeholder.
type part struct {
	text string
	hole *placeholder
}

// A placeholder shows a value, possibly through filters.
type placeholder struct {
	source string // text between the braces, trimmed
	value  expression
	calls  []call
}

// An expression is a path or a literal value.
type expression struct {
	path    jsonvalue.Path // nil for a literal
	literal any
	source  string
}

// A call is a filter with its arguments; nil for those not given.
type call struct {
	filter Filter
	args   []*expression
	source string
}

// parse returns the parts of a template, or ErrTemplate for an invalid one.
func parse(text string) ([]part, error) {
	if strings.Contains(text, "{%") {
		return nil, ErrTemplate.Sayf("Tags ({%% … %%}) are not allowed; only outputs ({{ … }}) are.")
	}
	var parts []part
	for text != "" {
		before, after, found := strings.Cut(text, "{{")
		if before != "" {
			parts = append(parts, part{text: before})
		}
		if !found {
			break
		}
		hole, rest, err := cutPlaceholder(after)
		if err != nil {
			return nil, parseError(err, after)
		}
		parts = append(parts, part{hole: hole})
		text = rest
	}
	return parts, nil
}

// parseError returns the error of an unreadable placeholder.
func parseError(err error, source string) error {
	if unknown, ok := errors.AsType[unknownFilter](err); ok {
		return ErrTemplate.Sayf("There is no filter %.40q in %s; there are %s.", unknown.name, braced(excerpt(source)), strings.Join(unknown.known, ", "))
	}
	if errors.Is(err, errOpen) {
		return ErrTemplate.Sayf("A placeholder is not closed by }}: {{ %s", Beginning(cut(strings.TrimSpace(source), 4*maxShown), maxShown))
	}
	return ErrTemplate.Sayf("%s: %s.", braced(excerpt(source)), err)
}

// excerpt returns the source of an unreadable placeholder.
func excerpt(source string) string {
	var quote byte
	for i := range len(source) {
		switch c := source[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.HasPrefix(source[i:], "}}"):
			return source[:i]
		}
	}
	if before, _, found := strings.Cut(source, "}}"); found {
		return before // the quote is not closed
	}
	return source
}

// maxShown limits a source or a value in an error text, in characters.
const maxShown = 80

func braced(source string) string {
	return "{{ " + Beginning(strings.Join(strings.Fields(cut(source, 4*maxShown)), " "), maxShown) + " }}"
}

// cut returns a prefix of at most most bytes, in whole characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// The faults of a placeholder.
var (
	errOpen  = errors.New("the placeholder is not closed")
	errEmpty = errors.New("the placeholder is empty; name a value such as event_payload.subject")
	errDash  = errors.New("a placeholder begins with {{ and ends with }}, without a dash")
	errQuote = errors.New("a quoted text has no closing quote; put a text that contains one kind of quotes into the other kind")
)

// cutPlaceholder reads a placeholder after its opening braces, and returns the
// text after its closing braces.
func cutPlaceholder(text string) (h *placeholder, rest string, err error) {
	s := &scanner{rest: text}
	h = &placeholder{}
	switch s.blanks(); {
	case s.rest == "":
		return nil, "", errOpen
	case strings.HasPrefix(s.rest, "}}"):
		return nil, "", errEmpty
	}
	if h.value, err = s.expression(); err != nil {
		return nil, "", err
	}
	for {
		s.blanks()
		end := len(text) - len(s.rest)
		switch {
		case end > maxSource:
			return nil, "", fmt.Errorf("a placeholder may have at most %d bytes", maxSource)
		case s.take("}}"):
			h.source = strings.TrimSpace(text[:end])
			return h, s.rest, nil
		case s.rest == "":
			return nil, "", errOpen
		case !s.take("|"):
			return nil, "", fmt.Errorf("%q does not belong after %s; a filter follows after |", first(s.rest), cut(strings.TrimSpace(text[:end]), maxShown))
		case len(h.calls) == maxFilters:
			return nil, "", fmt.Errorf("a placeholder may have at most %d filters", maxFilters)
		}
		c, err := s.call()
		if err != nil {
			return nil, "", err
		}
		h.calls = append(h.calls, c)
	}
}

func first(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	return string(r)
}

// A scanner reads a placeholder from left to right.
type scanner struct{ rest string }

func (s *scanner) blanks() { s.rest = strings.TrimLeftFunc(s.rest, unicode.IsSpace) }

func (s *scanner) take(token string) bool {
	rest, ok := strings.CutPrefix(s.rest, token)
	s.rest = rest
	return ok
}

// word reads the characters of a name.
func (s *scanner) word() string {
	end := strings.IndexFunc(s.rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if end < 0 {
		end = len(s.rest)
	}
	word := s.rest[:end]
	s.rest = s.rest[end:]
	return word
}

// expression reads a literal or a path.
func (s *scanner) expression() (expression, error) {
	before := s.rest
	e, err := s.literalOrPath()
	e.source = before[:len(before)-len(s.rest)]
	return e, err
}

func (s *scanner) literalOrPath() (expression, error) {
	switch r, next := s.rest, strings.TrimPrefix(s.rest, "-"); {
	case r == "":
		return expression{}, errOpen
	case r[0] == '"' || r[0] == '\'':
		text, rest, found := strings.Cut(r[1:], r[:1])
		if !found {
			return expression{}, errQuote
		}
		s.rest = rest
		return expression{literal: text}, nil
	case next != "" && '0' <= next[0] && next[0] <= '9':
		return s.number()
	case r[0] == '-':
		return expression{}, errDash
	}
	return s.path()
}

func (s *scanner) number() (expression, error) {
	end := strings.IndexFunc(s.rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("|,:}", r) })
	if end < 0 {
		end = len(s.rest)
	}
	text := s.rest[:end]
	s.rest = s.rest[end:]
	n, err := readNumber(text)
	if err != nil {
		return expression{}, fmt.Errorf("%.40q is neither a number nor a path", text)
	}
	return expression{literal: n}, nil
}

func (s *scanner) path() (expression, error) {
	path, rest, err := jsonvalue.CutPath(s.rest)
	if err != nil {
		return expression{}, err
	}
	source := s.rest[:len(s.rest)-len(rest)]
	s.rest = rest
	switch source {
	case "true", "false":
		return expression{literal: source == "true"}, nil
	case "nil", "null":
		return expression{}, nil
	}
	return expression{path: path}, nil
}

// call reads a filter and its arguments.
func (s *scanner) call() (call, error) {
	s.blanks()
	before := s.rest
	name := s.word()
	filter, err := named(name)
	if err != nil {
		return call{}, err
	}
	c := call{filter: filter, args: make([]*expression, len(filter.Arguments))}
	given := 0
	s.blanks()
	for more := s.take(":"); more; more = s.take(",") {
		if given, err = s.argument(&c, given); err != nil {
			return c, err
		}
		s.blanks()
	}
	c.source = strings.TrimSpace(before[:len(before)-len(s.rest)])
	for i, a := range filter.Arguments {
		if c.args[i] == nil && !a.Optional {
			return c, fmt.Errorf("%s needs its argument %s: %s", name, a.Name, filter.Usage())
		}
	}
	return c, nil
}

// argument reads one argument into the call, and returns the number of
// positional arguments.
func (s *scanner) argument(c *call, given int) (int, error) {
	s.blanks()
	if s.rest == "" || strings.HasPrefix(s.rest, "}}") || s.rest[0] == '|' || s.rest[0] == ',' {
		return given, fmt.Errorf("%s lacks an argument after its colon or comma: %s", c.filter.Name, c.filter.Usage())
	}
	e, err := s.expression()
	if err != nil {
		return given, err
	}
	s.blanks()
	at := given
	switch {
	case len(e.path) == 1 && s.take(":"):
		if at = c.filter.option(e.path[0]); at < 0 {
			return given, fmt.Errorf("%s has no argument with the name %.40s: %s", c.filter.Name, e.path[0], c.filter.Usage())
		}
		s.blanks()
		if e, err = s.expression(); err != nil {
			return given, err
		}
	case given == c.filter.positions():
		return given, fmt.Errorf("%s has too many arguments: %s", c.filter.Name, c.filter.Usage())
	default:
		given++
	}
	if c.args[at] != nil {
		return given, fmt.Errorf("%s has its argument %s twice", c.filter.Name, c.filter.Arguments[at].Name)
	}
	c.args[at] = &e
	if e.path == nil {
		_, err = c.filter.accept(at, e.literal)
	}
	return given, err
}
