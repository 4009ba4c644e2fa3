package journal_test

import (
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
)

func published() time.Time { return time.Date(2026, time.March, 9, 14, 23, 1, 500, time.UTC) }

func created(payload map[string]any) event.Event {
	return event.Event{ID: "evt_1", Product: "psa", Type: "ticket.created", Org: "org_a", Client: "cli_1", Payload: payload, Published: published()}
}

func TestAnEventIsKeptForSomeDaysAfterItsPublication(t *testing.T) {
	t.Parallel()

	e := created(map[string]any{"ticket_id": "1"})
	for after, want := range map[time.Duration]bool{0: true, 7*24*time.Hour - time.Second: true, 7 * 24 * time.Hour: false} {
		got, ok := journal.Of(e, 7, published().Add(after))
		if ok != want {
			t.Errorf("received after %v it is kept: %t", after, ok)
		}
		if end := published().Add(7 * 24 * time.Hour).Truncate(time.Second); !got.Expires.Equal(end) {
			t.Errorf("received after %v it expires at %v, want %v", after, got.Expires, end)
		}
	}
}

func TestALargePayloadIsNotKept(t *testing.T) {
	t.Parallel()

	around := len(`{"x":""}`)
	for size, cut := range map[int]bool{journal.MaxPayload: false, journal.MaxPayload + 1: true} {
		e := created(map[string]any{"x": strings.Repeat("y", size-around)})
		got, _ := journal.Of(e, 7, published())
		if got.Cut != cut || (got.Event.Payload == nil) != cut {
			t.Errorf("a payload of %d bytes is cut: %t", size, got.Cut)
		}
		if e.Payload == nil {
			t.Error("the event that is dispatched has lost its payload")
		}
	}
}

func TestAPlaceSortsByTimeAndThenByEvent(t *testing.T) {
	t.Parallel()

	var last journal.Place
	for _, at := range []struct {
		after time.Duration
		id    id.Event
	}{{-time.Second, "evt_9"}, {0, "evt_1"}, {0, "evt_2"}, {1, "evt_0"}, {20 * time.Millisecond, "evt_0"}, {time.Second, "evt_0"}} {
		e := created(nil)
		e.Published, e.ID = published().Add(at.after).In(time.FixedZone("", 3600)), at.id
		p := journal.Entry{Event: e}.Place()
		if p <= last || p < journal.PlaceAt(e.Published) {
			t.Errorf("%s comes not after %s", p, last)
		}
		if when, name, ok := p.Parts(); !ok || !when.Equal(e.Published) || name != at.id {
			t.Errorf("%s is of %v, %s", p, when, name)
		}
		last = p
	}
	if when, name, ok := journal.PlaceAt(published()).Parts(); !ok || !when.Equal(published()) || name != "" {
		t.Errorf("a place without an event is of %v, %q", when, name)
	}
	for _, bad := range []journal.Place{"", "#evt_1", "today#evt_1", "2026-03-09#evt_1"} {
		if _, _, ok := bad.Parts(); ok {
			t.Errorf("%q is a place", bad)
		}
	}
}

func TestADayBeginsAtMidnightInUTC(t *testing.T) {
	t.Parallel()

	late := time.Date(2026, time.March, 1, 0, 30, 0, 0, time.FixedZone("", 3600)) // 23:30 in UTC
	if d := journal.DayOf(late); d != "2026-02-28" || !d.Begins().Equal(late.Add(-23*time.Hour-30*time.Minute)) {
		t.Errorf("it is of %s, which begins at %v", d, d.Begins())
	}
	if d := journal.Day("2026-03-01").Before(); d != "2026-02-28" {
		t.Errorf("before the first of March is %s", d)
	}
	if b := journal.Day("today").Begins(); !b.IsZero() {
		t.Errorf("an invalid day begins at %v", b)
	}
}

func TestAQueryWantsWhatItNames(t *testing.T) {
	t.Parallel()

	entry, _ := journal.Of(created(nil), 7, published())
	all := journal.Query{Since: published().Add(-time.Hour), Now: published()}
	for name, change := range map[string]func(q *journal.Query){
		"another type":    func(q *journal.Query) { q.Type = "psa:ticket.updated" },
		"another client":  func(q *journal.Query) { q.Client = "cli_2" },
		"another event":   func(q *journal.Query) { q.Event = "evt_2" },
		"later events":    func(q *journal.Query) { q.Since = published().Add(1) },
		"earlier events":  func(q *journal.Query) { q.Until = published() },
		"after it went":   func(q *journal.Query) { q.Now = entry.Expires },
		"the next page":   func(q *journal.Query) { q.After = entry.Place() },
		"an earlier page": func(q *journal.Query) { q.After = journal.PlaceAt(published()) },
	} {
		q := all
		if change(&q); q.Wants(entry) {
			t.Errorf("%s: the event is wanted", name)
		}
	}
	all.Type, all.Client, all.Event, all.Until = "psa:ticket.created", "cli_1", "evt_1", published().Add(1)
	if !all.Wants(entry) {
		t.Error("the event is not wanted")
	}
}
