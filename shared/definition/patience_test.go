package definition_test

import (
	"testing"
	"time"

	"theoneagents.app/agents/shared/definition"
)

func TestPatienceCoversEveryWaitOfADefinition(t *testing.T) {
	t.Parallel()

	gate := func(seconds int, e *definition.Escalates) definition.Step {
		return definition.Step{Kind: definition.Gate, Timeout: seconds, GateStep: &definition.GateStep{EscalateTo: e}}
	}
	wait := definition.Step{Kind: definition.Waiting, WaitStep: &definition.WaitStep{Duration: 60}}
	branch := definition.Step{Kind: definition.Branching, BranchStep: &definition.BranchStep{
		Cases: []definition.Case{{Steps: []definition.Step{wait}}}, Else: []definition.Step{wait},
	}}
	for name, tc := range map[string]struct {
		steps []definition.Step
		want  time.Duration
	}{
		"no waits":                        {[]definition.Step{{Kind: definition.Action}}, 0},
		"waits":                           {[]definition.Step{wait, wait}, 2 * time.Minute},
		"a wait until a time":             {[]definition.Step{{Kind: definition.Waiting, WaitStep: &definition.WaitStep{Until: "x"}}}, 365 * 24 * time.Hour},
		"a gate, asked twice":             {[]definition.Step{gate(600, nil)}, 20 * time.Minute},
		"a gate that escalates":           {[]definition.Step{gate(600, &definition.Escalates{Timeout: 60})}, 22 * time.Minute},
		"a gate that escalates as long":   {[]definition.Step{gate(600, &definition.Escalates{})}, 40 * time.Minute},
		"waits in every part of a branch": {[]definition.Step{branch}, 2 * time.Minute},
	} {
		if got := (definition.Definition{Steps: tc.steps}).Patience(); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
