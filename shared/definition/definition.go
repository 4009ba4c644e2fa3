// Package definition reads what an agent does: its trigger, scope, conditions and
// steps.
//
// A definition is a JSON document. Rules.Parse checks it whole when a person saves
// it, and names every fault with its path. A stored definition is not checked
// again, with one exception: Rules.Lost reports that the catalogue no longer has
// what the definition names. Rules that became stricter since apply to the next
// update or activation; Rules.Warnings names what they will refuse.
//
//	parse, reader       the document and its fields
//	steps               one descriptor for each kind of step
//	dataflow, lookup    what a step may read of earlier steps
//	shape, schema       what an answer that fits an output_schema can contain
//	catalogdeps         the events and actions that a definition needs
//	recipient           addresses of people and channels
//	judge               whether an event starts the agent
package definition

import (
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

// The bounds of a definition.
const (
	MaxName        = 200  // characters
	MaxDescription = 2000 // characters
	MaxSteps       = 50   // at all depths together
	MaxDepth       = 5    // a step of the definition itself is at depth 1
	MaxText        = 20_000
	MaxRecipients  = 50
	MaxFilters     = 50
	MaxCases       = 20
)

// A Definition is what an agent is: when it wakes and what it does then. It is
// a document: its JSON is the format of the API.
type Definition struct {
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Category    string                `json:"category"`
	Trigger     Trigger               `json:"trigger"`
	Conditions  []condition.Condition `json:"conditions"`
	Steps       []Step                `json:"steps"`
	Conflict    Conflict              `json:"conflict_behavior"`
	Scope       Scope                 `json:"client_scope"`
	Limit       *Limit                `json:"execution_limit,omitempty"`
}

// A Trigger is the event that wakes an agent.
type Trigger struct {
	Type                string             `json:"type"` // always "bus_event"
	EventType           string             `json:"event_type"`
	Product             string             `json:"source_product"`
	Filters             []condition.Filter `json:"filters"`
	AllowAgentTriggered bool               `json:"allow_agent_triggered,omitempty"`
}

// Event returns the qualified name of the event.
func (t Trigger) Event() string { return t.Product + ":" + t.EventType }

// A Conflict says what else may run on the same event.
type Conflict string

// The conflict behaviours.
const (
	Additive Conflict = "additive" // everything that matches
	Override Conflict = "override" // the system agents stand back
)

// A Limit bounds how often an agent runs; 0 is no bound.
type Limit struct {
	PerHour  int `json:"max_per_hour,omitempty"`
	PerDay   int `json:"max_per_day,omitempty"`
	Cooldown int `json:"cooldown_minutes,omitempty"`
}

// A Step is one thing that an agent does. Which of the fields of its
// configuration it has depends on its kind.
type Step struct {
	Kind    Kind                 `json:"type"`
	ID      id.Step              `json:"id"`
	Name    string               `json:"name,omitempty"`
	If      *condition.Condition `json:"if,omitempty"`
	OnError OnError              `json:"on_error,omitempty"`
	Retry   *Retry               `json:"retry,omitempty"`
	Timeout int                  `json:"timeout_seconds,omitempty"`

	*AIStep
	*ActionStep
	*NotificationStep
	*GateStep
	*BranchStep
	*WaitStep
}

// An OnError says what a failed step means for the run.
type OnError string

// The ways to take an error.
const (
	Fail     OnError = "fail"
	Continue OnError = "continue"
)

// OnErrors returns all ways to take an error.
func OnErrors() []OnError { return []OnError{Fail, Continue} }

// A Retry says how often a step is tried.
type Retry struct {
	MaxAttempts int `json:"max_attempts"` // the first included; at most 5
	Backoff     int `json:"backoff_seconds,omitempty"`
}

// An AIStep asks a model.
type AIStep struct {
	Model     credit.Tier    `json:"model"`
	Prompt    string         `json:"prompt"`
	System    string         `json:"system,omitempty"`
	Schema    map[string]any `json:"output_schema,omitempty"`
	OutputVar string         `json:"output_var,omitempty"`
}

// An ActionStep makes a product do something.
type ActionStep struct {
	Product string         `json:"product"`
	Action  string         `json:"action"`
	Params  map[string]any `json:"params"`
}

// A Channel is a way to reach people.
type Channel string

// The channels.
const (
	SMS     Channel = "sms"
	Email   Channel = "email"
	Slack   Channel = "slack"
	Teams   Channel = "teams"
	Webhook Channel = "webhook"
)

// Channels returns all channels.
func Channels() []Channel { return []Channel{SMS, Email, Slack, Teams, Webhook} }

// A NotificationStep tells people.
type NotificationStep struct {
	Channel    Channel  `json:"channel"`
	Recipients []string `json:"recipients"`
	Subject    string   `json:"subject,omitempty"`
	Body       string   `json:"body"`
}

// A GateStep asks a person. Its timeout is the step's.
type GateStep struct {
	Message      string     `json:"message"`
	Approvers    Approvers  `json:"approvers,omitzero"`
	MinApprovals int        `json:"min_approvals,omitempty"`
	OnExpiry     OnExpiry   `json:"on_expiry,omitempty"`
	Notify       []Notify   `json:"notify,omitempty"`
	EscalateTo   *Escalates `json:"escalate_to,omitempty"`
}

// Approvers are who may decide besides owners and admins.
type Approvers struct {
	Roles []string  `json:"roles,omitempty"`
	Users []id.User `json:"users,omitempty"`
}

// Escalates are who may decide when nobody else did, and who is told of it then,
// besides those whom the gate has told before.
type Escalates struct {
	Approvers

	Timeout int      `json:"timeout_seconds,omitempty"`
	Notify  []Notify `json:"notify,omitempty"`
}

// An OnExpiry says what silence means.
type OnExpiry string

// The meanings of silence.
const (
	Deny     OnExpiry = "deny"
	Approve  OnExpiry = "approve"
	Escalate OnExpiry = "escalate"
)

// OnExpiries returns all meanings of silence.
func OnExpiries() []OnExpiry { return []OnExpiry{Deny, Approve, Escalate} }

// A Notify is who is told that a gate asks.
type Notify struct {
	Channel    Channel  `json:"channel"`
	Recipients []string `json:"recipients"`
}

// A BranchStep takes the first case that holds.
type BranchStep struct {
	Cases []Case `json:"cases"`
	Else  []Step `json:"else,omitempty"`
}

// A Case is one way to go.
type Case struct {
	When  condition.Condition `json:"when"`
	Steps []Step              `json:"steps"`
}

// A WaitStep lets time pass.
type WaitStep struct {
	Duration int64  `json:"duration_seconds,omitempty"`
	Until    string `json:"until,omitempty"`
}

// TimeLimit returns how long the step may take, all its tries together. For a gate
// it is how long the gate waits for a decision.
func (s Step) TimeLimit() time.Duration {
	if s.Timeout > 0 {
		return time.Duration(s.Timeout) * time.Second
	}
	return time.Duration(s.Kind.row().unset) * time.Second
}

// Attempts returns how often the step may be tried.
func (s Step) Attempts() int {
	const unasked = 3
	if s.Retry != nil {
		return s.Retry.MaxAttempts
	}
	return unasked
}

// Var returns the name under which templates find the step's output besides
// steps.<id>.output; none for a step that is called like something else.
func (s Step) Var() string {
	switch {
	case s.AIStep != nil && s.OutputVar != "":
		return s.OutputVar
	case reserved(string(s.ID)):
		return ""
	}
	return string(s.ID)
}

// Min returns how many people must approve.
func (g GateStep) Min() int { return max(g.MinApprovals, 1) }

// Channels returns over which channels people are told of the question: the
// gate's own, and behind them those of its escalation once it is escalated.
func (g GateStep) Channels(escalated bool) []Notify {
	if !escalated || g.EscalateTo == nil {
		return g.Notify
	}
	return slices.Concat(g.Notify, g.EscalateTo.Notify)
}

// Expiry returns what silence means.
func (g GateStep) Expiry() OnExpiry {
	if g.OnExpiry == "" {
		return Deny
	}
	return g.OnExpiry
}

// RequiresApproval reports whether the step is a gate that a run passes only when a person
// has said yes: it cannot be skipped, passed over or answered by silence.
func (s Step) RequiresApproval() bool {
	return s.GateStep != nil && s.If == nil && s.OnError != Continue && s.Expiry() != Approve
}

// Mentions reports whether a word stands anywhere in the definition: whether
// what it names is worth reading.
func (d Definition) Mentions(word string) bool { return strings.Contains(jsonvalue.Canonical(d), word) }
