// Package rehearsal plays an agent on an event without an effect: a test run shows
// what the agent would do before it is switched on.
//
// It has no engine of its own. The services that judge and run live events (dispatch,
// runner, step, approval) run over a store in memory that ends with the test run. The
// difference is in the ports:
//
//	products, senders   record the effect and answer with a reply of the request, the
//	                    catalogue's sample, or nothing
//	model               answers with an answer of the request, with the one that an earlier
//	                    run got for the same question, or with one that fits the schema;
//	                    a test run with live models is a job, and asks them through its ledger
//	people              decide as the request says; otherwise they approve
//	time                is the run's own and passes at once
//
// So no step kind knows of test runs, and a new kind is held back without a change
// here. A service gets a Play and returns a Result; both are JSON documents of the API,
// which the offline program shares.
package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
	"theoneagents.app/agents/shared/memory"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/runner"
	"theoneagents.app/agents/shared/step"
	"theoneagents.app/agents/shared/tenant"
)

// The bounds of a test run.
const (
	MaxTurns    = 2_000
	MaxTime     = 10 * time.Second
	MaxLiveTime = 10 * time.Minute // with live models
	MaxResult   = 4 << 20          // of the result as JSON, in bytes
)

// ErrTooLong refuses a test run that exceeds a bound.
var ErrTooLong = fault.New(fault.Invalid, "test_too_long", "The test run takes too long.")

// A Play is all that a test run depends on: equal plays have equal results. A play with a
// recording depends on the runs too, and one with a ledger on the answers in it.
type Play struct {
	Org        id.Org
	Plan       credit.Plan     // whose quotas of messages hold
	Settings   tenant.Settings // the rules of the organization about approvals
	Agent      id.Agent
	Version    int
	System     bool // an agent of the platform
	Definition definition.Definition
	Event      event.Event
	Source     EventSource    // of the event, for the result
	Client     map[string]any // the profile of the event's client; nil for none
	At         time.Time      // when the event arrives
	Answers    Answers
	Recording  *Recording // answers the questions that Answers does not; nil for none
	Ledger     *Ledger    // in which live models answer the questions; nil for none
}

// Answers are the answers of the outside, as the request has them.
type Answers struct {
	Model       map[id.Step]any    // of models; a text for a step without a schema
	Replies     map[string]any     // of products: objects, by step or by "product.action"
	Fail        map[id.Step]string // the codes with which steps fail
	Decisions   map[id.Step][]Decision
	IgnoreMatch bool // play an event too that does not start the agent
}

// A Decision is what people decide about one question of a gate.
type Decision string

// The decisions.
const (
	Approved Decision = "approved"
	Denied   Decision = "denied"
	Expired  Decision = "expired" // nobody decides in time
)

// decision returns the decision about the n-th question of a gate, from 0.
func (a Answers) decision(gate id.Step, n int) Decision {
	list := a.Decisions[gate]
	if len(list) == 0 {
		return Approved
	}
	return list[min(n, len(list)-1)]
}

// Service plays test runs.
type Service struct {
	Rules definition.Rules
}

// link returns the address of an approval in messages. There is no such page: the host
// is reserved for examples.
func link(a id.Approval) string { return "https://console.example/approvals/" + string(a) }

// Run plays an agent. It returns ErrTooLong for a run beyond the bounds; a definition
// that fails, or that the event does not start, is a result.
func (s *Service) Run(ctx context.Context, p Play) (Result, error) {
	caller := ctx
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx)) // without a deadline, which would divide the run into turns
	defer cancel(nil)
	defer context.AfterFunc(caller, func() { cancel(context.Cause(caller)) })()
	most := MaxTime
	if p.Ledger != nil {
		most = MaxLiveTime
	}
	tooLong := ErrTooLong.Sayf("The test run took longer than %d seconds.", int64(most/time.Second))
	timer := time.AfterFunc(most, func() { cancel(tooLong) })
	defer timer.Stop()
	st := s.stage(p)
	if err := st.dispatch(ctx); err != nil {
		return Result{}, cause(ctx, err)
	}
	if st.started {
		if err := st.run(ctx); err != nil {
			return Result{}, cause(ctx, err)
		}
	}
	r, err := st.result(ctx)
	if err != nil {
		return Result{}, err
	}
	text, err := json.Marshal(r)
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("write the result: %w", err)
	case len(text) > MaxResult:
		return Result{}, ErrTooLong.Sayf("The result of the test run has %d bytes; %d are allowed.", len(text), MaxResult)
	}
	return r, nil
}

// cause returns why the time of a test run ended, or else its error.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A stage is one test run: the services, their store, and what the ports recorded.
type stage struct {
	Play
	*clock
	*held

	service *Service
	store   *memory.Store
	facts   condition.Facts

	outcome definition.Outcome // of the event at the agent
	why     string
	started bool // a run was recorded, also with IgnoreMatch
	cursor  machine.Cursor
	rang    bool // the question's machine was woken at once
	gates   []*question
}

// stage returns the stage of a play. Credits suffice for every definition: a test run
// is not charged.
func (s *Service) stage(p Play) *stage {
	return &stage{
		Play: p, clock: newClock(p.At), held: newHeld(s.Rules.Catalog, p.Definition, p.Answers, p.Recording), service: s, store: memory.New(),
		facts: condition.Facts{Event: p.Event, Client: p.Client},
	}
}

// quotas returns the quotas of the organization's plan, which the store does not know:
// its plan is the one with the most credits.
func (st *stage) quotas() *quota.Service {
	return &quota.Service{Store: st.store, Limits: func(credit.Plan) quota.Limits { return quota.Of(st.Plan) }, Now: st.Now}
}

// dispatch lets the dispatcher judge the event and record the run.
func (st *stage) dispatch(ctx context.Context) error {
	t := tenant.Tenant{Org: st.Org, Plan: credit.Scale, Created: st.At, Updated: st.At, PlanAt: st.At, StateAt: st.At}
	if err := st.store.SaveTenant(ctx, t, credit.MonthOf(st.At)); err != nil {
		return err
	}
	t.Revision, t.Settings = 1, st.Settings
	if err := st.store.SaveSettings(ctx, t); err != nil {
		return err
	}
	if err := st.judge(ctx, st.Definition); err != nil || st.started || !st.Answers.IgnoreMatch {
		return err
	}
	outcome, why := st.outcome, st.why
	d := st.Definition
	d.Trigger.Filters, d.Conditions, d.Scope, d.Trigger.AllowAgentTriggered = nil, nil, definition.Scope{}, true
	if err := st.judge(ctx, d); err != nil {
		return err
	}
	if st.started {
		st.outcome, st.why = outcome, why
	}
	return nil
}

// judge dispatches the event to the agent with a definition.
func (st *stage) judge(ctx context.Context, d definition.Definition) error {
	listener := agent.Listener{Agent: st.Agent, Version: max(st.Play.Version, 1), System: st.System, Definition: d}
	service := &dispatch.Service{
		Tenants: st.store, Agents: only{listener}, Rules: st.service.Rules, Deactivator: nobody{}, Profiles: st, Runs: st.store, Quotas: st.quotas(),
		Machine: st, Orgs: nobody{}, Clients: nobody{}, Owners: nobody{}, Now: st.Now,
	}
	if err := service.Dispatch(ctx, st.Event); err != nil {
		return err
	}
	if st.started {
		st.outcome, st.why = definition.Started, ""
		return nil
	}
	page, err := st.store.Activity(ctx, st.Org, st.Agent, activity.Query{Limit: 1})
	if err != nil {
		return err
	}
	if len(page.Entries) == 0 {
		return errors.New("the dispatcher neither started the agent nor said why not")
	}
	st.outcome, st.why = page.Entries[0].Outcome, page.Entries[0].Detail
	return nil
}

// run plays the machine: it calls the runner as the state machines do, and decides at
// gates.
func (st *stage) run(ctx context.Context) error {
	r := st.runner()
	call := machine.Call{Op: machine.OpRun, Cursor: st.cursor, Owner: "rehearsal"}
	for range MaxTurns {
		next, err := r.Handle(ctx, call)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		call.Cursor = next.Cursor
		switch next.Next {
		case machine.NextDone:
			return nil
		case machine.NextRun, machine.NextWait:
			st.pass(time.Duration(next.Seconds) * time.Second)
		case machine.NextGate:
			if err := st.gate(ctx, r, call.Cursor, next.Seconds); err != nil {
				return err
			}
		}
	}
	return ErrTooLong.Sayf("The test run took %d turns; at most %d are allowed.", MaxTurns, MaxTurns)
}

func (st *stage) runner() *runner.Service {
	return &runner.Service{
		Store: st.store, Definitions: st, Actions: st.service.Rules.Catalog, Profiles: st, Doorbell: st, Outbox: nobody{}, Pauses: nobody{},
		Link: link, Now: st.Now, Sleep: st.Sleep, Report: func(context.Context, error) {}, Observe: func(context.Context, runner.Result) {},
		Steps: st.steps(),
	}
}

// steps returns the executor of steps, whose ports hold every effect back.
func (st *stage) steps() runner.Steps {
	s := &step.Service{
		Model: st.held, Products: st.held, Senders: st.senders(), Quotas: st.quotas(), Rules: st.service.Rules,
		Now: st.Now, Sleep: st.Sleep, Failed: func(context.Context, error) {},
	}
	if st.Ledger != nil {
		return paid{s, st}
	}
	return s
}

// gate asks the question of the gate at which the run is parked, and lets people decide
// as the play says. Without a decision the time of the machine passes.
func (st *stage) gate(ctx context.Context, r *runner.Service, c machine.Cursor, seconds int64) error {
	st.rang = false
	if _, err := r.Handle(ctx, machine.Call{Op: machine.OpGate, Cursor: c, Owner: "rehearsal", Token: "token"}); err != nil {
		return err
	}
	if st.rang {
		return nil
	}
	a, ok, err := st.asked(ctx)
	if err != nil || !ok {
		return err
	}
	q := st.question(a)
	if q.decision == Expired {
		st.pass(time.Duration(seconds) * time.Second)
		return nil
	}
	decisions := &approval.Service{Store: st.store, Tenants: st.store, Revocations: st.store, Doorbell: st, Now: st.Now}
	for n := range max(a.Min, 1) {
		v := approval.Verdict{Approve: q.decision == Approved, Note: "Assumed in a test run."}
		if a, err = decisions.Decide(ctx, assumed(st.Org, n, st.Now()), a.ID, v); err != nil {
			return fmt.Errorf("decide %s as assumed: %w", a.ID, err)
		}
		if a.Status != approval.Pending {
			return nil
		}
	}
	return nil
}

// asked returns the open approval at which the run waits, and whether there is one.
func (st *stage) asked(ctx context.Context) (approval.Approval, bool, error) {
	_, trace, err := st.trace(ctx)
	if err != nil {
		return approval.Approval{}, false, err
	}
	at, more := trace.Next()
	if !more || at.Status != execution.StepWaiting || at.Definition.GateStep == nil {
		return approval.Approval{}, false, nil
	}
	a, err := st.store.Approval(ctx, st.Org, approval.ID(at.Asked, st.cursor.Execution, at.ID))
	return a, err == nil && a.Status == approval.Pending, err
}

// trace returns the run as it is now.
func (st *stage) trace(ctx context.Context) (execution.Execution, execution.Trace, error) {
	x, steps, err := st.store.Execution(ctx, st.Org, st.cursor.Execution)
	return x, execution.TraceOf(st.Definition, steps, x.Status.Ended()), err
}

// A question is one question of a gate with the decision that is assumed.
type question struct {
	approval approval.Approval // as it was asked
	decision Decision
	timeout  time.Duration
}

// question returns the question of an open approval. A reminder is the same question;
// an escalated gate, and one that asks again, has another.
func (st *stage) question(a approval.Approval) *question {
	n := 0
	for _, q := range st.gates {
		if q.approval.ID == a.ID && q.approval.Escalated == a.Escalated {
			return q
		}
		if q.approval.Step == a.Step {
			n++
		}
	}
	q := &question{approval: a, decision: st.Answers.decision(a.Step, n), timeout: a.Expires.Sub(st.Now())}
	st.gates = append(st.gates, q)
	return q
}
