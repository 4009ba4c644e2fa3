package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// outputs are the resources whose names tools and operators need.
type outputs struct {
	table      awsdynamodb.ITable
	buses      buses
	publishers map[string]awsiam.Role
	queues     queues
	machines   machines
	api        awsapigatewayv2.HttpApi
	functions  map[string]awslambda.Function
}

func newOutputs(stack awscdk.Stack, s settings, o outputs) {
	values := map[string]*string{
		"ApiEndpoint":         endpoint(s, o.api),
		"ApiId":               o.api.ApiId(),
		"BusName":             o.buses.Products.EventBusName(),
		"ArchiveName":         jsii.String(prefix(stack)),
		"HubBusName":          o.buses.Hub.EventBusName(),
		"HubArchiveName":      jsii.String(hubBus(stack)),
		"TableName":           o.table.TableName(),
		"EventsQueueUrl":      o.queues.Events.QueueUrl(),
		"UndeliveredQueueUrl": o.queues.Undelivered.QueueUrl(),
		"DeadLetterQueueUrl":  o.queues.DeadLetters.QueueUrl(),
		"RunsMachineArn":      o.machines.Runs.StateMachineArn(),
		"WaitsMachineArn":     o.machines.Waits.StateMachineArn(),
	}
	for name, fn := range o.functions {
		values[strings.ToUpper(name[:1])+name[1:]+"FunctionName"] = fn.FunctionName()
	}
	for product, role := range o.publishers {
		values["PublisherRole"+identifier(product)] = role.RoleArn()
	}
	for name, value := range values {
		awscdk.NewCfnOutput(stack, jsii.String(name), &awscdk.CfnOutputProps{Value: value})
	}
}
