// Package limit bounds the requests of a minute.
//
// Every person has a pot of permits for each minute, and all keys of an
// organization share one. A request spends one permit of its caller's pot, after
// the caller's right was checked. Acts of security have a reserve: when the pot is
// empty, they spend permits of a small pot that their caller shares with no one,
// so that the requests of others never delay them.
//
// An instance of a function leases permits from the store in blocks. Its first
// block is a hundredth of the permits and each further one twice as large, up to a
// tenth: a busy instance asks the store seldom, and an idle one holds few permits.
// A minute costs the store about a dozen writes for each busy instance and pot and
// one for each other, regardless of the number of requests. Permits that an
// instance leased and did not spend are lost when the minute ends: a caller may be
// refused a little early, but never gets more requests than its limit.
//
// While the store fails, each instance admits as many requests as the pot has
// permits, so that our fault refuses no caller within its limit, and no caller is
// without a limit.
//
// Requests without a caller are counted by address; see Addresses.
package limit

import (
	"context"
	"sync"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
)

// The faults of this package.
var (
	// ErrLimited says that the caller's pot has no permit left in this minute.
	ErrLimited = fault.New(fault.Limited, "rate_limited", "Too many requests in this minute; wait until it is over.")

	// ErrAddress says that an address sent too many requests without a valid
	// credential or the right for them.
	ErrAddress = fault.New(fault.Limited, "rate_limited",
		"Too many requests without a valid credential or permission came from this address in this minute; wait until it is over.")
)

// A Pot has a number of permits in each minute. It belongs to one person, to all
// keys of an organization, or, as a reserve, to one person or one key.
type Pot struct {
	Org   id.Org
	User  id.User // of a person's pot
	Key   id.Key  // of a key's reserve
	Spare bool    // the pot is a reserve
	Limit int     // permits of a minute
}

// Rates are the permits of a minute in each pot.
type Rates struct {
	User int // of a person
	Keys int // of all keys of an organization
}

// Reserve is the number of acts of security that a person or a key may do in a
// minute after its pot is empty.
const Reserve = 30

// Pot returns the pot from which a caller takes its permits.
func (r Rates) Pot(who caller.Caller) Pot {
	if who.Human() {
		return Pot{Org: who.Org, User: who.User, Limit: r.User}
	}
	return Pot{Org: who.Org, Limit: r.Keys}
}

// Reserve returns the caller's pot for acts of security.
func (r Rates) Reserve(who caller.Caller) Pot {
	return Pot{Org: who.Org, User: who.User, Key: who.Key, Spare: true, Limit: Reserve}
}

// Store leases permits.
type Store interface {
	// Lease takes a block of the permits that the pot has in the minute that begins
	// at minute, or the rest of them. It returns the number that it took, and the
	// number that all instances have taken, these included. Concurrent leases never
	// take more than the pot's limit together.
	Lease(ctx context.Context, p Pot, minute time.Time, block int) (granted, used int, err error)
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
	Rates  Rates
	Now    func() time.Time
	Report func(context.Context, error) // receives failures of the store

	mu     sync.Mutex
	minute time.Time // the minute of the shares
	shares map[Pot]*share
}

// A share is a pot's minute as one instance knows it.
type share struct {
	mu   sync.Mutex // held during a lease, so that only one goroutine leases
	left int        // permits leased and not spent
	used int        // permits leased by all instances
	lent int        // permits granted while the store failed
	out  bool       // the store had no permits left

	leases int // number of leases by this instance
}

const (
	most     = 10_000      // pots in the memory of an instance
	patience = time.Second // that a request waits for the store
)

// Take spends a permit of the caller's pot.
func (l *Limiter) Take(ctx context.Context, who caller.Caller) Verdict {
	return l.take(ctx, l.Rates.Pot(who))
}

// Spare spends a permit of the caller's reserve.
func (l *Limiter) Spare(ctx context.Context, who caller.Caller) Verdict {
	return l.take(ctx, l.Rates.Reserve(who))
}

func (l *Limiter) take(ctx context.Context, p Pot) Verdict {
	s, minute, now := l.share(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 && !s.out {
		l.lease(ctx, s, p, minute)
	}
	v := Verdict{Limit: p.Limit, Reset: minute.Add(time.Minute), Allowed: s.left > 0}
	v.Wait = v.Reset.Sub(now)
	if s.left > 0 {
		s.left--
	}
	v.Remaining = max(0, p.Limit-s.used) + s.left
	return v
}

// share returns the pot's share of the current minute.
func (l *Limiter) share(p Pot) (s *share, minute, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.Now()
	minute = now.UTC().Truncate(time.Minute)
	if !minute.Equal(l.minute) || l.shares == nil {
		l.minute, l.shares = minute, make(map[Pot]*share)
	}
	if l.shares[p] == nil {
		forget(l.shares)
		l.shares[p] = &share{}
	}
	return l.shares[p], minute, now
}

// forget drops entries to make room for one more. The leased permits of a pot are
// then lost, as if another instance held them.
func forget[K comparable, V any](entries map[K]V) {
	for k := range entries {
		if len(entries) < most {
			return
		}
		delete(entries, k)
	}
}

// lease leases another block. When the store fails, the instance lends itself the
// block, up to the permits of the pot in a minute.
func (l *Limiter) lease(ctx context.Context, s *share, p Pot, minute time.Time) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	block := Block(p.Limit, s.leases)
	s.leases++
	granted, used, err := l.Store.Lease(bounded, p, minute, block)
	if err != nil {
		l.Report(ctx, err)
		s.left = Grant(s.lent, block, p.Limit)
		s.lent += s.left
		s.used = min(s.used+s.left, p.Limit)
		return
	}
	s.left, s.used, s.out = granted, used, granted == 0
}
