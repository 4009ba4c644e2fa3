package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// records is the part of the store that a report reads.
type records interface {
	// Execution returns a run and its recorded steps, or execution.ErrNotFound.
	Execution(ctx context.Context, o id.Org, x id.Execution) (execution.Execution, execution.Steps, error)
	// Approval returns an approval, or approval.ErrNotFound.
	Approval(ctx context.Context, o id.Org, a id.Approval) (approval.Approval, error)
	// Balance returns the organization's credit balance of a month.
	Balance(ctx context.Context, o id.Org, m credit.Month) (credit.Balance, error)
	// Stats returns the counters of the organization's agents.
	Stats(ctx context.Context, o id.Org) (map[id.Agent]agent.Stats, error)
	// Tenant returns the organization, or tenant.ErrUnknown.
	Tenant(ctx context.Context, o id.Org) (tenant.Tenant, error)
}

// definitions finds the definition of a run.
type definitions interface {
	Version(ctx context.Context, o id.Org, a id.Agent, version int) (definition.Definition, error)
}

// A runReport is everything that is stored about a run.
type runReport struct {
	Run       record                 `json:"execution"`
	Event     event.Event            `json:"event"`
	Activity  entry                  `json:"activity"`
	Steps     []execution.StepRecord `json:"steps"`
	Approvals []question             `json:"approvals"`
	Ledger    ledger                 `json:"ledger"`
	Machines  machines               `json:"machines"`
}

// A record is a run as it is stored.
type record struct {
	ID        id.Execution       `json:"id"`
	Org       id.Org             `json:"org_id"`
	Plan      credit.Plan        `json:"plan"`
	Suspended bool               `json:"org_suspended"`
	Agent     id.Agent           `json:"agent_id"`
	Version   int                `json:"version"`
	RetryOf   id.Execution       `json:"retry_of,omitempty"`
	Status    execution.Status   `json:"status"`
	Reason    execution.Reason   `json:"status_reason,omitempty"`
	Error     *execution.Failure `json:"error,omitempty"`
	Credits   int64              `json:"credits_used"`
	Created   time.Time          `json:"created_at"`
	Started   time.Time          `json:"started_at,omitzero"`
	Completed time.Time          `json:"completed_at,omitzero"`
	Owner     string             `json:"lease_owner,omitempty"`
	Until     time.Time          `json:"lease_until,omitzero"`
	Attempt   int64              `json:"lease_attempt"`
	Due       time.Time          `json:"due,omitzero"` // when the sweeper takes the run up, unless it moved before
	Revision  int64              `json:"revision"`
}

// An entry is the run's entry in the activity of its agent.
type entry struct {
	ID      id.Activity        `json:"id,omitempty"` // empty for a retry, which a person started
	Outcome definition.Outcome `json:"outcome,omitempty"`
	At      time.Time          `json:"at,omitzero"`
}

// A question is an approval as it is stored, without its task token.
type question struct {
	ID        id.Approval     `json:"id"`
	Step      id.Step         `json:"step_id"`
	Status    approval.Status `json:"status"`
	Message   string          `json:"message"`
	Actions   []action        `json:"actions"`
	Approvers approvers       `json:"approvers"`
	Min       int             `json:"min_approvals"`
	Votes     []vote          `json:"votes"`
	Created   time.Time       `json:"created_at"`
	Expires   time.Time       `json:"expires_at"`
	Remind    time.Time       `json:"remind_at,omitzero"`
	DecidedBy id.User         `json:"decided_by,omitempty"`
	DecidedAt time.Time       `json:"decided_at,omitzero"`
	Parked    bool            `json:"machine_waits"` // a machine has parked its task token
}

// The parts of an approval, and a balance, as documents.
type (
	action struct {
		Step    id.Step        `json:"step_id"`
		Product string         `json:"product"`
		Action  string         `json:"action"`
		Params  map[string]any `json:"params"` // null: they depend on steps after the gate
	}
	approvers struct {
		Roles []caller.Role `json:"roles"`
		Users []id.User     `json:"users"`
	}
	vote struct {
		User    id.User   `json:"user"`
		Approve bool      `json:"approve"`
		Note    string    `json:"note,omitempty"`
		At      time.Time `json:"at"`
		Issued  time.Time `json:"session_issued_at,omitzero"`
	}
	balance struct {
		Month      credit.Month `json:"month"`
		Allocation int64        `json:"allocation"`
		Remaining  int64        `json:"remaining"` // without reserved credits
		Updated    time.Time    `json:"updated_at,omitzero"`
	}
)

// A ledger lists the credits of a run. Each credit is in exactly one place: held
// by the run, used by the agent, or in the month's balance.
type ledger struct {
	Held     []price                                `json:"held"`     // reserved and not settled
	Charged  []price                                `json:"charged"`  // paid AI answers
	Returned []id.Step                              `json:"returned"` // ended AI steps without a charge
	Balances []balance                              `json:"balances"` // of the months of these credits
	Used     map[credit.Month]map[credit.Tier]int64 `json:"agent_used"`
	Runs     int64                                  `json:"agent_runs"`
}

// A price is the credits of a step.
type price struct {
	credit.Hold

	Step id.Step `json:"step_id"`
}

// A reader collects the report of a run.
type reader struct {
	records     records
	definitions definitions
	machines    watcher
	newest      lister
	at          target
}

// read returns the run, or execution.ErrNotFound.
func (r reader) read(ctx context.Context, o id.Org, exec id.Execution) (runReport, error) {
	x, done, err := r.records.Execution(ctx, o, exec)
	if err != nil {
		return runReport{}, fmt.Errorf("read %s of %s: %w", exec, o, err)
	}
	t, err := r.records.Tenant(ctx, o)
	if err != nil && !errors.Is(err, tenant.ErrUnknown) {
		return runReport{}, fmt.Errorf("read %s: %w", o, err)
	}
	all := runReport{Run: recordOf(x, t), Event: x.Trigger, Activity: entryOf(x)}
	if all.Steps, err = r.steps(ctx, x, done); err != nil {
		return all, err
	}
	if all.Approvals, err = r.approvals(ctx, x, all.Steps); err != nil {
		return all, err
	}
	if all.Ledger, err = r.ledger(ctx, x, all.Steps); err != nil {
		return all, err
	}
	all.Machines, err = machinesOf(ctx, r.machines, r.at, x)
	return all, err
}

func recordOf(x execution.Execution, t tenant.Tenant) record {
	return record{
		ID: x.ID, Org: x.Org, Plan: t.Plan, Suspended: t.Suspended, Agent: x.Agent, Version: x.Version, RetryOf: x.RetryOf,
		Status: x.Status, Reason: x.Reason, Error: x.Error, Credits: x.Credits,
		Created: x.Created, Started: x.Started, Completed: x.Completed,
		Owner: x.Lease.Owner, Until: x.Lease.Until, Attempt: x.Lease.Attempt, Due: x.Due, Revision: x.Revision,
	}
}

func entryOf(x execution.Execution) entry {
	if x.RetryOf != "" {
		return entry{}
	}
	e := x.Entry()
	return entry{e.ID, e.Outcome, e.At}
}

// steps returns the steps in the order of the definition. Without a definition it
// returns the recorded steps in the order of time.
func (r reader) steps(ctx context.Context, x execution.Execution, done execution.Steps) ([]execution.StepRecord, error) {
	d, err := r.definitions.Version(ctx, x.Org, x.Agent, x.Version)
	steps := []execution.StepRecord{}
	switch {
	case errors.Is(err, agent.ErrNotFound):
		for _, s := range done {
			steps = append(steps, s)
		}
		slices.SortFunc(steps, func(a, b execution.StepRecord) int {
			return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
		})
	case err != nil:
		return nil, fmt.Errorf("read version %d of %s: %w", x.Version, x.Agent, err)
	default:
		for _, s := range execution.TraceOf(d, done, x.Status.Ended()).Delivered(done) {
			steps = append(steps, s.StepRecord)
		}
	}
	return steps, nil
}

// approvals returns the approvals that the run's gates requested.
func (r reader) approvals(ctx context.Context, x execution.Execution, steps []execution.StepRecord) ([]question, error) {
	asked := []question{}
	for _, s := range steps {
		if s.Asked.IsZero() {
			continue
		}
		a, err := r.records.Approval(ctx, x.Org, approval.ID(s.Asked, x.ID, s.ID))
		if errors.Is(err, approval.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the approval of %s: %w", s.ID, err)
		}
		asked = append(asked, questionOf(a))
	}
	return asked, nil
}

func questionOf(a approval.Approval) question {
	q := question{
		ID: a.ID, Step: a.Step, Status: a.Status, Message: a.Message, Approvers: approvers(a.Approvers),
		Min: a.Min, Created: a.Created, Expires: a.Expires, Remind: a.Remind,
		DecidedBy: a.DecidedBy, DecidedAt: a.DecidedAt, Parked: a.Token != "",
		Actions: []action{}, Votes: []vote{},
	}
	for _, x := range a.Actions {
		q.Actions = append(q.Actions, action(x))
	}
	for _, v := range a.Votes {
		q.Votes = append(q.Votes, vote(v))
	}
	return q
}

func (r reader) ledger(ctx context.Context, x execution.Execution, steps []execution.StepRecord) (ledger, error) {
	l := ledger{Held: []price{}, Charged: []price{}, Returned: []id.Step{}}
	months := map[credit.Month]bool{credit.MonthOf(x.Created): true}
	for _, step := range slices.Sorted(maps.Keys(x.Holds)) { // the step may not be recorded yet
		l.Held = append(l.Held, price{x.Holds[step], step})
		months[x.Holds[step].Month] = true
	}
	for _, s := range steps {
		_, held := x.Holds[s.ID]
		switch {
		case held: // an answered step is charged when the run parks or ends
		case s.Charge != nil:
			l.Charged = append(l.Charged, price{*s.Charge, s.ID})
			months[s.Charge.Month] = true
		case s.Kind == definition.AI && s.Status.Ended() && !s.Started.IsZero():
			l.Returned = append(l.Returned, s.ID)
		}
	}
	var err error
	if l.Balances, err = r.balances(ctx, x.Org, months); err != nil {
		return l, err
	}
	stats, err := r.records.Stats(ctx, x.Org)
	if err != nil {
		return l, fmt.Errorf("read the counters of %s: %w", x.Agent, err)
	}
	l.Used, l.Runs = stats[x.Agent].Credits, stats[x.Agent].Runs
	return l, nil
}

func (r reader) balances(ctx context.Context, o id.Org, months map[credit.Month]bool) ([]balance, error) {
	all := []balance{}
	for _, m := range slices.Sorted(maps.Keys(months)) {
		b, err := r.records.Balance(ctx, o, m)
		if errors.Is(err, tenant.ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the balance of %s: %w", m, err)
		}
		all = append(all, balance{Month: b.Month, Allocation: b.Allocation, Remaining: b.Remaining, Updated: b.Updated})
	}
	return all, nil
}
