package credit

import "theoneagents.app/agents/shared/id"

// Used holds the credits used by agent and tier.
type Used map[id.Agent]map[Tier]int64

// Total returns the sum.
func (u Used) Total() int64 {
	var sum int64
	for _, n := range u.ByAgent() {
		sum += n
	}
	return sum
}

// ByAgent returns the sum for each agent with any use.
func (u Used) ByAgent() map[id.Agent]int64 {
	sums := map[id.Agent]int64{}
	for a, tiers := range u {
		for _, n := range tiers {
			if n != 0 {
				sums[a] += n
			}
		}
	}
	return sums
}

// ByTier returns the sum for each tier, including tiers without use.
func (u Used) ByTier() map[Tier]int64 {
	sums := make(map[Tier]int64, len(Tiers()))
	for _, t := range Tiers() {
		sums[t] = 0
	}
	for _, tiers := range u {
		for t, n := range tiers {
			sums[t] += n
		}
	}
	return sums
}
