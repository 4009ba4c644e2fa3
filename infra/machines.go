package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"
)

// machines are the two state machines.
type machines struct {
	Runs, Waits awsstepfunctions.StateMachine
}

func newMachines(stack awscdk.Stack, f *factory) (machines, error) {
	if err := f.make(planned(runner)); err != nil {
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
	m := machines{Waits: newWaits(stack, waits, f)}
	m.Runs = newRuns(stack, runs, f, m.Waits)
	return m, nil
}

// newWaits declares the Standard machine. An execution keeps its definition until it
// ends. Executions that began before this stack had aliases invoke the function without
// one: the machine may invoke both.
func newWaits(stack awscdk.Stack, definition string, f *factory) awsstepfunctions.StateMachine {
	waits := awsstepfunctions.NewStateMachine(stack, jsii.String("Waits"), &awsstepfunctions.StateMachineProps{
		StateMachineName:        named(stack, "waits"),
		StateMachineType:        awsstepfunctions.StateMachineType_STANDARD,
		DefinitionBody:          awsstepfunctions.DefinitionBody_FromString(jsii.String(definition)),
		DefinitionSubstitutions: &map[string]*string{"Runner": f.live(runner).FunctionArn()},
		TracingEnabled:          jsii.Bool(f.s.xray()),
	})
	f.functions[runner].GrantInvoke(waits)
	return waits
}

// newRuns declares the Express machine. It keeps no history, so its errors go
// to a log group. The vendedlogs prefix of the name keeps the group out of a
// policy of limited size.
func newRuns(stack awscdk.Stack, definition string, f *factory, waits awsstepfunctions.StateMachine) awsstepfunctions.StateMachine {
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
			"Runner": f.live(runner).FunctionArn(), "Waits": waits.StateMachineArn(),
		},
		TracingEnabled: jsii.Bool(f.s.xray()),
		Logs: &awsstepfunctions.LogOptions{
			Destination: logs, Level: awsstepfunctions.LogLevel_ERROR, IncludeExecutionData: jsii.Bool(true),
		},
	})
	f.live(runner).GrantInvoke(runs)
	waits.GrantStartExecution(runs)
	return runs
}
