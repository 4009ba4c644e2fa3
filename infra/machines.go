package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"
)

// machines are the two state machines and the function that both of them call.
type machines struct {
	Runs, Waits awsstepfunctions.StateMachine
	Runner      awslambda.Function
}

func newMachines(stack awscdk.Stack, f *factory) (machines, error) {
	runner, err := f.make(planned(runner))
	if err != nil {
		return machines{}, err
	}
	waits, err := waitsDefinition().json()
	if err != nil {
		return machines{}, fmt.Errorf("define waits: %w", err)
	}
	runs, err := runsDefinition().json()
	if err != nil {
		return machines{}, fmt.Errorf("define runs: %w", err)
	}
	m := machines{Runner: runner, Waits: newWaits(stack, waits, runner, f.s.xray())}
	m.Runs = newRuns(stack, runs, runner, m.Waits, f.s.xray())
	return m, nil
}

func newWaits(stack awscdk.Stack, definition string, runner awslambda.Function, xray bool) awsstepfunctions.StateMachine {
	waits := awsstepfunctions.NewStateMachine(stack, jsii.String("Waits"), &awsstepfunctions.StateMachineProps{
		StateMachineName:        named(stack, "waits"),
		StateMachineType:        awsstepfunctions.StateMachineType_STANDARD,
		DefinitionBody:          awsstepfunctions.DefinitionBody_FromString(jsii.String(definition)),
		DefinitionSubstitutions: &map[string]*string{"Runner": runner.FunctionArn()},
		TracingEnabled:          jsii.Bool(xray),
	})
	runner.GrantInvoke(waits)
	return waits
}

// newRuns declares the Express machine. It keeps no history, so its errors go
// to a log group. The vendedlogs prefix of the name keeps the group out of a
// policy of limited size.
func newRuns(stack awscdk.Stack, definition string, runner awslambda.Function, waits awsstepfunctions.StateMachine, xray bool) awsstepfunctions.StateMachine {
	logs := awslogs.NewLogGroup(stack, jsii.String("RunsLog"), &awslogs.LogGroupProps{
		LogGroupName:  jsii.String("/aws/vendedlogs/states/" + *named(stack, "runs")),
		Retention:     awslogs.RetentionDays_ONE_MONTH,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	runs := awsstepfunctions.NewStateMachine(stack, jsii.String("Runs"), &awsstepfunctions.StateMachineProps{
		StateMachineName: named(stack, "runs"),
		StateMachineType: awsstepfunctions.StateMachineType_EXPRESS,
		DefinitionBody:   awsstepfunctions.DefinitionBody_FromString(jsii.String(definition)),
		DefinitionSubstitutions: &map[string]*string{
			"Runner": runner.FunctionArn(), "Waits": waits.StateMachineArn(),
		},
		TracingEnabled: jsii.Bool(xray),
		Logs: &awsstepfunctions.LogOptions{
			Destination: logs, Level: awsstepfunctions.LogLevel_ERROR, IncludeExecutionData: jsii.Bool(true),
		},
	})
	runner.GrantInvoke(runs)
	waits.GrantStartExecution(runs)
	return runs
}
