// Package stepfn starts and wakes state machines (AWS Step Functions).
//
// Names are what makes starting safe to repeat: Standard machines refuse a name
// that was used, and that refusal means "it was started". Express machines do
// not look at names in the cloud and may start twice; the runner's lease makes
// that harmless.
package stepfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"theoneagents.app/agents/shared/machine"
)

// API is the part of the client that is used.
type API interface {
	StartExecution(
		ctx context.Context, in *sfn.StartExecutionInput, opts ...func(*sfn.Options),
	) (*sfn.StartExecutionOutput, error)
	SendTaskSuccess(
		ctx context.Context, in *sfn.SendTaskSuccessInput, opts ...func(*sfn.Options),
	) (*sfn.SendTaskSuccessOutput, error)
}

// Machine is the Express machine on which runs start.
type Machine struct {
	API API
	ARN string
}

// Start starts a run that was just recorded. A run that was started already is
// not an error.
func (m Machine) Start(ctx context.Context, c machine.Cursor) error {
	return m.start(ctx, c, string(c.Execution))
}

// Restart starts a run again at a time when nobody else seems to. The same run
// at the same second is started once.
func (m Machine) Restart(ctx context.Context, c machine.Cursor, at time.Time) error {
	return m.start(ctx, c, string(c.Execution)+"-r"+strconv.FormatInt(at.Unix(), 10))
}

func (m Machine) start(ctx context.Context, c machine.Cursor, name string) error {
	input, err := json.Marshal(map[string]machine.Cursor{"cursor": c})
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Execution, err)
	}
	_, err = m.API.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &m.ARN, Name: &name, Input: aws.String(string(input)),
	})
	if _, ok := errors.AsType[*types.ExecutionAlreadyExists](err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Execution, err)
	}
	return nil
}

// Doorbell wakes the machine that waits behind a task token.
type Doorbell struct {
	API API
}

// Ring wakes the machine. One that is awake already, or that never waited, is
// not an error.
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
