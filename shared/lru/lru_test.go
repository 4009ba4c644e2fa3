package lru_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/lru"
)

// A model keeps the same values in a slice, the last used first.
type model struct {
	most, room int
	all        []kept
}

type kept struct{ key, value, size int }

func (m *model) at(key int) int {
	return slices.IndexFunc(m.all, func(k kept) bool { return k.key == key })
}

func (m *model) get(key int) (int, bool) {
	i := m.at(key)
	if i < 0 {
		return 0, false
	}
	k := m.all[i]
	m.all = slices.Insert(slices.Delete(m.all, i, i+1), 0, k)
	return k.value, true
}

func (m *model) put(k kept) {
	if i := m.at(k.key); i >= 0 {
		m.all = slices.Delete(m.all, i, i+1)
	}
	if k.size > m.room {
		return
	}
	m.all = slices.Insert(m.all, 0, k)
	for m.size() > m.room || len(m.all) > m.most {
		m.all = m.all[:len(m.all)-1]
	}
}

func (m *model) size() int {
	sum := 0
	for _, k := range m.all {
		sum += k.size
	}
	return sum
}

func TestTheValuesThatWereUsedLastStayWithinBothBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := model{most: rapid.IntRange(1, 6).Draw(t, "most"), room: rapid.IntRange(1, 30).Draw(t, "room")}
		c := lru.New[int, int](m.most, m.room)
		for n := range rapid.IntRange(1, 60).Draw(t, "calls") {
			k := kept{rapid.IntRange(0, 8).Draw(t, "key"), n, rapid.IntRange(0, 12).Draw(t, "size")}
			if rapid.Bool().Draw(t, "put") {
				c.Put(k.key, k.value, k.size)
				m.put(k)
			}
			want, has := m.get(k.key)
			if got, ok := c.Get(k.key); ok != has || got != want {
				t.Fatalf("key %d has %d, %t; want %d, %t", k.key, got, ok, want, has)
			}
		}
	})
}

func TestANilCacheKeepsNothing(t *testing.T) {
	t.Parallel()
	var c *lru.Cache[string, int]
	c.Put("a", 1, 1)
	if _, ok := c.Get("a"); ok {
		t.Error("it has a value")
	}
}

func TestACacheServesManyAtOnce(t *testing.T) {
	t.Parallel()
	c := lru.New[string, int](4, 100)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 200 {
				key := strconv.Itoa((i + n) % 7)
				c.Put(key, (i+n)%7, 1)
				if v, ok := c.Get(key); ok && strconv.Itoa(v) != key {
					t.Errorf("key %s has %d", key, v)
				}
			}
		})
	}
	wg.Wait()
}
