package main

import (
	"fmt"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

// A graph shows some measures over time.
type graph struct {
	title    string
	measures []measure
	period   int  // seconds
	stacked  bool // whether the measures add up
	// limit is the threshold of an alarm; nil for none.
	limit *float64
}

// CloudWatch's grid has 24 columns.
const (
	graphWidth  = 8
	graphHeight = 6
	rowWidth    = 24
)

// newDashboard declares the dashboard: the states of the alarms, the flow of runs,
// what drives the costs, and a graph of each alarm.
func newDashboard(stack awscdk.Stack, rows []alarm, m monitored) {
	awscloudwatch.NewCfnDashboard(stack, jsii.String("Dashboard"), &awscloudwatch.CfnDashboardProps{
		DashboardName: jsii.String(prefix(stack)),
		DashboardBody: stack.ToJsonString(map[string]any{"widgets": widgets(stack, rows, m)}, nil),
	})
}

func widgets(stack awscdk.Stack, rows []alarm, m monitored) []any {
	var arns []*string
	for _, a := range rows {
		arns = append(arns, stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("cloudwatch"), Resource: jsii.String("alarm"), ResourceName: named(stack, a.name),
			ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		}))
	}
	all := []any{map[string]any{
		"type": "alarm", "x": 0, "y": 0, "width": rowWidth, "height": graphHeight,
		"properties": map[string]any{"title": "Alarms: infra/RUNBOOK.md has a section for each", "alarms": arns},
	}}
	y := graphHeight
	for _, part := range []struct {
		title  string
		graphs []graph
	}{
		{"The flow of runs", flow(m)}, {"What drives the costs", costs(m)}, {"The alarms", alarmGraphs(rows)},
	} {
		all = append(all, map[string]any{
			"type": "text", "x": 0, "y": y, "width": rowWidth, "height": 1,
			"properties": map[string]any{"markdown": "## " + part.title},
		})
		y++
		for i, g := range part.graphs {
			perRow := rowWidth / graphWidth
			all = append(all, map[string]any{
				"type": "metric", "x": i % perRow * graphWidth, "y": y + i/perRow*graphHeight, "width": graphWidth, "height": graphHeight,
				"properties": g.properties(*stack.Region()),
			})
		}
		y += (len(part.graphs) + 2) / (rowWidth / graphWidth) * graphHeight
	}
	return all
}

func (g graph) properties(region string) map[string]any {
	var metrics []any
	for i, one := range g.measures {
		metrics = append(metrics, one.lines(i)...)
	}
	p := map[string]any{
		"title": g.title, "view": "timeSeries", "region": region, "period": g.period, "stacked": g.stacked, "metrics": metrics,
		"yAxis": map[string]any{"left": map[string]any{"min": 0}},
	}
	if g.limit != nil {
		p["annotations"] = map[string]any{"horizontal": []any{map[string]any{"label": "alarm", "value": *g.limit}}}
	}
	return p
}

// lines returns a measure in the form of a graph. The names in its formula get the
// number of the measure, since they are those of the whole graph.
func (m measure) lines(n int) []any {
	var all []any
	if m.formula != "" {
		all = append(all, []any{map[string]any{"expression": m.numbered(n), "label": m.label, "id": lineID("value", n)}})
	}
	for _, s := range m.series {
		line := []any{s.namespace, s.name}
		for _, d := range s.dimensions {
			line = append(line, d.name, *d.value)
		}
		all = append(all, append(line, map[string]any{
			"id": lineID(s.id, n), "stat": s.stat, "label": m.label, "visible": m.formula == "",
		}))
	}
	return all
}

// numbered returns the formula with the names of lines.
func (m measure) numbered(n int) string {
	formula := m.formula
	for _, s := range m.series {
		formula = regexp.MustCompile(`\b`+s.id+`\b`).ReplaceAllString(formula, lineID(s.id, n))
	}
	return formula
}

func lineID(name string, n int) string { return fmt.Sprintf("%s_%d", name, n) }

// alarmGraphs returns a graph for each section of the runbook.
func alarmGraphs(rows []alarm) []graph {
	var all []graph
	at := map[string]int{}
	for _, a := range rows {
		n, known := at[a.section]
		if !known {
			n = len(all)
			at[a.section] = n
			all = append(all, graph{title: a.section, period: a.period, limit: jsii.Number(a.threshold)})
		}
		g := &all[n]
		if g.limit != nil && *g.limit != a.threshold {
			g.limit = nil
		}
		of := a.of
		if a.section != a.name {
			of.label = a.name
		}
		g.measures = append(g.measures, of)
	}
	return all
}

func flow(m monitored) []graph {
	counts := func(title string, all ...measure) graph { return graph{title: title, period: minute, measures: all} }
	return []graph{
		counts("Events in", one("received", m.ofQueue("events", "NumberOfMessagesSent", "Sum")),
			one("delivered", m.ofQueue("events", "NumberOfMessagesReceived", "Sum")),
			one("postponed", m.own("EventsPostponed", "Sum")),
			one("dead letters", m.ofQueue("dead-letters", "NumberOfMessagesSent", "Sum"))),
		counts("Runs ended", one("completed", m.ofRuns("completed", "SampleCount")), one("failed", m.ofRuns("failed", "SampleCount")),
			one("cancelled", m.ofRuns("cancelled", "SampleCount"))),
		counts("Time from the record of a run to its end (ms)", one("p50", m.ofRuns("completed", "p50")), one("p99", m.ofRuns("completed", "p99"))),
		counts("Steps failed", one("AI", m.ofSteps("ai_reason", "failed")), one("actions", m.ofSteps("product_action", "failed")),
			one("notifications", m.ofSteps("notification", "failed"))),
		counts("Machines of runs: Runs", one("started", m.ofMachine(m.runs, "ExecutionsStarted")),
			one("ended or handed over", m.ofMachine(m.runs, "ExecutionsSucceeded")),
			one("failed", m.ofMachine(m.runs, "ExecutionsFailed")), one("timed out", m.ofMachine(m.runs, "ExecutionsTimedOut"))),
		counts("Waiting for people and times: Waits", one("began to wait", m.ofMachine(m.waits, "ExecutionsStarted")),
			one("ended", m.ofMachine(m.waits, "ExecutionsSucceeded")), one("failed", m.ofMachine(m.waits, "ExecutionsFailed"))),
		counts("Age of the oldest message (s)",
			one("events", m.ofQueue("events", "ApproximateAgeOfOldestMessage", "Maximum")),
			one("undelivered", m.ofQueue("undelivered", "ApproximateAgeOfOldestMessage", "Maximum"))),
		counts("Messages in the queues",
			one("events, visible", m.ofQueue("events", "ApproximateNumberOfMessagesVisible", "Maximum")),
			one("events, at work or postponed", m.ofQueue("events", "ApproximateNumberOfMessagesNotVisible", "Maximum")),
			one("dead letters", m.ofQueue("dead-letters", "ApproximateNumberOfMessagesVisible", "Maximum"))),
		counts("The sweeper", one("runs overdue", m.own("RunsOverdue", "Sum")), one("restarted", m.own("RunsRestarted", "Sum")),
			one("repairs failed", m.own("RepairsFailed", "Sum")), one("events published", m.own("EventsPublished", "Sum"))),
		counts("Requests of the API", one("requests", m.ofAPI("Count", "Sum")), one("400 to 499", m.ofAPI("4xx", "Sum")), one("500 and above", m.ofAPI("5xx", "Sum"))),
		counts("Latency of the API (ms)", one("p50", m.ofAPI("Latency", "p50")), one("p99", m.ofAPI("Latency", "p99"))),
		counts("The canary", one("published", m.own("CanaryPublished", "Sum")), one("completed in time", m.own("CanaryEnded", "Sum")),
			one("ended otherwise", m.own("CanaryFailed", "Sum"))),
		counts("Time of the platform for a run of the canary (ms)", one("longest", m.own("CanaryMilliseconds", "Maximum"))),
		counts("Concurrent invocations", m.perFunction("ConcurrentExecutions", "Maximum")...),
	}
}

// costs returns what AWS charges for, by the hour.
func costs(m monitored) []graph {
	const hour = 60 * minute
	table := func(name string) series {
		return series{namespace: "AWS/DynamoDB", name: name, stat: "Sum", dimensions: []dimension{{"TableName", m.table}}}
	}
	return []graph{
		{title: "Units of the table", period: hour, measures: []measure{
			one("write units", table("ConsumedWriteCapacityUnits")), one("read units", table("ConsumedReadCapacityUnits")),
		}},
		{title: "Milliseconds of the functions", period: hour, stacked: true, measures: m.perFunction("Duration", "Sum")},
		{title: "Machines", period: hour, measures: []measure{
			one("executions of Runs", m.ofMachine(m.runs, "ExecutionsStarted")),
			one("executions of Waits", m.ofMachine(m.waits, "ExecutionsStarted")),
		}},
		{title: "Bytes of logs", period: hour, stacked: true, measures: m.perLog()},
		{title: "Invocations", period: hour, stacked: true, measures: m.perFunction("Invocations", "Sum")},
		{title: "Events", period: hour, measures: []measure{one("events", m.ofQueue("events", "NumberOfMessagesSent", "Sum"))}},
	}
}

// perFunction returns a metric of every function.
func (m monitored) perFunction(name, stat string) []measure {
	var all []measure
	for _, f := range plan() {
		all = append(all, one(f.name, m.ofFunction(f.name, name, stat)))
	}
	return all
}

// perLog returns the size of the log of every function.
func (m monitored) perLog() []measure {
	var all []measure
	for _, f := range plan() {
		all = append(all, one(f.name, series{
			namespace: "AWS/Logs", name: "IncomingBytes", stat: "Sum",
			dimensions: []dimension{{"LogGroupName", jsii.String("/aws/lambda/" + *m.function(f.name))}},
		}))
	}
	return all
}
