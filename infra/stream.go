package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"theoneagents.app/agents/shared/dynamo/schema"
	"theoneagents.app/agents/shared/machine"
)

// A consumer is a function that follows the table's stream.
type consumer struct {
	function string
	window   int              // seconds for which a batch collects records
	batch    int              // most records of a batch
	filters  []map[string]any // a record that passes one of them invokes it
}

// consumers lists them. Lambda reads the stream of a table at no charge, and asks its
// filters before it invokes a function.
func consumers() []consumer {
	return []consumer{
		{
			// A record with a contribution: its run has ended, or was charged.
			function: tally, window: 1, batch: 1000,
			filters: []map[string]any{{"eventName": []string{"MODIFY"}, "dynamodb": map[string]any{"NewImage": map[string]any{
				schema.ContributionAttribute: map[string]any{"S": []any{map[string]any{"exists": true}}},
			}}}},
		},
		{
			// The record of a new run, and that of its end: a run with both in a batch needs
			// no look.
			function: watchdog, window: int(machine.WatchWindow.Seconds()), batch: 5000,
			filters: []map[string]any{
				{"eventName": []string{"INSERT"}, "dynamodb": map[string]any{"Keys": ofRun()}},
				{"eventName": []string{"MODIFY"}, "dynamodb": map[string]any{"Keys": ofRun(), "NewImage": map[string]any{
					schema.EndedAttribute: map[string]any{"N": []any{map[string]any{"exists": true}}},
				}}},
			},
		},
	}
}

// ofRun matches the keys of a record of a run.
func ofRun() map[string]any {
	return map[string]any{schema.SortKey: map[string]any{"S": []string{schema.RunKey}}}
}

// follow connects the consumers to the stream of the table. A batch that fails is
// repeated until its records are a day old, when the stream forgets them: in halves
// when the function fails, and from the first failed record on when it names one. Each
// consumer begins with the oldest record of the stream, so that none is lost between the
// first write of a deployment and the mapping.
func follow(table awsdynamodb.ITable, f *factory) {
	for _, c := range consumers() {
		fn := f.live(c.function)
		stream := table.TableStreamArn()
		for _, action := range []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"} {
			f.functions[c.function].AddToRolePolicy((*statements(action, stream))[0])
		}
		f.functions[c.function].AddToRolePolicy((*statements("dynamodb:ListStreams", jsii.String("*")))[0])
		filters := make([]*map[string]any, 0, len(c.filters))
		for _, one := range c.filters {
			filters = append(filters, awslambda.FilterCriteria_Filter(&one))
		}
		mapping := awslambda.NewEventSourceMapping(f.stack, jsii.String("Stream-"+c.function), &awslambda.EventSourceMappingProps{
			Target:                  fn,
			EventSourceArn:          stream,
			StartingPosition:        awslambda.StartingPosition_TRIM_HORIZON,
			BatchSize:               jsii.Number(c.batch),
			MaxBatchingWindow:       awscdk.Duration_Seconds(jsii.Number(c.window)),
			BisectBatchOnError:      jsii.Bool(true),
			ReportBatchItemFailures: jsii.Bool(true),
			Filters:                 &filters,
		})
		mapping.Node().AddDependency(f.functions[c.function].Role())
	}
}

// statisticsStatements allows the reading and writing of statistics alone, and the
// question whether an organization was deleted.
func statisticsStatements(table *string) *[]awsiam.PolicyStatement {
	only := func(partitions string, actions ...string) awsiam.PolicyStatement {
		return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions: jsii.Strings(actions...), Resources: &[]*string{table},
			Conditions: &map[string]any{
				"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": []string{partitions}},
				"Null":                    map[string]any{"dynamodb:LeadingKeys": "false"},
			},
		})
	}
	return &[]awsiam.PolicyStatement{
		only(schema.StatsPartitions, "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"),
		only(schema.OrgPartitions, "dynamodb:ConditionCheckItem"),
	}
}
