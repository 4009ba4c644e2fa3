package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// errUnfair says that the burst delays the quiet organization too much.
var errUnfair = errors.New("the burst delays the quiet organization")

// A phase has the times of one phase: from publishing an event to the call of its
// run's first step.
type phase []time.Duration

// quantile returns the smallest time that at least the share q of all times do not
// exceed.
func (p phase) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(p))
	n := int(q*float64(len(sorted)) + 0.999_999)
	return sorted[min(max(n, 1), len(sorted))-1]
}

func (p phase) String() string {
	ms := func(q float64) int64 { return p.quantile(q).Milliseconds() }
	return fmt.Sprintf("p50 %4d ms, p90 %4d ms, p99 %4d ms, slowest %4d ms", ms(0.5), ms(0.9), ms(0.99), ms(1))
}

// judge returns the ratio of the p99s, and errUnfair if it exceeds most.
func judge(alone, behind phase, most float64) (float64, error) {
	const q = 0.99
	ratio := float64(behind.quantile(q)) / float64(alone.quantile(q))
	if ratio > most {
		return ratio, fmt.Errorf("%w: its p99 behind the burst is %.2f times its p99 alone, want at most %g", errUnfair, ratio, most)
	}
	return ratio, nil
}
