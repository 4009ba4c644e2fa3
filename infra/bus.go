package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// archiveDays is the time for which every event can be replayed.
const archiveDays = 30

// groupPath is the path of the message group of an event: the queue of events is fair
// among organizations (see infra/README.md). An event without an organization cannot be
// sent to the queue; it goes to Undelivered, from where the dispatcher refuses it.
const groupPath = "$.detail.org_id"

// hub is the product that says which organizations and sessions exist. Its
// events have a bus of their own, so that no other publisher can reach a rule
// that matches them.
const hub = "hub"

// hubBus returns the name of the bus of the hub. The bus of the other products has
// the name of the stack. Each archive has the name of its bus: the emulator's
// CloudFormation cannot create archives, so the local launcher creates them
// afterwards under the same names.
func hubBus(scope constructs.Construct) string { return *named(scope, hub) }

// buses are the two buses for events.
type buses struct {
	Products, Hub awsevents.EventBus
}

// of returns the bus for the events of a product.
func (b buses) of(product string) awsevents.EventBus {
	if product == hub {
		return b.Hub
	}
	return b.Products
}

// newBuses declares the buses, and the rules from there to the events queue.
// Targets receive the whole event, since the dispatcher compares the event's
// envelope with EventBridge's own fields.
func newBuses(stack awscdk.Stack, s settings, rules []rule, q queues) buses {
	b := buses{Products: newBus(stack, s, "", prefix(stack)), Hub: newBus(stack, s, "Hub", hubBus(stack))}
	letRulesSend(stack, q.Events)
	letRulesSend(stack, q.Undelivered)
	refuseOtherSenders(stack, q.Events)
	for _, r := range rules {
		newRule(stack, b.of(r.Product), r, q)
	}
	return b
}

func newBus(stack awscdk.Stack, s settings, id, name string) awsevents.EventBus {
	bus := awsevents.NewEventBus(stack, jsii.String(id+"Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(name),
	})
	if s.Archive {
		awsevents.NewCfnArchive(stack, jsii.String(id+"Archive"), &awsevents.CfnArchiveProps{
			ArchiveName:   jsii.String(name),
			Description:   jsii.String("Every event of the bus, for replays."),
			SourceArn:     bus.EventBusArn(),
			RetentionDays: jsii.Number(archiveDays),
		})
	}
	return bus
}

// newRule declares a rule as a plain resource: the higher construct adds two
// statements for each rule to the queues' policies, and SQS accepts twenty.
func newRule(stack awscdk.Stack, bus awsevents.EventBus, r rule, q queues) {
	awsevents.NewCfnRule(stack, jsii.String("Rule-"+r.Product), &awsevents.CfnRuleProps{
		Name:         named(stack, r.Product),
		Description:  jsii.String("Known event types of " + r.Product + "."),
		EventBusName: bus.EventBusName(),
		EventPattern: r.pattern(),
		Targets: []awsevents.CfnRule_TargetProperty{{
			Id:               jsii.String("events"),
			Arn:              q.Events.QueueArn(),
			DeadLetterConfig: awsevents.CfnRule_DeadLetterConfigProperty{Arn: q.Undelivered.QueueArn()},
			SqsParameters:    awsevents.CfnRule_SqsParametersProperty{MessageGroupId: jsii.String(groupPath)},
		}},
	})
}

// letRulesSend allows the rules of our buses, and no others, to send to a queue.
func letRulesSend(stack awscdk.Stack, queue awssqs.Queue) {
	queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": ourRules(stack)}},
	}))
}

// refuseOtherSenders denies every message that no rule of our buses sends. IAM
// would otherwise let each principal of the account that may send to all queues
// write events of any product, past the buses.
func refuseOtherSenders(stack awscdk.Stack, queue awssqs.Queue) {
	queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewStarPrincipal()},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]any{"ArnNotLike": map[string]any{"aws:SourceArn": ourRules(stack)}},
	}))
}

// ourRules returns the ARNs of the rules of our buses.
func ourRules(stack awscdk.Stack) []*string {
	var arns []*string
	for _, bus := range []string{prefix(stack), hubBus(stack)} {
		arns = append(arns, stack.FormatArn(&awscdk.ArnComponents{
			Service:      jsii.String("events"),
			Resource:     jsii.String("rule"),
			ResourceName: jsii.String(bus + "/*"),
		}))
	}
	return arns
}
