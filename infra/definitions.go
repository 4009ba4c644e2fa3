package main

import (
	"encoding/json"

	"theoneagents.app/agents/shared/machine"
)

// The machines, in the States Language, as the picture in package machine shows
// them. They carry a cursor and nothing else, and know no agent.

type (
	object map[string]any
	states map[string]object
)

// A definition is a machine.
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
	// expressSeconds is the most that AWS lets an Express execution take.
	expressSeconds = 300
	// grace is how much later than the runner its caller gives up, so that it
	// hears the runner's own error first.
	grace = 5
)

// runsDefinition is the machine on which every run starts: cheap, but over
// after five minutes. It runs a run to its end or hands it over.
func runsDefinition() definition {
	return definition{
		Comment:        "Runs a run until it ends or has to wait, and then hands it over.",
		StartAt:        "Run",
		TimeoutSeconds: expressSeconds,
		States: states{
			"Run":      callRunner("Next"),
			"Next":     {"Type": "Choice", "Choices": []object{next(machine.NextDone, "Done")}, "Default": "HandOver"},
			"HandOver": handOver("Done"),
			"Done":     {"Type": "Succeed"},
		},
	}
}

// waitsDefinition is the machine that waits for people and for time. It has no
// timeout of its own: each state has one, and AWS ends any execution after a
// year, which a run with several long waits may exceed. The sweeper finds such
// a run by its record and starts it again.
func waitsDefinition() definition {
	return definition{
		Comment: "Holds a run while it waits, and goes on with it.",
		StartAt: "Next",
		States: states{
			"Next": {"Type": "Choice", "Choices": []object{
				next(machine.NextRun, "Run"),
				next(machine.NextGate, "Ask"),
				next(machine.NextWait, "Sleep"),
				next(machine.NextDone, "Done"),
			}},
			"Run":   callRunner("Next"),
			"Ask":   ask("Run"),
			"Sleep": {"Type": "Wait", "SecondsPath": machine.PathSeconds, "Next": "Run"},
			"Done":  {"Type": "Succeed"},
		},
	}
}

// next is a case of a choice.
func next(step machine.State, state string) object {
	return object{"Variable": machine.PathNext, "StringEquals": string(step), "Next": state}
}

// callRunner lets the runner go on; its answer, a machine.Next, is the output. The
// runner may be called again whatever went wrong: it reads the record first.
func callRunner(then string) object {
	return object{
		"Type":           "Task",
		"Resource":       "arn:aws:states:::lambda:invoke",
		"Parameters":     object{"FunctionName": runnerARN, "Payload": call(machine.OpRun)},
		"OutputPath":     "$.Payload",
		"TimeoutSeconds": planned(runner).timeout + grace,
		"Retry":          []object{again("States.TaskFailed", "States.Timeout")},
		"Next":           then,
	}
}

// call is a machine.Call.
func call(op machine.Op) object {
	return object{"op": string(op), "cursor.$": machine.PathCursor, "owner.$": "$$.Execution.Id"}
}

// ask puts a question and waits for the doorbell. However that ends, answered,
// timed out or failed, the runner goes on: the record says what happened, and
// that is why the result is thrown away. States.ALL has the timeout in it.
func ask(then string) object {
	payload := call(machine.OpAsk)
	payload["token.$"] = "$$.Task.Token"
	return object{
		"Type":               "Task",
		"Resource":           "arn:aws:states:::lambda:invoke.waitForTaskToken",
		"Parameters":         object{"FunctionName": runnerARN, "Payload": payload},
		"TimeoutSecondsPath": machine.PathSeconds,
		"ResultPath":         nil,
		"Retry": []object{again("Lambda.ServiceException", "Lambda.AWSLambdaException",
			"Lambda.SdkClientException", "Lambda.ClientExecutionTimeoutException", "Lambda.TooManyRequestsException")},
		"Catch": []object{{"ErrorEquals": []string{"States.ALL"}, "ResultPath": nil, "Next": then}},
		"Next":  then,
	}
}

// handOver starts the other machine under a name that is the same for the same
// turn, so that doing it twice starts it once. That it exists already is what
// we want; it must be named first, or it would be retried as any other failure.
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

// alreadyExists is what AWS calls the error in a state, and its bare name,
// which the emulator uses.
func alreadyExists() []string {
	return []string{"StepFunctions.ExecutionAlreadyExistsException", "ExecutionAlreadyExists"}
}

// again retries soon, since a person may be waiting, and a few times only:
// after that the sweeper brings the run back.
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
