package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"theoneagents.app/agents/shared/agent"
	"theoneagents.app/agents/shared/audit"
	"theoneagents.app/agents/shared/definition"
	"theoneagents.app/agents/shared/id"
)

// Agent implements agent.Store.
func (s *Store) Agent(_ context.Context, o id.Org, a id.Agent) (agent.Agent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, ok := s.org(o).agents[a]
	if !ok {
		return agent.Agent{}, agent.ErrNotFound
	}
	return clone(stored), nil
}

// Agents implements agent.Store, the oldest first.
func (s *Store) Agents(_ context.Context, o id.Org) ([]agent.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	agents := s.org(o).agents
	heads := make([]agent.Head, 0, len(agents))
	for _, a := range agents {
		heads = append(heads, clone(a.Head))
	}
	slices.SortFunc(heads, func(a, b agent.Head) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return heads, nil
}

// AgentNames implements agent.NameStore.
func (s *Store) AgentNames(_ context.Context, o id.Org, agents []id.Agent) (map[id.Agent]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := map[id.Agent]string{}
	for _, a := range agents {
		if stored, ok := s.org(o).agents[a]; ok {
			names[a] = stored.Name
		}
	}
	return names, nil
}

// Version returns a version of an agent, also of a deleted one, or
// agent.ErrNotFound.
func (s *Store) Version(_ context.Context, o id.Org, a id.Agent, version int) (definition.Definition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.org(o).versions[a][version]
	if !ok {
		return definition.Definition{}, agent.ErrNotFound
	}
	return clone(v.Definition), nil
}

// VersionRecord implements agent.VersionStore.
func (s *Store) VersionRecord(_ context.Context, o id.Org, a id.Agent, version int) (agent.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.org(o).versions[a][version]
	if !ok {
		return agent.Version{}, agent.ErrNotFound
	}
	return clone(v), nil
}

// Versions implements agent.Store.
func (s *Store) Versions(_ context.Context, o id.Org, a id.Agent, q agent.VersionQuery) (agent.VersionPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := s.org(o).versions[a]
	numbers := slices.Sorted(maps.Keys(versions))
	slices.Reverse(numbers)
	numbers = slices.DeleteFunc(numbers, func(n int) bool { return q.Before > 0 && n >= q.Before })
	var p agent.VersionPage
	for _, n := range numbers[:min(q.Limit, len(numbers))] {
		p.Versions = append(p.Versions, clone(versions[n]))
	}
	if len(numbers) > q.Limit {
		p.Next = numbers[q.Limit-1]
	}
	return p, nil
}

// Stats implements agent.Store.
func (s *Store) Stats(_ context.Context, o id.Org) (map[id.Agent]agent.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.org(o).stats), nil
}

// SaveAgent implements agent.Store.
func (s *Store) SaveAgent(_ context.Context, before, after agent.Agent, active agent.Cap, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.org(after.Org).save(before, after, active, acts)
}

func (o *org) save(before, after agent.Agent, active agent.Cap, acts []audit.Entry) error {
	if o.agents[after.ID].Revision != before.Revision {
		return agent.ErrStale
	}
	wakes := before.Status != agent.Active && after.Status == agent.Active
	if wakes && active.Limited && o.with(agent.Active) >= active.Most {
		return agent.ErrLimit
	}
	if agent.DraftsDelta(before, after) > 0 && o.with(agent.Draft) >= agent.MaxDrafts {
		return agent.ErrDrafts
	}
	if before.Status == agent.Active || after.Status == agent.Active {
		if err := o.listen(); err != nil {
			return err
		}
	}
	after = clone(after)
	if after.Status == agent.Active {
		o.add(after.Uses)
	}
	after.Revision, after.Stats, after.Uses = before.Revision+1, agent.Stats{}, nil
	o.agents[after.ID] = after
	if o.versions[after.ID] == nil {
		o.versions[after.ID] = map[int]agent.Version{}
	}
	if _, ok := o.versions[after.ID][after.Version]; !ok {
		o.versions[after.ID][after.Version] = agent.Version{
			Number: after.Version, Created: after.Updated, CreatedBy: after.UpdatedBy, KeyMaker: after.KeyMaker,
			Definition: clone(after.Definition),
		}
	}
	if by := after.Activates(before); len(by) > 0 {
		v := o.versions[after.ID][after.Version]
		v.ActivatedBy = slices.Compact(slices.Sorted(slices.Values(slices.Concat(v.ActivatedBy, by))))
		o.versions[after.ID][after.Version] = v
	}
	o.store(after.Announces(before))
	o.record(acts)
	return nil
}

// SaveRequested implements agent.Store.
func (s *Store) SaveRequested(_ context.Context, a agent.Agent, r agent.Request, since time.Time, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(a.Org)
	if earlier, ok := o.requests[r.Key]; ok && earlier.Made.After(since) {
		return agent.ErrRequested
	}
	if err := o.save(agent.Agent{}, a, agent.Cap{}, acts); err != nil {
		return err
	}
	o.requests[r.Key] = r
	return nil
}

// Requested implements agent.Store.
func (s *Store) Requested(_ context.Context, o id.Org, key string) (agent.Request, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.org(o).requests[key]
	return r, ok, nil
}

// with returns the number of agents with a status.
func (o *org) with(st agent.Status) int {
	n := 0
	for _, a := range o.agents {
		if a.Status == st {
			n++
		}
	}
	return n
}

// DeleteAgent implements agent.Store.
func (s *Store) DeleteAgent(_ context.Context, a agent.Agent, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.org(a.Org)
	stored, ok := o.agents[a.ID]
	if !ok || stored.Revision != a.Revision {
		return agent.ErrStale
	}
	if a.Status == agent.Active {
		if err := o.listen(); err != nil {
			return err
		}
	}
	delete(o.agents, a.ID)
	o.record(acts)
	return nil
}

// Pauses implements agent.Store.
func (s *Store) Pauses(_ context.Context, o id.Org) (map[id.Agent]agent.Pause, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pauses := map[id.Agent]agent.Pause{}
	for a, p := range s.org(o).pauses {
		pauses[a] = p.Pause
	}
	return pauses, nil
}

// A pause is the pause of a system agent that listens for an event.
type pause struct {
	agent.Pause

	event string
}

// paused returns the paused system agents that listen for an event.
func (o *org) paused(event string) map[id.Agent]bool {
	paused := map[id.Agent]bool{}
	for a, p := range o.pauses {
		if event == p.event {
			paused[a] = true
		}
	}
	return paused
}

// SavePause implements agent.Store.
func (s *Store) SavePause(_ context.Context, o id.Org, a id.Agent, event string, p agent.Pause, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	org := s.org(o)
	if _, paused := org.pauses[a]; !paused {
		if err := org.listen(); err != nil {
			return err
		}
		org.pauses[a] = pause{p, event}
		org.record(acts)
	}
	return nil
}

// DeletePause implements agent.Store.
func (s *Store) DeletePause(_ context.Context, o id.Org, a id.Agent, _ string, acts ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	org := s.org(o)
	if _, paused := org.pauses[a]; paused {
		if err := org.listen(); err != nil {
			return err
		}
		delete(org.pauses, a)
		org.record(acts)
	}
	return nil
}

// Listeners implements dispatch.Agents.
func (s *Store) Listeners(_ context.Context, o id.Org, event string) ([]agent.Listener, map[id.Agent]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []agent.Listener
	for _, a := range s.org(o).agents {
		if a.Status == agent.Active && a.Definition.Trigger.Event() == event {
			list = append(list, agent.Listener{Agent: a.ID, Version: a.Version, Definition: clone(a.Definition)})
		}
	}
	slices.SortFunc(list, func(a, b agent.Listener) int { return cmp.Compare(a.Agent, b.Agent) })
	return list, s.org(o).paused(event), nil
}
