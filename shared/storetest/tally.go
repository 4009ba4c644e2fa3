package storetest

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tally"
	"theoneagents.app/agents/shared/tenant"
)

// aContribution returns the end of a run, written some time after day.
func aContribution(o id.Org, n int, after time.Duration) execution.Contribution {
	at := day().Add(after)
	return execution.Contribution{
		Org: o, Agent: "agent_1", Run: id.Execution(fmt.Sprintf("exec_%d", n)), Revision: 4, At: at,
		StatsDelta: execution.StatsDelta{Runs: 1, Completed: 1, Duration: time.Second, LastRun: at},
	}
}

// statsOf returns the statistics of agent_1.
func statsOf(t trial, s Store, o id.Org) agent.Stats {
	t.Helper()
	stats, err := s.Stats(t.Context(), o)
	ok(t, err)
	return stats["agent_1"]
}

// summed adds the contribution of the last change of a run, as the function tally does.
func summed(t trial, s Store, x execution.Execution) {
	t.Helper()
	c, adds, err := s.Contribution(t.Context(), x.Org, x.ID)
	ok(t, err)
	same(t, "the run has a contribution", adds, true)
	c.At = day()
	ok(t, s.AddStats(t.Context(), c.Org, c.Agent, []execution.Contribution{c}))
}

// addedOnce adds contributions and their repeats in shares of a size, and checks the
// number of runs.
func addedOnce(t trial, s Store, o id.Org, all []execution.Contribution, size, want int) {
	t.Helper()
	for part := range slices.Chunk(all, size) {
		ok(t, s.AddStats(t.Context(), o, "agent_1", part))
	}
	same(t, "runs", statsOf(t, s, o).Runs, int64(want))
}

func statistics() []promise {
	return []promise{
		{"the record of a run has what its last change adds, and only that", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			x := committed(t, s, holding(t, s, aRun(o, "agent_1", 1), 20))
			_, adds, err := s.Contribution(t.Context(), o, x.ID)
			ok(t, err)
			same(t, "a reservation adds", adds, false)
			answered := execution.Steps{"think": {ID: "think", Charge: &credit.Hold{}}}
			parking := x.Parked(x.Started.Add(time.Hour)).Park(answered)
			x = committed(t, s, parking)
			got, adds, err := s.Contribution(t.Context(), o, x.ID)
			ok(t, err)
			want, _ := parking.Contribution()
			same(t, "parking adds", adds, true)
			same(t, "the contribution", got, want)
			x, _ = x.Leased("owner", 0, x.Started.Add(time.Hour))
			x = committed(t, s, execution.Change{Execution: x})
			_, adds, err = s.Contribution(t.Context(), o, x.ID)
			ok(t, err)
			same(t, "a lease adds", adds, false)
			ending := x.End(func(x execution.Execution) execution.Execution {
				return x.Fail(execution.Failure{Code: "product_error"}, x.Started.Add(2*time.Hour))
			}, answered, false)
			committed(t, s, ending)
			got, adds, err = s.Contribution(t.Context(), o, x.ID)
			ok(t, err)
			want, _ = ending.Contribution()
			same(t, "the end adds", adds, true)
			same(t, "the contribution", got, want)
		}},
		{"contributions are added once each, however they are repeated, split and mixed by racing workers", func(t trial, s Store) {
			o := anOrg()
			var all []execution.Contribution
			for n := range racers {
				all = append(all, aContribution(o, n, time.Duration(n)*time.Second))
			}
			race(t, racers, nil, func(i int) error {
				from := i * 7 % racers
				return s.AddStats(t.Context(), o, "agent_1", slices.Concat(all[from:], all[:from], all[:5])[:1+i])
			})
			ok(t, s.AddStats(t.Context(), o, "agent_1", all))
			want := agent.Stats{
				Runs: racers, Completed: racers, Duration: racers * time.Second, LastRun: day().Add((racers - 1) * time.Second),
			}
			got := statsOf(t, s, o)
			want.Credits = got.Credits
			same(t, "stats", got, want)
		}},
		{"a contribution that is late by hours is added once", func(t trial, s Store) {
			o := anOrg()
			var early, late []execution.Contribution
			for n := range 150 { // more than statistics remember beside their counters
				early = append(early, aContribution(o, n, time.Duration(n)*10*time.Minute))
			}
			addedOnce(t, s, o, early, 40, 150)
			for n := range 50 {
				late = append(late, aContribution(o, 1000+n, time.Duration(n)*30*time.Minute+7*time.Second))
			}
			addedOnce(t, s, o, late, 13, 200)
			slices.Reverse(late)
			addedOnce(t, s, o, slices.Concat(late, early), 60, 200)
			addedOnce(t, s, o, slices.Concat(early[100:], late), 1, 200)
		}},
		{"a repeat that is later than any delivery is not added", func(t trial, s Store) {
			o := anOrg()
			first := aContribution(o, 1, 0)
			addedOnce(t, s, o, []execution.Contribution{first}, 1, 1)
			for n := range 100 {
				ok(t, s.AddStats(t.Context(), o, "agent_1", []execution.Contribution{aContribution(o, 2+n, tally.Kept+time.Duration(n+1)*time.Hour)}))
			}
			addedOnce(t, s, o, []execution.Contribution{first}, 1, 101)
		}},
		{"statistics keep months and tiers apart, for more than a year", func(t trial, s Store) {
			o := anOrg()
			want := map[credit.Month]map[credit.Tier]int64{}
			for n := 12; n >= 0; n-- {
				m := month.Before(n)
				want[m] = make(map[credit.Tier]int64)
				c := execution.Contribution{Org: o, Agent: "agent_1", Run: "exec_1", Revision: int64(20 - n), At: day()}
				for _, tier := range credit.Tiers() {
					c.Used = append(c.Used, credit.Hold{Month: m, Tier: tier, Amount: tier.Price()})
					want[m][tier] = tier.Price()
				}
				ok(t, s.AddStats(t.Context(), o, "agent_1", []execution.Contribution{c}))
			}
			got := statsOf(t, s, o)
			same(t, "credits", got.Credits, want)
			same(t, "runs", got.Runs, 0)
		}},
		{"a run that ended before another does not set back the time of the last one", func(t trial, s Store) {
			o := anOrg()
			addedOnce(t, s, o, []execution.Contribution{aContribution(o, 1, time.Hour)}, 1, 1)
			addedOnce(t, s, o, []execution.Contribution{aContribution(o, 2, time.Minute)}, 1, 2)
			same(t, "last run", statsOf(t, s, o).LastRun, day().Add(time.Hour))
		}},
		{"contributions of a deleted organization make no statistics anew", func(t trial, s Store) {
			o := announced(t, s, credit.Starter)
			ok(t, s.BeginErasure(t.Context(), tenant.Erasure{Org: o, Event: "evt_gone", Deleted: day(), Began: day(), Stage: tenant.Stopping, Next: day()}))
			ok(t, s.AddStats(t.Context(), o, "agent_1", []execution.Contribution{aContribution(o, 1, 0)}))
			stats, err := s.Stats(t.Context(), o)
			ok(t, err)
			same(t, "statistics", len(stats), 0)
		}},
	}
}
