// Package limit bounds how many requests an organization sends in a minute.
//
// A minute of an organization has so many permits, one a request. An instance
// of a function does not ask the store for each: it leases a block and spends it
// on its own. Its first block is a hundredth of the permits and each further one
// twice as large, up to a tenth: an instance that answers much asks seldom, and
// one that answers little holds little. A minute costs the store about a dozen
// writes for each busy instance and one for each other, however many requests
// come. What an instance leased and did not spend is lost when the minute ends;
// an organization may be refused a little early, but never gets more than it may.
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

// Store gives permits away.
type Store interface {
	// Lease takes a block of the limit permits that the organization has in the
	// minute that begins then, or as many as are left, and returns how many it
	// took and how many have been taken by everybody, these included. However
	// many lease at once, they never take more than limit together.
	Lease(ctx context.Context, org id.Org, minute time.Time, block, limit int) (granted, used int, err error)
}

// Grant is the rule of every store: how much of a block may be taken when this
// much was taken before.
func Grant(used, block, limit int) int { return max(0, min(block, limit-used)) }

// Block returns how many permits an instance leases that has leased this often
// in the minute.
func Block(limit, leases int) int {
	const doublings = 4 // by then it is beyond a tenth
	return max(1, min(limit/10, max(1, limit/100)<<min(leases, doublings)))
}

// A Verdict is what became of one request.
type Verdict struct {
	Allowed bool
	Limit   int // permits of a minute

	// Remaining is how many permits are left. What other instances hold counts
	// as spent; what they have leased since this one last asked is not known.
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
	Report func(context.Context, error) // is told what the store could not do

	mu     sync.Mutex
	minute time.Time // the one that shares are of
	shares map[id.Org]*share
}

// A share is what an instance knows of an organization's minute.
type share struct {
	mu   sync.Mutex // held while the store is asked, so that it is asked once
	left int        // permits that were leased and not spent
	used int        // permits that anybody has leased
	out  bool       // whether the store had none left

	leases int // how often this instance has leased
}

const (
	most     = 10_000      // organizations that an instance remembers
	patience = time.Second // that a request waits for the store
)

// Take spends a permit of the organization. When the store fails the request is
// let through: nobody is refused because we cannot count.
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

// share returns what is known of the organization's minute, and of no other.
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

// forget makes room for one more organization. What is forgotten was leased and
// is lost, as if another instance had it.
func (l *Limiter) forget() {
	for org := range l.shares {
		if len(l.shares) < most {
			return
		}
		delete(l.shares, org)
	}
}

// lease asks the store for another block and reports whether it answered.
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
