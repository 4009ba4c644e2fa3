package notify

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A measure returns the cost of a character.
type measure func(r rune) int

// units counts UTF-16 units, because some services count characters outside the
// Basic Multilingual Plane twice.
func units(r rune) int { return max(1, utf16.RuneLen(r)) }

// jsonBytes returns the length of a character in JSON, in bytes.
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

// head returns the longest prefix of s, in whole characters, that costs at most
// most.
func head(s string, most int, cost measure) string {
	for i, r := range s {
		if most -= cost(r); most < 0 {
			return s[:i]
		}
	}
	return s
}

// fit returns s, or a prefix of it with an ellipsis if s costs more than most.
func fit(s string, most int, cost measure) string {
	if len(head(s, most, cost)) == len(s) {
		return s
	}
	return complete(head(s, most-cost('…'), cost)) + "…"
}

// openLink matches an incomplete link at the end, in the markup of Slack or
// Teams.
var openLink = regexp.MustCompile(`(<[^<>\s]*|<https?:[^<>\n]*|\[[^\]\n]*\]\([^)\s]*)$`)

// complete returns s without an incomplete link or escape (&amp; \*) at its end.
func complete(s string) string {
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

// split returns s in at most pieces pieces that cost at most most each. It
// prefers to cut at a line break in the second half of a piece, and drops the
// rest of s.
func split(s string, pieces, most int, cost measure) []string {
	var out []string
	for s != "" {
		piece := head(s, most, cost)
		if len(out) == pieces-1 || len(piece) == len(s) {
			return append(out, fit(s, most, cost))
		}
		if i := strings.LastIndexByte(piece, '\n'); i > len(piece)/2 {
			piece = piece[:i+1]
		} else if w := complete(piece); w != "" {
			piece = w
		}
		out, s = append(out, piece), s[len(piece):]
	}
	return out
}

// oneLine returns s with line breaks and control characters replaced by spaces.
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

// breaks reports whether r is a Unicode line or paragraph separator.
func breaks(r rune) bool { return r == '\u2028' || r == '\u2029' }

// lines splits s at line breaks of any kind.
func lines(s string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(plain(s)), "\n")
}

// blank reports whether s has nothing visible.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

// shown returns the pieces that are not blank.
func shown(pieces []string) []string { return slices.DeleteFunc(pieces, blank) }
