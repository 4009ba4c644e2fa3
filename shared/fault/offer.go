package fault

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The bounds of an offer.
const (
	maxOffered = 12 // names in one sentence
	maxCompare = 64 // characters of a name that are compared
)

// Offer returns the names that there are as one text for a sentence, those that
// were probably meant first: "add_note, update_ticket and 4 more". The others
// keep their order.
func Offer(given string, names []string) string {
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int {
		return cmp.Compare(rank(given, a), rank(given, b))
	})
	if more := len(sorted) - maxOffered; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(sorted[:maxOffered], ", "), more)
	}
	return strings.Join(sorted, ", ")
}

// Nearest returns the name that was probably meant, or "" if none is like the
// one that was given.
func Nearest(given string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	meant := slices.MinFunc(names, func(a, b string) int { return cmp.Compare(rank(given, a), rank(given, b)) })
	if !alike(given, meant) {
		return ""
	}
	return meant
}

// Suggest ends a sentence about a name that does not exist: with the one that was
// probably meant, or with all that there are.
func Suggest(given string, names []string) string {
	switch near := Nearest(given, names); {
	case near != "":
		return "did you mean " + near + "?"
	case len(names) == 0:
		return "there is none"
	case len(names) == 1:
		return "there is " + names[0]
	}
	return "there are " + Offer(given, names)
}

// DidYouMean returns "; did you mean <name>?" if a name was probably meant, and
// "" otherwise: the end of a sentence about a name that does not exist.
func DidYouMean(given string, names []string) string {
	if name := Nearest(given, names); name != "" {
		return fmt.Sprintf("; did you mean %s?", name)
	}
	return ""
}

// rank orders names by how like the given one they are; all that are not are equal.
func rank(given, name string) int {
	if !alike(given, name) {
		return 2 * maxCompare
	}
	return distance(given, name)
}

// alike reports whether one name may be a misspelling of the other: about one
// character in three differs, or one is the beginning or the end of the other.
func alike(a, b string) bool {
	const shortest = 3 // what a shorter name begins or ends with says nothing
	a, b = strings.ToLower(a), strings.ToLower(b)
	longer, shorter := a, b
	if len(a) < len(b) {
		longer, shorter = b, a
	}
	if len(shorter) >= shortest && (strings.HasPrefix(longer, shorter) || strings.HasSuffix(longer, shorter)) {
		return true
	}
	return distance(a, b) <= max(1, min(len([]rune(a)), len([]rune(b)))/3)
}

// distance returns how many characters are to be added, dropped, replaced or
// swapped with their neighbour to make one name of the other; case does not
// count.
func distance(from, to string) int {
	a, b := compared(from), compared(to)
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	var twoBefore []int
	for j := range row {
		row[j] = j
	}
	for i := range a {
		twoBefore, before, row = before, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(before[j+1]+1, row[j]+1, before[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], twoBefore[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

func compared(name string) []rune {
	r := []rune(strings.ToLower(name))
	return r[:min(len(r), maxCompare)]
}
