package definition

import (
	"theoneagents.app/agents/shared/condition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/input"
)

// A Kind is a kind of step.
type Kind string

// The kinds of step. Each has one row in stepKinds.
const (
	AI           Kind = "ai_reason"
	Action       Kind = "product_action"
	Notification Kind = "notification"
	Gate         Kind = "approval_gate"
	Branching    Kind = "branch"
	Waiting      Kind = "wait"
)

// The bounds and defaults of timeout_seconds, in seconds.
const (
	maxTimeout     = 60
	defaultTimeout = 30
	minGate        = 10
	DefaultGate    = 7200
	MaxWait        = 31_536_000 // a year
)

// A stepKind holds everything that package definition knows of one kind of step.
type stepKind struct {
	name   Kind
	fields []string // the fields that only this kind has

	// read reads these fields into the step.
	read func(p *parser, o input.Object, s *Step, depth int)

	low, high int64 // bounds of timeout_seconds
	unset     int64 // timeout_seconds of a step that has none

	// waits reports that the run waits at the step for approvers or for a time,
	// instead of executing it.
	waits bool
}

// stepKinds has one row for each kind of step.
func stepKinds() []stepKind {
	return []stepKind{
		{
			name: AI, read: readAI, low: 1, high: maxTimeout, unset: maxTimeout,
			fields: []string{"model", "prompt", "system", "output_schema", "output_var"},
		},
		{
			name: Action, read: readAction, low: 1, high: maxTimeout, unset: defaultTimeout,
			fields: []string{"product", "action", "params"},
		},
		{
			name: Notification, read: readNotification, low: 1, high: maxTimeout, unset: defaultTimeout,
			fields: []string{"channel", "recipients", "subject", "body"},
		},
		{
			name: Gate, read: readGate, low: minGate, high: MaxWait, unset: DefaultGate, waits: true,
			fields: []string{"message", "approvers", "min_approvals", "on_expiry", "notify", "escalate_to"},
		},
		{
			name: Branching, read: readBranch, low: 1, high: maxTimeout, unset: defaultTimeout,
			fields: []string{"cases", "else"},
		},
		{
			name: Waiting, read: readWait, low: 1, high: MaxWait, unset: MaxWait + 1, waits: true,
			fields: []string{"duration_seconds", "until"},
		},
	}
}

// A Step is one step of an agent. Of the embedded configurations only that of its
// kind is set.
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

// row returns the row of the kind. A kind that this program does not know has no
// fields.
func (k Kind) row() stepKind {
	for _, row := range stepKinds() {
		if row.name == k {
			return row
		}
	}
	return stepKind{name: k, low: 1, high: MaxWait, unset: defaultTimeout}
}

// Kinds returns all kinds of step.
func Kinds() []Kind {
	var names []Kind
	for _, row := range stepKinds() {
		names = append(names, row.name)
	}
	return names
}

// Fields returns the fields that only steps of this kind have.
func (k Kind) Fields() []string { return k.row().fields }

// Waits reports whether a run waits at a step of this kind, for approvers or for a
// time. Package step executes all other kinds.
func (k Kind) Waits() bool { return k.row().waits }
