package explain_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/explain"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

const org = id.Org("org_acme")

// A fixture is an organization with agents, and a clock.
type fixture struct {
	*testing.T
	*memory.Store

	svc    *explain.Service
	agents *agent.Service
	who    caller.Caller
	now    time.Time
	made   int
}

func open(t *testing.T) *fixture {
	t.Helper()
	c, err := catalog.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		T: t, Store: memory.New(), now: time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC),
		who: caller.Caller{Org: org, User: "user_7", Roles: []caller.Role{caller.Owner}},
	}
	clock := func() time.Time { return f.now }
	rules := definition.Rules{Catalog: c}
	f.agents = &agent.Service{
		Store: f.Store, Plans: f.Store, Settings: f.Store, Rules: rules, Now: clock, Runs: noRuns{},
		NewID: func() id.Agent { f.made++; return id.Agent(fmt.Sprintf("agent_%d", f.made)) },
	}
	f.svc = &explain.Service{
		Agents: f.agents, Definitions: agent.Definitions{Versions: f.Store}, Records: f.Store, Journal: f.Store, Tenants: f.Store, Acts: f.Store,
		Profiles: &client.Service{Store: f.Store, Now: clock}, Rules: rules, Now: clock,
	}
	f.ok(f.SaveTenant(t.Context(), tenant.Tenant{Org: org, Plan: credit.Growth, Created: f.now, Updated: f.now}, "2026-03"))
	f.keep(30)
	return f
}

type noRuns struct{}

func (noRuns) CancelAll(ctx context.Context, _ id.Org, _ id.Agent, _ id.Actor) error {
	return ctx.Err()
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// keep changes the setting journal_days.
func (f *fixture) keep(days int) {
	f.Helper()
	s := tenant.SettingsService{Store: f.Store, Now: func() time.Time { return f.now }}
	_, err := s.Update(f.Context(), f.who, tenant.SettingsPatch{JournalDays: &days})
	f.ok(err)
}

// draft makes an agent that listens for an event, when the priority is p1.
func (f *fixture) draft(name, eventType string) id.Agent {
	f.Helper()
	doc, err := jsonvalue.Object([]byte(`{"name": "` + name + `", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "` + eventType + `",
			"filters": [{"field": "priority", "operator": "eq", "value": "p1"}]},
		"steps": [{"id": "w", "type": "wait", "duration_seconds": 60}]}`))
	f.ok(err)
	a, err := f.agents.Create(f.Context(), f.who, doc)
	f.ok(err)
	return a.ID
}

// to moves an agent to a status, at a time of the day.
func (f *fixture) to(a id.Agent, status agent.Status, clock string) {
	f.Helper()
	f.at(clock)
	_, err := f.agents.Update(f.Context(), f.who, a, agent.Patch{Fields: map[string]any{"status": string(status)}})
	f.ok(err)
}

// at sets the clock to a time of the day.
func (f *fixture) at(clock string) {
	f.Helper()
	t, err := time.Parse("15:04", clock)
	f.ok(err)
	f.now = time.Date(2026, 3, 9, t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// arrives returns an event that is published now, and keeps it in the journal.
func (f *fixture) arrives(priority string) event.Event {
	f.Helper()
	e := event.Event{
		ID: id.Event("evt_" + id.Derive(f.now, priority)), Product: "psa", Type: "ticket.created", Org: org, Client: "cli_1", Published: f.now,
		Payload: map[string]any{"ticket_id": "1", "priority": priority},
	}
	entry, _ := journal.Of(e, 30, f.now)
	f.ok(f.KeepEvent(f.Context(), org, entry))
	return e
}

// starts records a run of an agent for an event.
func (f *fixture) starts(a id.Agent, e event.Event) id.Execution {
	f.Helper()
	x := execution.New(execution.Execution{ID: execution.ID(org, a, e), Org: org, Agent: a, Version: 1, Trigger: e}, f.now)
	f.ok(f.Create(f.Context(), x))
	return x.ID
}

func (f *fixture) explain(e id.Event) explain.Explanation {
	f.Helper()
	x, err := f.svc.Explain(f.Context(), f.who, explain.Question{Event: e})
	f.ok(err)
	return x
}

// told returns what an explanation says of an agent.
func (f *fixture) told(x explain.Explanation, a id.Agent) explain.Agent {
	f.Helper()
	for _, told := range x.Agents {
		if told.ID == a {
			return told
		}
	}
	f.Fatalf("nothing is said of %s: %+v", a, x.Agents)
	return explain.Agent{}
}

func TestEveryAgentIsToldOfWithAReason(t *testing.T) {
	t.Parallel()
	f := open(t)
	refused, paused, still, other, gone := f.draft("Refused", "ticket.created"), f.draft("Paused", "ticket.created"), f.draft("Still paused", "ticket.created"), f.draft("Other", "ticket.updated"), f.draft("Gone", "ticket.created")
	unheard := f.draft("Unheard", "ticket.created")
	draft, later := f.draft("Draft", "ticket.created"), f.draft("Draft then", "ticket.created")
	for _, a := range []id.Agent{refused, paused, still, other, gone, unheard} {
		f.to(a, agent.Active, "09:05")
	}
	f.to(paused, agent.Paused, "09:10")
	f.to(still, agent.Paused, "09:11")
	f.at("10:00")
	e := f.arrives("p3")
	x := f.starts(gone, e)
	f.ok(f.Refuse(t.Context(), activity.Entry{
		ID: activity.ID(org, refused, e.ID, e.Published), Org: org, Agent: refused, At: f.now, Event: e.ID, EventType: e.Type, Product: e.Product,
		Outcome: definition.Filtered, Detail: `priority must be "p1"; it is "p3"`,
	}))
	f.to(paused, agent.Active, "11:40")
	f.to(later, agent.Active, "11:41")
	f.at("11:45")
	made := f.draft("Made later", "ticket.created")
	forgotten := f.draft("Made and deleted later", "ticket.created")
	f.at("12:00")
	for _, a := range []id.Agent{gone, forgotten} {
		f.ok(f.agents.Delete(t.Context(), f.who, a, 0))
	}
	f.at("12:30")

	told := f.explain(e.ID)
	if !told.Kept || told.Event.Payload["priority"] != "p3" || told.Event.Client != "cli_1" {
		t.Errorf("the event is %+v", told.Event)
	}
	for a, want := range map[id.Agent]string{
		refused: `It did not start: priority must be "p1"; it is "p3".`,
		paused:  "It was paused from 2026-03-09 09:10:00 UTC (user_7) until 2026-03-09 11:40:00 UTC (user_7).",
		still:   "It was paused from 2026-03-09 09:11:00 UTC (user_7), and still is.",
		other:   "It listens for psa:ticket.updated.",
		draft:   "It was a draft, and still is.",
		later:   "It was a draft until 2026-03-09 11:41:00 UTC (user_7).",
		made:    "It was created at 2026-03-09 11:45:00 UTC, after the event.",
		gone:    "It started version 1.",
		unheard: "It listened, and nothing is recorded: the event was not handled yet, or could not be.",
	} {
		if got := f.told(told, a); got.Because != want {
			t.Errorf("%s (%s): %q, want %q", got.Name, a, got.Because, want)
		}
	}
	for _, a := range told.Agents {
		if a.ID == forgotten {
			t.Error("a deleted agent without a record is told of")
		}
	}
	if a := f.told(told, gone); a.Status != "" || a.Now != nil || a.Then.Run == nil || a.Then.Run.ID != x {
		t.Errorf("the deleted agent: %+v", a)
	}
	for a, want := range map[id.Agent]definition.Outcome{draft: definition.Filtered, still: definition.Filtered, other: definition.NotListening} {
		now := f.told(told, a).Now
		if now == nil || now.Outcome != want || len(now.Checks) == 0 {
			t.Errorf("%s says now %+v, want %s", a, now, want)
		}
	}
}

func TestAnEventThatNeverCameIsJudgedByEveryAgentAsItIsNow(t *testing.T) {
	t.Parallel()
	f := open(t)
	other := f.draft("Other", "ticket.updated")
	active, paused, draft := f.draft("Active", "ticket.created"), f.draft("Paused", "ticket.created"), f.draft("Draft", "ticket.created")
	f.to(active, agent.Active, "09:05")
	f.to(paused, agent.Active, "09:05")
	f.to(paused, agent.Paused, "09:06")
	suppose := func(priority string, depth int, only id.Agent) explain.Explanation {
		t.Helper()
		e, err := event.Event{
			ID: "evt_supposed", Product: "psa", Type: "ticket.created", Org: org, Published: f.now,
			Payload: map[string]any{"ticket_id": "1", "priority": priority, "client_id": "cli_1"},
		}.AsReceived()
		f.ok(err)
		if e.Client != "cli_1" {
			t.Errorf("the client is %q", e.Client)
		}
		if depth > 0 {
			e = e.CausedBy("", e.ID, depth)
		}
		x, err := f.svc.Suppose(t.Context(), f.who, e, only)
		f.ok(err)
		return x
	}
	for _, c := range []struct {
		priority string
		depth    int
		a        id.Agent
		want     string
	}{
		{"p1", 0, active, "It would start."},
		{"p1", 0, paused, "It would start if it were active. It is paused."},
		{"p1", 0, draft, "It would start if it were active. It is a draft."},
		{"p1", 0, other, "It listens for psa:ticket.updated."},
		{"p3", 0, active, `It would not start: priority must be "p1"; it is "p3".`},
		{"p1", 1, active, "It would not start: an agent caused the event, and the trigger does not allow that."},
	} {
		if got := f.told(suppose(c.priority, c.depth, ""), c.a); got.Because != c.want || got.Then != (explain.Record{}) || got.Now == nil || len(got.Now.Checks) == 0 {
			t.Errorf("%s, depth %d: %q, want %q; %+v", c.priority, c.depth, got.Because, c.want, got)
		}
	}
	listening := true
	for _, a := range suppose("p1", 0, "").Agents {
		listens := a.Now.Outcome != definition.NotListening
		if listens && !listening {
			t.Errorf("%s listens for the event, but an agent that does not listen stands before it", a.ID)
		}
		listening = listens
	}
	if x := suppose("p1", 0, draft); len(x.Agents) != 1 || x.Agents[0].ID != draft {
		t.Errorf("of one agent: %+v", x.Agents)
	}
	if _, err := f.svc.Suppose(t.Context(), f.who, event.Event{}, "agent_none"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("of an unknown agent: %v", err)
	}
}

// makes makes an agent that makes a ticket for each event.
func (f *fixture) makes(eventType string) id.Agent {
	f.Helper()
	doc, err := jsonvalue.Object([]byte(`{"name": "Maker", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "` + eventType + `", "filters": []},
		"steps": [{"id": "make", "type": "product_action", "product": "psa", "action": "create_ticket", "params": {"subject": "Again", "description": "Again", "priority": "p1", "client_id": "cli_1"}}]}`))
	f.ok(err)
	a, err := f.agents.Create(f.Context(), f.who, doc)
	f.ok(err)
	return a.ID
}

// receives keeps an event about a ticket in the journal, which names a run as its cause.
func (f *fixture) receives(eventType, ticket string, cause id.Execution) id.Event {
	f.Helper()
	f.made++
	e := event.Event{
		ID: id.Event("evt_" + id.Derive(f.now, strconv.Itoa(f.made))), Product: "psa", Type: eventType, Org: org, Published: f.now,
		Payload: map[string]any{"ticket_id": ticket, "priority": "p3"},
	}
	if cause != "" {
		e.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: cause, Depth: 1}}
	}
	entry, _ := journal.Of(e, 30, f.now)
	f.ok(f.KeepEvent(f.Context(), org, entry))
	return e.ID
}

// ends ends a run that has begun.
func (f *fixture) ends(x id.Execution, ending func(execution.Execution) execution.Execution) {
	f.Helper()
	run, steps, err := f.Execution(f.Context(), org, x)
	f.ok(err)
	f.ok(f.Commit(f.Context(), run.End(ending, steps, false)))
}

func TestAnExplanationTellsWhatTheRunsDidAndCaused(t *testing.T) {
	t.Parallel()
	f := open(t)
	maker, waiter := f.makes("ticket.updated"), f.draft("Waiter", "ticket.updated")
	f.at("10:00")
	before := f.receives("ticket.created", "tkt_0", "")
	e := event.Event{ID: id.Event("evt_" + id.Derive(f.now, "first")), Product: "psa", Type: "ticket.updated", Org: org, Published: f.now, Payload: map[string]any{"ticket_id": "tkt_1", "priority": "p1"}}
	entry, _ := journal.Of(e, 30, f.now)
	f.ok(f.KeepEvent(t.Context(), org, entry))
	made, failed := f.starts(maker, e), f.starts(waiter, e)
	f.at("10:01")
	f.ok(f.AddUses(t.Context(), org, []tenant.Use{tenant.Makes(catalog.Kind("psa", "ticket"))}))
	f.ok(f.SaveMaker(t.Context(), org, catalog.ObjectID{Kind: catalog.Kind("psa", "ticket"), ID: "tkt_9"}, made, f.now))
	named, about := f.receives("ticket.created", "tkt_8", made), f.receives("ticket.created", "tkt_9", "")
	for _, of := range []struct{ ticket, cause string }{{"tkt_7", ""}, {"tkt_9", "exec_other"}} { // of others
		f.receives("ticket.created", of.ticket, id.Execution(of.cause))
	}
	f.at("10:02")
	f.ends(made, func(x execution.Execution) execution.Execution { return x.Complete(f.now) })
	f.ends(failed, func(x execution.Execution) execution.Execution {
		return x.Fail(execution.Failure{Code: "product_error", Message: "No.", Step: "w"}, f.now)
	})
	f.at("11:00")
	f.receives("ticket.created", "tkt_9", made) // long after the run

	x := f.explain(e.ID)
	stories := map[id.Execution]string{}
	for _, d := range x.Did {
		stories[d.Run] = d.Story
	}
	if len(x.Did) != 2 || !strings.HasPrefix(stories[made], "The run completed after ") || !strings.HasPrefix(stories[failed], "The run failed at the step “w” (product_error)") {
		t.Errorf("did %+v", x.Did)
	}
	run, _, err := f.Execution(t.Context(), org, failed)
	f.ok(err)
	want := map[id.Event]id.Execution{named: made, about: made, run.FailedEvent("").ID: failed}
	for _, c := range x.Caused {
		if want[c.Event] != c.By || c.Depth != 1 || c.Event == before || c.Published.IsZero() {
			t.Errorf("caused %+v", c)
		}
		delete(want, c.Event)
	}
	if len(want) > 0 || x.Note != "" {
		t.Errorf("not found: %v, note %q", want, x.Note)
	}
	f.keep(0)
	f.at("11:01")
	if x := f.explain(e.ID); len(x.Did) != 2 || len(x.Caused) != 1 || x.Caused[0].By != failed || !strings.Contains(x.Note, "journal_days") {
		t.Errorf("without a journal: %+v, %q", x.Caused, x.Note)
	}
}

func TestASearchForCausedEventsSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	f := open(t)
	maker := f.makes("ticket.updated")
	f.at("10:00")
	e := event.Event{ID: id.Event("evt_" + id.Derive(f.now, "first")), Product: "psa", Type: "ticket.updated", Org: org, Published: f.now}
	x := f.starts(maker, e)
	f.at("10:01")
	for n := range explain.MaxCaused + 7 {
		f.receives("ticket.created", fmt.Sprint("tkt_", n), x)
	}
	f.now = f.now.AddDate(0, 0, 20) // the run is still open
	told := f.explain(e.ID)
	if len(told.Caused) != explain.MaxCaused || !strings.Contains(told.Note, "Events until 2026-03-23 10:00:00 UTC are looked for.") || !strings.Contains(told.Note, "of at least 107 events") {
		t.Errorf("%d events, note %q", len(told.Caused), told.Note)
	}
	f.keep(0)
	f.keep(30) // the journal begins anew
	if note := f.explain(e.ID).Note; !strings.Contains(note, "Events are kept since 2026-03-29 10:01:00 UTC.") {
		t.Errorf("note %q", note)
	}
}

func TestADeadLetterIsExplained(t *testing.T) {
	t.Parallel()
	f := open(t)
	active, draft := f.draft("Active", "ticket.created"), f.draft("Draft", "ticket.created")
	f.to(active, agent.Active, "09:05")
	f.keep(0)
	f.at("10:00")
	e := id.Event("evt_" + id.Derive(f.now))
	f.at("10:07")
	f.ok(f.KeepLetter(t.Context(), org, journal.LetterOf(e, "psa:ticket.created", "failed", "The event crashed 5 workers.", f.now)))
	x := f.explain(e)
	if x.Kept || x.Letter == nil || x.Letter.Reason != "failed" || x.Event.Name() != "psa:ticket.created" {
		t.Errorf("%+v", x)
	}
	if got, want := f.told(x, active).Because, "It listened, but the event became a dead letter at 2026-03-09 10:07:00 UTC (failed)."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := f.told(x, draft).Because; got != "It was a draft, and still is." {
		t.Errorf("a draft: %q", got)
	}
	const timeless = id.Event("evt_order7")
	f.ok(f.KeepLetter(t.Context(), org, journal.LetterOf(timeless, "", "malformed", "It is malformed.", f.now)))
	if x := f.explain(timeless); x.Letter == nil || !x.Event.Published.Equal(f.now) || x.Event.Type != "" {
		t.Errorf("an id without a time: %+v", x)
	}
	f.now = f.now.Add(journal.LetterKept)
	if _, err := f.svc.Explain(t.Context(), f.who, explain.Question{Event: e}); !errors.Is(err, explain.ErrNotKept) {
		t.Errorf("after its time: %v", err)
	}
}

func TestAnEventOfAnUnknownTypeSaysSo(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.at("10:00")
	_, err := f.svc.Explain(t.Context(), f.who, explain.Question{Event: id.Event("evt_" + id.Derive(f.now)), Type: "psa:ticket.creatd"})
	if !errors.Is(err, explain.ErrNotKept) || !strings.Contains(err.Error(), "has no event type psa:ticket.creatd") || !strings.Contains(err.Error(), "Did you mean psa:ticket.created?") {
		t.Errorf("err = %v", err)
	}
}

// Products tell whole seconds.
func TestAnAgentMadeInTheSecondOfAnEventIsJudgedByTheTimeInItsID(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.at("10:00")
	second := f.now
	f.now = second.Add(300 * time.Millisecond)
	made := f.draft("Made in this second", "ticket.created")
	for name, want := range map[id.Event]string{
		id.Event("evt_" + id.Derive(second.Add(600*time.Millisecond), "after")):  "It was a draft, and still is.",
		id.Event("evt_" + id.Derive(second.Add(100*time.Millisecond), "before")): "It was created at 2026-03-09 10:00:00 UTC, after the event.",
		id.Event("evt_" + id.Derive(second.Add(-time.Hour), "of another time")):  "It was a draft, and still is.",
		"evt_without_a_time": "It was a draft, and still is.",
	} {
		e := event.Event{ID: name, Product: "psa", Type: "ticket.created", Org: org, Published: second, Payload: map[string]any{"priority": "p1"}}
		entry, _ := journal.Of(e, 30, f.now)
		f.ok(f.KeepEvent(t.Context(), org, entry))
		x, err := f.svc.Explain(t.Context(), f.who, explain.Question{Event: name, Type: "psa:ticket.created", At: second})
		f.ok(err)
		if got := f.told(x, made).Because; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAnExplanationAsksForOneAgent(t *testing.T) {
	t.Parallel()
	f := open(t)
	a, b := f.draft("A", "ticket.created"), f.draft("B", "ticket.created")
	f.at("10:00")
	e := f.arrives("p1")
	x, err := f.svc.Explain(t.Context(), f.who, explain.Question{Event: e.ID, Type: "psa:ticket.created", At: e.Published, Agent: b})
	if err != nil || len(x.Agents) != 1 || x.Agents[0].ID != b || x.Agents[0].Now.Outcome != definition.Started {
		t.Errorf("%+v, %v; want %s alone, not %s", x.Agents, err, b, a)
	}
	_, err = f.svc.Explain(t.Context(), f.who, explain.Question{Event: e.ID, Agent: "agent_none"})
	if !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("of an unknown agent: %v", err)
	}
}

func TestAPauseOrSuspensionOfTheOrganizationIsTheVerdictNow(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.draft("A", "ticket.created")
	f.at("10:00")
	e := f.arrives("p1")
	was, err := f.Tenant(t.Context(), org)
	f.ok(err)
	f.ok(f.SaveOrgPause(t.Context(), was.Paused(tenant.Pause{By: "user_9", At: f.now, OpenRuns: tenant.Hold})))
	if now := f.told(f.explain(e.ID), a).Now; now.Outcome != definition.OrgPaused || !strings.Contains(now.Why, "user_9") {
		t.Errorf("now: %+v", now)
	}
}

func TestAnEventWithoutJournalIsKnownByItsRuns(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.draft("A", "ticket.created")
	f.keep(0)
	f.at("10:00")
	e := event.Event{ID: id.Event("evt_" + id.Derive(f.now)), Product: "psa", Type: "ticket.created", Org: org, Client: "cli_1", Published: f.now}
	_, err := f.svc.Explain(t.Context(), f.who, explain.Question{Event: e.ID})
	if !errors.Is(err, explain.ErrNotKept) || !strings.Contains(err.Error(), "journal_days") {
		t.Fatalf("an unknown event: %v", err)
	}
	f.starts(a, e)
	x := f.explain(e.ID)
	if told := f.told(x, a); x.Kept || x.Event.Payload != nil || x.Event.Name() != e.Name() || told.Now != nil || told.Then.Run == nil {
		t.Errorf("%+v, %+v", x.Event, told)
	}
}

func TestAnEventThatIsNotKeptSaysSinceWhenEventsAre(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.at("10:00")
	_, err := f.svc.Explain(t.Context(), f.who, explain.Question{Event: id.Event("evt_" + id.Derive(f.now))})
	if !errors.Is(err, explain.ErrNotKept) || !strings.Contains(err.Error(), "since 2026-03-09T09:00:00Z") {
		t.Errorf("err = %v", err)
	}
	if _, err := f.svc.Explain(t.Context(), f.who, explain.Question{Event: "evt_7"}); !errors.Is(err, explain.ErrNotKept) || !strings.Contains(err.Error(), "say in at when") {
		t.Errorf("without a time: %v", err)
	}
}

func TestAnEventIsFoundAMomentBesideTheTimeOfItsID(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.draft("A", "ticket.created")
	f.at("10:00")
	e := f.arrives("p1")
	late := e
	late.ID, late.Published = id.Event("evt_"+id.Derive(f.now, "late")), f.now.Add(3*time.Minute)
	entry, _ := journal.Of(late, 30, f.now)
	f.ok(f.KeepEvent(t.Context(), org, entry))
	f.at("10:30")
	if x := f.explain(late.ID); !x.Kept || f.told(x, a).Now.Outcome != definition.Started {
		t.Errorf("%+v", x)
	}
}

func TestReceivedEventsAreListedWithWhatTheyStarted(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.draft("A", "ticket.created")
	f.at("10:00")
	first := f.arrives("p1")
	x := f.starts(a, first)
	f.at("10:01")
	second := f.arrives("p3")
	l, err := f.svc.List(t.Context(), f.who, journal.Query{Limit: 10})
	f.ok(err)
	if len(l.Events) != 2 || l.Events[0].Event.ID != second.ID || len(l.Events[0].Started) != 0 || len(l.Events[1].Started) != 1 || l.Events[1].Started[0] != x {
		t.Errorf("%+v", l.Events)
	}
	l, err = f.svc.List(t.Context(), f.who, journal.Query{Limit: 1, After: l.Events[0].Place()})
	if err != nil || len(l.Events) != 1 || l.Events[0].Event.ID != first.ID {
		t.Errorf("the second page: %+v, %v", l.Events, err)
	}
	f.keep(0)
	if l, err := f.svc.List(t.Context(), f.who, journal.Query{Limit: 10}); err != nil || len(l.Events) != 0 || !l.Since.IsZero() {
		t.Errorf("without a journal: %+v, %v", l, err)
	}
}
