package agent

import (
	"context"
	"slices"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/lru"
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
// agents in the cache or the version store. Callers share a definition and must not
// change it.
type Definitions struct {
	System   []Agent
	Versions VersionStore
	Cache    *VersionCache // nil keeps none
}

// A VersionCache keeps definitions in the memory of a process. A version never
// changes, so a kept one stays right. It says nothing about the existence of an agent
// or an organization: a caller asks for the version of a run that it has just read, and
// an erasure deletes the run. So no definition of an erased organization is used, and
// its copies in memory end with the process.
type VersionCache struct {
	kept *lru.Cache[versionKey, definition.Definition]
}

type versionKey struct {
	org     id.Org
	agent   id.Agent
	version int
}

// NewVersionCache returns a cache of up to 300 definitions with up to 4 MB of JSON;
// in memory they take several times as much.
func NewVersionCache() *VersionCache {
	const most, room = 300, 4 << 20
	return &VersionCache{kept: lru.New[versionKey, definition.Definition](most, room)}
}

func (c *VersionCache) get(k versionKey) (definition.Definition, bool) {
	if c == nil {
		return definition.Definition{}, false
	}
	return c.kept.Get(k)
}

func (c *VersionCache) put(k versionKey, d definition.Definition) {
	if c != nil {
		c.kept.Put(k, d, len(jsonvalue.Canonical(d)))
	}
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
		e, err := a.numbered(version)
		return e.Definition, err
	}
	k := versionKey{org, agent, version}
	if d, ok := l.Cache.get(k); ok {
		return d, nil
	}
	d, err := l.Versions.Version(ctx, org, agent, version)
	if err == nil {
		l.Cache.put(k, d)
	}
	return d, err
}

// VersionRecord is Version with the version's authors. It is always read, because a
// version's list of those who activated it grows.
func (l Definitions) VersionRecord(ctx context.Context, org id.Org, agent id.Agent, version int) (Version, error) {
	if a, ok := find(l.System, agent); ok {
		e, err := a.numbered(version)
		return e.Version, err
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
