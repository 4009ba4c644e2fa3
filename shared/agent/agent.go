// Package agent keeps the agents of an organization: their status, versions and
// statistics.
//
// Every change of a definition makes a new version. A version never changes, and a
// run keeps the version that it began with. System agents are files of this
// program, one for each agent; every organization has them.
package agent

import (
	"fmt"
	"slices"
	"time"

	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/outbox"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "agent_not_found", "No such agent.")
	ErrSystem   = fault.New(fault.Forbidden, "forbidden", "System agents cannot be changed; clone it and change the clone.")
	ErrMove     = fault.New(fault.Conflict, "conflict", "The agent cannot go to this status from where it is.")
	ErrLimit    = fault.New(fault.Limited, "agent_limit_reached", "The plan allows no more active agents.")
	ErrChanged  = fault.New(fault.Stale, "precondition_failed", "The agent has changed since it was read.")
	ErrStale    = fault.New(fault.Stale, "stale", "The agent has changed; try again.")                   // not ErrMove's code: it is tried again
	ErrBusy     = fault.New(fault.Conflict, "conflict", "Too many change the agent at once; try again.") // when trying again did not help
	ErrVersion  = fault.New(fault.Missing, "not_found", "The agent has no such version.")
	ErrField    = fault.New(fault.Invalid, "invalid_request", "The request has a field that is not right.")
)

// A Type is where an agent comes from.
type Type string

// The types.
const (
	System   Type = "system"
	Template Type = "template"
	Custom   Type = "custom"
	Cloned   Type = "cloned"
)

// Types returns all types.
func Types() []Type { return []Type{System, Template, Custom, Cloned} }

// A Status is whether an agent listens.
type Status string

// The statuses. Into Invalid the platform moves an active agent whose event type
// or action has left the catalogue; a valid update leaves it.
const (
	Draft   Status = "draft"
	Active  Status = "active"
	Paused  Status = "paused"
	Invalid Status = "error"
)

// Statuses returns all statuses.
func Statuses() []Status { return []Status{Active, Paused, Draft, Invalid} }

// May reports whether a person may move an agent from one status to another.
func (s Status) May(to Status) bool {
	switch s {
	case Draft:
		return to == Active
	case Active:
		return to == Paused
	case Paused:
		return to == Active
	case Invalid:
		return false
	}
	return false
}

// A Head is an agent without its definition: what a list shows.
type Head struct {
	ID       id.Agent
	Org      id.Org
	Name     string
	Type     Type
	Status   Status
	Category string
	Created  time.Time
	Updated  time.Time
	Version  int
	Revision int64    // counts the writes; 0 before the first
	Needs    []string // what the definition needs of the catalogue; of heads from before it was kept: none
	// Placeholders are what the template that the agent was cloned from has in
	// place of real recipients.
	Placeholders []string
	Stats        Stats
}

// An Agent is a definition with a name and a status.
type Agent struct {
	Head

	Definition definition.Definition
}

// with returns the agent with another definition. A change of more than name
// and description is a new version.
func (a Agent) with(d definition.Definition, now time.Time) Agent {
	same := a.Definition
	same.Name, same.Description = d.Name, d.Description
	if !equal(same, d) {
		a.Version++
	}
	a.Definition, a.Name, a.Category, a.Updated = d, d.Name, d.Category, now
	if a.Status == Invalid {
		a.Status = Paused
	}
	return a
}

// to returns the agent in another status, or ErrMove. The status that it has
// already changes nothing.
func (a Agent) to(s Status, now time.Time) (Agent, error) {
	switch {
	case s == a.Status:
		return a, nil
	case !a.Status.May(s):
		return a, ErrMove.Sayf("An agent that is %s cannot become %s.", a.Status, s)
	}
	a.Status, a.Updated = s, now
	return a, nil
}

// Announces returns the events of the platform that are stored with a change of
// the agent: that it was deactivated because its definition is no longer valid.
func (a Agent) Announces(before Agent) []event.Event {
	if before.Status == Invalid || a.Status != Invalid {
		return nil
	}
	return []event.Event{outbox.EventOf(outbox.Notice{
		Type: outbox.AgentError, Org: a.Org, Agent: a.ID, AgentName: a.Name, Code: definition.ErrConfig.Code,
		Message: "The agent was deactivated: the catalogue no longer has an event type or an action that it names.",
		At:      a.Updated, Key: fmt.Sprintf("%s %d", a.ID, before.Revision),
	})}
}

// A Listener is an agent that waits for an event.
type Listener struct {
	Agent      id.Agent
	Version    int
	System     bool
	Definition definition.Definition
}

// Stats say how the runs of an agent went. Times are zero and counts 0 before
// the first run ends.
type Stats struct {
	Runs      int64
	Completed int64
	Failed    int64
	Duration  time.Duration // of all runs together
	LastRun   time.Time
	Credits   map[credit.Month]map[credit.Tier]int64
}

// SuccessRate returns completed / (completed + failed), and whether there is one.
func (s Stats) SuccessRate() (float64, bool) {
	n := s.Completed + s.Failed
	if n == 0 {
		return 0, false
	}
	return float64(s.Completed) / float64(n), true
}

// AvgDuration returns how long a run takes, and whether there was one.
func (s Stats) AvgDuration() (time.Duration, bool) {
	if s.Runs == 0 {
		return 0, false
	}
	return s.Duration / time.Duration(s.Runs), true
}

// Used returns the credits of a month.
func (s Stats) Used(m credit.Month) int64 {
	var sum int64
	for _, n := range s.Credits[m] {
		sum += n
	}
	return sum
}

// unfilled names each place where a placeholder of the agent's template still
// stands.
func (a Agent) unfilled() []fault.Detail {
	if len(a.Placeholders) == 0 {
		return nil
	}
	var left []fault.Detail
	jsonvalue.EachText("steps", a.Definition.Document()["steps"], func(path, text string) {
		if slices.Contains(a.Placeholders, text) {
			left = append(left, fault.Detail{
				Path:    path,
				Message: text + " is a placeholder of the template and reaches nobody; put a real recipient in its place",
			})
		}
	})
	return left
}
