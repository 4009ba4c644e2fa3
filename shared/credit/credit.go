// Package credit defines the price of AI answers, the allocation of each plan,
// and the reservation of credits before a model is called.
//
// A price is reserved before the call and settled with the answer, or released
// without one:
//
//	remaining ──reserve──▶ reserved ──settle──▶ charged ──sum──▶ used
//	    ▲                      │
//	    └───────release────────┘
//
// The balance of a month records the remaining credits, the run's record the reserved
// and the charged. A credit is therefore always in exactly one place: it moves between
// balance and run in one transaction, and within the run in one write. The agent's
// statistics are a sum of the charged, by month and by tier. They follow by about a
// second (package tally), and never have a credit that was not charged. So the credits
// that neither remain nor are used are reserved, or charged and not yet summed.
package credit

import (
	"time"

	"theoneagents.app/agents/shared/fault"
)

// ErrInsufficient refuses to spend more than the plan allows.
var ErrInsufficient = fault.New(fault.Unpaid, "credit_insufficient", "The organization has too few credits left this month.")

// A Tier is a class of models.
type Tier string

// The tiers.
const (
	Quick    Tier = "quick"
	Standard Tier = "standard"
	Premium  Tier = "premium"
	Expert   Tier = "expert"
)

// Tiers returns all tiers, the cheapest first.
func Tiers() []Tier { return []Tier{Quick, Standard, Premium, Expert} }

// Price returns the price of one answer in credits; 0 for an unknown tier.
func (t Tier) Price() int64 {
	switch t {
	case Quick:
		return 5
	case Standard:
		return 20
	case Premium:
		return 100
	case Expert:
		return 200
	}
	return 0
}

// MaxTokens returns the approximate token limit of question and answer.
func (t Tier) MaxTokens() int {
	if t == Quick {
		return 2000
	}
	return 8000
}

// MaxInput returns the limit of a question in bytes: prompt, system prompt, schema
// and values. A token is taken as four bytes, about the mean of English text.
func (t Tier) MaxInput() int {
	const bytesPerToken = 4
	return bytesPerToken * t.MaxTokens()
}

// A Plan is the plan of an organization.
type Plan string

// The plans.
const (
	Starter Plan = "starter"
	Growth  Plan = "growth"
	Scale   Plan = "scale"
)

// Known reports whether p is a plan.
func (p Plan) Known() bool { return p.Allocation() > 0 }

// Allocation returns the credits per month.
func (p Plan) Allocation() int64 {
	switch p {
	case Starter:
		return 20_000
	case Growth:
		return 100_000
	case Scale:
		return 300_000
	}
	return 0
}

// Unused returns the balance of a month without any use.
func (p Plan) Unused(m Month) Balance {
	return Balance{Month: m, Allocation: p.Allocation(), Remaining: p.Allocation()}
}

// ActiveAgents returns the limit of active custom agents, and whether the plan
// has one.
func (p Plan) ActiveAgents() (n int, limited bool) {
	switch p {
	case Starter:
		return 5, true
	case Growth:
		return 25, true
	case Scale:
		return 0, false
	}
	return 0, true
}

// A Month is a calendar month in UTC, like "2026-03".
type Month string

// MonthOf returns the month of t.
func MonthOf(t time.Time) Month { return Month(t.UTC().Format("2006-01")) }

// Start returns the beginning of the month; zero for an invalid month.
func (m Month) Start() time.Time {
	t, err := time.Parse("2006-01", string(m))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Before returns the month n months earlier.
func (m Month) Before(n int) Month {
	t, err := time.Parse("2006-01", string(m))
	if err != nil {
		return m
	}
	return MonthOf(t.AddDate(0, -n, 0))
}

// A Hold is a price that is reserved or charged.
type Hold struct {
	Month  Month `json:"month"` // of the balance it was taken from
	Tier   Tier  `json:"tier"`
	Amount int64 `json:"amount"`
	Low    Low   `json:"low,omitzero"` // thresholds that it was the first to reach
}

// A Balance holds the credits of an organization in a month.
type Balance struct {
	Month      Month
	Allocation int64
	Remaining  int64 // without reserved credits; negative after a change to a smaller plan
	Announced  Marks // thresholds that holds have reached
	Grace      Grace // of refused answers; see Forgive
	Updated    time.Time
}
