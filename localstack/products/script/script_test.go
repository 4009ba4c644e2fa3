package script_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/localstack/products/script"
)

type rule struct {
	script.Cue

	Name string
}

func rules(t *testing.T, list ...rule) *script.Rules[rule] {
	t.Helper()
	s := script.New(func(r rule) script.Cue { return r.Cue })
	if err := s.Set(list); err != nil {
		t.Fatal(err)
	}
	return s
}

func any1(rule) bool { return true }

func TestTheFirstRuleWithUsesLeftWins(t *testing.T) {
	t.Parallel()

	s := rules(t,
		rule{Name: "other org", Cue: script.Cue{Org: "org_b"}},
		rule{Name: "twice", Cue: script.Cue{Times: 2}},
		rule{Name: "always"},
	)
	got := make([]string, 0, 4)
	for range 4 {
		got = append(got, s.Take("org_a", any1).Name)
	}
	if diff := cmp.Diff([]string{"twice", "twice", "always", "always"}, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if got := s.Take("org_b", any1).Name; got != "other org" {
		t.Errorf("org_b got %q", got)
	}
}

func TestAddedRulesLeaveTheUsesOfTheOthersAlone(t *testing.T) {
	t.Parallel()

	s := rules(t, rule{Name: "once", Cue: script.Cue{Org: "org_a", Times: 1}})
	if got := s.Take("org_a", any1).Name; got != "once" {
		t.Fatalf("the first call got %q", got)
	}
	if err := s.Add([]rule{{Name: "of b", Cue: script.Cue{Org: "org_b"}}, {Name: "of all"}}); err != nil {
		t.Fatal(err)
	}
	if got := s.Take("org_a", any1).Name; got != "of all" {
		t.Errorf("after other rules were added, org_a got %q; its rule had no use left", got)
	}
	if got := s.Take("org_b", any1).Name; got != "of b" {
		t.Errorf("org_b got %q", got)
	}
	if err := s.Add([]rule{{Name: "good"}, {Cue: script.Cue{Times: -1}}}); err == nil || len(s.List()) != 3 {
		t.Errorf("an invalid rule was added with err %v, and %d rules are in force", err, len(s.List()))
	}
	s.Remove("org_b")
	if got := s.Take("org_b", any1).Name; got != "of all" {
		t.Errorf("after its rules were removed, org_b got %q", got)
	}
	if got := len(s.List()); got != 2 {
		t.Errorf("%d rules are in force, want that of org_a and that of all", got)
	}
}

func TestARuleIsUsedAtMostItsTimes(t *testing.T) {
	t.Parallel()

	s := rules(t, rule{Name: "few", Cue: script.Cue{Times: 7}})
	var used atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if s.Take("org_a", any1).Name == "few" {
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if used.Load() != 7 {
		t.Errorf("used %d times, want 7", used.Load())
	}
}

func TestTheChanceOfARuleIsRepeatableByItsSeed(t *testing.T) {
	t.Parallel()

	const calls = 10_000
	draw := func(seed uint64) (used int, which []string) {
		s := rules(t, rule{Name: "lucky", Cue: script.Cue{Chance: 0.2, Seed: seed}}, rule{Name: "else"})
		for range calls {
			name := s.Take("org_a", any1).Name
			if name == "lucky" {
				used++
			}
			which = append(which, name)
		}
		return used, which
	}
	used, which := draw(7)
	if used < calls*18/100 || used > calls*22/100 {
		t.Errorf("used %d of %d times, want about a fifth", used, calls)
	}
	if _, again := draw(7); !slices.Equal(again, which) {
		t.Error("the same seed drew other lots")
	}
	if _, other := draw(8); slices.Equal(other, which) {
		t.Error("another seed drew the same lots")
	}
}

func TestInvalidRulesChangeNothing(t *testing.T) {
	t.Parallel()

	s := rules(t, rule{Name: "old"})
	for _, c := range []script.Cue{
		{Status: 42}, {Status: 600}, {DelayMS: -1}, {Times: -1}, {Chance: -0.1}, {Chance: 1.1}, {Chance: math.NaN()},
	} {
		if err := s.Set([]rule{{Cue: c}}); !errors.Is(err, script.ErrCue) {
			t.Errorf("%+v: err = %v, want ErrCue", c, err)
		}
	}
	if got := s.Take("org_a", any1).Name; got != "old" {
		t.Errorf("rule %q, want old", got)
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (script.Cue{DelayMS: 3_600_000}).Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want Canceled", err)
	}
}
