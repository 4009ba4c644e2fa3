package agent

import (
	"context"
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// VersionStore keeps the versions of the agents of organizations.
type VersionStore interface {
	// Agent returns an agent of the organization, or ErrNotFound.
	Agent(ctx context.Context, org id.Org, agent id.Agent) (Agent, error)

	// Version returns a version of an agent, of a deleted one too, or
	// ErrNotFound.
	Version(ctx context.Context, org id.Org, agent id.Agent, version int) (definition.Definition, error)
}

// A Definitions finds definitions: those of system agents in the program, the
// others on the shelf.
type Definitions struct {
	System   []Agent
	Versions VersionStore
}

// find returns the agent of this name, if it is among those given.
func find(agents []Agent, name id.Agent) (Agent, bool) {
	i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == name })
	if i < 0 {
		return Agent{}, false
	}
	return agents[i], true
}

// Version returns a version of an agent, of a deleted one too, or ErrNotFound.
func (l Definitions) Version(ctx context.Context, org id.Org, agent id.Agent, version int) (definition.Definition, error) {
	if a, ok := find(l.System, agent); ok {
		return a.Definition, nil
	}
	return l.Versions.Version(ctx, org, agent, version)
}

// Current returns the definition that a new run of the agent has, and its
// version, or ErrNotFound. The agent may be paused.
func (l Definitions) Current(ctx context.Context, org id.Org, agent id.Agent) (definition.Definition, int, error) {
	if a, ok := find(l.System, agent); ok {
		return a.Definition, a.Version, nil
	}
	a, err := l.Versions.Agent(ctx, org, agent)
	return a.Definition, a.Version, err
}
