package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

// MaxRecorded is the number of runs among whose answers a test run looks for recorded
// ones.
const MaxRecorded = 50

// Runs reads the runs of an organization, as execution.Store does.
type Runs interface {
	Execution(ctx context.Context, org id.Org, exec id.Execution) (execution.Execution, execution.Steps, error)
	Executions(ctx context.Context, org id.Org, q execution.Query) (execution.Page, error)
}

// A Recording finds the answers that the runs of an agent got from models: those of its
// newest MaxRecorded runs, and last those of one more. It reads a run when no newer one has
// the answer.
type Recording struct {
	runs  Runs
	org   id.Org
	agent id.Agent
	last  id.Execution
	now   time.Time

	listed bool
	left   []id.Execution       // runs to read, the newest first
	read   int                  // runs that were read
	known  map[string]*recorded // by the digest of the question
}

// A recorded is the answer of a run.
type recorded struct {
	output any
	run    id.Execution
}

// NewRecording returns the recording of an agent. The run last counts however old it is,
// unless it is empty. Runs that are no longer kept at now do not count.
func NewRecording(runs Runs, org id.Org, a id.Agent, last id.Execution, now time.Time) *Recording {
	return &Recording{runs: runs, org: org, agent: a, last: last, now: now, known: map[string]*recorded{}}
}

// answer returns the answer that the newest run got for the question with a digest, or
// nil.
func (r *Recording) answer(ctx context.Context, digest string) (*recorded, error) {
	if err := r.list(ctx); err != nil {
		return nil, err
	}
	for r.known[digest] == nil && len(r.left) > 0 {
		if err := r.readNext(ctx); err != nil {
			return nil, err
		}
	}
	return r.known[digest], nil
}

// list lists the runs once.
func (r *Recording) list(ctx context.Context) error {
	if r.listed {
		return nil
	}
	page, err := r.runs.Executions(ctx, r.org, execution.Query{Agent: r.agent, Limit: MaxRecorded, Now: r.now})
	if err != nil {
		return fmt.Errorf("list the runs with recorded answers: %w", err)
	}
	r.listed = true
	for _, x := range page.Executions {
		if r.left = append(r.left, x.ID); x.ID == r.last {
			r.last = ""
		}
	}
	if r.last != "" {
		r.left = append(r.left, r.last)
	}
	return nil
}

// readNext reads the answers of the next run. Those of newer runs stay.
func (r *Recording) readNext(ctx context.Context) error {
	name := r.left[0]
	x, steps, err := r.runs.Execution(ctx, r.org, name)
	if err != nil && !errors.Is(err, execution.ErrNotFound) {
		return fmt.Errorf("read the recorded answers of %s: %w", name, err)
	}
	r.left = r.left[1:]
	if err != nil || x.Gone(r.now) {
		return nil //nolint:nilerr // a run that was forgotten has no answer.
	}
	r.read++
	for _, s := range steps {
		if s.Status == execution.StepCompleted && s.QuestionDigest != "" && r.known[s.QuestionDigest] == nil {
			r.known[s.QuestionDigest] = &recorded{output: s.Output, run: name}
		}
	}
	return nil
}

// missing says why a question has a simulated answer.
func (r *Recording) missing() string {
	switch r.read {
	case 0:
		return "The answer is simulated: the agent has no execution that is kept."
	case 1:
		return "The answer is simulated: the only execution that was read asked no such question, or it is older than the record of questions."
	}
	return fmt.Sprintf("The answer is simulated: none of the %d executions that were read asked the same question, or they are older than the record of questions.", r.read)
}
