// Package limit bounds the requests that an organization sends in a minute.
//
// An organization has a number of permits for each minute, one for each
// request. An instance of a function leases permits from the store in blocks.
// Its first block is a hundredth of the permits and each further one twice as
// large, up to a tenth: a busy instance asks the store seldom, and an idle one
// holds few permits. A minute costs the store about a dozen writes for each
// busy instance and one for each other, regardless of the number of requests.
// Permits that an instance leased and did not spend are lost when the minute
// ends: an organization may be refused a little early, but never gets more
// requests than its limit.
package limit

import (
	"context"
	"sync"
	"time"

	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// ErrLimited says that the organization has no permit left in this minute.
var ErrLimited = fault.New(fault.Limited, "rate_limited", "The organization has sent too many requests in this minute; wait until it is over.")

// Store leases permits.
type Store interface {
	// Lease takes a block of the limit permits that the organization has in the
	// minute that begins at minute, or the rest of them. It returns the number
	// that it took, and the number that all instances have taken, these
	// included. Concurrent leases never take more than limit together.
	Lease(ctx context.Context, org id.Org, minute time.Time, block, limit int) (granted, used int, err error)
}

// Grant is the rule of every store: how many permits of a block may be taken
// after used permits were taken before.
func Grant(used, block, limit int) int { return max(0, min(block, limit-used)) }

// Block returns the size of an instance's next block, when the instance has
// leased this many blocks in the minute.
func Block(limit, leases int) int {
	const doublings = 4 // more doublings exceed a tenth
	return max(1, min(limit/10, max(1, limit/100)<<min(leases, doublings)))
}

// A Verdict is the decision about one request.
type Verdict struct {
	Allowed bool
	Limit   int // permits of a minute

	// Remaining is the number of permits left. Permits that other instances
	// leased count as spent; their leases since the last lease of this instance
	// are unknown.
	Remaining int

	Reset time.Time // when the minute ends
	Wait  time.Duration
}

// A Limiter counts the requests that one instance answers. It is safe for
// concurrent use.
type Limiter struct {
	Store  Store
	Limit  int // permits of a minute
	Now    func() time.Time
	Report func(context.Context, error) // receives failures of the store

	mu     sync.Mutex
	minute time.Time // the minute of the shares
	shares map[id.Org]*share
}

// A share is an organization's minute as one instance knows it.
type share struct {
	mu   sync.Mutex // held during a lease, so that only one goroutine leases
	left int        // permits leased and not spent
	used int        // permits leased by all instances
	out  bool       // the store had no permits left

	leases int // number of leases by this instance
}

const (
	most     = 10_000      // organizations in the memory of an instance
	patience = time.Second // that a request waits for the store
)

// Take spends a permit of the organization. When the store fails, Take admits
// the request: our fault must not refuse a caller.
func (l *Limiter) Take(ctx context.Context, org id.Org) Verdict {
	s, minute, now := l.share(org)
	s.mu.Lock()
	defer s.mu.Unlock()
	open := false
	if s.left == 0 && !s.out {
		open = !l.lease(ctx, s, org, minute)
	}
	v := Verdict{Limit: l.Limit, Reset: minute.Add(time.Minute), Allowed: open || s.left > 0}
	v.Wait = v.Reset.Sub(now)
	if s.left > 0 {
		s.left--
	}
	v.Remaining = max(0, l.Limit-s.used) + s.left
	return v
}

// share returns the organization's share of the current minute.
func (l *Limiter) share(org id.Org) (s *share, minute, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.Now()
	minute = now.UTC().Truncate(time.Minute)
	if !minute.Equal(l.minute) || l.shares == nil {
		l.minute, l.shares = minute, make(map[id.Org]*share)
	}
	if l.shares[org] == nil {
		l.forget()
		l.shares[org] = &share{}
	}
	return l.shares[org], minute, now
}

// forget drops shares to make room for one more organization. Their leased
// permits are lost, as if another instance held them.
func (l *Limiter) forget() {
	for org := range l.shares {
		if len(l.shares) < most {
			return
		}
		delete(l.shares, org)
	}
}

// lease leases another block, and reports whether the store answered.
func (l *Limiter) lease(ctx context.Context, s *share, org id.Org, minute time.Time) bool {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	granted, used, err := l.Store.Lease(bounded, org, minute, Block(l.Limit, s.leases), l.Limit)
	if err != nil {
		l.Report(ctx, err)
		return false
	}
	s.left, s.used, s.out = granted, used, granted == 0
	s.leases++
	return true
}
