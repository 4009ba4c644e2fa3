package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"theoneagents.app/agents/events"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/alert"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/catalog"
	"theoneagents.app/agents/shared/client"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/erase"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/hold"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/sweep"
	"theoneagents.app/agents/shared/tenant"
)

// A world is the whole system in one bubble of virtual time: the real services
// over a store in memory, machines that behave as package machine describes,
// and stand-ins for the outside. Every call that can fail in the cloud can be
// made to fail here; see faults. Method in returns the world of another
// organization.
type world struct {
	*cloud

	org id.Org
}

// A cloud is the part of a world that all organizations share.
type cloud struct {
	testing.TB

	library  agent.Definitions
	faults   *faults
	store    *store
	machines *machines
	queue    *sqs
	stream   *tableStream
	bus      *bus
	mail     *mail
	traces   *traces             // nil: none are recorded
	triggers map[id.Agent]string // trigger of each agent, cached for the auditor; triggers do not change here
	model    *models
	products *products
	senders  *senders

	*deployment               // the deployment used when a test does not care which
	others      []*deployment // further deployments; see addDeployment
	witness     *witness
	ledgers     sync.Mutex            // held while a change is applied and checked
	order       atomic.Pointer[order] // order in which calls are made; nil: as they arrive

	mu       sync.Mutex
	limits   quota.Limits // of every organization, if not those of its plan
	names    int
	swept    sweep.Report // the sum of all sweeps
	reported []error
	history  []string
	over     context.Context //nolint:containedctx // of everything in the bubble.
	end      context.CancelFunc
}

// A deployment is one instance of each service.
type deployment struct {
	tenants    *tenant.Service
	dispatcher *dispatch.Service
	runner     *runner.Service
	approvals  *approval.Service
	executions *execution.Service
	agents     *agent.Service
	sweeper    *sweep.Service
	pauses     *hold.Service
	versions   *agent.VersionCache
}

// inWorld runs a story in a bubble of its own.
func inWorld(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(inner *testing.T) {
		w := newWorld(inner)
		defer func() {
			if t.Failed() || inner.Failed() {
				t.Log(strings.Join(w.history, "\n"))
			}
			w.end()
		}()
		story(w)
	})
}

var rules = sync.OnceValue(func() definition.Rules {
	c, err := catalog.Load(events.Files)
	if err != nil {
		panic(err)
	}
	return definition.Rules{Catalog: c}
})

var systemAgents = sync.OnceValue(func() []agent.Agent {
	list, err := agent.SystemAgents(rules())
	if err != nil {
		panic(err)
	}
	return list
})

const plan = credit.Starter

func newWorld(t testing.TB) *world {
	w := &world{cloud: &cloud{TB: t, faults: newFaults(), witness: newWitness(), triggers: map[id.Agent]string{}}, org: "org_acme"}
	w.over, w.end = context.WithCancel(t.Context())
	w.store = &store{Store: memory.New(), world: w}
	w.library = agent.Definitions{System: systemAgents(), Versions: w.store}
	w.machines = &machines{world: w, doors: map[string]chan struct{}{}, names: map[string]bool{}}
	w.model = &models{world: w, reply: func(q step.Question, _ int) said { return said{text: fitting(q.Schema)} }}
	w.products = &products{world: w, effects: map[string]effect{}, reply: func(step.Command, int) done { return done{} }}
	w.bus = &bus{world: w}
	w.mail = &mail{world: w, sent: map[id.Org][]time.Time{}}
	w.senders = &senders{world: w, sent: map[string]int{}}
	w.deployment = w.build(time.Now, w.store)
	w.queue = newQueue(w)
	w.stream = newStream(w)
	w.announce()
	go w.sweepEveryMinute()
	return w
}

// in returns the world of another organization.
func (w *world) in(o id.Org) *world { return &world{cloud: w.cloud, org: o} }

// announce makes the organization known.
func (w *world) announce() {
	w.must(w.tenants.Project(w.over, event.Event{
		ID: "evt_org", Product: "hub", Type: "org.created", Org: w.org, Published: time.Now(),
		Payload: map[string]any{"plan": string(plan)},
	}))
}

// addDeployment adds another deployment whose clock is ahead. With yesterday it
// runs an older version, which does not know the newest fields of records.
func (w *world) addDeployment(ahead time.Duration, yesterday bool) {
	s := *w.store
	s.yesterday = yesterday
	hired := w.build(func() time.Time { return time.Now().Add(ahead) }, &s)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.others = append(w.others, hired)
}

// on returns the deployment that answers a call, the same for the same parts.
func (w *world) on(parts ...any) *deployment {
	w.mu.Lock()
	all := append([]*deployment{w.deployment}, w.others...)
	w.mu.Unlock()
	return all[int(chance(append([]any{"staff"}, parts...)...)*float64(len(all)))]
}

// build wires the services like the programs.
func (w *world) build(now func() time.Time, kept *store) *deployment {
	versions := agent.NewVersionCache()
	library := agent.Definitions{System: systemAgents(), Versions: kept, Cache: versions}
	channels := map[definition.Channel]step.Sender{
		definition.SMS: w.senders, definition.Email: w.senders, definition.Slack: w.senders, definition.Teams: w.senders, definition.Webhook: w.senders,
	}
	out := &deployment{tenants: &tenant.Service{Store: kept, Now: now}, versions: versions}
	clients := &client.Service{Store: kept, Now: now}
	out.approvals = &approval.Service{Store: kept, Tenants: kept, Revocations: kept, Doorbell: w.machines, Now: now}
	quotas := &quota.Service{Store: kept, Limits: w.quotas, Now: now}
	out.executions = &execution.Service{
		Store: kept, Definitions: library, Tenants: kept, Balances: kept, Gates: kept, Quotas: quotas,
		Machine: w.machines, Doorbell: w.machines, Now: now, Sleep: sleep, Report: w.report,
	}
	out.agents = &agent.Service{
		Store: kept, Plans: kept, Runs: out.executions, Rules: rules(), Settings: kept, System: systemAgents(), Now: now,
		NewID: func() id.Agent { return id.Agent("agent_" + w.name("a")) },
	}
	out.dispatcher = &dispatch.Service{
		Tenants: kept, Agents: kept, Cache: dispatch.NewListenerCache(), Recent: dispatch.NewRecentClaims(), System: systemAgents(), Profiles: clients, Runs: kept, Journal: kept,
		Quotas: quotas, Machine: w.machines, NewOwner: func() string { return w.name("first") }, Orgs: out.tenants, Clients: clients, Now: now, Rules: rules(), Deactivator: out.agents,
		Owners: &alert.Service{Store: kept, Mail: w.mail, Console: "https://console.example", Now: now, Report: w.report},
	}
	events := &outbox.Service{Store: kept, Bus: w.bus, Now: now, Report: w.report}
	out.runner = &runner.Service{
		Store: kept, Definitions: library, Actions: rules().Catalog, Profiles: clients, Doorbell: w.machines, Outbox: events, Now: now, Sleep: sleep, Report: w.report,
		Observe: func(context.Context, runner.Result) {},
		Link:    func(a id.Approval) string { return "https://console.example/approvals/" + string(a) },
		Steps: &step.Service{
			Model: w.model, Products: w.products, Senders: channels, Quotas: quotas, Rules: rules(), Now: now, Sleep: sleep, Failed: w.report,
		},
	}
	out.pauses = &hold.Service{
		Store: kept, Runs: out.executions, Machine: w.machines, System: systemAgents(), Now: now, Sleep: sleep, Report: w.report,
	}
	passes := *out.pauses
	passes.Machine = nil
	out.runner.Pauses = &passes
	out.sweeper = &sweep.Service{Store: kept, Machine: w.machines, Outbox: events, Pauses: out.pauses, Now: now, Sleep: sleep}
	out.sweeper.Jobs = &job.Sweeper{Store: kept, Now: now} // no story has a job
	out.sweeper.Erasures = &erase.Service{Store: kept, Runs: out.executions, Now: now}
	return out
}

// quotas returns the quotas of a plan, or the lower ones of a story.
func (w *world) quotas(p credit.Plan) quota.Limits {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := quota.Of(p)
	if root := l.RunsPerRootEvent; w.limits.RunsPerMinute > 0 {
		l = w.limits
		l.RunsPerRootEvent = root
	}
	return l
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) report(_ context.Context, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported = append(w.reported, err)
}

// name returns a unique name.
func (w *world) name(kind string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names++
	return fmt.Sprintf("%s%d", kind, w.names)
}

// note records a line for the log of a failed test.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// sweepEveryMinute is the schedule of the sweeper.
func (w *world) sweepEveryMinute() {
	for sleep(w.over, time.Minute) == nil {
		r, err := callMany(w, 58*time.Second, w.on("sweep", time.Now().Minute()).sweeper.Watch)
		if r.Started+r.Settled+r.Failed+r.Published > 0 || err != nil {
			w.note("sweep %+v %v", r, err)
		}
		w.mu.Lock()
		w.swept.Looked += r.Looked
		w.swept.Prolonged += r.Prolonged
		w.swept.Started += r.Started
		w.swept.Settled += r.Settled
		w.swept.Failed += r.Failed
		w.swept.Published += r.Published
		w.mu.Unlock()
	}
}

// repairs returns the sum of the sweeps without the runs that were merely
// checked.
func (w *world) repairs() sweep.Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.swept
	r.Looked, r.Prolonged = 0, 0
	return r
}

// ---- actions of people and products ----

// agent stores an active agent that listens for psa:ticket.escalated and has
// these steps. It returns its id.
func (w *world) agent(steps string) id.Agent {
	w.Helper()
	return w.limited(steps, "")
}

// limited is agent with additional fields of the definition.
func (w *world) limited(steps, more string) id.Agent {
	w.Helper()
	return w.define(id.Agent("agent_"+w.name("a")), `{
		"name": "An agent", "category": "service_desk",
		"trigger": {"type": "bus_event", "source_product": "psa", "event_type": "ticket.escalated", "allow_agent_triggered": true},
		"steps": `+steps+more+`}`)
}

// failureListener stores an active agent that listens for failed runs.
func (w *world) failureListener(steps string) id.Agent {
	w.Helper()
	return w.define(id.Agent("agent_"+w.name("h")), `{
		"name": "A listener", "category": "operations",
		"trigger": {"type": "bus_event", "source_product": "agents", "event_type": "execution.failed", "allow_agent_triggered": true},
		"steps": `+steps+`}`)
}

// leaveCredits leaves left credits of the month; an earlier run has used the
// rest.
func (w *world) leaveCredits(left int64) {
	w.Helper()
	a := w.agent(list(think("judge")))
	x := execution.New(execution.Execution{ID: "exec_past", Org: w.org, Agent: a, Version: 1, Trigger: w.escalated()}, time.Now())
	w.must(w.store.Create(w.over, x))
	x.Revision = 1
	h := credit.Hold{Month: credit.MonthOf(time.Now()), Tier: credit.Expert, Amount: w.balance().Remaining - left}
	x, _ = x.Leased("past", 0, time.Now())
	c, _ := x.Reserved("judge", h)
	w.must(w.store.Commit(w.over, c))
	x = c.Execution
	x.Revision++
	answer := execution.StepRecord{ID: "judge", Kind: definition.AI, Status: execution.StepCompleted, Charge: &h, Started: time.Now(), Ended: time.Now()}
	c = x.End(func(x execution.Execution) execution.Execution { return x.Complete(time.Now()) }, execution.Steps{"judge": answer}, false)
	c.Step = &answer
	w.must(w.store.Commit(w.over, c))
	found, err := w.store.Store.Agent(w.over, w.org, a)
	w.must(err)
	w.must(w.store.Store.DeleteAgent(w.over, found))
}

func (w *world) define(name id.Agent, text string) id.Agent {
	w.Helper()
	return w.activate(name, w.read(text), true)
}

// activate stores an active agent. One from before uses were kept declares none.
func (w *world) activate(name id.Agent, d definition.Definition, declares bool) id.Agent {
	w.Helper()
	var uses []tenant.Use
	if declares {
		uses = rules().Uses(d)
	}
	a := agent.Agent{Definition: d, Uses: uses, Head: agent.Head{
		ID: name, Org: w.org, Name: d.Name, Type: agent.Custom, Status: agent.Active,
		Category: d.Category, Created: time.Now(), Updated: time.Now(), Version: 1, CreatedBy: "user_author", UpdatedBy: "user_author",
	}}
	w.must(w.store.Store.SaveAgent(w.over, agent.Agent{}, a, agent.Cap{}))
	return name
}

// definitions caches parsed definitions by their text.
var definitions sync.Map

func (w *world) read(text string) definition.Definition {
	w.Helper()
	if d, ok := definitions.Load(text); ok {
		return d.(definition.Definition) //nolint:errcheck,forcetypeassert // nothing else is there.
	}
	doc, err := jsonvalue.Object([]byte(text))
	w.must(err)
	d, err := rules().Parse(doc)
	if err != nil {
		w.Fatalf("%+v in\n%s", err, text)
	}
	definitions.Store(text, d)
	return d
}

// event returns a new event of the world's organization.
func (w *world) event(name string, payload map[string]any) event.Event {
	product, kind, _ := strings.Cut(name, ":")
	return event.Event{
		ID: id.Event("evt_" + w.name("e")), Product: product, Type: kind, Org: w.org, Client: "cli_1",
		Payload: payload, Published: time.Now().Truncate(time.Second),
	}
}

// escalated returns the event for which the agents of a world listen.
func (w *world) escalated() event.Event {
	name := w.name("tkt_")
	return w.event("psa:ticket.escalated", map[string]any{"ticket_id": name, "escalated_to": "p1"})
}

// wake publishes an event for the agent and returns the run that it starts.
func (w *world) wake(a id.Agent) id.Execution {
	w.Helper()
	e := w.escalated()
	w.must(w.dispatcher.Dispatch(w.over, e))
	return execution.ID(w.org, a, e)
}

// setScore sets the security posture score of the client of all events.
func (w *world) setScore(score int64) {
	w.must(w.dispatcher.Clients.Project(w.over, w.event("defend:posture.updated", map[string]any{"security_posture_score": score})))
}

func (w *world) person(name string, role caller.Role) caller.Caller {
	return caller.Caller{Org: w.org, User: id.User(name), Roles: []caller.Role{role}}
}

// decide gives a caller's verdict on the open approval of a run.
func (w *world) decide(who caller.Caller, x id.Execution, yes bool) error {
	a, err := w.question(x)
	if err != nil {
		return err
	}
	_, err = call(w, 15*time.Second, func(ctx context.Context) (approval.Approval, error) {
		return w.on("decide", x, who.User).approvals.Decide(ctx, who, a.ID, approval.Verdict{Approve: yes, Note: "as I see it"})
	})
	w.note("%s decides %v of %s: %v", who.User, yes, x, err)
	return err
}

var errNoQuestion = errors.New("there is no open question")

// question returns the open approval of a run.
func (w *world) question(x id.Execution) (approval.Approval, error) {
	for _, a := range w.questions() {
		if a.Execution == x && a.Status == approval.Pending {
			return a, nil
		}
	}
	return approval.Approval{}, errNoQuestion
}

func (w *world) questions() []approval.Approval {
	p, err := w.store.Approvals(w.over, w.org, approval.Query{Limit: 10_000})
	w.must(err)
	return p.Approvals
}

func (w *world) cancel(x id.Execution) error {
	_, err := call(w, 15*time.Second, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, w.on("cancel", x).executions.Cancel(ctx, w.person("user_owner", caller.Owner), x)
	})
	w.note("cancel %s: %v", x, err)
	if err == nil {
		w.witness.mu.Lock()
		w.witness.ended[x] = time.Now()
		w.witness.mu.Unlock()
	}
	return err
}

// ---- observations ----

// stored returns a run as it is in the store.
func (w *world) stored(x id.Execution) (execution.Execution, execution.Steps) {
	w.Helper()
	run, steps, err := w.store.Store.Execution(w.over, w.org, x)
	w.must(err)
	return run, steps
}

func (w *world) runs() []execution.Execution {
	p, err := w.store.Store.Executions(w.over, w.org, execution.Query{Limit: 10_000})
	w.must(err)
	return p.Executions
}

// story summarizes a run in one line: "completed: a completed, b skipped".
func (w *world) story(x id.Execution) string {
	w.Helper()
	calm := *w.executions // without faults
	calm.Store, calm.Definitions = w.store.Store, agent.Definitions{System: systemAgents(), Versions: w.store.Store}
	run, trace, err := calm.Get(w.over, w.person("user_v", caller.Viewer), x)
	w.must(err)
	parts := make([]string, 0, len(trace))
	for _, s := range trace {
		part := string(s.ID) + " " + string(s.Status)
		if s.Error != nil {
			part += " (" + s.Error.Code + ")"
		}
		parts = append(parts, part)
	}
	status := string(run.Status)
	if run.Reason != "" {
		status += " (" + string(run.Reason) + ")"
	}
	return status + ": " + strings.Join(parts, ", ")
}

// expect fails the test unless the story of the run is want.
func (w *world) expect(x id.Execution, want string) {
	w.Helper()
	if got := w.story(x); got != want {
		w.Errorf("%s\n got %s\nwant %s", x, got, want)
	}
}

func (w *world) balance() credit.Balance {
	b, err := w.store.Store.Balance(w.over, w.org, credit.MonthOf(time.Now()))
	w.must(err)
	return b
}

func (w *world) stats(a id.Agent) agent.Stats {
	s, err := w.store.Store.Stats(w.over, w.org)
	w.must(err)
	return s[a]
}

// ---- processes and faults ----

// A process is one invocation of a function. Calls after its death have no
// effect.
type process struct {
	died chan struct{}
	once sync.Once
	many bool // whether it works for many organizations at once

	mu  sync.Mutex
	org id.Org // the organization of its work
}

func (p *process) die() { p.once.Do(func() { close(p.died) }) }

func (p *process) dead() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.died:
		return true
	default:
		return false
	}
}

type processKey struct{}

func processOf(ctx context.Context) *process {
	p, _ := ctx.Value(processKey{}).(*process)
	return p
}

var (
	errDied  = errors.New("the process has died")
	errFault = errors.New("injected fault")
)

// call runs f as an invocation of a function with this time limit. An
// invocation that dies or times out fails; its last effect may or may not have
// happened.
func call[T any](w *world, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	return invoke(w, &process{died: make(chan struct{})}, limit, f)
}

// callMany is call for a function that works for many organizations at once.
func callMany[T any](w *world, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	return invoke(w, &process{died: make(chan struct{}), many: true}, limit, f)
}

func invoke[T any](w *world, p *process, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(w.over, processKey{}, p), limit)
	ctx, export := w.traces.record(ctx)
	type outcome struct {
		value T
		err   error
	}
	finished := make(chan outcome, 1)
	go func() {
		defer cancel()
		growStack()
		v, err := f(ctx)
		finished <- outcome{v, err}
	}()
	var none T
	select {
	case o := <-finished:
		if p.dead() {
			return none, errDied
		}
		export()
		return o.value, o.err
	case <-p.died:
		cancel()
		return none, errDied
	case <-time.After(limit):
		p.die()
		return none, errDied
	case <-w.over.Done():
		cancel()
		return none, errDied
	}
}

// growStack makes the stack of a new goroutine as large as most invocations need it. A
// stack that doubles several times below deep calls is copied each time, a tenth of the
// time of all simulations.
//
//go:noinline
func growStack() byte {
	var frame [12 << 10]byte
	return frame[time.Now().Nanosecond()%len(frame)]
}

// A fault is a failure of one call; the zero value is none.
type fault struct {
	kind   string        // its name in the statistics
	pause  time.Duration // before the effect, unnoticed by the process
	before error         // fail without effect
	after  error         // effect, but the reply is lost
	kill   bool          // the process dies, before the effect or, with late, after it
	late   bool
}

// A site is a call at which a fault may happen: the n-th call of a port for a
// run.
type site struct {
	port string // "store.Commit", "model.Ask", "machine.Start" …
	run  id.Execution
	n    int // from 1
}

// faults plans and counts the faults.
type faults struct {
	mu   sync.Mutex
	seen map[site]int
	plan func(site) fault // nil: no faults
	done map[string]int   // by kind
	last map[id.Execution]time.Time
}

func newFaults() *faults {
	return &faults{seen: map[site]int{}, done: map[string]int{}, last: map[id.Execution]time.Time{}}
}

// struck counts a fault.
func (f *faults) struck(at site, x fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[x.name()]++
	f.last[at.run] = time.Now().Add(x.pause)
}

// since returns the time of the last fault of a run or of all runs.
func (f *faults) since(run id.Execution) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.last[run]; at.After(f.last[""]) {
		return at
	}
	return f.last[""]
}

// latest returns the time of the last fault of any run.
func (f *faults) latest() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	var last time.Time
	for _, at := range f.last {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// name returns the name of a fault.
func (x fault) name() string {
	switch {
	case x.kind != "":
		return x.kind
	case x.kill && x.late:
		return "crash after the effect"
	case x.kill:
		return "crash before the effect"
	case x.after != nil:
		return "lost reply"
	case x.before != nil:
		return "refused call"
	}
	return "pause"
}

// count returns how often a port was called.
func (f *faults) count(port string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for at, calls := range f.seen {
		if at.port == port {
			n += calls
		}
	}
	return n
}

// set replaces the plan of faults; nil for none.
func (f *faults) set(plan func(site) fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

func (f *faults) current() func(site) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.plan
}

func (f *faults) next(port string, run id.Execution) (site, fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := site{port: port, run: run}
	f.seen[at]++
	at.n = f.seen[at]
	if f.plan == nil {
		return at, fault{}
	}
	return at, f.plan(at)
}

// through makes one call of a port and applies the planned fault.
func through[T any](ctx context.Context, w *world, port string, run id.Execution, effect func() (T, error)) (T, error) {
	var none T
	if o := w.order.Load(); o != nil {
		o.hold(ctx, port)
	}
	p := processOf(ctx)
	if p.dead() {
		return none, errDied
	}
	w.reads(p, run)
	at, x := w.faults.next(port, run)
	if x != (fault{}) {
		w.note("fault at %+v: %+v", at, x)
		w.faults.struck(at, x)
	}
	if x.pause > 0 {
		time.Sleep(x.pause)
	}
	switch {
	case x.kill && !x.late && p != nil:
		p.die()
		return none, errDied
	case p.dead():
		return none, errDied
	case x.before != nil:
		return none, x.before
	}
	v, err := effect()
	switch {
	case x.kill && p != nil:
		p.die()
		return none, errDied
	case x.after != nil && err == nil:
		return none, x.after
	case p.dead():
		return none, errDied
	}
	return v, err
}

func throughErr(ctx context.Context, w *world, port string, run id.Execution, effect func() error) error {
	_, err := through(ctx, w, port, run, func() (struct{}, error) { return struct{}{}, effect() })
	return err
}

// ---- the store ----

// A store is the store in memory with faults.
type store struct {
	*memory.Store

	world     *world
	yesterday bool // used by yesterday's version
}

func (s *store) ClaimDedup(ctx context.Context, x execution.Execution, now, until time.Time) (id.Execution, error) {
	return through(ctx, s.world, "store.ClaimDedup", x.ID, func() (id.Execution, error) { return s.Store.ClaimDedup(ctx, x, now, until) })
}

func (s *store) DedupHolder(ctx context.Context, x execution.Execution, now time.Time) (id.Execution, error) {
	return through(ctx, s.world, "store.DedupHolder", x.ID, func() (id.Execution, error) { return s.Store.DedupHolder(ctx, x, now) })
}

func (s *store) ReleaseDedup(ctx context.Context, x execution.Execution) error {
	return throughErr(ctx, s.world, "store.ReleaseDedup", x.ID, func() error { return s.Store.ReleaseDedup(ctx, x) })
}

func (s *store) LimitStarts(ctx context.Context, o id.Org, a id.Agent) (dispatch.LimitStarts, error) {
	return through(ctx, s.world, "store.LimitStarts", "", func() (dispatch.LimitStarts, error) { return s.Store.LimitStarts(ctx, o, a) })
}

func (s *store) AdmitWithinLimit(
	ctx context.Context, x execution.Execution, l definition.Limit, seen dispatch.LimitStarts, now time.Time,
) (string, error) {
	return through(ctx, s.world, "store.AdmitWithinLimit", x.ID, func() (string, error) { return s.Store.AdmitWithinLimit(ctx, x, l, seen, now) })
}

func (s *store) Create(ctx context.Context, x execution.Execution) error {
	return throughErr(ctx, s.world, "store.Create", x.ID, func() error {
		err := s.Store.Create(ctx, x)
		if err == nil {
			s.world.in(x.Org).begun(x)
			s.world.stream.record(x)
		}
		return err
	})
}

type standing struct {
	run   execution.Execution
	steps execution.Steps
}

func (s *store) Execution(ctx context.Context, o id.Org, x id.Execution) (execution.Execution, execution.Steps, error) {
	got, err := through(ctx, s.world, "store.Execution", x, func() (standing, error) {
		run, steps, err := s.Store.Execution(ctx, o, x)
		return standing{run, s.known(steps)}, err
	})
	return got.run, got.steps, err
}

// ExecutionAt is Execution without the steps that its promise allows to omit.
func (s *store) ExecutionAt(ctx context.Context, c machine.Cursor) (execution.Execution, execution.Steps, error) {
	x, steps, err := s.Execution(ctx, c.Org, c.Execution)
	if c.Digest != "" && x.Revision == 1 {
		steps = execution.Steps{}
	}
	return x, steps, err
}

func (s *store) Header(ctx context.Context, o id.Org, x id.Execution) (execution.Execution, error) {
	return through(ctx, s.world, "store.Header", x, func() (execution.Execution, error) { return s.Store.Header(ctx, o, x) })
}

// FenceStep counts as SaveStep.
func (s *store) FenceStep(ctx context.Context, x execution.Execution, step id.Step) error {
	return throughErr(ctx, s.world, "store.SaveStep", x.ID, func() error { return s.Store.FenceStep(ctx, x, step) })
}

// SaveNewStep counts as SaveStep.
func (s *store) SaveNewStep(ctx context.Context, x execution.Execution, saved execution.StepRecord) error {
	return s.saves(ctx, x, saved, s.Store.SaveNewStep)
}

func (s *store) SaveStep(ctx context.Context, x execution.Execution, saved execution.StepRecord) error {
	return s.saves(ctx, x, saved, s.Store.SaveStep)
}

func (s *store) saves(
	ctx context.Context, x execution.Execution, saved execution.StepRecord,
	save func(context.Context, execution.Execution, execution.StepRecord) error,
) error {
	return throughErr(ctx, s.world, "store.SaveStep", x.ID, func() error {
		err := save(ctx, x, saved)
		s.world.note("%s: step %s %s under %d: %v", x.ID, saved.ID, saved.Status, saved.Attempt, err)
		return err
	})
}

func (s *store) Commit(ctx context.Context, c execution.Change) error {
	if s.yesterday {
		c = asYesterday(c)
	}
	return throughErr(ctx, s.world, "store.Commit", c.Execution.ID, func() error {
		s.world.ledgers.Lock()
		defer s.world.ledgers.Unlock()
		written := c
		if s.yesterday {
			written.StatsDelta = nil
		}
		err := s.Store.Commit(ctx, written)
		s.world.note("%s", describe(c, err))
		if err != nil {
			return err
		}
		contribution, adds := c.Contribution()
		if adds && s.yesterday { // it adds to the statistics in the same write
			s.world.must(s.Store.AddStats(ctx, c.Execution.Org, c.Execution.Agent, []execution.Contribution{contribution}))
		}
		s.world.in(c.Execution.Org).saw(c)
		if adds && !s.yesterday {
			s.world.stream.put(contribution)
		}
		return nil
	})
}

// known returns the steps as the version reads them: yesterday's does not know
// ShownToApprovers.
func (s *store) known(steps execution.Steps) execution.Steps {
	if s.yesterday {
		for name, one := range steps {
			one.ShownToApprovers = nil
			steps[name] = one
		}
	}
	return steps
}

// asYesterday returns a change as yesterday's version writes it: it writes whole
// approvals and steps, without the fields that it does not know.
func asYesterday(c execution.Change) execution.Change {
	if c.Gate != nil {
		gate := *c.Gate
		gate.Actions, gate.Remind = nil, time.Time{}
		gate.Then, gate.Chat, gate.OnExpiry, gate.Escalated = nil, approval.Chat{}, "", false
		c.Gate = &gate
	}
	if c.Step != nil {
		one := *c.Step
		one.ShownToApprovers = nil
		c.Step = &one
	}
	return c
}

// describe formats a change as one line.
func describe(c execution.Change, err error) string {
	x := c.Execution
	line := fmt.Sprintf("%s: revision %d, %s %s, lease %d of %q until %s, due %s, holds %v", x.ID, x.Revision+1, x.Status, x.Reason,
		x.Lease.Attempt, x.Lease.Owner, x.Lease.Until.Format("15:04:05"), x.Due.Format("02 15:04:05"), slices.Sorted(maps.Keys(x.Holds)))
	if c.Step != nil {
		line += fmt.Sprintf(", step %s %s", c.Step.ID, c.Step.Status)
	}
	if c.Gate != nil {
		line += fmt.Sprintf(", gate %s %s", c.Gate.Step, c.Gate.Status)
	}
	return fmt.Sprintf("%s: %v", line, err)
}

func (s *store) Approval(ctx context.Context, o id.Org, a id.Approval) (approval.Approval, error) {
	got, err := through(ctx, s.world, "store.Approval", "", func() (approval.Approval, error) { return s.Store.Approval(ctx, o, a) })
	if s.yesterday {
		got.Actions, got.Remind = nil, time.Time{}
		got.Then, got.Chat, got.OnExpiry, got.Escalated = nil, approval.Chat{}, "", false
	}
	return got, err
}

// CreateRetry counts as Create: only the audit log differs.
func (s *store) CreateRetry(ctx context.Context, x execution.Execution, acts ...audit.Entry) error {
	return throughErr(ctx, s.world, "store.Create", x.ID, func() error {
		err := s.Store.CreateRetry(ctx, x, acts...)
		if err == nil {
			s.world.in(x.Org).begun(x)
			s.world.stream.record(x)
		}
		return err
	})
}

func (s *store) SaveDecision(ctx context.Context, a approval.Approval, due time.Time, acts ...audit.Entry) error {
	return throughErr(ctx, s.world, "store.SaveDecision", a.Execution, func() error {
		return s.Store.SaveDecision(ctx, a, due, acts...)
	})
}

func (s *store) Overdue(ctx context.Context, now time.Time, limit int) ([]machine.Cursor, error) {
	return through(ctx, s.world, "store.Overdue", "", func() ([]machine.Cursor, error) { return s.Store.Overdue(ctx, now, limit) })
}

func (s *store) Revoked(ctx context.Context, session tenant.Session) (bool, error) {
	return through(ctx, s.world, "store.Revoked", "", func() (bool, error) { return s.Store.Revoked(ctx, session) })
}

func (s *store) VersionRecord(ctx context.Context, o id.Org, a id.Agent, version int) (agent.Version, error) {
	return through(ctx, s.world, "store.VersionRecord", "", func() (agent.Version, error) { return s.Store.VersionRecord(ctx, o, a, version) })
}

func (s *store) Version(ctx context.Context, o id.Org, a id.Agent, version int) (definition.Definition, error) {
	return through(ctx, s.world, "store.Version", "", func() (definition.Definition, error) { return s.Store.Version(ctx, o, a, version) })
}

func (s *store) SaveFact(ctx context.Context, o id.Org, c id.Client, f client.Fact) error {
	return throughErr(ctx, s.world, "store.SaveFact", "", func() error { return s.Store.SaveFact(ctx, o, c, f) })
}

func (s *store) Facts(ctx context.Context, o id.Org, c id.Client) ([]client.Fact, error) {
	return through(ctx, s.world, "store.Facts", "", func() ([]client.Fact, error) { return s.Store.Facts(ctx, o, c) })
}

// ---- the machines ----

// machines are the two state machines that package machine describes.
type machines struct {
	world *world

	mu    sync.Mutex
	doors map[string]chan struct{} // by task token
	names map[string]bool          // under which Waits was started
	begun int                      // number of starts of Runs
}

// The timeouts of the machines, as infra declares them.
const (
	runnerLimit  = 120 * time.Second
	expressLimit = 300 * time.Second
	retries      = 5
	latency      = 20 * time.Millisecond // of every call in the cloud
)

// Start implements dispatch.Machine and execution.Machine.
func (m *machines) Start(ctx context.Context, c machine.Cursor) error {
	return throughErr(ctx, m.world, "machine.Start", c.Execution, func() error { m.express(c); return nil })
}

// Restart implements sweep.Machine.
func (m *machines) Restart(ctx context.Context, c machine.Cursor, _ time.Time) error {
	return throughErr(ctx, m.world, "machine.Restart", c.Execution, func() error {
		m.world.repaired(c.Execution)
		m.express(c)
		return nil
	})
}

// express starts an execution of Runs, sometimes two: the start was repeated, or, for a
// start that is not, the cloud runs one execution twice.
func (m *machines) express(c machine.Cursor) {
	m.mu.Lock()
	m.begun++
	m.mu.Unlock()
	owner := m.world.name("runs")
	go m.runs(c, owner)
	if at, x := m.world.faults.next("machine.twice", c.Execution); x.after != nil {
		m.world.faults.struck(at, x)
		if c.First == "" {
			owner = m.world.name("runs")
		}
		go m.runs(c, owner)
	}
}

// lost reports whether a machine ends here without calling the runner, as when
// it is stopped or its events are lost.
func (m *machines) lost(state string, c machine.Cursor) bool {
	at, x := m.world.faults.next("machine.lost"+state, c.Execution)
	if x.before != nil {
		m.world.faults.struck(at, x)
	}
	return x.before != nil
}

func (m *machines) runs(c machine.Cursor, owner string) {
	begun := time.Now()
	if sleep(m.world.over, latency) != nil || m.lost("Runs", c) {
		return
	}
	next, err := m.run(c, owner)
	switch {
	case err != nil:
		m.world.note("%s: Runs %s failed: %v", c.Execution, owner, err)
	case time.Since(begun) > expressLimit:
		m.world.note("%s: Runs %s took too long", c.Execution, owner)
	case next.Next != machine.NextDone:
		m.handOver(next)
	}
}

// run calls the runner and retries after a failure.
func (m *machines) run(c machine.Cursor, owner string) (machine.Next, error) {
	return m.call(machine.Call{Op: machine.OpRun, Cursor: c, Owner: owner}, retries)
}

func (m *machines) call(msg machine.Call, again int) (machine.Next, error) {
	for n := 0; ; n++ {
		if err := sleep(m.world.over, latency); err != nil {
			return machine.Next{}, err
		}
		next, err := call(m.world, runnerLimit, func(ctx context.Context) (machine.Next, error) {
			return through(ctx, m.world, "machine.Invoke", msg.Cursor.Execution, func() (machine.Next, error) {
				msg.Retries = n
				return m.world.on(msg.Owner, n).runner.Handle(ctx, msg)
			})
		})
		m.world.note("%s: %s by %s: %s %v", msg.Cursor.Execution, msg.Op, msg.Owner, next.Next, err)
		if err == nil || n >= again {
			return next, err
		}
		pause := min(time.Second<<n, 10*time.Second)
		if err := sleep(m.world.over, jitter(pause, msg.Owner, n)); err != nil {
			return machine.Next{}, err
		}
	}
}

// jitter returns a deterministic part of d.
func jitter(d time.Duration, parts ...any) time.Duration {
	return time.Duration(float64(d) * chance(parts...))
}

// chance returns a number in [0, 1) that depends on the parts only.
func chance(parts ...any) float64 {
	h := fnv.New64a()
	fmt.Fprintln(h, parts...) //nolint:errcheck // a hash never fails.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// handOver starts Waits, once for each name.
func (m *machines) handOver(next machine.Next) {
	for n := range retries + 1 {
		err := throughErr(m.world.over, m.world, "machine.HandOver", next.Cursor.Execution, func() error {
			m.mu.Lock()
			defer m.mu.Unlock()
			if !m.names[next.Name] {
				m.names[next.Name] = true
				go m.waits(next)
			}
			return nil
		})
		if err == nil || sleep(m.world.over, jitter(time.Second<<n, next.Name, n)) != nil {
			return
		}
	}
}

func (m *machines) waits(next machine.Next) {
	c, owner := next.Cursor, "waits:"+next.Name
	var err error
	for {
		switch next.Next {
		case machine.NextRun:
		case machine.NextGate:
			m.ask(next, owner)
		case machine.NextWait:
			err = sleep(m.world.over, time.Duration(next.Seconds)*time.Second)
		case machine.NextDone:
			return
		}
		if err != nil || m.lost("Waits", c) {
			return
		}
		if next, err = m.run(c, owner); err != nil {
			m.world.note("%s: Waits %s failed: %v", c.Execution, owner, err)
			return
		}
	}
}

// ask is the state that requests an approval and waits for the doorbell. The
// machine continues however it ends.
func (m *machines) ask(next machine.Next, owner string) {
	token, door := m.world.name("token"), make(chan struct{}, 1)
	m.mu.Lock()
	m.doors[token] = door
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.doors, token)
	}()
	timeout := time.After(time.Duration(next.Seconds) * time.Second)
	if _, err := m.call(machine.Call{Op: machine.OpGate, Cursor: next.Cursor, Owner: owner, Token: token}, 0); err != nil {
		return
	}
	select {
	case <-door:
	case <-timeout:
	case <-m.world.over.Done():
	}
}

// Ring implements approval.Doorbell. An unknown token is no error.
func (m *machines) Ring(ctx context.Context, token string) error {
	return throughErr(ctx, m.world, "machine.Ring", "", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if door := m.doors[token]; door != nil {
			select {
			case door <- struct{}{}:
			default:
			}
		}
		return nil
	})
}

// ---- the outside ----

// said is an answer of the model.
type said struct {
	text  string
	err   error
	takes time.Duration
}

// models stand in for a model.
type models struct {
	world *world
	reply func(q step.Question, n int) said // n counts the questions of a step from 1

	mu    sync.Mutex
	asked []step.Question
}

// Ask implements step.Model.
func (m *models) Ask(ctx context.Context, q step.Question) (step.Answer, error) {
	return through(ctx, m.world, "model.Ask", q.Execution, func() (step.Answer, error) {
		m.mu.Lock()
		m.asked = append(m.asked, q)
		n := 0
		for _, other := range m.asked {
			if other.Execution == q.Execution && other.Step == q.Step {
				n++
			}
		}
		a := m.reply(q, n)
		m.mu.Unlock()
		if err := sleep(ctx, a.takes+latency); err != nil {
			return step.Answer{}, err
		}
		return step.Answer{Text: a.text, Usage: execution.Usage{Model: string(q.Tier), InputTokens: 10, OutputTokens: 5}}, a.err
	})
}

// questions returns the questions asked so far.
func (m *models) questions() []step.Question {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

// fitting returns an answer that satisfies a simple schema.
func fitting(schema map[string]any) string {
	if schema == nil {
		return spoken
	}
	b, err := json.Marshal(fit(schema))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func fit(schema map[string]any) any {
	if enum, ok := schema["enum"].([]any); ok {
		return enum[0]
	}
	switch schema["type"] {
	case "object":
		out := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for name, sub := range properties {
			if sub, ok := sub.(map[string]any); ok {
				out[name] = fit(sub)
			}
		}
		return out
	case "integer", "number":
		return 7
	case "boolean":
		return true
	}
	return spoken
}

// done is the behaviour of a product.
type done struct {
	refuse error // fail without effect
	lose   error // effect, but the reply is lost
	takes  time.Duration
}

// An effect is an action that a product performed.
type effect struct {
	command step.Command
	at      time.Time
}

// products stands in for all products. It honours idempotency keys.
type products struct {
	world *world
	reply func(c step.Command, n int) done // n counts the calls with the key from 1
	made  func(c step.Command)             // called once for each object that an action made; nil: not

	mu      sync.Mutex
	calls   []step.Command
	effects map[string]effect // by idempotency key
}

// Act implements step.Products.
func (p *products) Act(ctx context.Context, c step.Command) (map[string]any, error) {
	return through(ctx, p.world, "product.Act", c.Execution, func() (map[string]any, error) {
		d := p.called(c)
		if err := sleep(ctx, d.takes+latency); err != nil {
			return nil, errors.Join(step.ErrAgain, err)
		}
		if d.refuse != nil {
			return nil, d.refuse
		}
		field, isMade := makes(c)
		p.mu.Lock()
		before, again := p.effects[c.Key]
		if isMade && !again && p.made != nil {
			defer p.made(c)
		}
		defer p.mu.Unlock()
		switch {
		case !again:
			p.effects[c.Key] = effect{command: c, at: time.Now()}
			p.world.note("%s: %s.%s is done", c.Key, c.Product, c.Action)
		case !reflect.DeepEqual(before.command, c):
			p.world.Errorf("the key %s was used for two commands:\n%+v\n%+v", c.Key, before.command, c)
		}
		reply := map[string]any{"ok": true, "key": c.Key, "ref": "ref of " + c.Key}
		if isMade {
			reply[field] = objectOf(c.Key)
		}
		if speaks(c.Params) {
			reply["ref"] = "ref of " + spoken
		}
		return reply, d.lose
	})
}

// makes returns the field of the reply that names the object which a command makes.
func makes(c step.Command) (field string, ok bool) {
	action, _ := rules().Catalog.Action(c.Product, c.Action)
	if action.Makes == nil {
		return "", false
	}
	return action.Makes.ID, true
}

// objectOf returns the object that the command with a key makes.
func objectOf(key string) string { return "made by " + key }

func (p *products) called(c step.Command) done {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, c)
	n := 0
	for _, other := range p.calls {
		if other.Key == c.Key {
			n++
		}
	}
	if n == 1 {
		p.world.actsIn(c.Org, c.Execution, c.Key)
	}
	return p.reply(c, n)
}

// keys returns the idempotency keys of all calls so far, without the run.
func (p *products) keys() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := make([]string, 0, len(p.calls))
	for _, c := range p.calls {
		_, key, _ := strings.Cut(c.Key, ":")
		keys = append(keys, key)
	}
	return keys
}

// did returns the effect of a step.
func (p *products) did(x id.Execution, s id.Step) (effect, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.effects[string(x)+":"+string(s)]
	return e, ok
}

// senders stands in for all channels.
type senders struct {
	world *world
	reply func(m step.Message) error

	mu   sync.Mutex
	list []step.Message
	sent map[string]int // deliveries by idempotency key
}

// Send implements step.Sender.
func (s *senders) Send(ctx context.Context, m step.Message) error {
	port := "sender.Send"
	if isOutcome(m) {
		port = "sender.Outcome"
	}
	return throughErr(ctx, s.world, port, m.Execution, func() error {
		if err := sleep(ctx, latency); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.list = append(s.list, m)
		if s.reply != nil {
			if err := s.reply(m); err != nil {
				return err
			}
		}
		s.sent[m.Key]++
		s.world.messaged(m)
		return nil
	})
}

// isOutcome reports whether a message is the outcome of a gate.
func isOutcome(m step.Message) bool {
	approval, rest, _ := strings.Cut(m.Key, ":")
	occasion, _, _ := strings.Cut(rest, ":")
	return strings.HasPrefix(approval, "appr_") && slices.Contains([]string{"decided", "expired", "withdrawn"}, occasion)
}

func (s *senders) messages() []step.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}
