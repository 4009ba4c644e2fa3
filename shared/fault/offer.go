package fault

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The bounds of an offer.
const (
	maxOffered = 12 // names in one sentence, or 13 when there are no more
	maxCompare = 64 // compared characters of a name
)

// Offer lists names in a sentence: "add_note, update_ticket and 4 more". Names that
// are similar to the given one come first; all other names keep their order.
func Offer(given string, names []string) string {
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int {
		return cmp.Compare(rank(given, a), rank(given, b))
	})
	if more := len(sorted) - maxOffered; more > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(sorted[:maxOffered], ", "), more)
	}
	return strings.Join(sorted, ", ")
}

// Nearest returns the name that is most similar to the given one, or "" if none is
// similar.
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

// Suggest completes a message about an unknown name: it suggests the nearest name,
// or else lists all names.
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

// DidYouMean completes a message about an unknown name: it returns "; did you mean
// <name>?" with the nearest name, or "" if no name is similar.
func DidYouMean(given string, names []string) string {
	if name := Nearest(given, names); name != "" {
		return fmt.Sprintf("; did you mean %s?", name)
	}
	return ""
}

// rank orders names by their similarity to the given one. All names that are not
// similar have the same rank.
func rank(given, name string) int {
	if !alike(given, name) {
		return 2 * maxCompare
	}
	return distance(given, name)
}

// alike reports whether one name may be a misspelling of the other: about one
// character in three differs, or one is the beginning or the end of the other.
func alike(a, b string) bool {
	const shortest = 3 // shorter beginnings and ends match by chance
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

// distance returns the Damerau-Levenshtein distance of two names: the number of
// insertions, deletions, replacements and swaps of neighbours. It ignores case.
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
