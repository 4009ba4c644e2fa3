package agent

import (
	"context"
	"errors"
	"fmt"

	"theoneagents.app/agents/shared/id"
)

// NameStore reads the names of agents.
type NameStore interface {
	// AgentNames returns the names of those of the agents that exist, in one read. A
	// name may be that of a moment ago.
	AgentNames(ctx context.Context, org id.Org, agents []id.Agent) (map[id.Agent]string, error)
}

// Names finds the names of agents, also of deleted ones.
type Names struct {
	Definitions

	Store NameStore
}

// Of returns the current names of agents. A deleted agent, or one whose name cannot
// be found otherwise, has the name that it had in the given version; an agent of
// which no version is known, which is 0, is missing in the result.
func (n Names) Of(ctx context.Context, org id.Org, versions map[id.Agent]int) (map[id.Agent]string, error) {
	names := make(map[id.Agent]string, len(versions))
	var own []id.Agent
	for agent := range versions {
		if a, ok := find(n.System, agent); ok {
			names[agent] = a.Name
		} else {
			own = append(own, agent)
		}
	}
	if len(own) == 0 {
		return names, nil
	}
	found, err := n.Store.AgentNames(ctx, org, own)
	if err != nil {
		return nil, fmt.Errorf("names of %d agents of %s: %w", len(own), org, err)
	}
	for _, agent := range own {
		name, ok := found[agent]
		if !ok && versions[agent] > 0 {
			d, err := n.Version(ctx, org, agent, versions[agent])
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, fmt.Errorf("name of %s: %w", agent, err)
			}
			name, ok = d.Name, err == nil
		}
		if ok {
			names[agent] = name
		}
	}
	return names, nil
}
