package render

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Cut shortens a text to about most bytes, in whole characters, and appends the
// number of characters left out.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	n, said := most, 0
	// The note takes room itself, and a shorter text has a longer note.
	for range 2 {
		n = max(most+len("…")-len(leftOut(utf8.RuneCountInString(text[n:]), most)), 0)
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		said = utf8.RuneCountInString(text[n:])
	}
	return text[:n] + leftOut(said, most)
}

// leftOut returns the note that n characters are left out of a text of most
// bytes, in short form when most is small.
func leftOut(n, most int) string {
	const roomy = 80
	if most < roomy {
		return "… (+" + Count(n) + ")"
	}
	return fmt.Sprintf("… (%s more characters)", Count(n))
}

// Count formats a number with separators: 1,234.
func Count(n int) string {
	const group = 3
	text := strconv.Itoa(n)
	for i := len(text) - group; i > 0 && text[i-1] != '-'; i -= group {
		text = text[:i] + "," + text[i:]
	}
	return text
}
