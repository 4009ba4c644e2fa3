package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
)

// A severity says whether an alarm wakes a person.
type severity string

const (
	// page is for alarms whose cause makes runs or requests of organizations fail or
	// wait. It goes to the on-call service too.
	page severity = "page"
	// ticket is for alarms whose cause the platform bears by itself for a day.
	ticket severity = "ticket"
)

// The effects of a period without data.
const (
	silenceIsGood = "notBreaching"
	silenceIsBad  = "breaching" // for what must happen every minute
)

// The comparisons of a value with a threshold.
const (
	above   = "GreaterThanThreshold"
	atLeast = "GreaterThanOrEqualToThreshold"
	below   = "LessThanThreshold"
)

const (
	minute      = 60 // seconds, as are the periods of alarms
	fiveMinutes = 5 * minute
	day         = 24 * 60 * minute // the longest that an alarm looks back
)

// An alarm is a condition of the system about which operators get a message. The
// system loses no data in any of them: events stay in the queues and runs in the
// table.
type alarm struct {
	name      string // without the name of the stack
	section   string // of RUNBOOK.md; alarms of the same kind share one
	severity  severity
	why       string // the first sentence of the message
	of        measure
	is        string // comparison
	threshold float64
	period    int    // seconds
	periods   int    // the number that must break the threshold
	among     int    // the number of last periods among which they are
	missing   string // the effect of a period without data
	once      bool   // no message about the end, which says nothing
}

// A series is a metric of CloudWatch.
type series struct {
	id         string // its name in a formula
	namespace  string
	name       string
	stat       string
	dimensions []dimension
}

type dimension struct {
	name  string
	value *string
}

// A measure is the only one of its series, or a formula over them. Its unit is part
// of the label.
type measure struct {
	label   string
	formula string // metric math
	series  []series
}

// percent returns the share of bad among all in percent. It is 0 while there are fewer
// than least, since one of two is no rate.
func percent(label string, bad, all series, least int) measure {
	bad.id, all.id = "bad", "all"
	return measure{
		label: label + " (%)", series: []series{bad, all},
		formula: fmt.Sprintf("IF(all >= %d, 100 * FILL(bad, 0) / all, 0)", least),
	}
}

// one returns the measure of one series.
func one(label string, s series) measure {
	s.id = "m"
	return measure{label: label, series: []series{s}}
}

// counted returns the measure of one series whose periods without data count as 0.
// CloudWatch would otherwise look at older periods that have data before it applies the
// effect of missing data: the alarm would come, or end, a quarter of an hour late.
func counted(label string, s series) measure { return sum(label, []series{s}) }

// sum returns the sum of series. CloudWatch accepts ten in an alarm.
func sum(label string, all []series) measure {
	var terms []string
	for i := range all {
		all[i].id = fmt.Sprintf("m%d", i)
		terms = append(terms, "FILL("+all[i].id+", 0)")
	}
	return measure{label: label, series: all, formula: strings.Join(terms, " + ")}
}

// newAlarms declares the topic of the alarms, the alarms and the dashboard.
func newAlarms(stack awscdk.Stack, s settings, m monitored) {
	topic := newTopic(stack, s)
	rows := alarms(m)
	for _, a := range rows {
		declareAlarm(stack, a, actionsOf(a, topic, s))
	}
	newDashboard(stack, rows, m)
	awscdk.NewCfnOutput(stack, jsii.String("AlarmTopicArn"), &awscdk.CfnOutputProps{Value: topic.TopicArn()})
}

// newTopic declares the topic on which the alarms are published. It is not encrypted
// with a key: CloudWatch cannot use that of AWS, and a message holds the names of our
// own resources alone.
func newTopic(stack awscdk.Stack, s settings) awssns.Topic {
	topic := awssns.NewTopic(stack, jsii.String("Alarms"), &awssns.TopicProps{
		TopicName: named(stack, "alarms"), DisplayName: jsii.String("Alarms of " + prefix(stack)), EnforceSSL: jsii.Bool(true),
	})
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]any{
			"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
				Service: jsii.String("cloudwatch"), Resource: jsii.String("alarm"), ResourceName: named(stack, "*"),
				ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
			})},
		},
	}))
	for i, address := range s.AlarmEmails {
		awssns.NewCfnSubscription(stack, jsii.String(fmt.Sprintf("AlarmEmail%d", i)), &awssns.CfnSubscriptionProps{
			TopicArn: topic.TopicArn(), Protocol: jsii.String("email"), Endpoint: jsii.String(address),
		})
	}
	return topic
}

// actionsOf returns the topics to which an alarm goes.
func actionsOf(a alarm, topic awssns.Topic, s settings) *[]any {
	to := []any{*topic.TopicArn()}
	if a.severity == page && s.AlarmTopic != "" {
		to = append(to, s.AlarmTopic)
	}
	return &to
}

func declareAlarm(stack awscdk.Stack, a alarm, actions *[]any) {
	props := &awscloudwatch.CfnAlarmProps{
		AlarmName:          named(stack, a.name),
		AlarmDescription:   jsii.String(a.description()),
		Metrics:            queries(a.of, a.period),
		ComparisonOperator: jsii.String(a.is),
		Threshold:          jsii.Number(a.threshold),
		EvaluationPeriods:  jsii.Number(a.among),
		DatapointsToAlarm:  jsii.Number(a.periods),
		TreatMissingData:   jsii.String(a.missing),
		AlarmActions:       actions,
	}
	if !a.once {
		props.OkActions = actions
	}
	awscloudwatch.NewCfnAlarm(stack, jsii.String("Alarm-"+a.name), props)
}

// description returns the text of the message: the severity, what has happened, and
// the section of the runbook.
func (a alarm) description() string {
	return fmt.Sprintf("%s: %s Runbook: infra/RUNBOOK.md#%s", a.severity, a.why, a.section)
}

// queries returns a measure in the form of an alarm.
func queries(of measure, period int) []awscloudwatch.CfnAlarm_MetricDataQueryProperty {
	var all []awscloudwatch.CfnAlarm_MetricDataQueryProperty
	if of.formula != "" {
		all = append(all, awscloudwatch.CfnAlarm_MetricDataQueryProperty{
			Id: jsii.String("value"), Label: jsii.String(of.label), Expression: jsii.String(of.formula), ReturnData: jsii.Bool(true),
		})
	}
	for _, s := range of.series {
		var dimensions []awscloudwatch.CfnAlarm_DimensionProperty
		for _, d := range s.dimensions {
			dimensions = append(dimensions, awscloudwatch.CfnAlarm_DimensionProperty{Name: jsii.String(d.name), Value: d.value})
		}
		metric := &awscloudwatch.CfnAlarm_MetricProperty{Namespace: jsii.String(s.namespace), MetricName: jsii.String(s.name)}
		if len(dimensions) > 0 {
			metric.Dimensions = dimensions
		}
		all = append(all, awscloudwatch.CfnAlarm_MetricDataQueryProperty{
			Id: jsii.String(s.id), ReturnData: jsii.Bool(of.formula == ""),
			MetricStat: &awscloudwatch.CfnAlarm_MetricStatProperty{Metric: metric, Period: jsii.Number(period), Stat: jsii.String(s.stat)},
		})
	}
	return all
}
