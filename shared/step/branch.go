package step

import (
	"context"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/render"
)

// maxWhys limits the reasons that a branch records, in bytes: its row stays
// below 1 KB, which costs one write unit.
const maxWhys = 480

// branch takes the first case that holds; -1 stands for else. The trace shows
// the result of each case that was evaluated.
func (s *Service) branch(_ context.Context, t Task) (execution.StepRecord, error) {
	taken, label := -1, "else"
	var whys []string
	for i, c := range t.Definition.Cases {
		ok, why := c.When.Holds(t.Facts)
		if ok {
			taken, label, whys = i, "case", append(whys, "it holds")
			break
		}
		whys = append(whys, why)
	}
	if err := t.Facts.Budget.Err(); err != nil {
		return failed(t, err), nil
	}
	output := map[string]any{"taken": label}
	if taken >= 0 {
		output["case"] = int64(taken)
	}
	return execution.StepRecord{
		Status: execution.StepCompleted, Case: &taken, Output: output,
		Input: map[string]any{"cases": shortened(whys)},
	}, nil
}

// shortened cuts the reasons to equal shares of maxWhys.
func shortened(whys []string) []any {
	most := min(maxWhys/max(len(whys), 1), maxShown)
	out := make([]any, len(whys))
	for i, why := range whys {
		out[i] = render.Cut(why, most)
	}
	return out
}
