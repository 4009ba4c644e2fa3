package storetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
)

// received returns the n-th event of a type that an organization receives.
func received(o id.Org, name string, n int) journal.Entry {
	return journal.Entry{
		Event: event.Event{
			ID: id.Event(fmt.Sprintf("evt_%03d", n)), Product: "psa", Type: name, Org: o, Client: id.Client("client_" + strconv.Itoa(n%2)),
			Payload: map[string]any{"ticket_id": strconv.Itoa(n), "ratio": jsonvalue.Number("0.97"), "n": int64(9007199254740993)}, Published: day().Add(time.Duration(n) * time.Minute),
		},
		Expires: day().Add(48 * time.Hour),
	}
}

// journalOf returns all pages of a list of received events.
func journalOf(t trial, s Store, o id.Org, q journal.Query) (all []journal.Entry) {
	t.Helper()
	if q.Since.IsZero() {
		q.Since = day().Add(-100 * 24 * time.Hour)
	}
	if q.Now.IsZero() {
		q.Now = day().Add(24 * time.Hour)
	}
	for range 200 {
		p, err := s.Received(t.Context(), o, q)
		ok(t, err)
		if len(p.Entries) > q.Limit {
			t.Errorf("a page of %d has %d events", q.Limit, len(p.Entries))
		}
		if all = append(all, p.Entries...); p.Next == "" {
			return all
		}
		q.After = p.Next
	}
	t.Fatal("the journal does not end")
	return nil
}

func journals() []promise {
	return []promise{
		{"a received event is read as it was written, once", func(t trial, s Store) {
			o := anOrg()
			e := received(o, "ticket.created", 1)
			e.Event.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_1", Depth: 2}}
			e.Event.Published = e.Event.Published.Add(123456789)
			bare := received(o, "ticket.updated", 2)
			bare.Event.Client, bare.Event.Payload, bare.Cut = "", nil, true
			for _, kept := range []journal.Entry{e, bare, e} {
				ok(t, s.KeepEvent(t.Context(), o, kept))
			}
			same(t, "events", journalOf(t, s, o, journal.Query{Limit: 10}), []journal.Entry{bare, e})
			same(t, "of another organization", journalOf(t, s, anOrg(), journal.Query{Limit: 10}), nil)
		}},
		{"received events are listed by their time, of all types and days together", func(t trial, s Store) {
			o := anOrg()
			var want []journal.Entry
			for n := range 40 {
				e := received(o, "ticket.t"+strconv.Itoa(n*7%5), n)
				e.Event.Published = day().Add(-time.Duration(n*n) * time.Hour) // several on a day, and days without any
				want = append(want, e)
				ok(t, s.KeepEvent(t.Context(), o, e))
			}
			selected := func(q journal.Query) (some []journal.Entry) {
				q.Now = day()
				for _, e := range want {
					if q.Wants(e) {
						some = append(some, e)
					}
				}
				return some
			}
			for name, q := range map[string]journal.Query{
				"all":            {},
				"of a type":      {Type: "psa:ticket.t3"},
				"of a client":    {Client: "client_1"},
				"of no one":      {Client: "client_9"},
				"of no type":     {Type: "psa:ticket.t9"},
				"one event":      {Event: "evt_007"},
				"of an interval": {Since: day().Add(-400 * time.Hour), Until: day().Add(-4 * time.Hour)},
			} {
				if q.Since.IsZero() {
					q.Since = day().Add(-100 * 24 * time.Hour)
				}
				for _, limit := range []int{1, 3, 50} {
					q.Limit = limit
					same(t, fmt.Sprintf("%s, %d at a time", name, limit), journalOf(t, s, o, q), selected(q))
				}
			}
		}},
		{"an event that has expired is not listed", func(t trial, s Store) {
			o := anOrg()
			e := received(o, "ticket.created", 1)
			ok(t, s.KeepEvent(t.Context(), o, e))
			same(t, "before", len(journalOf(t, s, o, journal.Query{Limit: 10, Now: e.Expires.Add(-1)})), 1)
			same(t, "then", len(journalOf(t, s, o, journal.Query{Limit: 10, Now: e.Expires})), 0)
		}},
		{"what is recorded of an event is found at all agents together", func(t trial, s Store) {
			o := announced(t, s, credit.Growth)
			e := anEvent(o, 1)
			run := aRun(o, "agent_run", 1)
			run.ID = execution.ID(o, "agent_run", e)
			run.Trigger = e
			begun(t, s, run)
			no := func(a id.Agent, late time.Duration) activity.Entry {
				r := refusal(o, a, 1)
				r.ID, r.Event = activity.ID(o, a, e.ID, e.Published), e.ID
				r.At = r.At.Add(late)
				return r
			}
			soon, late := no("agent_no", 0), no("agent_late", time.Hour) // a late decision has a copy
			ok(t, s.Refuse(t.Context(), soon))
			ok(t, s.Refuse(t.Context(), late))
			both := no("agent_run", 0)
			ok(t, s.Refuse(t.Context(), both))
			agents := []id.Agent{"agent_none", "agent_run", "agent_no", "agent_late"}
			for n := range 120 { // more than one batch
				agents = append(agents, id.Agent(fmt.Sprintf("agent_%d", n)))
			}
			got, err := s.Recorded(t.Context(), o, e, agents)
			ok(t, err)
			same(t, "agents", len(got), 3)
			want, err := s.Header(t.Context(), o, run.ID)
			ok(t, err)
			same(t, "run", *got["agent_run"].Run, want)
			same(t, "refusal before it", *got["agent_run"].Refusal, both)
			same(t, "refusal", *got["agent_no"].Refusal, soon)
			same(t, "late refusal", *got["agent_late"].Refusal, late)
			if got["agent_no"].Run != nil {
				t.Error("a refusal has a run")
			}
			there, err := s.Exist(t.Context(), o, []id.Execution{run.ID, "exec_none"})
			ok(t, err)
			same(t, "existing runs", there, map[id.Execution]bool{run.ID: true})
			got, err = s.Recorded(t.Context(), anOrg(), e, agents)
			ok(t, err)
			same(t, "in another organization", len(got), 0)
		}},
		{"the latest note of a dead letter is found by its event", func(t trial, s Store) {
			o := anOrg()
			first := journal.LetterOf("evt_1", "psa:ticket.created", "failed", "It crashed 5 workers.", day())
			latest := journal.LetterOf("evt_1", "", "malformed", strings.Repeat("no ", 1000), day().Add(time.Hour))
			for _, l := range []journal.Letter{first, latest} {
				ok(t, s.KeepLetter(t.Context(), o, l))
				got, found, err := s.Letter(t.Context(), o, "evt_1")
				ok(t, err)
				same(t, "found", found, true)
				same(t, "letter", got, l)
			}
			if len(latest.Message) > 1000 {
				t.Errorf("the message has %d bytes", len(latest.Message))
			}
			for org, e := range map[id.Org]id.Event{o: "evt_2", anOrg(): "evt_1"} {
				_, found, err := s.Letter(t.Context(), org, e)
				ok(t, err)
				same(t, "found", found, false)
			}
		}},
		{"a position that is none is refused", func(t trial, s Store) {
			_, err := s.Received(t.Context(), anOrg(), journal.Query{Since: day(), Now: day(), Limit: 1, After: "yesterday"})
			if err == nil {
				t.Error("it is accepted")
			}
		}},
		{"an event that is dated ahead is listed", func(t trial, s Store) {
			o := anOrg()
			e := received(o, "ticket.created", 1)
			e.Event.Published = day().Add(event.MaxAhead)
			ok(t, s.KeepEvent(t.Context(), o, e))
			same(t, "events", journalOf(t, s, o, journal.Query{Limit: 10, Now: day()}), []journal.Entry{e})
		}},
	}
}
