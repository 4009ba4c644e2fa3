package journal_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/products/journal"
)

func all(int) bool { return true }

func TestALogForgetsTheOldestFirst(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name              string
		maxEntries, bytes int
		want              []int
	}{
		{"all entries are kept while there is room", 9, 100, []int{1, 2, 3, 4, 5}},
		{"only so many entries are kept", 3, 100, []int{3, 4, 5}},
		{"only so many bytes are kept", 9, 20, []int{4, 5}},
		{"the newest entry is kept even if it is too large", 9, 5, []int{5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			l := journal.New[int](tt.maxEntries, tt.bytes)
			for n := range 5 {
				l.Add(n+1, 10)
			}
			if diff := cmp.Diff(tt.want, l.List(all)); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForgettingMakesRoom(t *testing.T) {
	t.Parallel()

	l := journal.New[int](9, 30)
	for n := range 3 {
		l.Add(n+1, 10)
	}
	l.Forget(func(n int) bool { return n != 2 })
	l.Add(4, 20)
	if diff := cmp.Diff([]int{2, 4}, l.List(all)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}
