package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/caller"
	"theoneagents.app/agents/shared/credit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
	"theoneagents.app/agents/shared/jsonvalue"
	"theoneagents.app/agents/shared/retry"
)

// Store stores the agents of organizations.
type Store interface {
	// Agent returns an agent of the organization, or ErrNotFound.
	Agent(ctx context.Context, org id.Org, agent id.Agent) (Agent, error)

	// Agents returns the heads of all agents of the organization.
	Agents(ctx context.Context, org id.Org) ([]Head, error)

	// Versions returns a page of the versions of an agent, newest first, even of a
	// deleted agent. The page is empty for an agent that never existed.
	Versions(ctx context.Context, org id.Org, agent id.Agent, q VersionQuery) (VersionPage, error)

	// Stats returns the statistics of every agent that ever ran for the organization.
	Stats(ctx context.Context, org id.Org) (map[id.Agent]Stats, error)

	// SaveAgent writes the agent, its version and its listener in one transaction,
	// on condition that the stored revision is still before.Revision (0: no stored
	// agent). Otherwise it returns ErrStale. An agent that becomes active counts
	// against the cap. Beyond the cap it returns ErrLimit, exactly, even under
	// concurrent writes, and for a draft beyond MaxDrafts ErrDrafts. The uses of an
	// active agent are added to those of its organization. Acts are the
	// entries of the audit log for the change: this and every other method writes
	// them in its transaction, or not at all.
	//
	// This and every other method that changes what listens for an event also counts
	// that change in Tenant.Listeners, in the same transaction. It returns
	// tenant.ErrUnknown for an organization that is not known.
	SaveAgent(ctx context.Context, before, after Agent, active Cap, acts ...audit.Entry) error

	// SaveRequested writes a new agent, as SaveAgent does, together with its request
	// in one transaction. If the organization has a request with the same key made
	// after since, it writes nothing and returns ErrRequested.
	SaveRequested(ctx context.Context, a Agent, r Request, since time.Time, acts ...audit.Entry) error

	// Requested returns the last request with a key, and whether it exists. The
	// store may delete a request after RequestKept.
	Requested(ctx context.Context, org id.Org, key string) (Request, bool, error)

	// DeleteAgent deletes the agent on condition that its stored revision is still
	// a.Revision, otherwise it returns ErrStale. The versions remain, for the
	// agent's runs.
	DeleteAgent(ctx context.Context, a Agent, acts ...audit.Entry) error

	// Pauses returns the system agents that the organization has paused.
	Pauses(ctx context.Context, org id.Org) (map[id.Agent]Pause, error)

	// SavePause pauses a system agent, which listens for event, for the
	// organization alone. The first of repeated pauses stays, with its acts.
	SavePause(ctx context.Context, org id.Org, agent id.Agent, event string, p Pause, acts ...audit.Entry) error

	// DeletePause resumes a system agent for the organization. Without a pause it
	// writes nothing.
	DeletePause(ctx context.Context, org id.Org, agent id.Agent, event string, acts ...audit.Entry) error
}

// A Pause is the pause of a system agent. It is zero in pauses from before it
// was kept.
type Pause struct {
	By id.Actor
	At time.Time
}

// A Cap is the maximum number of active agents.
type Cap struct {
	Limited bool
	Most    int
}

// Plans returns the plan of an organization.
type Plans interface {
	Plan(ctx context.Context, org id.Org) (credit.Plan, error)
}

// Runs ends the open runs of an agent that by is about to delete.
type Runs interface {
	CancelAll(ctx context.Context, org id.Org, agent id.Agent, by id.Actor) error
}

// Service manages agents on behalf of callers.
type Service struct {
	Store    Store
	Plans    Plans
	Runs     Runs
	Rules    definition.Rules
	Settings Settings
	System   []Agent // every organization has them
	Now      func() time.Time
	NewID    func() id.Agent
}

// A Query selects the agents to list; an empty field selects all.
type Query struct {
	Status   Status
	Type     Type
	Category string
}

func (q Query) wants(h Head) bool {
	return (q.Status == "" || h.Status == q.Status) &&
		(q.Type == "" || h.Type == q.Type) &&
		(q.Category == "" || h.Category == q.Category)
}

// List returns the agents of the caller's organization, system agents first,
// then by age.
func (s *Service) List(ctx context.Context, who caller.Caller, q Query) ([]Head, error) {
	heads, _, err := s.heads(ctx, who.Org)
	if err != nil {
		return nil, err
	}
	ours, err := s.ours(ctx, who.Org)
	if err != nil {
		return nil, err
	}
	stats, err := s.Store.Stats(ctx, who.Org)
	if err != nil {
		return nil, err
	}
	system := make([]Head, 0, len(s.System))
	for _, a := range s.System {
		system = append(system, ours.seen(a).Head)
	}
	all := append(system, heads...)
	for i := range all {
		all[i].Stats = stats[all[i].ID]
	}
	return slices.DeleteFunc(all, func(h Head) bool { return !q.wants(h) }), nil
}

// Get returns an agent that the caller's organization can see, or ErrNotFound.
func (s *Service) Get(ctx context.Context, who caller.Caller, agent id.Agent) (Agent, error) {
	a, err := s.get(ctx, who.Org, agent)
	if err != nil {
		return Agent{}, err
	}
	return s.withStats(ctx, who.Org, a)
}

// withStats returns the agent with its statistics in the organization.
func (s *Service) withStats(ctx context.Context, org id.Org, a Agent) (Agent, error) {
	stats, err := s.Store.Stats(ctx, org)
	if err != nil {
		return Agent{}, err
	}
	a.Stats = stats[a.ID]
	return a, nil
}

func (s *Service) get(ctx context.Context, org id.Org, agent id.Agent) (Agent, error) {
	if a, ok := find(s.System, agent); ok {
		ours, err := s.ours(ctx, org)
		return ours.seen(a), err
	}
	return s.current(ctx, org, agent)
}

// draft returns a new agent in status Draft, with the placeholders of the template
// from which it is copied.
func (s *Service) draft(who caller.Caller, d definition.Definition, typ Type, placeholders []string) Agent {
	a := Agent{Head: Head{
		ID: s.NewID(), Org: who.Org, Type: typ, Status: Draft, Created: s.Now(), CreatedBy: who.Actor(), Placeholders: placeholders,
	}}
	a = a.with(d, authorOf(who), a.Created)
	a.Version = 1
	return a
}

// create stores a draft of the caller's. Source is the agent or the template that
// it is a copy of; empty for a new definition.
func (s *Service) create(
	ctx context.Context, who caller.Caller, d definition.Definition, typ Type, source string, placeholders []string,
) (Agent, error) {
	a := s.draft(who, d, typ, placeholders)
	if err := s.mayOverride(who, a); err != nil {
		return Agent{}, err
	}
	a, err := s.save(ctx, Agent{}, a, Cap{}, created(who, a, source))
	if err != nil {
		return Agent{}, fmt.Errorf("save %s: %w", a.ID, err)
	}
	return a, nil
}

// save writes an agent and its needs, and returns it with its stored revision.
func (s *Service) save(ctx context.Context, before, after Agent, active Cap, acts ...audit.Entry) (Agent, error) {
	after.Needs, after.Uses = after.Definition.Needs(), s.Rules.Uses(after.Definition)
	if err := s.Store.SaveAgent(ctx, before, after, active, acts...); err != nil {
		return after, err
	}
	after.Revision++
	after.Uses = nil
	return after, nil
}

// Clone creates a draft from any agent that the caller can see, as the
// organization has it.
func (s *Service) Clone(ctx context.Context, who caller.Caller, agent id.Agent, name string) (Agent, error) {
	a, err := s.get(ctx, who.Org, agent)
	if err != nil {
		return Agent{}, err
	}
	return s.copied(ctx, who, a.Definition, name, string(a.ID), a.Placeholders)
}

// Copy stores a draft with the definition of the template source, checked again, under
// another name if one is given. The copy cannot be activated while a recipient of
// the template's that is reserved for examples stands in it.
func (s *Service) Copy(ctx context.Context, who caller.Caller, source id.Template, d definition.Definition, name string) (Agent, error) {
	return s.copied(ctx, who, d, name, string(source), s.Rules.Placeholders(d))
}

func (s *Service) copied(
	ctx context.Context, who caller.Caller, d definition.Definition, name, source string, placeholders []string,
) (Agent, error) {
	doc := d.Document()
	if name != "" {
		doc["name"] = name
	}
	d, err := s.parse(ctx, who.Org, doc)
	if err != nil {
		return Agent{}, err
	}
	return s.create(ctx, who, d, Cloned, source, placeholders)
}

// A Patch is a change of an agent: top-level fields of the definition, and the
// status.
type Patch struct {
	Fields map[string]any
	Match  int64 // the revision that the caller has read; 0 matches any
}

// Update changes an agent. It returns ErrConfig, ErrMove, ErrLimit, ErrChanged if
// the revision is not p.Match, or ErrSystem for any change of a system agent other
// than pausing, resuming and pinning it, or ErrGuarded if that, or overriding it, is not
// the caller's.
func (s *Service) Update(ctx context.Context, who caller.Caller, agent id.Agent, p Patch) (Agent, error) {
	if a, ok := find(s.System, agent); ok {
		return s.updateSystem(ctx, who, a, p)
	}
	var after Agent
	err := retry.Races(ErrStale, func() (err error) {
		after, err = s.update(ctx, who, agent, p)
		if errors.Is(err, ErrLimit) {
			err = s.recheckLimit(ctx, who.Org, err)
		}
		return err
	})
	if err != nil {
		return Agent{}, busy(err, "update %s", agent)
	}
	return after, nil
}

func (s *Service) update(ctx context.Context, who caller.Caller, agent id.Agent, p Patch) (Agent, error) {
	before, err := s.current(ctx, who.Org, agent)
	if err != nil {
		return Agent{}, err
	}
	if p.Match != 0 && p.Match != before.Revision {
		return Agent{}, ErrChanged
	}
	after, err := s.patched(ctx, before, p, authorOf(who))
	if err != nil {
		return Agent{}, err
	}
	if equal(before, after) {
		return s.withStats(ctx, who.Org, before)
	}
	if !onlyPaused(before, after) {
		if err := s.mayOverride(who, before, after); err != nil {
			return Agent{}, err
		}
	}
	plan, err := s.Plans.Plan(ctx, who.Org)
	if err != nil {
		return Agent{}, err
	}
	most, limited := plan.ActiveAgents()
	after, err = s.save(ctx, before, after, Cap{Limited: limited, Most: most}, changed(who, before, after))
	if err != nil {
		return Agent{}, err
	}
	return s.withStats(ctx, who.Org, after) // not read again: another caller may have changed the agent
}

// patched returns the agent after p. It validates the whole definition, unless p
// only pauses an active agent: that must be possible even if newer rules refuse
// the definition.
func (s *Service) patched(ctx context.Context, a Agent, p Patch, by author) (Agent, error) {
	fields := given(p.Fields)
	status, err := statusOf(fields, a.Status)
	if err != nil {
		return a, err
	}
	delete(fields, "status")
	if len(fields) == 0 && a.Status == Active && status == Paused {
		return a.to(status, by, s.Now())
	}
	doc := a.Definition.Document()
	maps.Copy(doc, fields)
	d, err := s.parse(ctx, a.Org, doc)
	if err != nil {
		return a, err
	}
	before := a
	if len(fields) > 0 && !equal(d, a.Definition) || a.Status == Invalid {
		a = a.with(d, by, s.Now())
	}
	if a.Version > before.Version && a.Version > MaxVersions {
		return before, ErrVersions
	}
	if status != "" {
		if a, err = a.to(status, by, s.Now()); err != nil {
			return a, err
		}
	}
	if left := a.unfilled(); a.Status == Active && len(left) > 0 && !equal(before, a) {
		return a, definition.ErrConfig.Naming(left)
	}
	return a, nil
}

// given returns the fields that a patch changes. A null field counts as absent,
// except the limit, which null removes, and required fields, for which Parse
// refuses null.
func given(fields map[string]any) map[string]any {
	fields = maps.Clone(fields)
	for _, optional := range []string{"status", "description", "conditions", "conflict_behavior", "client_scope"} {
		if v, ok := fields[optional]; ok && v == nil {
			delete(fields, optional)
		}
	}
	return fields
}

// statusOf returns the requested status, or "" for none. A caller may send the
// status "error" only for an agent that has it; this requests no change.
func statusOf(fields map[string]any, now Status) (Status, error) {
	v, ok := fields["status"]
	if !ok {
		return "", nil
	}
	text, _ := v.(string)
	switch s := Status(text); {
	case s == Draft || s == Active || s == Paused:
		return s, nil
	case s == Invalid && now == Invalid:
		return "", nil
	}
	return "", ErrField.Sayf("status must be active, paused or draft.")
}

// Delete cancels the open runs of an agent and deletes it. It returns ErrNotFound,
// ErrSystem, or ErrChanged if the agent's revision is not match; 0 matches any.
func (s *Service) Delete(ctx context.Context, who caller.Caller, agent id.Agent, match int64) error {
	if _, ok := find(s.System, agent); ok {
		return ErrSystem.Sayf("A system agent cannot be deleted; pause it instead.")
	}
	err := retry.Races(ErrStale, func() error { return s.delete(ctx, who, agent, match) })
	return busy(err, "delete %s", agent)
}

// busy returns err, or ErrBusy if the operation lost every race.
func busy(err error, operation string, args ...any) error {
	if errors.Is(err, retry.ErrLost) {
		return ErrBusy.Because(fmt.Errorf(operation+": %w", append(args, err)...))
	}
	return err
}

// delete cancels the runs before it deletes the agent, so that a failed deletion
// can be retried, and again afterwards, for runs that started in between.
func (s *Service) delete(ctx context.Context, who caller.Caller, agent id.Agent, match int64) error {
	a, err := s.Store.Agent(ctx, who.Org, agent)
	if err != nil {
		return err
	}
	if match != 0 && match != a.Revision {
		return ErrChanged
	}
	if err := s.Runs.CancelAll(ctx, who.Org, agent, who.Actor()); err != nil {
		return fmt.Errorf("cancel the runs of %s: %w", agent, err)
	}
	if err := s.Store.DeleteAgent(ctx, a, s.deleted(who, a)); err != nil {
		return err
	}
	return s.Runs.CancelAll(ctx, who.Org, agent, who.Actor())
}

// equal reports whether two values have the same JSON.
func equal[T any](a, b T) bool { return jsonvalue.Canonical(a) == jsonvalue.Canonical(b) }
