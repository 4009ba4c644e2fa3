// Package script has the rules by which people and tests make a stand-in misbehave.
package script

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"theoneagents.app/agents/shared/clock"
)

// A Cue has the fields that every rule has.
type Cue struct {
	Org     string `json:"org_id,omitempty"`   // empty means every org
	Status  int    `json:"status,omitempty"`   // 400 and above: fail with it; below: do the work and answer with it
	DelayMS int    `json:"delay_ms,omitempty"` // wait before anything else
	Times   int    `json:"times,omitempty"`    // number of uses; 0 means unlimited

	// RetryAfter is sent as the header Retry-After, in seconds; 0 sends no header.
	RetryAfter int `json:"retry_after,omitempty"`

	// Chance is the probability of using the rule when it fits, above 0 and up to
	// 1; missing means always. The same Seed gives the same draws.
	Chance float64 `json:"chance,omitempty"`
	Seed   uint64  `json:"seed,omitempty"`
}

// ErrCue says that a rule is invalid.
var ErrCue = errors.New("invalid rule")

// Check returns ErrCue for an invalid cue.
func (c Cue) Check() error {
	switch {
	case c.Status != 0 && (c.Status < http.StatusOK || c.Status > 599):
		return fmt.Errorf("%w: status %d", ErrCue, c.Status)
	case c.DelayMS < 0 || c.Times < 0 || c.RetryAfter < 0:
		return fmt.Errorf("%w: a negative delay_ms, times or retry_after", ErrCue)
	case !(c.Chance >= 0 && c.Chance <= 1):
		return fmt.Errorf("%w: chance %v is not between 0 and 1", ErrCue, c.Chance)
	}
	return nil
}

// Header sets the header of the cue.
func (c Cue) Header(h http.Header) {
	if c.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(c.RetryAfter))
	}
}

// Fails reports whether the cue makes the call fail.
func (c Cue) Fails() bool { return c.Status >= http.StatusBadRequest }

// Covers reports whether the cue applies to org.
func (c Cue) Covers(org string) bool { return c.Org == "" || c.Org == org }

// Wait returns after the cue's delay, or earlier with the error of ctx.
func (c Cue) Wait(ctx context.Context) error {
	if c.DelayMS == 0 {
		return nil
	}
	return clock.Sleep(ctx, time.Duration(c.DelayMS)*time.Millisecond)
}

// Rules is an ordered list of rules, each with a number of uses. It is safe for
// concurrent use.
type Rules[R any] struct {
	cue func(R) Cue

	mu   sync.Mutex
	list []counted[R]
}

type counted[R any] struct {
	rule R
	used int
	lots *rand.Rand // nil: the rule has no chance
}

// drawn draws whether the rule is used this time.
func (c *counted[R]) drawn(chance float64) bool {
	return c.lots == nil || c.lots.Float64() < chance
}

// New returns an empty list of rules; cue returns the cue of a rule.
func New[R any](cue func(R) Cue) *Rules[R] { return &Rules[R]{cue: cue} }

// Set replaces all rules, and no use counts any more. It changes none when one is
// invalid.
func (s *Rules[R]) Set(rules []R) error {
	list, err := s.unused(rules)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
	return nil
}

// Add puts rules behind those in force, which keep the uses they have left. So
// several people and tests have rules at the same time. It adds none when one is
// invalid.
func (s *Rules[R]) Add(rules []R) error {
	list, err := s.unused(rules)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, list...)
	return nil
}

// Remove removes the rules of one org. Those of every org stay.
func (s *Rules[R]) Remove(org string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(c counted[R]) bool { return s.cue(c.rule).Org == org })
}

// unused returns rules that were never used, or an error that names the invalid one.
func (s *Rules[R]) unused(rules []R) ([]counted[R], error) {
	list := make([]counted[R], 0, len(rules))
	for n, r := range rules {
		cue := s.cue(r)
		if err := cue.Check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", n, err)
		}
		c := counted[R]{rule: r}
		if cue.Chance > 0 {
			c.lots = rand.New(rand.NewPCG(cue.Seed, 0)) //nolint:gosec // repeatable, not secret.
		}
		list = append(list, c)
	}
	return list, nil
}

// List returns the rules in order.
func (s *Rules[R]) List() []R {
	s.mu.Lock()
	defer s.mu.Unlock()

	list := make([]R, 0, len(s.list))
	for _, c := range s.list {
		list = append(list, c.rule)
	}
	return list
}

// Take uses and returns the first rule for org that fits, has uses left and is
// drawn by its chance. Without one it returns the zero rule.
func (s *Rules[R]) Take(org string, fits func(R) bool) R {
	s.mu.Lock()
	defer s.mu.Unlock()

	for n := range s.list {
		c := &s.list[n]
		cue := s.cue(c.rule)
		if cue.Covers(org) && (cue.Times == 0 || c.used < cue.Times) && fits(c.rule) && c.drawn(cue.Chance) {
			c.used++
			return c.rule
		}
	}
	var none R
	return none
}
