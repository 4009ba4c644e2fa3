package bill

// What is assumed of AWS. A function waits for most of its time, so its duration is the
// sum of its calls.
const (
	// tableCall and otherCall are the seconds of a call of DynamoDB and of another service
	// of AWS; a transaction takes two calls' time.
	tableCall = 0.005
	otherCall = 0.025

	// productCall and modelCall are the seconds of a call of a product and of a model.
	productCall = 0.150
	modelCall   = 2.0

	// callWork is our processor time for each call, and invocationWork that for each
	// invocation, in seconds of a part of a processor: 256 MB have a seventh of one.
	callWork       = 0.002
	invocationWork = 0.005

	// memory is the GB of a function; expressMemory that of an Express execution.
	memory        = 0.25
	expressMemory = 0.0625
	expressStep   = 0.1 // seconds by which Express is charged

	// batch is the number of events of an invocation of the dispatcher, and of ended runs
	// of one of the tally, in a busy system. The statistics of each run are counted as if
	// no other run of its agent ended in the same second.
	batch = 10

	// newRuns is the number of new runs that the watchdog receives together, and watchWindow
	// the seconds for which they are collected: it looks at those under way when they end.
	newRuns     = 100
	watchWindow = 40

	// lambdaLines are the bytes that Lambda logs for an invocation: platform.start and
	// platform.report.
	lambdaLines = 700

	// traced is the part of the events that X-Ray records.
	traced = 0.05

	// copies is the number of daily backups that are kept.
	copies = 35

	// summed is the number of ended runs of an agent for which its statistics take a write
	// unit, when they end faster than the tally writes: 100 runs in one update of 3 KB and
	// a page of 2.
	summed = 20

	// partition is the number of write units in a second that DynamoDB takes for one
	// partition key.
	partition = 1000
)

// Assumptions returns them in a sentence.
const Assumptions = "Assumed: the dispatcher receives 10 events at a time, the tally 10 ended runs of different agents, and the watchdog 100 new runs every 40 s; a call of DynamoDB takes 5 ms and a " +
	"transaction 10, another call of AWS 25, a product 150, a model 2 s; our own work takes 2 ms for each call and 5 for " +
	"each invocation; X-Ray records 5 % of the traces. Tokens of models, e-mail and text messages are not included."
