package rehearsal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/rehearsal"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

var errDies = errors.New("the worker dies")

// paying is an organization that tests an agent with live models, on workers that die. Its
// auditor looks after every write.
type paying struct {
	*testing.T
	*memory.Store

	now    time.Time
	dice   *rand.Rand
	deaths int  // that are left
	dead   bool // whether the worker has died
	calls  []job.Call
	job    id.Job
	asked  map[id.Step]int
	answer func(q step.Question) (step.Answer, error)
}

func newPaying(t *testing.T, seed uint64) *paying {
	t.Helper()
	w := &paying{T: t, Store: memory.New(), now: noon, dice: rand.New(rand.NewPCG(seed, 5)), asked: map[id.Step]int{}}
	err := w.SaveTenant(t.Context(), tenant.Tenant{Org: "org_a", Plan: credit.Starter, Created: noon, Updated: noon, PlanAt: noon, StateAt: noon}, "2026-03")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *paying) clock() time.Time { return w.now }

func (w *paying) Begin(_ context.Context, c job.Call) error {
	w.calls = append(w.calls, c)
	return nil
}

// dies lets the worker die now and then.
func (w *paying) dies() bool {
	if w.deaths == 0 || w.dice.IntN(6) != 0 {
		return false
	}
	w.deaths--
	w.dead = true
	return true
}

// written makes a write, before or after which the worker may die, and audits.
func (w *paying) written(write func() error) error {
	if w.dead || w.dies() {
		return errDies
	}
	err := write()
	w.audit()
	if w.dies() {
		return errDies
	}
	return err
}

func (w *paying) Create(ctx context.Context, x execution.Execution) error {
	return w.written(func() error { return w.Store.Create(ctx, x) })
}

func (w *paying) Commit(ctx context.Context, c execution.Change) error {
	return w.written(func() error { return w.Store.Commit(ctx, c) })
}

func (w *paying) SaveStep(ctx context.Context, x execution.Execution, s execution.StepRecord) error {
	return w.written(func() error { return w.Store.SaveStep(ctx, x, s) })
}

func (w *paying) EndJob(ctx context.Context, j job.Job, result string, acts ...audit.Entry) error {
	return w.written(func() error { return w.Store.EndJob(ctx, j, result, acts...) })
}

// Ask implements step.Model.
func (w *paying) Ask(ctx context.Context, q step.Question) (step.Answer, error) {
	x, steps := w.ledger()
	if h := x.Holds[q.Step]; h.Amount != q.Tier.Price() {
		w.Errorf("%s was asked with %+v on hold", q.Step, h)
	}
	if steps[q.Step].Status.Ended() {
		w.Errorf("%s was asked although it has an answer", q.Step)
	}
	w.asked[q.Step]++
	if w.dies() {
		return step.Answer{}, errDies // the answer is lost
	}
	return w.answer(q)
}

func (w *paying) ledger() (execution.Execution, execution.Steps) {
	x, steps, err := w.Execution(w.Context(), "org_a", execution.LedgerID(w.job))
	if err != nil && !errors.Is(err, execution.ErrNotFound) {
		w.Fatal(err)
	}
	return x, steps
}

// audit holds the credits of the organization against its allocation.
func (w *paying) audit() {
	b, err := w.Balance(w.Context(), "org_a", "2026-03")
	if err != nil {
		w.Fatal(err)
	}
	x, _ := w.ledger()
	held := int64(0)
	for _, h := range x.Holds {
		held += h.Amount
	}
	if b.Remaining+held+x.Credits != b.Allocation {
		w.Fatalf("%d remain, %d are held and %d charged, of %d", b.Remaining, held, x.Credits, b.Allocation)
	}
}

func (w *paying) jobs() *job.Service {
	return &job.Service{Store: w, Workers: w, Now: w.clock, NewID: func() id.Job { return "job_01" }, Report: func(context.Context, error) {}}
}

func (w *paying) starter() *rehearsal.Starter {
	return &rehearsal.Starter{
		Rules: rules(w.T), Jobs: w.jobs(), Balances: w.Store, Quotas: &quota.Service{Store: w.Store, Limits: quota.Of, Now: w.clock}, Now: w.clock,
	}
}

func (w *paying) ledgers(owner string) *rehearsal.Ledgers {
	return &rehearsal.Ledgers{
		Store: w, Now: w.clock, NewOwner: func() string { return owner },
		Steps: &step.Service{
			Model: w, Rules: rules(w.T), Now: w.clock, Sleep: func(context.Context, time.Duration) error { return nil }, Failed: func(context.Context, error) {},
		},
	}
}

func (w *paying) worker() *job.Worker {
	owner := 0
	c := rules(w.T)
	return &job.Worker{
		Store: w, Now: w.clock, NewOwner: func() string { owner++; return fmt.Sprint("worker ", w.now, owner) },
		Tasks: map[job.Kind]job.Task{job.LiveTest: &rehearsal.Task{
			Service: &rehearsal.Service{Rules: c},
			Ledgers: w.ledgers(fmt.Sprint("ledger ", w.now)),
		}},
	}
}

// ends lets workers and the sweeper of jobs work until the job ends.
func (w *paying) ends() (job.Job, rehearsal.Result) {
	sweeper := &job.Sweeper{Store: w, Workers: w, Now: w.clock}
	who := caller.Caller{Org: "org_a", User: "user_1"}
	for range 40 {
		calls := w.calls
		w.calls = nil
		for _, c := range calls {
			w.dead = false
			if err := w.worker().Work(w.Context(), c); err != nil && !w.dead {
				w.Fatal(err)
			}
			w.audit()
		}
		j, text, err := w.jobs().Get(w.Context(), who, w.job)
		if err != nil {
			w.Fatal(err)
		}
		if j.Status.Ended() {
			var r rehearsal.Result
			if text != "" {
				if err := json.Unmarshal([]byte(text), &r); err != nil {
					w.Fatal(err)
				}
			}
			return j, r
		}
		w.now = w.now.Add(job.LeaseTime + job.Grace + time.Second)
		w.dead = false
		if _, err := sweeper.Sweep(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	w.Fatal("the job does not end")
	return job.Job{}, rehearsal.Result{}
}

// start starts a test run of a definition on the sample.
func (w *paying) start(d definition.Definition) (job.Job, error) {
	w.Helper()
	e, source, faults := rehearsal.Request{}.EventFor(rules(w.T).Catalog, d, "org_a", noon)
	if len(faults) > 0 {
		w.Fatal(faults)
	}
	j, err := w.starter().Start(w.Context(), caller.Caller{Org: "org_a", User: "user_1"}, rehearsal.Play{
		Org: "org_a", Plan: credit.Starter, Agent: "agent_1", Version: 1, Definition: d, Event: e, Source: source, At: noon,
	}, []fault.Detail{{Path: "status", Message: "The agent is draft."}})
	w.job = j.ID
	return j, err
}

const thinks = `[
	{"id": "first", "type": "ai_reason", "model": "quick", "prompt": "Sort {{ event_payload.ticket_id }}.", "on_error": "continue",
		"output_schema": {"type": "object", "required": ["word"], "properties": {"word": {"type": "string"}}}},
	{"id": "note", "type": "product_action", "product": "psa", "action": "add_note",
		"params": {"ticket_id": "{{ event_payload.ticket_id }}", "body": "{{ steps.first.output.word | default: 'none' }}", "visibility": "internal"}},
	{"id": "second", "type": "ai_reason", "model": "standard", "prompt": "Say {{ steps.first.output.word | default: 'none' }}.", "on_error": "continue"},
	{"id": "third", "type": "ai_reason", "model": "premium", "prompt": "Judge.", "on_error": "continue"}]`

// Wherever workers die, every credit is in one place at every moment, and an answer is
// charged once, under the agent. The test run ends with the result of a worker that lives,
// and reaches no product.
func TestTheCreditsOfALiveTestAreExactWhereverWorkersDie(t *testing.T) {
	t.Parallel()

	const seeds = 300
	charges, deaths := map[int64]int{}, 0
	for seed := range uint64(seeds) {
		w := newPaying(t, seed)
		w.deaths = w.dice.IntN(job.MaxBegins)
		before := w.deaths
		outcome := map[id.Step]int{"first": w.dice.IntN(4), "second": w.dice.IntN(4), "third": w.dice.IntN(4)}
		want := int64(0)
		for name, price := range map[id.Step]int64{"first": 5, "second": 20, "third": 100} {
			if outcome[name] > 1 || outcome[name] == 1 && name != "first" {
				want += price
			}
		}
		w.answer = func(q step.Question) (step.Answer, error) {
			switch {
			case outcome[q.Step] == 0:
				return step.Answer{}, broken{}
			case outcome[q.Step] == 1 && q.Step == "first":
				return step.Answer{Text: `{"word": 7}`}, nil // refused, and free
			case q.Schema != nil:
				return step.Answer{Text: `{"word": "urgent"}`}, nil
			}
			return step.Answer{Text: "Well."}, nil
		}
		if _, err := w.start(defined(t, thinks)); err != nil {
			t.Fatal(err)
		}
		j, r := w.ends()
		deaths += before - w.deaths
		x, _ := w.ledger()
		if j.Status != job.Completed || r.Credits.Charged != want || x.Credits != want || len(x.Holds) > 0 || !x.Due.IsZero() {
			t.Fatalf("seed %d: the job is %s (%v); charged %d and %d, want %d; holds %v", seed, j.Status, j.Failure, r.Credits.Charged, x.Credits, want, x.Holds)
		}
		if r.Credits.WouldCost != want || len(r.Effects) != 1 || len(r.Warnings) == 0 || r.Warnings[0].Path != "status" {
			t.Errorf("seed %d: the result is %+v", seed, r)
		}
		for _, s := range r.Steps {
			if ok := s.Kind == definition.AI && s.Status == execution.StepCompleted; ok && *s.Source != string(rehearsal.Live) {
				t.Errorf("seed %d: the answer to %s is from %s", seed, s.ID, *s.Source)
			}
		}
		charges[want]++
		w.counted(want)
	}
	if len(charges) < 6 || deaths < seeds/2 {
		t.Errorf("charges %v, %d deaths", charges, deaths)
	}
}

// counted checks that the statistics of the agent got the credits and no run, and that no
// list has the ledger.
func (w *paying) counted(want int64) {
	c, ok, err := w.Contribution(w.Context(), "org_a", execution.LedgerID(w.job))
	if err != nil {
		w.Fatal(err)
	}
	sum := int64(0)
	for _, h := range c.Used {
		sum += h.Amount
	}
	if ok != (want > 0) || sum != want || c.Runs+c.Completed+c.Failed != 0 || !c.LastRun.IsZero() || ok && c.Agent != "agent_1" {
		w.Errorf("the agent got %+v, want %d credits", c, want)
	}
	page, err := w.Executions(w.Context(), "org_a", execution.Query{Limit: 10, Count: true})
	if err != nil || len(page.Executions)+page.Total != 0 {
		w.Errorf("the runs are %+v (%v)", page, err)
	}
}

func TestALiveTestIsRefusedThatTheCreditsMayNotPay(t *testing.T) {
	t.Parallel()

	w := newPaying(t, 1)
	d := defined(t, thinks)
	x := execution.New(execution.Execution{ID: "exec_1", Org: "org_a", Agent: "agent_1"}, noon)
	if err := w.Store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	x.Revision = 1
	c, _ := x.Reserved("s", credit.Hold{Month: "2026-03", Tier: credit.Expert, Amount: 20_000 - 124})
	if err := w.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := w.start(d); !errors.Is(err, credit.ErrInsufficient) || len(w.calls) > 0 {
		t.Errorf("with 124 credits for 125: %v, %d workers", err, len(w.calls))
	}
}

func TestADayHasAtMost200LiveTests(t *testing.T) {
	t.Parallel()

	w := newPaying(t, 1)
	w.answer = func(step.Question) (step.Answer, error) { return step.Answer{}, broken{} }
	s := w.starter()
	for n := range 200 {
		if _, full, err := s.Quotas.AdmitMessages(t.Context(), "org_a", quota.LiveTestsPerDay, strconv.Itoa(n), 1); err != nil || full != nil {
			t.Fatal(full, err)
		}
	}
	if _, err := w.start(defined(t, thinks)); !errors.Is(err, quota.ErrReached) || len(w.calls) > 0 {
		t.Errorf("the 201st: %v, %d workers", err, len(w.calls))
	}
	w.now = w.now.Add(24 * time.Hour)
	if _, err := w.start(defined(t, thinks)); err != nil {
		t.Errorf("the first of the next day: %v", err)
	}
}

// A worker that wakes late may still bring the answer that it has paid for, as long as no
// other has one; it is charged once either way.
func TestTheAnswerOfALateWorkerIsUsedOrRefused(t *testing.T) {
	t.Parallel()

	for name, finishes := range map[string]bool{"the other has only begun": false, "the other has finished": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newPaying(t, 1)
			said := 0
			w.answer = func(step.Question) (step.Answer, error) {
				said++
				if said > 1 {
					return step.Answer{Text: fmt.Sprintf("Answer %d.", said)}, nil
				}
				// The lease of the job has expired, and another worker begins.
				w.now = w.now.Add(2 * job.LeaseTime)
				if finishes {
					if err := w.worker().Work(t.Context(), w.calls[0]); err != nil {
						t.Error(err)
					}
				} else if _, err := w.ledgers("other").Open(t.Context(), "org_a", "agent_1", w.job); err != nil {
					t.Error(err)
				}
				return step.Answer{Text: "Answer 1."}, nil
			}
			if _, err := w.start(defined(t, `[{"id": "only", "type": "ai_reason", "model": "quick", "prompt": "Sort."}]`)); err != nil {
				t.Fatal(err)
			}
			_ = w.worker().Work(t.Context(), w.calls[0]) // it loses its next write
			j, r := w.ends()
			want := "Answer 1."
			if finishes {
				want = "Answer 2."
			}
			if output, ok := r.Steps[0].Output.(map[string]any); j.Status != job.Completed || r.Credits.Charged != 5 || !ok || output["text"] != want {
				t.Errorf("the job is %+v, charged %d, with %v", j, r.Credits.Charged, r.Steps[0].Output)
			}
			if x, _ := w.ledger(); x.Credits != 5 || len(x.Holds) > 0 {
				t.Errorf("the ledger is %+v", x)
			}
		})
	}
}
