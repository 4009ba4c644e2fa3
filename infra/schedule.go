package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets"
	"github.com/aws/jsii-runtime-go"
)

// sweepEveryMinute schedules the sweeper. Lambda does not retry a failed sweep,
// and the scheduler retries for at most a minute: the next sweep covers the
// same runs.
func sweepEveryMinute(stack awscdk.Stack, sweeper awslambda.IFunction, q queues) {
	minute := awscdk.Duration_Minutes(jsii.Number(1))
	sweeper.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		MaxEventAge:   minute,
		RetryAttempts: jsii.Number(0),
	})
	awsscheduler.NewSchedule(stack, jsii.String("Sweep"), &awsscheduler.ScheduleProps{
		ScheduleName: named(stack, "sweep"),
		Description:  jsii.String("Restarts the runs that a crash left unfinished."),
		Schedule:     awsscheduler.ScheduleExpression_Rate(minute),
		Target: awsschedulertargets.NewLambdaInvoke(sweeper, &awsschedulertargets.ScheduleTargetBaseProps{
			MaxEventAge:     minute,
			RetryAttempts:   jsii.Number(2),
			DeadLetterQueue: q.Unswept,
		}),
	})
}
