package execution_test

import (
	"strings"
	"testing"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/id"
)

func step(name id.Step) definition.Step {
	return definition.Step{ID: name, Kind: definition.Notification}
}

func branch(name id.Step, otherwise []definition.Step, cases ...[]definition.Step) definition.Step {
	b := &definition.BranchStep{Else: otherwise}
	for _, steps := range cases {
		b.Cases = append(b.Cases, definition.Case{Steps: steps})
	}
	return definition.Step{ID: name, Kind: definition.Branching, BranchStep: b}
}

// definition is a, b (x: x1 x2 | y: y1 c (deep: deep1 | else: deep2) | else: z1), d.
func nested() definition.Definition {
	deep := branch("c", []definition.Step{step("deep2")}, []definition.Step{step("deep1")})
	return definition.Definition{Steps: []definition.Step{
		step("a"),
		branch("b", []definition.Step{step("z1")}, []definition.Step{step("x1"), step("x2")}, []definition.Step{step("y1"), deep}),
		step("d"),
	}}
}

// recorded parses "a=completed b=completed:1" into recorded steps.
func recorded(t *testing.T, text string) execution.Steps {
	t.Helper()
	done := execution.Steps{}
	for word := range strings.FieldsSeq(text) {
		name, status, ok := strings.Cut(word, "=")
		if !ok {
			t.Fatalf("%q is no step", word)
		}
		s := execution.StepRecord{ID: id.Step(name), Kind: definition.Notification}
		if status, way, ok := strings.Cut(status, ":"); ok {
			n := map[string]int{"0": 0, "1": 1, "2": 2, "else": -1}[way]
			s.Kind, s.Case, s.Status = definition.Branching, &n, execution.StepStatus(status)
		} else {
			s.Status = execution.StepStatus(status)
		}
		done[s.ID] = s
	}
	return done
}

func shown(tr execution.Trace) string {
	words := make([]string, len(tr))
	for i, s := range tr {
		words[i] = string(s.ID) + "=" + string(s.Status)
	}
	return strings.Join(words, " ")
}

func TestTheTraceListsTheTakenBranchOnly(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		done  string
		ended bool
		want  string
		next  id.Step // "" if none
	}{
		"no message yet":                         {"", false, "a=pending b=pending d=pending", "a"},
		"a first step at work":                   {"a=running", false, "a=running b=pending d=pending", "a"},
		"a first step that failed and goes on":   {"a=failed", false, "a=failed b=pending d=pending", "b"},
		"a first step that was skipped":          {"a=skipped", false, "a=skipped b=pending d=pending", "b"},
		"the first case":                         {"a=completed b=completed:0", false, "a=completed b=completed x1=pending x2=pending d=pending", "x1"},
		"the second case":                        {"a=completed b=completed:1 y1=completed", false, "a=completed b=completed y1=completed c=pending d=pending", "c"},
		"a branch in a branch":                   {"a=completed b=completed:1 y1=completed c=completed:0", false, "a=completed b=completed y1=completed c=completed deep1=pending d=pending", "deep1"},
		"the else of a branch in a branch":       {"a=completed b=completed:1 y1=completed c=completed:else", false, "a=completed b=completed y1=completed c=completed deep2=pending d=pending", "deep2"},
		"the else":                               {"a=completed b=completed:else z1=completed", false, "a=completed b=completed z1=completed d=pending", "d"},
		"a branch that was skipped":              {"a=completed b=skipped", false, "a=completed b=skipped d=pending", "d"},
		"a branch that failed takes no way":      {"a=completed b=failed:0", false, "a=completed b=failed d=pending", "d"},
		"a branch that has not decided":          {"a=completed b=running", false, "a=completed b=running d=pending", "b"},
		"a gate at which people are asked":       {"a=waiting", false, "a=waiting b=pending d=pending", "a"},
		"all of it":                              {"a=completed b=completed:0 x1=completed x2=skipped d=completed", false, "a=completed b=completed x1=completed x2=skipped d=completed", ""},
		"at the end a step that was not reached": {"a=failed", true, "a=failed b=skipped d=skipped", ""},
		"at the end a running step":              {"a=completed b=completed:0 x1=running", true, "a=completed b=completed x1=skipped x2=skipped d=skipped", ""},
		"at the end a waiting step":              {"a=waiting", true, "a=skipped b=skipped d=skipped", ""},
		"a case that the definition has not":     {"a=completed b=completed:2", false, "a=completed b=completed d=pending", "d"},
		"steps that the definition has not":      {"a=completed ghost=completed", false, "a=completed b=pending d=pending", "b"},
		"steps of a case that was not taken":     {"a=completed b=completed:0 y1=completed", false, "a=completed b=completed x1=pending x2=pending d=pending", "x1"},
		"a later step that was recorded already": {"d=completed", false, "a=pending b=pending d=completed", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			tr := execution.TraceOf(nested(), recorded(t, tc.done), tc.ended)
			if got := shown(tr); got != tc.want {
				t.Errorf("trace\n%s\nwant\n%s", got, tc.want)
			}
			next, ok := tr.Next()
			if next.ID != tc.next || ok != (tc.next != "") {
				t.Errorf("next is %q, %t; want %q", next.ID, ok, tc.next)
			}
			for _, s := range tr {
				if s.Definition.ID != s.ID {
					t.Errorf("%s has the definition of %s", s.ID, s.Definition.ID)
				}
			}
		})
	}
}

func TestABranchWithoutElseTakesNoSteps(t *testing.T) {
	t.Parallel()

	d := definition.Definition{Steps: []definition.Step{branch("b", nil, []definition.Step{step("x")}), step("d")}}
	if got, want := shown(execution.TraceOf(d, recorded(t, "b=completed:else"), false)), "b=completed d=pending"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheLastStepIsFollowedByNone(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		done string
		step id.Step
		want bool
	}{
		"the last of the definition":             {"a=completed b=skipped", "d", true},
		"a step that others follow":              {"a=completed b=skipped", "a", false},
		"the first":                              {"", "a", false},
		"a branch, whose steps follow":           {"a=completed d=completed", "b", false},
		"the last of a case, when d is to come":  {"a=completed b=completed:0 x1=completed", "x2", false},
		"the last of a case, when d is recorded": {"a=completed b=completed:0 x1=completed d=skipped", "x2", true},
		"a step that is not in the trace":        {"a=completed", "ghost", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := execution.TraceOf(nested(), recorded(t, tc.done), false).Last(tc.step); got != tc.want {
				t.Errorf("Last(%s) = %t", tc.step, got)
			}
		})
	}
	if (execution.Trace{}).Last("a") {
		t.Error("an empty trace has a last step")
	}
	end := definition.Definition{Steps: []definition.Step{step("a"), branch("b", nil, []definition.Step{step("x")})}}
	if execution.TraceOf(end, recorded(t, "a=completed"), false).Last("b") {
		t.Error("a branch at the end is the last, although its steps follow")
	}
	if !execution.TraceOf(end, recorded(t, "a=completed b=completed:0"), false).Last("x") {
		t.Error("the last step of a case at the end is not the last")
	}
}
