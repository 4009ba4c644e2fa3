package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"theoneagents.app/agents/shared/machine"
)

// asJSON returns a definition's states by name, as the machine reads them.
func asJSON(t *testing.T, d definition) map[string]map[string]any {
	t.Helper()
	raw, err := d.json()
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ States map[string]map[string]any }
	if err := json.Unmarshal([]byte(raw), &out); err != nil {
		t.Fatal(err)
	}
	return out.States
}

func definitions() map[string]definition {
	return map[string]definition{"runs": runsDefinition(), "waits": waitsDefinition()}
}

// exits returns the states that may follow a state.
func exits(state map[string]any) []string {
	var out []string
	add := func(v any) {
		if name, ok := v.(string); ok {
			out = append(out, name)
		}
	}
	add(state["Next"])
	add(state["Default"])
	for _, list := range []string{"Choices", "Catch"} {
		for _, branch := range each(state[list]) {
			add(dig(branch, "Next"))
		}
	}
	return out
}

func TestEveryStateExistsAndIsReached(t *testing.T) {
	for name, d := range definitions() {
		states := asJSON(t, d)
		reached, todo := map[string]bool{}, []string{d.StartAt}
		for len(todo) > 0 {
			at := todo[0]
			todo = todo[1:]
			if reached[at] {
				continue
			}
			reached[at] = true
			if states[at] == nil {
				t.Errorf("%s: no state %s", name, at)
			}
			todo = append(todo, exits(states[at])...)
		}
		for state, s := range states {
			if !reached[state] {
				t.Errorf("%s: no state leads to %s", name, state)
			}
			if len(exits(s)) == 0 && s["Type"] != "Succeed" {
				t.Errorf("%s: %s has no next state and is no end", name, state)
			}
		}
	}
}

// tasks calls f for each task state.
func tasks(t *testing.T, f func(name string, task map[string]any)) {
	t.Helper()
	for machine, d := range definitions() {
		for name, state := range asJSON(t, d) {
			if state["Type"] == "Task" {
				f(machine+"/"+name, state)
			}
		}
	}
}

func TestTasksHandleFailuresAndHaveATimeout(t *testing.T) {
	tasks(t, func(name string, task map[string]any) {
		if task["Retry"] == nil && task["Catch"] == nil {
			t.Errorf("%s does not handle failures", name)
		}
		if task["TimeoutSeconds"] == nil && task["TimeoutSecondsPath"] == nil {
			t.Errorf("%s has no timeout, and AWS sets none by default", name)
		}
	})
}

func TestTheRunnerTimesOutBeforeItsCaller(t *testing.T) {
	for name, d := range definitions() {
		if got, least := asJSON(t, d)["Run"]["TimeoutSeconds"], float64(planned(runner).timeout); number(t, got) <= least {
			t.Errorf("%s: times out after %v s, the runner after %v", name, got, least)
		}
	}
}

// The waits of a throttled run, and then a whole call of the runner, fit into an Express
// execution: a call that ends after its machine cannot be handed over.
func TestAThrottledRunWaitsForTheRunner(t *testing.T) {
	tasks(t, func(name string, task map[string]any) {
		if dig(task, "Parameters", "FunctionName") != runnerARN {
			return
		}
		first := each(task["Retry"])[0]
		if dump(dig(first, "ErrorEquals")) != `["Lambda.TooManyRequestsException"]` || dig(first, "JitterStrategy") != "FULL" {
			t.Errorf("%s: a throttled call is not the first to be retried: %v", name, first)
		}
		sum, wait := 0.0, number(t, dig(first, "IntervalSeconds"))
		for range int(number(t, dig(first, "MaxAttempts"))) {
			sum += min(wait, number(t, dig(first, "MaxDelaySeconds")))
			wait *= number(t, dig(first, "BackoffRate"))
		}
		if most := float64(expressSeconds - planned(runner).timeout); sum < 120 || sum > most {
			t.Errorf("%s: a throttled call waits %v s at most, want 120 to %v", name, sum, most)
		}
	})
}

func TestExpressNeverWaits(t *testing.T) {
	d := runsDefinition()
	if d.TimeoutSeconds <= 0 || d.TimeoutSeconds > 300 {
		t.Errorf("ends after %d s, AWS after 300", d.TimeoutSeconds)
	}
	for name, state := range asJSON(t, d) {
		resource := fmt.Sprint(state["Resource"])
		if state["Type"] == "Wait" || strings.Contains(resource, ".waitForTaskToken") || strings.Contains(resource, ".sync") {
			t.Errorf("%s waits: %v", name, resource)
		}
	}
}

func TestAWildcardIsAloneAndLastInItsList(t *testing.T) {
	tasks(t, func(name string, task map[string]any) {
		for _, field := range []string{"Retry", "Catch"} {
			rules := each(task[field])
			for i, rule := range rules {
				errors := each(dig(rule, "ErrorEquals"))
				if slices.Contains(errors, any("States.ALL")) && (len(errors) > 1 || i < len(rules)-1) {
					t.Errorf("%s: States.ALL in %s is neither alone nor last", name, field)
				}
			}
		}
	})
}

func TestHandingOverTwiceIsNotAFailure(t *testing.T) {
	handOver := asJSON(t, runsDefinition())["HandOver"]
	for _, name := range alreadyExists() {
		first := slices.IndexFunc(each(handOver["Retry"]), func(r any) bool {
			errors := each(dig(r, "ErrorEquals"))
			return slices.Contains(errors, any(name)) || slices.Contains(errors, any("States.TaskFailed"))
		})
		if attempts := dig(each(handOver["Retry"])[first], "MaxAttempts"); attempts != 0.0 {
			t.Errorf("%s is retried %v times before it is caught", name, attempts)
		}
		if !slices.ContainsFunc(each(handOver["Catch"]), func(c any) bool {
			return slices.Contains(each(dig(c, "ErrorEquals")), any(name)) && dig(c, "Next") == "Done"
		}) {
			t.Errorf("%s is not caught", name)
		}
	}
}

func TestEveryStateOfAMachineIsDeclared(t *testing.T) {
	steps := constants(t, "../shared/machine/machine.go", func(spec *ast.ValueSpec) bool {
		kind, ok := spec.Type.(*ast.Ident)
		return ok && kind.Name == "State"
	})
	got := map[string]string{}
	for _, c := range each(asJSON(t, waitsDefinition())["Decide"]["Choices"]) {
		if dig(c, "Variable") != machine.PathNext {
			t.Errorf("a choice reads %v", dig(c, "Variable"))
		}
		got[fmt.Sprint(dig(c, "StringEquals"))] = fmt.Sprint(dig(c, "Next"))
	}
	want := map[string]string{"done": "Done", "run": "Run", "gate": "Ask", "wait": "Sleep"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	slices.Sort(steps)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(got)), steps); diff != "" {
		t.Errorf("steps (-chosen +in machine):\n%s", diff)
	}
	next := asJSON(t, runsDefinition())["Decide"]
	if first := each(next["Choices"])[0]; next["Default"] != "HandOver" || dig(first, "StringEquals") != "done" || dig(first, "Next") != "Done" {
		t.Errorf("runs: %v, want done to end and the rest to be handed over", next)
	}
}

func TestTheCursorSurvivesEveryState(t *testing.T) {
	for machine, d := range definitions() {
		for name, s := range asJSON(t, d) {
			result, discards := s["ResultPath"]
			discards = discards && result == nil
			switch {
			case s["Type"] == "Choice" || s["Type"] == "Wait" || s["Type"] == "Succeed":
				if s["InputPath"] != nil || s["OutputPath"] != nil {
					t.Errorf("%s/%s changes its input", machine, name)
				}
			case s["Next"] == "Done", discards, s["OutputPath"] == "$.Payload": // the end, an unchanged input, or the runner's answer, which has the cursor
			default:
				t.Errorf("%s/%s loses the cursor", machine, name)
			}
			for _, c := range each(s["Catch"]) {
				if m, ok := c.(map[string]any); ok && m["Next"] != "Done" {
					if path, set := m["ResultPath"]; !set || path != nil {
						t.Errorf("%s/%s loses the cursor when it fails", machine, name)
					}
				}
			}
		}
	}
}

func TestTheRunnerIsCalledWithAMachineCall(t *testing.T) {
	tasks(t, func(name string, task map[string]any) {
		payload, ok := dig(task, "Parameters", "Payload").(map[string]any)
		if !ok {
			return
		}
		const retries = 2
		sent := map[string]any{}
		for key, value := range payload {
			if value == "$$.State.RetryCount" { // a number
				value = retries
			}
			sent[strings.TrimSuffix(key, ".$")] = value
		}
		sent["cursor"] = map[string]any{"org": "org_1", "execution": "exec_1"}
		raw, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		var c machine.Call
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if asks := strings.HasSuffix(fmt.Sprint(task["Resource"]), ".waitForTaskToken"); asks != (c.Op == machine.OpGate) || asks != (c.Token != "") || c.Owner == "" {
			t.Errorf("%s sends %s", name, raw)
		}
		if counts := c.Retries == retries; counts != (c.Op == machine.OpRun) {
			t.Errorf("%s sends %d retries after %d", name, c.Retries, retries)
		}
	})
}

func TestPathsAreFieldsOfTheRunnersAnswer(t *testing.T) {
	raw, err := json.Marshal(machine.Next{})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{machine.PathCursor, machine.PathNext, machine.PathSeconds, machine.PathName} {
		if _, ok := fields[strings.TrimPrefix(path, "$.")]; !ok {
			t.Errorf("%s is no field of %s", path, raw)
		}
	}
}
