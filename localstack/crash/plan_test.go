package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheSeedDeterminesThePlan(t *testing.T) {
	t.Parallel()

	all := cmp.AllowUnexported(plan{}, plannedEvent{}, kill{})
	o := options{events: 200, seed: 6, rate: 5}
	if diff := cmp.Diff(newPlan(o), newPlan(o), all); diff != "" {
		t.Errorf("one seed gave two plans:\n%s", diff)
	}
	other := o
	other.seed = 7
	if cmp.Equal(newPlan(o), newPlan(other), all) {
		t.Error("two seeds gave one plan")
	}
}

func TestEveryPlanIsCompleteAndOrdered(t *testing.T) {
	t.Parallel()

	for seed := range uint64(50) {
		p := newPlan(options{events: 100, seed: seed, rate: 5})
		seen := map[int]plannedEvent{}
		for n, h := range p.events {
			if h.at < 0 || h.at >= p.length || n > 0 && h.at < p.events[n-1].at {
				t.Errorf("seed %d: event %d is at %v of %v", seed, n, h.at, p.length)
			}
			seen[h.number] = h
		}
		if len(seen) != 100 {
			t.Errorf("seed %d: %d events, want 100", seed, len(seen))
		}
		for _, h := range seen {
			of := seen[h.twin]
			if of.org != h.org || of.name != h.name || of.level != h.level || of.twin != h.twin || h.twin != h.number && h.flaw != "" {
				t.Errorf("seed %d: %+v should have the content of %+v", seed, h, of)
			}
		}
	}
}
