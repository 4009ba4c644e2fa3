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
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
)

var (
	depth   = flag.Int("depth", 0, "how many calls of each actor are put in all orders; 0: 3, and 1 beside the race detector")
	oneWord = flag.String("word", "", `the one word to play, like "gate: approve cancel expire: ABACBC"`)
)

// Three actors do what they do to one run at the same moment, and whatever the
// order of their calls, the invariants hold, and nobody got an answer that the
// record contradicts.
//
// An actor is a process that does one thing through the services. Its events are
// its calls of ports, and the passing of time where that is what it brings. All
// are held at each event and one is let go at a time, so that an order is a word
// over A, B and C. Machines and the sweeper of the world stand still meanwhile,
// and come late, as they may.
//
// For every situation and every three of its cast, all words are played in which
// each actor makes its first -depth calls, and lets time pass before; after them
// A goes to its end, then B, then C. That is exhaustive but for this: of words
// that differ only by neighbours that do not touch the same records, and so end
// alike, one is played. Calls that touch nothing that changes (definitions,
// profiles, rings and starts of machines that stand still) are no events. What
// comes after the first calls is in one order only, and the store's own writes
// are whole: whether they are is for package storetest.
//
//	go test -run TestEveryOrder -v                  how many words there are
//	go test -run TestEveryOrder -depth 6            more of them
//	go test -run TestEveryOrder -word "gate: approve cancel expire: ABACBC"
func TestEveryOrderOfThreeActorsEndsWell(t *testing.T) {
	t.Parallel()

	if *oneWord != "" {
		replay(t, *oneWord)
		return
	}
	for _, s := range situations() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			trios, words, cut := 0, 0, 0
			for _, cast := range s.trios() {
				played := tree{prune: true}
				played.grow(t, s, cast, deep())
				trios, words, cut = trios+1, words+played.words, cut+played.cut
				if t.Failed() {
					return
				}
			}
			t.Logf("%d words of %d trios; %d more were begun and are the same as others", words, trios, cut)
		})
	}
}

// deep returns how many calls are put in all orders. The race detector makes
// them many times as slow and looks for something else.
func deep() int {
	if *depth > 0 {
		return *depth
	}
	if built, ok := debug.ReadBuildInfo(); ok && slices.Contains(built.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 1
	}
	return 3
}

// The words that are not played would have ended as others did.
func TestWordsThatAreNotPlayedEndAsOthersDo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gate: approve cancel expire", "step: worker cancel other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cast, _ := parsed(t, name)
			all, some := tree{}, tree{prune: true}
			all.grow(t, s, cast, 2)
			some.grow(t, s, cast, 2)
			if got, want := some.endings(), all.endings(); !slices.Equal(got, want) {
				t.Errorf("%d words end in\n%s\n%d words end in\n%s", some.words, strings.Join(got, "\n"), all.words, strings.Join(want, "\n"))
			}
			t.Logf("%d words instead of %d, %d endings", some.words, all.words, len(all.endings()))
		})
	}
}

// parsed returns the situation and the cast that a word names, and its letters.
func parsed(t *testing.T, word string) (situation, [3]string, string) {
	t.Helper()
	name, rest, _ := strings.Cut(word, ":")
	names, letters, _ := strings.Cut(rest, ":")
	list := strings.Fields(names)
	i := slices.IndexFunc(situations(), func(s situation) bool { return s.name == name })
	if i < 0 || len(list) != 3 {
		t.Fatalf("%q names no situation with three actors", word)
	}
	return situations()[i], [3]string(list), strings.TrimSpace(letters)
}

// replay plays one word.
func replay(t *testing.T, word string) {
	t.Helper()
	s, cast, letters := parsed(t, word)
	inWorld(t, func(w *world) {
		p := s.open(w, cast)
		p.play(func([3]string) int {
			if letters == "" {
				return enough
			}
			next := int(letters[0] - 'A')
			letters = letters[1:]
			return next
		})
		p.judge()
		w.note("%s", p.ending())
		w.repeat()
		t.Log(strings.Join(w.history, "\n"))
	})
}

// ---- all words ----

// A tree is all words of a cast. It is walked by playing one after another from
// the start, since a world cannot be copied.
type tree struct {
	prune bool // whether one of those is enough that end in the same records

	path  []branching
	words int
	cut   int
	ends  map[string]bool
}

// A branching is where several actors could go on.
type branching struct {
	calls  [3]string // what each would call; "" when it may not go on
	asleep [3]bool   // what was or will be played elsewhere, and is the same there
	chosen int
}

// choose takes the next actor that is neither asleep nor at its end, or -1.
func (b *branching) choose() int {
	b.chosen = -1
	for i, call := range b.calls {
		if call != "" && !b.asleep[i] {
			b.chosen = i
			break
		}
	}
	return b.chosen
}

// after returns who is asleep when the chosen one has made its call: who was
// before, and does not notice it.
func (b *branching) after() (asleep [3]bool) {
	for i := range asleep {
		asleep[i] = i != b.chosen && b.asleep[i] && !touches(b.calls[i], b.calls[b.chosen])
	}
	return asleep
}

func (r *tree) grow(t *testing.T, s situation, cast [3]string, depth int) {
	t.Helper()
	r.ends = map[string]bool{}
	for more := true; more && !t.Failed(); more = r.turn() {
		inWorld(t, func(w *world) { r.one(t, s.open(w, cast), depth) })
	}
}

// one plays the next word.
func (r *tree) one(t *testing.T, p *play, depth int) {
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
			return enough
		}
		if at == len(r.path) {
			next := branching{calls: calls}
			if at > 0 && r.prune {
				next.asleep = r.path[at-1].after()
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
	r.words++
	p.judge()
	if ending := p.ending(); !r.ends[ending] {
		r.ends[ending] = true
		p.repeat()
	}
	if t.Failed() || p.Failed() {
		p.Logf("again: go test ./shared/simulation -run TestEveryOrder -word %q", p.word())
	}
}

// turn goes back to where another actor could have gone on, if there is such a
// place.
func (r *tree) turn() bool {
	for len(r.path) > 0 {
		last := &r.path[len(r.path)-1]
		last.asleep[last.chosen] = true
		if last.choose() >= 0 {
			return true
		}
		r.path = r.path[:len(r.path)-1]
	}
	return false
}

func (r *tree) endings() []string {
	list := make([]string, 0, len(r.ends))
	for e := range r.ends {
		list = append(list, e)
	}
	slices.Sort(list)
	return list
}

// ---- who touches what ----

// A footprint is a set of records.
type footprint uint

const (
	theRun footprint = 1 << iota
	theDue           // when the sweeper looks at the run
	theSteps
	theQuestion
	theAgent
	theOutside // order of what products, models and people see
	everything = theRun | theDue | theSteps | theQuestion | theAgent | theOutside
)

// passing is the event that time passes.
const passing = "time"

// footprints returns what a call reads and writes; nothing for one that is no
// event.
func footprints(call string) (reads, writes footprint) {
	switch call {
	case passing:
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
	case "store.Version", "store.Facts", "machine.Ring", "machine.Restart":
		return 0, 0
	case "store.Unpublished", "store.Published", "bus.Put": // an event is due long after the change that stored it
		return 0, 0
	}
	return 0, everything
}

// touches reports whether the order of two calls matters.
func touches(a, b string) bool {
	readsA, writesA := footprints(a)
	readsB, writesB := footprints(b)
	return writesA&(readsB|writesB) != 0 || readsA&writesB != 0
}

// ---- one word ----

// An order holds every call, until it is its turn.
type order struct {
	world *world

	mu     sync.Mutex
	still  []chan struct{} // what is no actor, and stands still
	steps  int             // made so far
	opened bool
}

// An actor is a process that does one thing.
type actor struct {
	name   string
	stops  []stop // its calls that are held; guarded by the order
	ended  chan struct{}
	made   int // calls since the word began
	answer error
	said   approval.Approval     // what was answered to a verdict
	left   []execution.Execution // that were open when the agent had been deleted
}

// A stop is a call that is held.
type stop struct {
	call  string
	until time.Time // for passing
	since int       // how many letters had been made when it came
	turn  chan struct{}
}

type actorKey struct{}

// actorOf returns the actor that makes a call, or nil.
func actorOf(ctx context.Context) *actor {
	a, _ := ctx.Value(actorKey{}).(*actor)
	return a
}

// hold lets a call wait for its turn. Calls of others wait until the word is
// over.
func (o *order) hold(ctx context.Context, call string) { o.holdUntil(ctx, call, time.Time{}) }

func (o *order) holdUntil(ctx context.Context, call string, until time.Time) {
	a := actorOf(ctx)
	acts := a != nil
	reads, writes := footprints(call)
	o.mu.Lock()
	if o.opened || acts && reads|writes == 0 {
		o.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	if acts {
		a.stops = append(a.stops, stop{call, until, o.steps, turn})
	} else {
		o.still = append(o.still, turn)
	}
	o.mu.Unlock()
	select {
	case <-turn:
	case <-o.world.over.Done():
	}
}

// open lets everything go on that stood still, one after another.
func (o *order) open() {
	o.mu.Lock()
	o.opened = true
	list := o.still
	o.mu.Unlock()
	for _, turn := range list {
		close(turn)
		o.world.pass(3 * time.Millisecond) // who began at the same moment need not go on at the same
	}
}

// enter begins an actor, which comes to its first call.
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

// comes waits until an actor is held or at its end. Of two calls that come at
// once, since a worker renews its lease beside its step, the order is by name.
func (o *order) comes(a *actor) {
	for range 1000 {
		synctest.Wait()
		o.mu.Lock()
		slices.SortStableFunc(a.stops, func(a, b stop) int {
			return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.call, b.call))
		})
		o.mu.Unlock()
		if o.next(a) != "" || a.over() {
			return
		}
		time.Sleep(latency) // something outside takes its time
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

// next returns the call at which an actor is held, or "".
func (o *order) next(a *actor) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(a.stops) == 0 {
		return ""
	}
	return a.stops[0].call
}

// step lets an actor make its next call, and waits for the one after it.
func (o *order) step(a *actor) stop {
	o.mu.Lock()
	first := a.stops[0]
	a.stops = a.stops[1:]
	o.steps++
	o.mu.Unlock()
	o.world.note("%s: %s", a.name, first.call)
	if d := time.Until(first.until); first.call == passing && d > 0 {
		time.Sleep(d)
	}
	close(first.turn)
	o.comes(a)
	return first
}

// A play is one word.
type play struct {
	*world
	*order

	situation situation
	cast      [3]string
	actors    [3]*actor
	entered   map[string]*actor // those that began before the word
	letters   []letter
	chosen    int // how many of the letters were; the rest follows

	agent  id.Agent
	run    id.Execution
	asked  approval.Approval // the question at the start
	lapses time.Time         // when whoever has the run has it no longer
	due    time.Time         // when the sweeper looks
	passed time.Time         // when the word was over
	ended  int               // how many letters had been made when the run was at its end; 0: it was not
}

// An letter is a letter of a word.
type letter struct {
	actor int
	call  string
	since int // how many letters had been made when it came to the call
}

// What may be chosen besides an actor.
const (
	enough  = -1 // the rest goes in order
	abandon = -2 // the word is not played
)

// play lets the actors go on as chosen, and says whether the word was played.
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
		if next == enough {
			break
		}
		if calls[next] == "" {
			p.chosen = len(p.letters)
			p.Fatalf("%c is at its end after %s", 'A'+next, p.word())
		}
		p.let(next)
	}
	p.chosen = len(p.letters)
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
	if made.call != passing {
		p.actors[i].made++
	}
	p.letters = append(p.letters, letter{i, made.call, made.since - p.steps + len(p.letters) + 1})
	x, err := p.store.Store.Header(p.over, p.org, p.run)
	p.must(err)
	if p.ended == 0 && x.Status.Ended() {
		p.ended = len(p.letters)
	}
}

// word returns the word as -word takes it.
func (p *play) word() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", p.situation.name, strings.Join(p.cast[:], " "))
	for _, l := range p.letters[:p.chosen] {
		b.WriteByte(byte('A' + l.actor))
	}
	return b.String()
}

// ---- situations ----

// A situation is where a run stands when three act on it.
type situation struct {
	name  string
	steps string
	until func(p *play) // brings the run there
	cast  []string
}

// trios returns every three of the cast.
func (s situation) trios() [][3]string {
	var out [][3]string
	for i := range s.cast {
		for j := i + 1; j < len(s.cast); j++ {
			for _, third := range s.cast[j+1:] {
				out = append(out, [3]string{s.cast[i], s.cast[j], third})
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
			"between", list(act("a"), act("b")), func(p *play) { p.works("store.Header") },
			[]string{"worker", "cancel", "delete", "remove", "other", "twin"},
		},
		{
			"model", list(think("judge"), act("b")), func(p *play) { p.works("model.Ask") },
			[]string{"worker", "cancel", "other", "twin", "sweep"},
		},
		{
			"wait", list(`{"id": "w", "type": "wait", "duration_seconds": 60}`, act("b")), (*play).untilWaiting,
			[]string{"expire", "wake", "cancel", "delete"},
		},
	}
}

// open brings a world into the situation, and the actors to their first calls.
func (s situation) open(w *world, cast [3]string) *play {
	p := &play{
		world: w, order: &order{world: w}, situation: s, cast: cast,
		entered: map[string]*actor{},
	}
	w.agents.Store, w.executions.Store = held{w.store}, held{w.store}
	p.agent = w.agent(s.steps)
	s.until(p)
	w.order.Store(p.order)
	x, _ := w.stored(p.run)
	p.asked, _ = w.question(p.run)
	p.lapses, p.due = x.Lease.Until.Add(time.Second), x.Due.Add(time.Second)
	for i, name := range cast {
		if p.actors[i] = p.entered[name]; p.actors[i] == nil {
			p.actors[i] = p.enter(name, p.role(name))
		}
		for name == "delete" && p.next(p.actors[i]) != "store.Execution" {
			p.step(p.actors[i]) // it has found the run
		}
	}
	return p
}

// held is the store of the services whose calls the world does not count.
type held struct{ *store }

func (s held) Agent(ctx context.Context, o id.Org, a id.Agent) (agent.Agent, error) {
	return through(ctx, s.world, "store.Agent", "", func() (agent.Agent, error) { return s.Store.Agent(ctx, o, a) })
}

func (s held) DeleteAgent(ctx context.Context, a agent.Agent) error {
	return throughErr(ctx, s.world, "store.DeleteAgent", "", func() error { return s.Store.DeleteAgent(ctx, a) })
}

func (s held) Executions(ctx context.Context, o id.Org, q execution.Query) (execution.Page, error) {
	return through(ctx, s.world, "store.Executions", "", func() (execution.Page, error) { return s.Store.Executions(ctx, o, q) })
}

// untilExpiry brings the run to its gate, a second before nobody may decide.
func (p *play) untilExpiry() {
	p.run = p.wake(p.agent)
	p.pass(time.Second)
	a, err := p.question(p.run)
	p.must(err)
	p.pass(time.Until(a.Expires) - time.Second)
}

// loses is the plan that whoever wakes in a Waits machine hears of nothing: the
// sweeper alone moves the run on.
func loses(at site) fault {
	if at.port == "machine.lostWaits" {
		return fault{before: errFault}
	}
	return fault{}
}

// untilReminder brings the run to its gate, a second before people are reminded.
func (p *play) untilReminder() {
	p.run = p.wake(p.agent)
	p.pass(time.Second)
	a, err := p.question(p.run)
	p.must(err)
	p.pass(time.Until(a.Remind) - time.Second)
}

// untilWaiting brings the run to its wait, a second before that is over.
func (p *play) untilWaiting() {
	p.run = p.wake(p.agent)
	p.pass(59 * time.Second)
}

// untilQuestion brings the run to its gate, where nobody has been asked yet.
func (p *play) untilQuestion() {
	a := p.begins()
	for p.next(a) != "" {
		p.step(a)
	}
}

// works lets a worker do the run until it is about to make this call.
func (p *play) works(call string) {
	a := p.begins()
	for p.next(a) != call {
		p.step(a)
	}
	p.entered["worker"] = a
}

// begins starts a worker; the machine that was started for the run stands still.
func (p *play) begins() *actor {
	p.cloud.order.Store(p.order)
	p.run = p.dispatched()
	return p.enter("worker", p.turn("runs", machine.OpRun))
}

// dispatched is wake, for a dispatcher that is not held.
func (p *play) dispatched() id.Execution {
	p.cloud.order.Store(nil)
	defer p.cloud.order.Store(p.order)
	return p.wake(p.agent)
}

// ---- the cast ----

// role returns what an actor does.
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
		return p.turn(name, machine.OpAsk)
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
	case "other":
		return p.later(p.lapses, p.turn("other", machine.OpRun))
	case "sweep":
		return p.later(p.due, p.sweeps)
	}
	p.Fatalf("nobody is called %s", name)
	return nil
}

// later does something after time has passed.
func (p *play) later(until time.Time, do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		p.holdUntil(ctx, passing, until)
		return do(ctx)
	}
}

// verdict decides the question that was open when the word began.
func (p *play) verdict(name string, who caller.Caller, yes bool) func(context.Context) error {
	return func(ctx context.Context) error { return p.decides(ctx, name, who, p.asked.ID, yes) }
}

func (p *play) decides(ctx context.Context, name string, who caller.Caller, a id.Approval, yes bool) error {
	said, err := p.approvals.Decide(ctx, who, a, approval.Verdict{Approve: yes, Note: name})
	actorOf(ctx).said = said
	return err
}

// finds looks for an open question and approves it.
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

// turn is what a machine asks of the runner, and what it does then.
func (p *play) turn(owner string, op machine.Op) func(context.Context) error {
	return func(ctx context.Context) error {
		c := machine.Cursor{Org: p.org, Execution: p.run}
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

// ---- what must hold ----

// judge lets the world come to its end and looks at everything.
func (p *play) judge() {
	p.pass(patience)
	p.moved()
	x, _ := p.stored(p.run)
	for n := 0; n < 5 && !x.Status.Ended(); n++ {
		p.pass(time.Minute)
		x, _ = p.stored(p.run)
	}
	p.audit()
	for _, a := range p.actors {
		p.answered(a, x)
	}
	p.stopped(x)
	p.undisturbed()
}

// answered checks that the record does not contradict what an actor was told.
func (p *play) answered(a *actor, x execution.Execution) {
	switch a.name {
	case "approve", "second", "boss", "deny", "find":
		p.heardOf(a)
	case "cancel":
		done := a.answer == nil && x.Status == execution.Cancelled && x.Reason == execution.CancelledByUser
		late := errors.Is(a.answer, execution.ErrState) && x.Reason != execution.CancelledByUser
		p.holds(oneWay, done || late, "cancel is answered %v, the run is %s (%s)", a.answer, x.Status, x.Reason)
	case "delete", "remove":
		gone := errors.Is(a.answer, agent.ErrNotFound) && slices.Contains(p.cast[:], "delete") && slices.Contains(p.cast[:], "remove")
		p.holds(oneWay, a.answer == nil || gone, "%s is answered %v", a.name, a.answer)
		p.holds(oneWay, len(a.left) == 0, "open when the agent had been deleted: %v", a.left)
	default:
		p.holds(oneWay, a.answer == nil, "%s fails: %v", a.name, a.answer)
	}
}

// undisturbed checks what holds as long as no lease is over: nobody calls for a
// step that another is at, and what a model has answered is kept and paid for.
func (p *play) undisturbed() {
	if slices.ContainsFunc(p.letters, func(l letter) bool { return l.call == passing }) {
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

// heardOf checks the answer to a verdict.
func (p *play) heardOf(a *actor) {
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

// stopped checks that nothing began after the run was cancelled, by whomever:
// who looked at the record afterwards left products, models and people alone, but
// for telling them so. A call that was on its way may be made.
func (p *play) stopped(x execution.Execution) {
	if p.ended == 0 || x.Status != execution.Cancelled {
		return
	}
	var looked [3]int // when an actor could see it; 0: not yet
	for n := p.ended; n < len(p.letters); n++ {
		l := p.letters[n]
		if l.call == passing || l.call == "sender.Outcome" {
			continue
		}
		switch reads, writes := footprints(l.call); {
		case writes&theOutside != 0:
			p.holds(oneWay, looked[l.actor] == 0 || l.since <= looked[l.actor],
				"%s calls %s, and knew that the run was cancelled", p.cast[l.actor], l.call)
		case (reads|writes)&theRun != 0 && looked[l.actor] == 0:
			looked[l.actor] = n
		}
	}
	for key, e := range p.products.effects {
		p.holds(oneWay, !e.at.After(p.passed), "%s was done at %v, long after the run was cancelled", key, e.at)
	}
}

// ending returns how the word ended in one line.
func (p *play) ending() string {
	parts := []string{p.story(p.run)}
	for _, q := range p.questions() {
		parts = append(parts, fmt.Sprintf("%s %s by %q of %d", q.Step, q.Status, q.DecidedBy, len(q.Votes)))
	}
	for i, a := range p.actors {
		parts = append(parts, fmt.Sprintf("%s: %v", p.cast[i], a.answer))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d done", len(p.products.effects))), "; ")
}
