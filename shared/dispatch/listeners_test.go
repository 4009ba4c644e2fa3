package dispatch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

const listener = id.Agent("agent_a")

// A changing is an organization whose one agent changes. Its version is the number of
// its changes.
type changing struct {
	*fixture

	definition definition.Definition
	version    int   // that a read of the listeners finds
	count      int64 // that a read of the organization finds
	reads      int   // of the listeners
	orgs       int   // reads of the organization

	answered int                 // the version of the last change that was counted and answered
	silent   map[int]time.Time   // when a release that does not count made a version
	applied  time.Time           // when the listeners of a counted change become visible; zero for none
	between  func()              // happens after the next read of the organization
	unread   error               // of the next read of the organization
	floor    func(now time.Time) // called after each read of the organization
}

func changes(t *testing.T) *changing {
	t.Helper()
	c := &changing{fixture: open(t), version: 1, count: 1, answered: 1, silent: map[int]time.Time{}}
	c.definition = c.define()
	c.Tenants, c.Service.Agents, c.Cache = c, c, dispatch.NewListenerCache()
	return c
}

// Tenant implements execution.Tenants.
func (c *changing) Tenant(ctx context.Context, o id.Org) (tenant.Tenant, error) {
	c.orgs++
	if err := c.unread; err != nil {
		c.unread = nil
		return tenant.Tenant{}, err
	}
	t, err := c.Store.Tenant(ctx, o)
	t.Listeners = c.count
	if c.floor != nil {
		c.floor(c.now)
	}
	if f := c.between; f != nil {
		c.between = nil
		f()
	}
	return t, err
}

// Listeners implements dispatch.Agents.
func (c *changing) Listeners(_ context.Context, _ id.Org, event string) ([]agent.Listener, map[id.Agent]bool, error) {
	c.reads++
	if event != "psa:ticket.created" {
		return nil, nil, nil
	}
	return []agent.Listener{{Agent: listener, Version: c.version, Definition: c.definition}}, nil, nil
}

// pass lets time pass, in which a change may become visible.
func (c *changing) pass(d time.Duration) {
	c.now = c.now.Add(d)
	if !c.applied.IsZero() && !c.now.Before(c.applied) {
		c.version++
		c.answered, c.applied = c.version, time.Time{}
	}
}

// change makes a change in one of three ways.
func (c *changing) change(how string, lag time.Duration) {
	if !c.applied.IsZero() { // transactions about one item come one after another
		c.pass(c.applied.Sub(c.now))
	}
	switch how {
	case "counted":
		c.version++
		c.count++
		c.answered = c.version
	case "visible in parts":
		c.count++
		c.applied = c.now.Add(lag)
	case "not counted":
		c.version++
		c.silent[c.version] = c.now
	}
}

// least is the lowest version that an event may start which reads the organization now.
func (c *changing) least() int {
	least := c.answered
	for version, at := range c.silent {
		if c.now.Sub(at) >= 5*time.Second {
			least = max(least, version)
		}
	}
	return least
}

// In every order of changes and events, an event never finds listeners that are older
// than the record of its organization which it has read.
func TestAnEventNeverFindsListenersOlderThanItsOrganization(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := changes(t)
		lag := rapid.Custom(func(r *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(1, 900).Draw(r, "ms")) * time.Millisecond
		})
		act := func() {
			switch how := rapid.SampledFrom([]string{"counted", "visible in parts", "not counted", "time", "time"}).Draw(r, "act"); how {
			case "time":
				c.pass(rapid.SampledFrom([]time.Duration{time.Millisecond, 300 * time.Millisecond, time.Second, 4 * time.Second, time.Minute}).Draw(r, "passes"))
			default:
				c.change(how, lag.Draw(r, "lag"))
			}
		}
		for range rapid.IntRange(1, 30).Draw(r, "events") {
			for range rapid.IntRange(0, 3).Draw(r, "acts") {
				act()
			}
			if rapid.Bool().Draw(r, "something happens between the reads") {
				c.between = act
			}
			least := 0
			c.floor = func(time.Time) { least = c.least() }
			e := c.created()
			if err := c.Dispatch(t.Context(), e); err != nil {
				r.Fatal(err)
			}
			x, _, err := c.Execution(t.Context(), org, execution.ID(org, listener, e))
			if err != nil {
				r.Fatal(err)
			}
			if x.Version < least || x.Version > c.version {
				r.Fatalf("the event starts version %d; its organization had %d, and now has %d", x.Version, least, c.version)
			}
		}
	})
}

func TestEventsReadListenersOnceUntilTheyChange(t *testing.T) {
	t.Parallel()
	c := changes(t)
	event := func(want int, when string) {
		t.Helper()
		c.must(c.Dispatch(t.Context(), c.created()))
		if c.reads != want {
			t.Errorf("%s: the listeners were read %d times, want %d", when, c.reads, want)
		}
	}
	event(1, "at first")
	event(2, "before the count has settled")
	c.pass(time.Second)
	event(3, "once the count has settled")
	for range 3 {
		c.pass(time.Second)
		event(3, "unchanged")
	}
	c.change("counted", 0)
	event(4, "after a change")
	c.pass(time.Second)
	event(5, "once the changed count has settled")
	c.pass(4999 * time.Millisecond)
	event(5, "unchanged")
	c.pass(time.Millisecond)
	event(6, "after five seconds")
	c.now = c.now.Add(-time.Hour)
	event(7, "by a clock that went back")
}

// Events share the kept listeners, and each adds the system agents to its own list.
func TestEventsThatShareListenersDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	c := changes(t)
	system := agent.Agent{Definition: c.definition, Head: agent.Head{ID: "agent_system_x", Version: 1}}
	c.System = []agent.Agent{system}
	c.must(c.Dispatch(t.Context(), c.created()))
	c.pass(time.Second)
	c.must(c.Dispatch(t.Context(), c.created())) // which keeps them
	for range 3 {
		e := c.created()
		c.must(c.Dispatch(t.Context(), e))
		for _, a := range []id.Agent{listener, system.ID} {
			if _, err := c.Header(t.Context(), org, execution.ID(org, a, e)); err != nil {
				t.Errorf("%s: %v", a, err)
			}
		}
	}
}

func TestEventsOfOneMomentReadTheirOrganizationOnce(t *testing.T) {
	t.Parallel()
	c := changes(t)
	ctx := dispatch.Together(t.Context())
	c.unread = errors.New("no table")
	if err := c.Dispatch(ctx, c.created()); err == nil {
		t.Fatal("an event was dispatched without its organization")
	}
	for range 3 { // a failed read is not shared
		c.must(c.Dispatch(ctx, c.created()))
	}
	if c.orgs != 2 {
		t.Errorf("the organization was read %d times, want 2", c.orgs)
	}
	c.must(c.Dispatch(ctx, c.event("hub:org.suspended", map[string]any{})))
	if c.orgs != 3 {
		t.Errorf("an event that changes the organization read it %d times, want 1", c.orgs-2)
	}
	late := c.created()
	c.must(c.Dispatch(dispatch.Together(t.Context()), late))
	if got := c.outcome(listener, late); got != definition.Suspended {
		t.Errorf("a later event is %s", got)
	}
}

// A slowOrg counts reads of organizations that take a while.
type slowOrg struct {
	execution.Tenants

	mu    sync.Mutex
	reads int
}

func (s *slowOrg) Tenant(ctx context.Context, o id.Org) (tenant.Tenant, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	return s.Tenants.Tenant(ctx, o)
}

func TestManyEventsAtOnceReadTheirOrganizationOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	orgs := &slowOrg{Tenants: d.Store}
	d.Tenants = orgs
	ctx := dispatch.Together(t.Context())
	var wave sync.WaitGroup
	for range 20 {
		e := d.created()
		wave.Go(func() {
			if err := d.Dispatch(ctx, e); err != nil {
				t.Error(err)
			}
		})
	}
	wave.Wait()
	if orgs.reads != 1 {
		t.Errorf("the organization was read %d times", orgs.reads)
	}
}
