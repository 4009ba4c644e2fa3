package dispatch_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/journal"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/key"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/tenant"
)

const org = id.Org("org_acme")

// A fixture is a dispatcher with its dependencies and a manual clock.
type fixture struct {
	*testing.T
	*memory.Store
	dispatch.Service

	now           time.Time
	number        int // of events
	started       []id.Execution
	firsts        []string           // the leases of the started machines
	broken        map[id.Agent]error // of the machine, by agent
	reads         int                // of profiles
	asked         int                // number of calls of Invalidate
	invalidateErr error              // error of Invalidate
	letters       []id.Event         // events reported to owners
	ownersErr     error              // error of reporting to owners
	quotas        quota.Limits       // if not those of the plan
}

func open(t *testing.T) *fixture {
	t.Helper()
	d := &fixture{T: t, Store: memory.New(), now: time.Date(2026, 3, 9, 14, 0, 0, 0, time.UTC), broken: map[id.Agent]error{}}
	now := func() time.Time { return d.now }
	d.Service = dispatch.Service{
		Tenants: d.Store, Agents: d.Store, Profiles: d, Runs: d.Store, Quotas: &quota.Service{Store: d.Store, Limits: d.limits, Now: now}, Machine: d, Deactivator: d,
		Rules: definition.Rules{Catalog: catalogue(t)}, Orgs: &tenant.Service{Store: d.Store, Now: now},
		Clients: &client.Service{Store: d.Store, Now: now}, Owners: d, Now: now,
	}
	d.must(d.Dispatch(t.Context(), d.event("hub:org.created", map[string]any{"plan": "growth"})))
	return d
}

// limits returns the quotas: those of the plan, or lower ones of the test.
func (d *fixture) limits(p credit.Plan) quota.Limits {
	l := quota.Of(p)
	if d.quotas.RunsPerMinute > 0 {
		l.RunsPerMinute, l.OpenRuns = d.quotas.RunsPerMinute, d.quotas.OpenRuns
	}
	if d.quotas.RunsPerRootEvent > 0 {
		l.RunsPerRootEvent = d.quotas.RunsPerRootEvent
	}
	return l
}

func (d *fixture) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// loaded returns the whole catalogue.
var loaded = sync.OnceValues(func() (catalog.Catalog, error) { return catalog.Load(events.Files) })

// catalogue returns the catalogue without some of its files.
func catalogue(t *testing.T, lost ...string) catalog.Catalog {
	t.Helper()
	if len(lost) == 0 {
		c, err := loaded()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	left := fstest.MapFS{}
	err := fs.WalkDir(events.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains(lost, path) {
			return err
		}
		data, err := fs.ReadFile(events.Files, path)
		left[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(left)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Invalidate implements dispatch.Deactivator.
func (d *fixture) Invalidate(ctx context.Context, o id.Org, a id.Agent) error {
	d.asked++
	if d.invalidateErr != nil {
		return d.invalidateErr
	}
	agents := agent.Service{Store: d.Store, Rules: d.Rules, Now: d.Now}
	return agents.Invalidate(ctx, o, a)
}

// Tell implements dispatch.Owners.
func (d *fixture) Tell(_ context.Context, t tenant.Tenant, e event.Event) error {
	if t.Org != org {
		d.Errorf("the owners of %s are told", t.Org)
	}
	d.letters = append(d.letters, e.ID)
	return d.ownersErr
}

// Start implements dispatch.Machine.
func (d *fixture) Start(ctx context.Context, c machine.Cursor) error {
	x, _, err := d.Execution(ctx, c.Org, c.Execution)
	if err != nil {
		return fmt.Errorf("started before it is recorded: %w", err)
	}
	if c.Digest != x.Digest() {
		return fmt.Errorf("started with the digest %q, the run has %q", c.Digest, x.Digest())
	}
	if err := d.broken[x.Agent]; err != nil {
		return err
	}
	d.started = append(d.started, c.Execution)
	d.firsts = append(d.firsts, c.First)
	return nil
}

// A new run has a lease that only the machine started with it knows.
func TestOnlyTheFirstMachineOfARunHasItsLease(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.NewOwner = rand.Text
	a := d.agent("agent_a")
	e := d.event("psa:ticket.created", map[string]any{"ticket_id": "1"})
	d.broken[a] = errors.New("no machine")
	if err := d.Dispatch(t.Context(), e); err == nil {
		t.Fatal("a start that fails is no failure of the dispatch")
	}
	delete(d.broken, a)
	d.must(d.Dispatch(t.Context(), e))
	other := d.event("psa:ticket.created", map[string]any{"ticket_id": "2"})
	d.must(d.Dispatch(t.Context(), other))
	x, err := d.Header(t.Context(), org, execution.ID(org, a, other))
	d.must(err)
	if want := []string{"", x.Lease.Owner}; !slices.Equal(d.firsts, want) || x.Lease.Owner == "" {
		t.Errorf("machines were started with the leases %q, want %q", d.firsts, want)
	}
	if left := x.Lease.Until.Sub(d.now); left != execution.FirstLeaseTime || x.Lease.Attempt != 1 || x.Status != execution.Pending {
		t.Errorf("%s with %+v", x.Status, x.Lease)
	}
	before, err := d.Header(t.Context(), org, execution.ID(org, a, e))
	d.must(err)
	if before.Lease.Owner == x.Lease.Owner {
		t.Error("two runs have one lease")
	}
}

// Profile implements dispatch.Profiles.
func (d *fixture) Profile(ctx context.Context, o id.Org, c id.Client) (map[string]any, error) {
	d.reads++
	s := client.Service{Store: d.Store, Now: d.Now}
	return s.Profile(ctx, o, c)
}

func (d *fixture) event(name string, payload map[string]any) event.Event {
	d.number++
	product, kind, _ := strings.Cut(name, ":")
	return event.Event{
		ID: id.Event(fmt.Sprintf("evt_%d", d.number)), Product: product, Type: kind, Org: org, Client: "cli_1",
		Payload: payload, Published: d.now,
	}
}

func (d *fixture) created() event.Event {
	return d.event("psa:ticket.created", map[string]any{"ticket_id": strconv.Itoa(d.number), "priority": "p1"})
}

// agent stores an active agent that listens for new tickets, with additional
// fields of its definition.
func (d *fixture) agent(name id.Agent, more ...string) id.Agent {
	d.Helper()
	def := d.define(more...)
	d.must(d.SaveAgent(d.Context(), agent.Agent{}, agent.Agent{Definition: def, Uses: d.Rules.Uses(def), Head: agent.Head{
		ID: name, Org: org, Name: def.Name, Status: agent.Active, Version: 1, Created: d.now,
	}}, agent.Cap{}))
	return name
}

func (d *fixture) define(more ...string) definition.Definition {
	d.Helper()
	fields := map[string]string{
		"name": `"An agent"`, "category": `"service_desk"`,
		"trigger": `{"type": "bus_event", "source_product": "psa", "event_type": "ticket.created"}`,
		"steps":   `[{"id": "w", "type": "wait", "duration_seconds": 1}]`,
	}
	for _, m := range more {
		field, value, _ := strings.Cut(m, "=")
		fields[field] = value
	}
	parts := make([]string, 0, len(fields))
	for field, value := range fields {
		parts = append(parts, `"`+field+`": `+value)
	}
	doc, err := jsonvalue.Object([]byte("{" + strings.Join(parts, ",") + "}"))
	d.must(err)
	def, err := definition.Rules{Catalog: catalogue(d.T)}.Parse(doc)
	d.must(err)
	return def
}

// entries returns the agent's activity, newest first.
func (d *fixture) entries(a id.Agent) []activity.Entry {
	d.Helper()
	p, err := d.Activity(d.Context(), org, a, activity.Query{Since: d.now.Add(-activity.Kept), Limit: 100})
	d.must(err)
	return p.Entries
}

// told returns the outcomes in the agent's activity, newest first.
func (d *fixture) told(a id.Agent) []definition.Outcome {
	d.Helper()
	var out []definition.Outcome
	for _, e := range d.entries(a) {
		out = append(out, e.Outcome)
	}
	return out
}

// expect fails the test unless the agent's activity has these outcomes, newest
// first.
func (d *fixture) expect(a id.Agent, want ...definition.Outcome) {
	d.Helper()
	if got := d.told(a); !slices.Equal(got, want) {
		d.Errorf("%s: got %v, want %v", a, got, want)
	}
}

const ofPriority = `trigger={"type": "bus_event", "source_product": "psa", "event_type": "ticket.created",
	"filters": [{"field": "priority", "operator": "eq", "value": "p4"}]}`

func TestEveryRefusalIsRecordedWithItsReason(t *testing.T) {
	t.Parallel()

	caused := func(depth int) func(*event.Event) {
		return func(e *event.Event) {
			e.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_1", Depth: depth}}
		}
	}
	posture := `conditions=[{"context": "client_context", "field": "security_posture_score", "operator": "gte", "value": 50}]`
	for name, tc := range map[string]struct {
		more   []string
		change func(*event.Event)
		score  any // of the client's posture, if any
		want   definition.Outcome
		why    string // part of the reason
	}{
		"no obstacle":                     {want: definition.Started},
		"a filter":                        {more: []string{ofPriority}, want: definition.Filtered, why: `priority must be "p4"; it is "p1"`},
		"a client that is not included":   {more: []string{`client_scope={"include": ["cli_2"]}`}, want: definition.OutOfScope, why: "cli_1"},
		"a client that is excluded":       {more: []string{`client_scope={"exclude": ["cli_1"]}`}, want: definition.OutOfScope, why: "cli_1"},
		"a client that is included":       {more: []string{`client_scope={"include": ["cli_1"]}`}, want: definition.Started},
		"no client to be included":        {more: []string{`client_scope={"include": ["cli_1"]}`}, change: func(e *event.Event) { e.Client = "" }, want: definition.OutOfScope},
		"no client to be excluded":        {more: []string{`client_scope={"exclude": ["cli_1"]}`}, change: func(e *event.Event) { e.Client = "" }, want: definition.Started},
		"a condition":                     {more: []string{`conditions=[{"field": "ticket_id", "operator": "eq", "value": "x"}]`}, want: definition.ConditionNotMet, why: "ticket_id"},
		"a client's profile":              {more: []string{posture}, score: int64(40), want: definition.ConditionNotMet, why: "it is 40"},
		"a client's profile that will do": {more: []string{posture}, score: int64(50), want: definition.Started},
		"a client without a profile":      {more: []string{posture}, want: definition.NoProfile, why: "no profile"},
		"a profile without a client":      {more: []string{posture}, change: func(e *event.Event) { e.Client = "" }, want: definition.NoProfile},
		"an agent that caused it":         {change: caused(1), want: definition.LoopGuard, why: "agent caused"},
		"an agent that may have":          {more: []string{aware}, change: caused(5), want: definition.Started},
		"too many agents behind it":       {more: []string{aware}, change: caused(6), want: definition.LoopGuard, why: "6 runs"},
		"a filter before all others":      {more: []string{ofPriority, `client_scope={"include": ["cli_2"]}`, posture}, change: caused(9), want: definition.Filtered},
		"the scope before conditions":     {more: []string{`client_scope={"include": ["cli_2"]}`, posture}, change: caused(9), want: definition.OutOfScope},
		"conditions before loops":         {more: []string{posture}, change: caused(9), want: definition.NoProfile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			if tc.score != nil {
				d.must(d.Dispatch(t.Context(), d.event("defend:posture.updated", map[string]any{"security_posture_score": tc.score})))
			}
			a := d.agent("agent_a", tc.more...)
			e := d.event("psa:ticket.created", map[string]any{"priority": "p1"}) // without a ticket it is not projected
			if tc.change != nil {
				tc.change(&e)
			}
			decided := d.now
			for range 3 { // it may be delivered again
				d.must(d.Dispatch(t.Context(), e))
				d.now = d.now.Add(time.Second)
			}
			got := d.entries(a)
			if len(got) != 1 {
				t.Fatalf("%d entries: %+v", len(got), got)
			}
			want := activity.Entry{
				ID: activity.ID(org, a, e.ID, e.Published), Org: org, Agent: a, At: decided, Event: e.ID,
				EventType: "ticket.created", Product: "psa", Outcome: tc.want, Detail: got[0].Detail,
				Client: e.Client, Related: got[0].Related, Fault: got[0].Fault,
			}
			if tc.want == definition.Started {
				want.ID, want.Execution = activity.StartID(org, a, e.ID, e.Published), execution.ID(org, a, e)
			}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("entry (-want +got)\n%s", diff)
			}
			if !strings.Contains(got[0].Detail, tc.why) || tc.want != definition.Started && got[0].Detail == "" {
				t.Errorf("the reason is %q", got[0].Detail)
			}
			if compared := tc.want == definition.Filtered || tc.want == definition.ConditionNotMet; compared != (got[0].Fault != nil) {
				t.Errorf("the fault is %+v", got[0].Fault)
			}
			if related := got[0].Related; (related == "exec_1") != (tc.want == definition.LoopGuard) || related != "exec_1" && related != "" {
				t.Errorf("%s is related to %q", tc.want, related)
			}
			if runs := len(slices.Compact(d.started)); (runs == 1) != (tc.want == definition.Started) {
				t.Errorf("%d runs were started", runs)
			}
		})
	}
}

// A sentence that the table cannot store would fail every delivery and turn the
// event into a dead letter. Definitions that were stored under older rules may have
// more conditions than a new one.
func TestEveryReasonThatIsRecordedIsShort(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("Ünïcode ", 30_000)
	leaf := condition.Condition{Context: condition.InEvent, Field: "text", Operator: condition.Eq, Value: long}
	group := condition.Condition{Any: slices.Repeat([]condition.Condition{leaf}, 50)}
	tree := condition.Condition{Any: slices.Repeat([]condition.Condition{group}, 50)}
	wait := definition.Step{ID: "w", Kind: definition.Waiting, WaitStep: &definition.WaitStep{Duration: 1}}
	listens := definition.Trigger{Type: "bus_event", Product: "psa", EventType: "ticket.created"}
	action := func(i int) definition.Step {
		return definition.Step{
			ID: id.Step("s" + strconv.Itoa(i)), Kind: definition.Action,
			ActionStep: &definition.ActionStep{Product: "psa", Action: "gone_" + strings.Repeat("x", 200) + strconv.Itoa(i)},
		}
	}
	var gone []definition.Step
	for i := range 50 {
		gone = append(gone, action(i))
	}
	for name, tc := range map[string]struct {
		change func(*definition.Definition)
		want   definition.Outcome
	}{
		"a filter": {func(d *definition.Definition) {
			d.Trigger.Filters = []condition.Filter{{Field: "text", Operator: condition.Eq, Value: long[1:]}}
		}, definition.Filtered},
		"a filter with a long field": {func(d *definition.Definition) {
			d.Trigger.Filters = []condition.Filter{{Field: long, Operator: condition.Exists, Value: true}}
		}, definition.Filtered},
		"a list": {func(d *definition.Definition) {
			d.Trigger.Filters = []condition.Filter{{Field: "text", Operator: condition.In, Value: slices.Repeat([]any{long}, 200)}}
		}, definition.Filtered},
		"a client": {func(d *definition.Definition) { d.Scope.Include = []id.Client{"other"} }, definition.OutOfScope},
		"a tree":   {func(d *definition.Definition) { d.Conditions = []condition.Condition{tree} }, definition.ConditionNotMet},
		"a tree of groups": {func(d *definition.Definition) {
			d.Conditions = []condition.Condition{{All: []condition.Condition{{Any: []condition.Condition{tree, tree}}}}}
		}, definition.ConditionNotMet},
		"lost actions": {func(d *definition.Definition) { d.Steps = gone }, definition.Broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			def := definition.Definition{Name: "n", Category: "security", Trigger: listens, Steps: []definition.Step{wait}, Conflict: definition.Additive}
			tc.change(&def)
			d.must(d.SaveAgent(t.Context(), agent.Agent{}, agent.Agent{Definition: def, Head: agent.Head{
				ID: "agent_a", Org: org, Name: "n", Status: agent.Active, Version: 1, Created: d.now,
			}}, agent.Cap{}))
			e := d.event("psa:ticket.created", map[string]any{"text": long[2:]})
			e.Client = id.Client(long[:4000])
			d.must(d.Dispatch(t.Context(), e))
			got := d.entries("agent_a")
			if len(got) != 1 || got[0].Outcome != tc.want {
				t.Fatalf("%d entries, want one with %s: %+v", len(got), tc.want, got)
			}
			if n := len(got[0].Detail); n == 0 || n > activity.MaxDetail || !utf8.ValidString(got[0].Detail) {
				t.Errorf("the reason has %d bytes: %q", n, got[0].Detail)
			}
		})
	}
}

// The dispatcher has ten seconds for an event. Agents that compare too much are
// refused with the reason, and keep no others from starting.
func TestTheAgentsOfAnEventShareItsWork(t *testing.T) {
	t.Parallel()

	d := open(t)
	listens := definition.Trigger{Type: "bus_event", Product: "psa", EventType: "ticket.created"}
	leaf := condition.Condition{Context: condition.InEvent, Field: "text", Operator: condition.Contains, Value: "b"}
	greedy := condition.Condition{Any: slices.Repeat([]condition.Condition{leaf}, 3000)}
	ends := condition.Condition{Context: condition.InEvent, Field: "text", Operator: condition.EndsWith, Value: "aa"}
	var names []id.Agent
	for i := range 8 {
		def := definition.Definition{
			Name: "n", Category: "security", Trigger: listens, Conflict: definition.Additive, Conditions: []condition.Condition{ends},
			Steps: []definition.Step{{ID: "w", Kind: definition.Waiting, WaitStep: &definition.WaitStep{Duration: 1}}},
		}
		if i%4 != 0 {
			def.Conditions = []condition.Condition{greedy}
		}
		name := id.Agent(fmt.Sprintf("agent_%d", i))
		d.must(d.SaveAgent(t.Context(), agent.Agent{}, agent.Agent{Definition: def, Head: agent.Head{
			ID: name, Org: org, Name: "n", Status: agent.Active, Version: 1, Created: d.now,
		}}, agent.Cap{}))
		names = append(names, name)
	}
	d.must(d.Dispatch(t.Context(), d.event("psa:ticket.created", map[string]any{"text": strings.Repeat("a", 200<<10)})))
	for i, name := range names {
		if i%4 == 0 {
			d.expect(name, definition.Started)
			continue
		}
		d.expect(name, definition.ConditionNotMet)
		if got := d.entries(name)[0].Detail; got != "the values to compare are too large together" {
			t.Errorf("%s says %q", name, got)
		}
	}
}

// An agent that listens for failures of agents is not started by its own
// failure.
func TestAnAgentIsNotStartedByItsOwnFailure(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		about any // the agent_id of the payload
		depth int
		want  definition.Outcome
		why   string
	}{
		"the failure of another":         {about: "agent_b", depth: 1, want: definition.Started},
		"its own failure":                {about: "agent_a", depth: 1, want: definition.LoopGuard, why: "its own failure"},
		"an event about no agent":        {about: nil, depth: 1, want: definition.Started},
		"an agent_id that is no text":    {about: int64(7), depth: 1, want: definition.Started},
		"the fifth failure in a chain":   {about: "agent_b", depth: 5, want: definition.Started},
		"one more than the guard allows": {about: "agent_b", depth: 6, want: definition.LoopGuard, why: "6 runs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a := d.agent("agent_a", `trigger={"type": "bus_event", "source_product": "agents", "event_type": "execution.failed", "allow_agent_triggered": true}`)
			e := d.event("agents:execution.failed", map[string]any{"agent_id": tc.about, "execution_id": "exec_1", "code": "product_error"})
			e.Metadata = &event.Metadata{AgentTriggered: true, Causation: &event.Causation{Execution: "exec_1", Depth: tc.depth}}
			d.must(d.Dispatch(t.Context(), e))
			d.must(d.Dispatch(t.Context(), e)) // the outbox may publish it twice
			d.expect(a, tc.want)
			if got := d.entries(a)[0].Detail; !strings.Contains(got, tc.why) {
				t.Errorf("the reason is %q", got)
			}
		})
	}
	t.Run("an event of a product that names it", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a, e := d.agent("agent_a"), d.created()
		e.Payload["agent_id"] = "agent_a"
		d.must(d.Dispatch(t.Context(), e))
		d.expect(a, definition.Started)
	})
}

func TestOwnersAreToldOfFailuresThatNoAgentListensFor(t *testing.T) {
	t.Parallel()
	listening := func(event string) string {
		return `trigger={"type": "bus_event", "source_product": "agents", "event_type": "` + event + `", "allow_agent_triggered": true}`
	}
	for name, tc := range map[string]struct {
		agents []string // event of each agent; the first is agent_0
		event  string
		about  any
		want   bool
	}{
		"no listener":                   {event: "agents:execution.failed", want: true},
		"an agent listens":              {agents: []string{listening("execution.failed")}, event: "agents:execution.failed", about: "agent_x"},
		"only the failed agent listens": {agents: []string{listening("execution.failed")}, event: "agents:execution.failed", about: "agent_0", want: true},
		"another listens too":           {agents: []string{listening("execution.failed"), listening("execution.failed")}, event: "agents:execution.failed", about: "agent_0"},
		"an agent listens for another":  {agents: []string{listening("credits.low")}, event: "agents:agent.error", want: true},
		"an event without listeners":    {event: "psa:ticket.created"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			for n, more := range tc.agents {
				d.agent(id.Agent(fmt.Sprintf("agent_%d", n)), more)
			}
			d.must(d.Dispatch(t.Context(), d.event(tc.event, map[string]any{"agent_id": tc.about})))
			if (len(d.letters) == 1) != tc.want || len(d.letters) > 1 {
				t.Errorf("owners were told of %v; want it: %t", d.letters, tc.want)
			}
		})
	}
	t.Run("an e-mail that could not be sent brings the event again", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.ownersErr = errors.New("busy")
		if err := d.Dispatch(t.Context(), d.event("agents:credits.low", map[string]any{"agent_id": nil})); !errors.Is(err, d.ownersErr) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestOnlyActiveAgentsOfTheEventListen(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a")
	other := d.agent("agent_b", `trigger={"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated"}`)
	paused, err := d.Agent(t.Context(), org, d.agent("agent_c"))
	d.must(err)
	after := paused
	after.Status = agent.Paused
	d.must(d.SaveAgent(t.Context(), paused, after, agent.Cap{}))
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(a, definition.Started)
	d.expect(other)
	d.expect("agent_c")
}

func TestAnOverridingAgentReplacesSystemAgents(t *testing.T) {
	t.Parallel()

	system := func(d *fixture) {
		d.System = []agent.Agent{{Head: agent.Head{ID: "agent_system_x", Version: 1}, Definition: d.define()}}
	}
	t.Run("when they match", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		system(d)
		a, b := d.agent("agent_a", `conflict_behavior="override"`), d.agent("agent_b")
		d.must(d.Dispatch(t.Context(), d.created()))
		d.expect(a, definition.Started)
		d.expect(b, definition.Started)
		d.expect("agent_system_x", definition.Overridden)
		if why := d.entries("agent_system_x")[0].Detail; !strings.Contains(why, "agent_a") {
			t.Errorf("the reason is %q", why)
		}
	})

	t.Run("but not when they do not", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		system(d)
		a := d.agent("agent_a", `conflict_behavior="override"`, ofPriority)
		d.must(d.Dispatch(t.Context(), d.created()))
		d.expect(a, definition.Filtered)
		d.expect("agent_system_x", definition.Started)
	})

	t.Run("and a system agent says its own reason first", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		d.System = []agent.Agent{{Head: agent.Head{ID: "agent_system_x", Version: 1}, Definition: d.define(ofPriority)}}
		d.agent("agent_a", `conflict_behavior="override"`)
		d.must(d.Dispatch(t.Context(), d.created()))
		d.expect("agent_system_x", definition.Filtered)
	})

	t.Run("and those that are paused are not even asked", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		system(d)
		d.must(d.SavePause(t.Context(), org, "agent_system_x", "psa:ticket.created", agent.Pause{}))
		d.must(d.Dispatch(t.Context(), d.created()))
		d.expect("agent_system_x")
	})
}

func TestASuspendedOrganizationStartsNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	a, b := d.agent("agent_a"), d.agent("agent_b", ofPriority)
	d.now = d.now.Add(time.Minute)
	d.must(d.Dispatch(t.Context(), d.event("hub:org.suspended", map[string]any{})))
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(a, definition.Suspended)
	d.expect(b, definition.Filtered)
	d.now = d.now.Add(time.Minute)
	d.must(d.Dispatch(t.Context(), d.event("hub:org.created", map[string]any{"plan": "growth"})))
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(a, definition.Started, definition.Suspended)
}

func TestARunIsKeptAsItsOrganizationChose(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.agent("agent_a")
	const day = 24 * time.Hour
	for _, days := range []int{0, 30} {
		before, err := d.Tenant(t.Context(), org)
		d.must(err)
		before.Settings.RetentionDays = days
		d.must(d.SaveSettings(t.Context(), before))
		d.now = d.now.Add(time.Hour)
		d.must(d.Dispatch(t.Context(), d.created()))
		x, err := d.Header(t.Context(), org, d.started[len(d.started)-1])
		d.must(err)
		want := time.Duration(days) * day
		if days == 0 {
			want = execution.DefaultRetention
		}
		if kept := x.KeptUntil.Sub(x.Created); kept < want || kept > want+8*day {
			t.Errorf("with retention_days %d a run is kept for %v", days, kept)
		}
	}
}

// keepsEvents makes the organization keep received events for some days.
func (d *fixture) keepsEvents(days int) {
	d.Helper()
	s := tenant.SettingsService{Store: d.Store, Now: d.Now}
	_, err := s.Update(d.Context(), caller.Caller{Org: org, User: "user_1", Roles: []caller.Role{caller.Owner}}, tenant.SettingsPatch{JournalDays: &days})
	d.must(err)
}

// journal returns the ids of the received events, the latest first.
func (d *fixture) journal() (ids []id.Event) {
	d.Helper()
	p, err := d.Received(d.Context(), org, journal.Query{Since: d.now.AddDate(0, 0, -90), Now: d.now, Limit: 100})
	d.must(err)
	for _, e := range p.Entries {
		ids = append(ids, e.Event.ID)
	}
	return ids
}

// A keeper counts the events that it is given, and refuses some.
type keeper struct {
	dispatch.Journal

	kept int
	err  error
}

func (k *keeper) KeepEvent(ctx context.Context, o id.Org, e journal.Entry) error {
	if k.kept++; k.err != nil {
		return k.err
	}
	return k.Journal.KeepEvent(ctx, o, e)
}

func TestAnOrganizationKeepsItsEventsIfItWants(t *testing.T) {
	t.Parallel()
	d := open(t)
	k := &keeper{Journal: d.Store}
	d.Journal = k
	a := d.agent("agent_a")
	d.must(d.Dispatch(t.Context(), d.created()))
	if d.keepsEvents(0); k.kept > 0 || len(d.journal()) > 0 {
		t.Fatalf("without a journal %d events are kept: %v", k.kept, d.journal())
	}
	d.keepsEvents(7)
	d.now = d.now.Add(time.Second)
	started, unheard := d.created(), d.event("psa:ticket.resolved", map[string]any{"ticket_id": "1"})
	unheard.Published = d.now.Add(1)
	unknown := d.event("psa:ticket.invented", map[string]any{"x": "y"})
	unknown.Published = d.now.Add(2)
	old := d.created()
	old.Published = d.now.AddDate(0, 0, -8)
	for _, e := range []event.Event{started, unheard, unknown, old, started} {
		d.must(d.Dispatch(t.Context(), e))
	}
	if want := []id.Event{unknown.ID, unheard.ID, started.ID}; !slices.Equal(d.journal(), want) {
		t.Errorf("the journal has %v, want %v", d.journal(), want)
	}
	d.keepsEvents(0)
	before := k.kept
	d.must(d.Dispatch(t.Context(), d.created()))
	if k.kept != before {
		t.Error("an event is kept although the journal was switched off")
	}
	if n := len(d.started); n != 5 { // one of them again
		t.Errorf("%s started %d times, want 5", a, n)
	}
}

func TestAnEventThatIsNotKeptIsDispatchedAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	k := &keeper{Journal: d.Store, err: errors.New("no table")}
	d.Journal = k
	a := d.agent("agent_a")
	d.keepsEvents(7)
	e := d.created()
	if err := d.Dispatch(t.Context(), e); !errors.Is(err, k.err) || !strings.Contains(err.Error(), string(e.ID)) {
		t.Fatalf("err = %v, want that of the journal with the event", err)
	}
	k.err = nil
	d.must(d.Dispatch(t.Context(), e))
	if !slices.Equal(d.journal(), []id.Event{e.ID}) {
		t.Errorf("the journal has %v", d.journal())
	}
	d.expect(a, definition.Started)
}

func TestAnEventWhoseDispatchFailsIsKept(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a")
	d.Journal = d.Store
	d.keepsEvents(7)
	d.broken[a] = errors.New("no machine")
	e := d.created()
	if err := d.Dispatch(t.Context(), e); err == nil {
		t.Fatal("a start that fails is no failure of the dispatch")
	}
	if !slices.Equal(d.journal(), []id.Event{e.ID}) {
		t.Errorf("the journal has %v", d.journal())
	}
}

func TestADeletedOrganizationStartsNothingAndNoEventOfItIsKept(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.agent("agent_a")
	hash := key.Hash("00")
	d.must(d.CreateKey(t.Context(), key.Key{ID: "key_1", Org: org, Hash: hash}))
	d.now = d.now.Add(time.Minute)
	deletion := d.event("hub:org.deleted", map[string]any{})
	for range 2 {
		d.must(d.Dispatch(t.Context(), deletion))
	}
	if _, err := d.KeyByHash(t.Context(), hash); !errors.Is(err, key.ErrNotFound) {
		t.Errorf("the key of a deleted organization: %v", err)
	}
	d.now = d.now.Add(time.Minute)
	for name, payload := range map[string]map[string]any{
		"psa:ticket.created":       {},
		"hub:org.created":          {"plan": "growth"},
		"hub:subscription.changed": {"plan": "growth"},
		"hub:org.suspended":        {},
		"hub:session.revoked":      {"jti": "ses_1"},
	} {
		if err := d.Dispatch(t.Context(), d.event(name, payload)); !errors.Is(err, tenant.ErrDeleted) {
			t.Errorf("%s: err = %v, want ErrDeleted", name, err)
		}
	}
	revoked, err := d.Revoked(t.Context(), tenant.Session{Org: org, JTI: "ses_1", User: "user_1"})
	d.must(err)
	if revoked || len(d.started) > 0 {
		t.Errorf("revocation stored: %t, runs started: %v", revoked, d.started)
	}
	e, err := d.Erasure(t.Context(), org)
	d.must(err)
	if e.Event != deletion.ID || e.Stage != tenant.Stopping || e.Revision != 1 {
		t.Errorf("erasure %+v", e)
	}
}

const adding = `steps=[{"id": "note", "type": "product_action", "product": "psa", "action": "add_note",
	"params": {"ticket_id": "t", "body": "b", "visibility": "internal"}}]`

func TestAnAgentWithAMissingCatalogueEntryIsRefusedOnceAndThenInError(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		lost string
		more []string
		want string
	}{
		"an action":              {"psa/actions/add_note.json", []string{adding}, "action psa:add_note"},
		"the event":              {"psa/ticket.created.json", nil, "event psa:ticket.created"},
		"an action, filtered":    {"psa/actions/add_note.json", []string{adding, ofPriority}, "action psa:add_note"},
		"an action, overriding":  {"psa/actions/add_note.json", []string{adding, `conflict_behavior="override"`}, "action psa:add_note"},
		"an action, and limited": {"psa/actions/add_note.json", []string{adding, `execution_limit={"max_per_hour": 1}`}, "action psa:add_note"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a := d.agent("agent_a", tc.more...)
			d.System = []agent.Agent{{Definition: d.define(), Head: agent.Head{ID: "agent_system_x", Version: 1}}}
			d.Rules = definition.Rules{Catalog: catalogue(t, tc.lost)}
			for range 2 {
				d.must(d.Dispatch(t.Context(), d.created()))
			}
			d.expect(a, definition.Broken)
			if got := d.entries(a)[0].Detail; !strings.Contains(got, tc.want) {
				t.Errorf("the reason is %q, want %q in it", got, tc.want)
			}
			d.expect("agent_system_x", definition.Started, definition.Started)
			stored, err := d.Agent(t.Context(), org, a)
			d.must(err)
			if stored.Status != agent.Invalid || d.asked != 1 {
				t.Errorf("it is %s after it was asked for %d times, want %s after 1", stored.Status, d.asked, agent.Invalid)
			}
		})
	}
}

func TestAWorkingAgentIsNotDeactivated(t *testing.T) {
	t.Parallel()
	d := open(t)
	a, b, c := d.agent("agent_a", adding), d.agent("agent_b", adding, ofPriority), d.agent("agent_c")
	d.Rules = definition.Rules{Catalog: catalogue(t, "psa/actions/create_ticket.json")}
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(a, definition.Started)
	d.expect(b, definition.Filtered)
	d.expect(c, definition.Started)
	if d.asked != 0 {
		t.Errorf("asked for %d agents", d.asked)
	}
}

func TestAFailedDeactivationIsRetriedUnderTheSameEntry(t *testing.T) {
	t.Parallel()
	d := open(t)
	a, b := d.agent("agent_a", adding), d.agent("agent_b")
	d.Rules = definition.Rules{Catalog: catalogue(t, "psa/actions/add_note.json")}
	d.invalidateErr = errors.New("the store is away")
	e := d.created()
	if err := d.Dispatch(t.Context(), e); !errors.Is(err, d.invalidateErr) {
		t.Fatalf("err = %v, want that of the store", err)
	}
	d.invalidateErr = nil
	d.must(d.Dispatch(t.Context(), e))
	d.expect(a, definition.Broken)
	d.expect(b, definition.Started)
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(a, definition.Broken)
}

func TestAnUnknownOrganizationIsRefused(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"psa:ticket.created", "hub:org.suspended"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			e := d.event(name, map[string]any{"ticket_id": "t"})
			e.Org = "org_stranger"
			if err := d.Dispatch(t.Context(), e); !errors.Is(err, dispatch.ErrUnknownOrg) {
				t.Errorf("err = %v, want ErrUnknownOrg", err)
			}
		})
	}
}

func TestAnEventFromTheFutureIsMalformedAndChangesNothing(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"psa:ticket.created", "hub:org.suspended", "hub:subscription.changed", "hub:session.revoked"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a := d.agent("agent_a")
			before, err := d.Tenant(t.Context(), org)
			d.must(err)
			for _, ahead := range []time.Duration{event.MaxAhead + time.Nanosecond, time.Hour, 150 * 365 * 24 * time.Hour} {
				e := d.event(name, map[string]any{"ticket_id": "t", "priority": "p1", "plan": "scale", "jti": "ses_1"})
				e.Published = d.now.Add(ahead)
				err := d.Dispatch(t.Context(), e)
				if !errors.Is(err, event.ErrMalformed) || !strings.Contains(err.Error(), "at most 5m0s ahead") {
					t.Errorf("%s ahead: err = %v, want ErrMalformed", ahead, err)
				}
			}
			d.expect(a)
			after, err := d.Tenant(t.Context(), org)
			d.must(err)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the tenant changed (-want +got):\n%s", diff)
			}
			revoked, err := d.Revoked(t.Context(), tenant.Session{Org: org, JTI: "ses_1"})
			if d.must(err); revoked {
				t.Error("the session is revoked")
			}
			e := d.created()
			e.Published = d.now.Add(event.MaxAhead)
			d.must(d.Dispatch(t.Context(), e))
			d.expect(a, definition.Started)
		})
	}
}

func TestOneEventStartsAnAgentOnceForEver(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a")
	e := d.created()
	d.must(d.Dispatch(t.Context(), e))
	first, _, err := d.Execution(t.Context(), org, execution.ID(org, a, e))
	d.must(err)
	for range 3 {
		d.now = d.now.Add(24 * time.Hour)
		d.must(d.Dispatch(t.Context(), e))
	}
	again, _, err := d.Execution(t.Context(), org, first.ID)
	d.must(err)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the run was recorded again (-first +again)\n%s", diff)
	}
	d.expect(a, definition.Started)
	if len(slices.Compact(d.started)) != 1 {
		t.Errorf("started %v", d.started)
	}
}

func TestDuplicatesOfAnEventAreRefusedWithinTheWindow(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		change func(*event.Event)
		after  time.Duration
		want   definition.Outcome
	}{
		"the same said again at once":    {want: definition.Duplicate},
		"the same said again just so":    {after: dispatch.Window - time.Second, want: definition.Duplicate},
		"the same after the window":      {after: dispatch.Window, want: definition.Started},
		"another payload":                {change: func(e *event.Event) { e.Payload = map[string]any{"ticket_id": "other"} }, want: definition.Started},
		"another client":                 {change: func(e *event.Event) { e.Client = "cli_2" }, want: definition.Started},
		"no client":                      {change: func(e *event.Event) { e.Client = "" }, want: definition.Started},
		"the same told by another agent": {change: func(e *event.Event) { e.Metadata = &event.Metadata{} }, want: definition.Duplicate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a := d.agent("agent_a")
			first := d.created()
			d.must(d.Dispatch(t.Context(), first))
			d.now = d.now.Add(time.Second + tc.after)
			twin := d.event("psa:ticket.created", first.Payload)
			if tc.after >= time.Second {
				d.now = d.now.Add(-time.Second)
			}
			if tc.change != nil {
				tc.change(&twin)
			}
			d.must(d.Dispatch(t.Context(), twin))
			d.expect(a, tc.want, definition.Started)
			d.must(d.Dispatch(t.Context(), first)) // the first may still be delivered again
			d.expect(a, tc.want, definition.Started)
			if got := d.entries(a)[0]; tc.want == definition.Duplicate && got.Related != execution.ID(org, a, first) {
				t.Errorf("the duplicate is related to %q", got.Related)
			}
			if tc.want == definition.Duplicate && !strings.Contains(d.entries(a)[0].Detail, string(execution.ID(org, a, first))) {
				t.Errorf("the reason is %q", d.entries(a)[0].Detail)
			}
		})
	}

	t.Run("and stay so when they are delivered again later, or replayed", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a := d.agent("agent_a")
		first := d.created()
		d.now = d.now.Add(time.Minute)
		twin := d.event("psa:ticket.created", first.Payload)
		d.now = d.now.Add(6 * time.Minute)
		third := d.event("psa:ticket.created", first.Payload)
		for range 3 {
			for _, e := range []event.Event{first, twin, third} {
				d.must(d.Dispatch(t.Context(), e))
				d.now = d.now.Add(time.Millisecond)
			}
			d.expect(a, definition.Started, definition.Duplicate, definition.Started)
			d.now = d.now.Add(24 * time.Hour)
		}
	})

	t.Run("and an event that is published again with another time is the same event", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a := d.agent("agent_a")
		e := d.created()
		d.must(d.Dispatch(t.Context(), e))
		d.now = d.now.Add(time.Hour)
		e.Published = d.now
		d.must(d.Dispatch(t.Context(), e))
		d.expect(a, definition.Started)
	})

	t.Run("but those that were published after it start although they arrive together", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a := d.agent("agent_a")
		first := d.created()
		d.now = d.now.Add(dispatch.Window)
		second := d.event("psa:ticket.created", first.Payload)
		d.must(d.Dispatch(t.Context(), first))
		d.must(d.Dispatch(t.Context(), second))
		d.expect(a, definition.Started, definition.Started)
	})

	t.Run("but a clock that is ahead holds up nobody for longer", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a := d.agent("agent_a")
		first := d.created()
		first.Published = d.now.Add(event.MaxAhead)
		d.must(d.Dispatch(t.Context(), first))
		d.now = d.now.Add(dispatch.Window)
		d.must(d.Dispatch(t.Context(), d.event("psa:ticket.created", first.Payload)))
		d.expect(a, definition.Started, definition.Started)
	})

	t.Run("but each agent for itself", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a := d.agent("agent_a")
		first := d.created()
		d.must(d.Dispatch(t.Context(), first))
		b := d.agent("agent_b")
		d.now = d.now.Add(time.Second)
		d.must(d.Dispatch(t.Context(), d.event("psa:ticket.created", first.Payload)))
		d.expect(a, definition.Duplicate, definition.Started)
		d.expect(b, definition.Started)
	})
}

func TestALimitCountsRuns(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a", `execution_limit={"max_per_hour": 2}`)
	var all []event.Event
	for range 4 {
		d.now = d.now.Add(time.Minute)
		e := d.created()
		all = append(all, e)
		d.must(d.Dispatch(t.Context(), e))
	}
	for _, e := range all { // redelivery changes nothing
		d.must(d.Dispatch(t.Context(), e))
	}
	d.expect(a, definition.LimitReached, definition.LimitReached, definition.Started, definition.Started)
	if why := d.entries(a)[0].Detail; !strings.Contains(why, "max_per_hour is 2") {
		t.Errorf("the reason is %q", why)
	}
	d.now = d.now.Add(time.Hour)
	d.must(d.Dispatch(t.Context(), d.created()))
	d.expect(a, definition.Started, definition.LimitReached, definition.LimitReached, definition.Started, definition.Started)
}

// An event that the limit refuses has started no run, so a later event with the
// same content is no duplicate.
func TestADuplicateOfAnEventThatTheLimitRefusedIsNotRefusedAsDuplicate(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a", `execution_limit={"cooldown_minutes": 2}`)
	d.must(d.Dispatch(t.Context(), d.created()))
	d.now = d.now.Add(time.Minute)
	refused := d.created()
	d.must(d.Dispatch(t.Context(), refused))
	d.expect(a, definition.LimitReached, definition.Started)
	d.now = d.now.Add(time.Second)
	d.must(d.Dispatch(t.Context(), d.event("psa:ticket.created", refused.Payload)))
	d.expect(a, definition.LimitReached, definition.LimitReached, definition.Started)
	d.now = d.now.Add(time.Minute)
	d.must(d.Dispatch(t.Context(), d.event("psa:ticket.created", refused.Payload)))
	d.expect(a, definition.Started, definition.LimitReached, definition.LimitReached, definition.Started)
}

// A racingStore is a store in which another delivery happens once between the
// check and the claim of a run.
type racingStore struct {
	*memory.Store

	meanwhile func()
	released  []id.Execution
}

func (r *racingStore) ClaimDedup(ctx context.Context, x execution.Execution, now, until time.Time) (id.Execution, error) {
	if f := r.meanwhile; f != nil {
		r.meanwhile = nil
		f()
	}
	return r.Store.ClaimDedup(ctx, x, now, until)
}

func (r *racingStore) ReleaseDedup(ctx context.Context, x execution.Execution) error {
	r.released = append(r.released, x.ID)
	return r.Store.ReleaseDedup(ctx, x)
}

func TestARaceIsDecidedByTheConditionalWrites(t *testing.T) {
	t.Parallel()

	t.Run("a run that lost its place gives the content back", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		r := &racingStore{Store: d.Store}
		d.Runs = r
		a := d.agent("agent_a", `execution_limit={"cooldown_minutes": 2}`)
		other, loser := d.created(), d.created()
		r.meanwhile = func() { d.must(d.Dispatch(t.Context(), other)) }
		d.must(d.Dispatch(t.Context(), loser))
		if got := d.outcome(a, loser); got != definition.LimitReached {
			t.Errorf("the loser: %s", got)
		}
		d.now = d.now.Add(2 * time.Minute)
		twin := d.event("psa:ticket.created", loser.Payload)
		d.must(d.Dispatch(t.Context(), twin))
		if got := d.outcome(a, twin); got != definition.Started {
			t.Errorf("its twin: %s", got)
		}
	})

	t.Run("a twin that claims first has the content", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		r := &racingStore{Store: d.Store}
		d.Runs = r
		a := d.agent("agent_a")
		first := d.created()
		twin := d.event("psa:ticket.created", first.Payload)
		r.meanwhile = func() { d.must(d.Dispatch(t.Context(), twin)) }
		d.must(d.Dispatch(t.Context(), first))
		if got := d.outcome(a, first); got != definition.Duplicate {
			t.Errorf("the first: %s", got)
		}
		if len(r.released) != 0 {
			t.Errorf("%v gave back what they did not have", r.released)
		}
	})

	t.Run("another delivery of the event may begin the run", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		r := &racingStore{Store: d.Store}
		d.Runs = r
		a := d.agent("agent_a", `execution_limit={"max_per_hour": 1}`)
		e := d.created()
		r.meanwhile = func() { d.must(d.Dispatch(t.Context(), e)) }
		d.must(d.Dispatch(t.Context(), e))
		d.expect(a, definition.Started)
		if len(r.released) != 0 {
			t.Errorf("%v gave back what a run has", r.released)
		}
	})

	t.Run("what a crash left behind is given back", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		a := d.agent("agent_a", `execution_limit={"cooldown_minutes": 2}`)
		d.must(d.Dispatch(t.Context(), d.created()))
		e := d.created()
		x := execution.Execution{ID: execution.ID(org, a, e), Org: org, Agent: a, Trigger: e}
		_, err := d.ClaimDedup(t.Context(), x, d.now, d.now.Add(dispatch.Window))
		d.must(err)
		d.must(d.Dispatch(t.Context(), e)) // again
		if got := d.outcome(a, e); got != definition.LimitReached {
			t.Errorf("delivered again: %s", got)
		}
		d.now = d.now.Add(2 * time.Minute)
		twin := d.event("psa:ticket.created", e.Payload)
		d.must(d.Dispatch(t.Context(), twin))
		if got := d.outcome(a, twin); got != definition.Started {
			t.Errorf("its twin: %s", got)
		}
	})
}

// outcome returns the outcome of an event at the agent.
func (d *fixture) outcome(a id.Agent, e event.Event) definition.Outcome {
	d.Helper()
	for _, entry := range d.entries(a) {
		if entry.Event == e.ID {
			return entry.Outcome
		}
	}
	return ""
}

// countingStore counts the writes for a refused event.
type countingStore struct {
	*memory.Store

	writes []string
}

func (c *countingStore) ClaimDedup(ctx context.Context, x execution.Execution, now, until time.Time) (id.Execution, error) {
	c.writes = append(c.writes, "claim")
	return c.Store.ClaimDedup(ctx, x, now, until)
}

func (c *countingStore) AdmitWithinLimit(ctx context.Context, x execution.Execution, l definition.Limit, seen dispatch.LimitStarts, now time.Time) (string, error) {
	c.writes = append(c.writes, "admit")
	return c.Store.AdmitWithinLimit(ctx, x, l, seen, now)
}

func (c *countingStore) ReleaseDedup(ctx context.Context, x execution.Execution) error {
	c.writes = append(c.writes, "release")
	return c.Store.ReleaseDedup(ctx, x)
}

func (c *countingStore) Refuse(ctx context.Context, e activity.Entry) error {
	c.writes = append(c.writes, "refuse")
	return c.Store.Refuse(ctx, e)
}

func TestARefusedEventCostsOneWrite(t *testing.T) {
	t.Parallel()
	d := open(t)
	c := &countingStore{Store: d.Store}
	d.Runs = c
	d.agent("agent_a", `execution_limit={"cooldown_minutes": 2}`)
	d.agent("agent_b", ofPriority)
	first := d.created()
	for _, tc := range []struct {
		what  string
		event event.Event
		want  []string
	}{
		{"one that starts a run, and is filtered", first, []string{"claim", "admit", "refuse"}},
		{"a duplicate", d.event("psa:ticket.created", first.Payload), []string{"refuse", "refuse"}},
		{"one above the limit", d.created(), []string{"refuse", "refuse"}},
		{"the first again", first, []string{"refuse"}},
	} {
		c.writes = nil
		d.must(d.Dispatch(t.Context(), tc.event))
		if !slices.Equal(c.writes, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, c.writes, tc.want)
		}
	}
}

func TestAnEventThatStartedARunIsNotRefusedLater(t *testing.T) {
	t.Parallel()

	for name, more := range map[string]string{
		"since a twin has begun another":   `conflict_behavior="additive"`,
		"since the limit has been reached": `execution_limit={"max_per_hour": 1}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			a := d.agent("agent_a", more)
			first := d.created()
			d.must(d.Dispatch(t.Context(), first))
			d.now = d.now.Add(61 * time.Minute)
			d.must(d.Dispatch(t.Context(), d.event("psa:ticket.created", first.Payload)))
			d.now = d.now.Add(time.Second)
			d.must(d.Dispatch(t.Context(), first))
			d.expect(a, definition.Started, definition.Started)
		})
	}
}

func TestAFailureForOneAgentDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	d := open(t)
	agents := []id.Agent{d.agent("agent_a"), d.agent("agent_b"), d.agent("agent_c")}
	down := errors.New("down")
	d.broken["agent_b"] = down
	e := d.created()
	if err := d.Dispatch(t.Context(), e); !errors.Is(err, down) || !strings.Contains(err.Error(), "agent_b") {
		t.Errorf("err = %v, want what is wrong with agent_b", err)
	}
	if len(d.started) != 2 {
		t.Errorf("started %v", d.started)
	}
	d.broken = nil
	d.must(d.Dispatch(t.Context(), e))
	for _, a := range agents {
		d.expect(a, definition.Started)
		if !slices.Contains(d.started, execution.ID(org, a, e)) {
			t.Errorf("%s was not started", a)
		}
	}
}

func TestProfilesAreReadOnlyWhenAConditionLooksAtThem(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.agent("agent_a")
	d.must(d.Dispatch(t.Context(), d.created()))
	if d.reads != 0 {
		t.Errorf("%d profiles were read", d.reads)
	}
	for _, name := range []id.Agent{"agent_b", "agent_c"} {
		d.agent(name, `conditions=[{"any": [{"context": "client_context", "field": "recent_incidents", "operator": "exists", "value": true}]}]`)
	}
	d.must(d.Dispatch(t.Context(), d.created()))
	if d.reads != 1 {
		t.Errorf("%d profiles were read for two agents, want 1", d.reads)
	}
}

func TestAnEventIsProjectedIntoTheProfileBeforeItIsJudged(t *testing.T) {
	t.Parallel()
	d := open(t)
	const third = `conditions=[{"context": "client_context", "field": "recent_incidents", "operator": "gte", "value": 3},
		{"context": "client_context", "field": "device_inventory.devices.0", "operator": "eq", "value": "dev_1"}]`
	a := d.agent("agent_a", third)
	d.must(d.Dispatch(t.Context(), d.event("rmm:device.added", map[string]any{"device_id": "dev_1"})))
	first := d.created()
	for _, e := range []event.Event{first, d.created(), first} {
		d.must(d.Dispatch(t.Context(), e))
	}
	d.expect(a, definition.ConditionNotMet, definition.ConditionNotMet)
	d.now = d.now.Add(time.Minute)
	other := d.created()
	other.Client = "cli_2"
	d.must(d.Dispatch(t.Context(), other))
	if why := d.entries(a)[0].Detail; !strings.Contains(why, "it is 1") {
		t.Errorf("of another client the reason is %q", why)
	}
	d.now = d.now.Add(time.Minute)
	d.must(d.Dispatch(t.Context(), d.created()))
	if outcome := d.told(a)[0]; outcome != definition.Started {
		t.Errorf("at the third ticket: %s", outcome)
	}
}

func TestClientsOfUnknownOrganizationsAreNotProjected(t *testing.T) {
	t.Parallel()
	d := open(t)
	e := d.created()
	e.Org = "org_stranger"
	if err := d.Dispatch(t.Context(), e); !errors.Is(err, dispatch.ErrUnknownOrg) {
		t.Errorf("err = %v, want ErrUnknownOrg", err)
	}
	if facts, err := d.Facts(t.Context(), e.Org, e.Client); err != nil || len(facts) != 0 {
		t.Errorf("kept %v, %v", facts, err)
	}
}

func TestANewRunIsDueSoon(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.agent("agent_a")
	e := d.created()
	e.Published = d.now.Add(-time.Hour)
	d.must(d.Dispatch(t.Context(), e))
	x, _, err := d.Execution(t.Context(), org, execution.ID(org, a, e))
	d.must(err)
	if x.Status != execution.Pending || !x.Created.Equal(d.now) || x.Due.Sub(d.now) > time.Minute || x.Version != 1 || x.RetryOf != "" {
		t.Errorf("the run is %+v", x)
	}
}
