package main

import (
	"errors"
	"io/fs"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// product begins the names of all named resources, and of the stack.
const product = "one-agents"

// prefix returns the name of the stack, which begins the names of its resources, so
// that the stages of an account are apart: one-agents-dev, or one-agents for the local
// cloud, which has no stage.
func prefix(scope constructs.Construct) string { return *awscdk.Stack_Of(scope).StackName() }

// named returns the name of a resource.
func named(scope constructs.Construct, name string) *string {
	return jsii.String(prefix(scope) + "-" + name)
}

// newStack declares all resources in the order of their references: the
// machines call the runner, and the other functions start the machines. The
// runner starts none, or the references would form a cycle.
func newStack(scope constructs.Construct, s settings, catalogue fs.FS) (awscdk.Stack, error) {
	rules, err := productRules(catalogue)
	if err == nil {
		err = errors.Join(checkPublishers(s.Publishers, rules), checkPrograms(s))
	}
	if err != nil {
		return nil, err
	}
	stack := declareStack(scope, s)
	table := newTable(stack, s)
	newBackups(stack, s, table)
	newSecrets(stack, s)
	queues := newQueues(stack)
	buses := newBuses(stack, s, rules, queues)
	publishers := newPublishers(stack, s, rules, buses)
	f, err := newFactory(stack, s, table, buses, queues, publishers)
	if err != nil {
		return nil, err
	}
	machines, err := newMachines(stack, f)
	if err != nil {
		return nil, err
	}
	if err := f.makeOthers(machines); err != nil {
		return nil, err
	}
	guard(stack, buses, publishers, f.functions)
	feed(f.live(dispatcher), queues, s.Concurrency)
	follow(table, f)
	sweepEveryMinute(stack, f.live(sweeper), queues)
	newCanary(stack, s, f.live(canary), publishers[canary])
	api := newAPI(stack, s, f)
	o := outputs{table, buses, publishers, queues, machines, api, f.functions}
	if s.Alarms {
		newAlarms(stack, s, monitor(stack, s, o, f))
	}
	newTrials(stack, s, f)
	newOutputs(stack, s, o)
	return stack, nil
}

// declareStack declares the stack. CloudFormation copies its tags to the resources.
func declareStack(scope constructs.Construct, s settings) awscdk.Stack {
	props := &awscdk.StackProps{
		StackName:   jsii.String(s.prefix()),
		Description: jsii.String("One Agents: runs the agents of organizations on the events of their products."),
	}
	if s.Stage != "" {
		props.Tags = &map[string]*string{"application": jsii.String(product), "stage": jsii.String(s.Stage)}
		props.TerminationProtection = jsii.Bool(s.Protect)
	}
	return awscdk.NewStack(scope, jsii.String("OneAgents"), props)
}
