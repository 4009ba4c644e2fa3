package memory

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"theoneagents.app/agents/shared/activity"
	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/dispatch"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/machine"
)

// A run is an execution and its recorded steps.
type run struct {
	execution execution.Execution
	steps     execution.Steps

	contribution execution.Contribution // of the last change
	contributes  bool                   // whether it has one
}

// A claim names the run that holds an event's content, and the end of its
// window.
type claim struct {
	execution id.Execution
	until     time.Time
}

// ClaimDedup implements dispatch.Runs.
func (s *Store) ClaimDedup(_ context.Context, x execution.Execution, now, until time.Time) (id.Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	claims, content := s.org(x.Org).claims, contentOf(x)
	if c := claims[content]; now.Before(c.until) {
		return c.execution, nil
	}
	claims[content] = claim{execution: x.ID, until: until}
	return x.ID, nil
}

// contentOf identifies the content of an event for the agent of a run.
func contentOf(x execution.Execution) string { return string(x.Agent) + "#" + x.Trigger.Content() }

// DedupHolder implements dispatch.Runs.
func (s *Store) DedupHolder(_ context.Context, x execution.Execution, now time.Time) (id.Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.org(x.Org).claims[contentOf(x)]; now.Before(c.until) {
		return c.execution, nil
	}
	return "", nil
}

// ReleaseDedup implements dispatch.Runs.
func (s *Store) ReleaseDedup(_ context.Context, x execution.Execution) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	claims, content := s.org(x.Org).claims, contentOf(x)
	if claims[content].execution == x.ID {
		delete(claims, content)
	}
	return nil
}

// LimitStarts implements dispatch.Runs.
func (s *Store) LimitStarts(_ context.Context, o id.Org, a id.Agent) (dispatch.LimitStarts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(o).starts[a], nil
}

// AdmitWithinLimit implements dispatch.Runs. It ignores the starts that the
// caller read: here they save nothing.
func (s *Store) AdmitWithinLimit(_ context.Context, x execution.Execution, l definition.Limit, _ dispatch.LimitStarts, now time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, c := s.org(x.Org).starts, s.org(x.Org).starts[x.Agent]
	starts, why := c.Starts.Admit(x.ID, l, now)
	all[x.Agent] = dispatch.LimitStarts{Starts: starts, Revision: c.Revision + 1}
	return why, nil
}

// Create implements execution.Store.
func (s *Store) Create(ctx context.Context, x execution.Execution) error {
	return s.CreateRetry(ctx, x)
}

// CreateRetry implements execution.Store.
func (s *Store) CreateRetry(_ context.Context, x execution.Execution, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(x.Org)
	if _, ok := o.runs[x.ID]; ok {
		return execution.ErrExists
	}
	x = clone(x)
	x.Revision = 1
	o.runs[x.ID] = &run{execution: x, steps: execution.Steps{}}
	o.record(acts)
	return nil
}

// Execution implements execution.Store.
func (s *Store) Execution(_ context.Context, o id.Org, exec id.Execution) (execution.Execution, execution.Steps, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.org(o).runs[exec]
	if !ok {
		return execution.Execution{}, nil, execution.ErrNotFound
	}
	steps := clone(r.steps)
	if last := r.execution.Last; last != nil {
		steps[last.ID] = clone(*last)
	}
	return clone(r.execution), steps, nil
}

// ExecutionAt implements runner.Store. It reads the steps too: here they cost nothing.
func (s *Store) ExecutionAt(ctx context.Context, c machine.Cursor) (execution.Execution, execution.Steps, error) {
	return s.Execution(ctx, c.Org, c.Execution)
}

// Header implements runner.Store.
func (s *Store) Header(_ context.Context, o id.Org, exec id.Execution) (execution.Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.org(o).runs[exec]
	if !ok {
		return execution.Execution{}, execution.ErrNotFound
	}
	return r.header(), nil
}

// header returns the run without its trigger's payload.
func (r *run) header() execution.Execution {
	x := r.execution
	x.Trigger.Payload = nil
	return clone(x)
}

// Inline implements runner.Store. Memory costs nothing; a bound lets tests see both ways.
func (s *Store) Inline(end execution.Change) bool {
	const most = 400
	last, err := json.Marshal(end.Execution.Last)
	return err == nil && len(last) <= most
}

// SaveNewStep implements runner.Store.
func (s *Store) SaveNewStep(_ context.Context, x execution.Execution, step execution.StepRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.org(x.Org).runs[x.ID]
	if !ok {
		return execution.ErrStale
	}
	if _, recorded := r.steps[step.ID]; recorded {
		return execution.ErrStale
	}
	r.steps[step.ID] = clone(step)
	return nil
}

// FenceStep implements runner.Store.
func (s *Store) FenceStep(_ context.Context, x execution.Execution, step id.Step) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.org(x.Org).runs[x.ID]
	if !ok {
		return execution.ErrStale
	}
	fenced, recorded := r.steps[step]
	fenced.Attempt = x.Lease.Attempt
	if !recorded || !r.takes(fenced) {
		return execution.ErrStale
	}
	r.steps[step] = fenced
	return nil
}

// SaveStep implements runner.Store.
func (s *Store) SaveStep(_ context.Context, x execution.Execution, step execution.StepRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.org(x.Org).runs[x.ID]
	if !ok || !r.takes(step) {
		return execution.ErrStale
	}
	r.steps[step.ID] = clone(step)
	return nil
}

// takes reports whether a step may be recorded: no later attempt and no end is.
func (r *run) takes(step execution.StepRecord) bool {
	old, ok := r.steps[step.ID]
	return !ok || !old.Status.Ended() && old.Attempt <= step.Attempt
}

// Commit implements execution.Store.
func (s *Store) Commit(_ context.Context, c execution.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(c.Execution.Org)
	r, ok := o.runs[c.Execution.ID]
	switch {
	case !ok || r.execution.Revision != c.Execution.Revision:
		return execution.ErrStale
	case slices.ContainsFunc(recorded(c), func(step execution.StepRecord) bool {
		reopens := c.Reopen && c.Step != nil && step.ID == c.Step.ID
		return !reopens && !r.takes(step)
	}):
		return execution.ErrStale
	case c.Gate != nil && o.approvals[c.Gate.ID].Revision != c.Gate.Revision:
		return execution.ErrStale
	}
	if err := o.move(c); err != nil {
		return err
	}
	r.contribution, r.contributes = c.Contribution()
	r.change(clone(c.Execution))
	for _, step := range recorded(c) {
		r.steps[step.ID] = clone(step)
	}
	if c.Gate != nil {
		o.put(*c.Gate)
	}
	o.store(c.Outbox)
	o.record(c.Acts)
	return nil
}

// recorded returns the steps that a change records.
func recorded(c execution.Change) []execution.StepRecord {
	if c.Step == nil {
		return c.Closed
	}
	return append(slices.Clone(c.Closed), *c.Step)
}

// change replaces the changing part of a run.
func (r *run) change(x execution.Execution) {
	old := r.execution
	x.ID, x.Org, x.Agent, x.Version = old.ID, old.Org, old.Agent, old.Version
	x.Trigger, x.RetryOf, x.By, x.Denials, x.Created = old.Trigger, old.RetryOf, old.By, old.Denials, old.Created
	x.Untracked, x.RootRuns = old.Untracked, old.RootRuns
	x.Revision = old.Revision + 1
	r.execution = x
}

// move takes the reserved credits from the balances and gives the released ones
// back, or does neither.
func (o *org) move(c execution.Change) error {
	delta := c.Gains()
	if c.Reserve != nil {
		b, err := o.balance(c.Reserve.Month)
		if err != nil {
			return err
		}
		if b.Remaining+delta[c.Reserve.Month] < 0 {
			return credit.ErrInsufficient
		}
		_, low := b.With(-delta[c.Reserve.Month])
		other := c.Seen != nil && (c.Seen.Remaining != b.Remaining || c.Seen.Allocation != b.Allocation || c.Seen.Announced != b.Announced)
		if other || c.Watched && c.Seen == nil && low.Marks != 0 {
			return &credit.Reached{Balance: b}
		}
	}
	if p := c.Pardon; p != nil {
		b, err := o.balance(p.Hold.Month)
		switch {
		case err != nil:
			return err
		case !b.Pardons(*p):
			return &credit.Moved{Balance: b}
		}
		b, _ = b.Forgive(p.Day, p.Hold.Amount)
		o.months[p.Hold.Month] = b
	}
	freed := c.Freed()
	for m, n := range delta {
		b, err := o.balance(m)
		if err != nil {
			return err
		}
		b.Remaining += n
		b.Announced &^= freed[m]
		if c.Reserve != nil && c.Reserve.Month == m {
			b.Announced |= c.Reserve.Low.Marks
		}
		b.Updated = c.Execution.Changed()
		o.months[m] = b
	}
	return nil
}

// Overdue implements sweep.Store.
func (s *Store) Overdue(_ context.Context, now time.Time, limit int) ([]machine.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*run
	for _, o := range s.orgs {
		for _, r := range o.runs {
			if r.execution.Swept() && r.execution.Due.Before(now) {
				due = append(due, r)
			}
		}
	}
	slices.SortFunc(due, func(a, b *run) int { return a.execution.Due.Compare(b.execution.Due) })
	cursors := make([]machine.Cursor, 0, min(len(due), limit))
	for _, r := range due[:min(len(due), limit)] {
		cursors = append(cursors, machine.Cursor{Org: r.execution.Org, Execution: r.execution.ID})
	}
	return cursors, nil
}

// Approval implements approval.Store.
func (s *Store) Approval(_ context.Context, o id.Org, appr id.Approval) (approval.Approval, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.org(o).approvals[appr]
	if !ok {
		return approval.Approval{}, approval.ErrNotFound
	}
	return clone(a), nil
}

// put stores an approval.
func (o *org) put(a approval.Approval) {
	a = clone(a)
	a.Revision++
	o.approvals[a.ID] = a
}

// SaveDecision implements approval.Store.
func (s *Store) SaveDecision(_ context.Context, a approval.Approval, due time.Time, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(a.Org)
	r, ok := o.runs[a.Execution]
	if !ok || r.execution.Status != execution.WaitingApproval || o.approvals[a.ID].Revision != a.Revision {
		return approval.ErrStale
	}
	r.execution.Due = due
	o.put(a)
	o.record(acts)
	return nil
}

// Refusal implements dispatch.Runs.
func (s *Store) Refusal(_ context.Context, e activity.Entry) (definition.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(e.Org).refusals[e.ID].Outcome, nil
}

// Refuse implements dispatch.Runs.
func (s *Store) Refuse(_ context.Context, e activity.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refusals := s.org(e.Org).refusals; refusals[e.ID].ID == "" {
		refusals[e.ID] = e
	}
	return nil
}
