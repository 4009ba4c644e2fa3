package notify

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A measure is what one character costs of a bound.
type measure func(r rune) int

// units counts as the services do that count characters: those beyond the first
// plane of Unicode count twice with some, so they count twice with us.
func units(r rune) int { return max(1, utf16.RuneLen(r)) }

// jsonBytes counts the bytes of a character in JSON.
func jsonBytes(r rune) int {
	const named, coded = len(`\n`), len(`\u0000`)
	switch {
	case strings.ContainsRune("\"\\\b\f\n\r\t", r):
		return named
	case r < ' ', strings.ContainsRune("<>&\u2028\u2029\ufffd", r):
		return coded
	}
	return utf8.RuneLen(r)
}

// head returns the longest beginning of s, in whole characters, that costs at
// most so much.
func head(s string, most int, cost measure) string {
	for i, r := range s {
		if most -= cost(r); most < 0 {
			return s[:i]
		}
	}
	return s
}

// fit returns s, or as much of it as fits with an ellipsis at its end.
func fit(s string, most int, cost measure) string {
	if len(head(s, most, cost)) == len(s) {
		return s
	}
	return whole(head(s, most-cost('…'), cost)) + "…"
}

// A link that has no end, in the markup of Slack or of Teams.
var openLink = regexp.MustCompile(`(<[^<>\s]*|<https?:[^<>\n]*|\[[^\]\n]*\]\([^)\s]*)$`)

// whole returns s without a link, or an escape (&amp; \*), at its end that was cut
// in two.
func whole(s string) string {
	const longest = len("&amp")
	if at := openLink.FindStringIndex(s); at != nil {
		s = s[:at[0]]
	}
	if i := strings.LastIndexByte(s, '&'); i >= 0 && len(s)-i <= longest && !strings.Contains(s[i:], ";") {
		s = s[:i]
	}
	if slashes := len(s) - len(strings.TrimRight(s, `\`)); slashes%2 == 1 {
		s = s[:len(s)-1]
	}
	return s
}

// split returns s in at most so many pieces of at most so much, cut where a
// line ends if there is one in the second half of a piece. What does not fit is
// cut off.
func split(s string, pieces, most int, cost measure) []string {
	var out []string
	for s != "" {
		piece := head(s, most, cost)
		if len(out) == pieces-1 || len(piece) == len(s) {
			return append(out, fit(s, most, cost))
		}
		if i := strings.LastIndexByte(piece, '\n'); i > len(piece)/2 {
			piece = piece[:i+1]
		} else if w := whole(piece); w != "" {
			piece = w
		}
		out, s = append(out, piece), s[len(piece):]
	}
	return out
}

// oneLine returns s as a line: what would end it, or control something, is a
// blank.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || breaks(r) {
			return ' '
		}
		return r
	}, s)
}

// plain returns s without control characters other than line breaks and tabs.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !strings.ContainsRune("\r\n\t", r) {
			return -1
		}
		return r
	}, s)
}

// breaks reports whether a character that is no control character ends a line.
func breaks(r rune) bool { return r == '\u2028' || r == '\u2029' }

// lines returns the lines of s, however they end.
func lines(s string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(plain(s)), "\n")
}

// blank reports whether there is nothing to show.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

// shown returns the pieces that show something.
func shown(pieces []string) []string { return slices.DeleteFunc(pieces, blank) }
