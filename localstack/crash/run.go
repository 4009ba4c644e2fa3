package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"theoneagents.app/agents/localstack/crash/audit"
	"theoneagents.app/agents/shared/clock"
)

// settleLimit limits the time from the last fault to the end of the last run: SQS
// redelivers the message of a killed function after a minute, and its run may need
// a sweep too.
const settleLimit = 5 * time.Minute

// run runs the test, and returns errViolated when the audit finds a violation.
func (s *system) run(ctx context.Context, o options) error {
	p := newPlan(o)
	s.say("seed %d, ids contain %s\n%v", o.seed, s.nonce, p)
	c, err := s.tenants(ctx)
	if err != nil {
		return err
	}
	if o.hurry {
		restore, err := c.hurry(ctx)
		if err != nil {
			return err
		}
		defer restore()
	}
	var fault *outage
	if o.outage > 0 {
		if fault, err = s.outage(ctx, o.outage); err != nil {
			return err
		}
	}
	f, err := s.publishUnderFaults(ctx, o, p, c, fault)
	if err != nil {
		return err
	}
	s.say("After %.0f s the faults are over; waiting for all runs to end.", s.now().Sub(s.began).Seconds())
	if err := c.settle(ctx, settleLimit+o.outage); err != nil {
		s.say("%v", err) // the audit names the runs
	}
	f.rested = s.now()
	s.say("After %.0f s all runs have ended; auditing, then repeating every event, redrive, decision and cancellation.", f.rested.Sub(s.began).Seconds())
	before, err := c.gather(ctx)
	if err != nil {
		return err
	}
	violations := audit.Audit(before)
	if fault != nil {
		violations = append(violations, fault.judge(before.Letters)...)
	}
	if err := c.again(ctx); err != nil {
		return err
	}
	after, err := c.gather(ctx)
	if err != nil {
		return err
	}
	violations = append(violations, audit.Again(before, after)...)
	s.report(f, before, c.people())
	return s.judge(violations, o)
}

// publishUnderFaults publishes the events while functions are killed and calls fail.
func (s *system) publishUnderFaults(ctx context.Context, o options, p plan, c *tenants, fault *outage) (*faults, error) {
	f := s.faults(p.kills)
	c.injectFaults(f)
	if err := s.rules(ctx, c.orgs, o.seed); err != nil {
		return nil, err
	}
	c.attend(ctx, p)
	var wave sync.WaitGroup
	var failed, broken error
	began := s.now()
	wave.Go(func() { failed = c.publish(ctx, p, began) })
	wave.Go(func() { f.kill(ctx, began) })
	if fault != nil {
		wave.Go(func() {
			if broken = clock.Sleep(ctx, p.length/3); broken == nil {
				broken = fault.pass(ctx)
			}
		})
	}
	wave.Wait()
	if err := errors.Join(failed, broken); err != nil {
		return nil, err
	}
	f.ended, f.interrupted = s.now(), f.deaths()
	c.calm(f.ended)
	return f, s.rules(ctx, c.orgs, 0)
}

// publish puts the events on the bus at their planned times.
func (c *tenants) publish(ctx context.Context, p plan, began time.Time) error {
	for _, h := range p.events {
		if clock.Sleep(ctx, h.at-c.now().Sub(began)) != nil {
			return ctx.Err()
		}
		o := c.orgs[h.org]
		name, detail := o.detail(h)
		m := message{name, raw(detail)}
		times := 1
		if h.twice {
			times = 2
		}
		for range times {
			if err := c.put(ctx, m.name, m.detail); err != nil {
				return err
			}
		}
		c.sent = append(c.sent, m)
		content := fmt.Sprintf("%s %d %s", o.name, h.twin, h.name)
		c.published = append(c.published, audit.Publication{
			ID: o.event(h), Org: o.name, Name: h.name, Reason: h.flaw, Content: content, At: c.now(),
		})
	}
	return nil
}

// again repeats everything: it publishes every event again unchanged, redrives
// every dead letter, and repeats every decision and cancellation.
func (c *tenants) again(ctx context.Context) error {
	letters, err := c.letters(ctx)
	if err != nil {
		return err
	}
	for _, m := range c.sent {
		if err := c.put(ctx, m.name, m.detail); err != nil {
			return err
		}
	}
	for _, l := range letters {
		if err := c.redrive(ctx, l.Event); err != nil {
			return err
		}
	}
	var wave sync.WaitGroup
	for _, o := range c.orgs {
		wave.Go(func() { o.repeatDecisions(ctx) })
	}
	wave.Wait()
	return c.settle(ctx, settleLimit)
}

// judge prints the violations, with a command to look at each run.
func (s *system) judge(violations []audit.Violation, o options) error {
	if len(violations) == 0 {
		s.say("Every invariant holds.")
		return nil
	}
	const most = 10 // printed violations of each invariant
	told := make(map[audit.Invariant]int)
	for _, v := range violations {
		if told[v.Invariant]++; told[v.Invariant] > most {
			continue
		}
		s.say("VIOLATED %v", v)
		if v.Run != "" {
			s.say("    look: make show ORG=%s RUN=%s", v.Org, v.Run)
		}
	}
	for invariant, n := range told {
		if n > most {
			s.say("VIOLATED %s\n    and %d more times", invariant, n-most)
		}
	}
	return fmt.Errorf("%w: %d with seed %d", errViolated, len(violations), o.seed)
}
