// Package stepfn starts and wakes state machines (AWS Step Functions).
//
// The name of an execution makes a start idempotent: a Standard machine refuses
// a used name, and this package takes that refusal as success. An Express
// machine in the cloud ignores names and may start twice; the runner's lease
// makes that harmless.
package stepfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"theoneagents.app/agents/shared/machine"
)

// API is the used part of the Step Functions client.
type API interface {
	StartExecution(
		ctx context.Context, in *sfn.StartExecutionInput, opts ...func(*sfn.Options),
	) (*sfn.StartExecutionOutput, error)
	SendTaskSuccess(
		ctx context.Context, in *sfn.SendTaskSuccessInput, opts ...func(*sfn.Options),
	) (*sfn.SendTaskSuccessOutput, error)
}

// Machine is the Express machine of runs.
type Machine struct {
	API API
	ARN string
}

// Start starts a run that was just recorded. It succeeds if the run was already
// started. With the first lease of the run it is not repeated when the reply is lost.
func (m Machine) Start(ctx context.Context, c machine.Cursor) error {
	return m.start(ctx, c, string(c.Execution))
}

// Restart starts a run again that no worker seems to hold. It starts the same
// run at the same second once.
func (m Machine) Restart(ctx context.Context, c machine.Cursor, at time.Time) error {
	return m.start(ctx, c, string(c.Execution)+"-r"+strconv.FormatInt(at.Unix(), 10))
}

func (m Machine) start(ctx context.Context, c machine.Cursor, name string) error {
	input, err := json.Marshal(map[string]machine.Cursor{"cursor": c})
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Execution, err)
	}
	var opts []func(*sfn.Options)
	if c.First != "" {
		opts = append(opts, unapplied)
	}
	_, err = m.API.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &m.ARN, Name: &name, Input: aws.String(string(input)),
	}, opts...)
	if _, ok := errors.AsType[*types.ExecutionAlreadyExists](err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Execution, err)
	}
	return nil
}

// unapplied repeats a call only after an answer that says it had no effect: the service
// was too busy. A call without an answer may have started a machine.
func unapplied(o *sfn.Options) {
	o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
		s.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}}
	})
}

// Doorbell wakes the machine that waits with a task token.
type Doorbell struct {
	API API
}

// Ring wakes the machine. It succeeds if the machine is already awake or never
// waited.
func (d Doorbell) Ring(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	_, err := d.API.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String("{}")})
	if _, ok := errors.AsType[*types.TaskTimedOut](err); ok {
		return nil
	}
	if _, ok := errors.AsType[*types.TaskDoesNotExist](err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ring: %w", err)
	}
	return nil
}
