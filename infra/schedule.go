package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets"
	"github.com/aws/jsii-runtime-go"
)

// sweepEveryMinute starts the sweeper. A sweep that fails is not tried again,
// neither by the scheduler for longer than a minute nor by Lambda: the next one
// does the same and more.
func sweepEveryMinute(stack awscdk.Stack, sweeper awslambda.Function, q queues) {
	minute := awscdk.Duration_Minutes(jsii.Number(1))
	sweeper.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		MaxEventAge:   minute,
		RetryAttempts: jsii.Number(0),
	})
	awsscheduler.NewSchedule(stack, jsii.String("Sweep"), &awsscheduler.ScheduleProps{
		ScheduleName: named("sweep"),
		Description:  jsii.String("Repairs what a crash left."),
		Schedule:     awsscheduler.ScheduleExpression_Rate(minute),
		Target: awsschedulertargets.NewLambdaInvoke(sweeper, &awsschedulertargets.ScheduleTargetBaseProps{
			MaxEventAge:     minute,
			RetryAttempts:   jsii.Number(2),
			DeadLetterQueue: q.Unswept,
		}),
	})
}
