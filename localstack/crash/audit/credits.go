package audit

import (
	"maps"
	"math"
)

// prices are the credits of an answer, by model.
func prices() map[string]int {
	return map[string]int{"quick": 5, "standard": 20, "premium": 100, "expert": 200}
}

// credits checks the balances against the credits of the runs.
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
			a.note(CreditsAddUp, o.Name, r.ID, "the run cost %d, but its steps %d", r.Credits, sum)
		}
		all += r.Credits
		if r.Credits != 0 {
			agents[r.Agent] += r.Credits
		}
	}
	c := o.Credits
	if c.Used != all || c.Remaining != c.Allocation-all {
		a.note(CreditsAddUp, o.Name, "", "used %d and remaining %d of %d, but the runs used %d", c.Used, c.Remaining, c.Allocation, all)
	}
	if got := positive(c.Agents); !maps.Equal(got, agents) {
		a.note(CreditsAddUp, o.Name, "", "by agent %v, but the runs of the agents used %v", got, agents)
	}
	if got := positive(c.Models); !maps.Equal(got, models) {
		a.note(CreditsAddUp, o.Name, "", "by model %v, but the steps of the models used %v", got, models)
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

// stats checks the agents' statistics against their runs.
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
			a.note(CreditsAddUp, o.Name, "", "the stats of %s have %d runs and %d credits, but its runs are %d and used %d", g.ID, g.Stats.Runs, g.Stats.Credits, runs, credits[g.ID])
		}
		if n := completed + failed; n > 0 && (g.Stats.Rate == nil || math.Abs(*g.Stats.Rate-float64(completed)/float64(n)) > 0.001) {
			a.note(CreditsAddUp, o.Name, "", "the success rate of %s is not %d of %d", g.ID, completed, n)
		}
	}
}
