package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

const (
	// archiveDays is the time for which every event can be replayed.
	archiveDays = 30
	// archive is the archive's name. The emulator's CloudFormation cannot
	// create it; the local launcher creates it afterwards under the same name.
	archive = prefix
)

// newBus declares the bus for the products, and the rules from there to the
// events queue. Targets receive the whole event, since the dispatcher compares
// the event's envelope with EventBridge's own fields.
func newBus(stack awscdk.Stack, s settings, rules []rule, q queues) awsevents.EventBus {
	bus := awsevents.NewEventBus(stack, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(prefix),
	})
	if s.Archive {
		awsevents.NewCfnArchive(stack, jsii.String("Archive"), &awsevents.CfnArchiveProps{
			ArchiveName:   jsii.String(archive),
			Description:   jsii.String("Every event of the bus, for replays."),
			SourceArn:     bus.EventBusArn(),
			RetentionDays: jsii.Number(archiveDays),
		})
	}
	letRulesSend(stack, q.Events)
	letRulesSend(stack, q.Undelivered)
	for _, r := range rules {
		newRule(stack, bus, r, q)
	}
	return bus
}

// newRule declares a rule as a plain resource: the higher construct adds two
// statements for each rule to the queues' policies, and SQS accepts twenty.
func newRule(stack awscdk.Stack, bus awsevents.EventBus, r rule, q queues) {
	awsevents.NewCfnRule(stack, jsii.String("Rule-"+r.Product), &awsevents.CfnRuleProps{
		Name:         named(r.Product),
		Description:  jsii.String("Known event types of " + r.Product + "."),
		EventBusName: bus.EventBusName(),
		EventPattern: r.pattern(),
		Targets: []awsevents.CfnRule_TargetProperty{{
			Id:               jsii.String("events"),
			Arn:              q.Events.QueueArn(),
			DeadLetterConfig: awsevents.CfnRule_DeadLetterConfigProperty{Arn: q.Undelivered.QueueArn()},
		}},
	})
}

// letRulesSend allows the rules of our bus, and no others, to send to a queue.
func letRulesSend(stack awscdk.Stack, queue awssqs.Queue) {
	rules := stack.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("events"),
		Resource:     jsii.String("rule"),
		ResourceName: jsii.String(prefix + "/*"),
	})
	queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]any{"ArnLike": map[string]*string{"aws:SourceArn": rules}},
	}))
}
