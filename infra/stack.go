package main

import (
	"io/fs"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// prefix begins the names of all named resources.
const prefix = "one-agents"

// named returns the name of a resource.
func named(name string) *string { return jsii.String(prefix + "-" + name) }

// newStack declares all resources in the order of their references: the
// machines call the runner, and the other functions start the machines. The
// runner starts none, or the references would form a cycle.
func newStack(scope constructs.Construct, s settings, catalogue fs.FS) (awscdk.Stack, error) {
	rules, err := productRules(catalogue)
	if err == nil {
		err = checkPublishers(s.Publishers, rules)
	}
	if err != nil {
		return nil, err
	}
	stack := awscdk.NewStack(scope, jsii.String("OneAgents"), &awscdk.StackProps{
		StackName:   jsii.String(prefix),
		Description: jsii.String("One Agents: runs the agents of organizations on the events of their products."),
	})
	table := newTable(stack)
	queues := newQueues(stack)
	buses := newBuses(stack, s, rules, queues)
	publishers := newPublishers(stack, s, rules, buses)
	f, err := newFactory(stack, s, table, buses, queues)
	if err != nil {
		return nil, err
	}
	machines, err := newMachines(stack, f)
	if err != nil {
		return nil, err
	}
	functions, err := f.makeOthers(machines)
	if err != nil {
		return nil, err
	}
	guard(stack, buses, publishers, functions)
	feed(functions[dispatcher], queues)
	sweepEveryMinute(stack, functions[sweeper], queues)
	api := newAPI(stack, s, functions)
	newAlarms(stack, queues, machines, functions)
	newOutputs(stack, outputs{table, buses, publishers, queues, machines, api, functions})
	return stack, nil
}
