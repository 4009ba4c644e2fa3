package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/job"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/quota"
	"theoneagents.app/agents/shared/tenant"
)

// A test run with live models is a job: models may take longer than a request, and what
// they cost must be charged once, whichever worker dies when. The job has everything that
// the test run depends on but the answers, and these are in its ledger. So a worker that
// goes on from another plays the same run, with the answers that there are.

// args are the arguments of the job, as they are stored.
type args struct {
	Agent      id.Agent                        `json:"agent"`
	Version    int                             `json:"version"`
	System     bool                            `json:"system,omitempty"`
	Definition *definition.Definition          `json:"definition"`
	Event      json.RawMessage                 `json:"event"` // its envelope
	Source     EventSource                     `json:"source"`
	Outside    json.RawMessage                 `json:"outside"` // an object of the client's profile and the replies
	Fail       map[id.Step]string              `json:"fail,omitempty"`
	Decisions  map[id.Step][]Decision          `json:"decisions,omitempty"`
	Ignore     bool                            `json:"ignore_match,omitempty"`
	At         time.Time                       `json:"at"`
	Plan       credit.Plan                     `json:"plan"`
	Chosen     map[tenant.Policy]tenant.Choice `json:"chosen,omitempty"`
	Warnings   []fault.Detail                  `json:"warnings,omitempty"`
}

// argsOf returns the arguments of the job for a play.
func argsOf(p Play, warnings []fault.Detail) (string, error) {
	e, err := json.Marshal(p.Event)
	if err != nil {
		return "", fmt.Errorf("write the event: %w", err)
	}
	outside := map[string]any{"replies": p.Answers.Replies}
	if p.Client != nil {
		outside["client"] = p.Client
	}
	text, err := json.Marshal(args{
		Agent: p.Agent, Version: p.Version, System: p.System, Definition: &p.Definition, Event: e, Source: p.Source,
		Outside: json.RawMessage(jsonvalue.Canonical(outside)), Fail: p.Answers.Fail, Decisions: p.Answers.Decisions, Ignore: p.Answers.IgnoreMatch,
		At: p.At, Plan: p.Plan, Chosen: p.Settings.Chosen, Warnings: warnings,
	})
	if err != nil {
		return "", fmt.Errorf("write the arguments of a test run: %w", err)
	}
	return string(text), nil
}

// play returns the play of the job, and the warnings of its start.
func (a args) play(org id.Org) (Play, error) {
	e, err := event.Parse(a.Definition.Trigger.Product, a.Definition.Trigger.EventType, a.Event)
	if err != nil {
		return Play{}, fmt.Errorf("read the event: %w", err)
	}
	outside, err := jsonvalue.Object(a.Outside)
	if err != nil {
		return Play{}, fmt.Errorf("read the answers: %w", err)
	}
	replies, _ := outside["replies"].(map[string]any)
	client, _ := outside["client"].(map[string]any)
	return Play{
		Org: org, Plan: a.Plan, Settings: tenant.Settings{Chosen: a.Chosen}, Agent: a.Agent, Version: a.Version, System: a.System,
		Definition: *a.Definition, Event: e, Source: a.Source, Client: client, At: a.At,
		Answers: Answers{Replies: replies, Fail: a.Fail, Decisions: a.Decisions, IgnoreMatch: a.Ignore},
	}, nil
}

// Starter starts test runs with live models.
type Starter struct {
	Rules    definition.Rules
	Jobs     *job.Service
	Balances interface {
		Balance(ctx context.Context, org id.Org, m credit.Month) (credit.Balance, error)
	}
	Quotas interface {
		// AdmitMessages counts n test runs of today, as quota.Service does.
		AdmitMessages(ctx context.Context, org id.Org, name quota.Name, key string, n int) (int, *quota.Reached, error)
	}
	Now func() time.Time
}

// Start starts the job of a test run. It returns job.ErrRunning, quota.ErrReached, ErrTooLong
// for a play that is too large to be kept, or credit.ErrInsufficient when the balance has
// less than the test run may cost.
func (s *Starter) Start(ctx context.Context, who caller.Caller, p Play, warnings []fault.Detail) (job.Job, error) {
	b, err := s.Balances.Balance(ctx, who.Org, credit.MonthOf(s.Now()))
	if err != nil {
		return job.Job{}, fmt.Errorf("find the balance for a test run: %w", err)
	}
	most := s.Rules.Capabilities(p.Definition).Bounds.Credits
	if b.Remaining < most {
		return job.Job{}, credit.ErrInsufficient.Sayf("The test run may cost %d credits; the organization has %d left this month.", most, max(b.Remaining, 0))
	}
	text, err := argsOf(p, warnings)
	if err != nil {
		return job.Job{}, err
	}
	if len(text) > job.MaxArgs {
		return job.Job{}, ErrTooLong.Sayf("The definition, the event and the answers have %d bytes; %d are allowed with live models.", len(text), job.MaxArgs)
	}
	key := id.Derive(s.Now(), string(who.Org), text)
	if _, full, err := s.Quotas.AdmitMessages(ctx, who.Org, quota.LiveTestsPerDay, key, 1); err != nil {
		return job.Job{}, err
	} else if full != nil {
		return job.Job{}, full
	}
	return s.Jobs.Start(ctx, who, job.LiveTest, text)
}

// Task plays the test runs of jobs with live models.
type Task struct {
	Service *Service
	Ledgers *Ledgers
}

// between is the time between two signs of life. The lease of a job is several times longer.
const between = 10 * time.Second

// Do implements job.Task. The model of a step may take longer than the lease of the job, so
// the worker tells of its progress meanwhile.
func (t *Task) Do(ctx context.Context, j job.Job, text string, tell func(job.Progress) error) (string, error) {
	var a args
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return "", fmt.Errorf("read the arguments of %s: %w", j.ID, err)
	}
	p, err := a.play(j.Org)
	if err != nil {
		return "", fmt.Errorf("the test run of %s: %w", j.ID, err)
	}
	if p.Ledger, err = t.Ledgers.Open(ctx, j.Org, a.Agent, j.ID); err != nil {
		return "", err
	}
	r, err := t.alive(ctx, p, tell)
	switch {
	case errors.Is(err, ErrTooLong):
		if _, closing := p.Ledger.Close(ctx, execution.Completed); closing != nil {
			return "", closing
		}
		return "", err
	case err != nil:
		return "", err
	}
	if r.Credits.Charged, err = p.Ledger.Close(ctx, execution.Completed); err != nil {
		return "", err
	}
	r.Warnings = append(append([]fault.Detail{}, a.Warnings...), r.Warnings...)
	r = r.Hidden(definition.Channel.Shown)
	out, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("write the result of %s: %w", j.ID, err)
	}
	if len(out) > job.MaxResult {
		return "", ErrTooLong.Sayf("The result of the test run has %d bytes; %d are allowed with live models. It was charged %d credits.", len(out), job.MaxResult, r.Credits.Charged)
	}
	return string(out), nil
}

// alive plays a test run and tells of its progress. It stops the run when the job is no
// longer the worker's. The ledger of a job that was cancelled stays open until the sweeper
// closes it: another worker may have it.
func (t *Task) alive(ctx context.Context, p Play, tell func(job.Progress) error) (Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	type outcome struct {
		result Result
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		r, err := t.Service.Run(ctx, p)
		ended <- outcome{r, err}
	}()
	most := aiSteps(p.Definition)
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		select {
		case o := <-ended:
			return o.result, o.err
		case <-tick.C:
			n := p.Ledger.Answers()
			if err := tell(job.Progress{Cursor: fmt.Sprintf("%d answers", n), Done: n, Of: most}); err != nil {
				stop(err)
				<-ended
				return Result{}, err
			}
		}
	}
}

var _ job.Task = (*Task)(nil)

// aiSteps returns the number of steps that may ask a model.
func aiSteps(d definition.Definition) int {
	n := 0
	definition.EachStep(d.Steps, func(s definition.Step) {
		if s.AIStep != nil {
			n++
		}
	})
	return n
}
