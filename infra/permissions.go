package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"theoneagents.app/agents/shared/dynamo/schema"
)

// statements allows one action on some resources.
func statements(action string, resources ...*string) *[]awsiam.PolicyStatement {
	return &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(action), Resources: &resources,
	})}
}

// modelStatements allows the configured models and no others. A provider other
// than Bedrock needs no IAM permission.
func modelStatements(stack awscdk.Stack, provider string, models map[string][]string) *[]awsiam.PolicyStatement {
	if provider != bedrock {
		return &[]awsiam.PolicyStatement{}
	}
	var arns []*string
	for _, resource := range modelResources(slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Values(models))...)))) {
		arns = append(arns, stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("bedrock"), Region: jsii.String("*"), Account: resource.account(),
			Resource: jsii.String(resource.kind), ResourceName: jsii.String(resource.name),
		}))
	}
	return statements("bedrock:InvokeModel", arns...)
}

// A modelResource is a resource that IAM must allow for a call of a model.
type modelResource struct {
	kind, name string
}

const (
	foundationModel  = "foundation-model"
	inferenceProfile = "inference-profile"
)

// account returns the account of the resource: empty for Amazon's, nil for
// ours.
func (r modelResource) account() *string {
	if r.kind == foundationModel {
		return jsii.String("")
	}
	return nil
}

// modelResources returns the resources behind model ids. An id with a geography
// in front ("us.", "global.") is an inference profile. It needs a permission
// for itself and for the model in every region that it may choose.
func modelResources(ids []string) []modelResource {
	var out []modelResource
	for _, id := range slices.Compact(ids) {
		if _, model, ok := geographyOf(id); ok {
			out = append(out, modelResource{inferenceProfile, id}, modelResource{foundationModel, model})
			continue
		}
		out = append(out, modelResource{foundationModel, id})
	}
	return out
}

// doorbellStatements allows ringing the task tokens of the machine Waits. No
// other machine makes tokens. A token itself has no ARN: IAM checks the ARN of the
// token's machine, though the reference of its actions does not list that. The
// ARN is made from the name, because the runner exists before the machine.
func doorbellStatements(stack awscdk.Stack) *[]awsiam.PolicyStatement {
	return statements("states:SendTaskSuccess", stack.FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("states"), Resource: jsii.String("stateMachine"), ResourceName: named(stack, "waits"),
		ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
	}))
}

// countStatements allows updates of the counts of requests and of the last uses of
// integration keys, the writes of an authenticated request.
func countStatements(table *string) *[]awsiam.PolicyStatement {
	return &[]awsiam.PolicyStatement{
		updateOnly(table, schema.RatePartitions, schema.RateAttributes()),
		updateOnly(table, schema.KeyPartitions, schema.KeyUseAttributes()),
	}
}

// jobStatements allows the worker to write jobs and ledgers, and what the changes of a
// ledger touch: balances, and events to be published.
func jobStatements(table *string) *[]awsiam.PolicyStatement {
	return &[]awsiam.PolicyStatement{
		writesIn(table, "dynamodb:PutItem", schema.JobPartitions, schema.LedgerPartitions, schema.BalancePartitions, schema.OutboxPartitions),
		writesIn(table, "dynamodb:UpdateItem", schema.LedgerPartitions, schema.BalancePartitions),
	}
}

// writesIn allows a write in some partitions alone.
func writesIn(table *string, action string, partitions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(action), Resources: &[]*string{table},
		Conditions: &map[string]any{
			"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": partitions},
			"Null":                    map[string]any{"dynamodb:LeadingKeys": "false"}, // ForAllValues holds for a request without it
		},
	})
}

// updateOnly allows updates in some partitions alone, and of some attributes alone:
// a partition of another kind may match the pattern, such as that of a client named
// RATE, but none of its attributes does. The update may return only what it changed.
func updateOnly(table *string, partitions string, attributes []string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("dynamodb:UpdateItem"), Resources: &[]*string{table},
		Conditions: &map[string]any{
			"ForAllValues:StringLike":   map[string]any{"dynamodb:LeadingKeys": []string{partitions}},
			"ForAllValues:StringEquals": map[string]any{"dynamodb:Attributes": attributes},
			"StringEqualsIfExists":      map[string]any{"dynamodb:ReturnValues": []string{"NONE", "UPDATED_OLD", "UPDATED_NEW"}},
			// ForAllValues holds for a request without these keys.
			"Null": map[string]any{"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
		},
	})
}

// smsStatements allows messages to telephones, which have no ARN. Every topic
// has an ARN, so excluding all ARNs excludes the topics.
func smsStatements() *[]awsiam.PolicyStatement {
	return &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("sns:Publish"), NotResources: jsii.Strings("arn:*:sns:*:*:*"),
	})}
}

// emailStatements allows e-mail from the sender, for an SES identity that is
// its address or its domain.
func emailStatements(stack awscdk.Stack, sender string) *[]awsiam.PolicyStatement {
	identity := func(name string) *string {
		return stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ses"), Resource: jsii.String("identity"), ResourceName: jsii.String(name),
		})
	}
	_, domain, _ := strings.Cut(sender, "@")
	return statements("ses:SendEmail", identity(sender), identity(domain))
}
