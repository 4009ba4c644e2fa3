package agent

import (
	"context"
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/tenant"
)

// VersionStore reads the agents of organizations and their versions.
type VersionStore interface {
	// Agent returns an agent of the organization, or ErrNotFound.
	Agent(ctx context.Context, org id.Org, agent id.Agent) (Agent, error)

	// Version returns a version of an agent, even of a deleted agent, or
	// ErrNotFound.
	Version(ctx context.Context, org id.Org, agent id.Agent, version int) (definition.Definition, error)

	// VersionRecord is Version with the version's authors.
	VersionRecord(ctx context.Context, org id.Org, agent id.Agent, version int) (Version, error)
}

// Definitions finds definitions: of system agents in the program, of all other
// agents in the version store.
type Definitions struct {
	System   []Agent
	Versions VersionStore
}

// find returns the agent with this id, if the list has it.
func find(agents []Agent, agent id.Agent) (Agent, bool) {
	i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == agent })
	if i < 0 {
		return Agent{}, false
	}
	return agents[i], true
}

// Version returns a version of an agent, even of a deleted agent, or ErrNotFound.
func (l Definitions) Version(ctx context.Context, org id.Org, agent id.Agent, version int) (definition.Definition, error) {
	if a, ok := find(l.System, agent); ok {
		if version == internalNotes {
			return withInternalNotes(a.Definition), nil
		}
		return a.Definition, nil
	}
	return l.Versions.Version(ctx, org, agent, version)
}

// VersionRecord is Version with the version's authors.
func (l Definitions) VersionRecord(ctx context.Context, org id.Org, agent id.Agent, version int) (Version, error) {
	if a, ok := find(l.System, agent); ok {
		return a.version(), nil
	}
	return l.Versions.VersionRecord(ctx, org, agent, version)
}

// Current returns the agent's current definition and version for an organization
// with these settings, or ErrNotFound. The agent may be paused.
func (l Definitions) Current(
	ctx context.Context, org id.Org, settings tenant.Settings, agent id.Agent,
) (definition.Definition, int, error) {
	if a, ok := find(l.System, agent); ok {
		a = a.For(settings)
		return a.Definition, a.Version, nil
	}
	a, err := l.Versions.Agent(ctx, org, agent)
	return a.Definition, a.Version, err
}
