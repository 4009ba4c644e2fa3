package agent

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/tenant"
)

//go:embed system/*.json
var systemFiles embed.FS

// publishing is the file of the agent that publishes a model's text without an
// approval gate. Dispatch's first answer to a ticket is a public note; this is
// documented, and the note has no link and no markup.
const publishing = "dispatch.json"

// internalNotes is the version of that agent whose note the client does not see.
const internalNotes = 2

// For returns a system agent as an organization with these settings has it.
func (a Agent) For(s tenant.Settings) Agent {
	if a.ID != systemID(publishing) || s.Policy(tenant.DispatchNotes) != tenant.Internal {
		return a
	}
	a.Definition, a.Version = withInternalNotes(a.Definition), internalNotes
	return a
}

// withInternalNotes returns a definition whose public notes are internal.
func withInternalNotes(d definition.Definition) definition.Definition {
	d.Steps = slices.Clone(d.Steps)
	for i, s := range d.Steps {
		if s.ActionStep == nil || s.Params["visibility"] != "public" {
			continue
		}
		action := *s.ActionStep
		action.Params = maps.Clone(action.Params)
		action.Params["visibility"] = "internal"
		d.Steps[i].ActionStep = &action
	}
	return d
}

// Settings returns the organizations with their settings.
type Settings interface {
	// Tenant returns the organization, or tenant.ErrUnknown.
	Tenant(ctx context.Context, org id.Org) (tenant.Tenant, error)
}

// settings returns the settings of an organization.
func (s *Service) settings(ctx context.Context, org id.Org) (tenant.Settings, error) {
	t, err := s.Settings.Tenant(ctx, org)
	if err != nil {
		return tenant.Settings{}, fmt.Errorf("settings of %s: %w", org, err)
	}
	return t.Settings, nil
}

// parse reads and validates a definition by the settings of an organization. They
// can only allow more than the rules, so an accepted definition needs no read.
func (s *Service) parse(ctx context.Context, org id.Org, doc map[string]any) (definition.Definition, error) {
	d, err := s.Rules.Parse(doc)
	if err == nil {
		return d, nil
	}
	chosen, err := s.settings(ctx, org)
	if err != nil {
		return definition.Definition{}, err
	}
	return s.rules(chosen).Parse(doc)
}

// rules returns the rules that the agents of an organization with these settings
// are held against. A copy of Dispatch may do what Dispatch does for the
// organization, until its trigger or steps change.
func (s *Service) rules(chosen tenant.Settings) definition.Rules {
	r := s.Rules
	r.ModelContent = chosen.Policy(tenant.ModelContent) == tenant.Allow
	for _, a := range s.System {
		if a.ID == systemID(publishing) {
			r.Published = []definition.Publication{definition.PublicationOf(a.For(chosen).Definition.Document())}
		}
	}
	return r
}

// Warnings returns the parts of an agent's definition that are allowed but
// probably wrong, and those that its next update would be refused for. It reads the
// settings of the organization only if they can make a difference.
func (s *Service) Warnings(ctx context.Context, a Agent) []fault.Detail {
	strict := s.Rules.Warnings(a.Definition)
	if len(strict) == 0 {
		return nil
	}
	byDefault := s.rules(tenant.Settings{})
	if a.Type == System {
		return byDefault.Warnings(a.Definition)
	}
	byDefault.ModelContent = true
	if len(byDefault.Warnings(a.Definition)) == len(strict) {
		return strict
	}
	chosen, err := s.settings(ctx, a.Org)
	if err != nil {
		return strict // a warning too many is better than no agent
	}
	return s.rules(chosen).Warnings(a.Definition)
}

func systemID(file string) id.Agent {
	return id.Agent("agent_system_" + strings.TrimSuffix(file, ".json"))
}

// SystemAgents returns the agents that every organization has: one for each file
// of system/, with the id agent_system_<file>. Beside the definition, a file may
// say "guarded": true; see Head.Guarded.
func SystemAgents(rules definition.Rules) ([]Agent, error) {
	entries, err := systemFiles.ReadDir("system")
	if err != nil {
		return nil, err
	}
	agents := make([]Agent, 0, len(entries))
	for _, e := range entries {
		a, err := systemAgent(rules, e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		agents = append(agents, a)
	}
	return agents, nil
}

func systemAgent(rules definition.Rules, file string) (Agent, error) {
	data, err := systemFiles.ReadFile(path.Join("system", file))
	if err != nil {
		return Agent{}, err
	}
	doc, err := jsonvalue.Object(data)
	if err != nil {
		return Agent{}, err
	}
	guarded, isBool := doc["guarded"].(bool)
	if _, given := doc["guarded"]; given && !isBool {
		return Agent{}, errors.New("guarded must be true or false")
	}
	delete(doc, "guarded") // the rest is a definition
	if file == publishing {
		rules.Published = []definition.Publication{definition.PublicationOf(doc)}
	}
	d, err := rules.Parse(doc)
	if err != nil {
		return Agent{}, err
	}
	launch := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	return Agent{Definition: d, Head: Head{
		ID: systemID(file), Org: id.System,
		Name: d.Name, Description: d.Description, Type: System, Status: Active, Category: d.Category, Needs: d.Needs(),
		Guarded: guarded,
		Created: launch, Updated: launch, CreatedBy: id.Platform, UpdatedBy: id.Platform, Version: 1, Revision: 1,
	}}, nil
}
