package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queue "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"theoneagents.app/agents/localstack/crash/audit"
	"theoneagents.app/agents/shared/clock"
)

// A tenants has the organizations of one test.
type tenants struct {
	*system

	orgs      []*org
	published []audit.Publication
	sent      []message
	attending sync.WaitGroup
}

// A message is a published event.
type message struct {
	name   string
	detail json.RawMessage
}

// tenants creates the organizations and their agents.
func (s *system) tenants(ctx context.Context) (*tenants, error) {
	c := &tenants{system: s}
	errs := make([]error, tenantCount)
	var wave sync.WaitGroup
	for n := range tenantCount {
		o := newOrg(s, n)
		c.orgs = append(c.orgs, o)
		wave.Go(func() { errs[n] = o.introduce(ctx) })
	}
	wave.Wait()
	return c, errors.Join(errs...)
}

// attend starts the users of each organization, who watch and act until all runs
// have ended.
func (c *tenants) attend(ctx context.Context, p plan) {
	for _, o := range c.orgs {
		for _, h := range p.events {
			if h.org == o.number {
				o.plans[o.event(h)] = h
			}
		}
		c.attending.Go(func() { o.attend(ctx) })
	}
}

// injectFaults lets f kill functions during users' calls, until calm.
func (c *tenants) injectFaults(f *faults) {
	for _, o := range c.orgs {
		o.faults = f
	}
}

// calm records the time of the last fault.
func (c *tenants) calm(at time.Time) {
	for _, o := range c.orgs {
		o.mu.Lock()
		o.calm = at
		o.mu.Unlock()
	}
}

// The waits with -hurry. The visibility timeout still exceeds the dispatcher's
// timeout.
const (
	hidden = "12" // seconds
	sweeps = 5 * time.Second
)

// hurry makes SQS redeliver the messages of killed functions within seconds, and
// invokes the sweeper often, until all runs have ended. The audited promises stay
// the same; only the waits are shorter.
func (c *tenants) hurry(ctx context.Context) (restore func(), err error) {
	was, err := c.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &c.outputs.Events, AttributeNames: []queue.QueueAttributeName{queue.QueueAttributeNameVisibilityTimeout},
	})
	if err != nil {
		return nil, fmt.Errorf("read the visibility timeout of %s: %w", c.outputs.Events, err)
	}
	hide := func(ctx context.Context, seconds string) error {
		_, err := c.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
			QueueUrl: &c.outputs.Events, Attributes: map[string]string{string(queue.QueueAttributeNameVisibilityTimeout): seconds},
		})
		return err
	}
	if err := hide(ctx, hidden); err != nil {
		return nil, fmt.Errorf("set the visibility timeout of %s to %s s: %w", c.outputs.Events, hidden, err)
	}
	c.attending.Go(func() {
		for clock.Sleep(ctx, sweeps) == nil && c.watching() {
			c.invokeAsync(ctx, "sweeper")
		}
	})
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := hide(ctx, was.Attributes[string(queue.QueueAttributeNameVisibilityTimeout)]); err != nil {
			c.say("the visibility timeout of %s stays at %s s: %v", c.outputs.Events, hidden, err)
		}
	}, nil
}

// watching reports whether the users of an organization still watch.
func (c *tenants) watching() bool {
	return slices.ContainsFunc(c.orgs, (*org).watching)
}

// settle waits until the queues are empty and every run has ended.
func (c *tenants) settle(ctx context.Context, limit time.Duration) error {
	quiet := 0
	err := until(ctx, limit, func() bool {
		n, err := c.waiting(ctx)
		busy := err != nil || n > 0
		for _, o := range c.orgs {
			busy = busy || o.busy(ctx)
		}
		if quiet++; busy {
			quiet = 0
		}
		return quiet > 10 // for a second, so that no message is between queue and list of runs
	})
	for _, o := range c.orgs {
		o.leave()
	}
	c.attending.Wait()
	if err != nil {
		return fmt.Errorf("some events or runs did not end within %v: %w", limit, err)
	}
	return nil
}

// people returns the sum of all users' actions.
func (c *tenants) people() actions {
	var all actions
	for _, o := range c.orgs {
		o.mu.Lock()
		all.verdicts += o.actions.verdicts
		all.cancels += o.actions.cancels
		all.retries += o.actions.retries
		all.repeats += o.actions.repeats
		o.mu.Unlock()
	}
	return all
}

// gather collects the evidence for the audit.
func (c *tenants) gather(ctx context.Context) (audit.Evidence, error) {
	e := audit.Evidence{Published: c.published}
	orgs, errs := make([]audit.Org, len(c.orgs)), make([]error, len(c.orgs))
	var wave sync.WaitGroup
	for n, o := range c.orgs {
		wave.Go(func() { orgs[n], errs[n] = o.gather(ctx) })
	}
	wave.Wait()
	if err := errors.Join(errs...); err != nil {
		return e, err
	}
	e.Orgs = orgs
	for n, o := range c.orgs {
		e.Orgs[n].Trespasses = o.trespass(ctx, orgs[(n+1)%len(orgs)])
	}
	var err error
	if e.Letters, err = c.letters(ctx); err != nil {
		return e, err
	}
	if e.Calls, err = c.calls(ctx, c.orgs); err != nil {
		return e, err
	}
	e.Lines, err = c.lines(ctx)
	return e, err
}
