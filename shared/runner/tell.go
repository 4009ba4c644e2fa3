package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"theoneagents.app/agents/shared/approval"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/render"
	"theoneagents.app/agents/shared/step"
)

// An occasion is why people are told of a question.
type occasion string

// The occasions, in their order.
const (
	asked         occasion = "asked"
	reminded      occasion = "reminded"
	escalated     occasion = "escalated"
	remindedAgain occasion = "reminded_again"
)

// occasionOf returns what people should have been told last.
func occasionOf(s execution.Step, a approval.Approval) occasion {
	switch waits := !a.Remind.IsZero(); {
	case s.Escalated && waits:
		return escalated
	case s.Escalated:
		return remindedAgain
	case waits:
		return asked
	}
	return reminded
}

// tellTime is how long telling people may take in one turn. Who was not reached
// by then is told in the next.
const tellTime = 30 * time.Second

// tell tells the gate's channels of its question a, which was just written,
// unless they were told. What became of it stands in the step's output under
// "notified". The question stands whether or not anybody hears of it, so what
// fails at a channel is only reported.
func (t *session) tell(ctx context.Context, at execution.Traced, a approval.Approval) error {
	g := at.Definition.GateStep
	if len(g.Notify) == 0 {
		return nil
	}
	scope, _, err := t.sees(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	a.Revision++
	s, on := t.steps[at.ID], occasionOf(t.steps[at.ID], a)
	before := toldOn(s, on)
	outcomes := make([]any, len(g.Notify))
	copy(outcomes, before)
	for i, n := range g.Notify {
		if step.Told(outcomes[i]) {
			continue
		}
		task := step.Task{Run: t.x, Definition: at.Definition, Scope: scope}
		telling := step.Telling{
			Notify: n, Subject: subject(t.definition.Name, on), Words: t.words(a),
			Key: fmt.Sprintf("%s:%s:%d", a.ID, on, i), Before: outcomes[i],
		}
		outcome, err := t.Steps.Tell(ctx, task, telling, func(outcome map[string]any) error {
			outcomes[i] = outcome
			return t.heard(ctx, &a, &s, on, outcomes)
		})
		if outcomes[i] = outcome; err == nil {
			err = t.heard(ctx, &a, &s, on, outcomes)
		}
		if errors.Is(err, execution.ErrStale) {
			return nil // somebody has decided meanwhile
		}
		if err != nil {
			t.Report(ctx, fmt.Errorf("notify of %s: %w", a.ID, err))
		}
	}
	return nil
}

// toldOn returns the outcomes that are recorded for an occasion, by channel.
func toldOn(s execution.Step, on occasion) []any {
	output, _ := s.Output.(map[string]any)
	notified, _ := output["notified"].(map[string]any)
	list, _ := notified[string(on)].([]any)
	return list
}

// heard records who was told, if nobody else has touched the run meanwhile: of
// two who tell people of the same question, one stops before its first message.
// Nor may the question have been decided: a decision says when the sweeper looks
// whether the run has heard of it, and that must stand.
func (t *session) heard(
	ctx context.Context, a *approval.Approval, s *execution.Step, on occasion, outcomes []any,
) error {
	output, _ := s.Output.(map[string]any)
	notified, _ := output["notified"].(map[string]any)
	output, notified = maps.Clone(output), maps.Clone(notified)
	if notified == nil {
		notified = map[string]any{}
	}
	list := make([]any, 0, len(outcomes))
	for _, o := range outcomes {
		if o != nil {
			list = append(list, o)
		}
	}
	notified[string(on)] = list
	output["notified"] = notified
	s.Output = output
	err := t.commit(context.WithoutCancel(ctx), func(x execution.Execution) execution.Change {
		return execution.Change{Execution: x, Step: s, Gate: a}
	})
	if err == nil {
		a.Revision++
		t.note(*s)
	}
	return err
}

func subject(name string, on occasion) string {
	switch on {
	case reminded, remindedAgain:
		return "Reminder: " + name + " waits for approval"
	case escalated:
		return "Nobody decided: " + name + " waits for approval"
	case asked:
	}
	return name + " waits for approval"
}

// words returns what people are told: the question, where to decide, until when,
// and what will be done.
func (t *session) words(a approval.Approval) step.Words {
	var rest strings.Builder
	for i, action := range a.Actions {
		if i == 0 {
			rest.WriteString("\n\nIf approved:")
		}
		fmt.Fprintf(&rest, "\n- %s.%s %s", action.Product, action.Action, shownParams(action.Params))
	}
	return step.Words{
		Lead: fmt.Sprintf("%s\n\nDecide until %s: ", render.Beginning(a.Message, maxLead), a.Expires.UTC().Format(time.RFC3339)),
		Link: step.Link{Text: "Decide", URL: t.Link(a.ID)},
		Rest: rest.String(),
	}
}

// maxLead is how much of a question people are told, in characters: in no channel
// may it push out the link to where all of it stands.
const maxLead = 1000

// shownParams returns parameters in a line.
func shownParams(params map[string]any) string {
	if params == nil {
		return "(with what the steps before it find out)"
	}
	text, err := json.Marshal(step.Shown(params))
	if err != nil {
		return ""
	}
	return string(text)
}
