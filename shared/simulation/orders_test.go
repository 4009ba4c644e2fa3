package simulation_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/step"
)

var (
	depth       = flag.Int("depth", 0, "number of calls of each actor to interleave; 0: 3, or 1 with the race detector")
	oneSchedule = flag.String("schedule", "", `the one schedule to run, such as "gate: approve cancel expire: ABACBC"`)
)

// Systematic search over the interleavings of three actors: in every order of
// their calls, the invariants hold, and no actor got an answer that contradicts
// the record.
//
// An actor is a process that performs one operation through the services. Its
// events are its calls of ports and, where the operation needs it, the passing
// of time. The search holds each actor before its next event and releases one
// actor at a time, so an interleaving is a word over A, B and C, a schedule.
// Machines and the sweeper of the world are paused meanwhile and run
// afterwards, as late as they may.
//
// For every situation and every three of its roles, the search runs all
// schedules of the first -depth calls of each actor, including the passing of
// time before them. After these, A runs to its end, then B, then C.
// Partial-order reduction with sleep sets skips a schedule that differs from an
// explored one only in the order of independent calls, which access no common
// record: it has the same outcome. Calls that access no mutable record
// (definitions, profiles, rings, starts of paused machines) are not events. The
// order after the first calls is fixed, and each write of the store is atomic;
// package storetest checks that.
//
//	go test -run TestEveryOrder -v                  count the schedules
//	go test -run TestEveryOrder -depth 6            explore more of them
//	go test -run TestEveryOrder -schedule "gate: approve cancel expire: ABACBC"
func TestEveryOrderOfThreeActorsKeepsTheInvariants(t *testing.T) {
	t.Parallel()

	if *oneSchedule != "" {
		replay(t, *oneSchedule)
		return
	}
	for _, s := range situations() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			trios, schedules, cut := 0, 0, 0
			for _, roles := range s.trios() {
				explored := search{prune: true}
				explored.explore(t, s, roles, deep())
				trios, schedules, cut = trios+1, schedules+explored.schedules, cut+explored.cut
				if t.Failed() {
					return
				}
			}
			t.Logf("%d schedules of %d trios; %d more were abandoned as equivalent", schedules, trios, cut)
		})
	}
}

// deep returns the depth of the search. The race detector makes schedules many
// times slower and searches for other faults.
func deep() int {
	if *depth > 0 {
		return *depth
	}
	if findsRaces() {
		return 1
	}
	return 3
}

// findsRaces reports whether the race detector is on.
func findsRaces() bool {
	built, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(built.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// withoutRaceDetector skips a test that searches for violations of rules or measures
// work when the race detector is on. It would run ten times longer, in the same
// goroutines as TestEveryRunEndsUnderRandomFaults. make simulate runs it.
func withoutRaceDetector(t *testing.T) {
	t.Helper()
	if findsRaces() {
		t.Skip("the race detector is on")
	}
}

// Partial-order reduction reaches the same outcomes as the full search.
func TestPartialOrderReductionLosesNoOutcome(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gate: approve cancel expire", "step: worker cancel other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, roles, _ := parsed(t, name)
			all, some := search{}, search{prune: true}
			all.explore(t, s, roles, 2)
			some.explore(t, s, roles, 2)
			if got, want := some.endings(), all.endings(); !slices.Equal(got, want) {
				t.Errorf("%d schedules end in\n%s\n%d schedules end in\n%s", some.schedules, strings.Join(got, "\n"), all.schedules, strings.Join(want, "\n"))
			}
			t.Logf("%d schedules instead of %d, %d endings", some.schedules, all.schedules, len(all.endings()))
		})
	}
}

// parsed returns the situation and the roles named by a schedule, and its
// choices.
func parsed(t *testing.T, schedule string) (situation, [3]string, string) {
	t.Helper()
	name, rest, _ := strings.Cut(schedule, ":")
	names, choices, _ := strings.Cut(rest, ":")
	list := strings.Fields(names)
	i := slices.IndexFunc(situations(), func(s situation) bool { return s.name == name })
	if i < 0 || len(list) != 3 {
		t.Fatalf("%q names no situation with three actors", schedule)
	}
	return situations()[i], [3]string(list), strings.TrimSpace(choices)
}

// replay runs one schedule.
func replay(t *testing.T, schedule string) {
	t.Helper()
	s, roles, choices := parsed(t, schedule)
	inWorld(t, func(w *world) {
		p := s.open(w, roles)
		p.play(func([3]string) int {
			if choices == "" {
				return finishInOrder
			}
			next := int(choices[0] - 'A')
			choices = choices[1:]
			return next
		})
		p.checkAll()
		w.note("%s", p.ending())
		w.repeat()
		t.Log(strings.Join(w.history, "\n"))
	})
}

// ---- the search ----

// A search explores all schedules of three roles, depth first. It starts each
// schedule from a new world, because a world cannot be copied.
type search struct {
	prune bool // skip schedules that are equivalent to explored ones

	path      []choicePoint
	schedules int
	cut       int
	ends      map[string]bool
}

// A choicePoint is a point of a schedule at which an actor is chosen.
type choicePoint struct {
	calls    [3]string // next call of each actor; "" if it cannot be chosen
	sleeping [3]bool   // the sleep set: choices explored elsewhere with the same outcome
	chosen   int
}

// choose selects the next actor that can be chosen and is not sleeping, or -1.
func (b *choicePoint) choose() int {
	b.chosen = -1
	for i, call := range b.calls {
		if call != "" && !b.sleeping[i] {
			b.chosen = i
			break
		}
	}
	return b.chosen
}

// sleepSet returns the sleep set after the chosen call: the sleeping actors
// whose calls are independent of it.
func (b *choicePoint) sleepSet() (sleeping [3]bool) {
	for i := range sleeping {
		sleeping[i] = i != b.chosen && b.sleeping[i] && !dependent(b.calls[i], b.calls[b.chosen])
	}
	return sleeping
}

func (r *search) explore(t *testing.T, s situation, roles [3]string, depth int) {
	t.Helper()
	r.ends = map[string]bool{}
	for more := true; more && !t.Failed(); more = r.backtrack() {
		inWorld(t, func(w *world) { r.runOne(t, s.open(w, roles), depth) })
	}
}

// runOne runs the next schedule.
func (r *search) runOne(t *testing.T, p *play, depth int) {
	t.Helper()
	at := 0
	whole := p.play(func(calls [3]string) int {
		left := false
		for i := range calls {
			if p.actors[i].made >= depth {
				calls[i] = ""
			}
			left = left || calls[i] != ""
		}
		if !left {
			return finishInOrder
		}
		if at == len(r.path) {
			next := choicePoint{calls: calls}
			if at > 0 && r.prune {
				next.sleeping = r.path[at-1].sleepSet()
			}
			if next.choose() < 0 {
				return abandon
			}
			r.path = append(r.path, next)
		}
		at++
		return r.path[at-1].chosen
	})
	if !whole {
		r.cut++
		return
	}
	r.schedules++
	p.checkAll()
	if ending := p.ending(); !r.ends[ending] {
		r.ends[ending] = true
		p.repeat()
	}
	if t.Failed() || p.Failed() {
		p.Logf("again: go test ./shared/simulation -run TestEveryOrder -schedule %q", p.schedule())
	}
}

// backtrack returns to the last choicePoint with another choice, and reports
// whether there is one.
func (r *search) backtrack() bool {
	for len(r.path) > 0 {
		last := &r.path[len(r.path)-1]
		last.sleeping[last.chosen] = true
		if last.choose() >= 0 {
			return true
		}
		r.path = r.path[:len(r.path)-1]
	}
	return false
}

func (r *search) endings() []string {
	list := make([]string, 0, len(r.ends))
	for e := range r.ends {
		list = append(list, e)
	}
	slices.Sort(list)
	return list
}

// ---- dependent calls ----

// records is a set of records.
type records uint

const (
	theRun records = 1 << iota
	theDue         // the due time of the run
	theSteps
	theQuestion
	theAgent
	theOutside // the order of effects on products, models and people
	everything = theRun | theDue | theSteps | theQuestion | theAgent | theOutside
)

// The events without a call: time passes until a clock says so, or for the moment after
// which no step begins that does not know of a change.
const (
	passing  = "time"
	settling = "settle"
)

// accesses returns the records that a call reads and writes; none for a call
// that is not an event.
func accesses(call string) (reads, writes records) {
	switch call {
	case passing, settling:
		return 0, everything
	case "store.Execution":
		return theRun | theDue | theSteps, 0
	case "store.Header", "store.Executions":
		return theRun, 0
	case "store.Overdue":
		return theDue, 0
	case "store.Approval", "store.Approvals":
		return theQuestion, 0
	case "store.Agent":
		return theAgent, 0
	case "store.DeleteAgent":
		return 0, theAgent
	case "store.Commit":
		return 0, theRun | theDue | theSteps | theQuestion
	case "store.SaveDecision":
		return theRun, theDue | theQuestion
	case "store.SaveStep":
		return 0, theSteps
	case "product.Act", "model.Ask", "sender.Send", "sender.Outcome":
		return 0, theOutside
	case "store.Version", "store.VersionRecord", "store.Revoked", "store.Facts", "machine.Ring", "machine.Restart":
		return 0, 0
	case "store.SaveMaker": // no actor of a play dispatches events
		return 0, 0
	case "store.AdmitMessages", "store.Plan", "store.AdmitRuns", "store.SaveOpen", "store.OpenRuns", "store.Tree", "store.SaveTree": // no organization of a play is near its quotas
		return 0, 0
	case "store.AddStats", "stream.Tally": // no actor reads statistics
		return 0, 0
	case "stream.Watchdog": // its reads and writes have sites of their own
		return 0, 0
	case "store.Searching", "store.Erasing": // no organization of a play was paused or deleted
		return 0, 0
	case "store.Unpublished", "store.Published", "bus.Put": // an event is due long after the change that stored it
		return 0, 0
	}
	return 0, everything
}

// dependent reports whether the order of two calls can matter.
func dependent(a, b string) bool {
	readsA, writesA := accesses(a)
	readsB, writesB := accesses(b)
	return writesA&(readsB|writesB) != 0 || readsA&writesB != 0
}

// ---- one schedule ----

// An order holds every call until it is chosen.
type order struct {
	world *world

	mu     sync.Mutex
	still  []chan struct{} // held calls of processes that are no actors
	steps  int             // made so far
	opened bool
}

// An actor is a process that performs one operation.
type actor struct {
	name     string
	pending  []pendingCall // its held calls; guarded by the order
	ended    chan struct{}
	made     int // calls since the schedule began
	answer   error
	answered int                   // number of choices before its answer; 0: none
	said     approval.Approval     // the answer to a verdict
	left     []execution.Execution // runs still open after the agent was deleted
}

// A pendingCall is a held call.
type pendingCall struct {
	call  string
	until time.Time // for passing
	since int       // number of choices made before it
	turn  chan struct{}
}

type actorKey struct{}

// actorOf returns the actor that makes a call, or nil.
func actorOf(ctx context.Context) *actor {
	a, _ := ctx.Value(actorKey{}).(*actor)
	return a
}

// hold blocks a call until it is chosen. Calls of processes that are no actors
// are blocked until the schedule is over.
func (o *order) hold(ctx context.Context, call string) { o.holdUntil(ctx, call, time.Time{}) }

func (o *order) holdUntil(ctx context.Context, call string, until time.Time) {
	a := actorOf(ctx)
	acts := a != nil
	reads, writes := accesses(call)
	o.mu.Lock()
	if o.opened || acts && reads|writes == 0 {
		o.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	if acts {
		a.pending = append(a.pending, pendingCall{call, until, o.steps, turn})
	} else {
		o.still = append(o.still, turn)
	}
	o.mu.Unlock()
	select {
	case <-turn:
	case <-o.world.over.Done():
	}
}

// open releases the blocked processes, one after another.
func (o *order) open() {
	o.mu.Lock()
	o.opened = true
	list := o.still
	o.mu.Unlock()
	for _, turn := range list {
		close(turn)
		o.world.pass(3 * time.Millisecond) // separates processes that were blocked at the same time
	}
}

// settles waits like a service. Other actors may act meanwhile.
func (o *order) settles(ctx context.Context, d time.Duration) error {
	until := time.Now().Add(d)
	if actorOf(ctx) != nil {
		o.holdUntil(ctx, settling, until)
	}
	return sleep(ctx, time.Until(until))
}

// enter starts an actor and waits for its first call.
func (o *order) enter(name string, do func(context.Context) error) *actor {
	a := &actor{name: name, ended: make(chan struct{})}
	ctx := context.WithValue(o.world.over, processKey{}, &process{died: make(chan struct{})})
	ctx = context.WithValue(ctx, actorKey{}, a)
	go func() {
		defer close(a.ended)
		a.answer = do(ctx)
		o.world.note("%s is answered: %v", name, a.answer)
	}()
	o.comes(a)
	return a
}

// comes waits until an actor is held or ends. Two simultaneous calls, of a step
// and of the renewal of its lease, are ordered by name.
func (o *order) comes(a *actor) {
	for range 1000 {
		synctest.Wait()
		o.mu.Lock()
		slices.SortStableFunc(a.pending, func(a, b pendingCall) int {
			return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.call, b.call))
		})
		o.mu.Unlock()
		if o.next(a) != "" || a.over() {
			return
		}
		time.Sleep(latency) // an external call takes time
	}
	o.world.Fatalf("%s neither calls nor ends", a.name)
}

func (a *actor) over() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// next returns the held call of an actor, or "".
func (o *order) next(a *actor) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(a.pending) == 0 {
		return ""
	}
	return a.pending[0].call
}

// step releases the next call of an actor, and waits for the one after it.
func (o *order) step(a *actor) pendingCall {
	o.mu.Lock()
	first := a.pending[0]
	a.pending = a.pending[1:]
	o.steps++
	o.mu.Unlock()
	o.world.note("%s: %s", a.name, first.call)
	if d := time.Until(first.until); !first.until.IsZero() && d > 0 {
		time.Sleep(d)
	}
	close(first.turn)
	o.comes(a)
	return first
}

// A play is the run of one schedule.
type play struct {
	*world
	*order

	situation situation
	roles     [3]string
	actors    [3]*actor
	entered   map[string]*actor // actors that began before the schedule
	choices   []choice
	chosen    int // number of explicit choices; the rest is in fixed order

	agent    id.Agent
	run      id.Execution
	asked    approval.Approval // the approval at the start
	leaseEnd time.Time         // expiry of the lease on the run
	due      time.Time         // due time of the run
	passed   time.Time         // end of the schedule
	ended    int               // number of choices before the run ended; 0: not ended
}

// A choice is one released call.
type choice struct {
	actor int
	call  string
	since int // number of choices made before the call was held
}

// Results of a choose function besides an actor.
const (
	finishInOrder = -1 // run the rest in fixed order
	abandon       = -2 // skip the schedule
)

// play releases the calls in the chosen order, and reports whether the schedule
// was completed.
func (p *play) play(choose func(calls [3]string) int) bool {
	for {
		var calls [3]string
		for i, a := range p.actors {
			calls[i] = p.next(a)
		}
		next := choose(calls)
		if next == abandon {
			return false
		}
		if next == finishInOrder {
			break
		}
		if calls[next] == "" {
			p.chosen = len(p.choices)
			p.Fatalf("%c is at its end after %s", 'A'+next, p.schedule())
		}
		p.let(next)
	}
	p.chosen = len(p.choices)
	for i := range p.actors {
		for p.next(p.actors[i]) != "" {
			p.let(i)
		}
	}
	p.passed = time.Now()
	p.open()
	return true
}

func (p *play) let(i int) {
	made := p.step(p.actors[i])
	if made.call != passing && made.call != settling {
		p.actors[i].made++
	}
	p.choices = append(p.choices, choice{i, made.call, made.since - p.steps + len(p.choices) + 1})
	if a := p.actors[i]; a.answered == 0 && a.over() {
		a.answered = len(p.choices)
	}
	x, err := p.store.Store.Header(p.over, p.org, p.run)
	p.must(err)
	if p.ended == 0 && x.Status.Ended() {
		p.ended = len(p.choices)
	}
}

// schedule returns the schedule in the syntax of -schedule.
func (p *play) schedule() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", p.situation.name, strings.Join(p.roles[:], " "))
	for _, l := range p.choices[:p.chosen] {
		b.WriteByte(byte('A' + l.actor))
	}
	return b.String()
}

// ---- situations ----

// A situation is the state of a run in which three actors act on it.
type situation struct {
	name  string
	steps string
	until func(p *play) // brings the run into the situation
	roles []string
}

// trios returns every combination of three roles.
func (s situation) trios() [][3]string {
	var out [][3]string
	for i := range s.roles {
		for j := i + 1; j < len(s.roles); j++ {
			for _, third := range s.roles[j+1:] {
				out = append(out, [3]string{s.roles[i], s.roles[j], third})
			}
		}
	}
	return out
}

func situations() []situation {
	minute := `"timeout_seconds": 60`
	sms := `"notify": [{"channel": "sms", "recipients": ["+15550000001"]}]`
	return []situation{
		{
			"gate", list(ask("gate", minute), act("b")), (*play).untilExpiry,
			[]string{"approve", "deny", "cancel", "expire", "delete", "sweep"},
		},
		{
			"quorum", list(ask("gate", minute, `"min_approvals": 2`), act("b")), (*play).untilExpiry,
			[]string{"approve", "second", "deny", "cancel", "expire", "delete"},
		},
		{
			"silence", list(ask("gate", minute, `"on_expiry": "approve"`), act("b")), (*play).untilExpiry,
			[]string{"approve", "deny", "cancel", "expire"},
		},
		{
			"escalation", list(ask("gate", minute, `"on_expiry": "escalate", "escalate_to": {"users": ["user_boss"], "timeout_seconds": 60}`), act("b")),
			(*play).untilExpiry,
			[]string{"approve", "boss", "cancel", "expire", "sweep"},
		},
		{
			"reminder", list(ask("gate", minute, sms), act("b")), (*play).untilReminder,
			[]string{"approve", "deny", "cancel", "remind", "wake"},
		},
		{
			"lost machine", list(ask("gate", minute, sms), act("b")), func(p *play) {
				p.faults.set(loses)
				p.untilReminder()
			},
			[]string{"approve", "deny", "cancel", "remind", "ask"},
		},
		{
			"question", list(ask("gate", minute, sms), act("b")), (*play).untilQuestion,
			[]string{"ask", "again", "find", "cancel", "delete"},
		},
		{
			"step", list(act("a"), act("b")), func(p *play) { p.works("product.Act") },
			[]string{"worker", "cancel", "delete", "other", "sweep"},
		},
		{
			"between", list(act("a"), act("b")), func(p *play) {
				p.products.reply = func(step.Command, int) done { return done{takes: execution.LookTime} }
				p.works("store.Header")
			},
			[]string{"worker", "cancel", "delete", "remove", "other", "twin"},
		},
		{
			"message", list(tell("n"), act("b")), func(p *play) { p.works("store.SaveStep") },
			[]string{"worker", "cancel", "crashed"},
		},
		{
			"no look", list(act("a"), act("b"), act("c")), func(p *play) { p.works("store.SaveStep") },
			[]string{"worker", "cancel", "other", "crashed"},
		},
		{
			"no look, then a message", list(act("a"), tell("n")), func(p *play) { p.works("store.SaveStep") },
			[]string{"worker", "cancel", "crashed"},
		},
		{
			"no look, and the second call fails", list(act("a"), act("b"), act("c")), func(p *play) {
				p.products.reply = func(_ step.Command, n int) done {
					if n == 2 {
						return done{refuse: errFault}
					}
					return done{}
				}
				p.works("store.SaveStep")
			},
			[]string{"crashed", "worker", "cancel"},
		},
		{
			"model", list(think("judge"), act("b")), func(p *play) { p.works("model.Ask") },
			[]string{"worker", "cancel", "other", "twin", "sweep"},
		},
		{
			"new", list(act("a"), act("b")), (*play).untilStarted,
			[]string{"first", "double", "repeated", "cancel", "late"},
		},
		{
			"new, never started", list(act("a"), act("b")), (*play).untilStarted,
			[]string{"repeated", "cancel", "sweep"},
		},
		{
			"new, one action", list(act("a")), (*play).untilStarted,
			[]string{"first", "double", "repeated", "cancel"},
		},
		{
			"new, the second call fails", list(act("a"), act("b"), act("c")), func(p *play) {
				p.products.reply = func(_ step.Command, n int) done {
					if n == 2 {
						return done{refuse: errFault}
					}
					return done{}
				}
				p.untilStarted()
			},
			[]string{"first", "double", "cancel", "late"},
		},
		{
			"new, a message", list(tell("n"), act("b")), (*play).untilStarted,
			[]string{"first", "double", "repeated", "cancel"},
		},
		{
			"new, a message second", list(act("a"), tell("n")), (*play).untilStarted,
			[]string{"first", "double", "cancel", "late"},
		},
		{
			"new, an answer", list(think("judge"), act("b")), (*play).untilStarted,
			[]string{"first", "double", "cancel", "late"},
		},
		{
			"wait", list(`{"id": "w", "type": "wait", "duration_seconds": 60}`, act("b")), (*play).untilWaiting,
			[]string{"expire", "wake", "cancel", "delete"},
		},
	}
}

// open brings a world into the situation, and each actor to its first call.
func (s situation) open(w *world, roles [3]string) *play {
	p := &play{
		world: w, order: &order{world: w}, situation: s, roles: roles,
		entered: map[string]*actor{},
	}
	w.agents.Store, w.executions.Store = held{w.store}, held{w.store}
	w.executions.Sleep, w.runner.Sleep = p.settles, p.settles
	p.agent = w.agent(s.steps)
	s.until(p)
	w.order.Store(p.order)
	x, _ := w.stored(p.run)
	p.asked, _ = w.question(p.run)
	p.leaseEnd, p.due = x.Lease.Until.Add(time.Second), x.Due.Add(time.Second)
	for i, name := range roles {
		if p.actors[i] = p.entered[name]; p.actors[i] == nil {
			p.actors[i] = p.enter(name, p.role(name))
		}
		for name == "delete" && p.next(p.actors[i]) != "store.Execution" {
			p.step(p.actors[i]) // until it has listed the run
		}
	}
	return p
}

// held is a store whose calls the order holds but the world does not count.
type held struct{ *store }

func (s held) Agent(ctx context.Context, o id.Org, a id.Agent) (agent.Agent, error) {
	return through(ctx, s.world, "store.Agent", "", func() (agent.Agent, error) { return s.Store.Agent(ctx, o, a) })
}

func (s held) DeleteAgent(ctx context.Context, a agent.Agent, acts ...audit.Entry) error {
	return throughErr(ctx, s.world, "store.DeleteAgent", "", func() error { return s.Store.DeleteAgent(ctx, a, acts...) })
}

func (s held) Executions(ctx context.Context, o id.Org, q execution.Query) (execution.Page, error) {
	return through(ctx, s.world, "store.Executions", "", func() (execution.Page, error) { return s.Store.Executions(ctx, o, q) })
}

// untilExpiry brings the run to one second before its gate expires.
func (p *play) untilExpiry() {
	p.run = p.wake(p.agent)
	p.pass(time.Second)
	a, err := p.question(p.run)
	p.must(err)
	p.pass(time.Until(a.Expires) - time.Second)
}

// loses is a fault plan in which Waits machines are lost: only the sweeper
// moves the run on.
func loses(at site) fault {
	if at.port == "machine.lostWaits" {
		return fault{before: errFault}
	}
	return fault{}
}

// untilReminder brings the run to one second before its gate's reminder.
func (p *play) untilReminder() {
	p.run = p.wake(p.agent)
	p.pass(time.Second)
	a, err := p.question(p.run)
	p.must(err)
	p.pass(time.Until(a.Remind) - time.Second)
}

// untilWaiting brings the run to one second before its wait is over.
func (p *play) untilWaiting() {
	p.run = p.wake(p.agent)
	p.pass(59 * time.Second)
}

// untilQuestion brings the run to its gate before the approval is requested.
func (p *play) untilQuestion() {
	a := p.begins()
	for p.next(a) != "" {
		p.step(a)
	}
}

// untilStarted brings the run to the start of its machine, which has the lease with
// which the run was recorded.
func (p *play) untilStarted() {
	p.cloud.order.Store(p.order)
	p.run = p.dispatched()
}

// works starts a worker and stops it before this call.
func (p *play) works(call string) {
	a := p.begins()
	for p.next(a) != call {
		p.step(a)
	}
	p.entered["worker"] = a
}

// begins starts a worker while the machine of the run is paused. The run is recorded
// without a lease, like one that a person retries.
func (p *play) begins() *actor {
	p.cloud.order.Store(p.order)
	p.dispatcher.NewOwner = nil
	p.run = p.dispatched()
	return p.enter("worker", p.turn("runs", machine.OpRun))
}

// dispatched starts a run with a dispatcher that is not held.
func (p *play) dispatched() id.Execution {
	p.cloud.order.Store(nil)
	defer p.cloud.order.Store(p.order)
	return p.wake(p.agent)
}

// ---- the roles ----

// role returns the operation of a role.
func (p *play) role(name string) func(context.Context) error {
	owner := p.owner()
	switch name {
	case "approve":
		return p.verdict(name, owner, true)
	case "second":
		return p.verdict(name, p.person("user_second", caller.Admin), true)
	case "boss":
		return p.verdict(name, p.person("user_boss", caller.Member), true)
	case "deny":
		return p.verdict(name, p.person("user_deny", caller.Admin), false)
	case "find":
		return p.finds(owner)
	case "cancel":
		return func(ctx context.Context) error { return p.executions.Cancel(ctx, owner, p.run) }
	case "delete", "remove":
		return p.deletes(owner)
	case "wake":
		return p.turn("waits", machine.OpRun)
	case "ask", "again":
		return p.turn(name, machine.OpGate)
	case "expire":
		over := p.asked.Expires
		if over.IsZero() {
			over = time.Now().Add(time.Second)
		}
		return p.later(over.Add(time.Second), p.turn("waits", machine.OpRun))
	case "remind":
		return p.later(p.asked.Remind.Add(time.Second), p.turn("waits", machine.OpRun))
	case "twin":
		return p.turn("twin", machine.OpRun)
	case "first", "double": // the cloud starts a machine twice
		return p.turnFrom(p.start(), name, machine.OpRun)
	case "repeated": // a dispatcher that finds the run recorded starts another
		c := p.start()
		c.First = ""
		return p.turnFrom(c, name, machine.OpRun)
	case "late": // a machine starts after the lease of its run
		return p.later(p.leaseEnd, p.turnFrom(p.start(), name, machine.OpRun))
	case "crashed": // the machine has no answer of its first call and calls again
		return p.turn("runs", machine.OpRun)
	case "other":
		return p.later(p.leaseEnd, p.turn("other", machine.OpRun))
	case "sweep":
		return p.later(p.due, p.sweeps)
	}
	p.Fatalf("unknown role %s", name)
	return nil
}

// later performs an operation after time has passed.
func (p *play) later(until time.Time, do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		p.holdUntil(ctx, passing, until)
		return do(ctx)
	}
}

// verdict decides the approval that was open when the schedule began.
func (p *play) verdict(name string, who caller.Caller, yes bool) func(context.Context) error {
	return func(ctx context.Context) error { return p.decides(ctx, name, who, p.asked.ID, yes) }
}

func (p *play) decides(ctx context.Context, name string, who caller.Caller, a id.Approval, yes bool) error {
	said, err := p.approvals.Decide(ctx, who, a, approval.Verdict{Approve: yes, Note: name})
	actorOf(ctx).said = said
	return err
}

// finds searches for an open approval and approves it.
func (p *play) finds(who caller.Caller) func(context.Context) error {
	return func(ctx context.Context) error {
		p.hold(ctx, "store.Approvals")
		a, err := p.question(p.run)
		if err != nil {
			return err
		}
		return p.decides(ctx, "find", who, a.ID, true)
	}
}

func (p *play) deletes(who caller.Caller) func(context.Context) error {
	return func(ctx context.Context) error {
		err := p.agents.Delete(ctx, who, p.agent, 0)
		a := actorOf(ctx)
		for _, x := range p.runs() {
			if !x.Status.Ended() {
				a.left = append(a.left, x)
			}
		}
		return err
	}
}

// start returns the cursor with which the machine of the run was started.
func (p *play) start() machine.Cursor {
	x, _ := p.stored(p.run)
	c := x.Cursor()
	c.First = x.Lease.Owner
	return c
}

// turn calls the runner like a machine and continues like one.
func (p *play) turn(owner string, op machine.Op) func(context.Context) error {
	return func(ctx context.Context) error {
		return p.turnFrom(machine.Cursor{Org: p.org, Execution: p.run}, owner, op)(ctx)
	}
}

func (p *play) turnFrom(c machine.Cursor, owner string, op machine.Op) func(context.Context) error {
	return func(ctx context.Context) error {
		next, err := p.runner.Handle(ctx, machine.Call{Op: op, Cursor: c, Owner: owner, Token: p.name("token")})
		switch {
		case err != nil:
			go p.machines.runs(c, owner)
		case next.Next != machine.NextDone:
			go p.machines.handOver(next)
		}
		return err
	}
}

func (p *play) sweeps(ctx context.Context) error {
	if _, err := p.sweeper.Sweep(ctx); err != nil {
		return err
	}
	return p.turn("swept", machine.OpRun)(ctx)
}

// ---- checks ----

// checkAll lets the world finish and checks the invariants.
func (p *play) checkAll() {
	p.pass(patience)
	p.checkProgress()
	x, _ := p.stored(p.run)
	for n := 0; n < 5 && !x.Status.Ended(); n++ {
		p.pass(time.Minute)
		x, _ = p.stored(p.run)
	}
	p.audit()
	for _, a := range p.actors {
		p.checkAnswer(a, x)
	}
	p.nothingStartsAfterCancel(x)
	p.nothingStartsAfterAnswer()
	p.checkWithinLeases()
}

// checkAnswer checks that the record does not contradict the answer to an
// actor.
func (p *play) checkAnswer(a *actor, x execution.Execution) {
	switch a.name {
	case "approve", "second", "boss", "deny", "find":
		p.checkVerdict(a)
	case "cancel":
		// A cancellation after a person's denial ends the run as denied.
		denied := x.Reason == execution.ApprovalDenied && slices.Contains(p.roles[:], "deny")
		done := a.answer == nil && x.Status == execution.Cancelled && (x.Reason == execution.CancelledByUser || denied)
		late := errors.Is(a.answer, execution.ErrState) && x.Reason != execution.CancelledByUser
		p.holds(oneWay, done || late, "cancel is answered %v, the run is %s (%s)", a.answer, x.Status, x.Reason)
	case "delete", "remove":
		gone := errors.Is(a.answer, agent.ErrNotFound) && slices.Contains(p.roles[:], "delete") && slices.Contains(p.roles[:], "remove")
		p.holds(oneWay, a.answer == nil || gone, "%s is answered %v", a.name, a.answer)
		p.holds(oneWay, len(a.left) == 0, "open when the agent had been deleted: %v", a.left)
	default:
		p.holds(oneWay, a.answer == nil, "%s fails: %v", a.name, a.answer)
	}
}

// checkWithinLeases checks a schedule in which no lease expires and no machine starts or
// calls twice: no step is executed twice, and a model's answer is kept and charged.
func (p *play) checkWithinLeases() {
	twice := slices.Contains(p.roles[:], "first") && slices.Contains(p.roles[:], "double") || slices.Contains(p.roles[:], "crashed")
	if twice || slices.ContainsFunc(p.choices, func(l choice) bool { return l.call == passing }) {
		return
	}
	keys := p.products.keys()
	slices.Sort(keys)
	p.holds(oneEffect, len(slices.Compact(slices.Clone(keys))) == len(keys), "products are called for %v", keys)
	asked := len(p.model.questions())
	p.holds(oneEffect, asked <= 1, "the model is asked %d times", asked)
	_, steps := p.stored(p.run)
	p.holds(sums, asked == 0 || steps["judge"].Charge != nil, "the model has answered, and judge is %s", steps["judge"].Status)
}

// checkVerdict checks the answer to a verdict.
func (p *play) checkVerdict(a *actor) {
	said, kept := a.said, approval.Approval{}
	for _, q := range p.questions() {
		kept = q
	}
	mine := slices.ContainsFunc(kept.Votes, func(v approval.Vote) bool { return v.Note == a.name && v.Approve == (a.name != "deny") })
	want := false
	switch {
	case a.answer == nil && said.Status == approval.Pending:
		want = mine && p.situation.name == "quorum" && a.name != "deny"
	case a.answer == nil:
		want = mine && kept.Status == said.Status && (said.Status == approval.Denied) == (a.name == "deny")
	case errors.Is(a.answer, approval.ErrDecided):
		want = !mine && (kept.Status == approval.Approved || kept.Status == approval.Denied)
	case errors.Is(a.answer, approval.ErrExpired):
		want = !mine && (p.asked.ID == "" || p.passed.After(p.asked.Expires))
	case errors.Is(a.answer, approval.ErrNotYours):
		want = !mine && a.name == "boss"
	case errors.Is(a.answer, errNoQuestion):
		want = a.name == "find"
	}
	p.holds(oneVerdict, want, "%s is answered %s, %v; the question is %s with %+v", a.name, said.Status, a.answer, kept.Status, kept.Votes)
}

// nothingStartsAfterCancel checks that an actor that accessed the record of a
// cancelled run afterwards called no product, model or recipient, except to
// send the outcome. A call that was already pending may still be made.
func (p *play) nothingStartsAfterCancel(x execution.Execution) {
	if p.ended == 0 || x.Status != execution.Cancelled {
		return
	}
	var looked [3]int // choice at which an actor could see the cancellation; 0: none
	for n := p.ended; n < len(p.choices); n++ {
		l := p.choices[n]
		if l.call == passing || l.call == settling || l.call == "sender.Outcome" {
			continue
		}
		switch reads, writes := accesses(l.call); {
		case writes&theOutside != 0:
			p.holds(oneWay, looked[l.actor] == 0 || l.since <= looked[l.actor],
				"%s calls %s, and knew that the run was cancelled", p.roles[l.actor], l.call)
		case (reads|writes)&theRun != 0 && looked[l.actor] == 0:
			looked[l.actor] = n
		}
	}
	for key, e := range p.products.effects {
		p.holds(oneWay, !e.at.After(p.passed), "%s was done at %v, long after the run was cancelled", key, e.at)
	}
}

// nothingStartsAfterAnswer checks that no actor begins to call a product or a model after
// a cancellation or a deletion was answered. A call that was already pending may still be
// made. A message may be one of several of a step that has begun; before such a step a
// worker always looks.
func (p *play) nothingStartsAfterAnswer() {
	for i, a := range p.actors {
		if a.answer != nil || a.answered == 0 || !slices.Contains([]string{"cancel", "delete", "remove"}, p.roles[i]) {
			continue
		}
		for _, l := range p.choices[a.answered:] {
			if l.call == "product.Act" || l.call == "model.Ask" {
				p.holds(oneWay, l.since <= a.answered, "%s begins %s after the answer to %s", p.roles[l.actor], l.call, a.name)
			}
		}
	}
}

// ending returns the outcome of the schedule in one line.
func (p *play) ending() string {
	parts := []string{p.story(p.run)}
	for _, q := range p.questions() {
		parts = append(parts, fmt.Sprintf("%s %s by %q of %d", q.Step, q.Status, q.DecidedBy, len(q.Votes)))
	}
	for i, a := range p.actors {
		parts = append(parts, fmt.Sprintf("%s: %v", p.roles[i], a.answer))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d done", len(p.products.effects))), "; ")
}
