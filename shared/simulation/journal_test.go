package simulation_test

import (
	"slices"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/tenant"
)

// keepJournal lets the organization keep its events for some days.
func (w *world) keepJournal(days int) {
	w.Helper()
	s := tenant.SettingsService{Store: w.store.Store, Now: time.Now}
	_, err := s.Update(w.over, w.owner(), tenant.SettingsPatch{JournalDays: &days})
	w.must(err)
}

// auditJournal compares the journal with the events that were on the bus. A dead letter
// says that no delivery succeeded.
func (w *world) auditJournal() {
	w.Helper()
	t, err := w.store.Store.Tenant(w.over, w.org)
	if err != nil || t.Settings.JournalDays == 0 {
		return
	}
	kept := map[string][]journal.Entry{}
	for q := (journal.Query{Since: t.Settings.JournalSince.Add(-time.Hour), Now: time.Now(), Limit: 100}); ; {
		p, err := w.store.Received(w.over, w.org, q)
		w.must(err)
		for _, e := range p.Entries {
			kept[string(e.Event.ID)] = append(kept[string(e.Event.ID)], e)
			w.holds(isolation, e.Event.Org == w.org, "the journal of %s has %s of %s", w.org, e.Event.ID, e.Event.Org)
		}
		if q.After = p.Next; q.After == "" {
			break
		}
	}
	w.witness.mu.Lock()
	events := slices.Clone(w.witness.events)
	w.witness.mu.Unlock()
	for _, e := range w.bus.all() {
		events = append(events, published{event: e})
	}
	for _, p := range events {
		e := p.event
		if p.letter != "" || e.Org != w.org || e.Published.Before(t.Settings.JournalSince) || slices.Contains(w.queue.lettersOf(e.ID), "failed") {
			continue
		}
		got := kept[string(e.ID)]
		w.holds(journalled, len(got) == 1 && sameEvent(got[0].Event, e), "%s is in the journal as %+v, and was published as %+v", e.ID, got, e)
	}
}

// sameEvent compares events as their publishers wrote them.
func sameEvent(a, b event.Event) bool {
	return a.ID == b.ID && a.Name() == b.Name() && a.Published.Unix() == b.Published.Unix() &&
		a.Depth() == b.Depth() && a.Cause() == b.Cause() && jsonvalue.Canonical(a.Payload) == jsonvalue.Canonical(b.Payload)
}
