package agent

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/fault"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/tenant"
)

//go:embed system/*.json
var systemFiles embed.FS

// publishing is the agent that publishes a model's text without an approval gate.
// Dispatch's first answer to a ticket is a public note; this is documented, and the
// note has no link and no markup.
const publishing id.Agent = "agent_system_dispatch"

// An Edition is one version of a system agent. Like every version it never changes: what
// a run did stays readable in it, and a run that waits goes on with it.
type Edition struct {
	Version

	// Policy and Choice name the organizations that have the edition: those that chose
	// this. Without a policy all others have it.
	Policy tenant.Policy
	Choice tenant.Choice
}

// For returns a system agent as an organization with these settings has it: in the
// edition to which it is pinned, else in the newest for one of the organization's
// choices, else in the newest for everyone. A pin to an edition that belongs to another
// choice counts for nothing while the choice differs.
func (a Agent) For(s tenant.Settings) Agent {
	own := a.editions(s)
	if len(own) == 0 {
		return a
	}
	has := own[len(own)-1]
	for _, e := range own {
		if e.Number == s.Pins[a.ID] {
			has, a.Pinned = e, true
		}
	}
	a.Definition, a.Version = has.Definition, has.Number
	return a
}

// editions returns the editions that an organization with these settings has or had.
func (a Agent) editions(s tenant.Settings) []Edition {
	var chosen, common []Edition
	for _, e := range a.Editions {
		switch {
		case e.Policy == "":
			common = append(common, e)
		case s.Policy(e.Policy) == e.Choice:
			chosen = append(chosen, e)
		}
	}
	if len(chosen) > 0 {
		return chosen
	}
	return common
}

// edition returns the edition with this number.
func (a Agent) edition(number int) (Edition, bool) {
	i := slices.IndexFunc(a.Editions, func(e Edition) bool { return e.Number == number })
	if i < 0 {
		return Edition{}, false
	}
	return a.Editions[i], true
}

// Settings keeps the organizations with their settings.
type Settings interface {
	// Tenant returns the organization, or tenant.ErrUnknown.
	Tenant(ctx context.Context, org id.Org) (tenant.Tenant, error)

	// SaveSettings writes the settings of t, and nothing else of it, with the acts
	// in one transaction, if the stored revision is still t.Revision. Otherwise it
	// returns tenant.ErrStale.
	SaveSettings(ctx context.Context, t tenant.Tenant, acts ...audit.Entry) error
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
		if a.ID != publishing {
			continue
		}
		for _, e := range a.editions(chosen) {
			r.Published = append(r.Published, definition.PublicationOf(e.Definition.Document()))
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

// SystemAgents returns the agents that every organization has: the files of system/ with
// the name <agent>@<version>.json make the agent agent_system_<agent>. Beside the
// definition, a file says when the version was "released", and may say "guarded": true
// (see Head.Guarded), and "policy": {"<policy>": "<choice>"} (see Edition).
func SystemAgents(rules definition.Rules) ([]Agent, error) {
	entries, err := systemFiles.ReadDir("system")
	if err != nil {
		return nil, err
	}
	var agents []Agent
	for _, e := range entries {
		a, err := systemAgent(rules, e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		i := slices.IndexFunc(agents, func(b Agent) bool { return b.ID == a.ID })
		if i < 0 {
			agents = append(agents, a)
			continue
		}
		if err := agents[i].alike(a); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		agents[i].Editions = append(agents[i].Editions, a.Editions...)
	}
	for i, a := range agents {
		slices.SortFunc(a.Editions, func(x, y Edition) int { return x.Number - y.Number })
		agents[i] = a.newest()
	}
	return agents, nil
}

// alike returns an error if two editions of a system agent differ in what an organization
// decides about the agent and not about a version: a pause is one of the agent's event,
// and who may pause it is the same in every version.
func (a Agent) alike(b Agent) error {
	if was, is := a.Definition.Trigger.Event(), b.Definition.Trigger.Event(); was != is {
		return fmt.Errorf("it listens for %s, and another version for %s", is, was)
	}
	if a.Guarded != b.Guarded {
		return fmt.Errorf("guarded is %t, and %t in another version", b.Guarded, a.Guarded)
	}
	return nil
}

// newest returns a system agent as an organization without settings has it.
func (a Agent) newest() Agent {
	a.Created = a.Editions[0].Created
	return a.shown(tenant.Settings{})
}

// shown returns For with the head of that edition.
func (a Agent) shown(s tenant.Settings) Agent {
	a = a.For(s)
	d := a.Definition
	a.Name, a.Description, a.Category, a.Needs = d.Name, d.Description, d.Category, d.Needs()
	if e, ok := a.edition(a.Version); ok {
		a.Updated = e.Created
	}
	return a
}

// fileName matches the name of a file of system/.
var fileName = regexp.MustCompile(`^([a-z_]+)@([1-9][0-9]*)\.json$`)

// systemAgent returns an agent with the one edition that is in a file.
func systemAgent(rules definition.Rules, file string) (Agent, error) {
	name := fileName.FindStringSubmatch(file)
	if name == nil {
		return Agent{}, errors.New("the name must be <agent>@<version>.json")
	}
	data, err := systemFiles.ReadFile(path.Join("system", file))
	if err != nil {
		return Agent{}, err
	}
	doc, err := jsonvalue.Object(data)
	if err != nil {
		return Agent{}, err
	}
	a := Agent{Head: Head{
		ID: id.Agent("agent_system_" + name[1]), Org: id.System, Type: System, Status: Active,
		CreatedBy: id.Platform, UpdatedBy: id.Platform, Revision: 1,
	}}
	e, err := about(doc)
	if err != nil {
		return Agent{}, err
	}
	if e.Number, err = strconv.Atoi(name[2]); err != nil {
		return Agent{}, err
	}
	a.Guarded, _ = doc["guarded"].(bool)
	for _, field := range []string{"released", "guarded", "policy"} {
		delete(doc, field) // the rest is a definition
	}
	if a.ID == publishing {
		rules.Published = []definition.Publication{definition.PublicationOf(doc)}
	}
	if e.Definition, err = rules.Parse(doc); err != nil {
		return Agent{}, err
	}
	e.CreatedBy, e.ActivatedBy = id.Platform, []id.Actor{id.Platform}
	a.Definition, a.Editions = e.Definition, []Edition{e}
	return a, nil
}

// about returns an edition without its definition.
func about(doc map[string]any) (Edition, error) {
	if _, is := doc["guarded"].(bool); doc["guarded"] != nil && !is {
		return Edition{}, errors.New("guarded must be true or false")
	}
	var e Edition
	released, _ := doc["released"].(string)
	var err error
	if e.Created, err = time.Parse(time.DateOnly, released); err != nil {
		return Edition{}, fmt.Errorf("released must be a date like 2026-03-01, not %q", released)
	}
	policy, _ := doc["policy"].(map[string]any)
	if len(policy) > 1 || doc["policy"] != nil && len(policy) == 0 {
		return Edition{}, errors.New("policy must name one policy and its choice")
	}
	for name, choice := range policy {
		text, _ := choice.(string)
		e.Policy, e.Choice = tenant.Policy(name), tenant.Choice(text)
		if !slices.Contains(e.Policy.Choices(), e.Choice) || e.Choice == e.Policy.Choices()[0] {
			return Edition{}, fmt.Errorf("policy: %q is no choice of %q besides its default", text, name)
		}
	}
	return e, nil
}
