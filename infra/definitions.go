package main

import (
	"encoding/json"

	"theoneagents.app/agents/shared/machine"
)

// The machines in the States Language; package machine has their picture. They
// carry a cursor and nothing else, and know no agent.

type (
	object map[string]any
	states map[string]object
)

// A definition is a state machine.
type definition struct {
	Comment        string
	StartAt        string
	TimeoutSeconds int `json:",omitempty"`
	States         states
}

// Names that CloudFormation replaces by ARNs.
const (
	runnerARN = "${Runner}"
	waitsARN  = "${Waits}"
)

const (
	// expressSeconds is the maximum duration of an Express execution.
	expressSeconds = 300
	// grace is how much later than the runner its caller times out, so that the
	// caller receives the runner's own error first.
	grace = 5
)

// runsDefinition is the machine on which every run starts: cheap, but limited
// to five minutes. It executes a run to its end or hands it over.
func runsDefinition() definition {
	return definition{
		Comment:        "Executes a run until it ends or waits, and hands a waiting run over.",
		StartAt:        "Run",
		TimeoutSeconds: expressSeconds,
		States: states{
			"Run":      callRunner("Decide"),
			"Decide":   {"Type": "Choice", "Choices": []object{next(machine.NextDone, "Done")}, "Default": "HandOver"},
			"HandOver": handOver("Done"),
			"Done":     {"Type": "Succeed"},
		},
	}
}

// waitsDefinition is the machine that waits for approvals and times. It has no
// timeout of its own: each state has one, and AWS ends any execution after a
// year, which a run with several long waits may exceed. The sweeper finds such
// a run by its record and starts it again.
func waitsDefinition() definition {
	return definition{
		Comment: "Waits for approvals and times, then continues the run.",
		StartAt: "Decide",
		States: states{
			"Decide": {"Type": "Choice", "Choices": []object{
				next(machine.NextRun, "Run"),
				next(machine.NextGate, "Ask"),
				next(machine.NextWait, "Sleep"),
				next(machine.NextDone, "Done"),
			}},
			"Run":   callRunner("Decide"),
			"Ask":   ask("Run"),
			"Sleep": {"Type": "Wait", "SecondsPath": machine.PathSeconds, "Next": "Run"},
			"Done":  {"Type": "Succeed"},
		},
	}
}

// next is a branch of a choice.
func next(step machine.State, state string) object {
	return object{"Variable": machine.PathNext, "StringEquals": string(step), "Next": state}
}

// callRunner calls the runner; its answer, a machine.Next, is the output. The
// call may be retried after any failure: the runner reads the record first.
func callRunner(then string) object {
	payload := call(machine.OpRun)
	payload["retries.$"] = "$$.State.RetryCount"
	return object{
		"Type":           "Task",
		"Resource":       "arn:aws:states:::lambda:invoke",
		"Parameters":     object{"FunctionName": runnerARN, "Payload": payload},
		"OutputPath":     "$.Payload",
		"TimeoutSeconds": planned(runner).timeout + grace,
		"Retry":          []object{throttled(), again("States.TaskFailed", "States.Timeout")},
		"Next":           then,
	}
}

// call is a machine.Call.
func call(op machine.Op) object {
	return object{"op": string(op), "cursor.$": machine.PathCursor, "owner.$": "$$.Execution.Id"}
}

// ask sends the requests for approval and waits for the doorbell. However the
// wait ends, by a decision, a timeout or a failure, the runner continues from
// the record, so the result is discarded. States.ALL includes the timeout.
func ask(then string) object {
	payload := call(machine.OpGate)
	payload["token.$"] = "$$.Task.Token"
	return object{
		"Type":               "Task",
		"Resource":           "arn:aws:states:::lambda:invoke.waitForTaskToken",
		"Parameters":         object{"FunctionName": runnerARN, "Payload": payload},
		"TimeoutSecondsPath": machine.PathSeconds,
		"ResultPath":         nil,
		"Retry": []object{throttled(), again("Lambda.ServiceException", "Lambda.AWSLambdaException",
			"Lambda.SdkClientException", "Lambda.ClientExecutionTimeoutException")},
		"Catch": []object{{"ErrorEquals": []string{"States.ALL"}, "ResultPath": nil, "Next": then}},
		"Next":  then,
	}
}

// handOver starts the other machine under a name that is the same for the same
// turn, so that a repeated start has no effect. The error for an existing
// execution counts as success; it must be listed first, or it would be retried
// like other failures.
func handOver(then string) object {
	return object{
		"Type":           "Task",
		"Resource":       "arn:aws:states:::states:startExecution",
		"Parameters":     object{"StateMachineArn": waitsARN, "Name.$": machine.PathName, "Input.$": "$"},
		"TimeoutSeconds": grace,
		"Retry": []object{
			{"ErrorEquals": alreadyExists(), "MaxAttempts": 0},
			again("States.TaskFailed", "States.Timeout"),
		},
		"Catch": []object{{"ErrorEquals": alreadyExists(), "Next": then}},
		"Next":  then,
	}
}

// alreadyExists returns the names of this error: AWS prefixes it in a
// state, the emulator does not.
func alreadyExists() []string {
	return []string{"StepFunctions.ExecutionAlreadyExistsException", "ExecutionAlreadyExists"}
}

// throttled waits until the runner has room, for two minutes or so. A run whose runner
// was throttled has begun nothing. At most one attempt counts all the same: under the lease
// with which it was recorded, the runner cannot tell a crash from a throttled call. The waits leave
// the runner its time within the duration of an Express execution; after them the sweeper
// restarts the run.
func throttled() object {
	return object{
		"ErrorEquals": []string{"Lambda.TooManyRequestsException"}, "IntervalSeconds": 1, "BackoffRate": 2,
		"MaxAttempts": 15, "MaxDelaySeconds": 14, "JitterStrategy": "FULL",
	}
}

// again retries soon, since a person may be waiting, and only a few times:
// after that the sweeper restarts the run.
func again(errors ...string) object {
	return object{
		"ErrorEquals": errors, "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 5,
		"MaxDelaySeconds": 10, "JitterStrategy": "FULL",
	}
}

func (d definition) json() (string, error) {
	raw, err := json.Marshal(d)
	return string(raw), err
}
