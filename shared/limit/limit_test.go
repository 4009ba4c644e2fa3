package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

func (s *shelf) Lease(_ context.Context, org id.Org, minute time.Time, block, most int) (granted, used int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		return 0, 0, s.err
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	key := fmt.Sprint(org, minute)
	granted = limit.Grant(s.taken[key], block, most)
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

func limiter(s limit.Store, most int, c *clock) *limit.Limiter {
	return &limit.Limiter{Store: s, Limit: most, Now: c.now, Report: func(context.Context, error) {}}
}

func TestAMinuteHasItsPermitsAndTheNextHasThemAgain(t *testing.T) {
	t.Parallel()

	s, c := &shelf{}, at(1)
	l := limiter(s, 100, c)
	for minute := range 2 {
		for n := range 105 {
			v := l.Take(t.Context(), "org_a")
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
	if v := l.Take(t.Context(), "org_b"); !v.Allowed || v.Remaining != 99 {
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
						v := l.Take(t.Context(), "org_a")
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

func TestARequestIsAdmittedWhenTheStoreFails(t *testing.T) {
	t.Parallel()

	s, c := &shelf{err: errors.New("no table")}, at(1)
	var told []error
	l := limiter(s, 10, c)
	l.Report = func(_ context.Context, err error) { told = append(told, err) }
	for range 20 {
		if v := l.Take(t.Context(), "org_a"); !v.Allowed || v.Remaining < 0 {
			t.Fatalf("%+v", v)
		}
	}
	if len(told) != 20 || !errors.Is(told[0], s.err) {
		t.Errorf("%d reports: %v", len(told), told)
	}
	s.err = nil
	for n := range 12 {
		if v := l.Take(t.Context(), "org_a"); v.Allowed != (n < 10) {
			t.Errorf("request %d once the store is back: %+v", n, v)
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
			if l.Take(t.Context(), id.Org(fmt.Sprint("org_", n))).Allowed {
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
			if v := l.Take(t.Context(), "org_a"); !v.Allowed {
				t.Fatalf("instance %d refused: %+v", n, v)
			}
		}
	}
}
