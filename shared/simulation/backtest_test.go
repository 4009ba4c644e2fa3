package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/backtest"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/step"
)

// A past is an organization with a journal, some agents and the events of some days.
// Everything is derived from a seed, and nothing goes wrong.
type past struct {
	*world

	dice   *rand.Rand
	agents []id.Agent

	turn   chan struct{} // each event has a time of its own: of two at once, either may come first
	mu     sync.Mutex
	leave  int // tickets that agents may still open
	recent []event.Event
}

// happened lets the days pass.
func happened(w *world, seed uint64) *past {
	p := &past{world: w, dice: rand.New(rand.NewPCG(seed, 21)), leave: 15, turn: make(chan struct{}, 1)}
	w.keepJournal(90)
	for range 2 + p.dice.IntN(4) {
		p.agents = append(p.agents, w.define(id.Agent("agent_"+w.name("b")), p.definition()))
	}
	w.products.made = func(c step.Command) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.leave--; c.Action != "create_ticket" || p.leave < 0 {
			return
		}
		e := w.event("psa:ticket.created", map[string]any{"ticket_id": objectOf(c.Key), "subject": "made", "priority": "p2"})
		e.Metadata = echoes()[slices.Sorted(maps.Keys(echoes()))[p.leave%6]](w, c)
		go p.later(time.Duration(1+p.leave)*time.Minute+time.Duration(p.leave)*time.Millisecond, e)
	}
	w.pass(time.Minute)
	for range 30 + p.dice.IntN(40) {
		p.dispatch(p.next())
		w.pass(p.interval())
	}
	w.pass(time.Hour)
	return p
}

// later dispatches an event after the reply of the product was recorded.
func (p *past) later(after time.Duration, e event.Event) {
	time.Sleep(after)
	p.dispatch(e)
}

func (p *past) dispatch(e event.Event) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	time.Sleep(time.Millisecond)
	e.Published = time.Now()
	p.must(p.dispatcher.Dispatch(p.over, e))
}

// interval returns the time to the next event: within and beyond a window, an hour, and
// a day.
func (p *past) interval() time.Duration {
	most := []time.Duration{10 * time.Second, 4 * time.Minute, 40 * time.Minute, 9 * time.Hour}[p.dice.IntN(4)]
	return time.Duration(1+p.dice.Int64N(int64(most/time.Millisecond))) * time.Millisecond
}

// next returns an event: of a new ticket, of one with content that was seen before, or one
// with a fact about a client.
func (p *past) next() event.Event {
	c := id.Client(fmt.Sprintf("cli_%d", 1+p.dice.IntN(3)))
	var e event.Event
	switch n := p.dice.IntN(12); {
	case n == 0:
		e = p.event("defend:posture.updated", map[string]any{"security_posture_score": p.dice.IntN(100)})
	case n == 1:
		e = p.event("rmm:device.added", map[string]any{"device_id": fmt.Sprintf("dev_%d", p.dice.IntN(4))})
	case n == 2 && len(p.recent) > 0:
		e = p.event("psa:ticket.resolved", map[string]any{"ticket_id": p.recent[p.dice.IntN(len(p.recent))].Payload["ticket_id"]})
	case n < 6 && len(p.recent) > 0:
		e = p.recent[max(0, len(p.recent)-1-p.dice.IntN(3))]
		e.ID = id.Event("evt_" + p.name("e"))
		return e
	default:
		e = p.event("psa:ticket.created", map[string]any{
			"ticket_id": p.name("tkt_"), "subject": "asked", "priority": fmt.Sprintf("p%d", 1+p.dice.IntN(3)),
		})
		if p.dice.IntN(8) == 0 {
			c = ""
		}
		e.Client = c
		p.recent = append(p.recent, e)
	}
	e.Client = c
	return e
}

// definition returns the JSON of a definition whose start depends on much.
func (p *past) definition() string {
	pick := func(all ...string) string { return all[p.dice.IntN(len(all))] }
	filters := pick(`[]`, `[{"field": "priority", "operator": "in", "value": ["p1", "p2"]}]`,
		`[{"field": "priority", "operator": "ne", "value": "p3"}, {"field": "priority", "operator": "exists", "value": true}]`)
	conditions := pick(`[]`, `[]`,
		`[{"context": "client_context", "field": "recent_incidents", "operator": "gt", "value": 3}]`,
		`[{"context": "client_context", "field": "security_posture_score", "operator": "lt", "value": 60}]`,
		`[{"any": [{"context": "client_context", "field": "device_inventory.count", "operator": "gt", "value": 1}, {"context": "event", "field": "priority", "operator": "eq", "value": "p1"}]}]`)
	limit := pick(``, ``, `, "execution_limit": {"max_per_hour": 2}`, `, "execution_limit": {"max_per_day": 4, "cooldown_minutes": 7}`)
	scope := pick(`"all"`, `"all"`, `{"include": ["cli_1", "cli_2"]}`, `{"exclude": ["cli_3"]}`)
	steps := pick(list(open("t0")), list(open("t0"), open("t1")), `[{"id": "note", "type": "product_action", "product": "psa", "action": "add_note",
		"params": {"ticket_id": "{{ event_payload.ticket_id }}", "body": "Seen.", "visibility": "internal"}}]`)
	return fmt.Sprintf(`{"name": "An agent", "category": "service_desk", "conflict_behavior": %q, "client_scope": %s, "conditions": %s,
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.created", "filters": %s, "allow_agent_triggered": %t},
		"steps": %s%s}`, pick("additive", "additive", "override"), scope, conditions, filters, p.dice.IntN(2) == 0, steps, limit)
}

// outcomes returns what the activity of an agent says about each event, in words.
func (p *past) outcomes(a id.Agent) map[id.Event]string {
	p.Helper()
	found := map[id.Event]string{}
	for q := (activity.Query{Limit: 100}); ; {
		page, err := p.store.Activity(p.over, p.org, a, q)
		p.must(err)
		for _, e := range page.Entries {
			found[e.Event] = string(e.Outcome) + " " + e.Detail
		}
		if q.After = page.Next; q.After == "" {
			return found
		}
	}
}

// backtest makes a back-test of the live version of an agent, and returns its result and
// all verdicts by agent and event, with the candidate and without.
func (p *past) backtest(a agent.Agent) (r backtest.Result, with, as map[id.Agent]map[id.Event]string) {
	p.Helper()
	with, as = map[id.Agent]map[id.Event]string{}, map[id.Agent]map[id.Event]string{}
	note := func(to map[id.Agent]map[id.Event]string, e id.Event, all []backtest.Verdict) {
		for _, v := range all {
			if to[v.Agent] == nil {
				to[v.Agent] = map[id.Event]string{}
			}
			to[v.Agent][e] = string(v.Outcome) + " " + v.Why
		}
	}
	kept := p.store.Store
	task := &backtest.Task{
		Journal: kept, Past: kept, Definitions: agent.Definitions{System: systemAgents(), Versions: kept}, System: systemAgents(), Rules: rules(),
		Saw: func(e id.Event, w, l []backtest.Verdict) { note(with, e, w); note(as, e, l) },
	}
	calls := &called{}
	jobs := &job.Service{Store: kept, Workers: calls, Now: time.Now, NewID: func() id.Job { return id.Job("job_" + p.name("j")) }}
	service := &backtest.Service{Store: kept, Jobs: jobs, Now: time.Now}
	who := p.person("user_owner", caller.Owner)
	j, err := service.Start(p.over, who, backtest.Request{Agent: a, Saved: true, Active: true, From: time.Now().AddDate(0, 0, -80), Compare: true})
	p.must(err)
	worker := &job.Worker{Store: kept, Tasks: map[job.Kind]job.Task{job.Backtest: task}, Now: time.Now, NewOwner: func() string { return p.name("w") }}
	p.must(worker.Work(p.over, calls.made[0]))
	j, text, err := jobs.Get(p.over, who, j.ID)
	p.must(err)
	if j.Status != job.Completed {
		p.Fatalf("the back-test is %+v", j.Failure)
	}
	p.must(json.Unmarshal([]byte(text), &r))
	return r, with, as
}

// A back-test of the live version over a journal that the simulator recorded equals the
// activity and the runs that the simulator made, event for event and word for word: for
// the agent itself and for every other agent that listens for the events.
//
//	go test -run TestABackTest -seeds 10000     5,000 seeds
func TestABackTestOfTheLiveVersionIsWhatHappened(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)

	seen := struct {
		sync.Mutex
		outcomes map[string]int
		events   int
	}{outcomes: map[string]int{}}
	t.Cleanup(func() { t.Logf("%d events, %v", seen.events, seen.outcomes) })
	for n := range uint64(many()) / 2 {
		seed := *first + n
		if *only > 0 && seed != *only {
			continue
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				p := happened(w, seed)
				a, err := w.store.Store.Agent(w.over, w.org, p.agents[int(seed)%len(p.agents)])
				w.must(err)
				r, with, as := p.backtest(a)
				listeners := slices.Clone(p.agents)
				for _, s := range systemAgents() {
					if s.Definition.Trigger.Event() == "psa:ticket.created" {
						listeners = append(listeners, s.ID)
					}
				}
				for _, l := range listeners {
					want := p.outcomes(l)
					if d := cmp.Diff(want, with[l]) + cmp.Diff(want, as[l]); d != "" {
						t.Errorf("%s (-happened +back-test):\n%s", l, d)
					}
				}
				want := map[definition.Outcome]int{}
				for _, text := range p.outcomes(a.ID) {
					outcome, _, _ := strings.Cut(text, " ")
					want[definition.Outcome(outcome)]++
				}
				runs := slices.DeleteFunc(w.runs(), func(x execution.Execution) bool { return x.Agent != a.ID })
				if r.WouldStart != len(runs) || r.WouldStart != want[definition.Started] || r.Diff.Both != r.WouldStart || r.Diff.OnlyLive+r.Diff.OnlyCandidate != 0 {
					t.Errorf("the back-test starts %d, the simulator started %d runs, and they differ by %+v", r.WouldStart, len(runs), r.Diff)
				}
				delete(want, definition.Started)
				if d := cmp.Diff(want, r.Refused); d != "" || r.Unknown != (backtest.Unknown{}) {
					t.Errorf("refused (-happened +back-test):\n%s, unknown %+v", d, r.Unknown)
				}
				seen.Lock()
				defer seen.Unlock()
				seen.events += r.Events.OfType
				seen.outcomes["started"] += r.WouldStart
				for o, n := range r.Refused {
					seen.outcomes[string(o)] += n
				}
			})
		})
	}
}

// called are the calls of workers.
type called struct{ made []job.Call }

func (c *called) Begin(_ context.Context, call job.Call) error {
	c.made = append(c.made, call)
	return nil
}
