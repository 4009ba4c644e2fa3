package render

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Cut returns a text in about most bytes at the most, cut at a character. A text
// that is cut says how many characters of it are left out.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	n, said := most, 0
	// What is said takes room itself, and the shorter the text, the more is said.
	for range 2 {
		n = max(most+len("…")-len(leftOut(utf8.RuneCountInString(text[n:]), most)), 0)
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		said = utf8.RuneCountInString(text[n:])
	}
	return text[:n] + leftOut(said, most)
}

// leftOut says how many characters are left out of a text of most bytes, in few
// words where there is little room.
func leftOut(n, most int) string {
	const roomy = 80
	if most < roomy {
		return "… (+" + Count(n) + ")"
	}
	return fmt.Sprintf("… (%s more characters)", Count(n))
}

// Count returns a number of things as people write it: 1,234.
func Count(n int) string {
	const group = 3
	text := strconv.Itoa(n)
	for i := len(text) - group; i > 0 && text[i-1] != '-'; i -= group {
		text = text[:i] + "," + text[i:]
	}
	return text
}
