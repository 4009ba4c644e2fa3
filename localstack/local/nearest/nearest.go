// Package nearest finds the names that somebody may have meant who mistyped one.
package nearest

import (
	"cmp"
	"slices"
	"strings"
)

// Names returns up to n of the names, those most like word first. Names that
// have little in common with it are left out, unless that leaves none.
func Names(word string, names []string, n int) []string {
	type found struct {
		name     string
		distance int
		rank     int // the beginning counts more
	}
	word = strings.ToLower(word)
	all := make([]found, 0, len(names))
	for _, name := range names {
		lower := strings.ToLower(name)
		d := distance(word, lower)
		all = append(all, found{name, d, d - 3*common(word, lower)})
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name))
	})
	var near []string
	for _, f := range all[:min(n, len(all))] {
		if len(near) == 0 || f.distance <= max(len(word), len(f.name))/2 {
			near = append(near, f.name)
		}
	}
	return near
}

// common counts the letters with which both begin.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// distance counts the letters to insert, delete or replace; a name that has the
// word in it is nearer than that.
func distance(a, b string) int {
	if a != "" && strings.Contains(b, a) {
		return 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, before+cost)
		}
	}
	return row[len(b)]
}

// List returns names as they stand in a sentence: "a, b or c".
func List(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
