// Package definition parses and validates the definition of an agent: its trigger,
// scope, conditions and steps. It also judges whether an event starts the agent.
//
// A definition is a JSON document. Rules.Parse validates it when a person saves
// it, and names every fault with its path. A stored definition is not validated
// again, with one exception: Rules.Lost reports that the catalogue no longer has
// an event type or an action that the definition needs. When the rules become
// stricter, the new rules apply to the next update or activation, and
// Rules.Warnings names the fields that they will refuse.
//
//	parse               the document and its fields
//	kind, steps         one row and one reader for each kind of step
//	dataflow, lookup    the outputs that a step may read, and the paths into them
//	taint               the parameters of actions that a model's answer may fill
//	shape, schema       the values that an output_schema allows
//	misfit              why an answer violates its output_schema
//	catalogdeps         the event types and actions that a definition needs
//	capabilities        everything that the runs of a definition can do
//	change              what one definition can do and another cannot
//	recipient           addresses of people and channels
//	judge               whether an event starts the agent
package definition

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/id"
)

// The bounds of a definition.
const (
	MaxName        = 200  // characters
	MaxDescription = 2000 // characters
	MaxSteps       = 50   // nested steps included
	MaxDepth       = 5    // a step outside of every branch has depth 1
	MaxText        = 20_000
	MaxRecipients  = 20
	MaxFilters     = 50
	MaxCases       = 20
)

// A Definition says when an agent starts and which steps it then runs. Its JSON is
// the format of the API.
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

// A Trigger selects the events that start an agent.
type Trigger struct {
	Type                string             `json:"type"` // always "bus_event"
	EventType           string             `json:"event_type"`
	Product             string             `json:"source_product"`
	Filters             []condition.Filter `json:"filters"`
	AllowAgentTriggered bool               `json:"allow_agent_triggered,omitempty"`
}

// Event returns the qualified name of the event.
func (t Trigger) Event() string { return t.Product + ":" + t.EventType }

// A Conflict says whether system agents may run on the same event.
type Conflict string

// The conflict behaviours.
const (
	Additive Conflict = "additive" // every matching agent runs
	Override Conflict = "override" // matching system agents do not run
)

// A Limit bounds how often an agent runs; 0 means unlimited.
type Limit struct {
	PerHour  int `json:"max_per_hour,omitempty"`
	PerDay   int `json:"max_per_day,omitempty"`
	Cooldown int `json:"cooldown_minutes,omitempty"`
}

// An OnError says whether the run continues after the step has failed.
type OnError string

// The error behaviours.
const (
	Fail     OnError = "fail"
	Continue OnError = "continue"
)

// OnErrors returns all error behaviours.
func OnErrors() []OnError { return []OnError{Fail, Continue} }

// A Retry bounds the attempts of a step.
type Retry struct {
	MaxAttempts int `json:"max_attempts"` // including the first; at most 5
	Backoff     int `json:"backoff_seconds,omitempty"`
}

// An AIStep calls a model.
type AIStep struct {
	Model     credit.Tier `json:"model"`
	Prompt    string      `json:"prompt"`
	System    string      `json:"system,omitempty"`
	Schema    Schema      `json:"output_schema,omitempty"`
	OutputVar string      `json:"output_var,omitempty"`
}

// An ActionStep calls an action of a product.
type ActionStep struct {
	Product string         `json:"product"`
	Action  string         `json:"action"`
	Params  map[string]any `json:"params"`
}

// A Channel is a means of sending messages.
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

// A NotificationStep sends a message to each recipient.
type NotificationStep struct {
	Channel    Channel  `json:"channel"`
	Recipients []string `json:"recipients"`
	Subject    string   `json:"subject,omitempty"`
	Body       string   `json:"body"`
}

// A GateStep waits for approval until the timeout of the step.
type GateStep struct {
	Message      string     `json:"message"`
	Approvers    Approvers  `json:"approvers,omitzero"`
	MinApprovals int        `json:"min_approvals,omitempty"`
	OnExpiry     OnExpiry   `json:"on_expiry,omitempty"`
	Notify       []Notify   `json:"notify,omitempty"`
	EscalateTo   *Escalates `json:"escalate_to,omitempty"`
}

// Approvers are the roles and users that may decide besides owners and admins.
type Approvers struct {
	Roles []string  `json:"roles,omitempty"`
	Users []id.User `json:"users,omitempty"`
}

// Escalates replaces the approvers of a gate that has timed out without a decision;
// the gate then waits for the new timeout. The messages to Notify are sent besides
// those to the recipients of the gate.
type Escalates struct {
	Approvers

	Timeout int      `json:"timeout_seconds,omitempty"`
	Notify  []Notify `json:"notify,omitempty"`
}

// An OnExpiry says what happens when a gate times out without a decision.
type OnExpiry string

// The expiry behaviours.
const (
	Deny     OnExpiry = "deny"
	Approve  OnExpiry = "approve"
	Escalate OnExpiry = "escalate"
)

// OnExpiries returns all expiry behaviours.
func OnExpiries() []OnExpiry { return []OnExpiry{Deny, Approve, Escalate} }

// A Notify lists the recipients of a gate message on one channel.
type Notify struct {
	Channel    Channel  `json:"channel"`
	Recipients []string `json:"recipients"`
}

// A BranchStep runs the steps of the first case whose condition holds, otherwise
// Else.
type BranchStep struct {
	Cases []Case `json:"cases"`
	Else  []Step `json:"else,omitempty"`
}

// A Case runs its steps if its condition holds.
type Case struct {
	When  condition.Condition `json:"when"`
	Steps []Step              `json:"steps"`
}

// A WaitStep pauses the run for a duration or until a time.
type WaitStep struct {
	Duration int64  `json:"duration_seconds,omitempty"`
	Until    string `json:"until,omitempty"`
}

// TimeLimit returns how long all attempts of the step may take together. For a
// gate it is how long the gate waits for a decision.
func (s Step) TimeLimit() time.Duration {
	if s.Timeout > 0 {
		return time.Duration(s.Timeout) * time.Second
	}
	return time.Duration(s.Kind.row().unset) * time.Second
}

// Patience returns how long a run may wait for people and times, at most: at all its
// gates until they expire, once more for a verdict that was given too long ago, and at
// all its waits.
func (d Definition) Patience() time.Duration {
	var all time.Duration
	EachStep(d.Steps, func(s Step) {
		switch {
		case s.GateStep != nil:
			once := s.TimeLimit()
			if s.EscalateTo != nil && s.EscalateTo.Timeout > 0 {
				once += time.Duration(s.EscalateTo.Timeout) * time.Second
			} else if s.EscalateTo != nil {
				once += s.TimeLimit()
			}
			all += 2 * once
		case s.WaitStep != nil && s.Until == "":
			all += time.Duration(s.Duration) * time.Second
		case s.WaitStep != nil:
			all += MaxWait * time.Second
		}
	})
	return all
}

// Attempts returns the maximum number of attempts of the step.
func (s Step) Attempts() int {
	const defaultAttempts = 3
	if s.Retry != nil {
		return s.Retry.MaxAttempts
	}
	return defaultAttempts
}

// Var returns the variable that holds the step's output in templates, besides
// steps.<id>.output: the output_var or the step's id. It is "" when that id is a
// reserved name.
func (s Step) Var() string {
	switch {
	case s.AIStep != nil && s.OutputVar != "":
		return s.OutputVar
	case reserved(string(s.ID)):
		return ""
	}
	return string(s.ID)
}

// Min returns how many approvals the gate needs.
func (g GateStep) Min() int { return max(g.MinApprovals, 1) }

// Channels returns the notifications of the gate, followed by those of its
// escalation if it is escalated.
func (g GateStep) Channels(escalated bool) []Notify {
	if !escalated || g.EscalateTo == nil {
		return g.Notify
	}
	return slices.Concat(g.Notify, g.EscalateTo.Notify)
}

// Expiry returns what happens when the gate times out; the default is Deny.
func (g GateStep) Expiry() OnExpiry {
	if g.OnExpiry == "" {
		return Deny
	}
	return g.OnExpiry
}

// RequiresApproval reports whether the step is a gate that a run passes only with
// a person's approval: no if skips it, no error continues past it, and no timeout
// approves it.
func (s Step) RequiresApproval() bool {
	return s.GateStep != nil && s.If == nil && s.OnError != Continue && s.Expiry() != Approve
}

// Mentions reports whether the JSON of the definition contains a word, which has only
// letters, digits, dots and underscores. A caller uses it to load only the data that the
// definition may read.
func (d Definition) Mentions(word string) bool {
	data, err := json.Marshal(d)
	return err != nil || bytes.Contains(data, []byte(word))
}
