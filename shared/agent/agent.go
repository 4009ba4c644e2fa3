// Package agent manages the agents of an organization: their definitions, status,
// versions and statistics.
//
// Every change of a definition creates a new version. A version never changes, and
// a run keeps the version that it started with. System agents are embedded files
// of the program, one file for each agent; every organization has them.
package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/event"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/outbox"
	"theoneagents.app/agents/shared/tenant"
)

// The faults of this package.
var (
	ErrNotFound = fault.New(fault.Missing, "agent_not_found", "No such agent.")
	ErrSystem   = fault.New(fault.Forbidden, "forbidden", "A system agent takes a status or a pinned_version, one at a time; to change anything else, clone it and change the clone.")
	ErrGuarded  = fault.New(fault.Forbidden, "forbidden", "Only an owner or an admin may pause, resume or override this system agent.")
	ErrMove     = fault.New(fault.Conflict, "conflict", "The agent cannot change to this status from its current one.")
	ErrLimit    = fault.New(fault.Limited, "agent_limit_reached", "The plan allows no more active agents.")
	ErrChanged  = fault.New(fault.Stale, "precondition_failed", "The agent has changed since it was read.")
	ErrStale    = fault.New(fault.Stale, "stale", "The agent has changed; try again.")                      // a lost race; the service retries it
	ErrBusy     = fault.New(fault.Conflict, "conflict", "The agent is being changed by others; try again.") // after the last retry
	ErrVersions = fault.New(fault.Conflict, "limit_reached", "The agent has 1,000 versions, the most that an agent may have; clone it and change the clone.")
	ErrDrafts   = fault.New(fault.Conflict, "limit_reached", "The organization has 200 drafts, the most that it may have; activate or delete a draft first.")
	ErrVersion  = fault.New(fault.Missing, "not_found", "The agent has no such version.")
	ErrField    = fault.New(fault.Invalid, "invalid_request", "A field of the request is invalid.")
)

// MaxVersions is the number of versions of an agent. Versions are never deleted.
const MaxVersions = 1000

// MaxDrafts is the number of drafts of an organization.
const MaxDrafts = 200

// DraftsDelta returns the change of the number of drafts when before becomes after.
// The zero Agent is one that does not exist.
func DraftsDelta(before, after Agent) int64 {
	switch was, is := before.Status == Draft, after.Status == Draft; {
	case is && !was:
		return 1
	case was && !is:
		return -1
	}
	return 0
}

// A Type is the origin of an agent.
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

// A Status says whether events start an agent; only an active agent is started.
type Status string

// The statuses. The platform moves an active agent to Invalid when the catalogue
// has lost an event type or an action that the agent needs. A valid update moves it
// to Paused.
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

// A Head is an agent without its definition, as lists show it.
type Head struct {
	ID   id.Agent
	Org  id.Org
	Name string
	// Description is that of the definition.
	Description string
	Type        Type
	Status      Status
	Category    string
	Created     time.Time
	Updated     time.Time
	Version     int
	Revision    int64    // number of writes; 0 before the first
	Needs       []string // definition.Needs; empty in heads that were stored before the field existed
	// Guarded says that only owners and admins may pause, resume or override the
	// agent, which is a system agent.
	Guarded bool
	// Pinned says that the organization keeps the system agent at its version.
	Pinned bool
	// CreatedBy and UpdatedBy are the authors of the first and of the last
	// change; empty in heads from before they were kept.
	CreatedBy id.Actor
	UpdatedBy id.Actor
	// KeyMaker is the person who made the key that UpdatedBy names; empty for a
	// change by a person or by the platform.
	KeyMaker id.Actor
	// Placeholders are the example recipients of the template from which the agent
	// was cloned; they must be replaced before the agent becomes active.
	Placeholders []string
	Stats        Stats
}

// Event returns the qualified name of the event that starts the agent, or "" when the
// head was stored before Needs existed.
func (h Head) Event() string {
	for _, need := range h.Needs {
		if name, ok := strings.CutPrefix(need, "event "); ok {
			return name
		}
	}
	return ""
}

// An Agent is a definition with a name and a status.
type Agent struct {
	Head

	Definition definition.Definition

	Uses []tenant.Use // Rules.Uses of the definition, when the agent is saved; not stored with it

	Editions []Edition // all versions of a system agent, oldest first
}

// with returns the agent with another definition. A change of any other field than
// name and description creates a new version.
func (a Agent) with(d definition.Definition, by author, now time.Time) Agent {
	same := a.Definition
	same.Name, same.Description = d.Name, d.Description
	if !equal(same, d) {
		a.Version++
	}
	a.Definition, a.Name, a.Description, a.Category = d, d.Name, d.Description, d.Category
	a = a.changed(by, now)
	if a.Status == Invalid {
		a.Status = Paused
	}
	return a
}

// to returns the agent in another status, or ErrMove. Moving to the current status
// changes nothing.
func (a Agent) to(s Status, by author, now time.Time) (Agent, error) {
	switch {
	case s == a.Status:
		return a, nil
	case !a.Status.May(s):
		return a, ErrMove.Sayf("The agent cannot change from %s to %s.", a.Status, s)
	}
	a.Status = s
	return a.changed(by, now), nil
}

// An author is a person, the platform, or a key with the person who made it.
type author struct{ actor, keyMaker id.Actor }

func authorOf(who caller.Caller) author { return author{who.Actor(), who.KeyMaker} }

// changed returns the agent with the author of a change.
func (a Agent) changed(by author, now time.Time) Agent {
	a.Updated, a.UpdatedBy, a.KeyMaker = now, by.actor, by.keyMaker
	return a
}

// Activates returns the authors of the change from before to a if it made the
// version of a active: the store adds them to the version.
func (a Agent) Activates(before Agent) []id.Actor {
	if a.Status != Active || before.Status == Active && before.Version == a.Version {
		return nil
	}
	return actors(a.UpdatedBy, a.KeyMaker)
}

// actors returns the given actors without empty ones.
func actors(all ...id.Actor) []id.Actor {
	return slices.DeleteFunc(all, func(a id.Actor) bool { return a == "" })
}

// Announces returns the events that the store must write to the outbox together
// with the change: one when the agent became Invalid.
func (a Agent) Announces(before Agent) []event.Event {
	if before.Status == Invalid || a.Status != Invalid {
		return nil
	}
	return []event.Event{outbox.EventOf(outbox.Notice{
		Type: outbox.AgentError, Org: a.Org, Agent: a.ID, AgentName: a.Name, Code: definition.ErrConfig.Code,
		Message: "The agent was deactivated: the catalogue no longer has an event type or an action that the agent needs.",
		At:      a.Updated, Key: fmt.Sprintf("%s %d", a.ID, before.Revision),
	})}
}

// A Listener is an agent that an event may start.
type Listener struct {
	Agent      id.Agent
	Version    int
	System     bool
	Definition definition.Definition
}

// Stats are statistics of the ended runs of an agent, zero before the first run
// ends.
type Stats struct {
	Runs      int64
	Completed int64
	Failed    int64
	Duration  time.Duration // sum of all runs
	LastRun   time.Time
	Credits   map[credit.Month]map[credit.Tier]int64
}

// SuccessRate returns completed / (completed + failed), and false if both are 0.
func (s Stats) SuccessRate() (float64, bool) {
	n := s.Completed + s.Failed
	if n == 0 {
		return 0, false
	}
	return float64(s.Completed) / float64(n), true
}

// AvgDuration returns the average duration of a run, and false before the first.
func (s Stats) AvgDuration() (time.Duration, bool) {
	if s.Runs == 0 {
		return 0, false
	}
	return s.Duration / time.Duration(s.Runs), true
}

// Used returns the credits that the agent used in a month.
func (s Stats) Used(m credit.Month) int64 {
	var sum int64
	for _, n := range s.Credits[m] {
		sum += n
	}
	return sum
}

// unfilled returns a fault for each place that still has a placeholder of the
// agent's template.
func (a Agent) unfilled() []fault.Detail {
	if len(a.Placeholders) == 0 {
		return nil
	}
	var left []fault.Detail
	jsonvalue.EachText("steps", a.Definition.Document()["steps"], func(path, text string) {
		if slices.Contains(a.Placeholders, text) {
			left = append(left, fault.Detail{
				Path:    path,
				Message: definition.ShownURL(text) + " is a placeholder of the template; put a real recipient in its place",
			})
		}
	})
	return left
}
