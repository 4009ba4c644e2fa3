package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/limit"
)

// shelf is a store that counts its leases.
type shelf struct {
	mu    sync.Mutex
	taken map[string]int
	asked int
	err   error
}

func (s *shelf) Lease(_ context.Context, p limit.Pot, minute time.Time, block int) (granted, used int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		return 0, 0, s.err
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	key := fmt.Sprint(p, minute)
	granted = limit.Grant(s.taken[key], block, p.Limit)
	s.taken[key] += granted
	return granted, s.taken[key], nil
}

// A clock stands still until it is moved.
type clock struct{ ns atomic.Int64 }

func at(seconds int) *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, time.March, 9, 14, 23, seconds, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// person returns a person of the organization.
func person(org id.Org) caller.Caller { return caller.Caller{Org: org, User: "user_1"} }

func limiter(s limit.Store, most int, c *clock) *limit.Limiter {
	return &limit.Limiter{Store: s, Rates: limit.Rates{User: most, Keys: most}, Now: c.now, Report: func(context.Context, error) {}}
}

func TestAMinuteHasItsPermitsAndTheNextHasThemAgain(t *testing.T) {
	t.Parallel()

	s, c := &shelf{}, at(1)
	l := limiter(s, 100, c)
	for minute := range 2 {
		for n := range 105 {
			v := l.Take(t.Context(), person("org_a"))
			if allowed := n < 100; v.Allowed != allowed || v.Remaining != max(0, 99-n) || v.Limit != 100 {
				t.Fatalf("request %d of minute %d: %+v", n, minute, v)
			}
			if want := at(0).now().Add(time.Duration(minute+1) * time.Minute); !v.Reset.Equal(want) || v.Wait != v.Reset.Sub(c.now()) {
				t.Fatalf("reset = %v in %v, want %v", v.Reset, v.Wait, want)
			}
		}
		c.advance(time.Minute)
	}
	if s.asked != 28 {
		t.Errorf("the store was asked %d times for two minutes, want 14 a minute", s.asked)
	}
	if v := l.Take(t.Context(), person("org_b")); !v.Allowed || v.Remaining != 99 {
		t.Errorf("another organization: %+v", v)
	}
}

// Concurrent instances never admit more than the limit together. Each reports
// at most the permits that are left.
func TestConcurrentInstancesNeverAdmitMoreThanTheLimit(t *testing.T) {
	t.Parallel()

	for range 50 {
		most, instances := 1+rand.IntN(200), 1+rand.IntN(8)
		s, c := &shelf{}, at(30)
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range instances {
			l := limiter(s, most, c)
			for range 4 {
				wg.Go(func() {
					for range 100 {
						v := l.Take(t.Context(), person("org_a"))
						if v.Allowed {
							allowed.Add(1)
						}
						if v.Remaining < 0 || v.Remaining >= most {
							t.Errorf("remaining = %d of %d", v.Remaining, most)
						}
					}
				})
			}
		}
		wg.Wait()
		least := min(most-(instances-1)*(limit.Block(most, 100)-1), instances*400)
		if got := int(allowed.Load()); got > most || got < least {
			t.Errorf("%d instances admitted %d, want %d to %d", instances, got, least, most)
		}
	}
}

// While the store fails, an instance admits the limit and no more.
func TestAnInstanceAdmitsTheLimitWhileTheStoreFails(t *testing.T) {
	t.Parallel()

	s, c := &shelf{err: errors.New("no table")}, at(1)
	var told []error
	l := limiter(s, 100, c)
	l.Report = func(_ context.Context, err error) { told = append(told, err) }
	for n := range 120 {
		v := l.Take(t.Context(), person("org_a"))
		if v.Allowed != (n < 100) || v.Remaining < 0 || v.Remaining >= 100 {
			t.Fatalf("request %d: %+v", n, v)
		}
	}
	if blocks := 13; len(told) != blocks+20 || !errors.Is(told[0], s.err) {
		t.Errorf("%d reports, want one for each of %d blocks and each refusal: %v", len(told), blocks, told)
	}
	if v := l.Take(t.Context(), person("org_b")); !v.Allowed {
		t.Errorf("another organization: %+v", v)
	}
	s.err = nil
	for n := range 102 {
		if v := l.Take(t.Context(), person("org_a")); v.Allowed != (n < 100) {
			t.Errorf("request %d once the store is back: %+v", n, v)
		}
	}
	s.err = errors.New("no table again")
	c.advance(time.Minute)
	if v := l.Take(t.Context(), person("org_a")); !v.Allowed {
		t.Errorf("the next minute: %+v", v)
	}
}

// The requests of others never empty a person's pot or the reserve of anyone.
func TestOthersNeverTakeAPersonsPermitsNorTheReserveOfAPersonOrKey(t *testing.T) {
	t.Parallel()

	s, c := &shelf{}, at(1)
	l := limiter(s, 40, c)
	one, two := caller.Caller{Org: "org_a", Key: "key_1"}, caller.Caller{Org: "org_a", Key: "key_2"}
	for range 50 {
		l.Take(t.Context(), one)
		l.Spare(t.Context(), one)
	}
	if l.Take(t.Context(), one).Allowed || l.Take(t.Context(), two).Allowed {
		t.Error("all keys of an organization share one pot")
	}
	if l.Spare(t.Context(), one).Allowed {
		t.Error("a reserve has no bound")
	}
	for range limit.Reserve {
		if !l.Spare(t.Context(), two).Allowed {
			t.Error("one key took the reserve of another")
		}
	}
	for n := range 41 {
		if got := l.Take(t.Context(), person("org_a")).Allowed; got != (n < 40) {
			t.Errorf("request %d of a person: %t", n, got)
		}
	}
	if !l.Spare(t.Context(), person("org_a")).Allowed || !l.Take(t.Context(), caller.Caller{Org: "org_a", User: "user_2"}).Allowed {
		t.Error("one person took the permits of another, or the reserve")
	}
	if !l.Take(t.Context(), caller.Caller{Org: "org_b", User: "user_1"}).Allowed || !l.Take(t.Context(), caller.Caller{Org: "org_b", Key: "key_1"}).Allowed {
		t.Error("one organization took the permits of another")
	}
}

func TestAnAddressHasABoundOfItsOwnInEachMinute(t *testing.T) {
	t.Parallel()

	c := at(1)
	a := &limit.Addresses{Limit: 3, Now: c.now}
	for range 2 {
		for n := range 5 {
			if v := a.Take("198.51.100.7"); v.Allowed != (n < 3) || v.Wait != v.Reset.Sub(c.now()) || v.Remaining != max(0, 2-n) {
				t.Errorf("request %d: %+v", n, v)
			}
		}
		c.advance(time.Minute)
	}
	a.Take("198.51.100.7")
	if v := a.Take("198.51.100.8"); v.Remaining != 2 {
		t.Errorf("another address: %+v", v)
	}
	for n := range 30_000 { // the memory is bounded: this takes no longer than its addresses
		if v := a.Take(strconv.Itoa(n)); !v.Allowed {
			t.Fatalf("address %d: %+v", n, v)
		}
	}
}

func TestAnInstanceRemembersABoundedNumberOfOrganizations(t *testing.T) {
	t.Parallel()

	s, c := &shelf{}, at(1)
	l := limiter(s, 1, c)
	for range 3 {
		allowed := 0
		for n := range 12_000 {
			if l.Take(t.Context(), person(id.Org(fmt.Sprint("org_", n)))).Allowed {
				allowed++
			}
		}
		if want := 12_000; allowed != want && allowed != 0 {
			t.Errorf("%d were allowed, want all at first and none later", allowed)
		}
	}
}

func TestGrantIsBoundedByBlockAndLimit(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct{ used, block, limit, want int }{
		{0, 10, 100, 10}, {95, 10, 100, 5}, {100, 10, 100, 0}, {120, 10, 100, 0}, {0, 1, 1, 1},
	} {
		if got := limit.Grant(tc.used, tc.block, tc.limit); got != tc.want {
			t.Errorf("Grant(%d, %d, %d) = %d, want %d", tc.used, tc.block, tc.limit, got, tc.want)
		}
	}
	for of, want := range map[[2]int]int{
		{1, 0}: 1, {9, 5}: 1, {10, 5}: 1, {100, 0}: 1, {100, 1}: 2, {100, 3}: 8, {100, 4}: 10, {100, 900}: 10,
		{6000, 0}: 60, {6000, 2}: 240, {6000, 4}: 600,
	} {
		if got := limit.Block(of[0], of[1]); got != want {
			t.Errorf("Block(%d, %d) = %d, want %d", of[0], of[1], got, want)
		}
	}
}

func TestManyIdleInstancesRefuseNoRequest(t *testing.T) {
	t.Parallel()

	s, c := &shelf{}, at(1)
	for n := range 60 {
		l := limiter(s, 6000, c)
		for range 20 {
			if v := l.Take(t.Context(), person("org_a")); !v.Allowed {
				t.Fatalf("instance %d refused: %+v", n, v)
			}
		}
	}
}
