// Package audit checks the system's invariants from outside: by the answers of the
// API, the calls to the stand-ins, the dead letters and the functions' logs. It
// shares no code with the services, so that it does not share their mistakes.
package audit

import (
	"encoding/json"
	"time"
)

// Evidence is everything observed until all runs had ended.
type Evidence struct {
	Orgs      []Org
	Published []Publication
	Letters   []Letter
	Calls     []Call
	Lines     []Line
}

// An Org is the evidence of one organization.
type Org struct {
	Name string
	Word string // in the payloads of its own events only

	Agents    []Agent
	Runs      []Run
	Approvals []Approval
	Activity  map[string][]Activity // by agent
	Credits   Credits

	Balances   []Credits           // observed during the test
	Moves      map[string][]string // statuses of a run, in the order of observation
	Still      map[string]Standstill
	Verdicts   []Verdict      // answers to decisions
	Retries    map[string]int // requests to retry a run, answered or not
	Cancelled  []string       // runs whose cancellation the API confirmed
	Pages      []Page         // all answers of the API at the end
	Trespasses []Trespass
}

// An Agent is an agent of the organization.
type Agent struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Trigger struct {
		Product string `json:"source_product"`
		Type    string `json:"event_type"`
	} `json:"trigger"`
	Steps []Definition `json:"steps"`
	Stats Stats        `json:"stats"`
}

// A Definition is a step of an agent's definition.
type Definition struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Model    string       `json:"model"`
	OnExpiry string       `json:"on_expiry"`
	Else     []Definition `json:"else"`
	Cases    []struct {
		Steps []Definition `json:"steps"`
	} `json:"cases"`
}

// Stats are the statistics of an agent.
type Stats struct {
	Runs    int      `json:"total_runs"`
	Rate    *float64 `json:"success_rate"`
	Credits int      `json:"credits_used_this_month"`
}

// A Run is an execution with its trace.
type Run struct {
	ID      string `json:"id"`
	Agent   string `json:"agent_id"`
	Status  string `json:"status"`
	Reason  string `json:"status_reason"`
	RetryOf string `json:"retry_of"`
	Event   struct {
		ID string `json:"id"`
	} `json:"trigger_event"`
	Steps   []Step     `json:"steps"`
	Credits int        `json:"credits_used"`
	Created time.Time  `json:"created_at"`
	Ended   *time.Time `json:"completed_at"`

	Text string `json:"-"` // the answer itself
}

// A Step is a step of a trace.
type Step struct {
	ID       string     `json:"step_id"`
	Type     string     `json:"step_type"`
	Status   string     `json:"status"`
	Credits  int        `json:"credits_used"`
	Attempts int        `json:"attempts"`
	Started  *time.Time `json:"started_at"`
	Ended    *time.Time `json:"completed_at"`
}

// An Approval is an approval request.
type Approval struct {
	ID      string     `json:"id"`
	Run     string     `json:"execution_id"`
	Step    string     `json:"step_id"`
	Status  string     `json:"status"`
	Expires time.Time  `json:"expires_at"`
	By      string     `json:"decided_by"`
	Decided *time.Time `json:"decided_at"`
	Votes   []struct {
		User     string `json:"user_id"`
		Decision string `json:"decision"`
	} `json:"votes"`
}

// An Activity is an entry of an agent's activity: why it ran, or did not.
type Activity struct {
	Event   string `json:"event_id"`
	Outcome string `json:"outcome"`
	Run     string `json:"execution_id"`
}

// Credits are the credits of the month.
type Credits struct {
	Used       int            `json:"total_used"`
	Allocation int            `json:"allocation"`
	Remaining  int            `json:"remaining"`
	Agents     map[string]int `json:"by_agent"`
	Models     map[string]int `json:"by_model"`
}

// A Verdict is the API's answer to a user's decision.
type Verdict struct {
	Approval, User, Decision string

	Code   int    // HTTP status of the answer
	Status string // of the approval, in the answer
}

// A Standstill is the longest time after the last fault in which a run could move
// and did not.
type Standstill struct {
	Lasted time.Duration
	Status string
}

// A Page is an answer of the API.
type Page struct{ Path, Text string }

// A Trespass is a request for a run or approval of another organization.
type Trespass struct {
	Path string
	Code int
}

// A Publication is an event that the bus accepted, once or more often.
type Publication struct {
	ID      string
	Org     string
	Name    string // like psa:ticket.created
	Reason  string // of its dead letter; empty for a valid event
	Content string // its content without the id; equal for twins
	At      time.Time
}

// A Letter is a message of the dead-letter queue.
type Letter struct {
	Reason  string          `json:"reason"`
	Message string          `json:"message"`
	Event   json.RawMessage `json:"event"`
}

// A Call is a call to a stand-in.
type Call struct {
	At       time.Time       `json:"at"`
	Kind     string          `json:"kind"`
	Product  string          `json:"product"`
	Action   string          `json:"action"`
	Params   json.RawMessage `json:"params"`
	Body     json.RawMessage `json:"body"`
	Key      string          `json:"idempotency_key"`
	Org      string          `json:"org_id"`
	Status   int             `json:"status"`
	Repeated bool            `json:"repeated"`
	Lost     bool            `json:"lost"`
	Headers  struct {
		Run string `json:"X-One-Agents-Execution"`
	} `json:"headers"`
}

// Done reports whether the call had an effect of its own.
func (c Call) Done() bool { return c.Status < badRequest && !c.Repeated }

const badRequest = 400

// A Line is a log line of a function.
type Line struct{ Function, Text string }
