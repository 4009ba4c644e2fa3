package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets"
	"github.com/aws/jsii-runtime-go"

	"theoneagents.app/agents/shared/dynamo/schema"
)

// canaryOrg is the organization of the canary. The Hub knows no such organization and
// issues no session for it.
const canaryOrg = "org_canary"

// newCanary lets the canary assume the publisher role of its events, and schedules it
// when the setting says so. Without a schedule the function costs nothing.
func newCanary(stack awscdk.Stack, s settings, fn awslambda.IFunction, publisher awsiam.Role) {
	publisher.AssumeRolePolicy().AddStatements(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("sts:AssumeRole"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewArnPrincipal(fn.Role().RoleArn())},
	}))
	if !s.Canary {
		return
	}
	everyMinute := awscdk.Duration_Minutes(jsii.Number(1))
	fn.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{MaxEventAge: everyMinute, RetryAttempts: jsii.Number(0)})
	awsscheduler.NewSchedule(stack, jsii.String("Probe"), &awsscheduler.ScheduleProps{
		ScheduleName: named(stack, "probe"),
		Description:  jsii.String("Starts a run of the platform's own, and follows the earlier ones."),
		Schedule:     awsscheduler.ScheduleExpression_Rate(everyMinute),
		Target: awsschedulertargets.NewLambdaInvoke(fn, &awsschedulertargets.ScheduleTargetBaseProps{
			// Two scheduled times never fall into one minute; two calls may.
			Input:         awsscheduler.ScheduleTargetInput_FromObject(map[string]any{"minute": awsscheduler.ContextAttribute_ScheduledTime()}),
			MaxEventAge:   everyMinute,
			RetryAttempts: jsii.Number(2),
		}),
	})
}

// canaryStatements allows the canary to publish its events, and to use the table for its
// own organization alone.
func canaryStatements(table, publisher *string) *[]awsiam.PolicyStatement {
	return &[]awsiam.PolicyStatement{
		awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions: jsii.Strings(all()...), Resources: &[]*string{table},
			Conditions: &map[string]any{
				"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": schema.PartitionsOf(canaryOrg)},
			},
		}),
		awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions: jsii.Strings("sts:AssumeRole"), Resources: &[]*string{publisher},
		}),
	}
}
