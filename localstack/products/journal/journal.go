// Package journal records calls for people and tests.
package journal

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Call is a call of the platform to an external system.
type Call struct {
	At             time.Time         `json:"at"`
	Kind           string            `json:"kind"`
	Product        string            `json:"product,omitempty"`
	Action         string            `json:"action,omitempty"`
	Params         json.RawMessage   `json:"params,omitempty"`
	Body           json.RawMessage   `json:"body,omitempty"`
	IdempotencyKey string            `json:"idempotency_key"`
	Headers        map[string]string `json:"headers"`
	Org            string            `json:"org_id"`
	Status         int               `json:"status"`
	Repeated       bool              `json:"repeated,omitempty"` // deduplicated: answered from memory without effect
	Lost           bool              `json:"lost,omitempty"`     // the connection was dropped instead of an answer
}

// Headers returns h with one value for each name.
func Headers(h http.Header) map[string]string {
	flat := make(map[string]string, len(h))
	for name, values := range h {
		flat[name] = strings.Join(values, ", ")
	}
	return flat
}

// A Log keeps entries in the order of their arrival. Above its limits it drops the
// oldest. It is safe for concurrent use.
type Log[T any] struct {
	maxEntries, maxBytes int

	mu      sync.Mutex
	entries []entry[T]
	bytes   int
}

type entry[T any] struct {
	value T
	bytes int
}

// New returns an empty log with a limit of entries and bytes.
func New[T any](maxEntries, maxBytes int) *Log[T] {
	return &Log[T]{maxEntries: maxEntries, maxBytes: maxBytes}
}

// Add appends v, which counts as the given number of bytes.
func (l *Log[T]) Add(v T, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.entries = append(l.entries, entry[T]{v, bytes})
	l.bytes += bytes
	for len(l.entries) > l.maxEntries || (l.bytes > l.maxBytes && len(l.entries) > 1) {
		l.bytes -= l.entries[0].bytes
		l.entries[0] = entry[T]{}
		l.entries = l.entries[1:]
	}
}

// List returns the entries for which keep is true.
func (l *Log[T]) List(keep func(T) bool) []T {
	l.mu.Lock()
	defer l.mu.Unlock()

	kept := []T{}
	for _, e := range l.entries {
		if keep(e.value) {
			kept = append(kept, e.value)
		}
	}
	return kept
}

// Forget removes the entries for which drop is true.
func (l *Log[T]) Forget(drop func(T) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	kept := []entry[T]{}
	bytes := 0
	for _, e := range l.entries {
		if !drop(e.value) {
			kept = append(kept, e)
			bytes += e.bytes
		}
	}
	l.entries, l.bytes = kept, bytes
}
