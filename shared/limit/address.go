package limit

import (
	"sync"
	"time"
)

// Addresses bounds the requests that one address sends without a caller who has
// the right for them: to open and unknown paths, with an invalid credential, or
// without permission. A request of a caller with the right is never counted or
// refused here, so that strangers cannot keep the people at their address out.
//
// The count is in the memory of one instance: it costs no write, which a stranger
// could cause, and the bound holds for each instance. The limits of the API's
// stage bound all instances together. Addresses is safe for concurrent use.
type Addresses struct {
	Limit int // requests of a minute
	Now   func() time.Time

	mu     sync.Mutex
	minute time.Time
	counts map[string]int
}

// Take counts a request from an address, in the form that counts as one.
func (a *Addresses) Take(from string) Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Now()
	minute := now.UTC().Truncate(time.Minute)
	if !minute.Equal(a.minute) || a.counts == nil {
		a.minute, a.counts = minute, make(map[string]int)
	}
	if _, known := a.counts[from]; !known {
		forget(a.counts)
	}
	count := a.counts[from]
	v := Verdict{Allowed: count < a.Limit, Limit: a.Limit, Reset: minute.Add(time.Minute)}
	v.Wait = v.Reset.Sub(now)
	if v.Allowed {
		count++
	}
	a.counts[from] = count
	v.Remaining = a.Limit - count
	return v
}
