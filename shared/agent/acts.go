package agent

import (
	"fmt"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
)

// state returns the version and the status of an agent as the audit log shows
// them.
func (a Agent) state() string { return fmt.Sprintf("version %d, %s", a.Version, a.Status) }

// created returns the act that made a draft. From is the source of a clone.
func created(who caller.Caller, a Agent, source string) audit.Entry {
	kind := audit.AgentCreated
	if source != "" {
		kind = audit.AgentCloned
	}
	return audit.Of(who, audit.Change{Kind: kind, Object: string(a.ID), From: source, To: a.state()}, a.Created)
}

// changed returns the act of an update. One that also changes the status is a
// change of the status: the states show both versions.
func changed(who caller.Caller, before, after Agent) audit.Entry {
	kind := audit.AgentUpdated
	if before.Status != after.Status {
		kind = audit.AgentStatusChanged
	}
	return audit.Of(who, audit.Change{Kind: kind, Object: string(after.ID), From: before.state(), To: after.state()}, after.Updated)
}

// deleted returns the act of a deletion. The runs that it cancels name its author
// and have no entries of their own.
func (s *Service) deleted(who caller.Caller, a Agent) audit.Entry {
	return audit.Of(who, audit.Change{Kind: audit.AgentDeleted, Object: string(a.ID), From: a.state()}, s.Now())
}
