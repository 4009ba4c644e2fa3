package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"theoneagents.app/agents/shared/execution"
	"theoneagents.app/agents/shared/machine"
)

// watcher is the part of the Step Functions client that is used.
type watcher interface {
	DescribeExecution(ctx context.Context, in *sfn.DescribeExecutionInput, opts ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
	GetExecutionHistory(ctx context.Context, in *sfn.GetExecutionHistoryInput, opts ...func(*sfn.Options)) (*sfn.GetExecutionHistoryOutput, error)
}

const (
	// turns is the number of leases, the newest of a run, whose executions of
	// the Waits machine are looked up.
	turns = 20
	// recent is the number of an execution's newest events to show.
	recent = 5
)

// machines are the state machines' executions of a run.
type machines struct {
	// Runs names the log group of the Express machine, which keeps no
	// executions: AWS logs only its errors.
	Runs  string    `json:"runs"`
	Waits []waiting `json:"waits"`
	More  int64     `json:"more,omitempty"` // older leases, which were not looked up
}

// A waiting is an execution of the Waits machine.
type waiting struct {
	Name    string    `json:"name"`
	Status  string    `json:"status"`
	Started time.Time `json:"started_at"`
	Stopped time.Time `json:"stopped_at,omitzero"`
	Error   string    `json:"error,omitempty"`
	Last    []moment  `json:"last"` // newest first
}

// A moment is an event in the history of an execution.
type moment struct {
	At    time.Time `json:"at"`
	Type  string    `json:"type"`
	State string    `json:"state,omitempty"`
}

// machinesOf looks up the executions of a run. Each lease may have started one,
// whose name is derived from the run and the number of the lease.
func machinesOf(ctx context.Context, api watcher, at target, x execution.Execution) (machines, error) {
	runs := at.runs[strings.LastIndex(at.runs, ":")+1:]
	m := machines{Waits: []waiting{}, Runs: fmt.Sprintf(
		"%s is an Express machine and keeps no executions; its errors are in the log group /aws/vendedlogs/states/%s, under the execution name %s (with -r… after a restart)",
		runs, runs, x.ID)}
	oldest := max(1, x.Lease.Attempt-turns+1)
	m.More = oldest - 1
	for n := oldest; n <= x.Lease.Attempt; n++ {
		w, found, err := waitingOf(ctx, api, at, machine.NameOf(x.ID, n))
		if err != nil {
			return m, err
		}
		if found {
			m.Waits = append(m.Waits, w)
		}
	}
	return m, nil
}

func waitingOf(ctx context.Context, api watcher, at target, name string) (w waiting, found bool, err error) {
	arn := strings.Replace(at.waits, ":stateMachine:", ":execution:", 1) + ":" + name
	is, err := api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if _, none := errors.AsType[*types.ExecutionDoesNotExist](err); none {
		return w, false, nil
	}
	if err != nil {
		return w, false, fmt.Errorf("describe the execution %s: %w", name, err)
	}
	w = waiting{
		Name: name, Status: string(is.Status), Started: aws.ToTime(is.StartDate).UTC(),
		Error: aws.ToString(is.Error), Last: []moment{},
	}
	if is.StopDate != nil {
		w.Stopped = is.StopDate.UTC()
	}
	past, err := api.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, ReverseOrder: true, MaxResults: recent})
	if err != nil {
		return w, false, fmt.Errorf("read the history of %s: %w", name, err)
	}
	for _, e := range past.Events[:min(len(past.Events), recent)] {
		w.Last = append(w.Last, momentOf(e))
	}
	return w, true, nil
}

func momentOf(e types.HistoryEvent) moment {
	m := moment{At: aws.ToTime(e.Timestamp).UTC(), Type: string(e.Type)}
	switch {
	case e.StateEnteredEventDetails != nil:
		m.State = aws.ToString(e.StateEnteredEventDetails.Name)
	case e.StateExitedEventDetails != nil:
		m.State = aws.ToString(e.StateExitedEventDetails.Name)
	}
	return m
}
