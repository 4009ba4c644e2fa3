package tally_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tally"
)

func start() time.Time { return time.Date(2026, time.March, 9, 14, 0, 0, 0, time.UTC) }

func contribution(n int, after time.Duration) execution.Contribution {
	return execution.Contribution{Org: "org_a", Agent: "agent_a", Run: id.Execution(fmt.Sprintf("exec_%d", n)), Revision: 3, At: start().Add(after).Truncate(time.Second)}
}

// A book is the statistics of one agent, with its pages, as a store keeps them.
type book struct {
	marks tally.Marks
	pages []tally.Page
	count map[id.Execution]int
}

func (b *book) add(t *rapid.T, all []execution.Contribution) {
	paged := map[tally.Mark]bool{}
	for _, c := range b.marks.InPages(all) {
		for _, p := range b.pages {
			if newest := p.Newest(); newest.Before(c.At) || newest.After(c.At.Add(tally.PageSpan)) {
				continue // the store does not read it
			}
			for _, m := range p {
				paged[m] = true
			}
		}
	}
	fresh := b.marks.New(all, paged)
	if len(fresh) == 0 {
		return
	}
	stay, pages := b.marks.File()
	for _, p := range pages {
		if span := p.Newest().Unix() - p[0].At; span > int64(tally.PageSpan/time.Second) {
			t.Fatalf("a page spans %d seconds", span)
		}
	}
	b.pages = append(b.pages, pages...)
	if rapid.IntRange(0, 4).Draw(t, "crash") == 0 {
		return // after the pages, before the statistics
	}
	b.marks = stay.With(fresh)
	b.marks.List = tally.Unpacked(tally.Packed(b.marks.List))
	for _, c := range fresh {
		b.count[c.Run]++
	}
}

// Whatever the stream repeats within the day that it keeps a record, in whatever
// groups and order, each contribution is counted once.
func TestEachContributionIsCountedOnce(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		b := &book{count: map[id.Execution]int{}}
		gap := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "gap")
		var all []execution.Contribution
		var now time.Duration
		for n := range rapid.IntRange(1, 150).Draw(t, "runs") {
			now += time.Duration(rapid.Int64Range(0, int64(gap)).Draw(t, "after"))
			all = append(all, contribution(n, now))
		}
		const retention = 24 * time.Hour
		left := map[int]bool{}
		for n := range all {
			left[n] = true
		}
		clock := time.Duration(0)
		for len(left) > 0 {
			first := len(all)
			for n := range left {
				first = min(first, n)
			}
			// The stream delivers what was written, and nothing older than a day: the oldest
			// record that is left bounds how far the clock may go on.
			clock = max(clock, all[first].At.Sub(start()))
			clock += time.Duration(rapid.Int64Range(0, int64(all[first].At.Sub(start())+retention-clock)/2).Draw(t, "clock"))
			var batch []execution.Contribution
			for range rapid.IntRange(1, 60).Draw(t, "batch") {
				n := rapid.IntRange(0, len(all)-1).Draw(t, "record")
				if rapid.Bool().Draw(t, "oldest") {
					n = first
				}
				if at := all[n].At.Sub(start()); at > clock || clock-at > retention {
					continue
				}
				batch = append(batch, all[n])
			}
			b.add(t, batch)
			for n, c := range all {
				if b.count[c.Run] > 1 {
					t.Fatalf("%s was counted %d times", c.Run, b.count[c.Run])
				}
				if b.count[c.Run] == 1 {
					delete(left, n)
				}
			}
		}
		for range 10 { // and everything that the stream still has, again
			b.add(t, all[max(0, len(all)-rapid.IntRange(1, 80).Draw(t, "again")):])
		}
		for _, c := range all {
			if clock-c.At.Sub(start()) <= retention && b.count[c.Run] != 1 {
				t.Fatalf("%s was counted %d times", c.Run, b.count[c.Run])
			}
		}
	})
}

func TestFewMarksStayBesideTheCounters(t *testing.T) {
	t.Parallel()

	var m tally.Marks
	most := 0
	for n := range 1000 {
		m, _ = m.File()
		m = m.With([]execution.Contribution{contribution(n, time.Duration(n)*time.Second)})
		most = max(most, len(tally.Packed(m.List)))
	}
	if most > 500 {
		t.Errorf("the marks take %d bytes of the statistics, want 500 at most", most)
	}
}

func TestMarksSurviveTheirPacking(t *testing.T) {
	t.Parallel()

	marks := []tally.Mark{tally.MarkOf(contribution(1, 0)), tally.MarkOf(contribution(2, time.Hour))}
	if diff := cmp.Diff(marks, tally.Unpacked(tally.Packed(marks))); diff != "" {
		t.Error(diff)
	}
	other := contribution(1, 0)
	other.Revision++
	if tally.MarkOf(other) == marks[0] {
		t.Error("two changes of a run have one mark")
	}
}
