package activity_test

import (
	"testing"
	"time"

	"theoneagents.app/agents/shared/activity"
)

func TestAPlaceSortsByTimeAndReturnsIt(t *testing.T) {
	t.Parallel()

	at := time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC)
	var last activity.Place
	for _, e := range []activity.Entry{
		{ID: "act_9", At: at.Add(-time.Second)},
		{ID: "act_1", At: at},
		{ID: "act_2", At: at},
		{ID: "act_0", At: at.Add(1)},
		{ID: "act_0", At: at.Add(20 * time.Millisecond).In(time.FixedZone("", -3600))},
		{ID: "act_0", At: at.Add(time.Second)},
	} {
		p := e.Place()
		if p <= last || p < activity.PlaceAt(e.At) {
			t.Errorf("%s comes not after %s", p, last)
		}
		if got, ok := p.Time(); !ok || !got.Equal(e.At) {
			t.Errorf("%s is of %v, want %v", p, got, e.At)
		}
		last = p
	}
	if got, ok := activity.PlaceAt(at).Time(); !ok || !got.Equal(at) {
		t.Errorf("a place without an entry is of %v", got)
	}
	// Cursors issued before entries existed had exact places.
	if got, ok := activity.Place("2026-03-09T14:23:01Z#exec_01HXYZ").Time(); !ok || !got.Equal(at) {
		t.Errorf("an old place is of %v", got)
	}
	for _, bad := range []activity.Place{"", "#act_1", "today#act_1"} {
		if got, ok := bad.Time(); ok {
			t.Errorf("%q is of %v", bad, got)
		}
	}
}

func TestARefusalAndAStartOfAnEventHaveDifferentIDs(t *testing.T) {
	t.Parallel()

	at := time.Date(2026, time.March, 9, 14, 23, 1, 0, time.UTC)
	const ulid = "evt_01KK9FJ34B5DJ4KEMMXJ64H3TP"
	if a, b := activity.ID("org_a", "agent_1", ulid, at), activity.ID("org_a", "agent_1", ulid, at.Add(time.Hour)); a != b {
		t.Errorf("an event that is published again is %s, and was %s", b, a)
	}
	seen := map[any]bool{}
	for _, name := range []any{
		activity.ID("org_a", "agent_1", ulid, at), activity.ID("org_b", "agent_1", ulid, at), activity.ID("org_a", "agent_2", ulid, at),
		activity.ID("org_a", "agent_1", "evt_order-7", at), activity.StartID("org_a", "agent_1", ulid, at),
	} {
		if seen[name] {
			t.Errorf("two entries are called %v", name)
		}
		seen[name] = true
	}
}
