package dispatch

import (
	"context"
	"slices"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/lru"
	"theoneagents.app/agents/shared/tenant"
)

// A ListenerCache keeps the listeners of events in the memory of a dispatcher. The
// record of the organization, which every event reads, counts the changes of its
// listeners: kept listeners serve an event only at the count at which they were read.
// So an agent that was activated, changed, paused or deleted is so for every event
// that the dispatcher takes up afterwards, and an event costs one read.
//
// Two cases need a time. A change is one transaction, but while it is applied its parts
// become visible one after another: the new count may be read a moment before the
// changed listeners. Listeners are therefore kept only if they were read at least
// settling after this dispatcher first saw their count. And a release before 0.2
// changes listeners without counting: during the roll-out, and after a rollback, such
// a change is seen when the kept listeners are maxAge old. The release after 0.2 may
// keep them longer.
//
// An erased organization has no record that an event could find, so its listeners are
// not used again.
type ListenerCache struct {
	kept *lru.Cache[listenerKey, found]
	seen *lru.Cache[id.Org, sight]
}

// The times of a ListenerCache.
const (
	settling = time.Second
	maxAge   = 5 * time.Second
)

type listenerKey struct {
	org   id.Org
	event string
}

// A found is the result of Agents.Listeners. Events share it.
type found struct {
	own    []agent.Listener
	paused map[id.Agent]bool

	count int64     // of the changes, as the organization had it before
	at    time.Time // before the read
}

// A sight is the time at which a dispatcher first saw a count of an organization.
type sight struct {
	count int64
	at    time.Time
}

// NewListenerCache returns a cache for up to 2,000 events with up to 4 MB of
// definitions; in memory they take several times as much.
func NewListenerCache() *ListenerCache {
	const most, room = 2000, 4 << 20
	return &ListenerCache{kept: lru.New[listenerKey, found](most, room), seen: lru.New[id.Org, sight](most, most)}
}

// listeners returns the listeners for an event of t, which was just read: kept ones,
// or those that read returns. A nil cache keeps nothing.
func (c *ListenerCache) listeners(t tenant.Tenant, event string, clock func() time.Time, read func() (found, error)) (found, error) {
	if c == nil {
		return read()
	}
	now := clock().Round(0) // a function that is frozen between two events has no monotonic clock
	k := listenerKey{t.Org, event}
	if f, ok := c.kept.Get(k); ok && f.count == t.Listeners && within(maxAge, f.at, now) {
		return f, nil
	}
	first, ok := c.seen.Get(t.Org)
	if !ok || first.count != t.Listeners || now.Before(first.at) {
		first = sight{t.Listeners, now}
		c.seen.Put(t.Org, first, 1)
	}
	f, err := read()
	if err != nil || within(settling, first.at, now) {
		return f, err
	}
	f.count, f.at = t.Listeners, now
	c.kept.Put(k, f, f.size())
	return f, nil
}

// within reports whether less than d has passed from one time to another.
func within(d time.Duration, from, to time.Time) bool {
	passed := to.Sub(from)
	return 0 <= passed && passed < d
}

// size returns about how many bytes of definitions the listeners have.
func (f found) size() int {
	const each = 200 // bytes around a definition
	n := each * (1 + len(f.own) + len(f.paused))
	for _, l := range f.own {
		n += len(jsonvalue.Canonical(l.Definition))
	}
	return n
}

// listeners returns all agents that listen for the event, including system agents that
// are not paused, as the organization's settings have them.
func (s *Service) listeners(ctx context.Context, e event.Event, t tenant.Tenant) ([]agent.Listener, error) {
	f, err := s.Cache.listeners(t, e.Name(), s.Now, func() (f found, err error) {
		f.own, f.paused, err = s.Agents.Listeners(ctx, e.Org, e.Name())
		return f, err
	})
	if err != nil {
		return nil, err
	}
	all := slices.Clip(f.own) // events share its array
	for _, a := range s.System {
		if a.Definition.Trigger.Event() == e.Name() && !f.paused[a.ID] {
			a = a.For(t.Settings)
			all = append(all, agent.Listener{Agent: a.ID, Version: a.Version, System: true, Definition: a.Definition})
		}
	}
	return all, nil
}
