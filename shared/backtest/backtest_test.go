package backtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

const org = id.Org("org_a")

var (
	now      = time.Date(2026, time.March, 9, 14, 0, 0, 0, time.UTC)
	who      = caller.Caller{Org: org, User: "user_1", Roles: []caller.Role{caller.Member}}
	errCrash = errors.New("the worker died")
)

var rules = sync.OnceValue(func() definition.Rules {
	c, err := catalog.Load(events.Files)
	if err != nil {
		panic(err)
	}
	return definition.Rules{Catalog: c}
})

// A world is an organization with a journal.
type world struct {
	*memory.Store

	t     testing.TB
	calls []job.Call
	crash func() error
	seq   int
	most  int
	now   time.Time
}

// newWorld returns an organization that is a year older than its journal of 40 days.
func newWorld(t testing.TB) *world {
	w := &world{Store: memory.New(), t: t, crash: func() error { return nil }, now: now}
	x := tenant.Tenant{Org: org, Plan: credit.Growth, Created: now.AddDate(-1, 0, 0), Updated: now}
	w.must(w.SaveTenant(t.Context(), x, credit.MonthOf(now)))
	x.Revision, x.Settings = 1, tenant.Settings{JournalDays: 90, JournalSince: now.AddDate(0, 0, -40)}
	w.must(w.SaveSettings(t.Context(), x))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) Begin(_ context.Context, c job.Call) error {
	w.calls = append(w.calls, c)
	return nil
}

// Received, SaveJob and EndJob may be where a worker dies.
func (w *world) Received(ctx context.Context, o id.Org, q journal.Query) (journal.Page, error) {
	if err := w.crash(); err != nil {
		return journal.Page{}, err
	}
	return w.Store.Received(ctx, o, q)
}

func (w *world) SaveJob(ctx context.Context, j job.Job) error {
	if err := w.crash(); err != nil {
		return err
	}
	return errors.Join(w.Store.SaveJob(ctx, j), w.crash())
}

func (w *world) EndJob(ctx context.Context, j job.Job, result string, acts ...audit.Entry) error {
	if err := w.crash(); err != nil {
		return err
	}
	return errors.Join(w.Store.EndJob(ctx, j, result, acts...), w.crash())
}

// agent stores an active agent on new tickets.
func (w *world) agent(name id.Agent, more string) agent.Agent {
	w.t.Helper()
	doc, err := jsonvalue.Object([]byte(`{"name": "A", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created", "filters": [{"field": "priority", "operator": "eq", "value": "p1"}]},
		"steps": [{"id": "note", "type": "product_action", "product": "psa", "action": "add_note",
			"params": {"ticket_id": "{{ event_payload.ticket_id }}", "body": "Seen.", "visibility": "internal"}}]` + more + `}`))
	w.must(err)
	d, err := rules().Parse(doc)
	w.must(err)
	a := agent.Agent{Definition: d, Head: agent.Head{ID: name, Org: org, Name: "A", Type: agent.Custom, Status: agent.Active, Version: 1}}
	w.must(w.SaveAgent(w.t.Context(), agent.Agent{}, a, agent.Cap{}))
	return a
}

// tickets keeps n tickets, one every interval until a minute ago; each third is a p1.
func (w *world) tickets(n int, interval time.Duration) {
	w.t.Helper()
	for i := range n {
		at := now.Add(-time.Minute - time.Duration(i)*interval)
		e := event.Event{
			ID: id.Event(fmt.Sprintf("evt_%06d", i)), Product: "psa", Type: "ticket.created", Org: org, Client: id.Client(fmt.Sprintf("cli_%d", i%2)), Published: at,
			Payload: map[string]any{"ticket_id": fmt.Sprintf("tkt_%d", i), "priority": fmt.Sprintf("p%d", 1+i%3)},
		}
		w.must(w.KeepEvent(w.t.Context(), org, journal.Entry{Event: e, Expires: now.AddDate(1, 0, 0)}))
	}
}

func (w *world) jobs() *job.Service {
	return &job.Service{
		Store: w, Workers: w, Now: func() time.Time { return now }, Report: func(context.Context, error) {},
		NewID: func() id.Job { w.seq++; return id.Job(fmt.Sprintf("job_%d", w.seq)) },
	}
}

func (w *world) start(q backtest.Request) (job.Job, error) {
	s := &backtest.Service{Store: w.Store, Jobs: w.jobs(), Now: func() time.Time { return now }}
	return s.Start(w.t.Context(), who, q)
}

func (w *world) work(c job.Call) error {
	worker := &job.Worker{
		Store: w, Now: func() time.Time { return w.now }, NewOwner: func() string { w.seq++; return fmt.Sprint("w", w.seq) },
		Tasks: map[job.Kind]job.Task{job.Backtest: &backtest.Task{
			Journal: w, Past: w.Store, Definitions: agent.Definitions{Versions: w.Store}, Rules: rules(), Most: w.most,
		}},
	}
	return worker.Work(w.t.Context(), c)
}

// result makes a back-test without interruption.
func (w *world) result(q backtest.Request) (backtest.Result, string) {
	w.t.Helper()
	j, err := w.start(q)
	w.must(err)
	w.must(w.work(w.calls[len(w.calls)-1]))
	j, text, err := w.jobs().Get(w.t.Context(), who, j.ID)
	w.must(err)
	if j.Status != job.Completed {
		w.t.Fatalf("the job is %+v", j.Failure)
	}
	var r backtest.Result
	w.must(json.Unmarshal([]byte(text), &r))
	return r, text
}

// Wherever the worker dies, the next one comes to the same result.
func TestABackTestThatIsInterruptedAnywhereHasTheSameResult(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	a := w.agent("agent_1", `, "execution_limit": {"max_per_hour": 1}`)
	w.agent("agent_2", ``)
	w.tickets(24, 20*time.Minute)
	q := backtest.Request{Agent: a, Saved: true, Compare: true, Play: backtest.Simulated}
	_, want := w.result(q)
	rapid.Check(t, func(rt *rapid.T) {
		j, err := w.start(q)
		w.must(err)
		crashes := rapid.IntRange(0, job.MaxBegins-1).Draw(rt, "crashes")
		w.crash = func() error {
			if crashes > 0 && rapid.IntRange(0, 2).Draw(rt, "dies") == 0 {
				crashes--
				return errCrash
			}
			return nil
		}
		c := w.calls[len(w.calls)-1]
		for range 2 * job.MaxBegins {
			if err := w.work(c); err != nil && !errors.Is(err, errCrash) {
				rt.Fatal(err)
			}
			w.now = w.now.Add(job.LeaseTime)
		}
		w.crash = func() error { return nil }
		got, text, err := w.jobs().Get(t.Context(), who, j.ID)
		if err != nil || got.Status != job.Completed || text != want {
			rt.Fatalf("the job is %+v (%v): %s", got, err, cmp.Diff(want, text))
		}
	})
}

func TestABackTestCountsWhatStartsAndWhy(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	a := w.agent("agent_1", `, "client_scope": {"include": ["cli_0"]}, "execution_limit": {"max_per_day": 5}`)
	w.tickets(300, 10*time.Minute)
	r, _ := w.result(backtest.Request{Agent: a, Saved: true, From: now.Add(-10 * time.Hour), Clients: []id.Client{"cli_0"}, Play: backtest.Simulated})
	// 60 tickets, of which 30 are of cli_0, of which 10 are p1; the day before used up a part of the limit.
	if r.Events.OfType != 60 || r.Events.Seen != 204 || r.Refused[definition.Filtered] != 20 || r.WouldStart+r.Refused[definition.LimitReached] != 10 || r.Refused[definition.OutOfScope] != 0 {
		t.Errorf("the result is %+v", r)
	}
	if r.Refused[definition.LimitReached] == 0 || len(r.Examples.Started) != r.WouldStart || len(r.NearMisses) != 1 || r.NearMisses[0].Events != 20 {
		t.Errorf("the universe did not begin a day earlier: %+v, %+v", r.Refused, r.NearMisses)
	}
	if r.Played == nil || r.Played.Runs != r.WouldStart || len(r.Effects) != 1 || r.Effects[0] != (backtest.EffectCount{What: "psa.add_note", Times: r.WouldStart}) || r.Version == nil || *r.Version != 1 {
		t.Errorf("played %+v, effects %+v", r.Played, r.Effects)
	}
}

// Products tell whole seconds, and a journal begins within one.
func TestAnEventOfTheSecondInWhichTheJournalBeganIsPlayed(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	x, err := w.Tenant(t.Context(), org)
	w.must(err)
	x.Settings.JournalSince = now.Add(-10*time.Minute + 300*time.Millisecond)
	w.must(w.SaveSettings(t.Context(), x))
	w.tickets(1, time.Minute)
	w.must(w.KeepEvent(t.Context(), org, journal.Entry{Expires: now.AddDate(1, 0, 0), Event: event.Event{
		ID: "evt_first", Product: "psa", Type: "ticket.created", Org: org, Client: "cli_1", Published: now.Add(-10 * time.Minute),
		Payload: map[string]any{"ticket_id": "tkt_first", "priority": "p1"},
	}}))
	r, _ := w.result(backtest.Request{Agent: w.agent("agent_a", "")})
	if r.Events.OfType != 2 || r.WouldStart != 2 {
		t.Errorf("%d events, of which %d start the agent; want 2, 2", r.Events.OfType, r.WouldStart)
	}
}

func TestTwoAgentsThatActOnOneTicketAreSeen(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	a := w.agent("agent_1", ``)
	w.agent("agent_2", ``)
	w.tickets(30, time.Hour)
	r, _ := w.result(backtest.Request{Agent: a, Play: backtest.Simulated})
	ten := 10
	if d := cmp.Diff([]backtest.Overlap{{Agent: "agent_2", Events: 10, Same: &ten}}, r.Overlap); d != "" || r.Version != nil {
		t.Errorf("overlap (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]backtest.Loop{}, r.Loops); d != "" {
		t.Errorf("loops (-want +got):\n%s", d)
	}
}

// A profile that has parts from before the journal is not guessed.
func TestAnEventWhoseOutcomeRestsOnTheTimeBeforeTheJournalIsUnknown(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	incidents := w.agent("agent_1", `, "conditions": [{"context": "client_context", "field": "recent_incidents", "operator": "gt", "value": 3}]`)
	devices := w.agent("agent_2", `, "conditions": [{"context": "client_context", "field": "device_inventory.count", "operator": "gt", "value": 3}]`)
	w.tickets(120, 6*time.Hour) // 30 days
	r, _ := w.result(backtest.Request{Agent: incidents, Saved: true})
	// The journal is 40 days old: the last 10 days are known.
	if r.Unknown.Profile != 26 || r.WouldStart != 14 || r.Refused[definition.Filtered] != 80 {
		t.Errorf("incidents: unknown %+v, started %d, refused %v", r.Unknown, r.WouldStart, r.Refused)
	}
	r, _ = w.result(backtest.Request{Agent: devices, Saved: true})
	if r.Unknown.Profile != 40 || r.WouldStart != 0 || r.Refused[definition.Filtered] != 80 {
		t.Errorf("devices: unknown %+v, started %d, refused %v", r.Unknown, r.WouldStart, r.Refused)
	}
}

// A sample is uniform, the same in every back-test, and says what it stands for.
func TestOfTooManyEventsASampleIsJudged(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	a := w.agent("agent_1", ``)
	w.tickets(3000, 7*time.Minute)
	w.most = 500
	r, first := w.result(backtest.Request{Agent: a, Saved: true})
	judged := r.WouldStart + r.Refused[definition.Filtered]
	if !r.Events.Sampled || judged > 500 || judged < 250 || math.Abs(float64(judged)*r.Events.Factor-3000) > 600 {
		t.Errorf("%d events were judged with the factor %v", judged, r.Events.Factor)
	}
	if third := float64(r.WouldStart) / float64(judged); third < 0.23 || third > 0.43 {
		t.Errorf("%d of %d started, of all a third", r.WouldStart, judged)
	}
	if _, second := w.result(backtest.Request{Agent: a, Saved: true}); first != second {
		t.Errorf("another sample:\n%s", cmp.Diff(first, second))
	}
}

func TestABackTestNeedsAJournalOfItsTime(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	a := w.agent("agent_1", ``)
	if _, err := w.start(backtest.Request{Agent: a, To: now.AddDate(0, 0, -41)}); !errors.Is(err, backtest.ErrNone) {
		t.Errorf("before the journal: %v", err)
	}
	j, err := w.start(backtest.Request{Agent: a})
	w.must(err)
	if _, err := w.start(backtest.Request{Agent: a}); !errors.Is(err, job.ErrRunning) {
		t.Errorf("a second one: %v", err)
	}
	w.must(w.work(w.calls[0]))
	if j, _, err := w.jobs().Get(t.Context(), who, j.ID); err != nil || j.Status != job.Failed || j.Failure.Code != "nothing_kept" {
		t.Errorf("without an event: %+v, %v", j, err)
	}
	x, err := w.Tenant(t.Context(), org)
	w.must(err)
	x.Settings = tenant.Settings{}
	w.must(w.SaveSettings(t.Context(), x))
	if _, err := w.start(backtest.Request{Agent: a}); !errors.Is(err, backtest.ErrOff) {
		t.Errorf("without a journal: %v", err)
	}
}

// The time of 20,000 events at three agents in two universes.
func BenchmarkBackTest(b *testing.B) {
	w := newWorld(b)
	a := w.agent("agent_1", ``)
	w.agent("agent_2", `, "execution_limit": {"max_per_hour": 2}`)
	w.agent("agent_3", ``)
	w.tickets(20_000, 2*time.Minute)
	for b.Loop() {
		w.result(backtest.Request{Agent: a, Saved: true, Compare: true})
	}
	b.ReportMetric(20_000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
