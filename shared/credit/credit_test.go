package credit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
)

func TestATierHasItsPrice(t *testing.T) {
	t.Parallel()

	got := map[credit.Tier]int64{}
	for _, tier := range append(credit.Tiers(), "", "QUICK", "ultra") {
		got[tier] = tier.Price()
	}
	want := map[credit.Tier]int64{"quick": 5, "standard": 20, "premium": 100, "expert": 200, "": 0, "QUICK": 0, "ultra": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prices -want +got:\n%s", diff)
	}
	for i, tier := range credit.Tiers()[1:] {
		if tier.Price() <= credit.Tiers()[i].Price() {
			t.Errorf("%s is not dearer than %s", tier, credit.Tiers()[i])
		}
	}
	if q, s, e := credit.Quick.MaxTokens(), credit.Standard.MaxTokens(), credit.Expert.MaxTokens(); q != 2000 || s != 8000 || e != 8000 {
		t.Errorf("tokens %d, %d, %d; want 2000, 8000, 8000", q, s, e)
	}
}

func TestAPlanHasItsLimits(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		plan       credit.Plan
		known      bool
		allocation int64
		agents     int
		limited    bool
	}{
		"starter":           {credit.Starter, true, 20_000, 5, true},
		"growth":            {credit.Growth, true, 100_000, 25, true},
		"scale":             {credit.Scale, true, 300_000, 0, false},
		"no plan":           {"", false, 0, 0, true},
		"an unknown plan":   {"enterprise", false, 0, 0, true},
		"a plan in capital": {"Growth", false, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			agents, limited := tc.plan.ActiveAgents()
			if tc.plan.Known() != tc.known || tc.plan.Allocation() != tc.allocation || agents != tc.agents || limited != tc.limited {
				t.Errorf("%q: known %t, %d credits, %d agents (limited: %t)",
					tc.plan, tc.plan.Known(), tc.plan.Allocation(), agents, limited)
			}
		})
	}
}

func TestAMonthIsACalendarMonthInUTC(t *testing.T) {
	t.Parallel()

	berlin := time.FixedZone("CET", 3600)
	for name, tc := range map[string]struct {
		at   time.Time
		want credit.Month
	}{
		"the first moment":                         {time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "2026-03"},
		"the last moment":                          {time.Date(2026, 3, 31, 23, 59, 59, 999, time.UTC), "2026-03"},
		"the first hour of a month east of London": {time.Date(2026, 4, 1, 0, 30, 0, 0, berlin), "2026-03"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := credit.MonthOf(tc.at); got != tc.want {
				t.Errorf("MonthOf(%v) = %s, want %s", tc.at, got, tc.want)
			}
		})
	}
	for name, tc := range map[string]struct {
		of   credit.Month
		n    int
		want credit.Month
	}{
		"the same":                {"2026-03", 0, "2026-03"},
		"the one before":          {"2026-03", 1, "2026-02"},
		"over the turn of a year": {"2026-01", 1, "2025-12"},
		"a year before":           {"2026-03", 12, "2025-03"},
		"eleven months before":    {"2026-03", 11, "2025-04"},
		"after a long one":        {"2026-05", 3, "2026-02"},
		"of an invalid month":     {"March", 1, "March"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := tc.of.Before(tc.n); got != tc.want {
				t.Errorf("%s.Before(%d) = %s, want %s", tc.of, tc.n, got, tc.want)
			}
		})
	}
}

func TestTheSumsOfUseAgree(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		tiers := rapid.MapOf(rapid.SampledFrom(credit.Tiers()), rapid.Int64Range(0, 1_000_000))
		used := credit.Used(rapid.MapOf(
			rapid.Map(rapid.SampledFrom([]string{"a", "b", "c", "d"}), func(s string) id.Agent { return id.Agent("agent_" + s) }), tiers,
		).Draw(t, "used"))
		var agents, models int64
		for a, n := range used.ByAgent() {
			if n <= 0 {
				t.Errorf("%s is listed with %d", a, n)
			}
			agents += n
		}
		for _, n := range used.ByTier() {
			models += n
		}
		if total := used.Total(); total != agents || total != models {
			t.Errorf("total %d, by agent %d, by model %d", total, agents, models)
		}
		if len(used.ByTier()) != len(credit.Tiers()) {
			t.Errorf("by model has %v, want every tier", used.ByTier())
		}
	})
}

func TestWithoutUseEveryTierIsZero(t *testing.T) {
	t.Parallel()

	var none credit.Used
	if diff := cmp.Diff(map[credit.Tier]int64{"quick": 0, "standard": 0, "premium": 0, "expert": 0}, none.ByTier()); diff != "" {
		t.Error(diff)
	}
	if none.Total() != 0 || len(none.ByAgent()) != 0 {
		t.Errorf("total %d, by agent %v", none.Total(), none.ByAgent())
	}
}
