// Package machine is what the state machines and the runner say to each other.
//
// Two machines serve every agent; neither knows its definition. The machine
// carries ids only, and the data stays in the table:
//
//	Runs  (Express)   Run ──done──▶ end
//	                   └──otherwise──▶ HandOver: start Waits, end
//	Waits (Standard)  Next ─run──▶ Run ──▶ Next
//	                   ├──gate──▶ Ask (task token, Seconds) ──woken or timed out──▶ Run
//	                   ├──wait──▶ Sleep (Seconds) ──▶ Run
//	                   └──done──▶ end
//
// Everything may ring twice: whatever wakes the runner, it reads the record
// and acts on what that says, so an extra call does nothing.
package machine

import (
	"strconv"

	"theoneagents.app/agents/shared/id"
)

// A Cursor says which run a machine is about.
type Cursor struct {
	Org       id.Org       `json:"org"`
	Execution id.Execution `json:"execution"`
}

// A Call is what a machine sends to the runner.
type Call struct {
	Op     Op     `json:"op"`
	Cursor Cursor `json:"cursor"`
	// Owner is the execution of the machine that calls: a second call of the
	// same owner means that its first one is dead, so it may take over.
	Owner string `json:"owner"`
	// Token is the task token of an Ask; nothing else has one.
	Token string `json:"token,omitempty"`
}

// An Op is what the runner is to do.
type Op string

// The operations.
const (
	OpRun Op = "run" // go on from wherever the record is
	OpAsk Op = "ask" // put the question of the gate at which the run stands
)

// A Next is the runner's answer: what the machine does then.
type Next struct {
	Cursor Cursor `json:"cursor"`
	Next   State  `json:"next"`
	// Seconds is how long to ask or to sleep; 0 otherwise.
	Seconds int64 `json:"seconds"`
	// Name is the name under which Runs starts Waits: one per turn of the
	// runner, so that handing over twice starts once.
	Name string `json:"name"`
}

// NameOf returns the Name of a turn of the runner, which has one for each lease.
func NameOf(x id.Execution, attempt int64) string {
	return string(x) + "-" + strconv.FormatInt(attempt, 10)
}

// A State is what a machine does next.
type State string

// The steps.
const (
	NextDone State = "done" // the run is over, or somebody else has it
	NextRun  State = "run"  // time ran short: call the runner again
	NextGate State = "gate" // put a question and wait for its answer
	NextWait State = "wait" // sleep
)

// Fields of the messages as the machines' definitions name them.
const (
	PathCursor  = "$.cursor"
	PathNext    = "$.next"
	PathSeconds = "$.seconds"
	PathName    = "$.name"
)
