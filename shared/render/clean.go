package render

import (
	"strings"
	"unicode"
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

// OneLine returns text cleaned and on one line, so that it cannot start a new
// line.
func OneLine(text string) string {
	return strings.Join(strings.FieldsFunc(Clean(text), func(r rune) bool { return r == '\n' || r == '\v' || r == '\f' }), " ")
}
