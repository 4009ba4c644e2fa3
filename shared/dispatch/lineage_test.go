package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// aware is the trigger of an agent that events of other agents may start.
const aware = `trigger={"type": "bus_event", "source_product": "psa", "event_type": "ticket.created", "allow_agent_triggered": true}`

// below records a run at this depth below a root and returns its id.
func (d *fixture) below(root id.Event, depth int) id.Execution {
	d.Helper()
	e := d.created()
	e.ID = root
	if depth > 0 {
		e = d.created().CausedBy("exec_before", root, depth)
	}
	x := execution.New(execution.Execution{ID: execution.ID(org, "agent_other", e), Org: org, Agent: "agent_other", Version: 1, Trigger: e}, d.now)
	d.must(d.Create(d.Context(), x))
	return x.ID
}

// cause returns the cause in the record of the run that the event started.
func (d *fixture) cause(a id.Agent, e event.Event) *event.Causation {
	d.Helper()
	x, err := d.Header(d.Context(), org, execution.ID(org, a, e))
	d.must(err)
	if x.Trigger.Metadata == nil {
		return nil
	}
	return x.Trigger.Metadata.Causation
}

// Products are trusted with neither the root nor the depth of an event.
func TestTheRecordOfTheCausingRunDecidesRootAndDepth(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		depth  int // of the causing run
		echo   *event.Metadata
		want   *event.Causation // of the run; Execution "exec_cause" is the causing run
		outs   definition.Outcome
		others bool // the causing run belongs to another organization
	}{
		"no cause":                    {outs: definition.Started},
		"the cause and its depth":     {echo: &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Depth: 1}}, want: &event.Causation{Depth: 1, Root: "evt_root"}, outs: definition.Started},
		"a depth of 0":                {echo: &event.Metadata{Causation: &event.Causation{Depth: 0}}, want: &event.Causation{Depth: 1, Root: "evt_root"}, outs: definition.Started},
		"a lower depth":               {depth: 3, echo: &event.Metadata{Causation: &event.Causation{Depth: 1}}, want: &event.Causation{Depth: 4, Root: "evt_root"}, outs: definition.Started},
		"a negative depth":            {depth: 3, echo: &event.Metadata{Causation: &event.Causation{Depth: -9}}, want: &event.Causation{Depth: 4, Root: "evt_root"}, outs: definition.Started},
		"a greater depth":             {depth: 1, echo: &event.Metadata{Causation: &event.Causation{Depth: 4}}, want: &event.Causation{Depth: 4, Root: "evt_root"}, outs: definition.Started},
		"a root":                      {echo: &event.Metadata{Causation: &event.Causation{Depth: 1, Root: "evt_other"}}, want: &event.Causation{Depth: 1, Root: "evt_root"}, outs: definition.Started},
		"the fifth run, with depth 0": {depth: 5, echo: &event.Metadata{Causation: &event.Causation{}}, outs: definition.LoopGuard},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a, wary := d.agent("agent_a", aware), d.agent("agent_b")
			e := d.created()
			by := d.below("evt_root", tc.depth)
			if e.Metadata = tc.echo; tc.echo != nil {
				tc.echo.Causation.Execution = by
			}
			for range 2 {
				d.must(d.Dispatch(t.Context(), e))
			}
			d.expect(a, tc.outs)
			if tc.echo != nil {
				d.expect(wary, definition.LoopGuard)
			}
			if tc.outs != definition.Started {
				return
			}
			if tc.want != nil {
				tc.want.Execution = by
			}
			if diff := cmp.Diff(tc.want, d.cause(a, e)); diff != "" {
				t.Errorf("the cause (-want +got)\n%s", diff)
			}
		})
	}
}

// An unknown run may be one of another organization, or a name that no run can
// have. The event counts as caused by an agent, and is the root of what follows.
func TestAnEventOfAnUnknownRunIsARootThatAnAgentCaused(t *testing.T) {
	t.Parallel()
	for name, echo := range map[string]*event.Metadata{
		"an unknown run":       {Causation: &event.Causation{Execution: "exec_unknown"}},
		"no name of a run":     {Causation: &event.Causation{Execution: "a run # of someone"}},
		"no run":               {AgentTriggered: true},
		"no run, and a depth":  {Causation: &event.Causation{Depth: 1}},
		"the run of the event": {Causation: &event.Causation{Execution: execution.ID(org, "agent_a", event.Event{ID: "evt_own"})}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a, wary := d.agent("agent_a", aware), d.agent("agent_b")
			e := d.created()
			e.ID, e.Metadata = "evt_own", echo
			d.must(d.Dispatch(t.Context(), e))
			d.must(d.Dispatch(t.Context(), e))
			d.expect(a, definition.Started)
			d.expect(wary, definition.LoopGuard)
			if got := d.cause(a, e); got == nil || got.Root != "evt_own" || got.Depth != 1 {
				t.Errorf("the cause is %+v", got)
			}
		})
	}
	t.Run("a run of another organization", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a := d.agent("agent_a", aware)
		other := d.created()
		other.Org = "org_other"
		x := execution.New(execution.Execution{ID: "exec_other", Org: "org_other", Agent: "agent_a", Version: 1, Trigger: other}, d.now)
		d.must(d.Create(t.Context(), x))
		e := d.created()
		e.Metadata = &event.Metadata{Causation: &event.Causation{Execution: "exec_other", Depth: 1}}
		d.must(d.Dispatch(t.Context(), e))
		if got := d.cause(a, e); got == nil || got.Root != e.ID {
			t.Errorf("the cause is %+v", got)
		}
	})
}

// An agent that overrides system agents must itself start.
func TestAnAgentThatTheCauseRefusesOverridesNoSystemAgent(t *testing.T) {
	t.Parallel()
	d := open(t)
	system := d.define(aware)
	d.System = append(d.System, agent.Agent{Head: agent.Head{ID: "agent_system_x", Version: 1}, Definition: system})
	a := d.agent("agent_a", `conflict_behavior="override"`)
	e := d.created()
	e.Metadata = &event.Metadata{Causation: &event.Causation{Execution: d.below("evt_root", 0)}}
	d.must(d.Dispatch(t.Context(), e))
	d.expect(a, definition.LoopGuard)
	d.expect("agent_system_x", definition.Started)
}

// A run that started before its cause was recorded stays started.
func TestACauseThatIsFoundLaterRefusesNoStartedRun(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a")
	e := d.created()
	d.must(d.Dispatch(t.Context(), e))
	d.now = d.now.Add(time.Second)
	e.Metadata = &event.Metadata{Causation: &event.Causation{Execution: d.below("evt_root", 0)}}
	d.must(d.Dispatch(t.Context(), e))
	d.expect(a, definition.Started)
}

// making are the steps of an agent that makes a ticket and a note.
const making = `steps=[
	{"id": "open", "type": "product_action", "product": "psa", "action": "create_ticket", "params": {"subject": "s"}},
	{"id": "note", "type": "product_action", "product": "psa", "action": "add_note", "params": {"ticket_id": "t", "body": "b", "visibility": "internal"}}]`

// made records that a run at this depth below evt_root made a ticket.
func (d *fixture) made(ticket string, depth int) id.Execution {
	d.Helper()
	x := d.below("evt_root", depth)
	d.must(d.SaveMaker(d.Context(), org, catalog.ObjectID{Kind: "psa:ticket", ID: ticket}, x, d.now))
	return x
}

// about returns an event about a ticket with what a product passed on.
func (d *fixture) about(ticket string, echo *event.Metadata) event.Event {
	e := d.event("psa:ticket.created", map[string]any{"ticket_id": ticket})
	e.Metadata = echo
	return e
}

func TestAnEventAboutAnObjectThatAnActionMadeCountsAsCausedByItsRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		depth int // of the run that made the ticket
		echo  func(d *fixture) *event.Metadata
		want  int // depth of the event
	}{
		"no echo":          {want: 1},
		"no echo, further": {depth: 4, want: 5},
		"a lower depth":    {depth: 2, echo: func(*fixture) *event.Metadata { return &event.Metadata{Causation: &event.Causation{}} }, want: 3},
		"a greater depth":  {echo: func(*fixture) *event.Metadata { return &event.Metadata{Causation: &event.Causation{Depth: 3}} }, want: 3},
		"an unknown run": {echo: func(*fixture) *event.Metadata {
			return &event.Metadata{Causation: &event.Causation{Execution: "exec_x"}}
		}, want: 1},
		"a run of another root": {depth: 1, echo: func(d *fixture) *event.Metadata {
			return &event.Metadata{Causation: &event.Causation{Execution: d.below("evt_another", 0), Depth: 1}}
		}, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a, wary := d.agent("agent_a", aware), d.agent("agent_b", making)
			by := d.made("tkt_made", tc.depth)
			var echo *event.Metadata
			if tc.echo != nil {
				echo = tc.echo(d)
			}
			e := d.about("tkt_made", echo)
			for range 2 {
				d.must(d.Dispatch(t.Context(), e))
			}
			d.expect(a, definition.Started)
			d.expect(wary, definition.LoopGuard)
			want := &event.Causation{Execution: by, Depth: tc.want, Root: "evt_root"}
			if diff := cmp.Diff(want, d.cause(a, e)); diff != "" {
				t.Errorf("the cause (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnEventAboutAnotherObjectHasNoCause(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a", making)
	d.made("tkt_made", 0)
	d.must(d.Dispatch(t.Context(), d.about("tkt_other", nil)))
	d.now = d.now.Add(execution.MakerKept)
	d.must(d.Dispatch(t.Context(), d.about("tkt_made", nil)))
	d.expect(a, definition.Started, definition.Started)
}

// A counting store counts the look-ups of makers.
type countingRuns struct {
	dispatch.Runs

	makers int
}

func (c *countingRuns) Maker(ctx context.Context, o id.Org, made catalog.ObjectID, now time.Time) (id.Execution, error) {
	c.makers++
	return c.Runs.Maker(ctx, o, made, now)
}

func TestAMakerIsLookedUpOnlyWhereItCouldMatter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		agents []string
		more   string
		want   int
	}{
		"no agent makes tickets":      {agents: []string{aware, adding}, want: 0},
		"an agent makes tickets":      {agents: []string{making}, want: 1},
		"one that was deleted":        {agents: []string{making, aware}, more: "delete", want: 1},
		"no agent would start":        {agents: []string{making}, more: "pause", want: 0},
		"an event without the object": {agents: []string{making}, more: "none", want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			count := &countingRuns{Runs: d.Store}
			d.Runs = count
			for n, more := range tc.agents {
				d.agent(id.Agent(fmt.Sprintf("agent_%d", n)), more)
			}
			first, err := d.Agent(t.Context(), org, "agent_0")
			d.must(err)
			e := d.created()
			switch tc.more {
			case "delete":
				d.must(d.DeleteAgent(t.Context(), first))
			case "pause":
				after := first
				after.Status = agent.Paused
				d.must(d.SaveAgent(t.Context(), first, after, agent.Cap{}))
			case "none":
				delete(e.Payload, "ticket_id")
			}
			d.must(d.Dispatch(t.Context(), e))
			if count.makers != tc.want {
				t.Errorf("%d look-ups, want %d", count.makers, tc.want)
			}
		})
	}
}

// A run records the objects that it makes only if an agent listens for events about it.
func TestARunWithoutListenersForItsObjectsIsUntracked(t *testing.T) {
	t.Parallel()
	noting := `trigger={"type": "bus_event", "source_product": "psa", "event_type": "ticket.note_added"}`
	for name, tc := range map[string]struct {
		agents []string // the first is started
		want   bool
	}{
		"it makes nothing":                      {agents: []string{aware}, want: false},
		"it makes notes":                        {agents: []string{adding}, want: true},
		"it makes notes, and an agent hears it": {agents: []string{adding, noting}, want: false},
		"it makes tickets and hears of them":    {agents: []string{making}, want: false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			for n, more := range tc.agents {
				d.agent(id.Agent(fmt.Sprintf("agent_%d", n)), more)
			}
			e := d.created()
			d.must(d.Dispatch(t.Context(), e))
			x, err := d.Header(t.Context(), org, execution.ID(org, "agent_0", e))
			d.must(err)
			if x.Untracked != tc.want {
				t.Errorf("untracked is %t, want %t", x.Untracked, tc.want)
			}
		})
	}
}

// Nobody activates a system agent, so its first run declares the kinds of objects that
// it makes.
func TestTheFirstRunOfASystemAgentDeclaresWhatItMakes(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.System = []agent.Agent{{Head: agent.Head{ID: "agent_system_x", Version: 1}, Definition: d.define(making)}}
	has := func() bool {
		t.Helper()
		known, err := d.Tenant(t.Context(), org)
		d.must(err)
		return known.Has(tenant.Makes("psa:ticket"))
	}
	if has() {
		t.Error("an agent that never ran made tickets")
	}
	d.must(d.Dispatch(t.Context(), d.created()))
	if !has() {
		t.Error("the first run did not declare that it makes tickets")
	}
	d.made("tkt_made", 0)
	d.now = d.now.Add(time.Second)
	d.must(d.Dispatch(t.Context(), d.about("tkt_made", nil)))
	d.expect("agent_system_x", definition.LoopGuard, definition.Started)
}

// startedFor returns the number of runs of these agents for an event.
func (d *fixture) startedFor(e event.Event, agents ...id.Agent) int {
	d.Helper()
	n := 0
	for _, a := range agents {
		if _, err := d.Header(d.Context(), org, execution.ID(org, a, e)); err == nil {
			n++
		}
	}
	return n
}

// Two agents that start each other double with each event: the plan limits the tree,
// whatever the product passes on.
func TestARootEventStartsNoMoreRunsThanThePlanAllows(t *testing.T) {
	t.Parallel()
	for name, echo := range map[string]func(id.Execution) *event.Metadata{
		"the run": func(x id.Execution) *event.Metadata {
			return &event.Metadata{Causation: &event.Causation{Execution: x, Depth: 1}}
		},
		"a depth of 0": func(x id.Execution) *event.Metadata {
			return &event.Metadata{Causation: &event.Causation{Execution: x}}
		},
		"nothing":         func(id.Execution) *event.Metadata { return nil },
		"only that it is": func(id.Execution) *event.Metadata { return &event.Metadata{AgentTriggered: true} },
		"the run of a twin": func(id.Execution) *event.Metadata {
			return &event.Metadata{Causation: &event.Causation{Execution: "exec_x", Depth: 1}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			d.quotas.RunsPerRootEvent = 11
			agents := []id.Agent{d.agent("agent_a", aware, making), d.agent("agent_b", aware, making)}
			root := d.created()
			wave, total := []event.Event{root}, 0
			for range 6 {
				var next []event.Event
				for _, e := range wave {
					for range 2 { // it may be delivered again
						d.must(d.Dispatch(t.Context(), e))
					}
					n := d.startedFor(e, agents...)
					total += n
					for _, a := range agents {
						x := execution.ID(org, a, e)
						if _, err := d.Header(t.Context(), org, x); err != nil {
							continue
						}
						made := d.created()
						made.Metadata = echo(x)
						d.must(d.SaveMaker(t.Context(), org, catalog.ObjectID{Kind: "psa:ticket", ID: made.Payload["ticket_id"].(string)}, x, d.now)) //nolint:errcheck,forcetypeassert // created sets a text.
						next = append(next, made)
					}
				}
				wave = next
			}
			if total != 11 {
				t.Errorf("%d runs, want 11", total)
			}
			refused := 0
			for _, a := range agents {
				for _, e := range d.entries(a) {
					if e.Outcome == definition.QuotaReached {
						refused++
						if want := "runs_per_root_event is 11 and 11 runs started from it; no more may start"; e.Detail != want {
							t.Errorf("the reason is %q, want %q", e.Detail, want)
						}
					}
				}
			}
			if refused == 0 {
				t.Error("no event was refused by the quota")
			}
		})
	}
}

// The runs that an event starts itself are part of its number, without a write.
func TestAnEventStartsNoMoreAgentsThanOneRootEventMay(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.quotas.RunsPerRootEvent = 4
	var agents []id.Agent
	for n := range 6 {
		agents = append(agents, d.agent(id.Agent(fmt.Sprintf("agent_%d", n)), aware))
	}
	e := d.created()
	for range 2 {
		d.must(d.Dispatch(t.Context(), e))
	}
	for n, a := range agents {
		if n < 4 {
			d.expect(a, definition.Started)
		} else {
			d.expect(a, definition.QuotaReached)
		}
	}
	if tree, err := d.Tree(t.Context(), org, e.ID); err != nil || tree.Len() != 0 {
		t.Errorf("the runs were counted by %d marks, %v", tree.Len(), err)
	}
	caused := d.created()
	caused.Metadata = &event.Metadata{Causation: &event.Causation{Execution: execution.ID(org, agents[3], e)}}
	d.must(d.Dispatch(t.Context(), caused))
	if n := d.startedFor(caused, agents...); n != 0 {
		t.Errorf("%d runs started below a root that had started as many as it may", n)
	}
}
