package execution_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

func hold(t credit.Tier) credit.Hold {
	return credit.Hold{Month: "2026-03", Tier: t, Amount: t.Price()}
}

// answered returns a step that is charged with its hold.
func answered(step id.Step, h credit.Hold) execution.StepRecord {
	return execution.StepRecord{ID: step, Status: execution.StepCompleted, Charge: &h}
}

func TestCreditsOfAStepAreReservedOnce(t *testing.T) {
	t.Parallel()

	x := begun()
	first, ok := x.Reserved("a", hold(credit.Standard))
	if !ok || first.Reserve == nil || *first.Reserve != hold(credit.Standard) || first.Execution.Holds["a"] != hold(credit.Standard) {
		t.Errorf("the first time: %+v, %t", first, ok)
	}
	again, ok := first.Execution.Reserved("a", hold(credit.Expert))
	if ok || again.Reserve != nil || again.Execution.Holds["a"] != hold(credit.Standard) {
		t.Errorf("the second time: %+v, %t", again, ok)
	}
	other, ok := first.Execution.Reserved("b", hold(credit.Quick))
	if !ok || len(other.Execution.Holds) != 2 {
		t.Errorf("another step: %+v, %t", other, ok)
	}
	if len(x.Holds) != 0 || len(first.Execution.Holds) != 1 {
		t.Error("what was read has changed")
	}
}

func TestCreditsAreReleasedOnceWithAStepWithoutAnswer(t *testing.T) {
	t.Parallel()

	taken, _ := begun().Reserved("a", hold(credit.Premium))
	failed := execution.StepRecord{ID: "a", Status: execution.StepFailed}
	back, ok := taken.Execution.Released(failed)
	if diff := cmp.Diff([]credit.Hold{hold(credit.Premium)}, back.Released); !ok || diff != "" || len(back.Execution.Holds) != 0 {
		t.Errorf("%t %+v", ok, back)
	}
	if diff := cmp.Diff(&failed, back.Step); diff != "" {
		t.Errorf("step (-want +got)\n%s", diff)
	}
	if again, ok := back.Execution.Released(failed); ok || len(again.Released) != 0 {
		t.Errorf("the second time: %+v", again)
	}
	if other, ok := taken.Execution.Released(execution.StepRecord{ID: "b"}); ok || len(other.Released) != 0 || len(other.Execution.Holds) != 1 {
		t.Errorf("of another step: %+v", other)
	}
	if paid, ok := taken.Execution.Released(answered("a", hold(credit.Premium))); ok || len(paid.Released) != 0 {
		t.Errorf("of a step that was answered: %+v", paid)
	}
	if len(taken.Execution.Holds) != 1 {
		t.Error("what was read has changed")
	}
}

// two returns a running run that holds credits for the answered step a and the
// unanswered step b.
func two(t *testing.T) (execution.Execution, execution.Steps) {
	t.Helper()
	c, _ := leased(t, begun(), "one", 1).Reserved("a", hold(credit.Standard))
	c, _ = c.Execution.Reserved("b", hold(credit.Premium))
	return c.Execution, execution.Steps{"a": answered("a", hold(credit.Standard)), "b": {ID: "b", Status: execution.StepRunning}}
}

func TestTheEndOfARunSettlesItsHolds(t *testing.T) {
	t.Parallel()

	failure := execution.Failure{Code: "product_error"}
	endings := map[string]struct {
		end               execution.Ending
		completed, failed int64
	}{
		"completed": {func(x execution.Execution) execution.Execution { return x.Complete(at(9)) }, 1, 0},
		"failed":    {func(x execution.Execution) execution.Execution { return x.Fail(failure, at(9)) }, 0, 1},
		"cancelled": {func(x execution.Execution) execution.Execution {
			x, _ = x.Cancel(execution.CancelledByUser, "user_1", at(9))
			return x
		}, 0, 0},
	}
	for name, tc := range endings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			x, done := two(t)
			c := x.End(tc.end, done, false)
			want := execution.Change{
				Execution: c.Execution,
				Released:  []credit.Hold{hold(credit.Premium)},
				Closed: []execution.StepRecord{{ // a late answer is refused
					ID: "b", Kind: definition.AI, Status: execution.StepSkipped, Started: at(9), Ended: at(9), Attempt: 1,
				}},
				StatsDelta: &execution.StatsDelta{
					Runs: 1, Completed: tc.completed, Failed: tc.failed, Duration: 8 * time.Second, LastRun: at(9),
					Used: []credit.Hold{hold(credit.Standard)},
				},
			}
			if diff := cmp.Diff(want, c); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if c.Execution.Credits != 20 || len(c.Execution.Holds) != 0 || !c.Execution.Due.IsZero() || string(c.Execution.Status) != name {
				t.Errorf("%+v", c.Execution)
			}
			if len(x.Holds) != 2 || x.Credits != 0 {
				t.Error("what was read has changed")
			}
		})
	}
}

func TestCreditsOfARunningCallStayHeldAndAreSettledLater(t *testing.T) {
	t.Parallel()

	x, done := two(t)
	c := x.End(func(x execution.Execution) execution.Execution {
		x, _ = x.Cancel(execution.CancelledByUser, "user_1", at(9))
		return x
	}, done, true)
	ended := c.Execution
	if len(c.Released) != 0 || len(ended.Holds) != 1 || ended.Credits != 20 {
		t.Fatalf("%+v", c)
	}
	if want := at(9).Add(execution.LeaseTime + execution.Grace); !ended.Due.Equal(want) {
		t.Errorf("due %v, want %v", ended.Due, want)
	}
	for name, tc := range map[string]struct {
		done    execution.Steps
		credits int64
		used    []credit.Hold
		back    []credit.Hold
	}{
		"the answer came":       {execution.Steps{"b": answered("b", hold(credit.Premium))}, 120, []credit.Hold{hold(credit.Premium)}, nil},
		"the answer never came": {done, 20, nil, []credit.Hold{hold(credit.Premium)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, ok := ended.Settle(tc.done)
			if !ok || c.Execution.Credits != tc.credits || len(c.Execution.Holds) != 0 || !c.Execution.Due.IsZero() {
				t.Fatalf("Settle = %+v, %t", c, ok)
			}
			var used []credit.Hold
			if c.StatsDelta != nil {
				used = c.StatsDelta.Used
				if c.StatsDelta.Runs != 0 || !c.StatsDelta.LastRun.IsZero() {
					t.Errorf("it counts as another run: %+v", c.StatsDelta)
				}
			}
			if diff := cmp.Diff(tc.used, used); diff != "" {
				t.Errorf("used -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tc.back, c.Released); diff != "" {
				t.Errorf("released -want +got:\n%s", diff)
			}
			if _, ok := c.Execution.Settle(tc.done); ok {
				t.Error("it is settled twice")
			}
		})
	}
}

func TestAnOpenRunIsNotSettled(t *testing.T) {
	t.Parallel()

	x, done := two(t)
	if c, ok := x.Settle(done); ok || c.StatsDelta != nil || c.Released != nil {
		t.Errorf("Settle = %+v, %t", c, ok)
	}
	if _, ok := begun().Complete(at(1)).Settle(nil); ok {
		t.Error("a run that holds nothing is settled")
	}
}

func TestAParkedRunHasPaidForItsAnswers(t *testing.T) {
	t.Parallel()

	x, done := two(t)
	c := x.Park(done)
	if c.StatsDelta == nil || c.StatsDelta.Runs != 0 || len(c.StatsDelta.Used) != 1 || len(c.Released) != 0 {
		t.Errorf("the first time: %+v", c)
	}
	if len(c.Execution.Holds) != 1 || c.Execution.Credits != 20 {
		t.Errorf("%+v", c.Execution)
	}
	if again := c.Execution.Park(done); again.StatsDelta != nil || len(again.Released) != 0 || again.Execution.Credits != 20 {
		t.Errorf("the second time: %+v", again)
	}
}

func TestStepsReportTheirCredits(t *testing.T) {
	t.Parallel()

	steps := execution.Steps{
		"a": answered("a", hold(credit.Quick)), "b": answered("b", hold(credit.Expert)), "c": {ID: "c", Status: execution.StepCompleted},
	}
	if got := steps.Charged(); got != 205 {
		t.Errorf("Charged = %d, want 205", got)
	}
	if a, c := steps["a"], steps["c"]; a.Credits() != 5 || c.Credits() != 0 {
		t.Errorf("a costs %d and c %d", a.Credits(), c.Credits())
	}
}

// A bank keeps the credits of a month by the rules of the store. It is the
// test's own account, separate from the run's.
type bank struct {
	remaining, used int64
	runs            int64
}

func (b *bank) commit(c execution.Change) {
	if c.Reserve != nil {
		b.remaining -= c.Reserve.Amount
	}
	for _, h := range c.Released {
		b.remaining += h.Amount
	}
	if c.StatsDelta != nil {
		b.runs += c.StatsDelta.Runs
		for _, h := range c.StatsDelta.Used {
			b.used += h.Amount
		}
	}
}

func held(x execution.Execution) int64 {
	var sum int64
	for _, h := range x.Holds {
		sum += h.Amount
	}
	return sum
}

func TestNoCreditAppearsOrVanishes(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		const allocation = int64(100_000)
		b := bank{remaining: allocation}
		x, _ := begun().Leased("one", 0, at(0))
		done := execution.Steps{}
		inHand := map[id.Step]bool{} // reserved, neither answered nor released
		now := 0
		for i := range rapid.IntRange(0, 30).Draw(t, "length") {
			now += rapid.IntRange(0, 5).Draw(t, "later")
			step := id.Step(fmt.Sprintf("s%d", rapid.IntRange(1, 6).Draw(t, "step")))
			before := x
			var c execution.Change
			switch what := rapid.SampledFrom([]string{"reserve", "reserve", "answer", "answer", "release", "rest", "end", "settle"}).Draw(t, "what"); what {
			case "reserve":
				if x.Status.Ended() || done[step].Status.Ended() {
					continue
				}
				var ok bool
				c, ok = x.Reserved(step, hold(rapid.SampledFrom(credit.Tiers()).Draw(t, "tier")))
				if ok == inHand[step] {
					t.Fatalf("step %d: reserve %s = %t, and it is held: %t", i, step, ok, inHand[step])
				}
				inHand[step] = true
			case "answer": // also a late one
				h, ok := x.Holds[step]
				if !ok || done[step].Status.Ended() {
					continue
				}
				done[step] = answered(step, h)
				continue
			case "release":
				if done[step].Charge != nil || x.Status.Ended() {
					continue
				}
				var ok bool
				failed := execution.StepRecord{ID: step, Status: execution.StepFailed}
				if c, ok = x.Released(failed); ok {
					done[step] = failed
				}
				inHand[step] = false
			case "rest":
				if x.Status.Ended() {
					continue
				}
				c = x.Parked(at(now)).Park(done)
			case "end":
				if x.Status.Ended() {
					continue
				}
				c = x.End(func(x execution.Execution) execution.Execution { return x.Complete(at(now)) }, done, rapid.Bool().Draw(t, "under way"))
			case "settle":
				var ok bool
				if c, ok = x.Settle(done); ok && len(c.Execution.Holds) != 0 {
					t.Fatalf("settled, and it holds %v", c.Execution.Holds)
				}
			}
			b.commit(c)
			x = c.Execution
			for _, closed := range c.Closed {
				done[closed.ID] = closed
			}
			if b.remaining+held(x)+b.used != allocation {
				t.Fatalf("%d remain, %d are held and %d used of %d; it was %+v", b.remaining, held(x), b.used, allocation, before)
			}
			if x.Credits != b.used {
				t.Fatalf("the run has %d credits, the tally %d", x.Credits, b.used)
			}
			if x.Credits > done.Charged() {
				t.Fatalf("%d credits are charged, the answers cost %d", x.Credits, done.Charged())
			}
			if x.Status.Ended() && x.Due.IsZero() != (len(x.Holds) == 0) {
				t.Fatalf("ended, due %v, and it holds %v", x.Due, x.Holds)
			}
		}
		if !x.Status.Ended() {
			c := x.End(func(x execution.Execution) execution.Execution { return x.Complete(at(now)) }, done, true)
			b.commit(c)
			x = c.Execution
		}
		if c, ok := x.Settle(done); ok {
			b.commit(c)
			x = c.Execution
		}
		// Exactly the answers with a hold are charged.
		if b.remaining+b.used != allocation || held(x) != 0 || b.runs != 1 || x.Credits != done.Charged() || b.used != done.Charged() {
			t.Errorf("%d remain and %d are used of %d; answers cost %d; %d runs", b.remaining, b.used, allocation, done.Charged(), b.runs)
		}
	})
}

// The order in which holds are settled does not matter: map iteration has none.
var anyOrder = cmpopts.SortSlices(func(a, b credit.Hold) bool { return a.Amount < b.Amount })

func TestSeveralAnswersAreSettledTogether(t *testing.T) {
	t.Parallel()

	x, done := begun(), execution.Steps{}
	var want []credit.Hold
	for i, tier := range credit.Tiers() {
		step := id.Step(fmt.Sprintf("s%d", i))
		c, _ := x.Reserved(step, hold(tier))
		x = c.Execution
		done[step] = answered(step, hold(tier))
		want = append(want, hold(tier))
	}
	c := x.End(func(x execution.Execution) execution.Execution { return x.Complete(at(9)) }, done, false)
	if diff := cmp.Diff(want, c.StatsDelta.Used, anyOrder); diff != "" || c.Execution.Credits != 325 {
		t.Errorf("%d credits; -want +got:\n%s", c.Execution.Credits, diff)
	}
}
