// Package lru keeps values that are read often in the memory of a process.
//
// A cache is bounded twice: by the number of its values and by the sum of their
// sizes. The value that was used longest ago leaves first. No goroutine and no clock
// belongs to it, since a function runs neither between two invocations.
package lru

import (
	"container/list"
	"sync"
)

// A Cache keeps values by key. It is safe for concurrent use, and its callers share
// the values: they must not change them. A nil cache keeps nothing.
type Cache[K comparable, V any] struct {
	most, room int

	mu    sync.Mutex
	byKey map[K]*list.Element
	order *list.List // of entries, the last used first
	size  int
}

type entry[K comparable, V any] struct {
	key   K
	value V
	size  int
}

// New returns a cache of up to most values with up to room bytes in all.
func New[K comparable, V any](most, room int) *Cache[K, V] {
	return &Cache[K, V]{most: most, room: room, byKey: map[K]*list.Element{}, order: list.New()}
}

// Get returns the value of a key, and whether the cache has it.
func (c *Cache[K, V]) Get(k K) (v V, ok bool) {
	if c == nil {
		return v, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byKey[k]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(at)
	return entryOf[K, V](at).value, true
}

// Put keeps a value in place of the key's earlier one. Its size is in bytes, as far
// as the caller knows it; a value larger than the cache is not kept.
func (c *Cache[K, V]) Put(k K, v V, size int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.byKey[k]; ok {
		c.remove(at)
	}
	if size > c.room || c.most < 1 {
		return
	}
	c.byKey[k] = c.order.PushFront(entry[K, V]{k, v, size})
	for c.size += size; c.size > c.room || len(c.byKey) > c.most; {
		c.remove(c.order.Back())
	}
}

func (c *Cache[K, V]) remove(at *list.Element) {
	e := entryOf[K, V](at)
	c.order.Remove(at)
	delete(c.byKey, e.key)
	c.size -= e.size
}

func entryOf[K comparable, V any](at *list.Element) entry[K, V] {
	return at.Value.(entry[K, V]) //nolint:errcheck,forcetypeassert // nothing else is in the list.
}
