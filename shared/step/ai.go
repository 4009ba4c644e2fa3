package step

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"unicode"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/span"
)

// A Question is a request to a model.
type Question struct {
	Org        id.Org
	Execution  id.Execution
	Step       id.Step
	Tier       credit.Tier
	System     string
	Prompt     string
	Data       map[string]any // values that the prompt refers to; never instructions
	Schema     map[string]any // JSON schema of the answer; nil: any text
	Fallback   bool           // use the tier's fallback model, if it has one
	Correction *Correction
}

// Digest returns the digest of the question as a model reads it: equal questions have
// equal digests, whichever run and step ask them. Its 22 characters are part of stored
// steps.
func (q Question) Digest() string {
	const bytes = 16
	sum := id.Hash(string(q.Tier), q.System, q.Prompt, jsonvalue.Canonical(q.Data), jsonvalue.Canonical(q.Schema))
	return base64.RawURLEncoding.EncodeToString(sum[:bytes])
}

// A Correction shows a model the error in its first answer.
type Correction struct {
	Answer string
	Fault  string
}

// An Answer is the answer of a model.
type Answer struct {
	Text  string // JSON if the question has a schema and the model followed it
	Usage execution.Usage
}

// The kind of failure decides the reaction. A busy model (quota used up) is
// asked again after a pause; its error wraps ErrAgain. When a model is down,
// too slow or unreachable, the fallback model of its tier is asked at once
// (ErrElsewhere). An answer that was cut off (ErrCut) is requested once more
// with a correction, as is an answer that does not fit. Every other error is
// final: the model declined, or the question is not allowed.
var (
	ErrElsewhere = fmt.Errorf("another model may answer: %w", ErrAgain)
	ErrCut       = errors.New("the answer was cut off")
)

// Model asks a model. With an error, the answer may still name the model that
// failed and the usage of the failed call.
type Model interface {
	Ask(ctx context.Context, q Question) (Answer, error)
}

// askModel asks a model. The credits are reserved before the call and charged for
// an answer that satisfies the schema. Recording the step without an answer releases
// them, within the grace of the day when the answer was refused or cut off by what
// the tenant wrote.
func (s *Service) askModel(ctx context.Context, t Task) (execution.StepRecord, error) {
	q, err := question(t)
	if err != nil {
		return failed(t, err), nil
	}
	tier := t.Definition.Model
	q, cut := bounded(q)
	hold, err := t.Lease.Reserve(ctx, credit.Hold{
		Month: credit.MonthOf(s.Now()), Tier: tier, Amount: tier.Price(),
	})
	switch {
	case errors.Is(err, credit.ErrInsufficient):
		return failed(t, err), nil
	case err != nil && ctx.Err() != nil:
		s.Failed(ctx, fmt.Errorf("step %s: reserve: %w", t.Definition.ID, err))
		return failed(t, ErrTimeout), nil //nolint:nilerr // the time of the step is over.
	case err != nil:
		return execution.StepRecord{}, fmt.Errorf("reserve: %w", err)
	}
	result := s.ask(ctx, t, q)
	result.Input = map[string]any{"model": string(tier), "data": Shown(q.Data)} // the definition has the prompt
	if cut > 0 {
		result.Input = map[string]any{"model": string(tier), "data": Shown(q.Data), "cut": cutNote(cut, tier)}
	}
	if result.Status == execution.StepCompleted {
		result.Charge, result.QuestionDigest = &hold, q.Digest()
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

// ask asks a model, and once more with a correction when the answer cannot be
// used.
func (s *Service) ask(ctx context.Context, t Task, q Question) execution.StepRecord {
	var (
		total execution.StepRecord
		why   string
	)
	for range 2 {
		var (
			a      Answer
			cutOff bool // by the step's time, while the model worked
		)
		tries, err := s.try(ctx, t, func(ctx context.Context) (err error) {
			a, err = s.call(ctx, q)
			cutOff = err != nil && ctx.Err() != nil
			if errors.Is(err, ErrElsewhere) {
				q.Fallback = !q.Fallback
			}
			return err
		})
		total.Tries += tries
		if err == nil || a.Usage != (execution.Usage{}) {
			total.Usage = added(total.Usage, a.Usage)
		}
		if err != nil && !errors.Is(err, ErrCut) {
			total.Status, total.Refused = execution.StepFailed, cutOff && t.Definition.Timeout > 0
			total.Error = Failure(t, ErrModel.Sayf("The model did not answer: %s.", reasonOf(err)))
			return total
		}
		if err == nil {
			if total.Output, why = judge(ctx, t.Definition.AIStep, a.Text); why == "" {
				total.Status = execution.StepCompleted
				return total
			}
		} else {
			why = "the answer was cut off because it is too long"
		}
		q.Correction = &Correction{Answer: render.Cut(a.Text, 4000), Fault: render.Cut(why, 1000)}
	}
	total.Status, total.Output, total.Refused = execution.StepFailed, nil, true
	total.Error = Failure(t, ErrOutput.Sayf("%s", sentence(why)))
	return total
}

// call asks a model once, in a span.
func (s *Service) call(ctx context.Context, q Question) (Answer, error) {
	ctx, calling := span.Start(ctx, "chat", span.Client)
	defer calling.End()
	a, err := s.Model.Ask(ctx, q)
	calling.Text(span.Model, a.Usage.Model)
	calling.Number(span.InputUnits, a.Usage.InputTokens)
	calling.Number(span.OutputUnits, a.Usage.OutputTokens)
	if err != nil {
		calling.Fail(ErrModel.Code)
	}
	return a, err
}

func added(sum *execution.Usage, u execution.Usage) *execution.Usage {
	if sum != nil {
		u.InputTokens += sum.InputTokens
		u.OutputTokens += sum.OutputTokens
	}
	return &u
}

// judge returns the output of the step, or why the answer cannot be used, without
// the answer's text: an answer that is not charged must not be read. Without a
// schema every text that is not blank is accepted.
func judge(ctx context.Context, a *definition.AIStep, text string) (output any, why string) {
	if blank(text) {
		return nil, "the answer is empty"
	}
	if len(text) > definition.MaxAnswer {
		return nil, fmt.Sprintf("the answer has %d bytes; %d are allowed", len(text), definition.MaxAnswer)
	}
	if a.Schema == nil {
		return map[string]any{"text": text}, ""
	}
	v, err := jsonvalue.Decode([]byte(unfenced(text)))
	if err != nil {
		return nil, "the answer does not fit the output_schema: it is not one valid JSON document"
	}
	if a.Empty(v) {
		return nil, "the answer is empty"
	}
	if why := a.Misfit(ctx, v); why != "" {
		return nil, "the answer does not fit the output_schema: " + why
	}
	return v, ""
}

// fence matches a Markdown code block, in which models like to answer.
var fence = regexp.MustCompile("(?s)^```[A-Za-z0-9]*\\s(.*?)\\s*```$")

// unfenced returns the content of a text that is one code block, and any other
// text unchanged.
func unfenced(text string) string {
	if m := fence.FindStringSubmatch(strings.TrimSpace(text)); m != nil && !strings.Contains(m[1], "```") {
		return m[1]
	}
	return text
}

// blank reports whether an answer has no visible character, apart from the
// marks of an empty code block.
func blank(text string) bool {
	if strings.Trim(strings.TrimSpace(text), "`") == "" {
		return true
	}
	return !strings.ContainsFunc(unfenced(text), func(r rune) bool {
		return !unicode.IsSpace(r) && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r)
	})
}

// reasonOf returns the text of a failure for the trace. It never returns the
// error's own text, which may contain addresses or keys.
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
