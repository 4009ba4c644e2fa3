package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// A bus accepts the platform's own events and delivers them to the queue.
type bus struct {
	world *world

	mu    sync.Mutex
	taken []event.Event
}

// Put implements outbox.Bus.
func (b *bus) Put(ctx context.Context, e event.Event) error {
	run, _ := e.Payload["execution_id"].(string)
	return throughErr(ctx, b.world, "bus.Put", id.Execution(run), func() error {
		b.mu.Lock()
		b.taken = append(b.taken, e)
		b.mu.Unlock()
		if cause := e.Cause(); cause != "" {
			b.world.witness.caused(e.ID, cause)
		}
		b.world.note("the bus takes %s %s about %s", e.Name(), e.ID, run)
		b.world.queue.put(e, "", latency)
		return nil
	})
}

// eventsByRun returns, by run, the ids of the events of a type about the runs
// of an organization, with the number of events of each id.
func (b *bus) eventsByRun(o id.Org, kind string) map[id.Execution]map[id.Event]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[id.Execution]map[id.Event]int{}
	for _, e := range b.taken {
		run, _ := e.Payload["execution_id"].(string)
		if e.Org != o || e.Type != kind {
			continue
		}
		x := id.Execution(run)
		if all[x] == nil {
			all[x] = map[id.Event]int{}
		}
		all[x][e.ID]++
	}
	return all
}

func (b *bus) all() []event.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]event.Event{}, b.taken...)
}

func (s *store) Unpublished(ctx context.Context, now time.Time, limit int) ([]event.Event, error) {
	return through(ctx, s.world, "store.Unpublished", "", func() ([]event.Event, error) {
		return s.Store.Unpublished(ctx, now, limit)
	})
}

func (s *store) Published(ctx context.Context, o id.Org, e id.Event) error {
	return throughErr(ctx, s.world, "store.Published", "", func() error { return s.Store.Published(ctx, o, e) })
}

// auditFailureEvents checks that the bus has one event for each failed run and
// for no other, and that the outbox is empty.
func (w *world) auditFailureEvents() {
	w.Helper()
	told := w.bus.eventsByRun(w.org, outbox.ExecutionFailed)
	ids := map[id.Event]id.Execution{}
	runs, started := w.runs(), map[id.Event][]id.Agent{}
	for _, x := range runs {
		started[x.Trigger.ID] = append(started[x.Trigger.ID], x.Agent)
		want := 0
		if x.Status == execution.Failed {
			want = 1
		}
		w.holds(heard, len(told[x.ID]) == want, "%s is %s; the bus has %v about it", x.ID, x.Status, told[x.ID])
		for e := range told[x.ID] {
			w.holds(heard, ids[e] == "", "%s is about %s and %s", e, ids[e], x.ID)
			ids[e] = x.ID
		}
	}
	w.holds(heard, len(ids) == len(told), "the bus has events about %d runs, of which %d are known", len(told), len(ids))
	w.auditThresholds()
	w.auditMail()
	left, err := w.store.Store.Unpublished(w.over, time.Now().Add(time.Hour), 10_000)
	w.must(err)
	w.holds(heard, len(left) == 0, "%d events are still in the outbox", len(left))
	for _, e := range w.bus.all() {
		a, _ := e.Payload["agent_id"].(string)
		w.holds(heard, e.Org != w.org || !slices.Contains(started[e.ID], id.Agent(a)), "%s was started by its own failure %s", a, e.ID)
	}
}

// A mail is the mail server for the owners' e-mails.
type mail struct {
	world *world

	mu   sync.Mutex
	sent map[id.Org][]time.Time
}

// Send implements step.Sender.
func (m *mail) Send(ctx context.Context, letter step.Message) error {
	return throughErr(ctx, m.world, "mail.Send", "", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.sent[letter.Org] = append(m.sent[letter.Org], time.Now())
		m.world.note("the owner %s of %s gets %q", letter.Recipient, letter.Org, letter.Subject)
		return nil
	})
}

// addOwner adds an owner, who gets e-mails about failures.
func (w *world) addOwner() {
	hub := tenant.Service{Store: w.store.Store, Now: time.Now}
	w.must(hub.Project(w.over, event.Event{
		ID: "evt_owner", Product: "hub", Type: "subscription.changed", Org: w.org, Published: time.Now().Add(time.Second),
		Payload: map[string]any{"plan": string(plan), "owners": []any{map[string]any{"user_id": "user_owner", "email": "owner@acme.example"}}},
	}))
}

// auditMail checks that an owner got at most one e-mail an hour. A process may
// hang between its decision to send and the sending.
func (w *world) auditMail() {
	w.Helper()
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	sent := w.mail.sent[w.org]
	for n := range sent {
		w.holds(heard, n == 0 || sent[n].Sub(sent[n-1]) >= alert.Interval-skew-dispatchTime, "e-mails at %v", sent)
	}
}

func (s *store) Alerts(ctx context.Context, o id.Org) (alert.Record, error) {
	return through(ctx, s.world, "store.Alerts", "", func() (alert.Record, error) { return s.Store.Alerts(ctx, o) })
}

func (s *store) SaveAlerts(ctx context.Context, o id.Org, r alert.Record) error {
	return throughErr(ctx, s.world, "store.SaveAlerts", "", func() error { return s.Store.SaveAlerts(ctx, o, r) })
}

// auditThresholds checks that each threshold of a month's credits is reported
// once, and not before it is reached.
func (w *world) auditThresholds() {
	w.Helper()
	told := map[string]id.Event{}
	for _, e := range w.bus.all() {
		if e.Org != w.org || e.Type != outbox.CreditsLow {
			continue
		}
		percent, _ := e.Payload["threshold_percent"].(int64)
		used, _ := e.Payload["used"].(int64)
		most, _ := e.Payload["allocation"].(int64)
		key := fmt.Sprint(e.Payload["month"], percent)
		w.holds(heard, told[key] == "" || told[key] == e.ID, "%s is told by %s and %s", key, told[key], e.ID)
		w.holds(heard, used*100 >= percent*most && used <= most, "%s: %d of %d are used", key, used, most)
		told[key] = e.ID
	}
}
