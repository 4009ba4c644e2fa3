package main

import (
	"slices"

	"theoneagents.app/agents/shared/boot"
)

// The functions that something here names.
const (
	docs       = "docs"
	dispatcher = "dispatcher"
	runner     = "runner"
	sweeper    = "sweeper"
)

// A function is one program below functions/, built to dist/<name>/bootstrap.
type function struct {
	name    string
	timeout int          // seconds
	routes  []string     // what it answers below /api
	env     []string     // names of package boot
	table   []string     // what it may do to items
	grants  []permission // what else it may do
}

// A permission is something that a function may do besides using the table.
type permission string

// The permissions.
const (
	startRuns    permission = "start a run on the Express machine"
	ringDoorbell permission = "wake a run that waits for a person"
	sendLetters  permission = "set an event aside with a reason"
	invokeModels permission = "ask a model"
	sendSMS      permission = "text a telephone"
	sendEmail    permission = "send e-mail"

	// publishEvents is for whoever settles runs or publishes what others stored.
	publishEvents permission = "publish the platform's own events"
)

const (
	memory     = 256 // megabytes, for every function
	apiTimeout = 15  // seconds; API Gateway gives up after 30
)

// plan lists the functions: what each is told and what it may do, no more.
func plan() []function {
	return []function{
		{name: "agents", timeout: apiTimeout, routes: []string{"agents", "templates"}, env: forAPI(), table: all(), grants: []permission{ringDoorbell}},
		{name: "executions", timeout: apiTimeout, routes: []string{"executions"}, env: forAPI(boot.EnvRuns), table: all(), grants: []permission{startRuns, ringDoorbell}},
		{name: "approvals", timeout: apiTimeout, routes: []string{"approvals"}, env: forAPI(), table: all(), grants: []permission{ringDoorbell}},
		{name: "keys", timeout: apiTimeout, routes: []string{"keys", "webhook-secret"}, env: forAPI(boot.EnvHookSecret), table: all()},
		{name: "events", timeout: apiTimeout, routes: []string{"events", "actions"}, env: forAPI(), table: readAndCount()},
		{name: "credits", timeout: apiTimeout, routes: []string{"credits"}, env: forAPI(), table: readAndCount()},
		{name: docs, timeout: apiTimeout},
		{name: dispatcher, timeout: 10, env: forDispatcher(), table: all(), grants: []permission{startRuns, sendLetters, sendEmail}},
		{name: runner, timeout: 120, env: forRunner(), table: all(), grants: []permission{ringDoorbell, invokeModels, sendSMS, sendEmail, publishEvents}},
		{name: sweeper, timeout: 58, env: []string{boot.EnvTable, boot.EnvRuns, boot.EnvBus}, table: all(), grants: []permission{startRuns, ringDoorbell, publishEvents}},
	}
}

// planned returns the function of that name; asking for one that is not in the
// plan is a mistake in this program.
func planned(name string) function {
	functions := plan()
	return functions[slices.IndexFunc(functions, func(f function) bool { return f.name == name })]
}

// forAPI is the environment of whoever answers people: the table, how to tell
// who asks, and more.
func forAPI(more ...string) []string {
	return append([]string{boot.EnvTable, boot.EnvJWKS, boot.EnvIssuer, boot.EnvAudience, boot.EnvOrigins, boot.EnvAllowedHosts, boot.EnvCursorSecret, boot.EnvRateLimit}, more...)
}

func forDispatcher() []string {
	return []string{boot.EnvTable, boot.EnvRuns, boot.EnvDeadLetters, boot.EnvUndelivered, boot.EnvConsole, boot.EnvSender}
}

func forRunner() []string {
	return []string{
		boot.EnvTable, boot.EnvProducts, boot.EnvAllowedHosts, boot.EnvProvider, boot.EnvModelURL,
		boot.EnvModelKey, boot.EnvModels, boot.EnvConsole, boot.EnvSender, boot.EnvHookSecret,
		boot.EnvBus,
	}
}

// Actions on the table are named one by one; a transaction is authorised by
// those of its parts. Scan is in none of them, so that nothing can come to cost
// the whole table.

// all is for whoever changes records.
func all() []string {
	return append(readAndCount(), "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem")
}

// readAndCount is for whoever only shows: the count of requests is a write too.
func readAndCount() []string {
	return []string{"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"}
}
