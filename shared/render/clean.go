package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Clean returns text without invisible characters that change how the rest is
// read: control characters except line breaks and tabs, marks of writing
// direction, zero-width and tag characters. Every line break becomes "\n", and
// invalid UTF-8 becomes U+FFFD.
func Clean(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	return strings.Map(func(r rune) rune {
		if hidden(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// hidden reports whether Clean removes a character. It keeps the two variation
// selectors that choose between text and emoji style.
func hidden(r rune) bool {
	const asText, asPicture = '\ufe0e', '\ufe0f'
	switch r {
	case '\n', '\t', asText, asPicture:
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// OneLine returns text cleaned and on one line. It can neither start a new line
// nor be pushed onto one by a run of spaces, which becomes one space.
func OneLine(text string) string {
	return strings.Join(strings.FieldsFunc(Clean(text), room), " ")
}

// room reports whether a character shows nothing but takes room.
func room(r rune) bool {
	const braille = '\u2800' // a cell without dots
	return unicode.IsSpace(r) || r == braille
}

// CleanValue returns a JSON value with every text in it cleaned, names of fields
// included.
func CleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return Clean(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = CleanValue(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[Clean(k)] = CleanValue(v[k])
		}
		return out
	}
	return v
}

// Quoted returns text on one line in quotation marks, which the text itself cannot
// have, at most most UTF-16 units of it, and whether it left out others. It counts
// the characters left out behind the quotation.
func Quoted(text string, most int) (quoted string, cut bool) {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune("“”„‟❝❞〝〞＂", r) {
			return '"'
		}
		return r
	}, OneLine(text))
	kept := Within(text, most)
	if kept == text {
		return "“" + text + "”", false
	}
	return fmt.Sprintf("“%s…” (%s more characters)", kept, Count(utf8.RuneCountInString(text[len(kept):]))), true
}

// Units returns the length of a text in UTF-16 units, by which many services limit
// messages.
func Units(text string) int {
	n := 0
	for _, r := range text {
		n += unitsOf(r)
	}
	return n
}

// Within returns the beginning of a text, in whole characters, of at most most
// UTF-16 units.
func Within(text string, most int) string {
	for i, r := range text {
		if most -= unitsOf(r); most < 0 {
			return text[:i]
		}
	}
	return text
}

func unitsOf(r rune) int { return max(utf16.RuneLen(r), 1) }
