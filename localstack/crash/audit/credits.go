package audit

import (
	"maps"
	"math"
)

// prices are what an answer costs.
func prices() map[string]int {
	return map[string]int{"quick": 5, "standard": 20, "premium": 100, "expert": 200}
}

// credits checks the balances against what the runs say they used.
func (a *auditor) credits(o *index) {
	for _, c := range append(o.Balances, o.Credits) {
		if c.Remaining < 0 || c.Used > c.Allocation || c.Used+c.Remaining > c.Allocation {
			a.note(CreditsAddUp, o.Name, "", "used %d and remaining %d of %d", c.Used, c.Remaining, c.Allocation)
			break
		}
	}
	price, agents, models, all := prices(), map[string]int{}, map[string]int{}, 0
	for _, r := range o.Runs {
		sum := 0
		for _, s := range r.Steps {
			model, want := o.steps[r.Agent+":"+s.ID].Model, 0
			if s.Type == "ai_reason" && s.Status == "completed" {
				want = price[model]
			}
			if s.Credits != want {
				a.note(CreditsAddUp, o.Name, r.ID, "step %s (%s %s, %s) cost %d, want %d", s.ID, s.Type, model, s.Status, s.Credits, want)
			}
			sum += s.Credits
			if s.Credits != 0 {
				models[model] += s.Credits
			}
		}
		if sum != r.Credits {
			a.note(CreditsAddUp, o.Name, r.ID, "it cost %d, and its steps %d", r.Credits, sum)
		}
		all += r.Credits
		if r.Credits != 0 {
			agents[r.Agent] += r.Credits
		}
	}
	c := o.Credits
	if c.Used != all || c.Remaining != c.Allocation-all {
		a.note(CreditsAddUp, o.Name, "", "used %d and remaining %d of %d, and the runs used %d", c.Used, c.Remaining, c.Allocation, all)
	}
	if got := positive(c.Agents); !maps.Equal(got, agents) {
		a.note(CreditsAddUp, o.Name, "", "by agent %v, and the runs of each used %v", got, agents)
	}
	if got := positive(c.Models); !maps.Equal(got, models) {
		a.note(CreditsAddUp, o.Name, "", "by model %v, and the steps of each used %v", got, models)
	}
	a.stats(o, agents)
}

func positive(sums map[string]int) map[string]int {
	out := map[string]int{}
	for name, n := range sums {
		if n != 0 {
			out[name] = n
		}
	}
	return out
}

// stats checks what the agents say of their runs.
func (a *auditor) stats(o *index, credits map[string]int) {
	for _, g := range o.Agents {
		runs, completed, failed := 0, 0, 0
		for _, r := range o.Runs {
			if r.Agent != g.ID || !ended(r.Status) {
				continue
			}
			runs++
			switch r.Status {
			case "completed":
				completed++
			case "failed":
				failed++
			}
		}
		if g.Stats.Runs != runs || g.Stats.Credits != credits[g.ID] {
			a.note(CreditsAddUp, o.Name, "", "%s says %d runs and %d credits, and there are %d and %d", g.ID, g.Stats.Runs, g.Stats.Credits, runs, credits[g.ID])
		}
		if n := completed + failed; n > 0 && (g.Stats.Rate == nil || math.Abs(*g.Stats.Rate-float64(completed)/float64(n)) > 0.001) {
			a.note(CreditsAddUp, o.Name, "", "%s has a rate other than %d of %d", g.ID, completed, n)
		}
	}
}
