package main

import (
	"slices"

	"theoneagents.app/agents/shared/boot"
	"theoneagents.app/agents/shared/console"
)

// The functions that the code here names.
const (
	docs       = "docs"
	jwks       = "jwks"
	dispatcher = "dispatcher"
	runner     = "runner"
	sweeper    = "sweeper"
	tally      = "tally"
	watchdog   = "watchdog"
	worker     = "worker"
	canary     = "canary" // also the product of its events
)

// A function is a program below functions/, built to dist/<name>/bootstrap.
type function struct {
	name    string
	timeout int          // seconds
	memory  int          // megabytes; 0 for those of usualMemory
	share   int          // of accountConcurrency: calls at a time, see concurrency.go
	routes  []string     // the paths that it answers below /api
	pages   []string     // the paths elsewhere that it answers
	env     []string     // environment variables, of package boot
	table   []string     // DynamoDB actions
	grants  []permission // other permissions
	traced  bool         // runs go through it: it exports spans. Requests of the API wait for no export
}

// paths returns the paths of the API that the function answers.
func (f function) paths() []string {
	var paths []string
	for _, route := range f.routes {
		paths = append(paths, "/api/"+route, "/api/"+route+"/{proxy+}")
	}
	return append(paths, f.pages...)
}

// megabytes returns the memory of the function.
func (f function) megabytes() int {
	if f.memory == 0 {
		return usualMemory
	}
	return f.memory
}

// heap returns the megabytes near which Go collects garbage more often.
func (f function) heap() int { return f.megabytes() * 25 / 32 }

// A permission is a right of a function other than access to the table.
type permission string

// The permissions.
const (
	startRuns    permission = "start a run on the Express machine"
	ringDoorbell permission = "wake a run that waits for approval"
	sendLetters  permission = "send a dead letter"
	invokeModels permission = "call a model"
	sendSMS      permission = "send a text message"
	sendEmail    permission = "send e-mail"

	// countRequests is for functions that otherwise only read the table.
	countRequests permission = "count requests for the rate limit, and mark keys as used"

	// probe is for the canary: its table is its own organization.
	probe permission = "publish and decide as the canary"

	// sumStatistics is for the consumer of the stream that adds up what runs contribute.
	sumStatistics permission = "add to the statistics of agents"

	// startJobs is for functions that start workers, and workOnJobs for the worker: it
	// writes the records of jobs and of the credits of test runs, and no others.
	startJobs  permission = "start a worker on a job"
	workOnJobs permission = "write the records of jobs and of the credits of test runs"

	// publishEvents is for functions that end runs or publish stored events.
	publishEvents permission = "publish platform events"
)

const (
	usualMemory = 256  // megabytes
	wholeCore   = 1769 // megabytes with which Lambda gives a function one whole processor
	apiTimeout  = 15   // seconds; API Gateway gives up after 30
)

// plan lists the functions, each with only the settings and permissions that it
// needs.
func plan() []function {
	return []function{
		{name: "agents", timeout: apiTimeout, share: 20, routes: []string{"agents", "templates"}, env: forAPI(boot.EnvWorker), table: all(), grants: []permission{ringDoorbell, startJobs}},
		{name: "executions", timeout: apiTimeout, share: 40, routes: []string{"executions"}, env: forAPI(boot.EnvRuns, boot.EnvRetention), table: writes(checkItem), grants: []permission{startRuns, ringDoorbell}},
		{name: "approvals", timeout: apiTimeout, share: 20, routes: []string{"approvals"}, env: forAPI(), table: writes(), grants: []permission{ringDoorbell}},
		{name: "keys", timeout: apiTimeout, share: 10, routes: []string{"keys", "webhook-secret"}, env: forAPI(boot.EnvHookSecret), table: writes(deleteItem)},
		{name: "events", timeout: apiTimeout, share: 10, routes: []string{"events", "actions"}, env: forAPI(), table: reads(), grants: []permission{countRequests}},
		{name: "credits", timeout: apiTimeout, share: 10, routes: []string{"credits", "quotas", "me"}, env: forAPI(), table: reads(), grants: []permission{countRequests}},
		{name: "audit", timeout: apiTimeout, share: 10, routes: []string{"audit"}, env: forAPI(), table: reads(), grants: []permission{countRequests}},
		{name: "pause", timeout: apiTimeout, share: 5, routes: []string{"pause"}, env: forAPI(boot.EnvRuns), table: writes(checkItem), grants: []permission{startRuns, ringDoorbell}},
		{name: "jobs", timeout: apiTimeout, share: 10, routes: []string{"jobs", "backtests"}, env: forAPI(boot.EnvWorker), table: puts(), grants: []permission{countRequests, startJobs}},
		{name: "settings", timeout: apiTimeout, share: 10, routes: []string{"settings"}, env: forAPI(boot.EnvRetention), table: writes(checkItem)},
		{name: docs, timeout: apiTimeout, share: 10, env: []string{boot.EnvAddressRateLimit}},
		{name: "console", timeout: apiTimeout, share: 15, pages: consolePages(), env: []string{boot.EnvHub}},
		{name: jwks, timeout: apiTimeout, share: 15, pages: []string{"/.well-known/jwks.json"}, env: []string{boot.EnvCallKey, boot.EnvAddressRateLimit}},
		{name: dispatcher, timeout: 10, share: 60, traced: true, env: forDispatcher(), table: all(), grants: []permission{startRuns, sendLetters, sendEmail}},
		{name: runner, timeout: 120, share: 500, traced: true, env: forRunner(), table: writes(checkItem), grants: []permission{ringDoorbell, invokeModels, sendSMS, sendEmail, publishEvents}},
		{name: sweeper, timeout: 58, share: 5, env: []string{boot.EnvTable, boot.EnvRuns, boot.EnvBus, boot.EnvMetrics, boot.EnvWorker}, table: all(), grants: []permission{startRuns, ringDoorbell, publishEvents, startJobs}},
		{name: tally, timeout: 60, share: 20, env: []string{boot.EnvTable}, grants: []permission{sumStatistics}},
		{name: watchdog, timeout: 60, share: 10, env: []string{boot.EnvTable}, table: marks()},
		{name: worker, timeout: 300, memory: wholeCore, share: 10, env: forWorker(), table: append(reads(), checkItem), grants: []permission{workOnJobs, invokeModels}},
		{name: canary, timeout: 30, share: 5, env: []string{boot.EnvTable, boot.EnvBus, boot.EnvMetrics, boot.EnvCanaryOrg, boot.EnvCanaryRole}, grants: []permission{ringDoorbell, probe}},
	}
}

// consolePages returns the paths of the console: its pages and their assets.
func consolePages() []string {
	paths := []string{"/", "/assets/{proxy+}"}
	for _, section := range console.Sections() {
		paths = append(paths, "/"+section, "/"+section+"/{proxy+}")
	}
	return paths
}

// planned returns the function with this name. An unknown name is a bug.
func planned(name string) function {
	functions := plan()
	return functions[slices.IndexFunc(functions, func(f function) bool { return f.name == name })]
}

// forAPI is the environment of a function that answers API requests: the table,
// the authentication, and more.
func forAPI(more ...string) []string {
	return append([]string{boot.EnvTable, boot.EnvJWKS, boot.EnvIssuer, boot.EnvAudience, boot.EnvOrigins, boot.EnvAllowedHosts, boot.EnvCursorSecret, boot.EnvRateLimit, boot.EnvUserRateLimit, boot.EnvAddressRateLimit}, more...)
}

func forDispatcher() []string {
	return []string{boot.EnvTable, boot.EnvRuns, boot.EnvDeadLetters, boot.EnvEventQueues, boot.EnvConsole, boot.EnvSender, boot.EnvMetrics, boot.EnvRetention}
}

func forRunner() []string {
	return []string{
		boot.EnvTable, boot.EnvProducts, boot.EnvAllowedHosts, boot.EnvProvider, boot.EnvModelURL,
		boot.EnvModelKey, boot.EnvModels, boot.EnvConsole, boot.EnvSender, boot.EnvHookSecret,
		boot.EnvBus, boot.EnvCallKey, boot.EnvCallIssuer, boot.EnvMetrics,
	}
}

func forWorker() []string {
	return []string{boot.EnvTable, boot.EnvAllowedHosts, boot.EnvProvider, boot.EnvModelURL, boot.EnvModelKey, boot.EnvModels}
}

// Actions on the table are listed one by one; the actions of its parts
// authorise a transaction. Scan is not among them, so that no call reads the
// whole table. The local cloud obeys these lists and the grants too.

// Actions that only some of the writing functions need.
const (
	deleteItem = "dynamodb:DeleteItem"         // agents, keys, listeners of agents that break, and everything of deleted organizations
	checkItem  = "dynamodb:ConditionCheckItem" // the balance of a month is opened from the plan
)

// all is for functions that need both.
func all() []string { return writes(deleteItem, checkItem) }

// writes is for functions that change records.
func writes(more ...string) []string {
	return append(append(reads(), "dynamodb:PutItem", "dynamodb:UpdateItem"), more...)
}

// marks is for functions that read a record and change it.
func marks() []string { return []string{"dynamodb:GetItem", "dynamodb:UpdateItem"} }

// puts is for functions that write whole records alone.
func puts() []string { return append(reads(), "dynamodb:PutItem") }

// reads is for functions that only read. Counting a request and marking a key as
// used are writes: see countRequests.
func reads() []string {
	return []string{"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
}
