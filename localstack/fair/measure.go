package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/localstack/harness"
	"theoneagents.app/agents/shared/clock"
)

const (
	// warmUp is the number of events of each organization before the measurement.
	warmUp = 20
	// warmEvery is the time between them: they overlap, as those of both organizations
	// will, so that each function has several processes and the measurement meets no
	// cold start.
	warmEvery = 5 * time.Millisecond
)

// measure measures the quiet organization alone and behind the burst, and returns
// errUnfair if the burst delays it too much.
func (s *system) measure(ctx context.Context, o options) error {
	quiet, err := s.introduce(ctx, "quiet", "growth")
	if err != nil {
		return err
	}
	noisy, err := s.introduce(ctx, "noisy", "scale")
	if err != nil {
		return err
	}
	for _, org := range []*org{quiet, noisy} {
		if _, err := org.sample(ctx, "warm", warmUp, warmEvery); err != nil {
			return err
		}
	}
	s.say("Publishing %d events of %s, one each %v.", o.samples, quiet.Name, o.every)
	alone, err := quiet.sample(ctx, "alone", o.samples, o.every)
	if err != nil {
		return err
	}
	s.say("alone:  %v", alone)

	began := s.now()
	if err := noisy.burst(ctx, o.burst); err != nil {
		return err
	}
	before, err := s.waiting(ctx)
	if err != nil {
		return err
	}
	s.say("%d events of %s in %.1f s: %d wait.", o.burst, noisy.Name, s.now().Sub(began).Seconds(), before)
	behind, err := quiet.sample(ctx, "behind", o.samples, o.every)
	if err != nil {
		return err
	}
	after, err := s.waiting(ctx)
	if err != nil {
		return err
	}
	s.say("behind: %v", behind)
	s.say("%d events of the burst still wait.", after)
	if after == 0 {
		return errors.New("the burst ended before the measurement: take a larger one (-burst), or fewer samples (-samples)")
	}
	ratio, err := judge(alone, behind, o.most)
	if err != nil {
		return err
	}
	s.say("The p99 behind the burst is %.2f times the p99 alone.", ratio)
	return nil
}

// burst publishes n events as fast as the bus takes them.
func (o *org) burst(ctx context.Context, n int) error {
	for first := 0; first < n; first += harness.MostEvents {
		if err := o.put(ctx, "burst", first, min(harness.MostEvents, n-first)); err != nil {
			return err
		}
	}
	return nil
}

// settleLimit limits the time from the last event of a phase to the first step of its
// run.
const settleLimit = 2 * time.Minute

// sample publishes n events at equal distances, and returns the time from publishing
// each to the first step of its run.
func (o *org) sample(ctx context.Context, name string, n int, every time.Duration) (phase, error) {
	sent := make([]time.Time, n)
	began := o.now()
	for i := range n {
		if err := clock.Sleep(ctx, time.Duration(i)*every-o.now().Sub(began)); err != nil {
			return nil, err
		}
		sent[i] = o.now()
		if err := o.put(ctx, name, i, 1); err != nil {
			return nil, err
		}
	}
	for last := o.now(); ; {
		seen, err := o.seen(ctx)
		if err != nil {
			return nil, err
		}
		times := make(phase, 0, n)
		for i := range n {
			if at, ok := seen[ticket(name, i)]; ok {
				times = append(times, at.Sub(sent[i]))
			}
		}
		if len(times) == n {
			return times, nil
		}
		if o.now().Sub(last) > settleLimit {
			return nil, fmt.Errorf("%d of %d events of %s started no run within %v", n-len(times), n, o.Name, settleLimit)
		}
		if err := clock.Sleep(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
