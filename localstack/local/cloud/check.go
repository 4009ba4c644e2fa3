package cloud

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	table "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bus "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queue "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Check returns an error unless the table, the buses with their rules, the queues
// and the machines of the outputs exist.
func Check(ctx context.Context, o Outputs) error {
	c := Config(o.Endpoint)
	if err := checkTable(ctx, dynamodb.NewFromConfig(c), o.Table); err != nil {
		return err
	}
	events, err := queueARN(ctx, sqs.NewFromConfig(c), o.Events)
	if err != nil {
		return err
	}
	for _, url := range []string{o.DeadLetters, o.Undelivered} {
		if _, err := queueARN(ctx, sqs.NewFromConfig(c), url); err != nil {
			return err
		}
	}
	for _, name := range []string{o.Bus, o.HubBus} {
		if err := checkRules(ctx, eventbridge.NewFromConfig(c), name, events); err != nil {
			return err
		}
	}
	for _, arn := range []string{o.Runs, o.Waits} {
		if _, err := sfn.NewFromConfig(c).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(arn)}); err != nil {
			return fmt.Errorf("find the machine %s: %w", arn, err)
		}
	}
	return nil
}

func checkTable(ctx context.Context, db *dynamodb.Client, name string) error {
	found, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(name)})
	if err != nil {
		return fmt.Errorf("find the table %s: %w", name, err)
	}
	if s := found.Table.TableStatus; s != table.TableStatusActive {
		return fmt.Errorf("the table %s is %s, not ACTIVE", name, s)
	}
	return nil
}

func queueARN(ctx context.Context, api *sqs.Client, url string) (string, error) {
	found, err := api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(url), AttributeNames: []queue.QueueAttributeName{queue.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", fmt.Errorf("find the queue %s: %w", url, err)
	}
	return found.Attributes[string(queue.QueueAttributeNameQueueArn)], nil
}

// checkRules returns an error unless a rule of the bus targets the queue of
// events.
func checkRules(ctx context.Context, api *eventbridge.Client, name, queueARN string) error {
	rules, err := api.ListRuleNamesByTarget(ctx, &eventbridge.ListRuleNamesByTargetInput{
		EventBusName: aws.String(name), TargetArn: aws.String(queueARN),
	})
	if err != nil {
		return fmt.Errorf("find the rules of the bus %s: %w", name, err)
	}
	if len(rules.RuleNames) == 0 {
		return fmt.Errorf("no rule of the bus %s targets the queue %s", name, queueARN)
	}
	return nil
}

// deploymentTag is the tag of the bus that names the deployment. It is part of the
// emulator's data, so an emulator with older or other data does not have it.
const deploymentTag = "one-agents:deployment"

// Deployment returns the id of the emulator's deployment, or an empty string when
// none succeeded.
func Deployment(ctx context.Context, o Outputs) string {
	api := eventbridge.NewFromConfig(Config(o.Endpoint))
	found, err := api.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String(o.Bus)})
	if err != nil {
		return ""
	}
	tags, err := api.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: found.Arn})
	if err != nil {
		return ""
	}
	i := slices.IndexFunc(tags.Tags, func(t bus.Tag) bool { return aws.ToString(t.Key) == deploymentTag })
	if i < 0 {
		return ""
	}
	return aws.ToString(tags.Tags[i].Value)
}

// Sign tags the bus with the id of the finished deployment.
func Sign(ctx context.Context, o Outputs, deployment string) error {
	api := eventbridge.NewFromConfig(Config(o.Endpoint))
	found, err := api.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String(o.Bus)})
	if err != nil {
		return fmt.Errorf("find the bus: %w", err)
	}
	_, err = api.TagResource(ctx, &eventbridge.TagResourceInput{
		ResourceARN: found.Arn, Tags: []bus.Tag{{Key: aws.String(deploymentTag), Value: aws.String(deployment)}},
	})
	if err != nil {
		return fmt.Errorf("tag the bus with the deployment: %w", err)
	}
	return nil
}

// bootstrapStack is the stack that cdk bootstrap makes.
const bootstrapStack = "CDKToolkit"

// Bootstrapped reports whether the emulator is prepared for CDK.
func Bootstrapped(ctx context.Context, endpoint string) bool {
	found, err := cloudformation.NewFromConfig(Config(endpoint)).
		DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(bootstrapStack)})
	return err == nil && len(found.Stacks) > 0
}
