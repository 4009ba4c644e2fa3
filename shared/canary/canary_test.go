package canary_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/canary"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/tenant"
)

const org id.Org = "org_canary"

// noon is the minute of every tick here. The tick comes a second later.
var noon = time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)

// A platform is what the canary sees of the system. Its organization and agent are real.
type platform struct {
	store *memory.Store
	now   time.Time
	runs  map[id.Execution]*run
	asked map[id.Approval]*approval.Approval

	put      []event.Event // on the bus
	down     error         // of the bus
	verdicts []id.Approval // in the order of their recording
}

type run struct {
	x    execution.Execution
	done execution.Steps
}

func (p *platform) Put(_ context.Context, e event.Event) error {
	if p.down != nil {
		return p.down
	}
	p.put = append(p.put, e)
	return nil
}

func (p *platform) Execution(_ context.Context, _ id.Org, exec id.Execution) (execution.Execution, execution.Steps, error) {
	r, ok := p.runs[exec]
	if !ok {
		return execution.Execution{}, nil, execution.ErrNotFound
	}
	return r.x, r.done, nil
}

func (p *platform) Get(_ context.Context, _ caller.Caller, appr id.Approval) (approval.Approval, error) {
	a, ok := p.asked[appr]
	if !ok {
		return approval.Approval{}, approval.ErrNotFound
	}
	return *a, nil
}

func (p *platform) Decide(_ context.Context, who caller.Caller, appr id.Approval, v approval.Verdict) (approval.Approval, error) {
	decided, err := p.asked[appr].Decide(who, v, approval.Rules{}, p.now)
	if err == nil {
		*p.asked[appr] = decided
		p.verdicts = append(p.verdicts, appr)
	}
	return decided, err
}

// newCanary returns a canary and a platform on which it has run for a quarter of an hour.
func newCanary(t *testing.T) (*canary.Service, *platform) {
	t.Helper()
	known, err := catalog.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{store: memory.New(), now: noon.Add(time.Second), runs: map[id.Execution]*run{}, asked: map[id.Approval]*approval.Approval{}}
	now := func() time.Time { return p.now }
	s := &canary.Service{
		Org: org, Tenants: &tenant.Service{Store: p.store, Now: now}, Runs: p, Approvals: p, Bus: p, Now: now,
		Agents: &agent.Service{
			Store: p.store, Plans: p.store, Settings: p.store, Rules: definition.Rules{Catalog: known, Now: now}, Now: now,
			NewID: func() id.Agent { return canary.Agent },
		},
	}
	for age := 15; age >= 1; age-- {
		p.run(t, s, noon.Add(-time.Duration(age)*time.Minute))
	}
	p.put, p.verdicts = nil, nil
	return s, p
}

// run lets a minute pass on a platform that works: the canary publishes, its run is
// recorded and asks, and the run of the minute before ends after its verdict.
func (p *platform) run(t *testing.T, s *canary.Service, minute time.Time) {
	t.Helper()
	p.now = minute.Add(time.Second)
	if _, err := s.Tick(t.Context(), minute); err != nil {
		t.Fatal(err)
	}
	for _, r := range p.runs {
		if a := p.asked[approval.ID(r.done[canary.Gate].Asked, r.x.ID, canary.Gate)]; a.Status == approval.Approved && !r.x.Status.Ended() {
			p.end(r, a.DecidedAt, 300*time.Millisecond)
		}
	}
	e := p.put[len(p.put)-1]
	x := execution.New(execution.Execution{ID: execution.ID(org, canary.Agent, e), Org: org, Agent: canary.Agent, Trigger: e}, p.now)
	p.ask(x, p.now.Add(500*time.Millisecond))
	p.now = noon.Add(time.Second)
}

func (p *platform) ask(x execution.Execution, at time.Time) {
	a := approval.Approval{
		ID: approval.ID(at, x.ID, canary.Gate), Org: org, Execution: x.ID, Step: canary.Gate, Status: approval.Pending,
		Min: 1, Created: at, Expires: at.Add(15 * time.Minute),
	}
	p.asked[a.ID] = &a
	x.Status = execution.WaitingApproval
	p.runs[x.ID] = &run{x, execution.Steps{canary.Gate: {ID: canary.Gate, Asked: at, Started: at}}}
}

func (p *platform) end(r *run, decided time.Time, after time.Duration) {
	gate := r.done[canary.Gate]
	gate.Decided, gate.Ended = decided, decided.Add(after)
	r.done[canary.Gate], r.x = gate, r.x.Complete(gate.Ended)
}

// of returns the run of the minute of so many minutes ago.
func (p *platform) of(age int) *run {
	for _, r := range p.runs {
		if r.x.Trigger.Payload["minute"] == noon.Add(-time.Duration(age)*time.Minute).Format(time.RFC3339) {
			return r
		}
	}
	return nil
}

func TestTheCanaryNoticesALateRun(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		spoil       func(*platform)
		late        time.Duration
		unpunctual  bool // the run of three minutes ago has not ended
		failed      bool
		howLongTook time.Duration
	}{
		"every run ends in time": {
			spoil: func(*platform) {}, late: 800 * time.Millisecond, howLongTook: 800 * time.Millisecond,
		},
		"the events of four minutes start no run": {
			spoil: func(p *platform) {
				for age := 1; age <= 4; age++ {
					delete(p.runs, p.of(age).x.ID)
				}
			},
			late: 4*time.Minute + time.Second, unpunctual: true,
		},
		"a run is recorded and stands still": {
			spoil: func(p *platform) {
				r := p.of(3)
				r.x.Status, r.x.Completed, r.done = execution.Pending, time.Time{}, nil
			},
			late: 3 * time.Minute, unpunctual: true,
		},
		"a run asks late": {
			spoil: func(p *platform) {
				r := p.of(1)
				p.ask(r.x, noon.Add(-time.Second))
			},
			late: 58 * time.Second, howLongTook: 800 * time.Millisecond,
		},
		"a verdict does not wake its run": {
			spoil: func(p *platform) {
				r := p.of(3)
				gate := r.done[canary.Gate]
				gate.Decided, gate.Ended = time.Time{}, time.Time{}
				r.done[canary.Gate], r.x.Status, r.x.Completed = gate, execution.WaitingApproval, time.Time{}
			},
			late: 2*time.Minute + 500*time.Millisecond, unpunctual: true,
		},
		"a run has ended, late": {
			spoil: func(p *platform) { p.end(p.of(3), noon.Add(-2*time.Minute), 119*time.Second) },
			late:  119*time.Second + 500*time.Millisecond, howLongTook: 119*time.Second + 500*time.Millisecond,
		},
		"a verdict came late, which is not the platform's fault": {
			spoil: func(p *platform) { p.end(p.of(3), noon.Add(-time.Second), 300*time.Millisecond) },
			late:  800 * time.Millisecond, howLongTook: 800 * time.Millisecond,
		},
		"a run has failed": {
			spoil: func(p *platform) {
				r := p.of(3)
				r.x, r.done = r.x.Fail(execution.Failure{Code: "step_crashed"}, r.x.Trigger.Published.Add(time.Second)), nil
			},
			late: time.Second, unpunctual: true, failed: true, howLongTook: time.Second,
		},
		"the canary was off until now": {
			spoil: func(p *platform) { clear(p.runs) }, unpunctual: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s, p := newCanary(t)
			tc.spoil(p)
			got, err := s.Tick(t.Context(), noon)
			want := canary.Report{Published: true, Ended: !tc.unpunctual, Failed: tc.failed, Took: tc.howLongTook, Late: tc.late}
			if err != nil || got != want {
				t.Errorf("report %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func TestAVerdictIsGivenOnceSoThatALostDoorbellShows(t *testing.T) {
	t.Parallel()

	s, p := newCanary(t)
	for range 3 {
		if _, err := s.Tick(t.Context(), noon); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.verdicts) != 1 || p.asked[p.verdicts[0]].Execution != p.of(1).x.ID {
		t.Errorf("verdicts on %v, want one, on the run of the minute before", p.verdicts)
	}
}

func TestARepeatedTickPublishesTheSameEvent(t *testing.T) {
	t.Parallel()

	s, p := newCanary(t)
	for range 2 {
		if _, err := s.Tick(t.Context(), noon.Add(30*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := p.put[0], p.put[1]
	if first.ID != second.ID || first.Content() != second.Content() || first.Name() != "canary:probe.sent" || first.Org != org {
		t.Errorf("events %+v and %+v", first, second)
	}
	if earlier := p.of(1).x.Trigger; earlier.ID == first.ID || earlier.Content() == first.Content() {
		t.Error("the event of the next minute is a duplicate")
	}
}

func TestTheBusIsDownAndTheEarlierRunsAreLookedAtAllTheSame(t *testing.T) {
	t.Parallel()

	s, p := newCanary(t)
	p.down = errors.New("put events: refused")
	r, err := s.Tick(t.Context(), noon)
	if err == nil || !strings.Contains(err.Error(), "refused") || r.Published || !r.Ended || len(p.verdicts) != 1 {
		t.Errorf("report %+v, %v, verdicts %v", r, err, p.verdicts)
	}
}

func TestTheCanaryMakesItsOrganizationAndAgentOnce(t *testing.T) {
	t.Parallel()

	s, p := newCanary(t)
	made, err := p.store.Agent(t.Context(), org, canary.Agent)
	if err != nil || made.Status != agent.Active || made.Definition.Trigger.Event() != "canary:probe.sent" {
		t.Fatalf("agent %+v, %v", made.Head, err)
	}
	for _, step := range made.Definition.Steps {
		if step.Kind != definition.Gate || len(step.Channels(true)) > 0 {
			t.Errorf("step %s is %s and tells %v; a run must cost little and reach nobody", step.ID, step.Kind, step.Channels(true))
		}
	}
	// The next process finds both, and brings a changed agent back.
	again := &canary.Service{
		Org: s.Org, Tenants: s.Tenants, Agents: s.Agents, Runs: s.Runs, Approvals: s.Approvals, Bus: s.Bus, Now: s.Now,
	}
	if _, err := again.Tick(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	if now, err := p.store.Agent(t.Context(), org, canary.Agent); err != nil || now.Revision != made.Revision {
		t.Errorf("the next process wrote the agent: revision %d after %d, %v", now.Revision, made.Revision, err)
	}
}
