package main

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// monitored are the names of the resources that are observed, as the dimensions of
// metrics have them.
type monitored struct {
	namespace   string // of the functions' own metrics
	table, api  *string
	runs, waits *string // ARNs
	queue       func(name string) *string
	function    func(name string) *string
	canary      bool                      // whether the canary runs
	vault       *string                   // of the copies of the table; nil without them
	version     func(name string) *string // the version of a function that this deployment brings
	tried       []function                // those whose new versions are tried
}

// alarms returns every alarm, the most urgent first.
func alarms(m monitored) []alarm {
	rows := []alarm{
		{
			name: "late-events", severity: page, why: "Events wait for the dispatcher: runs start late.",
			of: one("Age of the oldest event (s)", m.ofQueue("events", "ApproximateAgeOfOldestMessage", "Maximum")),
			is: above, threshold: 300, period: minute, periods: 3, among: 5, missing: silenceIsGood,
		},
		{
			name: "overdue-runs", severity: page, why: "Runs make no progress, and the sweeper does not move them on.",
			of: one("Longest time that a run was due (s)", m.own("OldestDueSeconds", "Maximum")),
			is: above, threshold: 180, period: minute, periods: 3, among: 5, missing: silenceIsGood,
		},
		{
			name: "sweeper-stopped", severity: page, why: "The sweeper was not invoked: runs without a machine stand still.",
			of: counted("Invocations", m.ofFunction(sweeper, "Invocations", "Sum")),
			is: below, threshold: 1, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsBad,
		},
		m.errors(dispatcher, "The dispatcher fails: events are not handled.", 5, 20),
		m.errors(runner, "The runner fails: runs stand still or are repeated.", 5, 20),
		m.errors(sweeper, "The sweeper fails: runs without a machine may stand still.", 50, 3),
		{
			name: "api-errors", severity: page, why: "The API answers with server errors.",
			of: percent("Answers of 500 and above", m.ofAPI("5xx", "Sum"), m.ofAPI("Count", "Sum"), 20),
			is: above, threshold: 5, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
		},
		{
			name: "table-throttled", severity: page, why: "DynamoDB throttles the table: everything is slow or repeated.",
			of: sum("Throttled requests", m.ofTable("ThrottledRequests")),
			is: above, threshold: 100, period: fiveMinutes, periods: 2, among: 3, missing: silenceIsGood,
		},
		{
			name: "table-errors", severity: page, why: "DynamoDB fails: everything is slow or repeated.",
			of: sum("System errors", m.ofTable("SystemErrors")),
			is: above, threshold: 50, period: fiveMinutes, periods: 2, among: 3, missing: silenceIsGood,
		},
		{
			name: "runs-failed", severity: page, why: "Executions of the machine Runs fail; the sweeper restarts their runs.",
			of: m.failures("Failed executions", m.runs),
			is: above, threshold: 10, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
		},
		{
			name: "waits-failed", severity: page, why: "Executions of the machine Waits fail; the sweeper restarts their runs.",
			of: m.failures("Failed executions", m.waits),
			is: above, threshold: 10, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
		},
		{
			name: "postponed-events", severity: page, why: "The dispatcher cannot handle many events and postpones them: agents start late.",
			of: m.postponed(20),
			is: above, threshold: 10, period: fiveMinutes, periods: 2, among: 3, missing: silenceIsGood,
		},
		{
			name: "models-failing", severity: page, why: "AI steps fail: a model is refused, overloaded or down, and so is its fallback.",
			of: m.failedSteps("ai_reason", 20),
			is: above, threshold: 50, period: fiveMinutes, periods: 2, among: 3, missing: silenceIsGood,
		},
		{
			name: "undelivered", severity: page, why: "The dispatcher cannot be started, and events wait in the last queue before they are lost.",
			of: one("Age of the oldest event (s)", m.ofQueue("undelivered", "ApproximateAgeOfOldestMessage", "Maximum")),
			is: above, threshold: 300, period: minute, periods: 3, among: 5, missing: silenceIsGood,
		},
		{
			name: "dead-letter-rate", severity: page, why: "Many events become dead letters.",
			of: m.letters(20),
			is: above, threshold: 5, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
		},
		{
			name: "dead-letters", severity: ticket, why: "Events became dead letters, each with its reason.", once: true,
			of: counted("New dead letters", m.ofQueue("dead-letters", "NumberOfMessagesSent", "Sum")),
			is: atLeast, threshold: 1, period: 3 * fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
		},
		{
			name: "stuck-events", severity: ticket, why: "For an hour there were events that the dispatcher could not handle, through a fault of ours.",
			of: counted("Postponed deliveries", m.own("EventsPostponed", "Sum")),
			is: atLeast, threshold: 1, period: 3 * fiveMinutes, periods: 4, among: 4, missing: silenceIsGood,
		},
		{
			name: "actions-failing", severity: ticket, why: "Actions in products fail.",
			of: m.failedSteps("product_action", 50),
			is: above, threshold: 20, period: fiveMinutes, periods: 3, among: 3, missing: silenceIsGood,
		},
		m.lag("late-statistics", tally, ticket, "Statistics and used credits lag behind the runs: the function tally does not follow the stream."),
		m.lag("late-watchdog", watchdog, page, "Runs that lose their machine are not found: the function watchdog does not follow the stream."),
		{
			name: "unswept", severity: ticket, why: "The scheduler could not invoke the sweeper.", once: true,
			of: counted("Invocations that failed", m.ofQueue("unswept", "NumberOfMessagesSent", "Sum")),
			is: atLeast, threshold: 1, period: 3 * fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
		},
		{
			name: "repairs", severity: ticket, why: "The sweeper restarts many of the runs that start.",
			of: percent("Restarted runs", m.own("RunsRestarted", "Sum"), m.ofMachine(m.runs, "ExecutionsStarted"), 100),
			is: above, threshold: 5, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
		},
		{
			name: "api-slow", severity: ticket, why: "One request of the API in a hundred takes longer than three seconds.",
			of: m.latency(20),
			is: above, threshold: 3000, period: fiveMinutes, periods: 3, among: 3, missing: silenceIsGood,
		},
	}
	if m.vault != nil {
		rows = append(rows, m.backup())
	}
	if m.canary {
		rows = slices.Insert(rows, 0, m.ofCanary()...)
	}
	for _, f := range plan() {
		rows = append(rows, m.timeouts(f), m.throttles(f.name))
	}
	for _, f := range m.tried {
		rows = append(rows, m.trial(f.name))
	}
	for i := range rows {
		if rows[i].section == "" {
			rows[i].section = rows[i].name
		}
	}
	return rows
}

// ofCanary returns the alarms of the canary, which say that users would notice, whatever
// the cause.
func (m monitored) ofCanary() []alarm {
	return []alarm{
		{
			name: "canary-late", severity: page, why: "Runs of the canary are late: those of organizations are too.",
			of: one("Longest time of the platform for a run (s)", m.own("CanaryLateSeconds", "Maximum")),
			is: above, threshold: 120, period: minute, periods: 3, among: 5, missing: silenceIsGood,
		},
		{
			name: "canary-silent", severity: page, why: "No run of the canary was completed in five minutes, or the canary itself does not run.",
			of: counted("Completed runs", m.own("CanaryEnded", "Sum")),
			is: below, threshold: 1, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsBad,
		},
	}
}

// errors is the alarm about the failed invocations of a function, in percent; the value
// is 0 while there are fewer than least invocations.
func (m monitored) errors(name, why string, threshold float64, least int) alarm {
	return alarm{
		name: "errors-" + name, section: "function-errors", severity: page, why: why,
		of: percent("Failed invocations", m.ofFunction(name, "Errors", "Sum"), m.ofFunction(name, "Invocations", "Sum"), least),
		is: above, threshold: threshold, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
	}
}

// lag is the alarm about a consumer of the stream that does not follow. Lambda has
// tried a record that is so old many times.
func (m monitored) lag(name, function string, how severity, why string) alarm {
	return alarm{
		name: name, severity: how, why: why,
		of: one("Age of the oldest record (ms)", m.ofFunction(function, "IteratorAge", "Maximum")),
		is: above, threshold: 5 * minute * 1000, period: minute, periods: 3, among: 5, missing: silenceIsGood,
	}
}

// trial is the alarm about the new version of a function while a tenth of the invocations
// go to it.
func (m monitored) trial(name string) alarm {
	of := func(metric string) series {
		s := m.ofFunction(name, metric, "Sum")
		s.dimensions = append(s.dimensions,
			dimension{"Resource", jsii.String(*m.function(name) + ":" + live)}, dimension{"ExecutedVersion", m.version(name)})
		return s
	}
	return alarm{
		name: "version-" + name, section: "new-version", severity: ticket,
		why: fmt.Sprintf("The new version of %s fails: CodeDeploy ends the deployment.", name),
		of:  percent("Failed invocations of the new version", of("Errors"), of("Invocations"), 3),
		is:  above, threshold: 10, period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
	}
}

// nearly is the part of its time limit that an invocation never reaches by itself:
// Lambda has ended it.
const nearly = 0.99

func (m monitored) timeouts(f function) alarm {
	return alarm{
		name: "timeouts-" + f.name, section: "function-timeouts", severity: ticket,
		why: fmt.Sprintf("Lambda ended an invocation of %s after %d seconds.", f.name, f.timeout), once: true,
		of: counted("Longest invocation (ms)", m.ofFunction(f.name, "Duration", "Maximum")),
		is: atLeast, threshold: nearly * 1000 * float64(f.timeout), period: fiveMinutes, periods: 1, among: 1, missing: silenceIsGood,
	}
}

func (m monitored) throttles(name string) alarm {
	refused, made := m.ofFunction(name, "Throttles", "Sum"), m.ofFunction(name, "Invocations", "Sum")
	refused.id, made.id = "refused", "made"
	return alarm{
		name: "throttles-" + name, section: "function-throttles", severity: ticket,
		why: fmt.Sprintf("Lambda refuses invocations of %s: its concurrency is used up.", name),
		of: measure{
			label: "Refused invocations (%)", series: []series{refused, made},
			formula: "IF(refused >= 5, 100 * refused / (refused + FILL(made, 0)), 0)",
		},
		is: above, threshold: 1, period: fiveMinutes, periods: 2, among: 3, missing: silenceIsGood,
	}
}

// failures returns the share of the executions of a machine that failed, timed out or
// were aborted.
func (m monitored) failures(label string, machine *string) measure {
	all := []series{
		m.ofMachine(machine, "ExecutionsStarted"), m.ofMachine(machine, "ExecutionsFailed"),
		m.ofMachine(machine, "ExecutionsTimedOut"), m.ofMachine(machine, "ExecutionsAborted"),
	}
	for i, id := range []string{"started", "failed", "late", "aborted"} {
		all[i].id = id
	}
	return measure{
		label: label + " (%)", series: all,
		formula: "IF(started >= 10, 100 * (FILL(failed, 0) + FILL(late, 0) + FILL(aborted, 0)) / started, 0)",
	}
}

// letters returns the share of dead letters among the events; it is 0 while there are
// fewer than least letters.
func (m monitored) letters(least int) measure {
	letters, events := m.ofQueue("dead-letters", "NumberOfMessagesSent", "Sum"), m.ofQueue("events", "NumberOfMessagesSent", "Sum")
	letters.id, events.id = "letters", "events"
	return measure{
		label: "Dead letters (%)", series: []series{letters, events},
		formula: fmt.Sprintf("IF(letters >= %d, 100 * letters / (letters + FILL(events, 0)), 0)", least),
	}
}

// postponed returns the share of the deliveries of events that the dispatcher postponed;
// it is 0 while fewer than least were postponed. Neither the errors of the function nor the age of the
// oldest event show them: the dispatcher answers well, and SQS leaves a message out of
// that age when it was received three times.
func (m monitored) postponed(least int) measure {
	postponed, received := m.own("EventsPostponed", "Sum"), m.ofQueue("events", "NumberOfMessagesReceived", "Sum")
	postponed.id, received.id = "postponed", "received"
	return measure{
		label: "Postponed deliveries (%)", series: []series{postponed, received},
		formula: fmt.Sprintf("IF(postponed >= %d, 100 * postponed / received, 0)", least),
	}
}

// failedSteps returns the share of the steps of a kind that failed; it is 0 while fewer
// than least have ended.
func (m monitored) failedSteps(kind string, least int) measure {
	failed, completed := m.ofSteps(kind, "failed"), m.ofSteps(kind, "completed")
	failed.id, completed.id = "failed", "completed"
	return measure{
		label: "Failed steps (%)", series: []series{failed, completed},
		formula: fmt.Sprintf("IF(failed + FILL(completed, 0) >= %d, 100 * failed / (failed + FILL(completed, 0)), 0)", least),
	}
}

// latency returns the p99 latency of the API; it is 0 while there are fewer than least
// requests.
func (m monitored) latency(least int) measure {
	slowest, all := m.ofAPI("Latency", "p99"), m.ofAPI("Count", "Sum")
	slowest.id, all.id = "slowest", "all"
	return measure{
		label: "p99 latency (ms)", series: []series{slowest, all},
		formula: fmt.Sprintf("IF(all >= %d, slowest, 0)", least),
	}
}

// own returns a metric that a function logs.
func (m monitored) own(name, stat string) series {
	return series{namespace: m.namespace, name: name, stat: stat}
}

// backup returns the alarm on a day without a copy of the table.
func (m monitored) backup() alarm {
	return alarm{
		name: "backup-missing", severity: ticket, why: "For a day AWS Backup made no copy of the table.",
		of: counted("Copies", series{
			namespace: "AWS/Backup", name: "NumberOfBackupJobsCompleted", stat: "Sum",
			dimensions: []dimension{{"BackupVaultName", m.vault}},
		}),
		is: below, threshold: 1, period: day, periods: 1, among: 1, missing: silenceIsBad,
	}
}

// ofSteps returns the number of the steps of a kind with an outcome.
func (m monitored) ofSteps(kind, outcome string) series {
	return series{
		namespace: m.namespace, name: "StepDuration", stat: "SampleCount",
		dimensions: []dimension{{"kind", &kind}, {"outcome", &outcome}},
	}
}

// ofRuns returns a statistic of the runs that ended with an outcome.
func (m monitored) ofRuns(outcome, stat string) series {
	return series{namespace: m.namespace, name: "RunDuration", stat: stat, dimensions: []dimension{{"run_outcome", &outcome}}}
}

func (m monitored) ofFunction(function, name, stat string) series {
	return series{namespace: "AWS/Lambda", name: name, stat: stat, dimensions: []dimension{{"FunctionName", m.function(function)}}}
}

func (m monitored) ofQueue(queue, name, stat string) series {
	return series{namespace: "AWS/SQS", name: name, stat: stat, dimensions: []dimension{{"QueueName", m.queue(queue)}}}
}

func (m monitored) ofMachine(arn *string, name string) series {
	return series{namespace: "AWS/States", name: name, stat: "Sum", dimensions: []dimension{{"StateMachineArn", arn}}}
}

func (m monitored) ofAPI(name, stat string) series {
	return series{namespace: "AWS/ApiGateway", name: name, stat: stat, dimensions: []dimension{{"ApiId", m.api}}}
}

// ofTable returns a metric of the table for each of the operations in use. Requests on
// its indexes are among them.
func (m monitored) ofTable(name string) []series {
	var all []series
	for _, operation := range []string{"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"} {
		all = append(all, series{
			namespace: "AWS/DynamoDB", name: name, stat: "Sum",
			dimensions: []dimension{{"TableName", m.table}, {"Operation", jsii.String(operation)}},
		})
	}
	return all
}

// monitor returns the names of the resources of the stack.
func monitor(stack awscdk.Stack, s settings, o outputs, f *factory) monitored {
	name := func(name string) *string { return named(stack, name) }
	var vault *string
	if s.Backups {
		vault = name(vaultName)
	}
	return monitored{
		vault:     vault,
		namespace: s.namespace(), table: o.table.TableName(), api: o.api.ApiId(),
		runs: o.machines.Runs.StateMachineArn(), waits: o.machines.Waits.StateMachineArn(),
		queue: name, function: name, canary: s.Canary, tried: s.tried(),
		version: func(name string) *string { return f.functions[name].CurrentVersion().Version() },
	}
}
