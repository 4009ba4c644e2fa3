package main

import "fmt"

// Every function has a part of the account's concurrent executions for itself: it can
// have no more, so that a flood of events or of requests stops at its own function, and
// no less, so that the API, the sweeper and the dispatcher can always work. The parts
// are those of plan, for an account with accountConcurrency.
const (
	accountConcurrency = 1000 // what AWS gives an account
	unreserved         = 100  // what Lambda demands to leave to other functions
	leastConcurrency   = 250  // below it, the parts would be too small to be of use

	// The mappings of the two queues take messages only while the dispatcher has room:
	// a call that Lambda throttles would count as a delivery of its messages.
	undeliveredShare = 5 // of the dispatcher's part
	leastMapping     = 2 // the minimum of Lambda
	loneMapping      = 5 // without parts
)

// A concurrency is the number of concurrent executions of the account; 0 leaves every
// function without a part.
type concurrency int

// check refuses an account that is too small for parts.
func (c concurrency) check() error {
	if c == 0 || c >= leastConcurrency {
		return nil
	}
	return fmt.Errorf("concurrency: want the concurrent executions of the account, %d at least, or 0 to reserve none, got %d", leastConcurrency, c)
}

// part returns the concurrency of a function with this share; 0 means that it has no
// part of its own. A scheduled call may meet the one before it, so the smallest is two.
func (c concurrency) part(share int) int {
	if c == 0 {
		return 0
	}
	return max(2, share*(int(c)-unreserved)/(accountConcurrency-unreserved))
}

// mappings returns the concurrency of the mappings of the events and of the undelivered
// messages, which together have that of the dispatcher.
func (c concurrency) mappings() (events, undelivered int) {
	if c == 0 {
		return loneMapping, leastMapping
	}
	undelivered = max(leastMapping, c.part(undeliveredShare))
	return max(leastMapping, c.part(planned(dispatcher).share)-undelivered), undelivered
}
