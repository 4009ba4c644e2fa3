package dispatch_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
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
