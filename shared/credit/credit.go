// Package credit says what AI use costs, how much a plan allows, and how a
// price is held back before a model is called.
//
// A price is reserved before the call and settled with the answer, or released
// without one:
//
//	remaining ──reserve──▶ reserved ──settle──▶ used
//	    ▲                      │
//	    └───────release────────┘
//
// The balance of a month knows only what remains. What is reserved stands in
// the record of the run, and what is used in the tally of the agent, so that a
// credit is always in exactly one place and moves between two of them in one
// transaction. The sum of the tallies is what was used, by agent and by model.
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

// Price returns what one answer costs, in credits; 0 for no tier.
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

// MaxTokens returns about how many tokens an answer and its question may have.
func (t Tier) MaxTokens() int {
	if t == Quick {
		return 2000
	}
	return 8000
}

// A Plan is what an organization has bought.
type Plan string

// The plans.
const (
	Starter Plan = "starter"
	Growth  Plan = "growth"
	Scale   Plan = "scale"
)

// Known reports whether p is a plan.
func (p Plan) Known() bool { return p.Allocation() > 0 }

// Allocation returns the credits of a month.
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

// Unused returns the balance of a month in which nothing was taken.
func (p Plan) Unused(m Month) Balance {
	return Balance{Month: m, Allocation: p.Allocation(), Remaining: p.Allocation()}
}

// ActiveAgents returns how many custom agents may be active, and whether there
// is a limit.
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

// Start returns when the month begins; zero for what is no month.
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
	Month  Month `json:"month"` // whose balance it was taken from
	Tier   Tier  `json:"tier"`
	Amount int64 `json:"amount"`
	Low    Low   `json:"low,omitzero"` // the thresholds that it reached
}

// A Balance is how an organization stands in a month.
type Balance struct {
	Month      Month
	Allocation int64
	Remaining  int64 // without what is reserved; negative after a smaller plan
	Told       Marks // the thresholds that a hold has reached
	Updated    time.Time
}
