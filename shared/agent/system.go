package agent

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
)

//go:embed system/*.json
var systemFiles embed.FS

// publishing is the file of the agent that publishes a model's text without an
// approval gate. Dispatch's first answer to a ticket is a public note; this is
// documented, and the note has no link and no markup.
const publishing = "dispatch.json"

// rules returns the rules that the agents of organizations are held against. A
// copy of Dispatch may do what Dispatch does, until its trigger or steps change.
func (s *Service) rules() definition.Rules {
	r := s.Rules
	for _, a := range s.System {
		if a.ID == systemID(publishing) {
			r.Published = []definition.Publication{definition.PublicationOf(a.Definition.Document())}
		}
	}
	return r
}

// Warnings returns the parts of an agent's definition that are allowed but
// probably wrong, and those that its next update would be refused for.
func (s *Service) Warnings(a Agent) []fault.Detail { return s.rules().Warnings(a.Definition) }

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
		Name: d.Name, Type: System, Status: Active, Category: d.Category,
		Guarded: guarded,
		Created: launch, Updated: launch, CreatedBy: id.Platform, UpdatedBy: id.Platform, Version: 1, Revision: 1,
	}}, nil
}
