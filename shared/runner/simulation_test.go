package runner_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/step"
)

var (
	seeds    = flag.Int("seeds", 250, "how many simulations to run")
	only     = flag.Uint64("seed", 0, "the one simulation to run, or 0")
	trouble  = flag.Float64("trouble", 1, "how often calls go wrong, as a multiple of what is usual")
	simulate = 40 * time.Hour // of each simulation
	troubled = 6 * time.Hour  // in which things go wrong
)

// Whatever goes wrong, every run ends, nothing is done twice, nothing is done
// that a person forbade, and the sums of the credits agree.
//
//	go test -run TestEveryRunEnds -seed 7            one simulation, with its history if it fails
//	go test -run TestEveryRunEnds -seeds 10000       many
func TestEveryRunEndsWhateverGoesWrong(t *testing.T) {
	t.Parallel()

	first, last := uint64(1), uint64(*seeds)
	if *only > 0 {
		first, last = *only, *only
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				s := simulation{world: w, seed: seed, dice: rand.New(rand.NewPCG(seed, 7))}
				s.run()
				if t.Failed() {
					t.Logf("again: go test ./shared/runner -run TestEveryRunEnds -seed %d", seed)
				}
			})
		})
	}
}

// A simulation is a world with random agents, events, people and faults, all of
// which follow from a seed.
type simulation struct {
	*world

	seed uint64
	dice *rand.Rand
	made int // steps
}

func (s *simulation) run() {
	s.model.reply = s.says
	s.products.reply = s.does
	s.senders.reply = s.sends
	var agents []id.Agent
	for range 3 {
		s.made = 0
		agents = append(agents, s.agent(list(s.steps(1, 2+s.dice.IntN(5))...)))
	}
	begin := time.Now()
	s.faults.set(func(at site) fault {
		if time.Since(begin) > troubled {
			return fault{}
		}
		return s.fault(at)
	})
	var runs []id.Execution
	for range 4 {
		e := s.escalated()
		go s.deliver(e)
		if s.dice.IntN(4) == 0 {
			go s.deliver(e) // the bus delivers at least once
		}
		for _, a := range agents {
			runs = append(runs, s.runOf(a, e))
		}
		s.people(runs)
		s.pass(time.Duration(s.dice.IntN(1200)) * time.Second)
	}
	for time.Since(begin) < troubled {
		s.people(runs)
		s.pass(time.Duration(60+s.dice.IntN(1200)) * time.Second)
	}
	s.pass(simulate - time.Since(begin))
	s.audit()
	s.tell()
}

// tell logs how the runs went.
func (s *simulation) tell() {
	ends := map[string]int{}
	for _, x := range s.runs() {
		ends[strings.TrimSuffix(string(x.Status)+" "+string(x.Reason), " ")]++
	}
	s.Logf("runs %v, calls %d, questions %d, sweeps %+v", ends, len(s.products.calls), len(s.questions()), s.swept)
}

func (s *simulation) runOf(a id.Agent, e event.Event) id.Execution { return execution.ID(s.org, a, e) }

// chance returns a number from 0 up to 1 that is the same for the same parts,
// however the goroutines take their turns.
func (s *simulation) chance(parts ...any) float64 {
	return chance(append([]any{s.seed}, parts...)...)
}

// ---- what people do ----

func (s *simulation) people(runs []id.Execution) {
	for _, x := range runs {
		switch s.dice.IntN(12) {
		case 0:
			go s.cancels(x)
		case 1, 2, 3, 4:
			user := fmt.Sprintf("user_%d", s.dice.IntN(4))
			yes := s.dice.IntN(5) > 0
			wait := time.Duration(s.dice.IntN(300_000)) * time.Millisecond
			go func() {
				if sleep(s.over, wait) == nil {
					s.decides(s.person(user, caller.Admin), x, yes)
				}
			}()
		}
	}
}

func (s *simulation) cancels(x id.Execution) {
	if sleep(s.over, time.Duration(s.chance("cancel", x)*float64(10*time.Minute))) != nil {
		return
	}
	if err := s.cancel(x); err != nil && !expected(err, execution.ErrState, execution.ErrNotFound) {
		s.Errorf("cancel %s: %v", x, err)
	}
}

func (s *simulation) decides(who caller.Caller, x id.Execution, yes bool) {
	err := s.decide(who, x, yes)
	if err != nil && !expected(err, approval.ErrDecided, approval.ErrExpired, approval.ErrNotYours, errNoQuestion) {
		s.Errorf("decide %s: %v", x, err)
	}
}

// expected reports whether an error may be, since somebody was faster or the
// cloud failed.
func expected(err error, may ...error) bool {
	for _, m := range append(may, errFault, errDied) {
		if errors.Is(err, m) {
			return true
		}
	}
	return false
}

// ---- definitions ----

// steps returns some steps, with branches in them.
func (s *simulation) steps(depth, n int) []string {
	var out []string
	for range n {
		if s.made == agent.MaxSteps {
			break
		}
		s.made++
		name := fmt.Sprintf("s%d", s.made)
		var more []string
		if s.dice.IntN(8) == 0 {
			more = append(more, `"if": `+[]string{urgent, calm}[s.dice.IntN(2)])
		}
		if s.dice.IntN(5) == 0 {
			more = append(more, `"on_error": "continue"`)
		}
		switch k := s.dice.IntN(12); {
		case k < 4:
			out = append(out, act(name, more...))
		case k < 6:
			out = append(out, think(name, append(more, noise)...))
		case k < 8:
			out = append(out, ask(name, append(more, s.gate()...)...))
		case k < 9:
			out = append(out, tell(name, more...))
		case k < 10:
			out = append(out, pause(name, 1+s.dice.IntN(7200), more...))
		case depth < 4 && s.made < agent.MaxSteps-10:
			yes, no := s.steps(depth+1, 1+s.dice.IntN(3)), s.steps(depth+1, s.dice.IntN(3))
			out = append(out, when(name, []string{urgent, calm}[s.dice.IntN(2)], list(yes...), list(no...)))
		default:
			out = append(out, act(name, more...))
		}
	}
	return out
}

func (s *simulation) gate() []string {
	more := []string{fmt.Sprintf(`"timeout_seconds": %d`, 10+s.dice.IntN(3600))}
	if s.dice.IntN(4) == 0 {
		more = append(more, `"min_approvals": 2`)
	}
	if s.dice.IntN(3) == 0 {
		more = append(more, `"notify": [{"channel": "sms", "recipients": ["+15551234567"]}, {"channel": "slack", "recipients": ["https://chat.example/x"]}]`)
	}
	switch s.dice.IntN(4) {
	case 0:
		more = append(more, `"on_expiry": "approve"`)
	case 1:
		more = append(more, fmt.Sprintf(`"on_expiry": "escalate", "escalate_to": {"roles": ["member"], "timeout_seconds": %d}`, 10+s.dice.IntN(1800)))
	}
	return more
}

// ---- the outside ----

func (s *simulation) says(q step.Question, n int) said {
	a := said{text: fitting(q.Schema), takes: time.Duration(s.chance("thinks", q.Execution, q.Step, n) * 5 * float64(time.Second))}
	switch c := s.chance("says", q.Execution, q.Step, n); {
	case c < 0.05:
		a.text = "no JSON"
	case c < 0.10:
		a.err = step.ErrAgain
	case c < 0.12:
		a.err = errFault
	case c < 0.20:
		a.takes = time.Duration(s.chance("long", q.Execution, q.Step, n) * 80 * float64(time.Second))
	}
	return a
}

func (s *simulation) does(c step.Command, n int) done {
	d := done{takes: time.Duration(s.chance("acts", c.Key, n) * 2 * float64(time.Second))}
	switch p := s.chance("does", c.Key, n); {
	case p < 0.05:
		d.refuse = errFault
	case p < 0.10:
		d.refuse = step.ErrAgain
	case p < 0.15:
		d.lose = step.ErrAgain
	case p < 0.20:
		d.takes = time.Duration(s.chance("slow", c.Key, n) * 40 * float64(time.Second))
	}
	return d
}

func (s *simulation) sends(m step.Message) error {
	switch p := s.chance("sends", m.Key); {
	case p < 0.05:
		return step.ErrNotification
	case p < 0.10:
		return errFault // nobody knows
	}
	return nil
}

// ---- what goes wrong ----

// fault says what goes wrong at a call.
func (s *simulation) fault(at site) fault {
	p := s.chance("fault", at.port, at.run, at.n) / *trouble
	switch at.port {
	case "machine.twice":
		return given(p < 0.1, fault{after: errFault})
	case "machine.lostRuns", "machine.lostWaits":
		return given(p < 0.05, fault{before: errFault})
	case "machine.Ring":
		return given(p < 0.1, fault{before: errFault})
	}
	switch {
	case p < 0.015:
		return fault{before: errFault}
	case p < 0.03:
		return fault{after: errFault}
	case p < 0.04:
		return fault{kill: true}
	case p < 0.05:
		return fault{kill: true, late: true}
	case p < 0.06:
		return fault{pause: time.Duration(s.chance("pause", at.port, at.run, at.n) * float64(90*time.Second))}
	case p < 0.12:
		return fault{pause: time.Duration(s.chance("slow", at.port, at.run, at.n) * float64(2*time.Second))}
	}
	return fault{}
}

// given returns f if ok, or nothing.
func given(ok bool, f fault) fault {
	if ok {
		return f
	}
	return fault{}
}
