package storetest

import (
	"sync/atomic"
	"time"

	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/limit"
)

// aMinute is a minute in which permits are leased.
func aMinute() time.Time { return day().Truncate(time.Minute) }

// leases takes a block of permits of the organization's keys.
func leases(t trial, s Store, o id.Org, block, most int) (granted, used int) {
	t.Helper()
	granted, used, err := s.Lease(t.Context(), limit.Pot{Org: o, Limit: most}, aMinute(), block)
	ok(t, err)
	return granted, used
}

func limits() []promise {
	return []promise{
		{"permits are leased in blocks until none is left", func(t trial, s Store) {
			o := anOrg()
			for i, want := range [][2]int{{4, 4}, {4, 8}, {2, 10}, {0, 10}, {0, 10}} {
				granted, used := leases(t, s, o, 4, 10)
				if got := [2]int{granted, used}; got != want {
					t.Errorf("lease %d: granted and used are %v, want %v", i, got, want)
				}
			}
		}},
		{"a block is at most the remaining permits", func(t trial, s Store) {
			granted, used := leases(t, s, anOrg(), 8, 5)
			same(t, "granted and used", [2]int{granted, used}, [2]int{5, 5})
		}},
		{"every organization and every minute has its own permits", func(t trial, s Store) {
			o := anOrg()
			leases(t, s, o, 10, 10)
			granted, _ := leases(t, s, anOrg(), 10, 10)
			same(t, "granted to another", granted, 10)
			granted, _, err := s.Lease(t.Context(), limit.Pot{Org: o, Limit: 10}, aMinute().Add(time.Minute), 10)
			ok(t, err)
			same(t, "granted in the next minute", granted, 10)
		}},
		{"each person, all keys together, and each reserve have permits of their own", func(t trial, s Store) {
			o := anOrg()
			for _, p := range []limit.Pot{
				{User: "user_1"}, {User: "user_2"}, {}, {User: "user_1", Spare: true}, {Key: "key_1", Spare: true}, {Key: "key_2", Spare: true},
			} {
				p.Org, p.Limit = o, 10
				for _, want := range []int{10, 0} {
					granted, used, err := s.Lease(t.Context(), p, aMinute(), 10)
					ok(t, err)
					same(t, "granted and used", [2]int{granted, used}, [2]int{want, 10})
				}
			}
		}},
		{"a lower limit grants no permit twice", func(t trial, s Store) {
			o := anOrg()
			leases(t, s, o, 8, 10)
			granted, used := leases(t, s, o, 8, 5)
			same(t, "granted and used", [2]int{granted, used}, [2]int{0, 5})
		}},
		{"racing leases never take more permits than the limit", func(t trial, s Store) {
			o := anOrg()
			const most = 50
			var sum atomic.Int64
			race(t, racers, nil, func(int) error {
				granted, used, err := s.Lease(t.Context(), limit.Pot{Org: o, Limit: most}, aMinute(), 4)
				if used < granted || used > most {
					t.Errorf("used = %d after %d were granted", used, granted)
				}
				sum.Add(int64(granted))
				return err
			})
			if got := sum.Load(); got > most || got < most/2 {
				t.Errorf("%d permits were granted, want at most %d", got, most)
			}
		}},
	}
}
