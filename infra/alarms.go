package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// newAlarms declares the alarms for operators. The system loses no data in any
// of these conditions: events stay in the queues and runs in the table.
func newAlarms(stack awscdk.Stack, s settings, q queues, m machines, functions map[string]awslambda.Function) {
	fiveMinutes := &awscloudwatch.MetricOptions{Period: awscdk.Duration_Minutes(jsii.Number(5))}
	repairs := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(s.namespace()), MetricName: jsii.String("RunsRestarted"), // the sweeper logs the number
		Statistic: jsii.String("Sum"), Period: fiveMinutes.Period,
	})
	for _, a := range []struct {
		name, why string
		metric    awscloudwatch.Metric
		above     int
	}{
		{"dead-letters", "The dead-letter queue holds events; each has its reason.", q.DeadLetters.MetricApproximateNumberOfMessagesVisible(fiveMinutes), 0},
		{"late-events", "Events have waited in the queue for more than five minutes.", q.Events.MetricApproximateAgeOfOldestMessage(fiveMinutes), 300},
		{"unswept", "The scheduler could not start the sweeper.", q.Unswept.MetricApproximateNumberOfMessagesVisible(fiveMinutes), 0},
		{"sweeper-errors", "The sweeper fails, so stuck runs are not restarted.", functions[sweeper].MetricErrors(fiveMinutes), 2},
		{"repairs", "The sweeper restarted more than 20 runs in five minutes.", repairs, 20},
		{"runs-failed", "Executions of the Runs machine failed; the sweeper restarts their runs.", m.Runs.MetricFailed(fiveMinutes), 0},
		{"waits-failed", "Executions of the Waits machine failed; the sweeper restarts their runs.", m.Waits.MetricFailed(fiveMinutes), 0},
	} {
		awscloudwatch.NewAlarm(stack, jsii.String("Alarm-"+a.name), &awscloudwatch.AlarmProps{
			AlarmName:          named(stack, a.name),
			AlarmDescription:   jsii.String(a.why),
			Metric:             a.metric,
			Threshold:          jsii.Number(a.above),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
			EvaluationPeriods:  jsii.Number(1),
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		})
	}
}
