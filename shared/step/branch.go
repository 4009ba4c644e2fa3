package step

import (
	"context"

	"theoneagents.app/agents/shared/execution"
)

// branch takes the first case that holds; -1 stands for else.
func (s *Service) branch(_ context.Context, t Task) (execution.Step, error) {
	taken, label := -1, "else"
	for i, c := range t.Definition.Cases {
		if ok, _ := c.When.Holds(t.Facts); ok {
			taken, label = i, "case"
			break
		}
	}
	output := map[string]any{"taken": label}
	if taken >= 0 {
		output["case"] = int64(taken)
	}
	return execution.Step{Status: execution.StepCompleted, Case: &taken, Output: output}, nil
}
