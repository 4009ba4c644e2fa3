// Package machine defines the messages between the state machines and the
// runner.
//
// Two machines serve every agent. They know no definition and carry only ids;
// the data stays in the table:
//
//	Runs  (Express)   Run ──done──▶ end
//	                   └──otherwise──▶ HandOver: start Waits, end
//	Waits (Standard)  Next ─run──▶ Run ──▶ Next
//	                   ├──gate──▶ Ask (task token, Seconds) ──woken or timed out──▶ Run
//	                   ├──wait──▶ Sleep (Seconds) ──▶ Run
//	                   └──done──▶ end
//
// Every wake-up may happen twice: the runner always reads the record and acts
// on it, so an extra call does nothing.
package machine

import (
	"strconv"
	"strings"
	"time"

	"theoneagents.app/agents/shared/id"
)

// A Cursor identifies the run of a machine.
type Cursor struct {
	Org       id.Org       `json:"org"`
	Execution id.Execution `json:"execution"`
	// Digest is the digest under which the payload of the run's event is kept, in the
	// input of a machine that starts a run which was just recorded. The first read of
	// the run then fetches both at once. It is empty in every later cursor.
	Digest string `json:"digest,omitempty"`
	// First is the owner of the lease with which the run was recorded, in the input of
	// the one machine that was started together with it; empty in every other cursor.
	First string `json:"first,omitempty"`
}

// Later returns the cursor for the calls after the first: the run may have steps.
func (c Cursor) Later() Cursor {
	c.Digest, c.First = "", ""
	return c
}

// PauseOf returns the cursor under which the runner repeats the search for the open
// runs of a paused organization. Each change of the pause has a revision of its own.
func PauseOf(org id.Org, revision int64) Cursor {
	return Cursor{Org: org, Execution: id.Execution(pausePrefix + string(org) + "_" + strconv.FormatInt(revision, 10))}
}

// WatchWindow is how long the stream collects new runs before the watchdog looks at them:
// longer than most runs take, and shorter than the time after which the sweeper may start a
// run again.
const WatchWindow = 40 * time.Second

const pausePrefix = "pause_"

// Pause reports whether the cursor names the pause of its organization, not a run.
func (c Cursor) Pause() bool { return strings.HasPrefix(string(c.Execution), pausePrefix) }

// A Call is a message from a machine to the runner.
type Call struct {
	Op     Op     `json:"op"`
	Cursor Cursor `json:"cursor"`
	// Owner is the execution of the calling machine. A machine calls again only
	// after its first call failed, so the second call may take over the lease.
	Owner string `json:"owner"`
	// Retries counts the earlier calls of the machine that failed in the same state.
	Retries int `json:"retries,omitempty"`
	// Token is the task token of an Ask; empty otherwise.
	Token string `json:"token,omitempty"`
}

// An Op is an operation of the runner.
type Op string

// The operations.
const (
	OpRun  Op = "run" // continue from the record
	OpGate Op = "ask" // request the approval of the gate at which the run is parked
)

// A Next is the runner's answer: the next state of the machine.
type Next struct {
	Cursor Cursor `json:"cursor"`
	Next   State  `json:"next"`
	// Seconds is the timeout of an Ask or the duration of a Sleep; 0 otherwise.
	Seconds int64 `json:"seconds"`
	// Name is the name under which Runs starts Waits, one per turn of the
	// runner, so that a repeated hand-over starts it once.
	Name string `json:"name"`
}

// NameOf returns the Name of a turn, which has a lease attempt of its own.
func NameOf(x id.Execution, attempt int64) string {
	return string(x) + "-" + strconv.FormatInt(attempt, 10)
}

// A State is the next state of a machine.
type State string

// The states.
const (
	NextDone State = "done" // the run has ended or another worker has it
	NextRun  State = "run"  // time ran short: call the runner again
	NextGate State = "gate" // request an approval and wait for it
	NextWait State = "wait" // sleep
)

// JSON paths of the fields in the machines' definitions.
const (
	PathCursor  = "$.cursor"
	PathNext    = "$.next"
	PathSeconds = "$.seconds"
	PathName    = "$.name"
)
