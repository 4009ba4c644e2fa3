package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

func clients() []promise {
	fact := func(k client.Kind, name string, minute int) client.Fact {
		return client.Fact{Kind: k, Name: name, At: day().Add(time.Duration(minute) * time.Minute)}
	}
	keep := func(t trial, s Store, o id.Org, facts ...client.Fact) {
		t.Helper()
		for _, f := range facts {
			ok(t, s.SaveFact(t.Context(), o, "client_1", f))
		}
	}
	return []promise{
		{"a fact is read as it was written, with any characters in its name", func(t trial, s Store) {
			o := anOrg()
			score := client.Fact{Kind: client.Posture, At: day().Add(1), Event: "evt_1", Score: int64(9007199254740993)}
			gone := fact(client.Device, "a#b\n\x00ü", 1)
			gone.Ended = true
			want := []client.Fact{fact(client.Device, "a", 2), gone, score, fact(client.Ticket, "a", 3)}
			keep(t, s, o, want...)
			same(t, "facts", known(t, s, o, "client_1"), want)
			same(t, "of another client", known(t, s, o, "client_2"), nil)
			same(t, "of one whose name is the beginning", known(t, s, o, "client_"), nil)
			score.At, score.Score = score.At.Add(1), jsonvalue.Number("71.5")
			keep(t, s, o, score)
			same(t, "a fraction", known(t, s, o, "client_1")[2], score)
		}},
		{"the fact that outweighs the others is kept", func(t trial, s Store) {
			o := anOrg()
			later := fact(client.Device, "d", 5)
			keep(t, s, o, later, fact(client.Device, "d", 4))
			same(t, "the later", known(t, s, o, "client_1"), []client.Fact{later})
			gone := later
			gone.Ended = true
			keep(t, s, o, gone, later)
			same(t, "of one moment the removal", known(t, s, o, "client_1"), []client.Fact{gone})
		}},
		{"of many racing facts about one thing the heaviest is kept", func(t trial, s Store) {
			o := anOrg()
			race(t, racers, nil, func(i int) error {
				return s.SaveFact(t.Context(), o, "client_1", fact(client.Ticket, "t", i*7%racers))
			})
			same(t, "the earliest", known(t, s, o, "client_1"), []client.Fact{fact(client.Ticket, "t", 0)})
		}},
		{"a profile does not depend on the order and the repetition of events", func(t trial, s Store) {
			rapid.Check(t.T, func(r *rapid.T) {
				o := anOrg()
				said := drawEvents(r, o)
				again := rapid.SliceOfN(rapid.SampledFrom(said), 0, 5).Draw(r, "again")
				service := client.Service{Store: s, Now: day}
				for _, e := range rapid.Permutation(slices.Concat(said, again)).Draw(r, "order") {
					if err := service.Project(t.Context(), e); err != nil {
						r.Fatal(err)
					}
				}
				got, err := service.Profile(t.Context(), o, "client_1")
				if err != nil {
					r.Fatal(err)
				}
				if d := gocmp.Diff(slowProfile(said), got); d != "" {
					r.Fatalf("profile (-want +got):\n%s", d)
				}
			})
		}},
	}
}

// known returns the facts about a client, sorted.
func known(t trial, s Store, o id.Org, c id.Client) []client.Fact {
	t.Helper()
	facts, err := s.Facts(t.Context(), o, c)
	ok(t, err)
	slices.SortFunc(facts, func(a, b client.Fact) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return facts
}

// drawEvents draws a month of events from products, often about the same things
// and at the same moments.
func drawEvents(r *rapid.T, o id.Org) []event.Event {
	fields := map[string]string{
		"defend:posture.updated": "security_posture_score", "rmm:device.added": "device_id", "rmm:device.removed": "device_id",
		"psa:ticket.created": "ticket_id", "psa:ticket.resolved": "ticket_id", "psa:ticket.escalated": "ticket_id",
	}
	said := make([]event.Event, rapid.IntRange(1, 12).Draw(r, "events"))
	for i := range said {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(fields))).Draw(r, "name")
		values := []any{"a", "b", "c", "a", "b", "c", "", int64(7), nil}
		if name == "defend:posture.updated" {
			values = []any{int64(40), jsonvalue.Number("71.5"), int64(90), "90", nil}
		}
		product, kind, _ := strings.Cut(name, ":")
		said[i] = event.Event{
			ID: id.Event(fmt.Sprintf("evt_%d", i)), Product: product, Type: kind, Org: o,
			Client:    rapid.SampledFrom([]id.Client{"client_1", "client_1", "client_1", "client_2", ""}).Draw(r, "client"),
			Payload:   map[string]any{fields[name]: rapid.SampledFrom(values).Draw(r, "value")},
			Published: day().Add(-time.Duration(rapid.SampledFrom([]int{0, 1, 29, 30, 31}).Draw(r, "days ago")) * 24 * time.Hour),
		}
	}
	return said
}

// slowProfile computes the profile of client_1 the slow way: for each fact it
// searches all events.
func slowProfile(said []event.Event) map[string]any {
	var score any
	var scored event.Event
	last, opened, seen := map[string]event.Event{}, map[string]time.Time{}, map[string]time.Time{}
	earlier := func(times map[string]time.Time, name string, at time.Time) {
		if t, ok := times[name]; !ok || at.Before(t) {
			times[name] = at
		}
	}
	for _, e := range said {
		device, _ := e.Payload["device_id"].(string)
		ticket, _ := e.Payload["ticket_id"].(string)
		switch {
		case e.Client != "client_1":
		case e.Type == "posture.updated":
			v := e.Payload["security_posture_score"]
			newer := e.Published.After(scored.Published) || e.Published.Equal(scored.Published) && e.ID > scored.ID
			if _, isText := v.(string); v != nil && !isText && newer {
				score, scored = v, e
			}
		case device != "":
			old, ok := last[device]
			if !ok || e.Published.After(old.Published) || e.Published.Equal(old.Published) && e.Type == "device.removed" {
				last[device] = e
			}
		case ticket != "" && e.Type == "ticket.created":
			earlier(opened, ticket, e.Published)
		case ticket != "" && e.Type == "ticket.resolved":
			earlier(seen, ticket, e.Published)
		}
	}
	maps.Copy(seen, opened) // a ticket with both events is opened no longer
	maps.DeleteFunc(seen, func(_ string, at time.Time) bool { return !at.After(day().Add(-30 * 24 * time.Hour)) })
	if score == nil && len(last) == 0 && len(seen) == 0 {
		return nil
	}
	devices := []any{}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if last[name].Type == "device.added" {
			devices = append(devices, name)
		}
	}
	doc := map[string]any{
		"recent_incidents": int64(len(seen)),
		"device_inventory": map[string]any{"count": int64(len(devices)), "devices": devices},
	}
	if score != nil {
		doc["security_posture_score"] = score
	}
	return doc
}
