package step

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/document"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/render"
)

// A Question is what a model is asked.
type Question struct {
	Org       id.Org
	Execution id.Execution
	Step      id.Step
	Tier      credit.Tier
	System    string
	Prompt    string
	Data      map[string]any // values that the prompt names; never instructions
	Schema    map[string]any // what the answer must look like; nil: any text
	Spare     bool           // whether to ask the tier's other model, if it has one
	Mend      *Mend
}

// A Mend shows a model what was wrong with its first answer.
type Mend struct {
	Answer string
	Fault  string
}

// An Answer is what a model said.
type Answer struct {
	Text  string // JSON when a schema was given and the model kept to it
	Usage execution.Usage
}

// How a model fails says what is done then. A busy one (our quota is used up) is
// asked again after a pause: its error wraps ErrAgain. One that is down, too
// slow or out of reach is not waited for: the other model of its tier is asked.
// An answer that was cut off is asked for once more, to be brief, as one that
// does not fit is. Whatever else it says is final: it declined, or the question
// is not allowed.
var (
	ErrElsewhere = fmt.Errorf("another model may answer: %w", ErrAgain)
	ErrCut       = errors.New("the answer was cut off")
)

// Model asks a model. With an error it may say what the failed call used.
type Model interface {
	Ask(ctx context.Context, q Question) (Answer, error)
}

// reason asks a model. Its price is held back before and charged only for an
// answer that satisfies the schema; whoever records the step without one gives
// it back.
func (s *Service) reason(ctx context.Context, t Task) (execution.Step, error) {
	q, err := question(t)
	if err != nil {
		return failed(t, err), nil
	}
	tier := t.Definition.Model
	hold, err := t.Session.Reserve(ctx, credit.Hold{
		Month: credit.MonthOf(s.Now()), Tier: tier, Amount: tier.Price(),
	})
	switch {
	case errors.Is(err, credit.ErrInsufficient):
		return failed(t, err), nil
	case err != nil:
		return execution.Step{}, fmt.Errorf("reserve: %w", err)
	}
	result := s.ask(ctx, t, q)
	result.Input = map[string]any{"model": string(tier), "data": Shown(q.Data)} // the prompt stands in the definition
	if result.Status == execution.StepCompleted {
		result.Charge = &hold
	}
	return result, nil
}

func question(t Task) (Question, error) {
	a := t.Definition.AIStep
	system, data, err := render.Marked(a.System, t.Scope)
	if err != nil {
		return Question{}, err
	}
	prompt, more, err := render.Marked(a.Prompt, t.Scope)
	if err != nil {
		return Question{}, err
	}
	maps.Copy(data, more)
	return Question{
		Org: t.Run.Org, Execution: t.Run.ID, Step: t.Definition.ID, Tier: a.Model,
		System: system, Prompt: prompt, Data: data, Schema: a.Schema,
	}, nil
}

// ask asks, and asks once more with the fault when the answer cannot be used.
func (s *Service) ask(ctx context.Context, t Task, q Question) execution.Step {
	var total execution.Step
	for range 2 {
		var a Answer
		tries, err := s.try(ctx, t, func(ctx context.Context) (err error) {
			a, err = s.Model.Ask(ctx, q)
			if errors.Is(err, ErrElsewhere) {
				q.Spare = !q.Spare
			}
			return err
		})
		total.Tries += tries
		if errors.Is(err, ErrCut) {
			total.Usage = added(total.Usage, a.Usage)
			q.Mend = &Mend{Answer: shorten(a.Text, 4000), Fault: "it was cut off because it is too long; be brief"}
			continue
		}
		if err != nil {
			total.Status = execution.StepFailed
			total.Error = Failure(t, ErrModel.Sayf("The model did not answer: %s.", reasonOf(err)))
			return total
		}
		total.Usage = added(total.Usage, a.Usage)
		output, why := judge(t.Definition.AIStep, a.Text)
		if why == "" {
			total.Status, total.Output = execution.StepCompleted, output
			return total
		}
		q.Mend = &Mend{Answer: shorten(a.Text, 4000), Fault: shorten(why, 1000)}
	}
	total.Status = execution.StepFailed
	total.Error = Failure(t, ErrOutput.Sayf("The model's answer does not fit the output_schema: %s", q.Mend.Fault))
	return total
}

func added(sum *execution.Usage, u execution.Usage) *execution.Usage {
	if sum != nil {
		u.InputTokens += sum.InputTokens
		u.OutputTokens += sum.OutputTokens
	}
	return &u
}

// maxAnswer is how long an answer may be, in bytes.
const maxAnswer = 32 << 10

// judge returns the output of the step, or why the answer is none. Without a
// schema any text will do.
func judge(a *agent.AIStep, text string) (output any, why string) {
	if len(text) > maxAnswer {
		return nil, fmt.Sprintf("it has %d bytes; %d are allowed", len(text), maxAnswer)
	}
	if a.Schema == nil {
		return map[string]any{"text": text}, ""
	}
	v, err := document.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Sprintf("it is not JSON: %v", err)
	}
	schema, err := agent.CompileSchema(a.Schema)
	if err != nil {
		return nil, fmt.Sprintf("the output_schema cannot be used: %v", err)
	}
	if err := schema.Validate(v); err != nil {
		return nil, err.Error()
	}
	return v, ""
}

// reasonOf returns what may be said of a failure outside: never its text, which
// may hold addresses or keys.
func reasonOf(err error) string {
	var s interface{ Reason() string }
	if errors.As(err, &s) {
		return s.Reason()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return "the call failed"
}
